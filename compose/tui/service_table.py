"""Widget: projects and their services with state, health and ports, kept in place by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.widgets import DataTable

from compose.tui.store import glyph, worst

if TYPE_CHECKING:
    from compose.tui.store import Service, State

COLUMNS = ("service", "state", "containers", "ports", "image")
STYLES = {
    "running": "bold blue",
    "healthy": "bold blue",
    "starting": "yellow",
    "restarting": "yellow",
    "unhealthy": "bold dark_orange",
    "failed": "bold dark_orange",
    "dead": "bold dark_orange",
}
PROJECT_ROW = "project:"
SERVICE_ROW = "service:"


class ServiceTable(DataTable[Text]):
    """A row a project, below it a row a service; the cursor stays on its row when rows change."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__(cursor_type="row", zebra_stripes=True, id="services")
        self._ascii = ascii_only
        self._services: dict[str, Service] = {}
        self._shown: dict[str, tuple[Text, ...]] = {}
        self._filter = ""

    def on_mount(self) -> None:
        """Make the columns."""
        for column in COLUMNS:
            self.add_column(column, key=column)

    @property
    def selected(self) -> tuple[Service, ...]:
        """The service under the cursor, or all of a project's when it stands on the project."""
        key = self._key_at_cursor()
        if key.startswith(SERVICE_ROW):
            service = self._services.get(key.removeprefix(SERVICE_ROW))
            return (service,) if service else ()
        project = key.removeprefix(PROJECT_ROW)
        return tuple(s for s in self._services.values() if key and s.project == project)

    def set_filter(self, text: str, state: State) -> None:
        """Show only rows whose project, service or image has the text."""
        self._filter = text.lower()
        self.show(state)

    def show(self, state: State) -> None:
        """Draw a state; cells that did not change are not touched."""
        rows = self._rows(state)
        if list(rows) == list(self._shown):
            for key, cells in rows.items():
                for column, old, new in zip(COLUMNS, self._shown[key], cells, strict=True):
                    if old != new:
                        self.update_cell(key, column, new, update_width=True)
        else:
            self._rebuild(rows)
        self._shown = rows

    def _rebuild(self, rows: dict[str, tuple[Text, ...]]) -> None:
        cursor = self._key_at_cursor()
        self.clear()
        for key, cells in rows.items():
            self.add_row(*cells, key=key)
        if cursor in rows:
            self.move_cursor(row=list(rows).index(cursor))

    def _key_at_cursor(self) -> str:
        if not self.is_valid_row_index(self.cursor_row):
            return ""
        return self.ordered_rows[self.cursor_row].key.value or ""

    def _rows(self, state: State) -> dict[str, tuple[Text, ...]]:
        rows: dict[str, tuple[Text, ...]] = {}
        self._services = {}
        for project in state.projects():
            services = [s for s in state.services(project) if self._passes(s)]
            if not services:
                continue
            word = worst(service.word for service in services)
            title = project or "(no project)"
            rows[PROJECT_ROW + project] = (
                Text(title, style="bold"),
                self._state(word),
                Text(str(sum(len(service.containers) for service in services))),
                Text(""),
                Text(""),
            )
            for service in services:
                self._services[service.key] = service
                rows[SERVICE_ROW + service.key] = self._service_cells(service)
        return rows

    def _passes(self, service: Service) -> bool:
        words = (service.project, service.name, *(c.image for c in service.containers))
        return any(self._filter in word.lower() for word in words)

    def _service_cells(self, service: Service) -> tuple[Text, ...]:
        first = service.containers[0]
        label = first.label if len(service.containers) == 1 else service.word
        running = sum(container.state == "running" for container in service.containers)
        ports = dict.fromkeys(port for c in service.containers for port in c.ports)
        arrow = "->" if self._ascii else "→"
        return (
            Text(f"  {service.name}"),
            self._state(service.word, label),
            Text(f"{running}/{len(service.containers)}"),
            Text(" ".join(ports).replace("→", arrow)),
            Text(first.image),
        )

    def _state(self, word: str, label: str = "") -> Text:
        sign = glyph(word, ascii_only=self._ascii)
        return Text(f"{sign} {label or word}", style=STYLES.get(word, ""))
