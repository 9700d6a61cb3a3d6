"""Reading logs: last lines, spans of time, positions, compressed files."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

from hypothesis import given, settings, strategies as st

from runtime.container.log_entry import LogEntry, encode
from runtime.container.log_files import remove_log
from runtime.container.logs import LogQuery, LogReader

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def line(number: int, stream: str = "stdout") -> str:
    time = f"2024-01-01T00:00:{number % 60:02d}.000000000Z"
    return f'{{"log":"line-{number}\\n","stream":"{stream}","time":"{time}"}}\n'


def write(directory: Path, *counts: int) -> LogReader:
    """Write a log of several files, oldest first; all but the two newest are compressed."""
    first = 0
    for age, count in zip(range(len(counts) - 1, -1, -1), counts, strict=True):
        text = "".join(line(number) for number in range(first, first + count))
        first += count
        name = f"log.{age}" if age else "log"
        if age > 1:
            (directory / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (directory / name).write_text(text)
    return LogReader(str(directory / "log"))


async def numbers(reader: LogReader, query: LogQuery) -> list[int]:
    return [int(entry.text[5:]) async for entry in reader.read(query)]


async def test_files_are_read_from_the_oldest_on(tmp_path: Path) -> None:
    reader = write(tmp_path, 3, 4, 5, 2)
    assert await numbers(reader, LogQuery()) == list(range(14))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 25))
@settings(max_examples=40, deadline=None)
def test_the_last_lines_are_found_over_files(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], tail: int
) -> None:
    reader = write(tmp_path_factory.mktemp("log"), *counts)
    every = list(range(sum(counts)))
    assert asyncio.run(numbers(reader, LogQuery(tail=tail))) == every[max(0, len(every) - tail) :]


async def test_the_last_lines_are_found_over_blocks(tmp_path: Path) -> None:
    reader = write(tmp_path, 5000)
    assert await numbers(reader, LogQuery(tail=4000)) == list(range(1000, 5000))


async def test_a_span_of_time_includes_both_ends(tmp_path: Path) -> None:
    reader = write(tmp_path, 10)
    start = LogEntry(1, "2024-01-01T00:00:03Z", b"").time_ns
    query = LogQuery(since_ns=start, until_ns=start + 4 * 10**9)
    assert await numbers(reader, query) == [3, 4, 5, 6, 7]


async def test_the_last_lines_are_counted_before_streams_are_chosen(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(line(0) + line(1) + line(2, "stderr"))
    reader = LogReader(str(tmp_path / "log"))
    assert await numbers(reader, LogQuery(tail=2, stderr=False)) == [1]
    assert await numbers(reader, LogQuery(stdout=False)) == [2]


async def test_nothing_after_a_position_is_read(tmp_path: Path) -> None:
    reader = write(tmp_path, 3, 3)
    rotated = (tmp_path / "log.1").stat()
    query = LogQuery(position=(rotated.st_ino, rotated.st_size - len(line(2))))
    assert await numbers(reader, query) == [0, 1]


async def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert await numbers(LogReader(str(tmp_path / "log")), LogQuery()) == []


async def test_a_follower_without_a_running_task_ends(tmp_path: Path) -> None:
    ended = asyncio.Event()
    ended.set()
    reader = write(tmp_path, 3)
    query = LogQuery(follow=True, tail=1)
    assert [entry.text async for entry in reader.read(query, ended)] == [b"line-2\n"]


async def test_a_follower_gets_what_is_appended_and_a_half_line_only_when_it_is_whole(
    tmp_path: Path,
) -> None:
    reader = write(tmp_path, 1)
    ended = asyncio.Event()
    entries = reader.read(LogQuery(follow=True), ended)
    assert (await anext(entries)).text == b"line-0\n"
    waiting = asyncio.ensure_future(anext(entries))
    for part in (line(1)[:20], line(1)[20:]):
        assert not waiting.done()
        await append(tmp_path / "log", part)
    assert (await waiting).text == b"line-1\n"
    ended.set()
    assert [entry async for entry in entries] == []


async def append(path: Path, text: str) -> None:
    """Append, and give the follower the time to look."""
    with path.open("a") as file:
        file.write(text)
    for _turn in range(20):
        await asyncio.sleep(0)


async def test_a_follower_starts_before_there_is_a_log(tmp_path: Path) -> None:
    ended = asyncio.Event()
    entries = LogReader(str(tmp_path / "log")).read(LogQuery(follow=True), ended)
    waiting = asyncio.ensure_future(anext(entries))
    await asyncio.sleep(0)
    write(tmp_path, 1)
    assert (await waiting).text == b"line-0\n"
    await entries.aclose()


async def test_a_follower_ends_when_its_time_is_over(tmp_path: Path) -> None:
    reader = write(tmp_path, 2)
    query = LogQuery(follow=True, until_ns=LogEntry(1, "2024-01-01T00:00:00Z", b"").time_ns)
    assert [entry.text async for entry in reader.read(query, asyncio.Event())] == [b"line-0\n"]


def test_removal_takes_all_files(tmp_path: Path) -> None:
    write(tmp_path, 1, 1, 1)
    (tmp_path / "log.12.tmp").touch()
    (tmp_path / "other").touch()
    remove_log(str(tmp_path / "log"))
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_entries_are_framed_stamped_and_detailed() -> None:
    entry = LogEntry(2, "2024-01-01T00:00:00.5Z", b"x\n", {"b": "2", "a": "1"})
    assert encode([entry], tty=False) == b"\x02\0\0\0\0\0\0\x02x\n"
    assert encode([entry, entry], tty=True) == b"x\nx\n"
    stamped = encode([entry], tty=True, timestamps=True, details=True)
    assert stamped == b"2024-01-01T00:00:00.500000000Z a=1,b=2 x\n"
