"""Containers as machines of their own on the network of a host's interface: macvlan and ipvlan."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from runtime.errors import EngineError
from runtime.filters import Filters
from runtime.network import fast_netlink as netlink
from tests.support.network_lab import (
    OUTSIDE,
    EchoServer,
    Lab,
    addresses,
    ask,
    links,
    query,
    running_lab,
    within,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.root

SUBNET = {"Subnet": "10.201.250.0/24", "Gateway": OUTSIDE, "IPRange": "10.201.250.64/26"}


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path) as lab:
        lab.host.add_outside()
        yield lab


def supported(make: Callable[[], netlink.Request], what: str) -> None:
    """Skip the test on a kernel that does not know a kind of link."""
    try:
        with netlink.RouteSocket() as route:
            route.execute([make()])
            index = netlink.index_of("probe0")
            if index is not None:
                route.execute([netlink.link_delete(index)])
    except netlink.NetlinkError as error:
        pytest.skip(f"this kernel makes no {what}: {error.message}")


def child(lab: Lab, kind: str) -> netlink.Request:
    parent = netlink.index_of("lan0") or 0
    wanted = netlink.Child("probe0", kind, parent, lab.host.netns, b"\x02\0\0\0\0\x09", 0, 0, 0)
    if kind == "macvlan":
        wanted = wanted._replace(mode=4)
    return netlink.child_add(wanted)


async def network(lab: Lab, name: str, driver: str, **options: str) -> None:
    body = {"Name": name, "Driver": driver, "Options": options, "IPAM": {"Config": [SUBNET]}}
    await lab.controller.create(body)


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
async def test_containers_are_on_the_network_of_the_parent(lab: Lab, driver: str) -> None:
    supported(lambda: child(lab, driver), driver)
    await network(lab, "lan", driver, parent="lan0")
    one, two = await lab.start("one", "lan"), await lab.start("two", "lan")
    assert lab.address(one, "lan") == "10.201.250.64"
    assert one.within(links)["eth0"].kind == driver
    with EchoServer(lab.host.outside, 80), EchoServer(two.netns, 81):
        assert one.within(partial(ask, OUTSIDE, 80)) == "10.201.250.64", "nothing hides it"
        assert one.within(partial(ask, lab.address(two, "lan"), 81)) == "10.201.250.64"
    with EchoServer(one.netns, 80):
        seen = within(lab.host.outside, partial(ask, "10.201.250.64", 80))
        assert seen == OUTSIDE, "neighbours reach it"
    answer = await asyncio.to_thread(one.within, partial(query, "two"))
    assert answer.values == [lab.address(two, "lan")]


async def test_a_running_container_joins_and_leaves(lab: Lab) -> None:
    supported(lambda: child(lab, "macvlan"), "macvlan")
    await network(lab, "lan", "macvlan", parent="lan0")
    await lab.controller.create({"Name": "app"})
    box = await lab.start("web", "app", port_bindings={"80/tcp": [{"HostPort": "8080"}]})
    await lab.connect("lan", box)
    assert set(box.within(links)) == {"lo", "eth0", "eth1"}
    with EchoServer(lab.host.outside, 80):
        assert box.within(partial(ask, OUTSIDE, 80)) == lab.address(box, "lan")
    await lab.disconnect("lan", box)
    assert set(box.within(links)) == {"lo", "eth0"}
    await lab.controller.remove("lan")
    assert "lan0" in links(), "the parent is the host's"


async def test_the_next_engine_knows_them(lab: Lab) -> None:
    supported(lambda: child(lab, "macvlan"), "macvlan")
    await network(lab, "lan", "macvlan", parent="lan0", macvlan_mode="private")
    box = await lab.start("web", "lan")
    await lab.shut()
    await lab.revive()
    assert list(lab.controller.inspect("lan")["Containers"]) == [box.id]  # type: ignore[call-overload]
    await lab.stop("web")
    await lab.controller.remove("lan")


async def test_a_routed_ipvlan_has_no_gateway(lab: Lab) -> None:
    supported(lambda: child(lab, "ipvlan"), "ipvlan")
    await network(lab, "lan", "ipvlan", parent="lan0", ipvlan_mode="l3")
    box = await lab.start("web", "lan")
    assert lab.controller.endpoints(box.id)["lan"]["Gateway"] == ""

    def default_route() -> str:
        with open("/proc/thread-self/net/route", encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
        return next(row[0] for row in rows if row[1] == row[2] == "00000000")

    assert box.within(default_route) == "eth0"


async def test_without_a_parent_containers_are_alone(lab: Lab) -> None:
    supported(lambda: netlink.dummy_add("probe0"), "dummy")
    supported(lambda: child(lab, "macvlan"), "macvlan")
    identifier, _ = await lab.controller.create({"Name": "alone", "Driver": "macvlan"})
    one, two = await lab.start("one", "alone"), await lab.start("two", "alone")
    with EchoServer(two.netns, 80):
        assert one.within(partial(ask, lab.address(two, "alone"), 80))
    for name in ("one", "two"):
        await lab.stop(name)
    assert f"dm-{identifier[:12]}" in links()
    await lab.controller.remove("alone")
    assert f"dm-{identifier[:12]}" not in links()


async def test_a_missing_vlan_of_a_parent_is_made(lab: Lab) -> None:
    parent = netlink.index_of("lan0") or 0
    supported(lambda: netlink.vlan_add("probe0", parent, 7), "vlan")
    supported(lambda: child(lab, "macvlan"), "macvlan")
    await network(lab, "tagged", "macvlan", parent="lan0.50")
    assert links()["lan0.50"].kind == "vlan"
    await lab.controller.remove("tagged")
    assert "lan0.50" not in links()
    assert addresses("lan0")


async def test_a_kernel_without_them_is_told_of(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> netlink.Request:
        raise netlink.NetlinkError(95, f"make dummy {name}")

    monkeypatch.setattr(netlink, "dummy_add", refuse)
    with pytest.raises(EngineError, match="Operation not supported"):
        await lab.controller.create({"Name": "alone", "Driver": "macvlan"})
    names = [entry["Name"] for entry in lab.controller.list(Filters({}))]
    assert names == ["bridge", "host", "none"]


# As Docker Engine 28.5 answered.
@pytest.mark.parametrize(
    ("driver", "options", "message"),
    [
        (
            "macvlan",
            {"parent": "nope0"},
            "invalid subinterface vlan name nope0",
        ),
        ("macvlan", {"parent": "lan0.9999"}, "vlan id must be between 1-4094, received: 9999"),
        ("macvlan", {"parent": "lo"}, "loopback interface is not a valid macvlan parent link"),
        (
            "macvlan",
            {"macvlan_mode": "x"},
            "requested macvlan mode 'x' is not valid",
        ),
        ("ipvlan", {"ipvlan_mode": "x"}, "requested ipvlan mode 'x' is not valid, 'l2' mode"),
        ("ipvlan", {"ipvlan_flag": "x"}, "requested ipvlan flag 'x' is not valid, 'bridge' is"),
    ],
)
async def test_what_cannot_be_is_refused(
    lab: Lab, driver: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        await lab.controller.create({"Name": "no", "Driver": driver, "Options": options})


async def test_passthru_shares_its_parent_with_nobody(lab: Lab) -> None:
    await lab.controller.create({"Name": "a", "Driver": "macvlan", "Options": {"parent": "lan0"}})
    options = {"parent": "lan0", "macvlan_mode": "passthru"}
    with pytest.raises(EngineError, match="macvlan network a is already using parent"):
        await lab.controller.create({"Name": "b", "Driver": "macvlan", "Options": options})
