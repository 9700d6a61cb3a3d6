"""An engine of its own for each test of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.shoal_program import ShoalProgram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def shoal(tmp_path: Path) -> Iterator[ShoalProgram]:
    """The program on an engine that is removed, and looked after for leaks, at the end."""
    program = ShoalProgram(tmp_path)
    yield program
    program.close()


@pytest.fixture
def busybox(shoal: ShoalProgram) -> ShoalProgram:
    """The program on an engine that has the busybox image."""
    shoal.load_busybox()
    return shoal
