"""The DNS wire format, by dnspython: reading questions, writing answers.

Source: RFC 1035, RFC 2782 (SRV), RFC 6891 (EDNS). The only module that imports dnspython, which
takes 60 ms: `runtime.network.dns` loads it in a thread when the first question arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Sequence

TTL = 600
NOERROR, SERVFAIL, NXDOMAIN = dns.rcode.NOERROR, dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN


class Question(NamedTuple):
    """A question that was read: name without the final dot, type as text, and the whole message."""

    name: str
    type: str
    message: dns.message.QueryMessage


class Record(NamedTuple):
    """An answer record as text."""

    name: str
    type: str
    value: str


def parse(data: bytes) -> Question | None:
    """Read a question; None for what is not one of the Internet class."""
    try:
        message = dns.message.from_wire(data)
    except (dns.exception.DNSException, ValueError):
        return None
    if not isinstance(message, dns.message.QueryMessage) or message.flags & dns.flags.QR:
        return None
    if len(message.question) != 1 or message.question[0].rdclass != dns.rdataclass.IN:
        return None
    asked = message.question[0]
    name = asked.name.to_text(omit_final_dot=True)
    return Question(name, dns.rdatatype.to_text(asked.rdtype), message)


def reply(
    question: Question,
    records: Sequence[Record],
    additional: Sequence[Record] = (),
    code: dns.rcode.Rcode = NOERROR,
    *,
    limit: int = 65535,
) -> bytes:
    """Write an answer, cut and marked as cut when it is longer than the limit."""
    answer = dns.message.make_response(question.message, recursion_available=True)
    answer.set_rcode(code)
    # Clients that check compare the name byte for byte: it is given back in the asker's spelling.
    name = question.message.question[0].name
    for record in records:
        answer.answer.append(dns.rrset.from_text(name, TTL, "IN", record.type, record.value))
    for record in additional:
        owner = record.name if record.name.endswith(".") else record.name + "."
        answer.additional.append(dns.rrset.from_text(owner, TTL, "IN", record.type, record.value))
    try:
        return answer.to_wire(max_size=limit)
    except dns.exception.TooBig:
        short = dns.message.make_response(question.message, recursion_available=True)
        short.flags |= dns.flags.TC
        return short.to_wire()


def domain(name: str) -> str:
    """Return a name of a container or network as an absolute domain name, escaped.

    Raises:
        ValueError: it cannot be one.
    """
    try:
        return dns.name.from_text(name).to_text()
    except dns.exception.DNSException as error:
        raise ValueError(name) from error


def size_limit(question: Question) -> int:
    """Return how long an answer by UDP may be."""
    return max(512, question.message.payload) if question.message.edns >= 0 else 512
