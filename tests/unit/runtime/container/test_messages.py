"""Messages between engine, launcher and shim."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from runtime.container.messages import (
    FORK,
    FRAME_HEADER,
    MAX_WORDS,
    NUMBER,
    Message,
    MessageError,
    decode,
    fork_order,
    frame,
    pack,
    quote,
    read_fork_answer,
    read_fork_order,
    unpack,
    unquote,
)

verbs = st.text(alphabet="abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)


@given(verbs, st.lists(st.text(max_size=40), max_size=6), st.binary(max_size=200))
def test_a_message_survives_its_encoding(verb: str, words: list[str], payload: bytes) -> None:
    message = Message(verb, words, payload)
    assert decode(message.encode()) == message


@given(st.text())
def test_a_quoted_text_is_one_ascii_word(text: str) -> None:
    word = quote(text)
    assert word.isascii()
    assert not set(word) & set(" \n\0")
    assert unquote(word) == text


@given(st.binary(max_size=300))
def test_any_datagram_is_a_message_or_an_error(data: bytes) -> None:
    try:
        message = decode(data)
    except MessageError:
        return
    assert "\n" not in message.verb


def test_file_names_that_are_not_utf8_survive() -> None:
    name = b"/tmp/\xff\xfe".decode("utf-8", "surrogateescape")
    assert unquote(quote(name)) == name


def test_a_first_line_that_is_too_long_is_refused() -> None:
    with pytest.raises(MessageError):
        decode(b"x" * (MAX_WORDS + 1))


@pytest.mark.parametrize("words", [(), ("x",), ("1.5",)])
def test_a_missing_or_wrong_number_is_named(words: tuple[str, ...]) -> None:
    with pytest.raises(MessageError, match="resize: word 0"):
        Message("resize", words).number(0)


@given(st.integers(0, 3), st.binary(max_size=5000))
def test_a_frame_is_header_and_payload(stream: int, data: bytes) -> None:
    framed = frame(stream, data)
    assert framed[:4] == bytes((stream, 0, 0, 0))
    assert FRAME_HEADER.unpack(framed[:8]) == (stream, len(data))
    assert framed[8:] == data


@given(st.lists(st.one_of(st.integers(), st.text()), max_size=5))
def test_launcher_messages_survive(parts: list[int | str]) -> None:
    assert unpack(pack("fork", *parts)) == ("fork", *parts)


# marshal makes room for a tuple, list or long number of the length that it reads, gigabytes of it.
SIZED = bytes(code | flag for code in b"([l" for flag in (0, 0x80))


@given(st.binary(max_size=60).map(lambda data: data.translate(None, SIZED)))
@example(b")\x01i\x01\0\0\0")
@example(b")\0")
@example(b"")
def test_what_is_no_launcher_message_is_refused(data: bytes) -> None:
    try:
        parts = unpack(data)
    except MessageError:
        return
    assert isinstance(parts[0], str)


names = st.lists(st.text(max_size=20), max_size=5).map(tuple)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2), st.text(), names)
def test_an_order_to_fork_is_a_head_and_a_tuple(
    number: int, kept: int, task: str, names: tuple[str, ...]
) -> None:
    order = fork_order(number, kept, "container", task, names)
    assert (order[0], order[NUMBER]) == (FORK, kept)
    assert read_fork_order(order) == ("container", task, names)
    assert read_fork_answer(order[:NUMBER] + (4321).to_bytes(4, "big")) == (number, 4321)


@pytest.mark.parametrize("parts", [("hello", ""), ("more", 1, ("run",)), ("failed", 1, 11)])
def test_an_order_to_fork_is_told_by_its_first_byte(
    parts: tuple[str | int | tuple[str, ...], ...],
) -> None:
    assert pack(*parts)[0] != FORK


@pytest.mark.parametrize("parts", [("container", "c.1"), ("container", 1, ("run",))])
def test_another_tuple_is_no_order_to_fork(parts: tuple[str | int | tuple[str, ...], ...]) -> None:
    with pytest.raises(MessageError, match="not an order"):
        read_fork_order(fork_order(1, 0, "", "", ())[: NUMBER + 1] + pack(*parts))
