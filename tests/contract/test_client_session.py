"""An attached ``up`` against the real API server with an engine in memory behind it."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from typing import TYPE_CHECKING

import pytest

from compose import session
from compose.console import Console
from compose.reconciler.draft import UpOptions
from compose.reconciler.observed import observe
from compose.reconciler.reconcile import reconcile
from compose.session import SessionOptions, run_session
from tests.support.clients import connected, until
from tests.support.observations import project, service

if TYPE_CHECKING:
    from compose.engine.client import EngineClient
    from compose.model.project import Project
    from tests.support.api_client import Api
    from tests.support.fake_engine import FakeEngine


class Output:
    """A console whose bytes are kept."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        stream = io.TextIOWrapper(self.bytes, write_through=True)
        self.console = Console(env={}, out=stream, err=stream)

    @property
    def text(self) -> str:
        return self.bytes.getvalue().decode()


@pytest.fixture(autouse=True)
def short_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The echo behind an attach ends with its input only: do not wait long for it."""
    monkeypatch.setattr(session, "DRAIN_SECONDS", 0.01)


def two() -> Project:
    services = [service(name, networks={}, network_mode="none") for name in ("a", "b")]
    return project(*services, networks={})


def up(
    client: EngineClient, wanted: Project, output: Output, **options: object
) -> asyncio.Task[int]:
    async def whole() -> int:
        observed = await observe(client, wanted)
        plan = reconcile(wanted, observed, UpOptions())
        values = {"services": ("a", "b"), **options}
        asked = SessionOptions(**values)  # type: ignore[arg-type]
        return await run_session(client, wanted, observed, plan, asked, output.console)

    return asyncio.create_task(whole())


async def running(engine: FakeEngine, count: int) -> None:
    def all_run() -> bool:
        return [c.state for c in engine.containers.items.values()] == ["running"] * count

    await until(all_run)


def end(engine: FakeEngine, name: str, code: int) -> None:
    engine.containers.end(engine.containers.find(name), code)


async def test_it_ends_with_0_when_everything_ended_by_itself(api: Api, engine: FakeEngine) -> None:
    output = Output()
    async with connected(api) as client:
        task = up(client, two(), output)
        await running(engine, 2)
        end(engine, "p-a-1", 0)
        await until(lambda: "a-1 exited with code 0" in output.text)
        assert not task.done()
        end(engine, "p-b-1", 7)
        assert await task == 0
    assert "Attaching to a-1, b-1" in output.text
    assert "b-1 exited with code 7" in output.text


async def test_the_first_end_stops_all_when_asked(api: Api, engine: FakeEngine) -> None:
    output = Output()
    async with connected(api) as client:
        task = up(client, two(), output, abort="exit")
        await running(engine, 2)
        end(engine, "p-a-1", 5)
        assert await task == 5
    assert "Aborting on container exit..." in output.text
    assert {c.state for c in engine.containers.items.values()} == {"exited"}


async def test_only_failures_stop_all_when_asked(api: Api, engine: FakeEngine) -> None:
    output = Output()
    async with connected(api) as client:
        task = up(client, two(), output, abort="failure")
        await running(engine, 2)
        end(engine, "p-a-1", 0)
        await until(lambda: "a-1 exited with code 0" in output.text)
        assert not task.done()
        end(engine, "p-b-1", 3)
        assert await task == 3


async def test_the_exit_code_may_be_that_of_another_service(api: Api, engine: FakeEngine) -> None:
    async with connected(api) as client:
        task = up(client, two(), Output(), abort="exit", exit_code_from="b")
        await running(engine, 2)
        end(engine, "p-a-1", 5)
        code = engine.containers.find("p-b-1")
        assert await task == code.code


async def test_a_signal_stops_everything_and_ends_with_130(api: Api, engine: FakeEngine) -> None:
    output = Output()
    async with connected(api) as client:
        task = up(client, two(), output)
        await running(engine, 2)
        await until(lambda: "Attaching to" in output.text)
        os.kill(os.getpid(), signal.SIGINT)
        assert await task == 130
    assert "Gracefully Stopping... press Ctrl+C again to force" in output.text
    assert {c.state for c in engine.containers.items.values()} == {"exited"}


async def test_services_that_are_not_attached_are_neither_shown_nor_waited_for(
    api: Api, engine: FakeEngine
) -> None:
    output = Output()
    async with connected(api) as client:
        task = up(client, two(), output, services=("a",))
        await running(engine, 2)
        end(engine, "p-a-1", 0)
        assert await task == 0
    assert "Attaching to a-1\n" in output.text
    assert "b-1" not in output.text.partition("Attaching")[2]
