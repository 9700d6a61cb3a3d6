"""Who reaches whom, and what stops a connection: each obstacle is named, with what helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from compose.reachability import ICC, Listener, Port, World, overview, trace, world

if TYPE_CHECKING:
    from compose.engine.wire import ContainerInspect, NetworkInspect

NETWORKS = cast(
    "list[NetworkInspect]",
    [
        {"Name": "bridge", "Driver": "bridge"},
        {"Name": "front", "Driver": "bridge"},
        {"Name": "back", "Driver": "bridge", "Internal": True},
        {"Name": "quiet", "Driver": "bridge", "Options": {ICC: "false"}},
        {"Name": "host", "Driver": "host"},
        {"Name": "none", "Driver": "null"},
    ],
)


def container(name: str, *networks: str, **more: object) -> ContainerInspect:
    number = sum(map(ord, name)) % 250
    places = {
        network: {
            "IPAddress": f"10.0.{position}.{number}",
            "DNSNames": None if network == "bridge" else [name, "0123456789ab"],
        }
        for position, network in enumerate(networks)
    }
    return cast(
        "ContainerInspect",
        {
            "Id": name * 8,
            "Name": f"/{name}",
            "State": {"Running": more.get("running", True)},
            "HostConfig": {"NetworkMode": more.get("mode", networks[0] if networks else "none")},
            "NetworkSettings": {"Networks": places, "Ports": more.get("ports")},
        },
    )


def seen(*containers: ContainerInspect, **listening: list[tuple[int, str]]) -> World:
    listeners = {
        name * 8: [Listener(Port(port), address) for port, address in found]
        for name, found in listening.items()
    }
    return world(containers, NETWORKS, listeners)


def told(world: World, one: str, other: str, port: int = 0) -> tuple[bool, str]:
    source, target = world.find(one), world.find(other)
    assert source is not None
    assert target is not None
    hops = trace(world, source, target, Port(port) if port else None)
    return hops[-1].passed, "\n".join(f"{hop.text} | {hop.remedy}" for hop in hops)


def test_a_connection_over_a_common_network_arrives() -> None:
    lab = seen(container("web", "front"), container("db", "front"), db=[(5432, "0.0.0.0")])
    arrives, text = told(lab, "web", "db", 5432)
    assert arrives
    assert "both are on front" in text
    assert "db resolves to 10.0.0." in text
    assert "db listens on 5432/tcp" in text


@pytest.mark.parametrize(
    ("listening", "said", "remedy"),
    [
        ([(5432, "127.0.0.1")], "at 127.0.0.1: nobody else reaches it", "listen on 0.0.0.0"),
        ([(80, "0.0.0.0")], "nobody listens on 5432/tcp in db: it listens on 80/tcp", "shoal why"),
        ([], "it listens nowhere", "shoal why db"),
        ([(40000, "127.0.0.11")], "it listens nowhere", "shoal why db"),
    ],
)
def test_a_port_that_nobody_takes_is_the_end(
    listening: list[tuple[int, str]], said: str, remedy: str
) -> None:
    lab = seen(container("web", "front"), container("db", "front"), db=listening)
    arrives, text = told(lab, "web", "db", 5432)
    assert not arrives
    assert said in text
    assert remedy in text


def test_an_engine_that_knows_no_listeners_is_believed() -> None:
    lab = world([container("web", "front"), container("db", "front")], NETWORKS, {})
    assert told(lab, "web", "db", 5432)[0]


def test_without_a_common_network_the_way_stops_and_says_what_to_connect() -> None:
    lab = seen(container("web", "front"), container("db", "back"))
    arrives, text = told(lab, "web", "db")
    assert not arrives
    assert "no network in common: web is on front; db is on back" in text
    assert "docker network connect back web" in text


def test_a_published_port_is_a_way_round() -> None:
    ports = {"5432/tcp": [{"HostIp": "0.0.0.0", "HostPort": "15432"}]}
    lab = seen(
        container("web", "front"),
        container("db", "quiet", ports=ports),
        container("sealed", "back"),
        db=[(5432, "::")],
    )
    arrives, text = told(lab, "web", "db", 5432)
    assert arrives
    assert "by the host's address and port 15432 (0.0.0.0:15432)" in text
    assert not told(lab, "web", "db", 80)[0]
    assert not told(lab, "sealed", "db", 5432)[0], "an internal network has no way out"


def test_a_port_published_on_loopback_is_no_way_for_containers() -> None:
    ports = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    lab = seen(container("a", "front"), container("b", "quiet", ports=ports), b=[(80, "0.0.0.0")])
    assert not told(lab, "a", "b", 80)[0]


def test_without_icc_siblings_are_stopped() -> None:
    lab = seen(container("a", "quiet"), container("b", "quiet"), b=[(80, "0.0.0.0")])
    arrives, text = told(lab, "a", "b", 80)
    assert not arrives
    assert f"{ICC} is false" in text


def test_the_default_bridge_has_no_names() -> None:
    lab = seen(container("a", "bridge"), container("b", "bridge"), b=[(80, "0.0.0.0")])
    arrives, text = told(lab, "a", "b", 80)
    assert arrives
    assert "bridge has no names: reach it at 10.0.0." in text


@pytest.mark.parametrize("mode", ["container:" + "a" * 8, "container:a"])
def test_a_shared_namespace_is_localhost(mode: str) -> None:
    lab = seen(container("a", "front"), container("b", mode=mode), b=[(80, "127.0.0.1")])
    arrives, text = told(lab, "a", "b", 80)
    assert arrives
    assert "localhost" in text


def test_the_hosts_network_is_reached_by_its_gateway() -> None:
    lab = seen(container("a", "front"), container("b", "host", mode="host"), b=[(80, "0.0.0.0")])
    arrives, text = told(lab, "a", "b", 80)
    assert arrives
    assert "host.docker.internal" in text
    assert told(lab, "b", "a")[0]


@pytest.mark.parametrize("pair", [("gone", "web"), ("web", "gone")])
def test_who_does_not_run_is_named_first(pair: tuple[str, str]) -> None:
    lab = seen(container("web", "front"), container("gone", running=False))
    arrives, text = told(lab, *pair)
    assert not arrives
    assert "gone does not run" in text
    assert "shoal why gone" in text


def test_the_overview_shows_networks_and_who_reaches_whom() -> None:
    ports = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostPort": ""}]}
    lab = seen(
        container("web", "front", "back", ports=ports),
        container("db", "back"),
        container("lone", "front"),
        container("gone", "front", running=False),
        web=[(80, "0.0.0.0")],
    )
    lines = overview(lab)
    assert "back (bridge, internal: no way out)" in lines
    assert any(
        "web  10.0.0." in line and "(listens on 80/tcp; published 0.0.0.0:8080 -> 80/tcp)" in line
        for line in lines
    )
    assert "web reaches db as db, lone as lone" in lines
    assert "lone reaches web as web" in lines
    assert "  not db (no network in common)" in lines
    assert not any("gone" in line for line in lines)


def test_obstacles_of_other_firewalls_are_shown() -> None:
    lab = world([container("a", "front")], NETWORKS, {}, ["ufw drops it: allow it"])
    assert "Firewall: ufw drops it: allow it" in overview(lab)


def test_a_container_is_found_by_name_id_and_beginning() -> None:
    lab = seen(container("web", "front"), container("db", "front"))
    names = [getattr(lab.find(word), "name", None) for word in ("web", "db" * 8, "webweb", "x")]
    assert names == ["web", "db", "web", None]
