"""Answers to questions about containers; what is left goes to other name servers.

Rules (Docker's resolver): a known name without an address of the asked family, or of another type,
is answered empty; PTR and SRV of containers are known; an unknown single label is not forwarded
when the user set ``ndots``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from runtime.network import dns_wire as wire
from runtime.network.dns_wire import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.network.dns_zone import Answer, Asker, Zone


class Outcome(NamedTuple):
    """A reply (None: say nothing), or, when `failure` is given, a question to forward.

    `failure` writes the reply for the case that nobody answers.
    """

    reply: bytes | None
    failure: Callable[[], bytes] | None = None


class Responder(Protocol):
    """The type of `respond`."""

    def __call__(self, zone: Zone, asker: Asker, ndots: int, data: bytes, *, tcp: bool) -> Outcome:
        """See `respond`."""


def respond(zone: Zone, asker: Asker, ndots: int, data: bytes, *, tcp: bool) -> Outcome:
    """Answer one message.

    Args:
        zone: the names of containers.
        asker: who asks.
        ndots: the value that the user set for the container, else 0.
        data: the message.
        tcp: whether it came by TCP, where answers may be long.
    """
    question = wire.parse(data)
    if question is None:
        return Outcome(None)
    limit = 65535 if tcp else wire.size_limit(question)
    if question.type == "PTR":
        name = zone.reverse(asker, question.name)
        if name is not None:
            return Outcome(wire.reply(question, _pointer(question.name, name), limit=limit))
    elif question.type == "SRV":
        service = zone.service(asker, question.name)
        if service is not None:
            return Outcome(_service(zone, asker, question, service, limit))
    else:
        answer = zone.resolve(asker, question.name)
        if answer is not None:
            records = _addresses(question.name, question.type, answer)
            return Outcome(wire.reply(question, records, limit=limit))
        if ndots > 0 and question.type in {"A", "AAAA"} and "." not in question.name:
            return Outcome(wire.reply(question, (), code=wire.NXDOMAIN))
    return Outcome(None, lambda: wire.reply(question, (), code=wire.SERVFAIL))


def _pointer(address: str, name: str) -> Sequence[Record]:
    try:
        return [Record(address, "PTR", wire.domain(name))]
    except ValueError:
        return []


def _addresses(name: str, kind: str, answer: Answer) -> Sequence[Record]:
    addresses = {"A": answer.ipv4, "AAAA": answer.ipv6}.get(kind, [])
    return [Record(name, kind, address) for address in addresses]


def _service(
    zone: Zone, asker: Asker, question: wire.Question, service: tuple[int, str], limit: int
) -> bytes:
    port, name = service
    answer = zone.resolve(asker, name)
    additional = _addresses(name, "A", answer) if answer is not None else ()
    record = Record(question.name, "SRV", f"0 0 {port} {wire.domain(name)}")
    return wire.reply(question, [record], additional, limit=limit)
