"""Where an engine listens: Docker's host URLs (``unix://``, ``tcp://``, ``http://``, ``https://``)."""

from __future__ import annotations

from compose.errors import ShoalError
from compose.model.record import record

PLAIN_PORT = 2375
TLS_PORT = 2376


@record
class TlsFiles:
    """Certificates of a mutual TLS connection; an empty name means that there is none."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True


@record
class Address:
    """One place where an engine listens: a socket path, or a host and a port."""

    url: str
    path: str = ""
    host: str = ""
    port: int = 0
    tls: TlsFiles | None = None

    @property
    def local(self) -> bool:
        """Whether the engine shares this machine's files (bind mounts mean what they say)."""
        return bool(self.path)

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header."""
        if self.path:
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(url: str, tls: TlsFiles | None = None) -> Address:
    """Read a host URL as ``DOCKER_HOST`` and ``--host`` take it.

    Args:
        url: ``unix:///path``, ``tcp://host[:port]``, ``http(s)://host[:port]``, ``host:port`` or
            an absolute path.
        tls: certificates to use when the address is not a socket.
    """
    if url.startswith("/"):
        return Address(url=f"unix://{url}", path=url)
    scheme, found, rest = url.partition("://")
    if not found:
        scheme, rest = "tcp", url
    if scheme == "unix":
        if not rest.startswith("/"):
            raise ShoalError(f'host "{url}": the path of the socket must be absolute')
        return Address(url=url, path=rest)
    if scheme in {"tcp", "http", "https"}:
        secure = tls or (TlsFiles() if scheme == "https" else None)
        return _network_address(url, rest.split("/", 1)[0], secure)
    if scheme == "ssh":
        raise ShoalError(
            f'host "{url}": ssh is not supported',
            hint="forward the socket: ssh -L /tmp/engine.sock:/var/run/docker.sock HOST,"
            " then --host unix:///tmp/engine.sock",
        )
    raise ShoalError(f'host "{url}": unknown scheme "{scheme}"', hint="use unix:// or tcp://")


def _network_address(url: str, place: str, tls: TlsFiles | None) -> Address:
    host, colon, port = place.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = place, ""
    if port and not port.isdigit():
        raise ShoalError(f'host "{url}": the port must be a number')
    default = TLS_PORT if tls else PLAIN_PORT
    return Address(
        url=url,
        host=host.strip("[]") or "127.0.0.1",
        port=int(port) if port else default,
        tls=tls,
    )
