"""Log drivers of the shim: every byte, in the formats that readers know."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import weakref
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st

from runtime.container.log_entry import JsonDecoder, LocalDecoder, LogEntry, decoder
from runtime.container.shim_log import (
    LOCAL_HEADER,
    LOCAL_MAGIC,
    MAX_LINE,
    escape,
    format_time,
    open_log,
)
from runtime.container.shim_loop import Loop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

chunks = st.lists(
    st.tuples(
        st.sampled_from([1, 2]),
        st.one_of(
            st.binary(max_size=80),
            st.text(max_size=60).map(str.encode),
            st.sampled_from([b"x" * 20_000, b"y" * MAX_LINE, b"z" * (MAX_LINE - 1) + b"\n", b"\n"]),
        ),
    ),
    max_size=12,
)


class Files:
    """A log in a directory of its own."""

    def __init__(self, directory: Path, **options: object) -> None:
        self.path = directory / "log"
        self.rotated: list[int] = []
        descriptor = os.open(directory, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, descriptor)
        given = {"driver": "json-file", "path": str(self.path), **options}
        self.log = open_log(given, {"dir": descriptor}, self.rotated.append)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.path.parent.iterdir())

    def documents(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return (tmp_path_factory.mktemp("log") for _ in iter(int, 1))


def replaced(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_json_lines_hold_every_byte_in_order(
    directories: Iterator[Path], data: st.DataObject
) -> None:
    written = data.draw(chunks)
    files = Files(next(directories))
    for stream, chunk in written:
        files.log.write(stream, chunk)
    files.log.flush()
    for number, name in ((1, "stdout"), (2, "stderr")):
        whole = b"".join(chunk for stream, chunk in written if stream == number)
        texts = [str(entry["log"]) for entry in files.documents() if entry["stream"] == name]
        if whole.isascii():
            assert "".join(texts) == whole.decode()
        lines = whole.split(b"\n")
        if max(len(line) for line in lines) < MAX_LINE:
            expected = [replaced(line) + "\n" for line in lines[:-1]]
            expected += [replaced(lines[-1])] if lines[-1] else []
            assert texts == expected
        assert all(len(text.encode()) <= 3 * MAX_LINE for text in texts)


@given(st.binary(max_size=300))
def test_escaped_bytes_are_the_inside_of_a_json_string(data: bytes) -> None:
    line = data.replace(b"\n", b"")
    assert json.loads(b'"' + escape(line) + b'"') == replaced(line)


@given(st.text(alphabet="aäöü€😀", min_size=1, max_size=9))
@settings(max_examples=10, deadline=None)
def test_characters_are_not_cut_in_two(directories: Iterator[Path], piece: str) -> None:
    text = piece * 6000
    files = Files(next(directories))
    files.log.write(1, text.encode())
    files.log.flush()
    assert "".join(str(entry["log"]) for entry in files.documents()) == text


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_what_the_shim_writes_is_what_the_engine_reads(
    directories: Iterator[Path], data: st.DataObject
) -> None:
    written = data.draw(chunks)
    driver = data.draw(st.sampled_from(["json-file", "local"]))
    files = Files(next(directories), driver=driver)
    for stream, chunk in written:
        files.log.write(stream, chunk)
    files.log.flush()
    content = files.path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    reading = decoder(driver)
    entries = [*reading.feed(content[:cut]), *reading.feed(content[cut:]), *reading.finish()]
    for number in (1, 2):
        whole = b"".join(chunk for stream, chunk in written if stream == number)
        text = b"".join(entry.text for entry in entries if entry.stream == number)
        assert text == (whole if driver == "local" else replaced_in_parts(whole, text))


def replaced_in_parts(whole: bytes, text: bytes) -> bytes:
    """Return the expected text; where bytes are not UTF-8 and cut, only lengths can be compared."""
    return replaced(whole).encode() if b"\xef\xbf\xbd" not in text else text


def test_a_begun_line_waits_for_its_newline(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.log.write(1, b"one\ntw")
    files.log.write(2, b"oops")
    assert [entry["log"] for entry in files.documents()] == ["one\n"]
    assert (files.log.pending(1), files.log.pending(2)) == (b"tw", b"oops")
    files.log.write(1, b"o\n")
    assert [entry["log"] for entry in files.documents()] == ["one\n", "two\n"]
    files.log.flush()
    assert files.documents()[-1]["log"] == "oops"


def test_attributes_stand_in_every_line(tmp_path: Path) -> None:
    files = Files(tmp_path, attributes=b'{"tag":"x"}')
    files.log.write(1, b"one\ntwo\n")
    assert [entry["attrs"] for entry in files.documents()] == [{"tag": "x"}] * 2


def test_files_rotate_after_a_line_and_the_oldest_goes(tmp_path: Path) -> None:
    files = Files(tmp_path, max_size=300, max_files=3)
    for number in range(40):
        files.log.write(1, b"line-%d\n" % number)
    assert files.names() == ["log", "log.1", "log.2"]
    assert all(path.stat().st_size < 400 for path in tmp_path.iterdir())
    assert (files.path.stat().st_mode & 0o777) == 0o640


def test_a_large_read_is_spread_over_files_line_by_line(tmp_path: Path) -> None:
    files = Files(tmp_path, max_size=1000, max_files=100)
    files.log.write(1, b"".join(b"line-%d\n" % number for number in range(200)))
    names = sorted(files.names(), key=lambda name: -int(name.partition(".")[2] or 0))
    texts = [
        json.loads(line)["log"]
        for name in names
        for line in (tmp_path / name).read_text().splitlines()
    ]
    assert texts == [f"line-{number}\n" for number in range(200)]
    assert all(path.stat().st_size < 1200 for path in tmp_path.iterdir())


def test_a_single_file_starts_again(tmp_path: Path) -> None:
    files = Files(tmp_path, max_size=300)
    for number in range(40):
        files.log.write(1, b"line-%d\n" % number)
    assert files.names() == ["log"]
    assert files.path.stat().st_size < 400


def test_a_compressed_file_takes_the_place_of_the_plain_one(tmp_path: Path) -> None:
    files = Files(tmp_path, max_size=300, max_files=4, compress=True)
    while len(files.rotated) < 2:
        files.log.write(1, b"some line\n")
    first, second = files.rotated
    assert (tmp_path / "log.2").stat().st_ino == first
    (tmp_path / f"log.{first}.tmp").write_bytes(b"packed")
    files.log.compressed(first)
    assert files.names() == ["log", "log.1", "log.2.gz"]
    assert (tmp_path / "log.1").stat().st_ino == second
    files.log.compressed(999)
    while len(files.rotated) < 3:
        files.log.write(1, b"some line\n")
    assert files.names() == ["log", "log.1", "log.2", "log.3.gz"]


def test_a_copy_that_comes_too_late_is_removed(tmp_path: Path) -> None:
    files = Files(tmp_path, max_size=300, max_files=2, compress=True)
    while len(files.rotated) < 2:
        files.log.write(1, b"some line\n")
    (tmp_path / f"log.{files.rotated[0]}.tmp").write_bytes(b"packed")
    files.log.compressed(files.rotated[0])
    assert files.names() == ["log", "log.1"]


def test_the_position_is_where_the_next_entry_goes(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.log.write(1, b"one\n")
    status = files.path.stat()
    assert files.log.position() == (status.st_ino, status.st_size)


def test_the_half_line_of_a_killed_writer_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b'{"log":"a\\n","stream":"stdout","time":""}\n{"log":"b')
    files = Files(tmp_path)
    files.log.write(1, b"c\n")
    assert [entry["log"] for entry in files.documents()] == ["a\n", "c\n"]


def test_nothing_is_kept_without_a_driver(tmp_path: Path) -> None:
    files = Files(tmp_path, driver="none")
    files.log.write(1, b"one\n")
    files.log.flush()
    assert files.names() == []
    assert (files.log.pending(1), files.log.position(), files.log.dropped) == (b"", (0, 0), 0)


@given(st.integers(0, 2**33), st.integers(0, 999_999_999))
def test_times_have_nine_digits_and_come_back(seconds: int, fraction: int) -> None:
    text = format_time(seconds * 10**9 + fraction).decode()
    assert len(text) == 30
    entry = LogEntry(1, text, b"")
    assert entry.time_ns == seconds * 10**9 + fraction
    assert entry.timestamp == text


def test_docker_s_shorter_times_are_read() -> None:
    entry = LogEntry(1, "2024-02-29T12:00:00.12Z", b"")
    assert entry.timestamp == "2024-02-29T12:00:00.120000000Z"
    assert LogEntry(1, "2024-02-29T12:00:00Z", b"").time_ns % 10**9 == 0


def test_broken_lines_are_left_out() -> None:
    good = b'{"log":"a\\n","stream":"stdout","time":"2024-02-29T12:00:00Z"}\n'
    entries = JsonDecoder().feed(good + b"\0\0\0\n" + b"{}\n" + good)
    assert [entry.text for entry in entries] == [b"a\n", b"a\n"]


def test_a_broken_local_file_is_read_from_the_next_record() -> None:
    with_header = open_local(b"one\n")
    entries = LocalDecoder().feed(with_header[5:] + with_header)
    assert [entry.text for entry in entries] == [b"one\n"]


def open_local(text: bytes) -> bytes:
    return LOCAL_HEADER.pack(LOCAL_MAGIC, 1, 0, len(text), 0) + text


# --- what feeds a logger -------------------------------------------------------------------------


class Feed:
    """A log that feeds this test, in a loop of its own."""

    def __init__(self, directory: Path, *, blocking: bool, cached: bool = True) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel's least
        self.reader = ours
        ours.setblocking(False)
        descriptor = os.open(directory, os.O_PATH)
        options = {
            "driver": "feed",
            "path": "cached.log" if cached else "",
            "blocking": blocking,
            "max_size": -1,
            "max_files": 1,
        }
        self._feed = theirs.detach()
        self.log = open_log(options, {"dir": descriptor, "feed": self._feed}, print)
        os.close(descriptor)
        self.loop = Loop()
        self.rooms = 0
        self.log.serve(self.loop, self._on_room)

    def close(self) -> None:
        """Close both ends."""
        self.reader.close()
        os.close(self._feed)

    def _on_room(self) -> None:
        self.rooms += 1

    def blocked(self) -> bool:
        """Tell whether the task has to wait."""
        return self.log.blocked

    def read(self) -> bytes:
        """Return the text of the next record."""
        record = self.reader.recv(70000)
        magic, _stream, _flags, length, _time = LOCAL_HEADER.unpack_from(record)
        assert (magic, length) == (LOCAL_MAGIC, len(record) - LOCAL_HEADER.size)
        return record[LOCAL_HEADER.size :]

    def read_all(self) -> list[bytes]:
        """Return the texts of all records that are there."""
        texts = []
        while select.select([self.reader], [], [], 0)[0]:
            texts.append(self.read())
        return texts


def test_a_blocking_feed_lets_the_task_wait_and_loses_nothing(tmp_path: Path) -> None:
    with contextlib.closing(Feed(tmp_path, blocking=True)) as feed:
        written = 0
        while not feed.blocked():
            feed.log.write(1, b"%d\n" % written)
            written += 1
        feed.log.write(2, b"one more\n")
        texts = feed.read_all()
        while feed.blocked():
            feed.loop.step()
            texts += feed.read_all()
        assert texts == [*(b"%d\n" % number for number in range(written)), b"one more\n"]
        assert (feed.rooms, feed.log.dropped) == (1, 0)


def test_a_feed_that_does_not_block_drops_the_newest_and_counts(tmp_path: Path) -> None:
    with contextlib.closing(Feed(tmp_path, blocking=False)) as feed:
        for number in range(1000):
            feed.log.write(1, b"%03d\n" % number)
        assert not feed.log.blocked
        texts = feed.read_all()
        assert texts == [b"%03d\n" % number for number in range(len(texts))]
        assert feed.log.dropped == 4 * (1000 - len(texts)) > 0
        cached = (tmp_path / "cached.log").read_bytes()
        assert cached.count(LOCAL_MAGIC) == 1000


def test_what_has_no_room_at_the_end_is_counted(tmp_path: Path) -> None:
    with contextlib.closing(Feed(tmp_path, blocking=True, cached=False)) as feed:
        while not feed.log.blocked:
            feed.log.write(1, b"12345")
        feed.log.flush()
        assert feed.log.dropped == 5
        assert feed.log.position() == (0, 0)
        assert list(tmp_path.iterdir()) == []
