"""Words of a Dockerfile: what the shell-like rules make of them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from runtime.build.words import WordError, expand, expand_unquoted, expand_words

VARIABLES = {"a": "1", "empty": "", "path": "/x/y/z.tar.gz", "two": "b c", "_u": "under"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"), ("$a", "1"), ("${a}", "1"), ("x$a.y", "x1.y"), ("$unset", ""),
        ("$_u", "under"), ("$", "$"), ("a$", "a$"), ("$.", "$."), ("\\$a", "$a"), ("'$a'", "$a"),
        ('"$a"', "1"), ('"\\$a"', "$a"), ('"a\\b"', "a\\b"), ('"\\\\"', "\\"), ("a\\b", "ab"),
        ("'it'\"s\"", "its"), ("$two", "b c"), ("a\\", "a"),
        ("${a:-w}", "1"), ("${empty:-w}", "w"), ("${empty-w}", ""), ("${unset-w}", "w"),
        ("${unset:-$a}", "1"), ("${unset:-'$a'}", "$a"), ("${a:+w}", "w"), ("${empty:+w}", ""),
        ("${empty+w}", "w"), ("${unset+w}", ""), ("${unset:-${unset:-deep}}", "deep"),
        ("${a:?w}", "1"), ("${empty?w}", ""),
        ("${path#*/}", "x/y/z.tar.gz"), ("${path##*/}", "z.tar.gz"), ("${path%.*}", "/x/y/z.tar"),
        ("${path%%.*}", "/x/y/z"), ("${path#nope}", "/x/y/z.tar.gz"), ("${path%?}", "/x/y/z.tar.g"),
        ("${path/y/Y}", "/x/Y/z.tar.gz"), ("${path//./_}", "/x/y/z_tar_gz"), ("${path/y/}",
        "/x//z.tar.gz"), ("${path//[ab]/x}", "/x/y/z.tar.gz"),
        ("${path/$unset/x}", "x/x/y/z.tar.gz"),
        ("${unset#x}", ""),
    ],
)  # fmt: skip
def test_a_word_is_expanded(text: str, expected: str) -> None:
    assert expand(text, VARIABLES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${}", "syntax error: bad substitution"),
        ("${:x}", "syntax error: bad substitution"),
        ("${a", "syntax error: missing '}'"),
        ("${", "syntax error: missing '}'"),
        ("${a:-x", "syntax error: missing '}'"),
        ("${a:#x}", "unsupported modifier (:#) in substitution"),
        ("${a^x}", "unsupported modifier (^) in substitution"),
        ("${unset:?}", "unset: is not allowed to be empty"),
        ("${unset?}", "unset: is not allowed to be unset"),
        ("${unset:?no}", "unset: no"),
        ("${a#\\.}", "invalid escape '\\.'"),
        ("'x", "unexpected end of statement while looking for matching single-quote"),
        ('"x', "unexpected end of statement while looking for matching double-quote"),
    ],
)
def test_a_bad_word_is_named(text: str, message: str) -> None:
    with pytest.raises(WordError) as caught:
        expand(text, VARIABLES)
    assert caught.value.message == f'failed to process "{text}": {message}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", ["a", "b"]), ("  a   b  ", ["a", "b"]), ("$two", ["b", "c"]), ('"$two"', ["b c"]),
        ("a\\ b", ["a b"]), ("'a b' c", ["a b", "c"]), ("x$two.y", ["xb", "c.y"]), ("", []),
        ("$unset", []), ('""', [""]),
    ],
)  # fmt: skip
def test_a_text_is_split_outside_of_quotes(text: str, expected: list[str]) -> None:
    assert expand_words(text, VARIABLES) == expected


def test_another_escape_character_is_obeyed() -> None:
    assert expand("a`$b\\c", VARIABLES, "`") == "a$b\\c"


def test_a_document_keeps_quotes_and_escapes() -> None:
    text = "'$a' \"${a}\" \\$a \\n ${unset:-x}"
    assert expand_unquoted(text, VARIABLES) == "'1' \"1\" \\$a \\n x"


@given(st.text(st.sampled_from("ab ${}:-+?#%/'\"\\*"), max_size=20))
def test_any_text_is_expanded_or_refused(text: str) -> None:
    try:
        expand(text, VARIABLES)
        expand_words(text, VARIABLES)
    except WordError:
        return


@given(st.text(st.characters(exclude_characters="$'\"\\"), max_size=20))
def test_a_text_without_special_characters_stays(text: str) -> None:
    assert expand(text, {}) == text
