"""The main screen: projects and services above, the log of what is selected below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on, work
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Static

from compose.errors import ShoalError
from compose.tui.feeds import follow_logs
from compose.tui.log_pane import LogPane
from compose.tui.service_table import ServiceTable
from compose.tui.store import State

if TYPE_CHECKING:
    from typing import ClassVar

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from compose.engine.client import EngineClient
    from compose.tui.store import Container

TAIL = 500
BANNERS = {
    "connecting": "connecting to the engine ...",
    "live": "",
    "disconnected": "disconnected, trying again: ",
}


class Dashboard(Screen[None]):
    """Services with their state, live; actions act on the row under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "stop"),
        Binding("S", "start", "start"),
        Binding("r", "restart", "restart"),
        Binding("slash", "filter", "filter"),
        Binding("escape", "clear_filter", "clear filter", show=False),
        Binding("j", "cursor(1)", "down", show=False),
        Binding("k", "cursor(-1)", "up", show=False),
    ]

    def __init__(self, client: EngineClient, *, ascii_only: bool = False) -> None:
        super().__init__()
        self._client = client
        self._table = ServiceTable(ascii_only=ascii_only)
        self._logs = LogPane()
        self._followed: tuple[str, ...] = ()
        self._state = State()

    def compose(self) -> ComposeResult:
        """Lay out the widgets."""
        yield Static("", id="banner", markup=False)
        yield self._table
        yield Input(placeholder="filter projects, services, images", id="filter")
        yield Static("", id="logs-title", markup=False)
        yield self._logs
        yield Footer()

    def on_mount(self) -> None:
        """Hide the filter until it is asked for."""
        self.query_one("#filter").display = False
        self._table.focus()

    def show(self, state: State) -> None:
        """Draw a new state."""
        self._state = state
        banner = BANNERS.get(state.connection, state.connection)
        problem = state.problem if state.connection == "disconnected" else ""
        running = sum(c.state == "running" for c in state.containers.values())
        live = f"{state.engine} · {running}/{len(state.containers)} running"
        self.query_one("#banner", Static).update(banner + problem if banner else live)
        self._table.show(state)
        self._follow_selected()

    @on(DataTable.RowHighlighted)
    def _selection_changed(self) -> None:
        self._follow_selected()

    def _follow_selected(self) -> None:
        containers = self._containers()
        wanted = tuple(f"{c.id}:{c.state == 'running'}" for c in containers)
        if wanted == self._followed:
            return
        self._followed = wanted
        names = " ".join(service.name for service in self._table.selected)
        self.query_one("#logs-title", Static).update(f"logs: {names}" if names else "no service")
        self._logs.restart()
        self._follow(containers)

    @work(exclusive=True, group="logs")
    async def _follow(self, containers: tuple[Container, ...]) -> None:
        await follow_logs(self._client, containers, TAIL, self._logs.add)

    def _containers(self) -> tuple[Container, ...]:
        return tuple(c for service in self._table.selected for c in service.containers)

    def action_stop(self) -> None:
        """Stop what is selected."""
        self._act("stop", "stopping")

    def action_start(self) -> None:
        """Start what is selected."""
        self._act("start", "starting")

    def action_restart(self) -> None:
        """Restart what is selected."""
        self._act("restart", "restarting")

    def action_cursor(self, rows: int) -> None:
        """Move the cursor of the table."""
        self._table.move_cursor(row=self._table.cursor_row + rows)

    def action_filter(self) -> None:
        """Open the filter."""
        box = self.query_one("#filter", Input)
        box.display = True
        box.focus()

    def action_clear_filter(self) -> None:
        """Close the filter and show everything."""
        box = self.query_one("#filter", Input)
        box.value = ""
        box.display = False
        self._table.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._table.set_filter(event.value, self._state)

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self._table.focus()

    @work(group="actions")
    async def _act(self, verb: str, saying: str) -> None:
        containers = self._containers()
        if not containers:
            return
        names = ", ".join(container.name for container in containers)
        self.notify(f"{saying} {names}")
        for container in containers:
            try:
                await self._call(verb, container.id)
            except ShoalError as error:
                self.notify(f"{container.name}: {error}", severity="error")

    async def _call(self, verb: str, identifier: str) -> None:
        if verb == "stop":
            await self._client.stop_container(identifier)
        elif verb == "start":
            await self._client.start_container(identifier)
        else:
            await self._client.restart_container(identifier)
