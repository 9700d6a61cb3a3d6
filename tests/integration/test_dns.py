"""The name server of containers, asked from their namespaces."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import dns.message
import dns.rcode
import dns.rrset
import pytest

from runtime.network import host_files
from runtime.network.sandbox_files import NAME_SERVER
from tests.support.network_lab import OUTSIDE, Box, Lab, Reply, query, running_lab, within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.root


@pytest.fixture
async def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text(f"nameserver {OUTSIDE}\nsearch example.org\n", encoding="ascii")
    monkeypatch.setattr(host_files, "RESOLV_CONF", str(resolver))
    async with running_lab(tmp_path) as lab:
        await lab.controller.create({"Name": "app"})
        yield lab


async def resolve(box: Box, name: str, kind: str = "A", *, tcp: bool = False) -> Reply:
    return await asyncio.to_thread(box.within, lambda: query(name, kind, tcp=tcp))


class Upstream:
    """A name server outside: knows one name, counts the questions and where they come from."""

    def __init__(self, netns: int, *, code: int = 0, address: str = OUTSIDE) -> None:
        self.peers: list[str] = []
        self._code = code
        self._udp = within(netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._udp.bind((address, 53))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, peer = self._udp.recvfrom(4096)
            if data == b"end":
                return
            self.peers.append(peer[0])
            question = dns.message.from_wire(data)
            answer = dns.message.make_response(question)
            answer.set_rcode(dns.rcode.Rcode(self._code))
            name = question.question[0].name
            if self._code == 0:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "203.0.113.9"))
            self._udp.sendto(answer.to_wire(), peer)

    def close(self) -> None:
        self._udp.sendto(b"end", self._udp.getsockname())
        self._thread.join()
        self._udp.close()


@contextlib.contextmanager
def upstream(netns: int, **options: object) -> Iterator[Upstream]:
    server = Upstream(netns, **options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.close()


async def test_a_container_is_known_by_name_alias_and_short_id(lab: Lab) -> None:
    web = await lab.start("web", "app", endpoints={"app": {"Aliases": ["www", "db"]}})
    asker = await lab.start("asker", "app")
    address = lab.address(web, "app")
    for name in ("web", "WWW", "db", "web.app", "Db.App", web.id[:12]):
        assert await resolve(asker, name) == Reply("NOERROR", [address]), name


async def test_the_answer_by_tcp_is_the_same(lab: Lab) -> None:
    web, asker = await lab.start("web", "app"), await lab.start("asker", "app")
    answer = await resolve(asker, "web", tcp=True)
    assert answer == Reply("NOERROR", [lab.address(web, "app")])


async def test_many_containers_of_one_alias_are_all_answered_in_turn(lab: Lab) -> None:
    boxes = [
        await lab.start(f"web{number}", "app", endpoints={"app": {"Aliases": ["web"]}})
        for number in range(3)
    ]
    addresses = {lab.address(box, "app") for box in boxes}
    answers = [await resolve(boxes[0], "web") for _ in range(24)]
    assert all(set(answer.values) == addresses for answer in answers)
    assert {answer.values[0] for answer in answers} == addresses


async def test_a_stopped_container_is_no_longer_known(lab: Lab) -> None:
    lab.host.add_outside()
    await lab.start("web", "app")
    asker = await lab.start("asker", "app")
    await lab.stop("web")
    with upstream(lab.host.outside, code=3):
        assert await resolve(asker, "web") == Reply("NXDOMAIN", [])


async def test_a_known_name_without_ipv6_is_an_empty_answer(lab: Lab) -> None:
    await lab.start("web", "app")
    asker = await lab.start("asker", "app")
    for kind in ("AAAA", "MX"):
        assert await resolve(asker, "web", kind) == Reply("NOERROR", [])


async def test_ipv6_addresses_are_answered(lab: Lab) -> None:
    await lab.controller.create({"Name": "six", "EnableIPv6": True})
    web = await lab.start("web", "six")
    address = lab.controller.endpoints(web.id)["six"]["GlobalIPv6Address"]
    assert await resolve(web, "web", "AAAA") == Reply("NOERROR", [str(address)])


async def test_an_address_is_turned_into_a_name(lab: Lab) -> None:
    web, asker = await lab.start("web", "app"), await lab.start("asker", "app")
    assert lab.address(web, "app") == "10.201.1.2"
    answer = await resolve(asker, "2.1.201.10.in-addr.arpa", "PTR")
    assert answer == Reply("NOERROR", ["web.app."])


async def test_names_of_other_networks_are_unknown(lab: Lab) -> None:
    lab.host.add_outside()
    await lab.controller.create({"Name": "other"})
    await lab.start("web", "app")
    stranger = await lab.start("stranger", "other")
    with upstream(lab.host.outside, code=3):
        assert (await resolve(stranger, "web")).code == "NXDOMAIN"
        reverse = await resolve(stranger, "2.1.201.10.in-addr.arpa", "PTR")
        assert reverse.code == "NXDOMAIN"


async def test_other_names_are_asked_from_the_host(lab: Lab) -> None:
    lab.host.add_outside()
    asker = await lab.start("asker", "app")
    with upstream(lab.host.outside) as server:
        assert (await resolve(asker, "example.com")).values == ["203.0.113.9"]
        assert server.peers == ["10.201.250.1"]


async def test_servers_of_the_container_are_asked_from_the_container(lab: Lab) -> None:
    lab.host.add_outside()
    servers = (OUTSIDE,)
    asker = await lab.start("asker", "app", dns=servers)
    one = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    await lab.controller.create({"Name": "routed", "Options": one})
    routed = await lab.start("routed", "routed", dns=servers)
    with upstream(lab.host.outside) as server:
        assert (await resolve(asker, "example.com")).values == ["203.0.113.9"]
        assert (await resolve(routed, "example.com")).values == ["203.0.113.9"]
        assert server.peers == ["10.201.250.1", lab.address(routed, "routed")]


async def test_a_server_that_fails_passes_the_question_on(lab: Lab) -> None:
    lab.host.add_outside()
    asker = await lab.start("asker", "app", dns=("10.201.250.1", OUTSIDE))
    with (
        upstream(lab.host.netns, code=2, address="10.201.250.1") as first,
        upstream(lab.host.outside) as second,
    ):
        assert (await resolve(asker, "example.com")).values == ["203.0.113.9"]
        assert len(first.peers) == len(second.peers) == 1


async def test_with_internal_networks_only_nothing_is_forwarded(lab: Lab) -> None:
    lab.host.add_outside()
    await lab.controller.create({"Name": "inner", "Internal": True})
    asker = await lab.start("asker", "inner")
    with upstream(lab.host.outside) as server:
        assert (await resolve(asker, "example.com")).code == "SERVFAIL"
        assert (await resolve(asker, "asker")).code == "NOERROR"
        assert server.peers == []


async def test_single_labels_are_not_forwarded_when_ndots_is_set(lab: Lab) -> None:
    lab.host.add_outside()
    asker = await lab.start("asker", "app", dns_options=("ndots:2",))
    with upstream(lab.host.outside) as server:
        assert (await resolve(asker, "nobody")).code == "NXDOMAIN"
        assert (await resolve(asker, "some.body")).code == "NOERROR"
        assert len(server.peers) == 1


async def test_a_server_of_the_container_may_use_port_53(lab: Lab) -> None:
    box = await lab.start("named", "app")

    def bind() -> None:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as own:
                own.bind(("0.0.0.0", 53))

    box.within(bind)
    assert (await resolve(box, "named")).code == "NOERROR"


async def test_what_is_no_question_gets_no_answer_and_harms_nothing(lab: Lab) -> None:
    box = await lab.start("web", "app")

    def send_rubbish() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for data in (b"", b"\0" * 5, b"\xff" * 600, b"\0\1\x80\0" + b"\0" * 8):
                sender.sendto(data, (NAME_SERVER, 53))

    box.within(send_rubbish)
    assert (await resolve(box, "web")).code == "NOERROR"


async def test_the_default_bridge_has_no_name_server(lab: Lab) -> None:
    box = await lab.start("web")
    assert box.sandbox.resolv_conf is not None
    assert f"nameserver {OUTSIDE}\n".encode() in box.sandbox.resolv_conf
    assert NAME_SERVER.encode() not in box.sandbox.resolv_conf
    assert "dns:udp" not in box.store


async def test_a_link_is_a_name_that_only_one_container_knows(lab: Lab) -> None:
    lab.host.add_outside()
    web = await lab.start("web", "app")
    asker = await lab.start("asker", "app", endpoints={"app": {"Links": ["web:backend"]}})
    with upstream(lab.host.outside, code=3):
        assert (await resolve(asker, "backend")).values == [lab.address(web, "app")]
        assert (await resolve(web, "backend")).code == "NXDOMAIN"


async def test_questions_wait_while_there_is_no_engine(lab: Lab) -> None:
    web, asker = await lab.start("web", "app"), await lab.start("asker", "app")
    address = lab.address(web, "app")
    await lab.shut()
    waiting = asyncio.get_running_loop().run_in_executor(
        None, lambda: asker.within(lambda: query("web"))
    )
    await lab.revive()
    assert (await waiting).values == [address]
