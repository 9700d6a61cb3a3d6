"""Log driver `syslog`: lines as messages of RFC 3164 and RFC 5424, over any of syslog's ways.

Formats are those of Docker: without an option the local form without a host name, RFC 3164 with it,
RFC 5424 with the tag as application name and message id; over TLS RFC 5424 is framed by its length
(RFC 5425), everything else ends with a newline.
"""

from __future__ import annotations

import _socket
import os
import time

from runtime.container.messages import STDERR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from runtime.container.logger_lines import Line

    class Connection(Protocol):
        """What is sent on: a socket or a TLS session."""

        def sendall(self, data: bytes) -> None: ...  # noqa: D102 - as of sockets
        def close(self) -> None: ...  # noqa: D102 - as of sockets


LOCAL_PATHS = ("/dev/log", "/var/run/syslog", "/var/run/log")
_ERROR, _INFORMATION = 3, 6
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


class Syslog:
    """Sends lines to a syslog server; see `log_order` for the order."""

    def __init__(self, order: Mapping[str, object]) -> None:
        self._order = order
        self._protocol = str(order["protocol"])
        self._tag = str(order["tag"]).encode()
        self._host = str(order["hostname"]).encode()
        self._format = str(order["format"])
        facility = order["facility"]
        self._facility = facility if isinstance(facility, int) else 0
        self._connection: Connection | None = None
        self._pid = os.getpid()

    def open(self) -> None:
        """Connect to the server.

        Raises:
            OSError: it cannot be reached; `strerror` says it in Docker's words.
        """
        self._connection = self._connect()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def write(self, line: Line) -> None:
        """Send a line; one that still fails on a new connection is lost, as with Docker."""
        stream, text, _time_ns, _part = line
        if not text:
            return
        message = self._message(_ERROR if stream == STDERR else _INFORMATION, text)
        for _attempt in range(2):
            try:
                if self._connection is None:
                    self._connection = self._connect()
                self._connection.sendall(message)
            except OSError:
                self.close()
            else:
                return

    # -- messages --------------------------------------------------------------------------------

    def _message(self, severity: int, text: bytes) -> bytes:
        priority = self._facility << 3 | severity
        if self._format.startswith("rfc5424"):
            when = _rfc3339(micro=self._format.endswith("micro"))
            head = b"<%d>1 %b %b %b %d %b - " % (
                *(priority, when, self._host, self._tag, self._pid, self._tag),
            )
            message = head + text + b"\n"
            framed = self._protocol == "tcp+tls"
            return b"%d %b" % (len(message), message) if framed else message
        host = self._host + b" " if self._format == "rfc3164" else b""
        head = b"<%d>%b %b%b[%d]: " % (priority, _stamp(), host, self._tag, self._pid)
        return head + text + b"\n"

    # -- connections -----------------------------------------------------------------------------

    def _connect(self) -> Connection:
        host, port = str(self._order["host"]), self._order["port"]
        number = port if isinstance(port, int) else 0
        if not self._protocol:
            return _connect_locally()
        if self._protocol in ("unix", "unixgram"):
            kind = _socket.SOCK_STREAM if self._protocol == "unix" else _socket.SOCK_DGRAM
            return _Plain(_connect_unix(host, kind, self._protocol))
        if self._protocol == "udp":
            return _Plain(_connect_internet(host, number, _socket.SOCK_DGRAM))
        if self._protocol == "tcp":
            return _Plain(_connect_internet(host, number, _socket.SOCK_STREAM))
        from runtime.container.logger_tls import connect_tls  # noqa: PLC0415 - heavy, and rare

        return connect_tls(_connect_internet, (host, number), self._order)


class _Plain:
    """A socket: a datagram is one message, a stream takes it whole."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock

    def sendall(self, data: bytes) -> None:
        self._sock.sendall(data)

    def close(self) -> None:
        self._sock.close()


def _connect_locally() -> Connection:
    for kind, name in ((_socket.SOCK_DGRAM, "unixgram"), (_socket.SOCK_STREAM, "unix")):
        for path in LOCAL_PATHS:
            try:
                return _Plain(_connect_unix(path, kind, name))
            except OSError:
                continue
    raise OSError(0, "Unix syslog delivery error")


def _connect_unix(path: str, kind: int, name: str) -> _socket.socket:
    sock = _socket.socket(_socket.AF_UNIX, kind | _socket.SOCK_CLOEXEC)
    try:
        sock.connect(path)
    except OSError as error:
        sock.close()
        raise _dial_error(f"{name} {path}", error) from None
    return sock


def _connect_internet(host: str, port: int, kind: int) -> _socket.socket:
    network = "udp" if kind == _socket.SOCK_DGRAM else "tcp"
    try:
        found = _socket.getaddrinfo(host or "localhost", port, 0, kind)
    except _socket.gaierror:
        raise OSError(0, f"dial {network}: lookup {host}: no such host") from None
    failure = OSError(0, f"dial {network}: lookup {host}: no such host")
    for family, _kind, _protocol, _name, address in found:
        sock = _socket.socket(family, kind | _socket.SOCK_CLOEXEC)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            name = f"[{address[0]}]" if family == _socket.AF_INET6 else str(address[0])
            failure = _dial_error(f"{network} {name}:{port}", error)
        else:
            return sock
    raise failure


def _dial_error(where: str, error: OSError) -> OSError:
    reason = os.strerror(error.errno or 0)
    return OSError(error.errno, f"dial {where}: connect: {reason[:1].lower()}{reason[1:]}")


def _stamp() -> bytes:
    now = time.localtime()
    month = _MONTHS[now.tm_mon - 1]
    return b"%b %2d %02d:%02d:%02d" % (month, now.tm_mday, now.tm_hour, now.tm_min, now.tm_sec)


def _rfc3339(*, micro: bool) -> bytes:
    seconds, fraction = divmod(time.time_ns(), 1_000_000_000)
    now = time.localtime(seconds)
    date = b"%04d-%02d-%02dT%02d:%02d:%02d" % now[:6]
    if micro:
        date += b".%06d" % (fraction // 1000)
    offset = (now.tm_gmtoff or 0) // 60
    if not offset:
        return date + b"Z"
    sign = b"-" if offset < 0 else b"+"
    return date + b"%b%02d:%02d" % (sign, *divmod(abs(offset), 60))
