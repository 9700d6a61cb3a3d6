"""A container's network namespace: made, entered and filled by the network thread.

Source: network_namespaces(7), setns(2). The thread unshares, opens what it needs (a socket serves
the namespace it was opened in, for ever) and goes back to the host's namespace, or it would pin the
new one. A namespace is held by descriptors only: no mount, nothing to clean after a crash.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING, NamedTuple

from runtime.linux import syscalls
from runtime.network import fast_netlink as netlink
from runtime.network.allocation import BRIDGE
from runtime.network.endpoint import Port, attach, set_default_routes
from runtime.network.firewall import name_server_rules
from runtime.network.nftables import NftSocket
from runtime.network.sandbox_files import NAME_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runtime.network.allocation import Endpoint
    from runtime.network.vlan import Parent

_OWN_NAMESPACE = "/proc/thread-self/ns/net"


class NameSockets(NamedTuple):
    """The sockets of the name server in a container's namespace."""

    udp: socket.socket
    tcp: socket.socket

    def close(self) -> None:
        """Close both."""
        self.udp.close()
        self.tcp.close()


class BuiltSandbox(NamedTuple):
    """A namespace's descriptor and its name server's sockets."""

    netns: int
    names: NameSockets | None

    def close(self) -> None:
        """Let go of the namespace; with it the kernel removes its links."""
        os.close(self.netns)
        if self.names is not None:
            self.names.close()


class Namespaces:
    """The network thread's way into namespaces and back."""

    def __init__(self) -> None:
        self._host = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        self.route = netlink.RouteSocket()

    def close(self) -> None:
        """Close the host's descriptors."""
        os.close(self._host)
        self.route.close()

    @contextlib.contextmanager
    def entered(self, netns: int) -> Iterator[None]:
        """Be in a namespace for the length of a block."""
        syscalls.setns(netns, syscalls.CLONE_NEWNET)
        try:
            yield
        finally:
            syscalls.setns(self._host, syscalls.CLONE_NEWNET)

    @contextlib.contextmanager
    def _new(self) -> Iterator[int]:
        """Be in a new namespace for the length of a block; yields its descriptor."""
        syscalls.unshare(syscalls.CLONE_NEWNET)
        try:
            netns = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield netns
            except BaseException:
                os.close(netns)
                raise
        finally:
            syscalls.setns(self._host, syscalls.CLONE_NEWNET)

    @contextlib.contextmanager
    def _given(self, given: int) -> Iterator[int]:
        """Be in a namespace that was made already; yields a duplicate of its descriptor."""
        netns = os.dup(given)
        try:
            with self.entered(netns):
                yield netns
        except BaseException:
            os.close(netns)
            raise

    def build(
        self,
        endpoints: Sequence[Endpoint],
        ports: Mapping[str, Port | Parent],
        *,
        names: bool,
        netns: int | None = None,
    ) -> BuiltSandbox:
        """Make a namespace with its endpoints.

        Args:
            endpoints: in the order of their interfaces.
            ports: the bridge port by network id.
            names: whether it gets a name server.
            netns: an empty namespace to fill, instead of a new one; it stays the caller's.
        """
        with (
            contextlib.ExitStack() as undo,
            self._new() if netns is None else self._given(netns) as inner,
            netlink.RouteSocket() as inside,
        ):
            inside.execute([netlink.link_up("lo")])
            for endpoint in endpoints:
                attach(self.route, inside, inner, endpoint, ports[endpoint.network_id])
            set_default_routes(inside, endpoints)
            sockets = None
            if names:
                sockets = open_name_sockets()
                undo.callback(sockets.close)
            undo.pop_all()
            return BuiltSandbox(inner, sockets)

    def connect(
        self, netns: int, endpoint: Endpoint, port: Port | Parent, others: Sequence[Endpoint]
    ) -> None:
        """Add an endpoint to a running container, whose other endpoints are `others`."""
        with self.entered(netns), netlink.RouteSocket() as inside:
            attach(self.route, inside, netns, endpoint, port)
            set_default_routes(inside, [*others, endpoint])

    def disconnect(self, netns: int, endpoint: Endpoint, others: Sequence[Endpoint]) -> None:
        """Take an endpoint out of service; deleting its link is left to the caller."""
        with self.entered(netns), netlink.RouteSocket() as inside:
            index = netlink.index_of(endpoint.interface)
            if index is not None and endpoint.driver == BRIDGE:
                inside.execute([netlink.link_group(index, 0)])
            elif index is not None:  # it has no end on the host to be deleted by
                inside.execute([netlink.link_delete(index)])
            set_default_routes(inside, others)

    def name_sockets(self, netns: int) -> NameSockets:
        """Open a name server's sockets in a running container."""
        with self.entered(netns):
            return open_name_sockets()

    def open_socket(self, netns: int, family: int, kind: int) -> socket.socket:
        """Open a socket in a container's namespace."""
        with self.entered(netns):
            return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def open_name_sockets() -> NameSockets:
    """Open the sockets in the thread's namespace and let 127.0.0.11:53 lead to them."""
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | flags)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | flags)
    sockets = NameSockets(udp, tcp)
    try:
        for one in sockets:
            one.bind((NAME_SERVER, 0))
        tcp.listen(16)
        with NftSocket(buffer=0) as rules:
            rules.commit(name_server_rules(udp.getsockname()[1], tcp.getsockname()[1]))
    except BaseException:
        sockets.close()
        raise
    return sockets
