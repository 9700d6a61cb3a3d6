"""The dashboard, driven by keys against an engine that is played."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from textual.widgets import Static

from compose.errors import EngineUnavailable
from compose.tui.app import ShoalApp
from compose.tui.log_pane import LogPane, clean
from compose.tui.service_table import ServiceTable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from textual.pilot import Pilot

    from compose.engine import wire
    from compose.engine.client import EngineClient


class PlayedEngine:
    """Answers the calls of the dashboard from lists that a test fills."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[wire.Event | Exception] = asyncio.Queue()
        self.calls: list[tuple[str, str]] = []
        self.containers: list[wire.ContainerSummary] = [
            self.container("one", "web", "Up 2 seconds (healthy)"),
            self.container("two", "store", "Up 2 seconds"),
        ]

    @staticmethod
    def container(identifier: str, service: str, status: str) -> wire.ContainerSummary:
        return {
            "Id": identifier,
            "Names": [f"/book-{service}-1"],
            "Image": f"book-{service}",
            "State": "running",
            "Status": status,
            "Labels": {
                "com.docker.compose.project": "book",
                "com.docker.compose.service": service,
                "com.docker.compose.container-number": "1",
            },
        }

    async def version(self) -> wire.Version:
        return {"Version": "28.5.2"}

    async def list_containers(
        self, filters: object = None, *, all: bool = False
    ) -> list[wire.ContainerSummary]:
        assert all
        assert filters is None
        self.calls.append(("list", ""))
        return self.containers

    async def events(self, filters: object, *, since: str) -> AsyncIterator[wire.Event]:
        assert filters
        assert since.isdigit()
        while True:
            event = await self.queue.get()
            if isinstance(event, Exception):
                raise event
            yield event

    async def inspect_container(self, ref: str) -> wire.ContainerInspect:
        return {"Id": ref, "Config": {"Tty": False}}

    async def logs(self, ref: str, query: object, *, tty: bool) -> AsyncIterator[tuple[int, bytes]]:
        assert not tty
        assert query
        yield 1, f"hello from {ref}\nsecond".encode()
        yield 1, b" half\n"
        await asyncio.Event().wait()

    async def stop_container(self, ref: str) -> None:
        self.calls.append(("stop", ref))

    async def start_container(self, ref: str) -> None:
        self.calls.append(("start", ref))

    async def restart_container(self, ref: str) -> None:
        self.calls.append(("restart", ref))

    def emit(self, action: str, identifier: str, **attributes: str) -> None:
        self.queue.put_nowait(
            {
                "Type": "container",
                "Action": action,
                "Actor": {"ID": identifier, "Attributes": attributes},
            }
        )


def _app(engine: PlayedEngine) -> ShoalApp:
    return ShoalApp(cast("EngineClient", engine), ascii_only=True)


async def _until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError("the condition did not come true")


def _cells(app: ShoalApp) -> list[list[str]]:
    table = app.screen.query_one(ServiceTable)
    return [
        [str(cell).strip() for cell in table.get_row_at(row)][:3] for row in range(table.row_count)
    ]


def _log(app: ShoalApp) -> str:
    return "\n".join(strip.text for strip in app.screen.query_one(LogPane).lines)


async def test_services_stand_below_their_project_with_state_and_health() -> None:
    app = _app(PlayedEngine())
    async with app.run_test(size=(100, 30)) as pilot:
        await _until(pilot, lambda: len(_cells(app)) == 3)
        assert _cells(app) == [
            ["book", "[R] running", "2"],
            ["store", "[R] running", "1/1"],
            ["web", "[H] healthy", "1/1"],
        ]


async def test_an_event_changes_the_row_and_the_cursor_stays() -> None:
    engine = PlayedEngine()
    app = _app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await _until(pilot, lambda: len(_cells(app)) == 3)
        await pilot.press("down", "down")
        engine.emit("die", "two", exitCode="1")
        await _until(pilot, lambda: _cells(app)[1][1] == "[!] exited (1)")
        engine.emit(
            "create",
            "three",
            name="book-api-1",
            image="api",
            **{
                "com.docker.compose.project": "book",
                "com.docker.compose.service": "api",
            },
        )
        await _until(pilot, lambda: len(_cells(app)) == 4)
        selected = app.screen.query_one(ServiceTable).selected
        assert [service.name for service in selected] == ["web"]
        assert engine.calls.count(("list", "")) == 1


async def test_the_log_follows_the_selection() -> None:
    app = _app(PlayedEngine())
    async with app.run_test(size=(100, 30)) as pilot:
        await _until(pilot, lambda: "hello from one" in _log(app) and "from two" in _log(app))
        await pilot.press("down")
        await _until(pilot, lambda: "hello from one" not in _log(app) and "two" in _log(app))
        assert "book-store-1 | second half" in _log(app)


async def test_keys_act_on_the_selected_service_or_the_whole_project() -> None:
    engine = PlayedEngine()
    app = _app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await _until(pilot, lambda: len(_cells(app)) == 3)
        await pilot.press("r")
        await _until(pilot, lambda: ("restart", "one") in engine.calls)
        assert ("restart", "two") in engine.calls
        await pilot.press("down", "s")
        await _until(pilot, lambda: ("stop", "two") in engine.calls)
        await pilot.press("S")
        await _until(pilot, lambda: ("start", "two") in engine.calls)
        assert ("stop", "one") not in engine.calls


async def test_a_lost_engine_is_said_and_taken_up_again() -> None:
    engine = PlayedEngine()
    app = _app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await _until(pilot, lambda: len(_cells(app)) == 3)
        banner = app.screen.query_one("#banner", Static)
        engine.queue.put_nowait(EngineUnavailable("nobody answers"))
        await _until(pilot, lambda: "disconnected" in str(banner.render()))
        assert "nobody answers" in str(banner.render())
        await _until(pilot, lambda: "2/2 running" in str(banner.render()))
        assert engine.calls.count(("list", "")) == 2


async def test_the_filter_narrows_the_table() -> None:
    app = _app(PlayedEngine())
    async with app.run_test(size=(100, 30)) as pilot:
        await _until(pilot, lambda: len(_cells(app)) == 3)
        await pilot.press("slash", "s", "t", "o")
        await _until(pilot, lambda: [row[0] for row in _cells(app)] == ["book", "store"])
        await pilot.press("escape")
        await _until(pilot, lambda: len(_cells(app)) == 3)


async def test_q_quits() -> None:
    app = _app(PlayedEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("q")
    assert app.return_code == 0


def test_a_log_cannot_act_on_the_terminal() -> None:
    hostile = "\x1b]0;title\x07a\x1b[2Jb\x1b[31mred\x1b[0m\x1b]52;c;eA==\x1b\\c\x00\x9bd\tx\x1bcq"
    assert clean(hostile) == "ab\x1b[31mred\x1b[0mcd    xq"
    assert len(clean("x" * 100_000)) == 4_000
