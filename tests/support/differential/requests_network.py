"""Cases about networks."""

from __future__ import annotations

from tests.support.differential.case import host

CASES = (
    host("network-none", NetworkMode="none"),
    host("network-host", NetworkMode="host"),
    host("network-default", NetworkMode="default"),
    host("dns", Dns=["9.9.9.9"], DnsSearch=["example.org"], DnsOptions=["ndots:3"]),
    host("extra-hosts", ExtraHosts=["other:10.9.8.7", "six:::1", "up:host-gateway"]),
)
