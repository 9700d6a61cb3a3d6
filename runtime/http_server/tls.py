"""TLS below a connection, with half-close.

asyncio's own TLS closes a connection when the client ends its sending side (``close_notify``, RFC
8446 section 6.1). Docker's clients do that at the end of standard input, or at once when there is
none, and then read the output; so the layer here passes on the end of input and goes on sending.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HANDSHAKE_SECONDS = 60.0
_READ_BYTES = 256 << 10
_PLAIN_ANSWER = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class TlsLayer(asyncio.Protocol):
    """Speaks TLS on a transport, and plain bytes with the protocol above."""

    def __init__(self, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol]) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._context = context
        self._make = make
        self._inner: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client's handshake."""
        self.transport = transport  # type: ignore[assignment] # a stream's transport
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HANDSHAKE_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol above."""
        self._stop_timer()
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Decrypt what came."""
        self._incoming.write(data)
        try:
            if self._inner is None and not self._shake_hands():
                return
            self._read()
        except ssl.SSLError as error:
            if error.reason == "HTTP_REQUEST":
                self.transport.write(_PLAIN_ANSWER)
            self.flush()
            self.transport.close()

    def eof_received(self) -> bool:
        """Take the end of the stream as the end of input, with or without ``close_notify``."""
        if self._inner is None:
            return False
        return self._end()

    def pause_writing(self) -> None:
        """Tell the protocol above."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Tell the protocol above."""
        if self._inner is not None:
            self._inner.resume_writing()

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
            return False
        self.flush()
        self._stop_timer()
        self._inner = self._make()
        self._inner.connection_made(TlsTransport(self, self._context))
        return True

    def _read(self) -> None:
        while not self._ended and self._inner is not None:
            try:
                data = self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            if data:
                self._inner.data_received(data)
            elif not self._end():
                self.transport.close()
        self.flush()

    def _end(self) -> bool:
        if self._ended or self._inner is None:
            return True
        self._ended = True
        return bool(self._inner.eof_received())

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def replace(self, inner: asyncio.Protocol) -> None:
        """Put another protocol above."""
        self._inner = inner

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        self._tls.write(data)
        self.flush()

    def finish(self) -> None:
        """Send ``close_notify``; reading goes on."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self.flush()

    def flush(self) -> None:
        """Send what TLS has to say."""
        data = self._outgoing.read()
        if data and not self.transport.is_closing():
            self.transport.write(data)


class TlsTransport(asyncio.Transport):
    """What the protocol above writes to."""

    def __init__(self, layer: TlsLayer, context: ssl.SSLContext) -> None:
        super().__init__({"sslcontext": context})
        self._layer = layer
        self._finished = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if data and not self._finished and not self.is_closing():
            self._layer.write(bytes(data))

    def can_write_eof(self) -> bool:
        """Tell that the sending half can be closed alone."""
        return True

    def write_eof(self) -> None:
        """Close the sending half."""
        if not self._finished and not self.is_closing():
            self._finished = True
            self._layer.finish()

    def close(self) -> None:
        """Close after what was written."""
        self.write_eof()
        self._layer.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._layer.transport.abort()

    def is_closing(self) -> bool:
        """Tell whether the connection is closing or closed."""
        return self._layer.transport.is_closing()

    def pause_reading(self) -> None:
        """Stop reading."""
        self._layer.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._layer.transport.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol above is told to pause."""
        self._layer.transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that wait."""
        return self._layer.transport.get_write_buffer_size()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Put another protocol above."""
        self._layer.replace(protocol)  # type: ignore[arg-type] # a stream's protocol
