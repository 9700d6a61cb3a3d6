"""Living beside other firewalls: a drop in any table wins, whatever ours accepts.

What we accept carries a mark (`firewall.MARK`). Where Docker set the policy of FORWARD to DROP, one
rule in its chain for administrators, DOCKER-USER, lets the mark pass; nothing else of others is
ever changed. Other droppers are only named, with the command that helps (iptables(8), Docker's
"Packet filtering and firewalls").
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from runtime.network import nft_expressions as expr, nftables as nft
from runtime.network.fast_netlink import NetlinkError
from runtime.network.firewall import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE, _USER_CHAIN, _FORWARD = "filter", "DOCKER-USER", "FORWARD"
_POLICY_DROP = 0


def admit(socket: nft.NftSocket, owner: str) -> None:
    """Let our packets pass Docker's FORWARD chain if its policy is DROP.

    Args:
        socket: a netfilter socket.
        owner: our table's name, which marks the rule as ours.
    """
    for family in (nft.IPV4, nft.IPV6):
        chains = socket.chains(family, _TABLE)
        if chains.get(_FORWARD) != _POLICY_DROP or _USER_CHAIN not in chains:
            continue
        if any(_own_rules(socket, family, owner)):
            continue
        batch = nft.Batch(family, _TABLE)
        batch.add_rule(_USER_CHAIN, _accept_marked(), owner, first=True)
        socket.commit(batch)


def retract(socket: nft.NftSocket, owner: str) -> None:
    """Remove the rule that `admit` added."""
    for family in (nft.IPV4, nft.IPV6):
        batch = nft.Batch(family, _TABLE)
        for handle in _own_rules(socket, family, owner):
            batch.delete_rule(_USER_CHAIN, handle)
        socket.commit(batch)


def _own_rules(socket: nft.NftSocket, family: int, owner: str) -> Iterator[int]:
    try:
        rules = socket.rules(family, _TABLE, _USER_CHAIN)
    except NetlinkError:
        return
    for handle, _expressions, note in rules:
        if note == nft.comment(owner):
            yield handle


def _accept_marked() -> list[bytes]:
    """Return what iptables shows as ``-m mark --mark BIT/BIT -j ACCEPT``."""
    return [
        expr.meta(expr.META_MARK),
        expr.bitwise(MARK, 0),
        expr.compare(expr.EQUAL, struct.pack("=I", MARK)),
        expr.counter(),
        expr.verdict(expr.ACCEPT),
    ]


def obstacles(socket: nft.NftSocket) -> list[str]:
    """Return a sentence for each firewall that drops what we forward, with the remedy."""
    found = []
    chains = socket.chains(nft.IPV4, _TABLE)
    if chains.get(_FORWARD) == _POLICY_DROP and _USER_CHAIN not in chains:
        found.append(
            "table ip filter, chain FORWARD drops forwarded packets; let ours pass:"
            f" iptables -I FORWARD -m mark --mark {MARK:#x}/{MARK:#x} -j ACCEPT"
        )
    if (nft.INET, "firewalld") in socket.tables():
        found.append(
            "firewalld filters forwarded packets; put the bridges into a zone that lets them pass:"
            " firewall-cmd --zone=trusted --add-interface=shoal0"
        )
    if _legacy_filter_loaded():
        found.append(
            "iptables-legacy has a filter table; if it drops forwarded packets:"
            f" iptables-legacy -I FORWARD -m mark --mark {MARK:#x}/{MARK:#x} -j ACCEPT"
        )
    return found


def _legacy_filter_loaded() -> bool:
    try:
        with open("/proc/net/ip_tables_names", encoding="ascii") as file:
            return "filter" in file.read().split()
    except OSError:
        return False
