"""Streams of tasks: many clients, slow clients, standard input, detach keys, terminals, logs."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import termios
from typing import TYPE_CHECKING

import pytest

from runtime.container.attach import AttachOrder
from runtime.container.logs import LogQuery, LogReader, encode
from runtime.container.task import Launcher, Task, TaskOrder, TaskService
from runtime.errors import EngineError
from runtime.linux import syscalls, terminal
from tests.support.stand_in_init import CODE
from tests.support.tasks import (
    LIMIT,
    eventually,
    finish,
    log_plan,
    plan,
    read_exactly,
    read_to_end,
    start,
    stream_pair,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from runtime.container.attach import AttachHandle

    Attach = Callable[..., Awaitable[tuple[socket.socket, AttachHandle]]]

pytestmark = pytest.mark.root

RAW = AttachOrder(framed=False)
TYPING = AttachOrder(stdin=True, framed=False)
DIGITS = "i=0; while [ $i -lt {count} ]; do echo line-$i; i=$((i+1)); done"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[TaskService]:
    launcher = Launcher(code=CODE)
    await launcher.start()
    yield TaskService(launcher, str(tmp_path))
    await launcher.stop()


@pytest.fixture
def attach() -> Iterator[Attach]:
    """Attach a client to a task; its connection is closed after the test."""
    connections = []

    async def attach(
        task: Task, order: AttachOrder = RAW, payload: bytes = b""
    ) -> tuple[socket.socket, AttachHandle]:
        ours, theirs = stream_pair()
        connections.append(ours)
        with theirs:
            return ours, await task.attach(order, theirs.fileno(), payload)

    yield attach
    for connection in connections:
        connection.close()


async def create(service: TaskService, document: dict[str, object]) -> Task:
    return await service.create(TaskOrder("c.1", "container", document))


# --- output --------------------------------------------------------------------------------------


async def test_every_client_gets_every_byte(service: TaskService, attach: Attach) -> None:
    task = await create(service, plan(DIGITS.format(count=2000)))
    clients = [(await attach(task))[0] for _ in range(5)]
    await task.go()
    outputs = [asyncio.create_task(read_to_end(client)) for client in clients]
    await finish(task)
    expected = b"".join(b"line-%d\n" % number for number in range(2000))
    assert [await output for output in outputs] == [expected] * 5


async def test_a_slow_client_blocks_the_task_and_loses_nothing(
    service: TaskService, attach: Attach, tmp_path: Path
) -> None:
    size = 4 << 20
    script = f"head -c {size} /dev/zero; echo over > {tmp_path}/over"
    task = await create(service, plan(script, log=log_plan(tmp_path)))
    slow, _ = await attach(task)
    quick, _ = await attach(task)
    await task.go()
    seen = 0
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError):  # nothing more comes while the slow one sleeps
        while True:
            async with asyncio.timeout(0.5):
                seen += len(await loop.sock_recv(quick, 1 << 20))
    assert (1 << 20) <= seen < (3 << 20)
    assert not (tmp_path / "over").exists()
    rest = asyncio.create_task(read_to_end(quick))
    output = asyncio.create_task(read_to_end(slow))
    record = await finish(task)
    assert record.code == 0
    assert len(await output) == size
    assert seen + len(await rest) == size


async def test_a_client_that_hangs_up_lets_the_task_go_on(
    service: TaskService, attach: Attach
) -> None:
    task = await create(service, plan(f"head -c {4 << 20} /dev/zero; exit 2"))
    client, handle = await attach(task)
    await task.go()
    await read_exactly(client, 1)
    client.close()
    assert (await finish(task)).code == 2
    assert await handle.gone() in {"error", "eof"}


async def test_only_the_wanted_stream_is_sent(service: TaskService, attach: Attach) -> None:
    task = await create(service, plan("echo out; echo err >&2"))
    client, _ = await attach(task, AttachOrder(stdout=False, framed=False))
    await task.go()
    await finish(task)
    assert await read_to_end(client) == b"err\n"


async def test_hundreds_of_clients(service: TaskService, attach: Attach) -> None:
    task = await create(service, plan("echo hello"))
    clients = [(await attach(task))[0] for _ in range(400)]
    await task.go()
    await finish(task)
    assert {await read_to_end(client) for client in clients} == {b"hello\n"}


# --- standard input ------------------------------------------------------------------------------


async def test_half_close_of_the_only_client_ends_standard_input(
    service: TaskService, attach: Attach
) -> None:
    task = await create(service, plan("cat; echo over", stdin=True, stdin_once=True))
    client, _ = await attach(task, TYPING, b"first ")
    await task.go()
    await asyncio.get_running_loop().sock_sendall(client, b"second\n")
    client.shutdown(socket.SHUT_WR)
    await finish(task)
    assert await read_to_end(client) == b"first second\nover\n"


async def test_without_stdin_once_the_input_stays_open(
    service: TaskService, attach: Attach
) -> None:
    task = await create(service, plan("while read x; do echo got $x; done", stdin=True))
    await task.go()
    first, handle = await attach(task, TYPING)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(first, b"one\n")
    assert await read_exactly(first, 8) == b"got one\n"
    first.shutdown(socket.SHUT_WR)
    assert await handle.gone() == "eof"
    second, _ = await attach(task, TYPING)
    await loop.sock_sendall(second, b"two\n")
    assert await read_exactly(second, 8) == b"got two\n"
    await task.close_stdin()
    assert (await finish(task)).code == 0


async def test_much_input_waits_for_the_task(service: TaskService, attach: Attach) -> None:
    size = 3 << 20
    task = await create(service, plan("sleep 0.2; wc -c", stdin=True, stdin_once=True))
    client, _ = await attach(task, TYPING)
    await task.go()

    async def feed() -> None:
        await asyncio.get_running_loop().sock_sendall(client, bytes(size))
        client.shutdown(socket.SHUT_WR)

    feeding = asyncio.create_task(feed())
    await finish(task)
    await feeding
    assert int(await read_to_end(client)) == size


async def test_input_of_a_client_that_left_is_not_lost(
    service: TaskService, attach: Attach
) -> None:
    task = await create(service, plan("sleep 0.2; wc -c >&2", stdin=True, stdin_once=True))
    watcher, _ = await attach(task)
    client, _ = await attach(task, TYPING)
    client.setblocking(True)
    client.sendall(bytes(150_000))
    client.close()
    await task.go()
    await finish(task)
    assert int(await read_to_end(watcher)) == 150_000


async def test_a_program_that_closed_its_input_is_not_disturbed(
    service: TaskService, attach: Attach
) -> None:
    task = await create(service, plan("exec <&-; sleep 0.1; echo on", stdin=True))
    client, _ = await attach(task, TYPING)
    await task.go()
    await asyncio.get_running_loop().sock_sendall(client, b"into the void\n")
    assert (await finish(task)).code == 0
    assert await read_to_end(client) == b"on\n"


# --- terminals and detach keys -------------------------------------------------------------------

TERMINAL = AttachOrder(stdin=True, framed=False, detach_keys=b"\x10\x11")


async def test_a_terminal_has_the_size_of_the_order_and_is_resized(
    service: TaskService, attach: Attach
) -> None:
    script = "stty size; trap 'stty size; exit 0' WINCH; echo set; while :; do sleep 0.05; done"
    task = await create(service, plan(script, tty=True, stdin=True, rows=33, cols=77))
    client, _ = await attach(task, TERMINAL)
    await task.go()
    assert await read_exactly(client, 12) == b"33 77\r\nset\r\n"
    await task.resize(44, 99)
    assert await read_exactly(client, 7) == b"44 99\r\n"
    await finish(task)


async def test_detach_keys_over_the_border_of_reads_are_swallowed(
    service: TaskService, attach: Attach
) -> None:
    task = await create(
        service, plan("stty -echo; echo ready; read x; echo $x", tty=True, stdin=True)
    )
    client, handle = await attach(task, TERMINAL)
    await task.go()
    assert await read_exactly(client, 7) == b"ready\r\n"
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, b"ab\x10")
    await task.resize(10, 20)
    await loop.sock_sendall(client, b"\x11ignored")
    assert await handle.gone() == "keys"
    assert await read_to_end(client) == b""
    second, _ = await attach(task, TERMINAL)
    await loop.sock_sendall(second, b"cd\n")
    assert await read_exactly(second, 6) == b"abcd\r\n"
    assert (await finish(task)).code == 0


async def test_a_terminal_can_be_had_back_by_the_engine(service: TaskService) -> None:
    task = await create(service, plan("exec sleep 1000", tty=True, stdin=True))
    await task.go()
    fds = await task.fds()
    terminal.set_window_size(fds["pty"], 5, 6)
    assert terminal.window_size(fds["pty"]) == (5, 6)
    assert termios.tcgetattr(fds["pty"])
    os.close(fds["pty"])
    await task.kill()


async def test_streams_outlive_the_engine(service: TaskService, attach: Attach) -> None:
    task = await create(service, plan("while read x; do echo got $x; done", stdin=True))
    await task.go()
    client, _ = await attach(task, TYPING)
    task.abandon()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, b"still here\n")
    assert await read_exactly(client, 15) == b"got still here\n"
    adopted = await service.adopt("c.1")
    assert isinstance(adopted, Task)
    await loop.sock_sendall(client, b"again\n")
    assert await read_exactly(client, 10) == b"got again\n"
    await adopted.close_stdin()
    await finish(adopted)
    assert await read_to_end(client) == b""


async def test_an_attach_to_what_is_over_is_refused(service: TaskService, attach: Attach) -> None:
    task = await start(service, "c.1", plan("true"))
    await finish(task)
    with pytest.raises(EngineError, match="gone"):
        await attach(task)


# --- logs ----------------------------------------------------------------------------------------


def log_files(directory: Path) -> list[Path]:
    """Return the files of the log, oldest first."""

    def age(path: Path) -> int:
        number = path.name.removeprefix("x-json.log").removesuffix(".gz").lstrip(".")
        return int(number or "0")

    files = [path for path in directory.glob("x-json.log*") if path.suffix != ".tmp"]
    return sorted(files, key=age, reverse=True)


def logged(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_log_bytes_are_exact_under_load_with_rotation(
    service: TaskService, tmp_path: Path
) -> None:
    document = plan(
        DIGITS.format(count=20000), log=log_plan(tmp_path, max_size=100_000, max_files=50)
    )
    await finish(await start(service, "c.1", document))
    files = log_files(tmp_path)
    assert len(files) > 10
    assert all(file.stat().st_size < 200_000 for file in files)
    text = "".join(entry["log"] for file in files for entry in logged(file))
    assert text == "".join(f"line-{number}\n" for number in range(20000))
    reader = LogReader(str(tmp_path / "x-json.log"))
    entries = [entry async for entry in reader.read(LogQuery())]
    assert b"".join(entry.text for entry in entries).decode() == text
    last = [entry.text async for entry in reader.read(LogQuery(tail=15000))]
    assert b"".join(last).decode() == text[text.index("line-5000\n") :]


async def test_the_oldest_files_go_and_their_number_is_kept(
    service: TaskService, tmp_path: Path
) -> None:
    document = plan(DIGITS.format(count=5000), log=log_plan(tmp_path, max_size=20_000, max_files=3))
    await finish(await start(service, "c.1", document))
    names = [path.name for path in log_files(tmp_path)]
    assert names == ["x-json.log.2", "x-json.log.1", "x-json.log"]
    assert logged(tmp_path / "x-json.log")[-1]["log"] == "line-4999\n"


async def test_rotated_files_are_compressed(service: TaskService, tmp_path: Path) -> None:
    log = log_plan(tmp_path, max_size=50_000, max_files=4, compress=True)
    script = DIGITS.format(count=3000) + "; read x"
    task = await start(service, "c.1", plan(script, log=log, stdin=True))

    wanted = [*(f"x-json.log.{number}.gz" for number in (3, 2, 1)), "x-json.log"]
    newest = tmp_path / "x-json.log"
    await eventually(lambda: newest.exists() and "line-2999" in newest.read_text())
    await eventually(lambda: [path.name for path in log_files(tmp_path)] == wanted)
    await task.close_stdin()
    await finish(task)
    assert gzip.decompress(log_files(tmp_path)[2].read_bytes()).count(b"line-") > 400
    entries = [e.text async for e in LogReader(str(tmp_path / "x-json.log")).read(LogQuery())]
    numbers = [int(text.split(b"-")[1]) for text in entries]
    assert numbers == list(range(numbers[0], 3000))


async def test_lines_over_16_kib_are_cut_and_begun_lines_wait_for_the_end(
    service: TaskService, tmp_path: Path
) -> None:
    script = "head -c 40000 /dev/zero | tr '\\0' x; echo; printf end"
    await finish(await start(service, "c.1", plan(script, log=log_plan(tmp_path))))
    texts = [entry["log"] for entry in logged(tmp_path / "x-json.log")]
    assert [len(text) for text in texts] == [16384, 16384, 7233, 3]
    assert texts[2].endswith("x\n")
    assert texts[3] == "end"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    syscalls.mount("tmpfs", str(disk), "tmpfs", 0, "size=64k")
    yield disk
    syscalls.umount(str(disk), syscalls.MNT_DETACH)


async def test_a_full_disk_drops_output_and_counts_it(
    service: TaskService, small_disk: Path
) -> None:
    document = plan(DIGITS.format(count=5000), log=log_plan(small_disk))
    record = await finish(await start(service, "c.1", document))
    stored = sum(len(entry["log"]) for entry in logged(small_disk / "x-json.log"))
    assert record.code == 0
    assert 0 < stored < 64 * 1024
    assert stored + record.dropped == sum(len(f"line-{n}\n") for n in range(5000))


async def test_a_held_client_gets_the_log_and_then_the_rest_without_gap(
    service: TaskService, attach: Attach, tmp_path: Path
) -> None:
    script = "printf 'one\\ntwo\\nbeg'; read x; printf 'un\\nthree\\n'"
    document = plan(script, log=log_plan(tmp_path), stdin=True)
    task = await create(service, document)
    watcher, _ = await attach(task)
    await task.go()
    assert await read_exactly(watcher, 11) == b"one\ntwo\nbeg"
    client, handle = await attach(task, AttachOrder(framed=False, held=True))
    await task.close_stdin()
    assert await read_to_end_of_task(task, watcher) == b"un\nthree\n"
    query = LogQuery(position=(handle.generation, handle.size))
    reader = LogReader(str(tmp_path / "x-json.log"))
    replayed = [entry async for entry in reader.read(query)]
    await handle.live()
    await task.ack()
    assert encode(replayed, tty=True) + await read_to_end(client) == b"one\ntwo\nbegun\nthree\n"
    await task.gone


async def read_to_end_of_task(task: Task, client: socket.socket) -> bytes:
    async with asyncio.timeout(LIMIT):
        await task.exited
    data = b""
    while True:
        try:
            data += client.recv(65536)
        except BlockingIOError:
            return data


async def test_a_follower_survives_rotation_and_ends_with_the_task(
    service: TaskService, tmp_path: Path
) -> None:
    log = log_plan(tmp_path, max_size=30_000, max_files=50)
    document = plan("read x; " + DIGITS.format(count=3000) + "; printf end", log=log, stdin=True)
    task = await start(service, "c.1", document)
    ended = asyncio.Event()
    task.exited.add_done_callback(lambda _record: ended.set())
    reader = LogReader(str(tmp_path / "x-json.log"))
    texts: list[bytes] = []

    async def follow() -> None:
        texts.extend([e.text async for e in reader.read(LogQuery(follow=True), ended)])

    following = asyncio.create_task(follow())
    await task.close_stdin()
    await finish(task)
    async with asyncio.timeout(LIMIT):
        await following
    expected = b"".join(b"line-%d\n" % number for number in range(3000)) + b"end"
    assert b"".join(texts) == expected


async def test_the_local_driver_keeps_lines_streams_and_times(
    service: TaskService, tmp_path: Path
) -> None:
    log = log_plan(tmp_path, driver="local", max_size=30_000, max_files=20)
    script = DIGITS.format(count=3000) + "; echo oops >&2; printf end"
    await finish(await start(service, "c.1", plan(script, log=log)))
    reader = LogReader(str(tmp_path / "x-json.log"), "local")
    entries = [entry async for entry in reader.read(LogQuery(stderr=False))]
    assert (
        b"".join(entry.text for entry in entries)
        == b"".join(b"line-%d\n" % number for number in range(3000)) + b"end"
    )
    assert [entry.text async for entry in reader.read(LogQuery(stdout=False))] == [b"oops\n"]
    assert len([entry async for entry in reader.read(LogQuery())]) == 3002
    tail = [entry.text async for entry in reader.read(LogQuery(tail=700))]
    assert len(tail) == 700
    assert {b"line-2302\n", b"oops\n", b"end"} < set(tail)  # streams are not ordered
    times = [entry.time_ns for entry in entries]
    assert times == sorted(times)
