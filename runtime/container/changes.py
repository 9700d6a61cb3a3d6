"""``changes`` of commit and import: Dockerfile instructions that alter an image's configuration.

Only instructions that change metadata are allowed (Docker Engine API, ``POST /commit``).
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from runtime.container.document import section, string_map, texts
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

JsonObject = dict[str, object]


def apply_changes(config: JsonObject, changes: Sequence[str]) -> JsonObject:
    """Return a configuration with the instructions applied in order.

    Raises:
        InvalidArgument: an instruction is unknown or malformed.
    """
    result = dict(config)
    for change in changes:
        word, _, rest = change.strip().partition(" ")
        apply = _INSTRUCTIONS.get(word.upper())
        if apply is None:
            raise InvalidArgument(f"{word.lower()} is not a valid change command")
        try:
            apply(result, rest.strip())
        except ValueError as error:
            raise InvalidArgument(f"invalid change {change!r}: {error}") from error
    return result


def _command(text: str) -> list[str]:
    if text.startswith("["):
        words = json.loads(text)
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
        raise ValueError("the JSON form must hold strings")
    return ["/bin/sh", "-c", text]


def _pairs(text: str) -> dict[str, str]:
    words = shlex.split(text)
    if words and "=" not in words[0]:
        name, _, value = text.partition(" ")
        return {name: value.strip()}
    if not all("=" in word for word in words):
        raise ValueError("must be NAME=VALUE")
    return dict(word.partition("=")[::2] for word in words)


def _set_cmd(config: JsonObject, text: str) -> None:
    config["Cmd"] = _command(text)


def _set_entrypoint(config: JsonObject, text: str) -> None:
    config["Entrypoint"] = _command(text)


def _set_env(config: JsonObject, text: str) -> None:
    pairs = _pairs(text)
    kept = [entry for entry in texts(config, "Env") if entry.partition("=")[0] not in pairs]
    config["Env"] = kept + [f"{name}={value}" for name, value in pairs.items()]


def _set_labels(config: JsonObject, text: str) -> None:
    config["Labels"] = {**string_map(config, "Labels"), **_pairs(text)}


def _expose(config: JsonObject, text: str) -> None:
    ports: JsonObject = {port if "/" in port else f"{port}/tcp": {} for port in text.split()}
    config["ExposedPorts"] = {**section(config, "ExposedPorts"), **ports}


def _add_volumes(config: JsonObject, text: str) -> None:
    names = json.loads(text) if text.startswith("[") else text.split()
    config["Volumes"] = {**section(config, "Volumes"), **{str(name): {} for name in names}}


def _set_workdir(config: JsonObject, text: str) -> None:
    config["WorkingDir"] = text


def _set_user(config: JsonObject, text: str) -> None:
    config["User"] = text


def _set_stop_signal(config: JsonObject, text: str) -> None:
    config["StopSignal"] = text


def _add_trigger(config: JsonObject, text: str) -> None:
    config["OnBuild"] = [*texts(config, "OnBuild"), text]


def _set_health(config: JsonObject, text: str) -> None:
    word, _, rest = text.partition(" ")
    if word.upper() == "NONE":
        config["Healthcheck"] = {"Test": ["NONE"]}
        return
    if word.upper() != "CMD":
        raise ValueError("must be NONE or CMD")
    rest = rest.strip()
    test = ["CMD", *_command(rest)] if rest.startswith("[") else ["CMD-SHELL", rest]
    config["Healthcheck"] = {"Test": test}


_INSTRUCTIONS: dict[str, Callable[[JsonObject, str], None]] = {
    "CMD": _set_cmd,
    "ENTRYPOINT": _set_entrypoint,
    "ENV": _set_env,
    "LABEL": _set_labels,
    "EXPOSE": _expose,
    "VOLUME": _add_volumes,
    "WORKDIR": _set_workdir,
    "USER": _set_user,
    "STOPSIGNAL": _set_stop_signal,
    "ONBUILD": _add_trigger,
    "HEALTHCHECK": _set_health,
}
