"""Progress of a command: events, and the renderers that show them.

The words are Docker Compose's, so that scripts which read them go on working: a plain line is
`` Container p-s-1  Started``.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Protocol

from compose.console import BLUE, BOLD, GREEN, RED, YELLOW, human_size
from compose.model.record import record

if TYPE_CHECKING:
    from compose.console import Console

WORKING, DONE, WARNING, ERROR = "working", "done", "warning", "error"
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
REDRAW_SECONDS = 0.1


@record
class Event:
    """Something happened to one thing.

    Attributes:
        id: what, such as ``Container p-s-1``.
        status: the word, such as ``Started``.
        state: whether it goes on, is done, warns or failed.
        text: more, shown after the id.
        parent: id of the thing that this is a part of.
        current: how much of it is done.
        total: how much there is to do.
    """

    id: str
    status: str
    state: str = DONE
    text: str = ""
    parent: str = ""
    current: int = 0
    total: int = 0


class Progress(Protocol):
    """Shows events."""

    def start(self, title: str) -> None:
        """Begin a group of events."""

    def report(self, event: Event) -> None:
        """Show one event."""

    def tick(self) -> None:
        """Let time pass: move what moves."""

    def stop(self) -> None:
        """End the group."""


class QuietProgress:
    """Shows nothing."""

    def start(self, title: str) -> None:
        """Nothing to begin."""

    def report(self, event: Event) -> None:
        """Show nothing."""

    def tick(self) -> None:
        """Nothing moves."""

    def stop(self) -> None:
        """Nothing to end."""


class PlainProgress(QuietProgress):
    """One line for each event; parts of things are left out."""

    def __init__(self, console: Console, prefix: str = "") -> None:
        self._console = console
        self._prefix = prefix

    def report(self, event: Event) -> None:
        """Write the line."""
        if not event.parent:
            self._console.note(f"{self._prefix} {event.id} {event.text} {event.status}")


class JsonProgress(QuietProgress):
    """One JSON object for each event."""

    def __init__(self, console: Console, *, dry_run: bool = False) -> None:
        self._console = console
        self._dry_run = dry_run

    def report(self, event: Event) -> None:
        """Write the object without its empty keys."""
        percent = event.current * 100 // event.total if event.total else 0
        values: dict[str, object] = {
            "dry-run": self._dry_run,
            "id": event.id,
            "parent_id": event.parent,
            "text": event.text,
            "status": event.status,
            "current": event.current,
            "total": event.total,
            "percent": percent,
        }
        self._console.note(json.dumps({key: value for key, value in values.items() if value}))


class _Row:
    """One thing on the screen and since when it is worked on."""

    __slots__ = ("began", "ended", "event", "parts")

    def __init__(self, event: Event, now: float) -> None:
        self.event = event
        self.began = now
        self.ended = 0.0
        self.parts: dict[str, Event] = {}


class TtyProgress:
    """A block of rows that is drawn again in place, at most ten times a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._title = "Running"
        self._rows: dict[str, _Row] = {}
        self._drawn = 0
        self._last = 0.0

    def start(self, title: str) -> None:
        """Begin a new block below what was written so far."""
        self._title = title
        self._rows.clear()
        self._drawn = 0
        self._last = 0.0

    def report(self, event: Event) -> None:
        """Update the thing's row."""
        now = time.monotonic()
        if event.parent:
            if event.parent in self._rows:
                self._rows[event.parent].parts[event.id] = event
            return
        row = self._rows.setdefault(event.id, _Row(event, now))
        row.event = event
        row.ended = 0.0 if event.state == WORKING else now
        self.tick()

    def tick(self) -> None:
        """Draw when the last drawing is old enough."""
        now = time.monotonic()
        if now - self._last >= REDRAW_SECONDS:
            self._last = now
            self._draw()

    def stop(self) -> None:
        """Draw the last state and leave it on the screen."""
        if self._rows:
            self._draw()
        self._rows.clear()
        self._drawn = 0

    def _draw(self) -> None:
        done = sum(row.event.state != WORKING for row in self._rows.values())
        head = f"[+] {self._title} {done}/{len(self._rows)}"
        if done == len(self._rows):
            head = self._console.paint(head, BLUE)
        width, height = self._console.size
        label = max((len(_label(row.event)) for row in self._rows.values()), default=0)
        rows = self._fitting(height - 2)
        lines = [head] + [self._line(row, label, width) for row in rows]
        up = f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn > len(lines) else ""
        up = up or (f"\x1b[{self._drawn}A" if self._drawn else "")
        body = "".join(f"\r\x1b[2K{line}\n" for line in lines)
        self._console.draw(f"\x1b[?25l{up}{body}\x1b[?25h")
        self._drawn = len(lines)

    def _fitting(self, most: int) -> list[_Row]:
        """The rows that the screen has room for: what goes on or failed before what is done."""
        rows = list(self._rows.values())
        if len(rows) <= most:
            return rows
        done = [row for row in rows if row.event.state == DONE]
        hidden = {id(row) for row in done[: len(rows) - most]}
        return [row for row in rows if id(row) not in hidden][-most:]

    def _line(self, row: _Row, label: int, width: int) -> str:
        now = time.monotonic()
        took = f"{(row.ended or now) - row.began:.1f}s "
        text = f"{_label(row.event):<{label}}"
        if row.parts and row.event.state == WORKING:
            text += f" {_parts(row.parts)}"
        text = text[: width - len(took) - 5]
        left = max(0, width - len(text) - len(took) - 5)
        status = row.event.status[:left]
        room = left - len(status) + 1
        icon, colour = _icon(row.event.state, now)
        if row.event.state != WORKING:
            status = self._console.paint(status, colour)
        paint = self._console.paint
        return f" {paint(icon, colour)} {text} {status}{' ' * room}{paint(took, BLUE)}"


def _label(event: Event) -> str:
    return f"{event.id} {event.text}".rstrip()


def _parts(parts: dict[str, Event]) -> str:
    """Progress of the layers of a pull: one cell a layer, then bytes."""
    cells = "⠀⡀⣀⣄⣤⣦⣶⣷⣿"
    drawn, current, total = "", 0, 0
    for part in parts.values():
        share = part.current / part.total if part.total else 0.0
        if part.state == DONE:
            share = 1.0
        drawn += cells[min(8, int(share * 8))]
        current += part.current
        total += part.total
    return f"[{drawn}] {human_size(current)} / {human_size(total)}"


def _icon(state: str, now: float) -> tuple[str, str]:
    if state == DONE:
        return "✔", GREEN
    if state == WARNING:
        return "!", f"{BOLD};{YELLOW}"
    if state == ERROR:
        return "✘", f"{BOLD};{RED}"
    return SPINNER[int(now / REDRAW_SECONDS) % len(SPINNER)], YELLOW


def make_progress(console: Console) -> Progress:
    """The renderer for the console's mode."""
    if console.progress == "tty":
        return TtyProgress(console)
    if console.progress == "json":
        return JsonProgress(console)
    return QuietProgress() if console.progress == "quiet" else PlainProgress(console)
