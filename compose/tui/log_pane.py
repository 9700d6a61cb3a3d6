"""Widget: the log of the selected services, followed; each container in a colour of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.text import Text
from textual.widgets import RichLog

if TYPE_CHECKING:
    from compose.tui.feeds import LogLine

LINES_KEPT = 20_000
LINE_LENGTH = 4_000
COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow")
_CONTROL = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # operating system commands: titles, clipboard, links
    r"|\x1b\[[0-?]*[ -/]*[@-ln-~]"  # control sequences except colours (final byte m)
    r"|\x1b[^\[\]]"
    r"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]"
)


def clean(text: str) -> str:
    """Take out what could act on the terminal; colours stay (ECMA-48 SGR)."""
    return _CONTROL.sub("", text[:LINE_LENGTH]).replace("\t", "    ")


class LogPane(RichLog):
    """Shows lines at the end of the log; scrolling up stops following, the end resumes it."""

    def __init__(self) -> None:
        super().__init__(max_lines=LINES_KEPT, wrap=False, markup=False, id="logs")
        self._colours: dict[str, str] = {}

    def restart(self) -> None:
        """Forget everything: another selection is shown."""
        self.clear()
        self._colours = {}

    def add(self, line: LogLine) -> None:
        """Append a line."""
        colour = self._colours.setdefault(
            line.container, COLOURS[len(self._colours) % len(COLOURS)]
        )
        text = Text(f"{line.container} | ", style=colour)
        text.append_text(Text.from_ansi(clean(line.text), style="bold" if line.is_error else ""))
        self.write(text, scroll_end=self.is_vertical_scroll_end)
