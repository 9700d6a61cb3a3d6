"""Networks and containers on them over their lives: live changes, crashes, concurrency."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from runtime.errors import Conflict, EngineError, Forbidden, InvalidArgument, NotFound
from runtime.filters import Filters
from runtime.linux import process
from runtime.network import fast_netlink as netlink, nftables as nft
from runtime.network.allocation import ContainerView, SandboxRequest
from runtime.network.controller import FILTERS, PRUNE_FILTERS
from tests.support.network_lab import (
    HOST_SIDE,
    OUTSIDE,
    EchoServer,
    Lab,
    addresses,
    ask,
    links,
    query,
    running_lab,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.root

NOTHING = Filters({})


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path) as lab:
        yield lab


def actions(lab: Lab) -> list[str]:
    return [str(event["Action"]) for event in lab.events]


async def test_the_predefined_networks_are_there(lab: Lab) -> None:
    listed = {str(network["Name"]): network for network in lab.controller.list(NOTHING)}
    assert set(listed) == {"bridge", "host", "none"}
    assert listed["bridge"]["IPAM"] == {
        "Driver": "default",
        "Options": None,
        "Config": [{"Subnet": "10.201.0.0/24", "Gateway": "10.201.0.1"}],
    }
    assert [listed[name]["Driver"] for name in ("host", "none")] == ["host", "null"]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ({"Name": "app"}, Conflict, "network with name app already exists"),
        ({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.201.1.128/25"}]}}, Forbidden, "Pool ove"),
        ({"Name": "bridge"}, Forbidden, "operation is not permitted on predefined bridge network "),
        ({"Name": " "}, InvalidArgument, "invalid name: name is empty"),
        ({"Name": "x", "Driver": "foo"}, NotFound, 'plugin "foo" not found'),
        ({"Name": "x", "Driver": "host"}, Forbidden, 'only one instance of "host" network'),
    ],
)
async def test_a_network_that_cannot_be_made_is_refused_as_docker_does(
    lab: Lab, body: dict[str, object], kind: type[EngineError], message: str
) -> None:
    await lab.controller.create({"Name": "app"})
    with pytest.raises(kind) as caught:
        await lab.controller.create(body)
    assert message in caught.value.message


async def test_a_subnet_that_the_host_has_a_route_to_is_passed_over(lab: Lab) -> None:
    with netlink.RouteSocket() as route:
        route.execute([netlink.bridge_add("lan2", 1500, b"\2\0\0\0\0\3", 0)])
        index = netlink.index_of("lan2")
        assert index is not None
        route.execute([netlink.address_add(index, "10.201.2.9", 24)])
    for name in ("first", "second"):
        await lab.controller.create({"Name": name})
    boxes = [await lab.start(name, name) for name in ("first", "second")]
    networks = [lab.address(box, box.name) for box in boxes]
    assert networks == ["10.201.1.2", "10.201.3.2"]


async def test_a_network_in_use_is_not_removed(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    box = await lab.start("web", "app")
    endpoint = str(lab.controller.endpoints(box.id)["app"]["EndpointID"])
    with pytest.raises(Forbidden) as caught:
        await lab.controller.remove("app")
    assert caught.value.message == (
        "error while removing network: network app has active endpoints"
        f' (name:"web" id:"{endpoint[:12]}")'
    )
    await lab.stop("web")
    await lab.controller.remove("app")
    with pytest.raises(NotFound, match="network app not found"):
        lab.controller.inspect("app")


async def test_a_predefined_network_is_not_removed(lab: Lab) -> None:
    with pytest.raises(Forbidden, match="bridge is a pre-defined network and cannot be removed"):
        await lab.controller.remove("bridge")


async def test_prune_removes_what_nobody_uses(lab: Lab) -> None:
    for name in ("used", "unused", "kept"):
        labels = {"keep": "yes"} if name == "kept" else {}
        await lab.controller.create({"Name": name, "Labels": labels})
    await lab.start("web", "used")
    filters = Filters.parse('{"label!": ["keep"]}', PRUNE_FILTERS)
    assert await lab.controller.prune(filters) == ["unused"]
    young = Filters.parse('{"until": ["1h"]}', PRUNE_FILTERS)
    assert await lab.controller.prune(young) == []
    assert await lab.controller.prune(NOTHING) == ["kept"]


async def test_lists_are_filtered(lab: Lab) -> None:
    await lab.controller.create({"Name": "app_front", "Labels": {"tier": "1"}})
    await lab.controller.create({"Name": "app_back"})

    def names(text: str) -> set[str]:
        found = lab.controller.list(Filters.parse(text, FILTERS))
        return {str(network["Name"]) for network in found}

    assert names('{"name": ["app_"]}') == {"app_front", "app_back"}
    assert names('{"label": ["tier"]}') == {"app_front"}
    assert names('{"type": ["builtin"]}') == {"bridge", "host", "none"}
    assert names('{"driver": ["host"]}') == {"host"}
    assert names('{"dangling": ["true"]}') == {"app_front", "app_back"}


async def test_inspect_shows_running_containers_with_their_addresses(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    box = await lab.start("web", "app")
    shown = lab.controller.inspect("app")["Containers"]
    assert isinstance(shown, dict)
    entry = shown[box.id]
    assert (entry["Name"], entry["IPv4Address"]) == ("web", "10.201.1.2/24")


async def test_a_running_container_is_connected_and_disconnected(lab: Lab) -> None:
    lab.host.add_outside()
    await lab.controller.create({"Name": "app"})
    await lab.controller.create({"Name": "back"})
    box, server = await lab.start("web", "app"), await lab.start("db", "back")
    hosts = box.sandbox.hosts or b""

    attachment = await lab.connect("back", box, {"Aliases": ["front"]})
    assert box.within(lambda: addresses("eth1")) == {"10.201.2.3/24"}
    with EchoServer(server.netns, 80):
        assert box.within(lambda: ask("10.201.2.2", 80)) == "10.201.2.3"
    answer = await asyncio.to_thread(server.within, lambda: query("front"))
    assert answer.values == ["10.201.2.3"]
    edited = attachment.edit_hosts(hosts)
    assert edited == hosts + f"10.201.2.3\t{box.id[:12]}\n".encode()

    detachment = await lab.disconnect("back", box)
    assert "eth1" not in box.within(links)
    assert detachment.edit_hosts(edited) == hosts
    assert "back" not in lab.controller.endpoints(box.id)
    assert lab.store.leases(f"ip:{lab.controller.resolve('back')[0]}").keys() == {"10.201.2.2"}
    with EchoServer(lab.host.outside, 80):
        assert box.within(lambda: ask(OUTSIDE, 80)) == HOST_SIDE
    assert actions(lab)[-1] == "disconnect"


async def test_the_way_out_follows_priority_and_disconnects(lab: Lab) -> None:
    lab.host.add_outside()
    await lab.controller.create({"Name": "app"})
    plain = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    await lab.controller.create({"Name": "routed", "Options": plain})
    box = await lab.start("web", "app")
    with EchoServer(lab.host.outside, 80):
        assert box.within(lambda: ask(OUTSIDE, 80)) == HOST_SIDE
        await lab.connect("routed", box, {"GwPriority": 10})
        assert box.within(lambda: ask(OUTSIDE, 80)) == "10.201.2.2"
        await lab.disconnect("routed", box)
        assert box.within(lambda: ask(OUTSIDE, 80)) == HOST_SIDE


async def test_a_connect_to_the_first_user_network_brings_the_name_server(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    server, box = await lab.start("db", "app"), await lab.start("web")
    before = box.sandbox.resolv_conf or b""
    attachment = await lab.connect("app", box)
    assert set(attachment.store) == {"dns:udp", "dns:tcp"}
    assert b"nameserver 127.0.0.11\n" in attachment.edit_resolv_conf(before)
    assert attachment.edit_resolv_conf(b"mine") == b"mine"
    answer = await asyncio.to_thread(box.within, lambda: query("db"))
    assert answer.values == [lab.address(server, "app")]


async def test_connects_that_docker_refuses_are_refused(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    box = await lab.start("web", "app")
    here = ContainerView("h" * 64, "here", running=False, network_mode="host")
    cases: list[tuple[str, ContainerView, dict[str, object], str]] = [
        ("app", ContainerView(box.id, "web", running=True), {}, "endpoint with name web already"),
        (
            "host",
            ContainerView(box.id, "web", running=True),
            {},
            "cannot connect container to host",
        ),
        ("none", ContainerView(box.id, "web", running=True), {}, "in private (none) mode"),
        ("app", here, {}, "container sharing network namespace with another container or host"),
        (
            "bridge",
            ContainerView(box.id, "web", running=True),
            {"Aliases": ["x"]},
            "network-scoped alias is supported only for containers in user defined networks",
        ),
    ]
    for network, view, settings, message in cases:
        with pytest.raises(EngineError) as caught:
            await lab.controller.connect(network, view, settings, box.fds())
        assert message in caught.value.message
    with pytest.raises(EngineError, match=f"container {box.id} is not connected to network bridge"):
        await lab.disconnect("bridge", box)


async def test_an_address_that_is_asked_for_is_given_once(lab: Lab) -> None:
    config = {"Config": [{"Subnet": "10.201.9.0/24"}]}
    await lab.controller.create({"Name": "fixed", "IPAM": config})
    settings = {"fixed": {"IPAMConfig": {"IPv4Address": "10.201.9.77"}}}
    box = await lab.start("web", "fixed", endpoints=settings)
    assert lab.address(box, "fixed") == "10.201.9.77"
    with pytest.raises(Forbidden, match="Address already in use"):
        await lab.start("other", "fixed", endpoints=settings)


async def test_addresses_go_round_instead_of_being_reused_at_once(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    given = []
    for _ in range(3):
        box = await lab.start("web", "app")
        given.append(lab.address(box, "app"))
        await lab.stop("web")
    assert given == ["10.201.1.2", "10.201.1.3", "10.201.1.4"]


async def test_a_missing_network_is_named_at_the_start(lab: Lab) -> None:
    with pytest.raises(NotFound) as caught:
        await lab.start("web", "nowhere")
    assert caught.value.message == (
        "failed to set up container networking: network nowhere not found"
    )


async def test_everything_works_on_with_the_next_engine(lab: Lab) -> None:
    lab.host.add_outside()
    await lab.controller.create({"Name": "app"})
    bindings = {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    web = await lab.start("web", "app", port_bindings=bindings, exposed_ports=["80/tcp"])
    asker = await lab.start("asker", "app", dns=(OUTSIDE,))
    before = lab.controller.endpoints(web.id), lab.controller.ports(web.id)
    await lab.shut()
    with EchoServer(web.netns, 80):
        assert await asyncio.to_thread(ask, "127.0.0.1", 8080) == "10.201.1.1", "no engine"
        await lab.revive()
        assert await asyncio.to_thread(ask, "127.0.0.1", 8080) == "10.201.1.1"
        assert await asyncio.to_thread(ask, "::1", 8080) == "10.201.1.1"
    assert (lab.controller.endpoints(web.id), lab.controller.ports(web.id)) == before
    answer = await asyncio.to_thread(asker.within, lambda: query("web"))
    assert answer.values == [lab.address(web, "app")]
    await lab.connect("bridge", asker)
    assert "eth1" in asker.within(links)


async def test_a_container_that_died_with_the_engine_is_released_by_the_next(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    bindings = {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    box = await lab.start("web", "app", port_bindings=bindings)
    await lab.shut()
    lab.boxes.pop("web").close()
    await lab.revive()
    with lab.store.transaction() as tx:
        lab.controller.release(tx, box.id)
    assert lab.store.owned(box.id) == []
    assert lab.store.items("endpoint") == []
    with nft.NftSocket() as filters:
        assert filters.elements(nft.INET, lab.config.table, "any4") == []
    await lab.controller.remove("app")


@pytest.mark.parametrize("intent", ["network-create", "network-remove"])
async def test_a_network_that_a_crash_left_half_made_is_removed(lab: Lab, intent: str) -> None:
    identifier, _ = await lab.controller.create({"Name": "app"})
    with lab.store.transaction() as tx:
        tx.begin(intent, identifier)
    await lab.shut()
    await lab.revive()
    assert f"sh-{identifier[:12]}" not in links()
    assert lab.store.get("network", identifier) is None
    assert lab.store.intents() == []
    await lab.controller.create({"Name": "app"})


async def test_a_bridge_that_somebody_deleted_is_made_again(lab: Lab) -> None:
    identifier, _ = await lab.controller.create({"Name": "app"})
    name = f"sh-{identifier[:12]}"
    await lab.controller._reaper.delete(name)
    box = await lab.start("web", "app")
    with EchoServer(box.netns, 80):
        assert ask(lab.address(box, "app"), 80) == "10.201.1.1"


async def test_a_renamed_container_is_known_by_its_new_name(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    box = await lab.start("old", "app")
    with lab.store.transaction() as tx:
        lab.controller.rename(tx, box.id, "new")
    answer = await asyncio.to_thread(box.within, lambda: query("new"))
    assert answer.values == [lab.address(box, "app")]
    assert lab.controller.endpoints(box.id)["app"]["DNSNames"] == ["new", box.id[:12]]


async def test_many_containers_start_and_stop_at_once(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    names = [f"c{number}" for number in range(20)]
    boxes = await asyncio.gather(*(lab.start(name, "app") for name in names))
    assert len({lab.address(box, "app") for box in boxes}) == 20
    await asyncio.gather(*(lab.stop(name) for name in names))
    await lab.controller.remove("app")


async def test_the_loop_is_never_held_up_by_a_start(lab: Lab) -> None:
    """Kernel work is the thread's: the loop goes on turning while namespaces are made."""
    await lab.controller.create({"Name": "app"})
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    allocation = lab.allocate(SandboxRequest("e" * 64, "web", "web", network_mode="app"))
    turns = 0
    sandbox = await lab.controller.setup(allocation)
    assert turns > 3
    turning.cancel()
    await lab.controller.teardown("e" * 64)
    with lab.store.transaction() as tx:
        lab.controller.release(tx, "e" * 64)
    process.close_all([*sandbox.store.values(), sandbox.netns or -1])


async def test_a_start_that_is_cancelled_leaves_nothing(lab: Lab) -> None:
    await lab.controller.create({"Name": "app"})
    starting = asyncio.create_task(lab.start("web", "app"))
    await asyncio.sleep(0)
    assert len(lab.store.items("sandbox")) == 1, "it has begun"
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert lab.store.items("endpoint") == []
    await lab.controller.remove("app")


async def test_a_template_network_gives_its_options(lab: Lab) -> None:
    options = {"com.docker.network.driver.mtu": "1300"}
    await lab.controller.create({"Name": "template", "ConfigOnly": True, "Options": options})
    await lab.controller.create({"Name": "app", "ConfigFrom": {"Network": "template"}})
    assert lab.controller.inspect("app")["Options"] == options
    with pytest.raises(Forbidden, match="is in use"):
        await lab.controller.remove("template")


async def test_a_bridge_of_an_earlier_database_gets_this_one_s_addresses(lab: Lab) -> None:
    name = lab.config.default_bridge
    index = netlink.index_of(name)
    assert index is not None
    with netlink.RouteSocket() as route:
        route.execute([netlink.address_add(index, "10.201.77.1", 24)])
    await lab.controller.rebuild()
    assert addresses(name) == {"10.201.0.1/24"}
