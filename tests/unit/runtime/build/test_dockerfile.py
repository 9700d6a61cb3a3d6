"""From the text of a Dockerfile to instructions."""

from __future__ import annotations

import pytest

from runtime.build.dockerfile import Heredoc, Instruction, parse_dockerfile
from runtime.errors import InvalidArgument


def parse(text: str) -> list[Instruction]:
    return list(parse_dockerfile(text).instructions)


def one(text: str) -> Instruction:
    return parse(f"FROM x\n{text}")[1]


def test_names_are_found_whatever_their_case() -> None:
    assert [(i.name, i.rest, i.line) for i in parse("\n# c\n  from x\n\nRun  a  b \n")] == [
        ("FROM", "x", 3), ("RUN", "a  b", 5)
    ]  # fmt: skip


def test_a_byte_order_mark_and_carriage_returns_are_dropped() -> None:
    assert [i.rest for i in parse("\ufeffFROM x\r\nRUN y\r\n")] == ["x", "y"]


def test_continued_lines_are_joined_as_they_are() -> None:
    instruction = one("RUN a && \\\n    b \\\n# comment\n\n  c")
    assert instruction.rest == "a &&     b   c"
    assert (instruction.line, instruction.end_line) == (2, 6)


def test_a_doubled_escape_does_not_continue() -> None:
    assert [i.rest for i in parse("FROM x\nRUN a \\\\\nRUN b")] == ["x", "a \\\\", "b"]


def test_the_escape_character_can_be_chosen() -> None:
    dockerfile = parse_dockerfile("# escape=`\nFROM x\nRUN a `\n b\\")
    assert dockerfile.escape == "`"
    assert dockerfile.instructions[1].rest == "a  b\\"


def test_a_comment_ends_the_directives() -> None:
    assert parse_dockerfile("# hello\n# escape=`\nFROM x").escape == "\\"


def test_the_built_in_syntax_is_accepted() -> None:
    assert len(parse("# syntax=docker/dockerfile:1.7-labs\nFROM x")) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["a", "b c"]', ("a", "b c")),
        ("[]", ()),
        ("['a']", None),
        ('["a",]', None),
        ('["a", 1]', None),
        ("[ -f x ]", None),
        ("a", None),
    ],
)
def test_the_exec_form_is_valid_json(text: str, words: tuple[str, ...] | None) -> None:
    assert one(f"RUN {text}").json == words


def test_only_some_instructions_know_the_exec_form() -> None:
    assert one('ENV a=["x"]').json is None
    assert one('LABEL ["x"]=y').json is None


def test_flags_stand_in_front() -> None:
    instruction = one('COPY --chown="a b":c --link --exclude=x --exclude=y a --from=b /')
    assert instruction.flags == (
        ("chown", "a b:c"), ("link", ""), ("exclude", "x"), ("exclude", "y")
    )  # fmt: skip
    assert instruction.rest == "a --from=b /"
    assert instruction.flag("from") is None
    assert instruction.all_flags("exclude") == ["x", "y"]


def test_heredocs_are_read_in_order() -> None:
    instruction = one('COPY <<ONE <<-"TWO" /d/\n\t1\n$a\nONE\n\t2\n\t\tTWO\nRUN x')
    assert instruction.heredocs == (
        Heredoc("ONE", "\t1\n$a\n", expand=True), Heredoc("TWO", "2\n", expand=False)
    )  # fmt: skip
    following = parse("FROM x\nRUN <<E\na\nE\nRUN b")
    assert [i.rest for i in following] == ["x", "<<E", "b"]
    assert following[2].line == 5


def test_what_looks_like_a_heredoc_elsewhere_is_text() -> None:
    assert one('RUN ["cat", "<<EOF"]').heredocs == ()
    assert one("ENV a=<<EOF").heredocs == ()
    assert one("RUN echo $((1<<2))").heredocs == ()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("FROM x\nRUNN y", 2, "unknown instruction: RUNN (did you mean RUN?)"),
        ("FROM x\nXYZZY", 2, "unknown instruction: XYZZY"),
        ("FROM", 1, "FROM requires either one or three arguments"),
        ("FROM a b c", 1, "FROM requires either one or three arguments"),
        ("FROM x\nUSER", 2, "USER requires exactly one argument"),
        ("FROM x\nENV", 2, "ENV requires at least one argument"),
        ("FROM x\nCOPY a", 2, "COPY requires at least two arguments, but only one argument was"),
        ("FROM x\nCOPY --chwon=a b c", 2, "unknown flag: --chwon (did you mean chown?)"),
        ("FROM x\nRUN --network=a --network=b c", 2, "duplicate flag specified: --network"),
        ("FROM x\nCOPY --from= a b", 2, "missing a value on flag: --from"),
        ("FROM x\nSHELL sh", 2, "SHELL requires the arguments to be in JSON form"),
        ("FROM x\nONBUILD ONBUILD RUN y", 2, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't"),
        ("FROM x\nONBUILD FROM y", 2, "FROM isn't allowed as an ONBUILD trigger"),
        ("FROM x\nRUN <<E\nbody", 2, "unterminated heredoc"),
        ("# escape=`\n# escape=`\nFROM x", 2, "only one escape parser directive can be used"),
        ("# escape=x\nFROM x", 1, "invalid escape token 'x' does not match ` or \\"),
    ],
)
def test_a_bad_dockerfile_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text)
    expected = f"dockerfile parse error on line {line}: {message}"
    assert caught.value.message.startswith(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# syntax=me/mine\nFROM x", "syntax 'me/mine' is not supported by Shoal"),
        ("  \n ", "the Dockerfile cannot be empty"),
        ("# only\n", "file with no instructions"),
    ],
)
def test_a_dockerfile_without_anything_to_build_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse(text)
