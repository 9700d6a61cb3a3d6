"""A host network of a test's own, and containers' namespaces in it, with real packets.

`HostNetwork` moves the test's main thread, and with it every thread that is started afterwards,
into a new network namespace: what an engine does to "the host" there touches neither the machine
nor other tests.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

import dns.message
import dns.query

from runtime.config import AddressPool, EngineConfig
from runtime.events import EventBus
from runtime.linux import syscalls
from runtime.network import fast_netlink as netlink
from runtime.network.allocation import ContainerView, SandboxRequest
from runtime.network.bridge import write_sysctl
from runtime.network.controller import NetworkController
from runtime.store import Store
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from runtime.network.allocation import Allocation, Attachment, JsonObject, Sandbox

_T = TypeVar("_T")
_NAMESPACE = "/proc/thread-self/ns/net"
OUTSIDE, HOST_SIDE = "10.201.250.2", "10.201.250.1"
LIMIT = 20.0


def open_namespace() -> int:
    """Return a descriptor of the thread's network namespace."""
    return os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)


@contextlib.asynccontextmanager
async def running_lab(directory: Path) -> AsyncIterator[Lab]:
    """Open a lab on a host network of its own and check afterwards that nothing is left of it."""
    descriptors = len(os.listdir("/proc/self/fd"))
    with HostNetwork() as host:
        lab = Lab(directory, host)
        await lab.open()
        try:
            yield lab
        finally:
            await lab.close()
        eventually(lambda: not _left_links(), lambda: f"left behind: {_left_links()}")
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def _left_links() -> list[str]:
    return [name for _, name in socket.if_nameindex() if name.startswith("shv")]


def within(netns: int, work: Callable[[], _T]) -> _T:
    """Do something in a namespace, by a thread of its own; sockets keep their namespace."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            syscalls.setns(netns, syscalls.CLONE_NEWNET)
            results.append(work())
        except BaseException as error:  # noqa: BLE001, handed to the caller
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


class HostNetwork:
    """A network namespace that plays the host, with a neighbour `outside` on a link of its own."""

    def __init__(self) -> None:
        self._real = open_namespace()
        syscalls.unshare(syscalls.CLONE_NEWNET)
        self.netns = open_namespace()
        self.outside = -1
        with netlink.RouteSocket() as route:
            route.execute([netlink.link_up("lo")])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        syscalls.setns(self._real, syscalls.CLONE_NEWNET)
        for fd in (self._real, self.netns, self.outside):
            if fd >= 0:
                os.close(fd)

    def add_outside(self) -> int:
        """Make the neighbour; its way to everywhere is the host."""
        done: list[int] = []

        def make() -> None:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            done.append(open_namespace())

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        self.outside = done[0]
        with netlink.RouteSocket() as route:
            route.execute([netlink.bridge_add("lan0", 1500, b"\x02\0\0\0\0\1", 0)])
            index = netlink.index_of("lan0")
            assert index is not None
            veth = netlink.Veth("lan1", "eth0", b"\x02\0\0\0\0\2", self.outside, index, 0, 0)
            route.execute(
                [
                    netlink.veth_add(veth),
                    netlink.address_add(index, HOST_SIDE, 24),
                    netlink.address_add(index, "fd00:250::1", 64),
                ]
            )
        within(self.outside, self._fill_outside)
        return self.outside

    @staticmethod
    def _fill_outside() -> None:
        with netlink.RouteSocket() as route:
            index = netlink.index_of("eth0")
            assert index is not None
            route.execute([netlink.link_up("lo"), netlink.address_add(index, OUTSIDE, 24)])
            route.execute([netlink.address_add(index, "fd00:250::2", 64), netlink.link_up("eth0")])
            route.execute([netlink.default_route(index, HOST_SIDE)])
            route.execute([netlink.default_route(index, "fd00:250::1")])


class Box:
    """A container as far as its network goes: a namespace, and what the shim would keep."""

    def __init__(self, container_id: str, name: str, sandbox: Sandbox) -> None:
        self.id = container_id
        self.name = name
        self.sandbox = sandbox
        self.store = dict(sandbox.store)
        self.netns = -1 if sandbox.netns is None else sandbox.netns

    def within(self, work: Callable[[], _T]) -> _T:
        """Do something in the container's namespace."""
        return within(self.netns, work)

    def fds(self) -> dict[str, int]:
        """Return what the shim would answer when it is asked for its descriptors."""
        return {"netns": self.netns, **self.store}

    def close(self) -> None:
        """End the container: nobody holds its namespace any more."""
        for fd in (self.netns, *self.store.values()):
            if fd >= 0:
                os.close(fd)
        self.store.clear()
        self.netns = -1


class Lab:
    """A controller with a database of its own, and boxes instead of containers."""

    def __init__(self, directory: Path, host: HostNetwork, pool: str = "10.201.0.0/17") -> None:
        self.directory = directory
        self.host = host
        self.config = EngineConfig(
            data_root=os.fspath(directory / "data"),
            run_root=os.fspath(directory / "run"),
            address_pools=(AddressPool(pool, 24),),
        )
        os.makedirs(self.config.data_root, exist_ok=True)
        self.events: list[JsonObject] = []
        self.boxes: dict[str, Box] = {}
        self.requests: dict[str, SandboxRequest] = {}
        self._open()

    def _open(self) -> None:
        self.store = Store.open(self.config.database_path)
        self.bus = EventBus()
        self.bus.listen(self.events.append)
        self.store.on_commit = self.bus.deliver
        self.controller = NetworkController(self.config, self.store, self.bus)

    async def open(self) -> None:
        """Start the controller."""
        await self.controller.start()
        await self.controller.rebuild()

    async def shut(self) -> None:
        """End the engine; the boxes live on."""
        await self.controller.close()
        self.store.close()

    async def revive(self) -> None:
        """Start another engine, which adopts the boxes."""
        self._open()
        await self.controller.start()
        for box in self.boxes.values():
            await self.controller.adopt(box.id, box.fds())
        await self.controller.rebuild()

    async def close(self) -> None:
        """Stop all boxes and the controller."""
        for name in list(self.boxes):
            await self.stop(name)
        await self.controller.close()
        self.store.close()

    def allocate(self, request: SandboxRequest) -> Allocation:
        """Decide a box's network in a transaction."""
        with self.store.transaction() as tx:
            return self.controller.allocate(tx, request)

    async def start(self, name: str, network_mode: str = "default", **options: object) -> Box:
        """Start a box."""
        container_id = os.urandom(32).hex()
        request = SandboxRequest(
            container_id,
            name,
            container_id[:12],
            network_mode=network_mode,
            **options,  # type: ignore[arg-type]
        )
        allocation = self.allocate(request)
        try:
            sandbox = await self.controller.setup(allocation)
        except BaseException:
            with self.store.transaction() as tx:
                self.controller.release(tx, container_id)
            raise
        box = self.boxes[name] = Box(container_id, name, sandbox)
        return box

    async def stop(self, name: str) -> None:
        """Stop a box."""
        box = self.boxes.pop(name)
        await self.controller.teardown(box.id)
        with self.store.transaction() as tx:
            self.controller.release(tx, box.id)
        box.close()

    async def connect(
        self, network: str, box: Box, settings: Mapping[str, object] | None = None
    ) -> Attachment:
        """Connect a running box, as an engine does it."""
        view = ContainerView(box.id, box.name, running=True)
        attachment = await self.controller.connect(network, view, settings, box.fds())
        box.store.update(attachment.store)
        return attachment

    async def disconnect(self, network: str, box: Box) -> Attachment:
        """Disconnect a running box."""
        view = ContainerView(box.id, box.name, running=True)
        return await self.controller.disconnect(network, view, box.fds())

    def address(self, box: Box, network: str) -> str:
        """Return a box's IPv4 address on a network."""
        return str(self.controller.endpoints(box.id)[network]["IPAddress"])


class EchoServer:
    """Answers each TCP connection, or datagram, with the address that it seems to come from."""

    def __init__(self, netns: int, port: int, *, udp: bool = False, family: int = 2) -> None:
        kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
        self._socket = within(netns, lambda: socket.socket(family, kind))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        self._stop_read, self._stop_write = os.pipe()
        if not udp:
            self._socket.listen(16)
        self._thread = threading.Thread(target=self._datagrams if udp else self._connections)
        self._thread.start()

    def _waiting(self) -> bool:
        waiting = [self._socket.fileno(), self._stop_read]
        return self._stop_read not in select.select(waiting, [], [])[0]

    def _connections(self) -> None:
        while self._waiting():
            client, peer = self._socket.accept()
            with client:
                client.sendall(peer[0].encode())

    def _datagrams(self) -> None:
        while self._waiting():
            _data, peer = self._socket.recvfrom(1000)
            self._socket.sendto(peer[0].encode(), peer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._stop_write, b"x")
        self._thread.join()
        self._socket.close()
        os.close(self._stop_read)
        os.close(self._stop_write)


def ask(address: str, port: int, limit: float = LIMIT) -> str:
    """Connect by TCP and return how the other side sees us."""
    with socket.create_connection((address, port), timeout=limit) as connection:
        return connection.recv(100).decode()


def ask_udp(address: str, port: int, limit: float = LIMIT) -> str:
    """Send a datagram and return how the other side sees us."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(limit)
        asking.connect((address, port))
        asking.send(b"?")
        return asking.recv(100).decode()


def is_dropped(work: Callable[[], object]) -> bool:
    """Tell whether packets vanish: no answer at all within a second."""
    try:
        work()
    except (TimeoutError, OSError) as error:
        return not isinstance(error, ConnectionRefusedError)
    return False


class Reply(NamedTuple):
    """A name server's answer."""

    code: str
    values: list[str]


def query(name: str, kind: str = "A", *, tcp: bool = False, server: str = "127.0.0.11") -> Reply:
    """Ask the name server as a container's resolver does."""
    question = dns.message.make_query(name, kind)
    send = dns.query.tcp if tcp else dns.query.udp
    answer = send(question, server, timeout=LIMIT)
    values = [str(item) for rrset in answer.answer for item in rrset]
    return Reply(answer.rcode().name, values)


def disable_bridge_filtering() -> None:
    """Let bridged frames pass the packet filter unseen, as on a host without br_netfilter."""
    write_sysctl("net/bridge/bridge-nf-call-iptables", "0")
    write_sysctl("net/bridge/bridge-nf-call-ip6tables", "0")


def links() -> dict[str, netlink.Link]:
    """Return the interfaces of the thread's namespace by name."""
    with netlink.RouteSocket() as route:
        return {link.name: link for link in route.links()}


def addresses(name: str) -> set[str]:
    """Return the addresses of an interface of the thread's namespace."""
    index = netlink.index_of(name)
    assert index is not None
    with netlink.RouteSocket() as route:
        return route.addresses(index)
