"""TLS for `syslog`: a connection to a server whose certificate is checked, in Docker's words."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Mapping

_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
_EXPIRED = (9, 10)
_FAREWELL_SECONDS = 5.0


class TlsConnection:
    """A TLS session that is only written to."""

    def __init__(self, session: ssl.SSLSocket) -> None:
        self._session = session

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        self._session.sendall(data)

    def close(self) -> None:
        """End the session, and read what the server still says.

        A socket that is closed with something unread in it (session tickets come late) is reset,
        and the server loses what it has not read itself.
        """
        self._session.settimeout(_FAREWELL_SECONDS)
        try:
            self._session.unwrap().close()
        except (OSError, ValueError):
            self._session.close()


def connect_tls(
    connect: Callable[[str, int, int], _socket.socket],
    address: tuple[str, int],
    order: Mapping[str, object],
) -> TlsConnection:
    """Return a TLS session with a server.

    Args:
        connect: makes the connection below it.
        address: host and port.
        order: `ca`, `certificate` and `key` (paths, "" for none), `verify`.

    Raises:
        OSError: a file cannot be read, or the server is not to be trusted.
    """
    context = _context(order)
    host = address[0] or "localhost"
    plain = connect(*address, socket.SOCK_STREAM)
    sock = socket.socket(fileno=plain.detach())
    try:
        return TlsConnection(context.wrap_socket(sock, server_hostname=host))
    except ssl.SSLCertVerificationError as error:
        sock.close()
        reason = _reason(error)
        raise OSError(0, f"tls: failed to verify certificate: x509: {reason}") from None
    except OSError as error:
        sock.close()
        raise OSError(0, f"tls: {error}") from None


def _context(order: Mapping[str, object]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    authority, certificate = str(order["ca"]), str(order["certificate"])
    if authority:
        try:
            context.load_verify_locations(authority)
        except FileNotFoundError:
            text = f"open {authority}: no such file or directory"
            raise OSError(0, f'could not read CA certificate "{authority}": {text}') from None
        except OSError as error:
            raise OSError(0, f"failed to append certificates from PEM file: {error}") from None
    else:
        context.load_default_certs()
    if certificate or order["key"]:
        _load_key_pair(context, certificate, str(order["key"]))
    if not order["verify"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_key_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    for path in (certificate, key):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            reason = str(error.strerror).lower()
            raise OSError(0, f"Could not load X509 key pair: open {path}: {reason}") from None
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise OSError(0, f"Could not load X509 key pair: {error}") from None


def _reason(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return "certificate signed by unknown authority"
    if error.verify_code in _EXPIRED:
        return "certificate has expired or is not yet valid"
    return error.verify_message
