"""Instructions that change an image's configuration alone (Dockerfile reference). Pure.

Each function changes a `Settings` and returns the text that history shows, or None for no entry.
"""

from __future__ import annotations

import json
import posixpath
import re
import signal
from typing import TYPE_CHECKING

from runtime.build.dockerfile import DockerfileError, Instruction, logical_lines, parse_line
from runtime.build.stages import split_pairs
from runtime.build.words import expand, expand_words
from runtime.container.timestamps import go_duration
from runtime.errors import InvalidArgument
from runtime.image.times import parse_duration
from runtime.record import field, mutable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

JsonObject = dict[str, object]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ("/bin/sh", "-c")
PROXIES = frozenset(
    name
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (upper, upper.lower())
)
_CHANGES = frozenset(
    [
        *("CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD"),
        *("STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    ]
)
"""What may stand in ``changes`` of commit and import."""
_CHECK_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}


@mutable
class Settings:
    """What a stage has become so far.

    Attributes:
        config: the configuration of the image, as in ``config`` of the OCI document.
        variables: values of ENV and ARG, the later one wins.
        arguments: names and values of the ARGs so far, in order; None has no value.
        given: values that the client gives.
        globals: values of the ARGs before the first FROM, and the predefined ones.
        used: names of `given` that some ARG has taken.
        cmd_set: this stage has a CMD of its own.
    """

    config: JsonObject
    variables: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str | None] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    globals: Mapping[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    cmd_set: bool = False
    author: str = ""
    escape: str = "\\"

    def texts(self, key: str) -> list[str]:
        """Return a list of the configuration."""
        value = self.config.get(key)
        return [str(text) for text in value] if isinstance(value, list) else []

    def table(self, key: str) -> dict[str, object]:
        """Return an object of the configuration."""
        value = self.config.get(key)
        return dict(value) if isinstance(value, dict) else {}

    def text(self, key: str) -> str:
        """Return a text of the configuration."""
        return str(self.config.get(key) or "")

    def expand(self, text: str) -> str:
        """Fill in variables."""
        return expand(text, self.variables, self.escape)

    @property
    def shell(self) -> tuple[str, ...]:
        """What the shell form of RUN, CMD and ENTRYPOINT is handed to."""
        return tuple(self.texts("Shell")) or DEFAULT_SHELL

    def set_environment(self, name: str, value: str) -> None:
        """Set a variable of the configuration in place, new ones last."""
        entries = self.texts("Env")
        for number, entry in enumerate(entries):
            if entry.partition("=")[0] == name:
                entries[number] = f"{name}={value}"
                break
        else:
            entries.append(f"{name}={value}")
        self.config["Env"] = entries
        self.variables[name] = value


def apply_metadata(settings: Settings, instruction: Instruction) -> str | None:
    """Carry out an instruction; return the text of its history entry, or None for no entry.

    Raises:
        InvalidArgument: a value is bad.
    """
    return _INSTRUCTIONS[instruction.name](settings, instruction)


def is_metadata(name: str) -> bool:
    """Tell whether an instruction changes the configuration alone."""
    return name in _INSTRUCTIONS


def apply_changes(config: JsonObject, changes: Sequence[str]) -> JsonObject:
    """Return a configuration changed by lines of a Dockerfile (``changes`` of commit and import).

    Raises:
        InvalidArgument: an instruction is malformed, or may not stand here.
    """
    settings = Settings(json.loads(json.dumps(config)))
    for entry in settings.texts("Env"):
        name, _, value = entry.partition("=")
        settings.variables[name] = value
    lines = logical_lines("\n".join(changes))
    if changes and not lines:
        raise InvalidArgument("file with no instructions")
    for line in lines:
        word = line.split(None, 1)[0]
        if word.upper() not in _CHANGES:
            raise InvalidArgument(f"{word} is not a valid change command")
    for line in lines:
        try:
            _apply_change(settings, parse_line(line))
        except DockerfileError as error:
            raise InvalidArgument(error.detail) from error
    if "ArgsEscaped" not in config:
        settings.config.pop("ArgsEscaped", None)
    return settings.config


def _apply_change(settings: Settings, instruction: Instruction) -> None:
    if instruction.name == "WORKDIR":
        set_workdir(settings, instruction)
    else:
        apply_metadata(settings, instruction)


def pairs(settings: Settings, instruction: Instruction) -> list[tuple[str, str]]:
    """Return names and values of ENV or LABEL; the form without ``=`` is one pair."""
    words = split_pairs(instruction.rest)
    if "=" not in words[0]:
        name, _, value = instruction.rest.partition(" ")
        if not value.strip():
            raise DockerfileError(instruction.line, f"{instruction.name} must have two arguments")
        return [(settings.expand(name), settings.expand(value.strip()))]
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise DockerfileError(
                instruction.line,
                f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value',
            )
        if not name:
            raise DockerfileError(instruction.line, f"{instruction.name} names can not be blank")
        found.append((settings.expand(name), settings.expand(value)))
    return found


def _env(settings: Settings, instruction: Instruction) -> str:
    found = pairs(settings, instruction)
    for name, value in found:
        settings.set_environment(name, value)
    return "ENV " + " ".join(f"{name}={value}" for name, value in found)


def _label(settings: Settings, instruction: Instruction) -> str:
    found = pairs(settings, instruction)
    settings.config["Labels"] = {**settings.table("Labels"), **dict(found)}
    return "LABEL " + " ".join(f"{name}={value}" for name, value in found)


def _arg(settings: Settings, instruction: Instruction) -> str:
    shown = []
    for word in split_pairs(instruction.rest):
        name, equals, default = word.partition("=")
        value: str | None = settings.expand(default) if equals else None
        shown.append(f"{name}={value}" if equals else name)
        if name in settings.given:
            settings.used.add(name)
            value = settings.given[name]
        elif not equals and name in settings.globals:
            value = settings.globals[name]
        settings.arguments[name] = value
        if value is not None:
            settings.variables[name] = value
    return "ARG " + " ".join(shown)


def command(settings: Settings, instruction: Instruction) -> list[str]:
    """Return the words of an exec form, or the shell with the text."""
    if instruction.json is not None:
        return list(instruction.json)
    return [*settings.shell, instruction.rest] if instruction.rest else []


def _cmd(settings: Settings, instruction: Instruction) -> str:
    words = command(settings, instruction)
    settings.config["Cmd"] = words or None
    settings.cmd_set = True
    return "CMD " + quoted(words)


def _entrypoint(settings: Settings, instruction: Instruction) -> str:
    words = command(settings, instruction)
    settings.config["Entrypoint"] = words or None
    if not settings.cmd_set:
        settings.config["Cmd"] = None
    return "ENTRYPOINT " + quoted(words)


def _shell(settings: Settings, instruction: Instruction) -> str:
    words = list(instruction.json or ())
    settings.config["Shell"] = words
    return f"SHELL [{' '.join(words)}]"


def _user(settings: Settings, instruction: Instruction) -> str:
    settings.config["User"] = settings.expand(instruction.rest)
    return f"USER {settings.config['User']}"


def set_workdir(settings: Settings, instruction: Instruction) -> str:
    """Set the working directory; return its path."""
    wanted = settings.expand(instruction.rest)
    joined = posixpath.join("/", settings.text("WorkingDir"), wanted)
    settings.config["WorkingDir"] = "/" + posixpath.normpath(joined).lstrip("/")
    return settings.text("WorkingDir")


def _expose(settings: Settings, instruction: Instruction) -> str:
    ports = sorted(
        port
        for word in expand_words(instruction.rest, settings.variables, settings.escape)
        for port in _ports(word)
    )
    settings.config["ExposedPorts"] = {
        **settings.table("ExposedPorts"), **{port: {} for port in ports}
    }  # fmt: skip
    return f"EXPOSE [{' '.join(ports)}]"


def _ports(word: str) -> list[str]:
    text, _, protocol = word.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in {"tcp", "udp", "sctp"}:
        raise InvalidArgument(f"invalid proto: {protocol}")
    inner = text.rpartition(":")[2]
    first, dash, last = inner.partition("-")
    numbers = [first, last if dash else first]
    if not all(re.fullmatch(r"\d{1,5}", n) and 0 < int(n) <= 65535 for n in numbers):
        raise InvalidArgument(f"Invalid containerPort: {inner}")
    if int(numbers[0]) > int(numbers[1]):
        raise InvalidArgument(f"Invalid containerPort: {inner}")
    return [f"{port}/{protocol}" for port in range(int(numbers[0]), int(numbers[1]) + 1)]


def _volume(settings: Settings, instruction: Instruction) -> str:
    if instruction.json is not None:
        words = [settings.expand(word) for word in instruction.json]
    else:
        words = expand_words(instruction.rest, settings.variables, settings.escape)
    if not words or not all(words):
        raise DockerfileError(instruction.line, "VOLUME specified can not be an empty string")
    settings.config["Volumes"] = {**settings.table("Volumes"), **{word: {} for word in words}}
    return f"VOLUME [{' '.join(words)}]"


def _stop_signal(settings: Settings, instruction: Instruction) -> str:
    wanted = settings.expand(instruction.rest)
    name = wanted.upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    known = name in signal.Signals.__members__ or re.fullmatch(r"SIGRTM(IN|AX)([-+]\d+)?", name)
    if not known and not (wanted.isdigit() and 0 < int(wanted) <= 64):
        raise InvalidArgument(f"invalid signal: {wanted}")
    settings.config["StopSignal"] = wanted
    return f"STOPSIGNAL {wanted}"


def _maintainer(settings: Settings, instruction: Instruction) -> str:
    settings.author = instruction.rest
    return f"MAINTAINER {instruction.rest}"


def _onbuild(settings: Settings, instruction: Instruction) -> None:
    trigger = instruction.text.split(None, 1)[1].strip()
    settings.config["OnBuild"] = [*settings.texts("OnBuild"), trigger]


def _healthcheck(settings: Settings, instruction: Instruction) -> str:
    word, _, rest = instruction.rest.partition(" ")
    kind, rest = word.upper(), rest.strip()
    if kind not in {"NONE", "CMD"}:
        raise DockerfileError(instruction.line, f'Unknown type "{kind}" in HEALTHCHECK (try CMD)')
    check: JsonObject = {"Test": ["NONE"] if kind == "NONE" else _test(instruction, rest)}
    for flag, key in _CHECK_TIMES.items():
        value = instruction.flag(flag)
        if value is not None:
            check[key] = _duration(flag, value, instruction.line)
    retries = instruction.flag("retries")
    if retries is not None:
        if not re.fullmatch(r"\d{1,6}", retries) or int(retries) < 1:
            raise DockerfileError(instruction.line, f"--retries must be at least 1 (not {retries})")
        check["Retries"] = int(retries)
    settings.config["Healthcheck"] = check
    return "HEALTHCHECK " + _shown_check(check)


def _test(instruction: Instruction, rest: str) -> list[str]:
    if not rest:
        raise DockerfileError(instruction.line, "Missing command after HEALTHCHECK CMD")
    if rest.startswith("["):
        try:
            words = json.loads(rest)
        except ValueError:
            words = None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return ["CMD", *words]
    return ["CMD-SHELL", rest]


def _duration(flag: str, text: str, line: int) -> int:
    value = parse_duration(text)
    if value is None:
        raise DockerfileError(line, f'time: invalid duration "{text}"')
    if value != 0 and value < 1_000_000:
        name = "".join(part.title() for part in flag.split("-"))
        raise DockerfileError(line, f'{name} "{flag}" cannot be less than 1ms')
    return value


def _shown_check(check: JsonObject) -> str:
    times = (check.get(key) for key in _CHECK_TIMES.values())
    shown = " ".join(f'"{go_duration(int(str(value or 0)))}"' for value in times)
    retries = int(str(check.get("Retries", 0)))
    test = check["Test"]
    words = [str(word) for word in test] if isinstance(test, list) else []
    return f"&{{{quoted(words)} {shown} '\\x{retries & 0xFF:02x}'}}"


def quoted(words: Sequence[str]) -> str:
    """Return a list as Go's ``%q`` prints it."""
    return "[" + " ".join(json.dumps(word, ensure_ascii=False) for word in words) + "]"


_INSTRUCTIONS: dict[str, Callable[[Settings, Instruction], str | None]] = {
    "ARG": _arg,
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
}
