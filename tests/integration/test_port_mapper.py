"""Published ports, with real packets to and from a host network of the test's own."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest

from runtime.errors import EngineError
from runtime.linux import process
from runtime.network.bridge import read_sysctl
from runtime.network.fast_netlink import NetlinkError
from runtime.network.nftables import NftSocket
from tests.support.network_lab import (
    HOST_SIDE,
    OUTSIDE,
    EchoServer,
    Lab,
    ask,
    ask_udp,
    running_lab,
    within,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.root


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path) as lab:
        await lab.controller.create({"Name": "app"})
        yield lab


def binding(host_port: str = "", host_ip: str = "") -> dict[str, str]:
    return {"HostIp": host_ip, "HostPort": host_port}


async def test_a_published_port_leads_from_everywhere_to_the_container(lab: Lab) -> None:
    lab.host.add_outside()
    box = await lab.start("web", "app", port_bindings={"80/tcp": [binding("8080")]})
    with EchoServer(box.netns, 80):
        neighbour = await asyncio.to_thread(within, lab.host.outside, lambda: ask(HOST_SIDE, 8080))
        assert neighbour == OUTSIDE, "the client's address is kept"
        gateway = "10.201.1.1"
        by = {"127.0.0.1": gateway, "127.0.0.5": gateway, HOST_SIDE: HOST_SIDE, "::1": gateway}
        for address, expected in by.items():
            assert await asyncio.to_thread(ask, address, 8080) == expected, f"by {address}"


async def test_a_published_port_can_be_used_from_containers(lab: Lab) -> None:
    await lab.controller.create({"Name": "other"})
    box = await lab.start("web", "app", port_bindings={"80/tcp": [binding("8080")]})
    sibling, stranger = await lab.start("sibling", "app"), await lab.start("stranger", "other")
    with EchoServer(box.netns, 80):
        assert box.within(lambda: ask("10.201.1.1", 8080)) == "10.201.1.1", "by itself"
        assert sibling.within(lambda: ask("10.201.1.1", 8080)) == "10.201.1.1"
        assert stranger.within(lambda: ask("10.201.1.1", 8080)) == lab.address(stranger, "other")


async def test_a_port_of_loopback_is_not_reachable_from_outside(lab: Lab) -> None:
    lab.host.add_outside()
    box = await lab.start("web", "app", port_bindings={"80/tcp": [binding("8080", "127.0.0.1")]})
    with EchoServer(box.netns, 80):
        assert await asyncio.to_thread(ask, "127.0.0.1", 8080) == "10.201.1.1"
        refused = lambda: ask(HOST_SIDE, 8080)  # noqa: E731
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(within, lab.host.outside, refused)


async def test_a_udp_port_is_published(lab: Lab) -> None:
    lab.host.add_outside()
    box = await lab.start("dns", "app", port_bindings={"53/udp": [binding("5353")]})
    with EchoServer(box.netns, 53, udp=True):
        seen = await asyncio.to_thread(within, lab.host.outside, lambda: ask_udp(HOST_SIDE, 5353))
        assert seen == OUTSIDE
        assert await asyncio.to_thread(ask_udp, "127.0.0.1", 5353) == "10.201.1.1"
        assert await asyncio.to_thread(ask_udp, "::1", 5353) == "10.201.1.1"


@pytest.mark.parametrize("filtered", [True, False], ids=["by filter", "one by one"])
async def test_a_talking_udp_client_follows_to_the_next_container(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, *, filtered: bool
) -> None:
    def refuse(*_: object) -> None:
        raise NetlinkError(errno.EOPNOTSUPP, "connection tracking")

    if not filtered:
        monkeypatch.setattr(NftSocket, "request", refuse)
    lab.host.add_outside()
    bindings = {"53/udp": [binding("5353", "0.0.0.0")]}

    def client() -> socket.socket:
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.settimeout(20)
        asking.connect((HOST_SIDE, 5353))
        return asking

    asking = within(lab.host.outside, client)
    for name in ("first", "second"):
        box = await lab.start(name, "app", port_bindings=bindings)
        with EchoServer(box.netns, 53, udp=True):
            asking.send(b"?")
            assert asking.recv(100) == OUTSIDE.encode()
        await lab.stop(name)
    asking.close()


async def test_without_an_address_the_same_port_is_taken_for_both_families(lab: Lab) -> None:
    box = await lab.start("web", "app", port_bindings={"80/tcp": [binding()]})
    entries = lab.controller.ports(box.id)["80/tcp"]
    assert entries is not None
    assert [entry["HostIp"] for entry in entries] == ["0.0.0.0", "::"]
    assert len({entry["HostPort"] for entry in entries}) == 1
    low, high = map(int, read_sysctl("net/ipv4/ip_local_port_range").split())
    assert low <= int(entries[0]["HostPort"]) <= high


async def test_a_range_gives_the_first_port_that_is_free(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 8000)):
        for expected in ("8001", "8002"):
            wish = {"80/tcp": [binding("8000-8002", "127.0.0.1")]}
            box = await lab.start(f"web{expected}", "app", port_bindings=wish)
            entries = lab.controller.ports(box.id)["80/tcp"]
            assert entries == [{"HostIp": "127.0.0.1", "HostPort": expected}]


async def test_all_exposed_ports_are_published_when_asked_for(lab: Lab) -> None:
    box = await lab.start("web", "app", exposed_ports=["80/tcp", "81/udp"], publish_all=True)
    ports = lab.controller.ports(box.id)
    assert set(ports) == {"80/tcp", "81/udp"}
    assert all(ports.values())


async def test_exposed_ports_are_listed_without_a_host_port(lab: Lab) -> None:
    box = await lab.start("web", "app", exposed_ports=["80/tcp"])
    assert lab.controller.ports(box.id) == {"80/tcp": None}


@pytest.mark.parametrize(
    ("held", "wanted"),
    [("", ""), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", ""), ("127.0.0.1", "127.0.0.1")],
)
async def test_a_port_of_another_container_is_already_allocated(
    lab: Lab, held: str, wanted: str
) -> None:
    await lab.start("first", "app", port_bindings={"80/tcp": [binding("8080", held)]})
    shown = wanted or "0.0.0.0"
    with pytest.raises(EngineError) as caught:
        await lab.start("second", "app", port_bindings={"80/tcp": [binding("8080", wanted)]})
    assert caught.value.message.startswith(
        "failed to set up container networking: driver failed programming external connectivity"
        " on endpoint second ("
    )
    assert caught.value.message.endswith(
        f"): Bind for {shown}:8080 failed: port is already allocated"
    )


async def test_a_port_of_another_program_is_refused_and_its_holder_named(lab: Lab) -> None:
    with socket.create_server(("0.0.0.0", 8080)), pytest.raises(EngineError) as caught:
        await lab.start("web", "app", port_bindings={"80/tcp": [binding("8080")]})
    text = caught.value.message
    assert (
        "failed to bind host port for 0.0.0.0:8080:10.201.1.2:80/tcp: address already in use"
        in text
    )
    assert f"pid {os.getpid()}" in text
    assert lab.store.leases("port:tcp:8080") == {}


async def test_an_address_that_the_host_lacks_is_refused(lab: Lab) -> None:
    with pytest.raises(EngineError, match="cannot assign requested address"):
        await lab.start("web", "app", port_bindings={"80/tcp": [binding("80", "10.99.99.99")]})


async def test_a_published_port_is_taken_for_other_programs(lab: Lab) -> None:
    await lab.start("web", "app", port_bindings={"80/tcp": [binding("8080")]})
    with pytest.raises(OSError, match="Address already in use"):
        socket.create_server(("0.0.0.0", 8080))


async def test_a_port_is_free_again_as_soon_as_the_container_stopped(lab: Lab) -> None:
    bindings = {"80/tcp": [binding("8080")], "53/udp": [binding("5353")]}
    box = await lab.start("web", "app", port_bindings=bindings)
    kept = box.fds()
    copies = [os.dup(fd) for fd in kept.values()]
    await lab.stop("web")
    ending = asyncio.get_running_loop().call_later(0.1, process.close_all, copies)
    again = await lab.start("web", "app", port_bindings=bindings)
    with EchoServer(again.netns, 80):
        assert await asyncio.to_thread(ask, "127.0.0.1", 8080) == "10.201.1.1"
    assert ending.when() < asyncio.get_running_loop().time(), "the last shim still held them"


async def test_a_specific_address_beats_the_wildcard_of_nobody(lab: Lab) -> None:
    one = await lab.start("one", "app", port_bindings={"80/tcp": [binding("80", "127.0.0.2")]})
    two = await lab.start("two", "app", port_bindings={"81/tcp": [binding("80", "127.0.0.3")]})
    with EchoServer(one.netns, 80), EchoServer(two.netns, 81):
        assert await asyncio.to_thread(ask, "127.0.0.2", 80) == "10.201.1.1"
        assert await asyncio.to_thread(ask, "127.0.0.3", 80) == "10.201.1.1"


async def test_ports_follow_to_the_remaining_network_when_one_is_disconnected(lab: Lab) -> None:
    await lab.controller.create({"Name": "spare"})
    endpoints: dict[str, dict[str, object]] = {"app": {}, "spare": {}}
    bindings = {"80/tcp": [binding("8080")]}
    box = await lab.start("web", "app", endpoints=endpoints, port_bindings=bindings)
    with EchoServer(box.netns, 80):
        assert await asyncio.to_thread(ask, "127.0.0.1", 8080) == "10.201.1.1"
        await lab.disconnect("app", box)
        assert await asyncio.to_thread(ask, "127.0.0.1", 8080) == "10.201.2.1"
        assert await asyncio.to_thread(ask, "::1", 8080) == "10.201.2.1"


async def test_an_internal_network_publishes_nothing(lab: Lab) -> None:
    await lab.controller.create({"Name": "inner", "Internal": True})
    box = await lab.start("web", "inner", port_bindings={"80/tcp": [binding("8080")]})
    assert lab.controller.ports(box.id) == {}
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(ask, "127.0.0.1", 8080)


async def test_a_port_published_on_ipv6_leads_to_a_container_with_ipv6(lab: Lab) -> None:
    lab.host.add_outside()
    await lab.controller.create({"Name": "six", "EnableIPv6": True})
    box = await lab.start("web", "six", port_bindings={"80/tcp": [binding("8080")]})
    with EchoServer(box.netns, 80, family=10):
        seen = await asyncio.to_thread(within, lab.host.outside, lambda: ask("fd00:250::1", 8080))
        assert seen == "fd00:250::2"
