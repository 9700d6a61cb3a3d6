"""The Textual application of ``shoal ui``: one screen, one worker that follows the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work
from textual.app import App
from textual.binding import Binding

from compose.tui.dashboard import Dashboard
from compose.tui.feeds import EngineFeed

if TYPE_CHECKING:
    from pathlib import PurePath
    from typing import ClassVar

    from textual.binding import BindingType

    from compose.engine.client import EngineClient
    from compose.tui.store import State


class ShoalApp(App[None]):
    """The dashboard of one engine."""

    TITLE: str | None = "shoal"
    CSS_PATH: ClassVar[str | PurePath | list[str | PurePath] | None] = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False),
        Binding("question_mark", "show_help_panel", "help"),
    ]

    def __init__(self, client: EngineClient, *, ascii_only: bool = False) -> None:
        super().__init__()
        self._client = client
        self._dashboard = Dashboard(client, ascii_only=ascii_only)
        self._feed = EngineFeed(client, self._dashboard_show)

    async def on_mount(self) -> None:
        """Show the dashboard, then begin to follow the engine."""
        await self.push_screen(self._dashboard)
        self._run_feed()

    @work(exclusive=True, group="feed")
    async def _run_feed(self) -> None:
        await self._feed.run()

    def _dashboard_show(self, state: State) -> None:
        self._dashboard.show(state)
