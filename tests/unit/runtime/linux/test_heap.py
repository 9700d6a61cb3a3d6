"""The heap of the C library: what is free in its middle goes back to the kernel."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from runtime.linux.syscalls import trim_heap

SIZE, COUNT = 2000, 20_000


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
def test_free_memory_below_used_memory_is_given_back() -> None:
    blocks = [bytes(SIZE) for _ in range(COUNT)]
    last = bytes(SIZE)  # from here on the heap cannot become shorter
    before = resident()
    del blocks
    trim_heap()
    assert before - resident() > SIZE * COUNT // 2
    assert len(last) == SIZE


def resident() -> int:
    """Return the bytes of anonymous memory that this process has in use."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError
