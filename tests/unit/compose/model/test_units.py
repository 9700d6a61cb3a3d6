"""Sizes, durations and numbers in Docker's notation."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, strategies as st

from compose.model.units import (
    Duration,
    FileMode,
    Size,
    float_text,
    parse_duration,
    parse_mode,
    parse_size,
    single_precision,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512),
        ("1k", 1024),
        ("1KB", 1024),
        ("1kib", 1024),
        ("1.5g", 1610612736),
        ("1.5 GB", 1610612736),
        ("64m", 67108864),
        ("1t", 1 << 40),
        ("1P", 1 << 50),
        ("10b", 10),
        (".5k", 512),
        ("0", 0),
    ],
)
def test_a_size_counts_in_powers_of_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "x", "5xb", "5kk", "1 2", "-1", "5e", "1kbb", "9999999p", "5i"]
)
def test_a_bad_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("90s", "1m30s"),
        ("1d", "24h0m0s"),
        ("1w2d", "216h0m0s"),
        ("1.5s", "1.5s"),
        ("1h1.5s", "1h0m1.5s"),
        ("150ms", "150ms"),
        ("1500ms", "1.5s"),
        ("1us", "1µs"),
        ("1500ns", "1.5µs"),
        ("5ns", "5ns"),
        ("0s", "0s"),
        ("0", "0s"),
        ("-5s", "-5s"),
        ("+5s", "5s"),
        ("0.5h", "30m0s"),
    ],
)
def test_a_duration_is_written_in_gos_form(text: str, written: str) -> None:
    assert parse_duration(text).text() == written


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("30", "missing unit"),
        ("", "invalid duration"),
        ("3x", "unknown unit 'x'"),
        ("s", "invalid duration"),
        ("1s ", "invalid duration"),
        ("1m30", "missing unit"),
        ("99999999w", "longer than"),
    ],
)
def test_a_bad_duration_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_duration(text)


@given(st.integers(min_value=-(2**62), max_value=2**62))
def test_a_written_duration_reads_as_the_same_duration(nanoseconds: int) -> None:
    assert parse_duration(Duration(nanoseconds).text()) == nanoseconds


@given(st.integers(min_value=0, max_value=2**62))
def test_a_written_size_reads_as_the_same_size(size: int) -> None:
    assert parse_size(Size(size).text()) == size


@given(st.integers(min_value=0, max_value=0o7777))
def test_a_written_mode_reads_as_the_same_mode(mode: int) -> None:
    assert parse_mode(FileMode(mode).text()) == mode


def test_a_mode_is_octal() -> None:
    assert parse_mode("0440") == 0o440
    with pytest.raises(ValueError, match="octal digits"):
        parse_mode("9")


def test_a_duration_knows_its_seconds() -> None:
    assert parse_duration("1m0.5s").seconds == 60.5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (1e3, "1000"),
        (100000.0, "100000"),
        (1e6, "1e+06"),
        (123456789.0, "1.23456789e+08"),
        (0.5, "0.5"),
        (0.0001, "0.0001"),
        (1e-5, "1e-05"),
        (-2.5, "-2.5"),
        (0.0, "0"),
        (1.2345678901234568e20, "1.2345678901234568e+20"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_a_float_is_written_as_go_writes_it(value: float, text: str) -> None:
    assert float_text(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_float_reads_as_the_same_float(value: float) -> None:
    assert float(float_text(value)) == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_single_precision_keeps_the_32_bit_number(value: float) -> None:
    short = single_precision(value)
    assert struct.pack("<f", short) == struct.pack("<f", value)
