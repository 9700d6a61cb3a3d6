"""From the text of a Dockerfile to instructions (Dockerfile reference, "Format"). Pure.

The order is: parser directives, joining of continued lines, name and flags, heredoc bodies. What
the words of an instruction mean is decided where it runs.
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches

from runtime.errors import InvalidArgument
from runtime.record import record

INSTRUCTIONS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
    "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
_HEREDOCS = frozenset({"ADD", "COPY", "RUN"})
_JSON = frozenset({"ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"})
_ONE_ARGUMENT = frozenset({"MAINTAINER", "STOPSIGNAL", "USER", "WORKDIR"})
_NEVER_EMPTY = frozenset({"ARG", "ENV", "EXPOSE", "LABEL", "ONBUILD", "VOLUME", "SHELL"})
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_HEREDOC = re.compile(r"(\d*)<<(-?)(['\"]?)([A-Za-z0-9_.\-]+)\3")
_BUILT_IN_SYNTAX = ("docker/dockerfile", "docker.io/docker/dockerfile")


class DockerfileError(InvalidArgument):
    """The Dockerfile is wrong; the message names the line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"dockerfile parse error on line {line}: {message}")
        self.line = line
        self.detail = message


@record
class Heredoc:
    """A document inside the Dockerfile; `expand` says whether variables are filled in."""

    name: str
    content: str
    expand: bool


@record
class Instruction:
    """One instruction.

    Attributes:
        name: in capitals.
        text: the whole joined line, as ``Step 1/2 : ...`` shows it.
        rest: what follows name and flags.
        flags: ``--name=value`` words in order, each name with its value (empty for a bare flag).
        json: the list, when `rest` is a JSON array of strings and the instruction knows that form.
    """

    name: str
    text: str
    rest: str
    line: int
    end_line: int
    flags: tuple[tuple[str, str], ...] = ()
    json: tuple[str, ...] | None = None
    heredocs: tuple[Heredoc, ...] = ()

    def flag(self, name: str) -> str | None:
        """Return the value of a flag, or None."""
        return next((value for key, value in self.flags if key == name), None)

    def all_flags(self, name: str) -> list[str]:
        """Return every value of a repeatable flag."""
        return [value for key, value in self.flags if key == name]


@record
class Dockerfile:
    """All instructions, and the escape character that they are written with."""

    instructions: tuple[Instruction, ...]
    escape: str
    lines: tuple[str, ...] = ()


def parse_dockerfile(text: str) -> Dockerfile:
    """Parse a Dockerfile.

    Raises:
        DockerfileError: an instruction is unknown or malformed.
        InvalidArgument: there is none.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    if not text.strip():
        raise InvalidArgument("the Dockerfile cannot be empty")
    escape = _directives(lines)
    instructions: list[Instruction] = []
    position = 0
    while position < len(lines):
        joined, following = _join(lines, position, escape)
        if joined is not None:
            instruction, following = _instruction(joined, lines, (position, following), escape)
            instructions.append(instruction)
        position = following
    if not instructions:
        raise InvalidArgument("file with no instructions")
    return Dockerfile(tuple(instructions), escape, tuple(lines))


def logical_lines(text: str) -> list[str]:
    """Return the instructions of a text as they stand there, continued lines joined."""
    lines = text.split("\n")
    found: list[str] = []
    position = 0
    while position < len(lines):
        joined, position = _join(lines, position, "\\")
        if joined is not None:
            found.append(joined)
    return found


def parse_line(text: str, line: int = 1) -> Instruction:
    """Parse one instruction by itself: a trigger of ONBUILD, or one of ``changes``."""
    return _instruction(text.strip(), [text], (line - 1, line), "\\")[0]


def _directives(lines: list[str]) -> str:
    seen: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith("#!"):
            continue
        found = _DIRECTIVE.match(line)
        if found is None or found[1].lower() not in _DIRECTIVES:
            break
        name = found[1].lower()
        if name in seen:
            raise DockerfileError(number, f"only one {name} parser directive can be used")
        seen[name] = found[2]
    escape = seen.get("escape", "\\")
    if escape not in {"\\", "`"}:
        raise DockerfileError(1, f"invalid escape token '{escape}' does not match ` or \\")
    syntax = seen.get("syntax", "docker/dockerfile")
    if not syntax.startswith(_BUILT_IN_SYNTAX):
        raise InvalidArgument(
            f"syntax {syntax!r} is not supported by Shoal: remove the line, or use"
            " docker/dockerfile, which is built in"
        )
    return escape


def _join(lines: list[str], start: int, escape: str) -> tuple[str | None, int]:
    """Join a line with its continuations; None for a comment or an empty line."""
    first = lines[start].lstrip()
    if not first or first.startswith("#"):
        return None, start + 1
    continued = re.compile(rf"(?<!{re.escape(escape)}){re.escape(escape)}[ \t]*$")
    pieces: list[str] = []
    position = start
    while position < len(lines):
        line = lines[position]
        position += 1
        if pieces and (not line.strip() or line.lstrip().startswith("#")):
            continue  # empty lines and comments inside a continuation do not end it
        shorter = continued.sub("", line)
        pieces.append(shorter if pieces else shorter.lstrip())
        if shorter == line:
            break
    return "".join(pieces).rstrip(), position


def _instruction(
    joined: str, lines: list[str], span: tuple[int, int], escape: str
) -> tuple[Instruction, int]:
    """Make an instruction of a joined line; return it and the line where the next one begins."""
    number = span[0] + 1
    word, *tail = joined.split(None, 1)
    name = word.upper()
    if name not in INSTRUCTIONS:
        near = get_close_matches(name, INSTRUCTIONS, 1, 0.6)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise DockerfileError(number, f"unknown instruction: {name}{hint}")
    flags, rest = _split_flags(tail[0] if tail else "", escape, number)
    listed = _json_form(name, rest)
    heredocs, following = _heredocs(name, rest, lines, span[1], listed, number)
    instruction = Instruction(name, joined, rest, number, following, flags, listed, heredocs)
    _check(instruction)
    return instruction, following


def _split_flags(text: str, escape: str, line: int) -> tuple[tuple[tuple[str, str], ...], str]:
    """Cut the words that begin with ``--`` off the front."""
    flags: list[tuple[str, str]] = []
    position = 0
    pattern = re.compile(rf"\s*(--(?:{re.escape(escape)}.|\"[^\"]*\"|'[^']*'|[^\s\"'])*)(?=\s|$)")
    while found := pattern.match(text, position):
        position = found.end()
        if found[1] == "--":
            break
        name, _, value = found[1][2:].partition("=")
        if not name:
            raise DockerfileError(line, f"unknown flag: {found[1]}")
        flags.append((name, _unquoted(value, escape)))
    return tuple(flags), text[position:].strip()


def _unquoted(text: str, escape: str) -> str:
    pattern = rf"{re.escape(escape)}(.)|\"([^\"]*)\"|'([^']*)'"
    return re.sub(pattern, lambda found: found[1] or found[2] or found[3] or "", text)


def _json_form(name: str, rest: str) -> tuple[str, ...] | None:
    """Return the list of the exec form; what is no valid JSON is the shell form."""
    if name not in _JSON or not rest.startswith("["):
        return None
    try:
        words = json.loads(rest)
    except ValueError:
        return None
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return tuple(words)
    return None


def _heredocs(
    name: str,
    rest: str,
    lines: list[str],
    position: int,
    listed: tuple[str, ...] | None,
    line: int,
) -> tuple[tuple[Heredoc, ...], int]:
    """Read the bodies of ``<<WORD`` that an instruction names, in order."""
    trigger = rest.split(None, 1) if name == "ONBUILD" else []
    if (
        listed is not None
        or (name not in _HEREDOCS and trigger[:1] and trigger[0].upper() not in _HEREDOCS)
        or (name not in _HEREDOCS and not trigger)
    ):
        return (), position
    documents: list[Heredoc] = []
    for word in rest.split():
        found = _HEREDOC.fullmatch(word)
        if found is None:
            continue
        body, position = _body(lines, position, found[4], bool(found[2]))
        if body is None:
            raise DockerfileError(line, "unterminated heredoc")
        documents.append(Heredoc(found[4], body, expand=not found[3]))
    return tuple(documents), position


def _body(
    lines: list[str], position: int, terminator: str, strip_tabs: bool
) -> tuple[str | None, int]:
    body: list[str] = []
    for number in range(position, len(lines)):
        line = lines[number].lstrip("\t") if strip_tabs else lines[number]
        if line == terminator:
            return "".join(f"{text}\n" for text in body), number + 1
        body.append(line)
    return None, len(lines)


def _check(instruction: Instruction) -> None:
    """Refuse what can be refused without running anything."""
    name, rest, line = instruction.name, instruction.rest, instruction.line
    if name in _ONE_ARGUMENT and not rest:
        raise DockerfileError(line, f"{name} requires exactly one argument")
    if name in _NEVER_EMPTY and not rest:
        raise DockerfileError(line, f"{name} requires at least one argument")
    if name == "FROM" and not re.fullmatch(r"\S+(\s+[Aa][Ss]\s+\S+)?", rest):
        raise DockerfileError(line, "FROM requires either one or three arguments")
    if name in {"COPY", "ADD"}:
        words = instruction.json if instruction.json is not None else rest.split()
        if len(words) < 2:
            problem = (
                "only one argument was provided. Destination could not be determined"
                if words
                else "no arguments were provided"
            )
            raise DockerfileError(line, f"{name} requires at least two arguments, but {problem}")
    if name == "ONBUILD":
        trigger = rest.split(None, 1)[0].upper()
        if trigger == "ONBUILD":
            raise DockerfileError(line, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
        if trigger in {"FROM", "MAINTAINER"}:
            raise DockerfileError(line, f"{trigger} isn't allowed as an ONBUILD trigger")
    if name == "SHELL" and instruction.json is None:
        raise DockerfileError(line, "SHELL requires the arguments to be in JSON form")
    _check_flags(instruction)


_FLAGS: dict[str, frozenset[str]] = {
    "FROM": frozenset({"platform"}),
    "RUN": frozenset({"mount", "network", "security", "device"}),
    "COPY": frozenset({"from", "chown", "chmod", "link", "parents", "exclude"}),
    "ADD": frozenset({"chown", "chmod", "link", "exclude", "checksum", "keep-git-dir", "unpack"}),
    "HEALTHCHECK": frozenset({"interval", "timeout", "start-period", "start-interval", "retries"}),
}
_REPEATABLE = frozenset({"mount", "exclude", "device"})
_BARE = frozenset({"link", "parents", "keep-git-dir", "unpack"})


def _check_flags(instruction: Instruction) -> None:
    known = _FLAGS.get(instruction.name, frozenset())
    seen: set[str] = set()
    for name, value in instruction.flags:
        if name not in known:
            near = get_close_matches(name, known, 1, 0.6)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise DockerfileError(instruction.line, f"unknown flag: --{name}{hint}")
        if name in seen and name not in _REPEATABLE:
            raise DockerfileError(instruction.line, f"duplicate flag specified: --{name}")
        if not value and name not in _BARE:
            raise DockerfileError(instruction.line, f"missing a value on flag: --{name}")
        seen.add(name)
