"""Command lines as Docker's programs read them."""

from __future__ import annotations

import pytest

from compose.errors import UsageError
from compose.flags import BOOL, LIST, NUMBER, TEXT, Args, Command, Flag, check_arguments, parse

FLAGS = (
    Flag(name="all", short="a"),
    Flag(name="detach", short="d"),
    Flag(name="env", short="e", kind=LIST),
    Flag(name="format", kind=TEXT, default="table"),
    Flag(name="no-tty", short="T", aliases=("no-TTY",)),
    Flag(name="orphans", default="true"),
    Flag(name="pull", kind=TEXT, default="policy", bare="always"),
    Flag(name="timeout", short="t", kind=NUMBER),
)


def read(*words: str, interspersed: bool = True) -> Args:
    return parse(words, FLAGS, interspersed=interspersed)


def test_flags_may_stand_between_arguments() -> None:
    args = read("web", "-a", "db", "--format", "json")
    assert args.rest == ["web", "db"]
    assert args.on("all")
    assert args.text("format") == "json"


def test_after_the_first_argument_of_exec_nothing_is_a_flag() -> None:
    args = read("-T", "web", "ls", "-a", "--all", interspersed=False)
    assert args.rest == ["web", "ls", "-a", "--all"]
    assert not args.on("all")


def test_two_dashes_end_the_flags() -> None:
    assert read("-a", "--", "-d").rest == ["-d"]


@pytest.mark.parametrize("words", [["-t5"], ["-t", "5"], ["-t=5"], ["--timeout=5"], ["-adt5"]])
def test_a_value_may_be_written_in_five_ways(words: list[str]) -> None:
    assert read(*words).number("timeout") == 5


def test_switches_take_a_value_with_an_equals_sign_only() -> None:
    assert not read("--orphans=false").on("orphans")
    assert read("--all", "false").rest == ["false"]


def test_an_absent_number_is_not_zero() -> None:
    assert read().number("timeout") is None
    assert read("-t", "0").number("timeout") == 0
    assert not read().given("timeout")


def test_lists_keep_every_value_without_cutting_at_commas() -> None:
    assert read("-e", "A=1,2", "-e", "B").many("env") == ["A=1,2", "B"]


def test_a_flag_may_have_a_value_for_when_it_stands_alone() -> None:
    assert read("--pull").text("pull") == "always"
    assert read("--pull=never").text("pull") == "never"


def test_aliases_mean_the_flag() -> None:
    assert read("--no-TTY").on("no-tty")


def test_the_flags_that_a_command_has_are_known() -> None:
    assert read().knows("all")
    assert not read().knows("other")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["--al"], "unknown flag: --al"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["-ax"], "unknown shorthand flag: 'x' in -ax"),
        (["--format"], "flag needs an argument: --format"),
        (["-t"], "flag needs an argument: 't' in -t"),
        (
            ["-t", "x"],
            (
                'invalid argument "x" for "-t, --timeout" flag:'
                ' strconv.ParseInt: parsing "x": invalid syntax'
            ),
        ),
        (
            ["--all=maybe"],
            (
                'invalid argument "maybe" for "-a, --all" flag:'
                ' strconv.ParseBool: parsing "maybe": invalid syntax'
            ),
        ),
    ],
)
def test_mistakes_are_named_in_dockers_words(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(*words)
    assert str(caught.value) == message


def test_the_number_of_arguments_is_checked() -> None:
    command = Command(name="x", run=lambda: 0, least=2, most=2)
    with pytest.raises(UsageError, match=r"requires at least 2 arg\(s\), only received 1"):
        check_arguments(command, read("one"))
    with pytest.raises(UsageError, match=r"accepts at most 2 arg\(s\), received 3"):
        check_arguments(command, read("1", "2", "3"))
    check_arguments(command, read("1", "2"))


def test_switches_are_the_default_kind() -> None:
    assert Flag(name="x").kind == BOOL
