"""Exit records: what a shim leaves behind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from runtime.container import exit_record
from runtime.container.exit_record import ExitRecord, parse
from runtime.container.messages import MessageError

if TYPE_CHECKING:
    from pathlib import Path

numbers = st.integers(-(2**62), 2**62)


@st.composite
def records(draw: st.DrawFn) -> ExitRecord:
    record = ExitRecord(draw(numbers), draw(numbers))
    record.oom, record.dropped, record.errno = draw(numbers), draw(numbers), draw(numbers)
    record.started_ns, record.finished_ns = draw(numbers), draw(numbers)
    record.step, record.text = draw(st.text()), draw(st.text())
    return record


@given(records())
def test_a_record_survives_its_file(record: ExitRecord) -> None:
    assert parse(record.encode()) == record


@given(records(), st.text(alphabet="abcxyz", min_size=9), st.integers())
def test_keys_of_later_versions_are_left_out(record: ExitRecord, key: str, value: int) -> None:
    assert parse(record.encode() + f"{key} {value}\n".encode()) == record


@given(st.binary(max_size=200))
def test_any_file_is_a_record_or_an_error(data: bytes) -> None:
    try:
        assert isinstance(parse(data), ExitRecord)
    except MessageError:
        return


def test_missing_keys_keep_their_default() -> None:
    assert parse(b"code 3\n") == ExitRecord(3)


def test_only_a_failing_step_is_a_failed_start() -> None:
    record = ExitRecord(127)
    assert not record.failed_to_start
    record.step = "exec"
    assert record.failed_to_start


def test_a_record_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    assert exit_record.read(directory) is None
    (tmp_path / "exit.tmp").write_text("half")
    assert exit_record.read(directory) is None
    exit_record.write(directory, ExitRecord(5))
    assert exit_record.read(directory) == ExitRecord(5)
    assert [path.name for path in tmp_path.iterdir()] == ["exit"]
    (tmp_path / "exit").write_text("code x\n")
    with pytest.raises(MessageError):
        exit_record.read(directory)
    os.close(directory)
