"""The short form ``[HOST_IP:][PUBLISHED:]TARGET[/PROTOCOL]`` of ports, with ranges.

Rules: Compose specification, "ports", short syntax; Docker's ``nat.ParsePortSpec`` for ranges.
"""

from __future__ import annotations

from compose.model.record import record

PROTOCOLS = ("tcp", "udp", "sctp")


@record
class PortText:
    """One container port of a short form; ``published`` may be a range to choose from."""

    target: int
    protocol: str
    host_ip: str = ""
    published: str = ""


def split_port(text: str) -> list[PortText]:
    """Take a short port apart; a range gives one entry for each port.

    Raises:
        ValueError: says which part is wrong.
    """
    body, slash, protocol = text.partition("/")
    protocol = protocol.lower() or "tcp"
    if slash and protocol not in PROTOCOLS:
        raise ValueError(f"invalid protocol {protocol!r} in port {text!r}")
    rest, _, target = body.rpartition(":")
    host_ip, _, published = rest.rpartition(":")
    if not target:
        raise ValueError(f"no container port in {text!r}")
    first, last = _range(target, "container port", text)
    address = check_address(host_ip, text)
    if not published:
        entries = [(port, "") for port in range(first, last + 1)]
    else:
        entries = _publish(first, last, published, text)
    ports = [
        PortText(target=port, protocol=protocol, host_ip=address, published=host)
        for port, host in entries
    ]
    return sorted(ports, key=lambda port: str(port.target))


def check_address(host_ip: str, text: str) -> str:
    """Return an IP address without brackets.

    Raises:
        ValueError: it is none.
    """
    address = host_ip.removeprefix("[").removesuffix("]")
    if address:
        import ipaddress  # noqa: PLC0415 - 4 ms at start-up, and few ports name an address

        try:
            ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            raise ValueError(f"invalid IP address {address!r} in port {text!r}") from None
    return address


def _publish(first: int, last: int, published: str, text: str) -> list[tuple[int, str]]:
    """Pair container ports with host ports; one container port may choose from a range."""
    low, high = _range(published, "host port", text)
    if first == last:
        return [(first, published if low != high else str(low))]
    if high - low != last - first:
        raise ValueError(
            f"ranges of different length in port {text!r}:"
            f" {last - first + 1} container ports, {high - low + 1} host ports"
        )
    return [(first + offset, str(low + offset)) for offset in range(last - first + 1)]


def _range(text: str, what: str, whole: str) -> tuple[int, int]:
    """Read ``80`` or ``80-82``."""
    low, dash, high = text.partition("-")
    try:
        first, last = _number(low), _number(high) if dash else _number(low)
    except ValueError:
        raise ValueError(f"invalid {what} {text!r} in port {whole!r}") from None
    if last < first:
        raise ValueError(f"invalid {what} {text!r} in port {whole!r}: the range runs backwards")
    return first, last


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise ValueError(text)
    return int(text)
