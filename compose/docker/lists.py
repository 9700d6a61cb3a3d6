"""Lists of a run command that come from flags and files: variables, labels, ports, volumes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from compose.errors import ShoalError
from compose.loader.ports import split_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

JsonObject = dict[str, object]


def variables(files: Sequence[str], given: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Return ``NAME=value`` of env files and flags; a bare name takes the caller's value."""
    lines = [line for path in files for line in _lines(path)]
    found = []
    for text in [*lines, *given]:
        if "=" in text:
            found.append(text)
        elif text in env:
            found.append(f"{text}={env[text]}")
        elif text in given:
            found.append(text)
    return found


def _lines(path: str) -> list[str]:
    """Return the lines of a file of variables or labels, without comments."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [line.rstrip("\n").lstrip() for line in file]
    except FileNotFoundError:
        raise ShoalError(f"open {path}: no such file or directory") from None
    except IsADirectoryError:
        raise ShoalError(f"invalid env file ({path}): read {path}: is a directory") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ShoalError(f"invalid env file ({path}): {error}") from error
    kept = [line for line in lines if line and not line.startswith("#")]
    for line in kept:
        name = line.partition("=")[0]
        if not name:
            raise ShoalError(f"invalid env file ({path}): no variable name on line '{line}'")
        if " " in name or "\t" in name:
            raise ShoalError(f"invalid env file ({path}): variable '{name}' contains whitespaces")
    return kept


def labels(files: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """Return labels of files and flags; the later one wins."""
    lines = [line for path in files for line in _lines(path)]
    return dict(text.partition("=")[::2] for text in [*lines, *given])


def pairs(given: Sequence[str], problem: str = "") -> dict[str, str]:
    """Return ``key=value`` texts as a dictionary; a problem refuses those without a value."""
    for text in given:
        if problem and "=" not in text:
            raise ShoalError(problem.format(text))
    return dict(text.partition("=")[::2] for text in given)


def published(given: Sequence[str]) -> tuple[dict[str, JsonObject], dict[str, list[JsonObject]]]:
    """Return exposed ports and bindings of ``--publish``."""
    exposed: dict[str, JsonObject] = {}
    bindings: dict[str, list[JsonObject]] = {}
    for text in given:
        try:
            ports = split_port(_short_port(text))
        except ValueError as error:
            raise ShoalError(_port_problem(text, str(error))) from error
        for port in ports:
            key = f"{port.target}/{port.protocol}"
            exposed[key] = {}
            bindings.setdefault(key, []).append(
                {"HostIp": port.host_ip, "HostPort": port.published}
            )
    return exposed, bindings


def _short_port(text: str) -> str:
    """Return a port in its short form; the long one has fields."""
    if "=" not in text:
        return text
    fields = dict(field.partition("=")[::2] for field in text.split(","))
    unknown = fields.keys() - {"target", "published", "protocol", "mode"}
    if unknown:
        raise ValueError(f"invalid field key {min(unknown)}")
    host = f"{fields['published']}:" if fields.get("published") else ""
    return f"{host}{fields.get('target', '')}/{fields.get('protocol') or 'tcp'}"


def _port_problem(text: str, problem: str) -> str:
    body = text.partition("/")[0]
    host, _, target = body.rpartition(":")
    address = host.rpartition(":")[0]
    if address and not _is_address(address.removeprefix("[").removesuffix("]")):
        return f"invalid IP address: {address}"
    if not target:
        return f"no port specified: {text}<empty>"
    if "protocol" in problem:
        return f"invalid proto: {text.partition('/')[2]}"
    if "host" in problem or "published" in problem:
        return f"invalid hostPort: {host.rpartition(':')[2]}"
    return f"invalid containerPort: {target}"


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def exposed(given: Sequence[str]) -> dict[str, JsonObject]:
    """Return the ports of ``--expose``, ranges taken apart."""
    found: dict[str, JsonObject] = {}
    for text in given:
        if ":" in text:
            raise ShoalError(f"invalid port format for --expose: {text}")
        body, _, protocol = text.partition("/")
        first, _, last = body.partition("-")
        for end in (first, last or first):
            if not end.isdecimal():
                problem = f'strconv.ParseUint: parsing "{end}": invalid syntax'
                raise ShoalError(f"invalid range format for --expose: {text}, error: {problem}")
        for port in range(int(first), int(last or first) + 1):
            found[f"{port}/{protocol.lower() or 'tcp'}"] = {}
    return found


def volumes(given: Sequence[str]) -> tuple[list[str], dict[str, JsonObject]]:
    """Return binds and anonymous volumes of ``--volume``."""
    binds: list[str] = []
    anonymous: dict[str, JsonObject] = {}
    for text in given:
        source, colon, rest = text.partition(":")
        if not colon:
            anonymous[text] = {}
        elif source == "." or source.startswith(("./", "../", "~/")):
            binds.append(f"{os.path.abspath(os.path.expanduser(source))}:{rest}")
        else:
            binds.append(text)
    return binds, anonymous


def hosts(given: Sequence[str]) -> list[str]:
    """Return entries of ``--add-host`` as ``name:address``."""
    found = []
    for text in given:
        name, separator, address = text.partition("=" if "=" in text else ":")
        if not separator or not name:
            raise ShoalError(
                f'invalid argument "{text}" for "--add-host" flag: bad format for '
                f'add-host: "{text}"'
            )
        found.append(f"{name}:{address.removeprefix('[').removesuffix(']')}")
    return found


def security(given: Sequence[str]) -> tuple[list[str], bool]:
    """Return security options, and whether system paths are left open; a profile is read here."""
    found: list[str] = []
    open_paths = False
    for text in given:
        name, separator, value = text.partition("=" if "=" in text else ":")
        if name == "systempaths" and value == "unconfined":
            open_paths = True
        elif name == "seccomp" and value not in {"unconfined", "builtin", ""}:
            found.append(f"seccomp={_profile(value)}")
        elif not separator and name != "no-new-privileges":
            raise ShoalError(f'Invalid --security-opt: "{text}"')
        else:
            found.append(text)
    return found, open_paths


def _profile(path: str) -> str:
    import json

    try:
        with open(path, encoding="utf-8") as file:
            return json.dumps(json.load(file), separators=(",", ":"))
    except FileNotFoundError:
        problem = f"open {path}: no such file or directory"
    except IsADirectoryError:
        problem = f"read {path}: is a directory"
    except (OSError, ValueError) as error:
        problem = str(error)
    raise ShoalError(f"opening seccomp profile ({path}) failed: {problem}")
