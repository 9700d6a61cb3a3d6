"""The server with an engine in memory behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.api.router import Router
from tests.support.api_client import Api, serve
from tests.support.fake_engine import FakeEngine, make_fake_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    return make_fake_engine(str(tmp_path))


@pytest.fixture
async def api(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[Api]:
    async with serve(Router(engine.record), str(tmp_path / "api.sock")) as server:
        yield server
