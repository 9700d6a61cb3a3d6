"""The language of .env files, and the raw one."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from compose.errors import DocumentError
from compose.loader import dotenv

OUTSIDE = {"OUT": "outside"}


def read(text: str) -> dict[str, str]:
    return dotenv.parse(text, OUTSIDE.get, file=".env", warn=lambda _name: None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("K=v", "v"),
        ("K = v ", "v"),
        ("export K=v", "v"),
        ("K: v", "v"),
        ("  K=v", "v"),
        ("\ufeffK=v", "v"),
        ("K=v\r\n", "v"),
        ("K=", ""),
        ("K=a b", "a b"),
        ("K=a #c", "a"),
        ("K=a#c", "a#c"),
        ("K=#c", "#c"),
        ("K= #c", "#c"),
        ("K=a\t#c", "a\t#c"),
        ("K=$OUT", "outside"),
        ("K=${X:-d}", "d"),
        ("K=$$", "$"),
        ("K=a\\nb", "a\\nb"),
        ("K='a $OUT \\n'", "a $OUT \\n"),
        ("K='it\\'s'", "it's"),
        ("K='a\nb'", "a\nb"),
        ('K="a $OUT"', "a outside"),
        ('K="a\\nb\\t\\"c\\" \\\\"', 'a\nb\t"c" \\'),
        ('K="\\$OUT"', "$OUT"),
        ('K="$$OUT"', "$OUT"),
        ('K="\\0101\\x41\\u0041"', "A\\x41\\u0041"),
        ('K="a\nb"', "a\nb"),
        ('K="v" # c', "v"),
        ('K=a"b"c', 'a"b"c'),
        ("K=`x`", "`x`"),
        ("K=$(x)", "$(x)"),
        ("K=a=b", "a=b"),
        ("K=1\nK=2", "2"),
        ("A=1\nK=$A", "1"),
    ],
)
def test_a_line_gives_its_value(text: str, value: str) -> None:
    assert read(text)["K"] == value


@pytest.mark.parametrize("name", ["a.b", "A-B", "A[0]", "1A", "Ä", "_"])
def test_a_name_may_hold_more_than_a_shells(name: str) -> None:
    assert read(f"{name}=x") == {name: "x"}


def test_blank_lines_and_comments_are_skipped() -> None:
    assert read("\n# c\n   # d\n\nK=v\n#") == {"K": "v"}


def test_a_name_alone_is_inherited_or_stays_unset() -> None:
    assert read("OUT\nMISSING\n") == {"OUT": "outside"}
    assert read("OUT") == {"OUT": "outside"}


def test_the_outside_wins_over_the_file_inside_templates() -> None:
    assert read("OUT=file\nK=$OUT") == {"OUT": "file", "K": "outside"}


def test_a_file_wins_over_earlier_files_inside_templates() -> None:
    values = dotenv.parse(
        "A=2\nB=$A$C", OUTSIDE.get, file="x", warn=lambda _name: None, earlier={"A": "1", "C": "c"}
    )
    assert values == {"A": "2", "B": "2c"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("A=1\nB C=1", 2, "variable name 'B C' contains a blank"),
        ("A!=1", 1, 'unexpected character "!" in variable name "A!=1"'),
        ('A=1\n\nB="x\n', 3, 'unterminated quoted value "x'),
        ("=1", 1, "no variable name before the equals sign"),
        ("A=${B:?gone}", 1, "required variable B is missing a value: gone"),
        ("A=${", 1, "invalid interpolation '${'"),
    ],
)
def test_a_bad_line_is_named(text: str, line: int, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(text)
    assert caught.value.message == message
    assert caught.value.location
    assert caught.value.location.line == line


VALUES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r"))


@given(VALUES)
def test_single_quotes_keep_any_text_without_quotes_and_backslashes(value: str) -> None:
    clean = value.replace("'", "").replace("\\", "")
    assert read(f"K='{clean}'\nL=1") == {"K": clean, "L": "1"}


@given(VALUES)
def test_double_quotes_keep_any_escaped_text(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    assert read(f'K="{escaped}"')["K"] == value


def line_of_failure(text: str) -> int | None:
    try:
        read(text)
    except DocumentError as error:
        return error.location.line if error.location else 0
    return None


@given(st.text())
def test_any_text_is_read_or_refused_with_its_line(text: str) -> None:
    assert line_of_failure(text) in {None, *range(1, text.count("\n") + 2)}


def test_raw_lines_are_literal() -> None:
    text = '# c\nA="q" $X #y\nB= lead \n\n  C=1\nOUT\nMISSING\nE=\n'
    assert dotenv.parse_raw(text, OUTSIDE.get, file="x") == {
        "A": '"q" $X #y',
        "B": " lead ",
        "C": "1",
        "OUT": "outside",
        "E": "",
    }


def test_a_raw_name_has_no_blank() -> None:
    with pytest.raises(DocumentError, match="'export B' contains whitespaces"):
        dotenv.parse_raw("A=1\nexport B=2", OUTSIDE.get, file="x")
