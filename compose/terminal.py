"""The user's terminal connected to a process in a container: raw mode, size, both directions."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from typing import TYPE_CHECKING

from compose.engine.stream import STDERR, FrameDecoder, RawDecoder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from compose.engine.transport import Hijacked

PIECE = 1 << 16


def terminal_size() -> list[int]:
    """Rows and columns of the terminal on standard output; empty without one."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return []
    return [size.lines, size.columns]


@contextlib.contextmanager
def raw_mode(*, on: bool) -> Iterator[None]:
    """Hand every key to the process inside; the terminal is restored whatever happens."""
    if not on:
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)  # what was typed already is kept
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def interact(
    stream: Hijacked,
    *,
    terminal: bool,
    stdin: bool,
    resize: Callable[[int, int], Awaitable[None]] | None = None,
) -> None:
    """Copy between the user and a process until the process's output ends.

    Args:
        stream: the connection.
        terminal: whether the process has a terminal.
        stdin: whether standard input is passed on.
        resize: tells the engine a new size of the terminal.
    """
    loop = asyncio.get_running_loop()
    resizing: set[asyncio.Task[None]] = set()

    def on_resize() -> None:
        size = terminal_size()
        if resize is not None and size:
            task = asyncio.ensure_future(_ignoring_errors(resize(size[0], size[1])))
            resizing.add(task)
            task.add_done_callback(resizing.discard)

    sending = asyncio.create_task(_send(stream)) if stdin else None
    if terminal:
        loop.add_signal_handler(signal.SIGWINCH, on_resize)
        on_resize()
    try:
        with raw_mode(on=terminal and stdin and sys.stdin.isatty()):
            await _receive(stream, terminal=terminal)
    finally:
        if terminal:
            loop.remove_signal_handler(signal.SIGWINCH)
        if sending is not None:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        stream.close()


async def _ignoring_errors(work: Awaitable[None]) -> None:
    from compose.errors import ShoalError  # noqa: PLC0415 - beside its only use

    with contextlib.suppress(ShoalError):
        await work


async def _receive(stream: Hijacked, *, terminal: bool) -> None:
    decoder = RawDecoder() if terminal else FrameDecoder()
    out, err = sys.stdout.buffer, sys.stderr.buffer
    while data := await stream.read():
        for number, piece in decoder.feed(data):
            target = err if number == STDERR else out
            target.write(piece)
            target.flush()


async def _send(stream: Hijacked) -> None:
    """Pass standard input on, whatever kind of file it is."""
    descriptor = sys.stdin.fileno()
    try:
        while data := await _read_input(descriptor):
            await stream.write(data)
        stream.write_eof()
    except (BrokenPipeError, ConnectionResetError):
        return


async def _read_input(descriptor: int) -> bytes:
    """Wait for input and return it; a regular file cannot be waited for, it is always readable.

    It is read in the very call that the loop makes because there is some: a later read could block.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[bytes] = loop.create_future()

    def read() -> None:
        loop.remove_reader(descriptor)
        try:
            found.set_result(os.read(descriptor, PIECE))
        except OSError:  # the terminal has gone
            found.set_result(b"")

    try:
        loop.add_reader(descriptor, read)
    except PermissionError:
        return os.read(descriptor, PIECE)
    try:
        return await found
    finally:
        loop.remove_reader(descriptor)
