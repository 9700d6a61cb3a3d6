"""What may talk to what, and living beside other firewalls, with real packets."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidArgument
from runtime.network import firewall, nft_expressions as expr, nftables as nft
from runtime.network.allocation import SandboxRequest
from runtime.network.bridge import read_sysctl, write_sysctl
from tests.support.eventually import eventually
from tests.support.network_lab import (
    HOST_SIDE,
    OUTSIDE,
    EchoServer,
    Lab,
    ask,
    ask_udp,
    disable_bridge_filtering,
    is_dropped,
    running_lab,
    within,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.root

SHORT = 1.0


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path) as lab:
        yield lab


async def network(lab: Lab, name: str, **options: object) -> None:
    await lab.controller.create({"Name": name, **options})


async def test_a_container_goes_out_with_the_hosts_address(lab: Lab) -> None:
    lab.host.add_outside()
    await network(lab, "app")
    box = await lab.start("one", "app")
    with EchoServer(lab.host.outside, 80), EchoServer(lab.host.outside, 81, udp=True):
        assert box.within(lambda: ask(OUTSIDE, 80)) == HOST_SIDE
        assert box.within(lambda: ask_udp(OUTSIDE, 81)) == HOST_SIDE


async def test_ipv6_goes_out_with_the_hosts_address(lab: Lab) -> None:
    lab.host.add_outside()
    await network(lab, "six", EnableIPv6=True)
    box = await lab.start("one", "six")
    with EchoServer(lab.host.outside, 80, family=10):
        assert box.within(lambda: ask("fd00:250::2", 80)) == "fd00:250::1"


async def test_masquerade_can_be_switched_off(lab: Lab) -> None:
    lab.host.add_outside()
    option = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    await network(lab, "plain", Options=option)
    box = await lab.start("one", "plain")
    with EchoServer(lab.host.outside, 80):
        assert box.within(lambda: ask(OUTSIDE, 80)) == lab.address(box, "plain")


async def test_networks_are_isolated_from_each_other(lab: Lab) -> None:
    for name in ("one", "two"):
        await network(lab, name)
    server, client = await lab.start("server", "one"), await lab.start("client", "two")
    address = lab.address(server, "one")
    with EchoServer(server.netns, 80):
        assert client.within(lambda: is_dropped(lambda: ask(address, 80, SHORT)))
        assert ask(address, 80) == "10.201.1.1", "the host itself reaches it"


async def test_a_container_on_both_networks_reaches_both(lab: Lab) -> None:
    for name in ("one", "two"):
        await network(lab, name)
    first, second = await lab.start("first", "one"), await lab.start("second", "two")
    both = await lab.start("both", "one", endpoints={"one": {}, "two": {}})
    with EchoServer(first.netns, 80), EchoServer(second.netns, 80):
        assert both.within(lambda: ask(lab.address(first, "one"), 80)) == lab.address(both, "one")
        assert both.within(lambda: ask(lab.address(second, "two"), 80)) == lab.address(both, "two")


async def test_an_internal_network_reaches_only_itself(lab: Lab) -> None:
    lab.host.add_outside()
    await network(lab, "inner", Internal=True)
    await network(lab, "app")
    one, two = await lab.start("one", "inner"), await lab.start("two", "inner")
    other = await lab.start("other", "app", port_bindings={"80/tcp": [{"HostPort": "8080"}]})
    address = lab.address(two, "inner")
    with EchoServer(two.netns, 80), EchoServer(lab.host.outside, 80), EchoServer(other.netns, 80):
        assert one.within(lambda: ask(address, 80)) == lab.address(one, "inner")
        for target, port in ((OUTSIDE, 80), (lab.address(other, "app"), 80), (HOST_SIDE, 8080)):
            blocked = partial(is_dropped, partial(ask, target, port, SHORT))
            assert one.within(blocked)
        assert other.within(lambda: is_dropped(lambda: ask(address, 80, SHORT)))


@pytest.mark.parametrize("filtered", ["1", "0"])
async def test_without_icc_siblings_use_published_ports_only(lab: Lab, filtered: str) -> None:
    if not read_sysctl("net/bridge/bridge-nf-call-iptables"):
        pytest.skip("the kernel module br_netfilter is not loaded")
    disable_bridge_filtering()
    write_sysctl("net/bridge/bridge-nf-call-iptables", filtered)
    await network(lab, "shy", Options={"com.docker.network.bridge.enable_icc": "false"})
    server = await lab.start("server", "shy", port_bindings={"80/tcp": [{"HostPort": "8080"}]})
    client = await lab.start("client", "shy")
    with EchoServer(server.netns, 80):
        address = lab.address(server, "shy")
        assert client.within(lambda: is_dropped(lambda: ask(address, 80, SHORT)))
        assert client.within(lambda: ask("10.201.1.1", 8080)) == "10.201.1.1"


async def test_neighbours_reach_no_container_address_and_no_loopback(lab: Lab) -> None:
    lab.host.add_outside()
    await network(lab, "app")
    box = await lab.start("web", "app")
    address = lab.address(box, "app")
    with EchoServer(box.netns, 80), EchoServer(lab.host.netns, 81):
        blocked = lambda: is_dropped(lambda: ask(address, 80, SHORT))  # noqa: E731
        assert await asyncio.to_thread(within, lab.host.outside, blocked)
        write_sysctl("net/ipv4/conf/lan0/route_localnet", "1")

        def by_forged_route() -> bool:
            write_sysctl("net/ipv4/conf/all/route_localnet", "1")
            write_sysctl("net/ipv4/conf/eth0/route_localnet", "1")
            with socket.socket() as asking:
                asking.settimeout(SHORT)
                asking.setsockopt(socket.SOL_SOCKET, 25, b"eth0\0")
                return is_dropped(lambda: asking.connect(("127.0.0.1", 81)))

        assert await asyncio.to_thread(within, lab.host.outside, by_forged_route)


def tables() -> list[tuple[int, str]]:
    with nft.NftSocket() as filters:
        return filters.tables()


def elements(lab: Lab, name: str) -> list[tuple[bytes, bytes]]:
    with nft.NftSocket() as filters:
        return filters.elements(nft.INET, lab.config.table, name)


async def test_the_filter_holds_exactly_what_the_records_say(lab: Lab) -> None:
    await network(lab, "app")
    await lab.start("web", "app", port_bindings={"80/tcp": [{"HostPort": "8080"}]})
    assert len(elements(lab, "bridges")) == 2
    assert len(elements(lab, "any4")) == 1
    await lab.stop("web")
    await lab.controller.remove("app")
    assert elements(lab, "bridges") == [(firewall.interface(lab.config.default_bridge), b"")]
    for name in ("any4", "any6", "pub4", "pub6"):
        assert elements(lab, name) == []


async def test_the_administrators_chain_survives_a_rebuild(lab: Lab) -> None:
    batch = nft.Batch(nft.INET, lab.config.table)
    batch.add_rule("user", [expr.counter(), expr.verdict(expr.RETURN)], "mine")
    with nft.NftSocket() as filters:
        filters.commit(batch)
        await lab.controller.rebuild()
        notes = [note for _, _, note in filters.rules(nft.INET, lab.config.table, "user")]
    assert notes == [nft.comment("mine")]


async def test_a_flushed_filter_comes_back(lab: Lab) -> None:
    await network(lab, "app")
    box = await lab.start("web", "app", port_bindings={"80/tcp": [{"HostPort": "8080"}]})
    batch = nft.Batch(nft.INET, lab.config.table)
    batch.destroy_table()
    with nft.NftSocket() as filters:
        filters.commit(batch)
    assert (nft.INET, lab.config.table) not in tables()

    def wait() -> None:
        eventually(lambda: (nft.INET, lab.config.table) in tables())
        eventually(lambda: len(elements(lab, "any4")) == 1)

    await asyncio.to_thread(wait)
    with EchoServer(box.netns, 80):
        assert await asyncio.to_thread(ask, "127.0.0.1", 8080) == "10.201.1.1"


def like_docker(*, drop: bool) -> None:
    """Set up the chains that Docker makes by iptables-nft, FORWARD dropping or not."""
    batch = nft.Batch(nft.IPV4, "filter")
    batch.add_table()
    batch.add_chain("DOCKER-USER")
    batch.add_chain("FORWARD", "filter", nft.FORWARD, 0)
    batch.add_rule("FORWARD", [expr.counter(), expr.verdict(expr.JUMP, "DOCKER-USER")])
    if drop:
        batch.set_policy("FORWARD", expr.DROP)
    with nft.NftSocket() as filters:
        filters.commit(batch)


def foreign_rules() -> dict[str, list[bytes]]:
    with nft.NftSocket() as filters:
        return {
            chain: [note for _, _, note in filters.rules(nft.IPV4, "filter", chain)]
            for chain in filters.chains(nft.IPV4, "filter")
        }


async def test_beside_a_docker_that_drops_forwarded_packets(lab: Lab) -> None:
    lab.host.add_outside()
    like_docker(drop=True)
    await network(lab, "app")
    box = await lab.start("web", "app", port_bindings={"80/tcp": [{"HostPort": "8080"}]})
    with EchoServer(lab.host.outside, 80), EchoServer(box.netns, 80):
        blocked = box.within(lambda: is_dropped(lambda: ask(OUTSIDE, 80, SHORT)))
        assert blocked, "Docker's policy holds for us too"
        await lab.controller.rebuild()
        assert box.within(lambda: ask(OUTSIDE, 80)) == HOST_SIDE
        neighbour = await asyncio.to_thread(within, lab.host.outside, lambda: ask(HOST_SIDE, 8080))
        assert neighbour == OUTSIDE
    await lab.controller.rebuild()
    expected = {"DOCKER-USER": [nft.comment(lab.config.table)], "FORWARD": [b""]}
    assert foreign_rules() == expected, "one rule, once"


async def test_an_engine_that_leaves_takes_its_rule_with_it(lab: Lab, tmp_path: Path) -> None:
    like_docker(drop=True)
    other = Lab(tmp_path / "other", lab.host, "10.201.128.0/18")
    await other.open()
    assert foreign_rules()["DOCKER-USER"] == [nft.comment(other.config.table)]
    await other.close()
    assert foreign_rules()["DOCKER-USER"] == []
    assert (nft.INET, other.config.table) not in tables()


async def test_a_firewall_that_cannot_be_asked_is_named_with_what_helps(lab: Lab) -> None:
    batch = nft.Batch(nft.IPV4, "filter")
    batch.add_table()
    batch.add_chain("FORWARD", "filter", nft.FORWARD, 0)
    batch.set_policy("FORWARD", expr.DROP)
    with nft.NftSocket() as filters:
        filters.commit(batch)
    await lab.controller.rebuild()
    (sentence,) = lab.controller.obstacles
    assert "chain FORWARD drops forwarded packets" in sentence
    assert "iptables -I FORWARD -m mark --mark 0x8000000/0x8000000 -j ACCEPT" in sentence


async def test_beside_a_docker_that_drops_nothing_no_foreign_rule_is_touched(lab: Lab) -> None:
    like_docker(drop=False)
    before = foreign_rules()
    await network(lab, "app")
    await lab.start("web", "app", port_bindings={"80/tcp": [{"HostPort": "8080"}]})
    await lab.controller.rebuild()
    assert foreign_rules() == before


async def test_two_engines_share_a_host(lab: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path / "other", lab.host, "10.201.128.0/18")
    await other.open()
    for one in (lab, other):
        await network(one, "app")
    here = await lab.start("web", "app", port_bindings={"80/tcp": [{"HostPort": "8080"}]})
    there = await other.start("web", "app", port_bindings={"80/tcp": [{"HostPort": "8081"}]})
    with EchoServer(here.netns, 80), EchoServer(there.netns, 80):
        assert await asyncio.to_thread(ask, "127.0.0.1", 8080) == "10.201.1.1"
        assert await asyncio.to_thread(ask, "127.0.0.1", 8081) == "10.201.129.1"
        address = other.address(there, "app")
        assert here.within(lambda: is_dropped(lambda: ask(address, 80, SHORT)))
    await other.close()
    with EchoServer(here.netns, 80):
        assert await asyncio.to_thread(ask, "127.0.0.1", 8080) == "10.201.1.1"


async def test_forwarding_is_switched_on(lab: Lab) -> None:
    write_sysctl("net/ipv4/ip_forward", "0")
    await lab.controller.rebuild()
    assert read_sysctl("net/ipv4/ip_forward") == "1"


async def test_a_request_is_checked_before_anything_is_made(lab: Lab) -> None:
    await network(lab, "app")
    wrong = {"app": {"IPAMConfig": {"IPv4Address": "no address"}}}
    request = SandboxRequest("c" * 64, "web", "web", network_mode="app", endpoints=wrong)
    with pytest.raises(InvalidArgument, match="invalid endpoint settings"):
        lab.controller.check(request)
    assert lab.controller.endpoints("c" * 64) == {}


@pytest.mark.parametrize("knows_destroy", [True, False])
async def test_what_is_absent_is_removed_without_complaint(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, knows_destroy: bool
) -> None:
    await network(lab, "app")
    with nft.NftSocket() as filters:
        if not knows_destroy:  # as on kernels before 6.3
            monkeypatch.setattr(nft.NftSocket, "_knows_destroy", lambda _: False)
        batch = nft.Batch(nft.INET, lab.config.table)
        batch.add_set("few", nft.SetType(4))
        batch.add_elements("few", [nft.Element(bytes([0, 0, 0, n])) for n in (1, 2, 3)])
        filters.commit(batch)
        batch = nft.Batch(nft.INET, lab.config.table)
        batch.destroy_elements("few", [nft.Element(bytes([0, 0, 0, n])) for n in (2, 3, 4)])
        filters.commit(batch)
        left = filters.elements(nft.INET, lab.config.table, "few")
        assert [key for key, _ in left] == [b"\0\0\0\1"]
