"""Which engine a command talks to.

In this order: ``--context``, ``--host``, ``DOCKER_HOST``, ``DOCKER_CONTEXT``, the current context
of ``config.json`` unless it is ``default``, Shoal's own socket. Docker keeps a context in
``contexts/meta/<sha256 of its name>/meta.json`` and its certificates below ``contexts/tls``.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from compose.engine.address import Address, TlsFiles, parse_address
from compose.errors import ShoalError
from compose.model.record import record

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_RUN_ROOT = "/run/shoal"
FALSE_WORDS = frozenset({"", "0", "false", "no", "off"})


@record
class Choice:
    """The engine that was chosen.

    Attributes:
        address: where it listens.
        own: whether it is Shoal's own default socket, so that it may be started on demand.
        source: what decided, for messages.
    """

    address: Address
    own: bool = False
    source: str = ""


def choose_engine(host: str, context: str, env: Mapping[str, str]) -> Choice:
    """Decide which engine to use.

    Args:
        host: value of ``--host``, or empty.
        context: value of ``--context``, or empty.
        env: the process environment.
    """
    if context and host:
        raise ShoalError("conflicting options: cannot specify both --host and --context")
    if context:
        return _named(context, env, "--context")
    if host:
        return Choice(address=parse_address(host, _tls_of(env)), source="--host")
    if env.get("DOCKER_HOST"):
        return Choice(address=parse_address(env["DOCKER_HOST"], _tls_of(env)), source="DOCKER_HOST")
    if env.get("DOCKER_CONTEXT"):
        return _named(env["DOCKER_CONTEXT"], env, "DOCKER_CONTEXT")
    current = _current_context(env)
    if current and current != "default":
        return _named(current, env, "current context")
    return own_engine(env)


def own_engine(env: Mapping[str, str]) -> Choice:
    """Shoal's own socket, below ``SHOAL_RUN_ROOT`` when that is set."""
    root = env.get("SHOAL_RUN_ROOT") or DEFAULT_RUN_ROOT
    path = os.path.join(os.path.abspath(root), "shoal.sock")
    return Choice(address=Address(url=f"unix://{path}", path=path), own=True, source="default")


def _config_dir(env: Mapping[str, str]) -> str:
    return env.get("DOCKER_CONFIG") or os.path.join(env.get("HOME") or "/root", ".docker")


def _current_context(env: Mapping[str, str]) -> str:
    try:
        with open(os.path.join(_config_dir(env), "config.json"), encoding="utf-8") as file:
            value = json.load(file).get("currentContext", "")
    except (OSError, ValueError, AttributeError):
        return ""
    return value if isinstance(value, str) else ""


def _named(name: str, env: Mapping[str, str], source: str) -> Choice:
    if name == "default":
        return Choice(address=parse_address("unix:///var/run/docker.sock"), source=source)
    import hashlib  # noqa: PLC0415 - 4 ms that only a named context pays

    digest = hashlib.sha256(name.encode()).hexdigest()
    base = os.path.join(_config_dir(env), "contexts")
    try:
        with open(os.path.join(base, "meta", digest, "meta.json"), encoding="utf-8") as file:
            endpoint = json.load(file)["Endpoints"]["docker"]
            host, skip = str(endpoint["Host"]), bool(endpoint.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise ShoalError(
            f'context "{name}": not found', hint="docker context ls shows the known ones"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShoalError(f'context "{name}": cannot read its description: {error}') from error
    tls = _tls_files(os.path.join(base, "tls", digest, "docker"), verify=not skip)
    return Choice(address=parse_address(host, tls), source=f'{source} "{name}"')


def _tls_of(env: Mapping[str, str]) -> TlsFiles | None:
    """Certificates named by ``DOCKER_CERT_PATH`` when TLS is asked for, as the docker CLI does."""
    verify = env.get("DOCKER_TLS_VERIFY", "") != ""
    asked = verify or env.get("DOCKER_TLS", "").lower() not in FALSE_WORDS
    if not asked:
        return None
    found = _tls_files(env.get("DOCKER_CERT_PATH") or _config_dir(env), verify=verify)
    return found or TlsFiles(verify=verify)


def _tls_files(folder: str, *, verify: bool) -> TlsFiles | None:
    names = {part: os.path.join(folder, f"{part}.pem") for part in ("ca", "cert", "key")}
    there = {part: path for part, path in names.items() if os.path.exists(path)}
    return TlsFiles(verify=verify, **there) if there else None
