from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.errors import EngineError, Forbidden, InvalidArgument, NotFound
from runtime.events import EventBus
from runtime.network.allocation import Allocation, SandboxRequest
from runtime.network.allocator import Allocator, external
from runtime.network.book import NetworkBook
from runtime.network.ipam import Subnet
from runtime.network.record import Network
from runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Desk:
    """An allocator with networks that exist on paper only."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.bus = EventBus()
        self.events: list[dict[str, object]] = []
        self.bus.listen(self.events.append)
        store.on_commit = self.bus.deliver
        self.book = NetworkBook()
        for number, (name, internal) in enumerate(
            (("bridge", False), ("app", False), ("back", False), ("inner", True))
        ):
            self.book.add(
                Network(
                    f"{number}" * 64,
                    name,
                    "",
                    link=f"br{number}",
                    internal=internal,
                    subnets=[Subnet(f"10.201.{number}.0/24", f"10.201.{number}.1")],
                    user_subnets=name == "back",
                )
            )
        for name, driver in (("host", "host"), ("none", "null")):
            self.book.add(Network(name[0] * 64, name, "", driver=driver))
        self.allocator = Allocator(store, self.bus, self.book)

    def allocate(self, name: str = "web", mode: str = "app", **options: object) -> Allocation:
        request = SandboxRequest(
            name * 8,
            name,
            name,
            network_mode=mode,
            **options,  # type: ignore[arg-type]
        )
        with self.store.transaction() as tx:
            return self.allocator.allocate(tx, request)

    def release(self, allocation: Allocation) -> None:
        with self.store.transaction() as tx:
            self.allocator.release(tx, allocation)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = Store.open(str(tmp_path / "shoal.db"))
    yield Desk(store)
    store.close()


def published(*ports: str) -> dict[str, list[dict[str, str]]]:
    return {f"{80 + n}/tcp": [{"HostPort": port}] for n, port in enumerate(ports)}


def test_an_allocation_survives_the_store(desk: Desk) -> None:
    made = desk.allocate(port_bindings=published("8080"), exposed_ports=["81/udp"])
    assert desk.allocator.load() == {"web" * 8: made}
    assert desk.allocator.find("web" * 8) == made


def test_a_release_gives_everything_back_once(desk: Desk) -> None:
    made = desk.allocate(port_bindings=published("8080", ""))
    assert desk.store.owned("web" * 8) != []
    assert desk.events == []  # it is connected once it runs
    desk.release(made)
    desk.release(made)
    assert desk.store.owned("web" * 8) == []
    assert desk.store.items("sandbox") == desk.store.items("endpoint") == []
    assert [event["Action"] for event in desk.events] == ["disconnect"]


def test_a_refused_allocation_takes_nothing(desk: Desk) -> None:
    desk.allocate("first", port_bindings=published("8081"))
    with pytest.raises(EngineError, match="port is already allocated"):
        desk.allocate("second", port_bindings=published("8080", "8081"))
    assert desk.store.owned("second" * 8) == []
    assert desk.allocate("third", port_bindings=published("8080")).ports[0].host_port == 8080


def test_ports_of_different_addresses_do_not_meet(desk: Desk) -> None:
    def at(address: str) -> dict[str, list[dict[str, str]]]:
        return {"80/tcp": [{"HostIp": address, "HostPort": "80"}]}

    desk.allocate("first", port_bindings=at("127.0.0.1"))
    desk.allocate("second", port_bindings=at("127.0.0.2"))
    desk.allocate("third", port_bindings=at("::1"))
    with pytest.raises(EngineError, match=r"Bind for 0\.0\.0\.0:80 failed"):
        desk.allocate("fourth", port_bindings=at("0.0.0.0"))
    desk.allocate("fifth", port_bindings={"80/udp": [{"HostPort": "80"}]})


def test_ephemeral_ports_follow_one_another(desk: Desk) -> None:
    first = desk.allocate("first", port_bindings=published(""))
    second = desk.allocate("second", port_bindings=published(""))
    assert second.ports[0].host_port == first.ports[0].host_port + 1


def test_ports_lead_to_the_network_that_has_a_gateway(desk: Desk) -> None:
    made = desk.allocate(endpoints={"inner": {}, "back": {}, "app": {}})
    gateway = external(made.endpoints)
    assert gateway is not None
    assert gateway.network_name == "app"
    alone = desk.allocate("alone", "inner", port_bindings=published("80"))
    assert (alone.ports, alone.exposed_ports) == ([], [])


def test_names_are_those_of_docker_s_dns_names(desk: Desk) -> None:
    made = desk.allocate(endpoints={"app": {"Aliases": ["www", "web"]}})
    assert made.endpoints[0].names == ["web", "www", "webwebwebweb"]
    assert desk.allocate("plain", "bridge").endpoints[0].names == []


def test_a_network_given_by_id_or_by_mode_alone_is_found(desk: Desk) -> None:
    assert desk.allocate("first", "1" * 12).endpoints[0].network_name == "app"
    assert desk.allocate("second", "default").endpoints[0].network_name == "bridge"
    assert desk.allocate("third", "bridge", endpoints={"default": None}).endpoints[0].default_bridge


def test_container_mode_takes_nothing(desk: Desk) -> None:
    made = desk.allocate(mode="container:other")
    assert (made.mode, made.endpoints) == ("container", [])


def test_host_mode_has_an_endpoint_without_addresses(desk: Desk) -> None:
    (endpoint,) = desk.allocate(mode="host", port_bindings=published("80")).endpoints
    assert (endpoint.network_name, endpoint.address4, endpoint.interface) == ("host", "", "")
    assert desk.store.leases("port:tcp:80") == {}


def test_a_full_network_says_so(desk: Desk) -> None:
    network = desk.book.find("app")
    network.subnets = [Subnet("10.201.1.0/30", "10.201.1.1")]
    desk.allocate("first")
    with pytest.raises(Forbidden, match="no available IPv4 addresses"):
        desk.allocate("second")


def test_a_missing_network_is_named(desk: Desk) -> None:
    with pytest.raises(NotFound, match="failed to set up container networking: network x not fo"):
        desk.allocate(mode="x")


@pytest.mark.parametrize(
    ("network", "settings", "message"),
    [
        (
            "bridge",
            {"Aliases": ["x"]},
            "network-scoped alias is supported only for containers in user",
        ),
        (
            "app",
            {"IPAMConfig": {"IPv4Address": "10.201.1.9"}},
            (
                "invalid config for network app: invalid endpoint settings:\nuser specified IP"
                " address is supported only when connecting to networks with user configured"
                " subnets"
            ),
        ),
        (
            "back",
            {"IPAMConfig": {"IPv4Address": "bogus"}},
            (
                "* invalid IPv4 address: bogus\n"
                "* no configured subnet or ip-range contain the IP address bogus"
            ),
        ),
        ("app", {"MacAddress": "zz"}, "invalid config for network app: invalid MAC address zz"),
    ],
)
def test_what_can_never_work_is_refused_when_the_container_is_created(
    desk: Desk, network: str, settings: dict[str, object], message: str
) -> None:
    request = SandboxRequest("c", "c", "c", network_mode=network, endpoints={network: settings})
    with pytest.raises(InvalidArgument) as caught:
        desk.allocator.check(request)
    assert message in caught.value.message


def test_a_network_that_does_not_exist_yet_is_no_reason_to_refuse_a_create(desk: Desk) -> None:
    request = SandboxRequest("c", "c", "c", network_mode="later")
    desk.allocator.check(request)
    with pytest.raises(NotFound, match="network later not found"):
        desk.allocate("c", mode="later")
