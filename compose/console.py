"""Everything that is written for the user: text, tables, colour, warnings, questions.

The only module that writes to standard output and error. Reports go to standard output; progress,
warnings and errors to the *status stream*, which is standard error unless ``COMPOSE_STATUS_STDOUT``
says otherwise.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, BinaryIO, TextIO

from compose.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compose.errors import ShoalError

TRUE_WORDS = frozenset({"1", "t", "true", "y", "yes"})
RESET = "\x1b[0m"
BOLD, RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN = "1", "31", "32", "33", "34", "35", "36"
DURATION_UNITS = (
    (48, "hours", 1),
    (336, "days", 24),
    (1440, "weeks", 168),
    (17520, "months", 720),
)
LOG_COLOURS = tuple(
    f"{colour}{weight}" for weight in ("", ";1") for colour in (CYAN, YELLOW, GREEN, MAGENTA, BLUE)
)


def is_true(word: str) -> bool:
    """Read an environment variable that is a switch."""
    return word.lower() in TRUE_WORDS


class Console:
    """The two output streams of a command and how they may be decorated."""

    def __init__(
        self,
        *,
        ansi: str = "auto",
        progress: str = "auto",
        env: Mapping[str, str] | None = None,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        """Decide once where to write and whether to colour.

        Args:
            ansi: ``never``, ``always`` or ``auto``.
            progress: ``auto``, ``tty``, ``plain``, ``json``, ``quiet``.
            env: the process environment.
            out: standard output, if another one.
            err: standard error, if another one.
        """
        env = os.environ if env is None else env
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self.ansi = ansi or "auto"
        self.status = self.out if is_true(env.get("COMPOSE_STATUS_STDOUT", "")) else self.err
        self.colourless = bool(env.get("NO_COLOR")) or self.ansi == "never"
        self.progress = _progress_mode(progress, self.ansi, terminal=self.status.isatty())
        self._started = time.monotonic()

    @property
    def colour_out(self) -> bool:
        """Whether reports and logs on standard output are coloured."""
        return not self.colourless and (self.ansi == "always" or self._auto(self.out))

    @property
    def colour_status(self) -> bool:
        """Whether progress and errors are coloured."""
        return not self.colourless and (self.ansi == "always" or self._auto(self.status))

    def _auto(self, stream: TextIO) -> bool:
        return self.ansi == "auto" and stream.isatty()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal, or 80 and 24."""
        try:
            size = os.get_terminal_size(self.status.fileno())
        except (OSError, ValueError):
            return 80, 24
        return size.columns or 80, size.lines or 24

    def print(self, text: str = "") -> None:
        """Write a line of the report."""
        self.out.write(text + "\n")
        self.out.flush()

    def write(self, text: str) -> None:
        """Write a piece of the report as it is."""
        self.out.write(text)
        self.out.flush()

    def note(self, text: str) -> None:
        """Write a line to the status stream."""
        self.status.write(text + "\n")
        self.status.flush()

    def draw(self, text: str) -> None:
        """Write a piece to the status stream as it is."""
        self.status.write(text)
        self.status.flush()

    @property
    def out_bytes(self) -> BinaryIO:
        """Standard output for bytes, after everything written before."""
        self.out.flush()
        return self.out.buffer

    @property
    def err_bytes(self) -> BinaryIO:
        """Standard error for bytes, after everything written before."""
        self.err.flush()
        return self.err.buffer

    def warn(self, message: str) -> None:
        """Write a warning the way Docker Compose logs it."""
        self._log("warning", message)

    def info(self, message: str) -> None:
        """Write an informational log line."""
        self._log("info", message)

    def _log(self, level: str, message: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        stamp = f"{now[:-2]}:{now[-2:]}" if now[-5:-4] in "+-" else now
        if self.progress == "json":
            line = json.dumps({"level": level, "msg": message, "time": stamp})
        elif self.err.isatty():
            colour = YELLOW if level == "warning" else CYAN
            word = self.paint(level.upper()[:4], colour, on=self.colour_status)
            line = f"{word}[{int(time.monotonic() - self._started):04d}] {message}"
        else:
            line = f'time="{stamp}" level={level} msg={json.dumps(message, ensure_ascii=False)}'
        self.err.write(line + "\n")
        self.err.flush()

    def error(self, error: ShoalError) -> None:
        """Write an error and its remedy, and any further ones found with it."""
        if self.progress == "json":
            self.err.write(json.dumps({"error": True, "message": str(error)}) + "\n")
        else:
            self.err.write(f"{error}\n")
            if error.excerpt:
                self.err.write(f"{error.excerpt}\n")
            if error.hint:
                hint = self.paint("hint:", YELLOW, on=self.err.isatty() and not self.colourless)
                self.err.write(f"  {hint} {error.hint}\n")
        self.err.flush()
        for other in error.others:
            self.error(other)

    def paint(self, text: str, colour: str, *, on: bool | None = None) -> str:
        """Wrap text into a colour when colours are on (by default those of the status stream)."""
        coloured = self.colour_status if on is None else on
        return f"\x1b[{colour}m{text}{RESET}" if coloured else text

    def confirm(self, question: str) -> bool:
        """Ask a yes-or-no question; the end of the input means no."""
        if sys.stdin.isatty() and self.out.isatty():
            self.write(f"? {question} (y/N) ")
        else:
            self.write(f"{question} [yN] ")
        answer = sys.stdin.readline().strip().lower()
        return answer in {"y", "yes"}

    def table(
        self, titles: Sequence[str], rows: Iterable[Sequence[str]], *, least: int = 0, gap: int = 3
    ) -> None:
        """Write aligned columns.

        Args:
            titles: names of the columns.
            rows: their cells.
            least: least width of a cell, its gap included.
            gap: blanks after the longest cell of a column.
        """
        for line in table_lines([titles, *rows], least=least, gap=gap):
            self.print(line)


def table_lines(rows: Sequence[Sequence[str]], *, least: int = 0, gap: int = 3) -> list[str]:
    """Align rows of cells; every cell but the last is padded."""
    widths = [
        max(least, *(len(cell) + gap for cell in column)) for column in zip(*rows, strict=True)
    ]
    return [
        "".join(
            cell if at == len(row) - 1 else cell.ljust(widths[at]) for at, cell in enumerate(row)
        )
        for row in rows
    ]


def _progress_mode(asked: str, ansi: str, *, terminal: bool) -> str:
    asked = asked or "auto"
    if asked == "none":
        asked = "quiet"
    if asked not in {"auto", "tty", "plain", "json", "quiet"}:
        raise UsageError(f'unsupported --progress value "{asked}"')
    if asked == "tty" and ansi == "never":
        raise UsageError("can't use --progress tty while ANSI support is disabled")
    if asked == "plain" and ansi == "always":
        raise UsageError("can't use --progress plain while ANSI support is forced")
    if asked != "auto":
        return asked
    if ansi == "always":
        return "tty"
    return "tty" if terminal and ansi != "never" else "plain"


def human_size(size: float, digits: int = 4) -> str:
    """A number of bytes in decimal units with at most four digits, as Docker writes it."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000:
            return f"{size:.{digits}g}{unit}"
        size /= 1000
    return f"{size:.{digits}g}PB"


def human_duration(seconds: float) -> str:
    """A time span in words, as Docker writes it: ``About a minute``, ``3 weeks``."""
    whole = int(seconds)
    if whole < 60:
        return {0: "Less than a second", 1: "1 second"}.get(whole, f"{whole} seconds")
    minutes, hours = whole // 60, round(seconds / 3600)
    if minutes < 46:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours <= 1:
        return "About an hour"
    for limit, unit, size in DURATION_UNITS:
        if hours < limit:
            return f"{hours // size} {unit}"
    return f"{hours // 8760} years"
