"""What a logger makes of a task's output: lines, messages of syslog, entries of the journal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from runtime.container.logger_journald import Journal, encode_field, short_time
from runtime.container.logger_lines import Lines
from runtime.container.logger_syslog import Syslog
from tests.support.eventually import eventually
from tests.support.log_servers import LogServer

if TYPE_CHECKING:
    from pathlib import Path

OUT, ERR = 1, 2
STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
ZONE = rb"(Z|[+-]\d\d:\d\d)"
ORDER: dict[str, object] = {
    "tag": "box",
    "hostname": "host",
    "facility": 3,
    "format": "",
    "protocol": "",
    "host": "",
    "port": 0,
}


def made(*reads: tuple[int, bytes, int]) -> list[Any]:
    """Return the lines that come of some reads."""
    lines: list[Any] = []
    maker = Lines(lines.append)
    for stream, data, time_ns in reads:
        maker.feed(stream, data, time_ns)
    maker.finish()
    return lines


def test_lines_are_put_together_over_the_borders_of_reads() -> None:
    lines = made((OUT, b"one\ntw", 1), (ERR, b"err\n", 2), (OUT, b"o\nthree\n", 3))
    assert lines == [
        (OUT, b"one", 1, None),
        (ERR, b"err", 2, None),
        (OUT, b"two", 1, None),
        (OUT, b"three", 3, None),
    ]


def test_long_lines_come_in_numbered_parts() -> None:
    *parts, after = made((OUT, b"x" * 40000, 1), (OUT, b"y\nafter\n", 2))
    assert [(len(text), time_ns) for _stream, text, time_ns, _part in parts] == [
        (16384, 1),
        (16384, 1),
        (7233, 1),
    ]
    identifiers = {part[0] for *_rest, part in parts}
    assert len(identifiers) == 1
    assert re.fullmatch("[0-9a-f]{64}", identifiers.pop())
    assert [part[1:] for *_rest, part in parts] == [(1, False), (2, False), (3, True)]
    assert after == (OUT, b"after", 2, None)


def test_a_last_line_that_never_ends_is_a_part() -> None:
    ((stream, text, _time, part),) = made((ERR, b"end", 1))
    assert (stream, text, part[1:]) == (ERR, b"end", (1, False))


@given(st.lists(st.tuples(st.sampled_from([OUT, ERR]), st.binary(max_size=40000)), max_size=6))
def test_no_byte_is_lost(reads: list[tuple[int, bytes]]) -> None:
    lines = made(*((stream, data, 1) for stream, data in reads if data))
    for stream in (OUT, ERR):
        text = b"".join(
            line + (b"" if part is not None and not part[2] else b"\n")
            for number, line, _time, part in lines
            if number == stream
        )
        assert text == b"".join(data for number, data in reads if number == stream)


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("", rb"<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d box\[\d+\]: hello\n"),
        ("rfc3164", rb"<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d host box\[\d+\]: hello\n"),
        ("rfc5424", rb"<30>1 " + STAMP + ZONE + rb" host box \d+ box - hello\n"),
        (
            "rfc5424micro",
            rb"<30>1 " + STAMP + rb"\.\d{6}" + ZONE + rb" host box \d+ box - hello\n",
        ),
    ],
)
def test_messages_have_the_form_that_is_asked_for(
    form: str, pattern: bytes, tmp_path: Path
) -> None:
    server = LogServer("unixgram", tmp_path)
    path = server.address.removeprefix("unixgram://")
    log = Syslog({**ORDER, "format": form, "protocol": "unixgram", "host": path})
    log.open()
    log.write((OUT, b"hello", 1, None))
    log.write((OUT, b"", 1, None))  # Docker sends no empty lines
    log.write((ERR, b"bad", 1, None))
    server.wait_for(b"bad\n")
    first, second = server.datagrams
    assert re.fullmatch(pattern, first)
    assert second.startswith(b"<27>")
    log.close()
    server.close()


def test_a_message_goes_out_on_a_new_connection_when_the_server_came_back(tmp_path: Path) -> None:
    server = LogServer("unixgram", tmp_path)
    path = server.address.removeprefix("unixgram://")
    log = Syslog({**ORDER, "protocol": "unixgram", "host": path})
    log.open()
    server.close()
    log.write((OUT, b"lost", 1, None))
    (tmp_path / "log.sock").unlink()
    server = LogServer("unixgram", tmp_path)
    log.write((OUT, b"found", 1, None))
    assert b"lost" not in server.wait_for(b"found\n")
    log.close()
    server.close()


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ({"protocol": "unix", "host": "/nonexistent"}, "dial unix /nonexistent: connect: no such"),
        ({"protocol": "tcp", "host": "127.0.0.1", "port": 1}, "dial tcp 127.0.0.1:1: connect: c"),
        (
            {"protocol": "tcp", "host": "a.invalid", "port": 1},
            "dial tcp: lookup a.invalid: no such",
        ),
    ],
)
def test_servers_that_are_not_there_are_named(order: dict[str, object], text: str) -> None:
    with pytest.raises(OSError, match=r"dial tcp|dial unix") as error:
        Syslog({**ORDER, **order}).open()
    assert str(error.value.strerror).startswith(text)


# --- the journal ---------------------------------------------------------------------------------


def fields(entry: bytes) -> dict[str, bytes]:
    """Return the fields of an entry in the journal's native form."""
    found = {}
    while entry:
        line, _, rest = entry.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[9 + size :]
        found[name.decode()] = value
        entry = rest
    return found


def journal(path: str = "/nonexistent", **more: str) -> Journal:
    """Return a journal with some fields of a container."""
    return Journal({"socket": path, "fields": {"CONTAINER_NAME": "box", **more}})


def test_entries_hold_the_fields_of_docker() -> None:
    log = journal(LABEL="two\nlines")
    first = fields(log.entry((OUT, b"hello", 1_500_000_000, None)))
    second = fields(log.entry((ERR, b"a\nb", 2_000_000_000, ("id", 2, False))))
    last = fields(log.entry((ERR, b"c", 2_000_000_000, ("id", 3, True))))
    epoch = first.pop("CONTAINER_LOG_EPOCH")
    assert len(epoch) == 64
    assert first == {
        "PRIORITY": b"6",
        "MESSAGE": b"hello",
        "CONTAINER_NAME": b"box",
        "LABEL": b"two\nlines",
        "SYSLOG_TIMESTAMP": b"1970-01-01T00:00:01.5Z",
        "CONTAINER_LOG_ORDINAL": b"1",
    }
    assert (second["PRIORITY"], second["MESSAGE"]) == (b"3", b"a\nb")
    assert (second["CONTAINER_LOG_ORDINAL"], second["CONTAINER_LOG_EPOCH"]) == (b"2", epoch)
    assert second["CONTAINER_PARTIAL_ID"] == b"id"
    assert second["CONTAINER_PARTIAL_ORDINAL"] == b"2"
    assert (second["CONTAINER_PARTIAL_LAST"], second["CONTAINER_PARTIAL_MESSAGE"]) == (
        b"false",
        b"true",
    )
    assert last["CONTAINER_PARTIAL_LAST"] == b"true"
    assert "CONTAINER_PARTIAL_MESSAGE" not in last


@given(st.binary())
def test_any_value_can_be_read_back(value: bytes) -> None:
    assert fields(encode_field("NAME", value)) == {"NAME": value}


def test_times_have_no_zeros_at_the_end() -> None:
    assert short_time(0) == b"1970-01-01T00:00:00Z"
    assert short_time(1_000_000_120) == b"1970-01-01T00:00:01.00000012Z"


def test_an_entry_that_is_too_long_for_a_datagram_travels_as_memory(tmp_path: Path) -> None:
    server = LogServer("unixgram", tmp_path)
    log = journal(server.address.removeprefix("unixgram://"), LARGE="x" * (4 << 20))
    log.open()
    log.write((OUT, b"hello", 1, None))
    (entry,) = eventually(lambda: server.memory)
    assert fields(entry)["MESSAGE"] == b"hello"
    assert len(fields(entry)["LARGE"]) == 4 << 20
    log.close()
    server.close()


def test_a_host_without_a_journal_is_told_so() -> None:
    with pytest.raises(OSError, match="journald is not enabled on this host"):
        journal().open()
