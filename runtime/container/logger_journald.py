"""Log driver `journald`: lines as entries of the system's journal, by its native protocol.

One datagram an entry: `NAME=value` and a newline for each field, or the name, a newline, the length
in 64 bits and the bytes where a value holds newlines. What does not fit into a datagram travels as
sealed memory (systemd, "Native Journal Protocol").
"""

from __future__ import annotations

import _socket
import array
import errno
import os

from runtime.container.messages import STDERR
from runtime.container.shim_log import format_time
from runtime.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.container.logger_lines import Line

SOCKET = "/run/systemd/journal/socket"
"""Where the journal listens."""
MISSING = "journald is not enabled on this host"
_ERROR, _INFORMATION = 3, 6


class Journal:
    """Sends lines to the journal; see `log_order` for the order."""

    def __init__(self, order: Mapping[str, object]) -> None:
        fields = order["fields"]
        self._path = str(order.get("socket") or SOCKET)
        self._fields = dict(fields) if isinstance(fields, dict) else {}
        self._fields["CONTAINER_LOG_EPOCH"] = os.urandom(32).hex()
        self._constant = b"".join(
            encode_field(name, str(value).encode("utf-8", "surrogateescape"))
            for name, value in self._fields.items()
        )
        self._number = 0
        self._sock: _socket.socket | None = None

    def open(self) -> None:
        """Find the journal.

        Raises:
            OSError: there is none.
        """
        if not os.path.exists(self._path):
            raise OSError(0, MISSING)
        self._sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)

    def close(self) -> None:
        """Let go of the journal."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def write(self, line: Line) -> None:
        """Send a line; it is lost when the journal is not there."""
        entry = self.entry(line)
        try:
            if self._sock is None:
                self.open()
            self._send(entry)
        except OSError:
            return

    def entry(self, line: Line) -> bytes:
        """Return a line as an entry."""
        stream, text, time_ns, part = line
        self._number += 1
        priority = _ERROR if stream == STDERR else _INFORMATION
        fields = [
            encode_field("PRIORITY", b"%d" % priority),
            encode_field("MESSAGE", text),
            self._constant,
            encode_field("SYSLOG_TIMESTAMP", short_time(time_ns)),
            encode_field("CONTAINER_LOG_ORDINAL", b"%d" % self._number),
        ]
        if part is not None:
            identifier, number, last = part
            fields += [
                encode_field("CONTAINER_PARTIAL_ID", identifier.encode()),
                encode_field("CONTAINER_PARTIAL_ORDINAL", b"%d" % number),
                encode_field("CONTAINER_PARTIAL_LAST", b"true" if last else b"false"),
            ]
            if not last:
                fields.append(encode_field("CONTAINER_PARTIAL_MESSAGE", b"true"))
        return b"".join(fields)

    def _send(self, entry: bytes) -> None:
        if self._sock is None:
            return
        try:
            self._sock.sendto(entry, self._path)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_memory(entry)

    def _send_memory(self, entry: bytes) -> None:
        """Hand over an entry that is too long for a datagram."""
        memory = process.sealed_memory("journal-entry", entry)
        try:
            rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [memory]))
            if self._sock is not None:
                self._sock.sendmsg([], [rights], 0, self._path)
        finally:
            os.close(memory)


def encode_field(name: str, value: bytes) -> bytes:
    """Return a field in the journal's native form."""
    if b"\n" not in value:
        return b"%b=%b\n" % (name.encode(), value)
    return b"%b\n%b%b\n" % (name.encode(), len(value).to_bytes(8, "little"), value)


def short_time(time_ns: int) -> bytes:
    """Return a time as RFC 3339 in UTC, without zeros at the end of its fraction."""
    date, _dot, fraction = format_time(time_ns).rstrip(b"Z").partition(b".")
    fraction = fraction.rstrip(b"0")
    return date + (b"." + fraction if fraction else b"") + b"Z"
