"""Bridges, links and addresses, made in a host network of the test's own."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from runtime.errors import EngineError
from runtime.network import fast_netlink as netlink
from runtime.network.bridge import read_sysctl
from tests.support.network_lab import EchoServer, Lab, addresses, ask, links, running_lab, within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.root


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path) as lab:
        yield lab


def sysctl_in(netns: int, path: str) -> str:
    return within(netns, lambda: read_sysctl(path))


async def test_a_network_is_a_bridge_named_by_its_id(lab: Lab) -> None:
    identifier, _ = await lab.controller.create({"Name": "app"})
    link = links()[f"sh-{identifier[:12]}"]
    assert link.kind == "bridge"
    assert addresses(link.name) == {"10.201.1.1/24"}
    await lab.controller.remove("app")
    assert f"sh-{identifier[:12]}" not in links()


async def test_removing_many_networks_at_once_removes_every_bridge(lab: Lab) -> None:
    created = [await lab.controller.create({"Name": f"n{number}"}) for number in range(6)]
    await asyncio.gather(*(lab.controller.remove(identifier) for identifier, _ in created))
    assert [name for name in links() if name.startswith("sh-")] == []


async def test_a_bridge_name_that_exists_on_the_host_is_not_taken_over(lab: Lab) -> None:
    with netlink.RouteSocket() as route:
        route.execute([netlink.bridge_add("foreign0", 1500, b"\2\0\0\0\0\1", 0)])
    body = {"Name": "app", "Options": {"com.docker.network.bridge.name": "foreign0"}}
    with pytest.raises(EngineError, match="already exists on this host"):
        await lab.controller.create(body)
    assert "foreign0" in links()


async def test_the_mtu_option_holds_for_bridge_and_container(lab: Lab) -> None:
    options = {"com.docker.network.driver.mtu": "1400"}
    identifier, _ = await lab.controller.create({"Name": "small", "Options": options})
    box = await lab.start("one", "small")
    inside = box.within(links)
    assert inside["eth0"].mtu == 1400
    assert links()[f"sh-{identifier[:12]}"].mtu == 1400


async def test_containers_of_one_network_reach_each_other(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    server, client = await lab.start("server", "app"), await lab.start("client", "app")
    with EchoServer(server.netns, 80):
        seen = client.within(lambda: ask(lab.address(server, "app"), 80))
    assert seen == lab.address(client, "app")


async def test_ipv6_is_given_only_on_networks_that_enable_it(lab: Lab) -> None:
    await lab.controller.create({"Name": "four"})
    await lab.controller.create({"Name": "six", "EnableIPv6": True})
    plain, dual = await lab.start("plain", "four"), await lab.start("dual", "six")
    assert sysctl_in(plain.netns, "net/ipv6/conf/eth0/disable_ipv6") == "1"
    assert sysctl_in(dual.netns, "net/ipv6/conf/eth0/disable_ipv6") == "0"
    address = str(lab.controller.endpoints(dual.id)["six"]["GlobalIPv6Address"])
    other = await lab.start("other", "six")
    with EchoServer(dual.netns, 80, family=10):
        seen = other.within(lambda: ask(address, 80))
    assert seen == lab.controller.endpoints(other.id)["six"]["GlobalIPv6Address"]


async def test_the_first_interface_is_that_of_the_mode(lab: Lab) -> None:
    for name in ("alpha", "beta", "inner"):
        await lab.controller.create({"Name": name, "Internal": name == "inner"})
    endpoints = {"inner": {}, "alpha": {}, "beta": {"GwPriority": 5}}
    box = await lab.start("many", "alpha", endpoints=endpoints)
    allocation = lab.controller._sandboxes.get(box.id)
    assert allocation is not None
    assert [(e.interface, e.network_name) for e in allocation.endpoints] == [
        ("eth0", "alpha"),
        ("eth1", "inner"),
        ("eth2", "beta"),
    ]


async def test_a_given_mac_address_and_interface_name_are_used(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    settings = {
        "MacAddress": "02:11:22:33:44:55",
        "DriverOpts": {"com.docker.network.endpoint.ifname": "lan"},
    }
    box = await lab.start("one", "app", endpoints={"app": settings})
    assert "lan" in box.within(links)
    assert lab.controller.endpoints(box.id)["app"]["MacAddress"] == "02:11:22:33:44:55"


async def test_an_endpoint_sysctl_reaches_the_interface(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    sysctls = "net.ipv4.conf.IFNAME.log_martians=1"
    settings = {"DriverOpts": {"com.docker.network.endpoint.sysctls": sysctls}}
    box = await lab.start("one", "app", endpoints={"app": settings})
    assert sysctl_in(box.netns, "net/ipv4/conf/eth0/log_martians") == "1"


async def test_a_container_without_network_has_loopback_only(lab: Lab) -> None:
    box = await lab.start("alone", "none")
    assert list(box.within(links)) == ["lo"]


async def test_a_container_on_the_host_gets_no_namespace(lab: Lab) -> None:
    box = await lab.start("here", "host", extra_hosts=["db:10.1.2.3"])
    assert box.sandbox.netns is None
    assert box.sandbox.hosts is not None
    assert box.sandbox.hosts.endswith(b"10.1.2.3\tdb\n")
    assert "host" in lab.controller.endpoints(box.id)


async def test_a_failed_setup_leaves_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    await lab.controller.create({"Name": "app"})

    def fail(*_: object) -> None:
        raise EngineError("no routes today")

    monkeypatch.setattr("runtime.network.sandbox.set_default_routes", fail)
    with pytest.raises(EngineError, match="no routes today"):
        await lab.start("one", "app")
    assert lab.store.items("sandbox") == []
    assert lab.store.items("endpoint") == []


async def test_an_address_is_free_while_the_old_namespace_still_ends(lab: Lab) -> None:
    """A connection waiting for its end may hold a dead container's namespace for minutes."""
    config = {"Config": [{"Subnet": "10.201.9.0/24"}]}
    await lab.controller.create({"Name": "fixed", "IPAM": config})
    settings = {"fixed": {"IPAMConfig": {"IPv4Address": "10.201.9.9"}}}
    old = await lab.start("old", "fixed", endpoints=settings)
    client = await lab.start("client", "fixed")
    held = os.dup(old.netns)
    with EchoServer(old.netns, 80):
        assert client.within(lambda: ask("10.201.9.9", 80)) == lab.address(client, "fixed")
    with EchoServer(held, 81):
        await lab.stop("old")
        new = await lab.start("new", "fixed", endpoints=settings)
        with EchoServer(new.netns, 80):
            for box in (client, lab.host):
                within(box.netns, lambda: ask("10.201.9.9", 80))
        assert client.within(lambda: is_refused("10.201.9.9", 81))
    os.close(held)


def is_refused(address: str, port: int) -> bool:
    try:
        ask(address, port)
    except ConnectionRefusedError:
        return True
    return False
