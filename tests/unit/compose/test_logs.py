"""Prefixes, lines and the order of many containers' logs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from compose.console import Console
from compose.engine.containers import LogQuery
from compose.engine.stream import STDERR, STDOUT
from compose.logs import LineCollector, LogPrinter, Source, print_past, shown_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


def streams() -> tuple[Console, io.BytesIO, io.BytesIO]:
    out, err = io.BytesIO(), io.BytesIO()
    console = Console(
        env={},
        out=io.TextIOWrapper(out, write_through=True),
        err=io.TextIOWrapper(err, write_through=True),
    )
    return console, out, err


class Recorded:
    """A client whose logs are given; its calls never suspend."""

    def __init__(self, logs: Mapping[str, bytes]) -> None:
        self._logs = logs

    async def logs(
        self, ref: str, query: LogQuery, *, tty: bool
    ) -> AsyncIterator[tuple[int, bytes]]:
        del query, tty
        yield STDOUT, self._logs[ref]


def test_the_name_of_a_container_is_shown_without_its_project() -> None:
    assert shown_name("p", "p-web-1") == "web-1"
    assert shown_name("p", "own") == "own"


def test_prefixes_are_as_wide_as_the_longest_name() -> None:
    console, out, _ = streams()
    printer = LogPrinter(console)
    printer.register("web-1")
    printer.register("longer-1")
    printer.line("web-1", b"hello")
    assert out.getvalue() == b"web-1     | hello\n"


def test_errors_go_to_standard_error_only_in_an_attached_up() -> None:
    console, out, err = streams()
    LogPrinter(console, split=True).line("a-1", b"bad", STDERR)
    LogPrinter(console).line("a-1", b"bad", STDERR)
    assert out.getvalue() == err.getvalue() == b"a-1  | bad\n"


def test_colour_covers_the_prefix_only() -> None:
    console, out, _ = streams()
    LogPrinter(console, colour=True).line("a-1", b"x")
    assert out.getvalue() == b"\x1b[36ma-1  | \x1b[0mx\n"


def test_no_prefix_leaves_the_bare_line() -> None:
    console, out, _ = streams()
    LogPrinter(console, prefix=False).line("a-1", b"\xff x")
    assert out.getvalue() == b"\xff x\n"


def test_pieces_of_both_streams_are_joined_to_lines_of_their_own() -> None:
    console, out, _ = streams()
    collector = LineCollector(LogPrinter(console, prefix=False), "a-1")
    collector.feed(STDOUT, b"on")
    collector.feed(STDERR, b"tw")
    collector.feed(STDOUT, b"e\nrest")
    collector.feed(STDERR, b"o\n")
    collector.finish()
    assert out.getvalue() == b"one\ntwo\nrest\n"


def test_past_lines_of_several_containers_are_merged_by_time() -> None:
    console, out, _ = streams()
    client = Recorded(
        {
            "a": b"2026-01-01T00:00:01Z one\n2026-01-01T00:00:03Z three\n",
            "b": b"2026-01-01T00:00:02Z two\n",
        }
    )
    sources = [Source("a", "a-1", tty=False), Source("b", "b-1", tty=False)]
    print_past(client, sources, LogQuery(), LogPrinter(console))  # type: ignore[arg-type]
    assert out.getvalue() == b"a-1  | one\nb-1  | two\na-1  | three\n"


def test_times_are_kept_when_they_are_asked_for() -> None:
    console, out, _ = streams()
    client = Recorded({"a": b"2026-01-01T00:00:01Z one\n", "b": b""})
    sources = [Source("a", "a-1", tty=False), Source("b", "b-1", tty=False)]
    query = LogQuery(timestamps=True)
    print_past(client, sources, query, LogPrinter(console))  # type: ignore[arg-type]
    assert out.getvalue() == b"a-1  | 2026-01-01T00:00:01Z one\n"
