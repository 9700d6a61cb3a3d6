"""Users and groups of containers as the host numbers them (man page user_namespaces(7))."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Sequence

OVERFLOW = 65534
"""What the kernel shows inside for an id that is not mapped (``/proc/sys/kernel/overflowuid``)."""


class Range(NamedTuple):
    """Ids that follow each other: the first one inside, the first one on the host, how many."""

    inside: int
    outside: int
    size: int


@record
class IdMap:
    """The user namespace of containers: which ids they have, and which these are on the host."""

    uids: Sequence[Range]
    gids: Sequence[Range]

    @property
    def root(self) -> tuple[int, int]:
        """User and group on the host of a container's root."""
        return self.to_host(0, 0)

    def to_host(self, uid: int, gid: int) -> tuple[int, int]:
        """Return an owner as the host numbers it.

        Raises:
            ValueError: containers have no such id; the text is Docker's.
        """
        return _to_host(self.uids, uid), _to_host(self.gids, gid)

    def to_container(self, uid: int, gid: int) -> tuple[int, int]:
        """Return an owner as containers see it, the overflow id for one that they do not have."""
        return _to_container(self.uids, uid), _to_container(self.gids, gid)


def _to_host(ranges: Sequence[Range], number: int) -> int:
    for inside, outside, size in ranges:
        if inside <= number < inside + size:
            return outside + number - inside
    raise ValueError(f"container ID {number} cannot be mapped to a host ID")


def _to_container(ranges: Sequence[Range], number: int) -> int:
    for inside, outside, size in ranges:
        if outside <= number < outside + size:
            return inside + number - outside
    return OVERFLOW
