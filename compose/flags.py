"""Command lines as Docker's programs read them (the rules of Go's pflag).

Not argparse: ``--wait=false``, flags between arguments, flags of the whole program before the verb
only, everything after ``exec SERVICE`` left alone and Docker's wording of errors all go against
it, and it costs 8 ms at each start; this file costs less than one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import UsageError
from compose.model.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BOOL, TEXT, NUMBER, LIST = "bool", "text", "number", "list"
TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
TYPE_WORDS = {BOOL: "", TEXT: "string", NUMBER: "int", LIST: "stringArray"}


@record
class Flag:
    """One flag of a command.

    Attributes:
        name: long name without dashes.
        short: one letter, or empty.
        kind: what its value is.
        default: value when it is not given, as text.
        help: one line.
        bare: value of ``--name`` without ``=value``; empty means that a value is needed.
        aliases: further long names.
        hidden: left out of the help.
    """

    name: str
    short: str = ""
    kind: str = BOOL
    default: str = ""
    help: str = ""
    bare: str = ""
    aliases: tuple[str, ...] = ()
    hidden: bool = False

    @property
    def shown(self) -> str:
        """The flag as error messages show it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


@record
class Command:
    """One verb.

    Attributes:
        name: the word on the command line.
        run: what it does; returns the exit code.
        usage: arguments as the help shows them.
        help: one sentence.
        flags: what it accepts.
        least: how many arguments it needs.
        most: how many it accepts; -1 means any number.
        interspersed: whether flags may follow arguments; else the rest is left alone.
    """

    name: str
    run: Callable[..., int]
    usage: str = ""
    help: str = ""
    flags: tuple[Flag, ...] = ()
    least: int = 0
    most: int = -1
    interspersed: bool = True


class Args:
    """What the user gave: typed access to flags, and the arguments in `rest`."""

    def __init__(self, flags: Sequence[Flag]) -> None:
        self._flags = {flag.name: flag for flag in flags}
        self._values: dict[str, list[str]] = {}
        self.rest: list[str] = []

    def put(self, flag: Flag, value: str) -> None:
        """Record one value; only lists keep earlier ones."""
        _check(flag, value)
        if flag.kind == LIST:
            self._values.setdefault(flag.name, []).append(value)
        else:
            self._values[flag.name] = [value]

    def knows(self, name: str) -> bool:
        """Whether the command has such a flag."""
        return name in self._flags

    def given(self, name: str) -> bool:
        """Whether the flag stands on the command line."""
        return name in self._values

    def on(self, name: str) -> bool:
        """Value of a switch."""
        return self._last(name) in TRUE

    def text(self, name: str) -> str:
        """Value of a flag with a text."""
        return self._last(name)

    def number(self, name: str) -> int | None:
        """Value of a flag with a number; None when it has none."""
        value = self._last(name)
        return int(value) if value else None

    def many(self, name: str) -> list[str]:
        """All values of a flag that may be repeated."""
        return list(self._values.get(name, ()))

    def _last(self, name: str) -> str:
        values = self._values.get(name)
        return values[-1] if values else self._flags[name].default


def parse(words: Sequence[str], flags: Sequence[Flag], *, interspersed: bool = True) -> Args:
    """Read a command line.

    Args:
        words: the words after the program or the verb.
        flags: the flags that are known.
        interspersed: whether flags may follow arguments; else reading stops at the first one.
    """
    args = Args(flags)
    long = {name: flag for flag in flags for name in (flag.name, *flag.aliases)}
    short = {flag.short: flag for flag in flags if flag.short}
    left = list(reversed(words))
    while left:
        word = left.pop()
        if word == "--":
            args.rest += reversed(left)
            break
        if word.startswith("--"):
            _long(word, long, left, args)
        elif word.startswith("-") and word != "-":
            _short(word, short, left, args)
        elif interspersed:
            args.rest.append(word)
        else:
            args.rest += [word, *reversed(left)]
            break
    return args


def _long(word: str, known: Mapping[str, Flag], left: list[str], args: Args) -> None:
    name, equals, value = word[2:].partition("=")
    flag = known.get(name)
    if flag is None:
        raise UsageError(f"unknown flag: --{name}")
    if not equals:
        value = _bare(flag)
        if not value:
            if not left:
                raise UsageError(f"flag needs an argument: {word}")
            value = left.pop()
    args.put(flag, value)


def _short(word: str, known: Mapping[str, Flag], left: list[str], args: Args) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = known.get(letter)
        if flag is None:
            raise UsageError(f"unknown shorthand flag: {letter!r} in {word}")
        if letters.startswith("="):
            value, letters = letters[1:], ""
        elif bare := _bare(flag):
            value = bare
        elif letters:
            value, letters = letters, ""
        elif left:
            value = left.pop()
        else:
            raise UsageError(f"flag needs an argument: {letter!r} in {word}")
        args.put(flag, value)


def _bare(flag: Flag) -> str:
    return flag.bare or ("true" if flag.kind == BOOL else "")


def _check(flag: Flag, value: str) -> None:
    if flag.kind == BOOL and value not in TRUE and value not in FALSE:
        problem = f'strconv.ParseBool: parsing "{value}": invalid syntax'
    elif flag.kind == NUMBER and not value.removeprefix("-").isdecimal():
        problem = f'strconv.ParseInt: parsing "{value}": invalid syntax'
    else:
        return
    raise UsageError(f'invalid argument "{value}" for "{flag.shown}" flag: {problem}')


def check_arguments(command: Command, args: Args) -> None:
    """Refuse too few or too many arguments, in Docker Compose's words."""
    count = len(args.rest)
    if count < command.least:
        raise UsageError(f"requires at least {command.least} arg(s), only received {count}")
    if 0 <= command.most < count:
        raise UsageError(f"accepts at most {command.most} arg(s), received {count}")


def flag_lines(flags: Sequence[Flag]) -> list[str]:
    """The lines of a help text that describe flags."""
    rows = []
    for flag in sorted(flags, key=lambda flag: flag.name):
        if not flag.hidden:
            short = f"-{flag.short}, " if flag.short else "    "
            rows.append((f"  {short}--{flag.name} {TYPE_WORDS[flag.kind]}".rstrip(), flag))
    width = max((len(row[0]) for row in rows), default=0) + 3
    return [f"{text:<{width}}{flag.help}{_default_note(flag)}".rstrip() for text, flag in rows]


def _default_note(flag: Flag) -> str:
    if flag.default in {"", "false"}:
        return ""
    quoted = f'"{flag.default}"' if flag.kind in {TEXT, LIST} else flag.default
    return f" (default {quoted})"
