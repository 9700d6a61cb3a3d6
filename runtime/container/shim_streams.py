"""Standard streams of a task: pipes or a terminal, the log, and any number of attached clients.

Everything read goes to the log and to each client that listens. A client that does not read stops
the reading of what it listens to, so the container blocks and no byte is lost.
"""

from __future__ import annotations

import os

from runtime.container.messages import STDERR, STDOUT
from runtime.container.shim_client import QUEUE_LIMIT
from runtime.container.shim_loop import READABLE, WRITABLE
from runtime.linux import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.container.shim_client import Client
    from runtime.container.shim_log import NoLog
    from runtime.container.shim_loop import Loop

_READ_SIZE = 65536
AWAITED = -2
"""In place of a descriptor that is not there yet."""


class Output:
    """One descriptor of output and the stream that it stands for."""

    __slots__ = ("fd", "handle", "stream", "waiting")

    def __init__(self, fd: int, stream: int, read: Callable[[Output], None]) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.stream = stream
        self.waiting = False
        self.handle: Callable[[int], None] = lambda _events: read(self)


class Input:
    """The write end of standard input: what does not fit waits here."""

    __slots__ = ("_closing", "_loop", "_pending", "fd", "on_room")

    def __init__(self, loop: Loop, fd: int, on_room: Callable[[], None]) -> None:
        self._loop = loop
        self.fd = AWAITED
        if fd != AWAITED:
            os.set_blocking(fd, False)
            self.fd = fd
        self._pending = b""
        self._closing = False
        self.on_room = on_room

    @property
    def full(self) -> bool:
        """True while no more input should be read from clients."""
        return bool(self._pending)

    @property
    def closed(self) -> bool:
        """True when the container gets no more input."""
        return self.fd == -1 or self._closing

    def write(self, data: bytes) -> None:
        """Pass input on, or keep it until there is room; after the close it is thrown away."""
        if not self.closed:
            self._pending += data
            self._flush(0)

    def open(self, fd: int) -> None:
        """Take the descriptor that was awaited, and write what has come before it."""
        if self.fd == -1:  # the client has closed its side already
            os.close(fd)
            return
        os.set_blocking(fd, False)
        self.fd = fd
        if self._pending:
            self._flush(0)

    def close(self) -> None:
        """Close after what waits has been written."""
        self._closing = True
        if not self._pending:
            self.close_now()

    def close_now(self) -> None:
        """Close and forget what waits."""
        if self.fd >= 0:
            self._loop.unwatch(self.fd)
            os.close(self.fd)
        self.fd = -1
        self._pending = b""

    def _flush(self, _events: int) -> None:
        if self.fd == AWAITED:
            return
        was_watched = self.full
        try:
            written = os.write(self.fd, self._pending)
        except BlockingIOError:
            written = 0
        except OSError:
            # Nobody reads any more; clients may go on typing into the void.
            self.close_now()
            self.on_room()
            return
        self._pending = self._pending[written:]
        if self._pending:
            self._loop.watch(self.fd, WRITABLE, self._flush)
            return
        self._loop.unwatch(self.fd)
        if self._closing:
            self.close_now()
        if was_watched:
            self.on_room()


class Streams:
    """Pumps a task's output to log and clients, and the clients' input to the task."""

    __slots__ = (
        "_clients",
        "_input",
        "_loop",
        "_master",
        "_once",
        "_outputs",
        "draining",
        "log",
        "on_end",
        "on_gone",
    )

    def __init__(self, loop: Loop, log: NoLog, *, stdin_once: bool) -> None:
        self._loop = loop
        self._once = stdin_once
        self._outputs: list[Output] = []
        self._clients: list[Client] = []
        self._input: Input | None = None
        self._master = -1
        self.log = log
        log.serve(loop, self._resume_outputs)
        self.draining = False
        """True when the first process is dead: slow clients hardly stop the reading any more."""
        self.on_end: Callable[[], None] = lambda: None
        self.on_gone: Callable[[str, str], None] = lambda _number, _reason: None

    def add_pipes(self, stdin: int, stdout: int, stderr: int) -> None:
        """Serve three pipes; -1 for one that there is not."""
        if stdin >= 0 and self._input is not None:
            self._input.open(stdin)
        elif stdin >= 0:
            self._input = Input(self._loop, stdin, self._resume_clients)
        for fd, stream in ((stdout, STDOUT), (stderr, STDERR)):
            if fd >= 0:
                self._add_output(fd, stream)

    def await_input(self, *, terminal: bool) -> None:
        """Prepare for a pipe or terminal that comes after the first client: its input waits."""
        self._once = self._once and not terminal
        self._input = Input(self._loop, AWAITED, self._resume_clients)

    def add_terminal(self, master: int, *, stdin: bool) -> None:
        """Serve a terminal by its master side."""
        self._master = master
        self._once = False
        if self._input is not None:
            self._input.open(os.dup(master))
        elif stdin:
            self._input = Input(self._loop, os.dup(master), self._resume_clients)
        self._add_output(master, STDOUT)

    def rest(self) -> tuple[dict[str, object], dict[str, int]] | None:
        """Return state and descriptors with which a later worker can go on.

        Returns:
            None while somebody is attached or something waits for room.
        """
        source = self._input
        waiting = any(output.waiting for output in self._outputs)
        if self._clients or waiting or (source is not None and source.full):
            return None
        log = self.log.rest()
        if log is None:
            return None
        fds = dict(log[1])
        names = {STDOUT: "stdout", STDERR: "stderr"}
        for output in self._outputs:
            fds["master" if output.fd == self._master else names[output.stream]] = output.fd
        typed = source is not None and not source.closed and source.fd >= 0
        if source is not None and typed and self._master < 0:
            fds["stdin"] = source.fd
        return {"log_state": log[0], "typed": typed, "stdin_once": self._once}, fds

    def resume(self, fds: Mapping[str, int], *, typed: bool) -> None:
        """Go on with what an earlier worker left.

        Args:
            fds: its descriptors, by name.
            typed: a terminal takes input.
        """
        if "master" in fds:
            self.add_terminal(fds["master"], stdin=typed)
        else:
            self.add_pipes(*(fds.get(name, -1) for name in ("stdin", "stdout", "stderr")))

    @property
    def master(self) -> int:
        """The master side of the terminal, or -1."""
        return self._master

    @property
    def at_end(self) -> bool:
        """True when all output has been read."""
        return not self._outputs

    @property
    def deserted(self) -> bool:
        """True when no client is attached."""
        return not self._clients

    def _add_output(self, fd: int, stream: int) -> None:
        output = Output(fd, stream, self._read)
        self._outputs.append(output)
        self._loop.watch(fd, READABLE, output.handle)

    def _read(self, output: Output) -> None:
        """Read once from the container, and spread it."""
        try:
            data = os.read(output.fd, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # EIO: the last slave of a terminal was closed
        if not data:
            self._close_output(output)
            return
        self.log.write(output.stream, data)
        for client in self._clients.copy():
            if output.stream in client.streams:
                client.send(output.stream, data)
        if self._is_blocked(output):
            output.waiting = True
            self._loop.unwatch(output.fd)

    def _is_blocked(self, output: Output) -> bool:
        if self.log.blocked:
            return True
        listeners = [client for client in self._clients if output.stream in client.streams]
        if self.draining:  # a full pipe still fits; a stranger that writes on and on does not
            return any(client.queued >= 2 * QUEUE_LIMIT for client in listeners)
        return any(client.throttled for client in listeners)

    def _close_output(self, output: Output) -> None:
        self._outputs.remove(output)
        self._loop.unwatch(output.fd)
        if output.fd == self._master:
            self._master = -1
        os.close(output.fd)
        if not self._outputs:
            self.on_end()

    def _resume_outputs(self) -> None:
        for output in self._outputs:
            if output.waiting and not self._is_blocked(output):
                output.waiting = False
                self._loop.watch(output.fd, READABLE, output.handle)

    def attach(self, client: Client, payload: bytes) -> tuple[int, int]:
        """Take on a client and return the log's position up to which it has missed output.

        A held client first gets the begun lines that are not in the log yet.
        """
        client.on_input = self._take_input
        client.on_gone = self._forget
        client.on_drained = lambda _client: self._resume_outputs()
        self._clients.append(client)
        if client.held:
            for stream in sorted(client.streams):
                if begun := self.log.pending(stream):
                    client.send(stream, begun)
        client.pause_input(paused=self._input is not None and self._input.full)
        position = self.log.position()
        client.start(payload)
        return position

    def find(self, number: str) -> Client | None:
        """Return the attached client with an id."""
        for client in self._clients:
            if client.id == number:
                return client
        return None

    def drop_held(self) -> None:
        """Close clients that nobody will let go any more."""
        for client in self._clients.copy():
            if client.held:
                client.drop("error")

    def _take_input(self, client: Client, data: bytes) -> None:
        """Pass a client's input on; no data means that its side is closed."""
        if not data:
            if self._once and self._master < 0:
                self.close_input()
            else:
                client.end("eof")
        elif self._input is not None:
            self._input.write(data)
            if self._input.full:
                for each in self._clients:
                    each.pause_input(paused=True)

    def _resume_clients(self) -> None:
        for client in self._clients.copy():
            client.pause_input(paused=False)

    def _forget(self, client: Client, reason: str) -> None:
        self._clients.remove(client)
        self._resume_outputs()
        self.on_gone(client.id, reason)

    def close_input(self) -> None:
        """Half-close: the container reads to the end of its standard input."""
        if self._input is not None and self._master < 0:
            self._input.close()

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size.

        Raises:
            OSError: there is no terminal any more.
        """
        terminal.set_window_size(self._master, rows, columns)

    def drain(self) -> None:
        """The first process is dead: read what is left, whoever listens."""
        self.draining = True
        self._resume_outputs()

    def close_outputs(self) -> None:
        """Stop reading, although somebody else still holds the other end."""
        for output in self._outputs.copy():
            self._loop.unwatch(output.fd)
            os.close(output.fd)
        self._outputs.clear()
        self._master = -1

    def finish(self) -> None:
        """Close standard input, and each client after its queue was written."""
        if self._input is not None:
            self._input.close_now()
        for client in self._clients.copy():
            client.end("eof")
