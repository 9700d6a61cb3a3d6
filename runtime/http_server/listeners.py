"""Sockets to accept clients on: ``unix://``, ``tcp://``, and TCP with mutual TLS (``dockerd -H``).

A unix socket is made under another name and renamed into place once its owner and mode are right,
so that nobody meets it half-made; a socket that still answers is never replaced.
"""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import ssl

from runtime.errors import Conflict, InvalidArgument
from runtime.record import record

SOCKET_MODE = 0o660
PLAIN_PORT = 2375
TLS_PORT = 2376


@record
class TlsFiles:
    """Paths of PEM files; clients must show a certificate that ``authority`` has signed."""

    authority: str
    certificate: str
    key: str


def open_listener(url: str, group: str | None = None, *, encrypted: bool = False) -> socket.socket:
    """Bind a socket for a URL; it does not accept yet.

    Args:
        url: ``unix:///path``, ``tcp://host:port`` or ``tcp://[host]:port``.
        group: name or number of the group that may use a unix socket.
        encrypted: the listener will speak TLS; decides the port when the URL has none.

    Raises:
        InvalidArgument: the URL or the group is not usable.
        Conflict: something else listens there.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"unix", "tcp"} or (scheme == "unix" and not rest):
        raise InvalidArgument(f"host {url!r}: must be unix:///path or tcp://address:port")
    if scheme == "unix":
        return _open_unix(rest, group)
    return _open_tcp(url, rest.rstrip("/"), TLS_PORT if encrypted else PLAIN_PORT)


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a listener that demands certificates of its clients.

    Raises:
        InvalidArgument: a file is missing or not valid.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.authority)
    except OSError as error:
        paths = f"{files.authority}, {files.certificate}, {files.key}"
        raise InvalidArgument(f"TLS files {paths}: {error}") from error
    return context


def _open_unix(path: str, group: str | None) -> socket.socket:
    number = -1 if group is None else _group_number(group)
    if _answers(path):
        raise Conflict(f"{path}: an engine already listens there")
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    making = f"{path}.{os.getpid()}"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(making)
        sock.bind(making)
        try:
            os.chmod(making, SOCKET_MODE)
            os.chown(making, -1, number)
            os.rename(making, path)
        except OSError:
            os.unlink(making)
            raise
    except OSError as error:
        sock.close()
        raise InvalidArgument(f"host unix://{path}: {error.strerror or error}") from error
    sock.setblocking(False)
    return sock


def _group_number(group: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise InvalidArgument(f"group {group!r}: no such group") from error


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _open_tcp(url: str, address: str, default_port: int) -> socket.socket:
    host, _, port = (
        address.rpartition(":") if ":" in address.rpartition("]")[2] else (address, "", "")
    )
    host = host.strip("[]")
    if port and not (port.isdecimal() and int(port) < 65536):
        raise InvalidArgument(f"host {url!r}: bad port {port!r}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it: a client that vanished must not keep its stream for ever.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.bind((host, int(port or default_port)))
    except OSError as error:
        sock.close()
        raise InvalidArgument(f"host {url!r}: {error.strerror or error}") from error
    sock.setblocking(False)
    return sock
