"""How containers are reached on networks with a gateway mode of their own, with real packets."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import TYPE_CHECKING

import pytest

from runtime.network import fast_netlink as netlink
from runtime.network.bridge import write_sysctl
from tests.support.network_lab import (
    HOST_SIDE,
    OUTSIDE,
    EchoServer,
    Lab,
    addresses,
    ask,
    ask_udp,
    is_dropped,
    running_lab,
    within,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.root

BRIDGE = "com.docker.network.bridge."
SHORT = 1.0
PORTS = {"80/tcp": [{"HostPort": "8080"}], "81/udp": [{"HostPort": "8081"}]}


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path) as lab:
        lab.host.add_outside()
        await lab.controller.create({"Name": "other"})
        yield lab


async def network(lab: Lab, name: str, **options: str) -> None:
    given = {BRIDGE + key: value for key, value in options.items()}
    await lab.controller.create({"Name": name, "Options": given})


def blocked(address: str, port: int) -> bool:
    return is_dropped(partial(ask, address, port, SHORT))


async def test_routed_containers_are_reached_at_their_published_ports(lab: Lab) -> None:
    await network(lab, "open", gateway_mode_ipv4="routed")
    box = await lab.start("web", "open", port_bindings=PORTS)
    client = await lab.start("client", "other")
    address = lab.address(box, "open")
    with (
        EchoServer(box.netns, 80),
        EchoServer(box.netns, 81, udp=True),
        EchoServer(box.netns, 82),
        EchoServer(lab.host.outside, 80),
    ):
        assert await asyncio.to_thread(within, lab.host.outside, partial(ask, address, 80))
        assert await asyncio.to_thread(within, lab.host.outside, partial(ask_udp, address, 81))
        assert await asyncio.to_thread(within, lab.host.outside, partial(blocked, address, 82))
        assert client.within(partial(ask, address, 80)) == lab.address(client, "other")
        assert client.within(partial(blocked, address, 82))
        assert box.within(partial(ask, OUTSIDE, 80)) == address, "nothing hides it"
    ports = lab.controller.ports(box.id)["80/tcp"] or []
    assert ports[0] == {"HostIp": "0.0.0.0", "HostPort": ""}
    with socket.socket() as free:
        free.bind(("0.0.0.0", 8080))


async def test_routed_containers_answer_echo_requests(lab: Lab) -> None:
    await network(lab, "open", gateway_mode_ipv4="routed")
    await network(lab, "shut")
    reached, hidden = await lab.start("one", "open"), await lab.start("two", "shut")

    def ping(address: str) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as asking:
            asking.settimeout(SHORT)
            asking.sendto(bytes((8, 0, 0xF7, 0xFD, 0, 1, 0, 1)), (address, 0))
            return asking.recv(100)[20] == 0

    answered = partial(ping, lab.address(reached, "open"))
    assert await asyncio.to_thread(within, lab.host.outside, answered)
    unanswered = partial(is_dropped, partial(ping, lab.address(hidden, "shut")))
    assert await asyncio.to_thread(within, lab.host.outside, unanswered)


async def test_unprotected_containers_are_reached_at_every_port(lab: Lab) -> None:
    await network(lab, "open", gateway_mode_ipv4="nat-unprotected")
    box = await lab.start("web", "open", port_bindings=PORTS)
    client = await lab.start("client", "other")
    address = lab.address(box, "open")
    with EchoServer(box.netns, 80), EchoServer(box.netns, 82), EchoServer(lab.host.outside, 80):
        assert await asyncio.to_thread(within, lab.host.outside, partial(ask, address, 82))
        assert await asyncio.to_thread(within, lab.host.outside, partial(ask, HOST_SIDE, 8080))
        assert box.within(partial(ask, OUTSIDE, 80)) == HOST_SIDE
        assert client.within(partial(blocked, address, 82)), "networks stay apart"


async def test_on_an_isolated_network_the_host_has_no_address(lab: Lab) -> None:
    options = {BRIDGE + "gateway_mode_ipv4": "isolated"}
    await lab.controller.create({"Name": "alone", "Internal": True, "Options": options})
    shown = lab.controller.inspect("alone")
    one, two = await lab.start("one", "alone"), await lab.start("two", "alone")
    assert lab.address(one, "alone").endswith(".1"), "no gateway takes it"
    assert "Gateway" not in str(shown["IPAM"])
    assert not [a for a in addresses(f"sh-{str(shown['Id'])[:12]}") if "." in a]
    with EchoServer(two.netns, 80):
        assert one.within(partial(ask, lab.address(two, "alone"), 80))


async def test_a_bridge_without_an_address_leaves_the_gateway_to_others(lab: Lab) -> None:
    await network(lab, "bare", inhibit_ipv4="true")
    shown = lab.controller.inspect("bare")
    box = await lab.start("one", "bare")
    endpoint = lab.controller.endpoints(box.id)["bare"]
    assert endpoint["Gateway"] == str(endpoint["IPAddress"]).rpartition(".")[0] + ".1"
    assert not [a for a in addresses(f"sh-{str(shown['Id'])[:12]}") if "." in a]


async def test_a_trusted_interface_reaches_published_ports_directly(lab: Lab) -> None:
    await network(lab, "known", trusted_host_interfaces="lan0")
    await network(lab, "shut")
    box = await lab.start("web", "known", port_bindings=PORTS)
    hidden = await lab.start("hidden", "shut", port_bindings={"80/tcp": [{"HostPort": "8090"}]})
    address = lab.address(box, "known")
    with EchoServer(box.netns, 80), EchoServer(box.netns, 82), EchoServer(hidden.netns, 80):
        outside = lab.host.outside
        assert await asyncio.to_thread(within, outside, partial(ask, address, 80))
        assert await asyncio.to_thread(within, outside, partial(blocked, address, 82))
        other = lab.address(hidden, "shut")
        assert await asyncio.to_thread(within, outside, partial(blocked, other, 80))


async def test_containers_go_out_with_the_address_that_was_chosen(lab: Lab) -> None:
    second = "10.201.250.7"
    with netlink.RouteSocket() as route:
        index = netlink.index_of("lan0")
        assert index is not None
        route.execute([netlink.address_add(index, second, 24)])
    options = {"com.docker.network.host_ipv4": second}
    await lab.controller.create({"Name": "named", "Options": options})
    box = await lab.start("one", "named")
    with EchoServer(lab.host.outside, 80):
        assert box.within(partial(ask, OUTSIDE, 80)) == second


async def test_modes_are_those_of_an_address_family(lab: Lab) -> None:
    options = {BRIDGE + "gateway_mode_ipv6": "routed"}
    await lab.controller.create({"Name": "six", "EnableIPv6": True, "Options": options})
    box = await lab.start("web", "six", port_bindings=PORTS)
    endpoint = lab.controller.endpoints(box.id)["six"]
    address6 = str(endpoint["GlobalIPv6Address"])
    write_sysctl("net/ipv6/conf/all/forwarding", "1")
    with EchoServer(box.netns, 80, family=socket.AF_INET6), EchoServer(box.netns, 82):
        outside = lab.host.outside
        assert await asyncio.to_thread(within, outside, partial(ask, address6, 80))
        assert await asyncio.to_thread(within, outside, partial(ask, HOST_SIDE, 8080))
        address4 = lab.address(box, "six")
        assert await asyncio.to_thread(within, outside, partial(blocked, address4, 82))
    hosts = [entry["HostPort"] for entry in lab.controller.ports(box.id)["80/tcp"] or []]
    assert hosts == ["8080", ""]


async def test_the_next_engine_keeps_what_is_reached_directly(lab: Lab) -> None:
    await network(lab, "open", gateway_mode_ipv4="routed")
    box = await lab.start("web", "open", port_bindings=PORTS)
    address = lab.address(box, "open")
    await lab.shut()
    await lab.revive()
    with EchoServer(box.netns, 80), EchoServer(box.netns, 82):
        assert await asyncio.to_thread(within, lab.host.outside, partial(ask, address, 80))
        assert await asyncio.to_thread(within, lab.host.outside, partial(blocked, address, 82))
    await lab.stop("web")
    again = await lab.start("next", "open")
    with EchoServer(again.netns, 80):
        to = lab.address(again, "open")
        assert await asyncio.to_thread(within, lab.host.outside, partial(blocked, to, 80))
