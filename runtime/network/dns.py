"""The name server of containers: 127.0.0.11 in each namespace, answered by the engine.

Source: Docker's embedded DNS. The sockets were made in the container's namespace (`sandbox`) and
rest in the shim when there is no engine: questions wait in them. Names of containers are answered
from `dns_zone`, everything else goes to the host's or the container's own name servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING

from runtime.network.dns_forwarder import Forwarder, open_on_host
from runtime.network.dns_zone import Asker
from runtime.record import field, mutable

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine, Sequence

    from runtime.network.dns_answers import Responder
    from runtime.network.dns_forwarder import OpenSocket
    from runtime.network.dns_zone import Zone
    from runtime.network.sandbox_files import Upstream

_QUESTIONS_AT_ONCE = 32
_TCP_IDLE = 10.0


@mutable
class Client:
    """One container as the name server sees it; asker and upstreams may change while it runs."""

    udp: socket.socket
    tcp: socket.socket
    asker: Asker = field(default_factory=Asker)
    upstreams: Sequence[Upstream] = ()
    ndots: int = 0
    open_socket: OpenSocket = open_on_host

    def close(self) -> None:
        """Close the sockets."""
        self.udp.close()
        self.tcp.close()


class NameServer:
    """Answers the questions of all containers."""

    def __init__(self, zone: Zone, forwarder: Forwarder | None = None) -> None:
        self._zone = zone
        self._forwarder = forwarder or Forwarder()
        self._clients: dict[str, Client] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._responder: asyncio.Task[Responder] | None = None

    def serve(self, container_id: str, client: Client) -> None:
        """Begin to answer a container; an earlier client of it is ended."""
        self.stop(container_id)
        self._clients[container_id] = client
        loop = asyncio.get_running_loop()
        loop.add_reader(client.udp, self._datagrams, client)
        loop.add_reader(client.tcp, self._accept, client)

    def client(self, container_id: str) -> Client | None:
        """Return a container's client, if it is served."""
        return self._clients.get(container_id)

    def stop(self, container_id: str) -> None:
        """Stop answering a container and close its sockets, which would pin its namespace."""
        client = self._clients.pop(container_id, None)
        if client is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(client.udp)
            loop.remove_reader(client.tcp)
            client.close()

    def close(self) -> None:
        """Stop answering everybody."""
        for container_id in list(self._clients):
            self.stop(container_id)
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _datagrams(self, client: Client) -> None:
        for _ in range(_QUESTIONS_AT_ONCE):
            try:
                data, peer = client.udp.recvfrom(65535)
            except (BlockingIOError, OSError):
                return
            self._start(self._answer_datagram(client, data, peer))

    async def _answer_datagram(self, client: Client, data: bytes, peer: object) -> None:
        answer = await self.answer(client, data, tcp=False)
        if answer is not None:
            with contextlib.suppress(OSError):
                client.udp.sendto(answer, peer)  # type: ignore[call-overload]

    def _accept(self, client: Client) -> None:
        with contextlib.suppress(OSError):
            connection, _peer = client.tcp.accept()
            connection.setblocking(False)
            self._start(self._answer_stream(client, connection))

    async def _answer_stream(self, client: Client, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            while True:
                async with asyncio.timeout(_TCP_IDLE):
                    (length,) = struct.unpack(">H", await reader.readexactly(2))
                    data = await reader.readexactly(length)
                answer = await self.answer(client, data, tcp=True)
                if answer is None:
                    break
                writer.write(struct.pack(">H", len(answer)) + answer)
                await writer.drain()
        writer.close()

    async def _load(self) -> Responder:
        if self._responder is None:
            self._responder = asyncio.create_task(asyncio.to_thread(_load_responder))
        return await asyncio.shield(self._responder)

    async def answer(self, client: Client, data: bytes, *, tcp: bool) -> bytes | None:
        """Return the answer to one message, or None for what deserves none."""
        respond = await self._load()
        outcome = respond(self._zone, client.asker, client.ndots, data, tcp=tcp)
        if outcome.failure is None:
            return outcome.reply
        answer = await self._forwarder.ask(data, client.upstreams, client.open_socket, tcp=tcp)
        return outcome.failure() if answer is None else answer


def _load_responder() -> Responder:
    from runtime.network import dns_answers  # noqa: PLC0415, dnspython: 60 ms, in a thread

    return dns_answers.respond
