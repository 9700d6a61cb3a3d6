"""What containers take over from the host's /etc: its resolver and its hosts file."""

from __future__ import annotations

import os

from runtime.network.sandbox_files import HostResolver

RESOLV_CONF = "/etc/resolv.conf"
SYSTEMD_RESOLV_CONF = "/run/systemd/resolve/resolv.conf"
HOSTS = "/etc/hosts"
_STUB = "127.0.0.53"


class HostFiles:
    """Reads the host's files again only when they changed."""

    def __init__(self, dns: tuple[str, ...] = ()) -> None:
        self._dns = dns
        self._resolver: HostResolver | None = None
        self._stamp: tuple[int, int] | None = None

    def resolver(self) -> HostResolver:
        """Return the host's resolver, or the engine's own setting of servers."""
        stamp = _stamp(RESOLV_CONF)
        if self._resolver is None or stamp != self._stamp:
            self._stamp = stamp
            self._resolver = _read_resolver()
            if self._dns:
                self._resolver.servers = list(self._dns)
        return self._resolver

    def hosts(self) -> bytes:
        """Return the host's /etc/hosts, for containers in its namespace."""
        try:
            with open(HOSTS, "rb") as file:
                return file.read()
        except OSError:
            return b"127.0.0.1\tlocalhost\n"


def _read_resolver() -> HostResolver:
    resolver = HostResolver.parse(_read(RESOLV_CONF))
    if resolver.servers == [_STUB]:
        # systemd's stub listens on the host's loopback; behind it is the list of real servers.
        real = HostResolver.parse(_read(SYSTEMD_RESOLV_CONF), SYSTEMD_RESOLV_CONF)
        if real.servers:
            return real
    return resolver


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
