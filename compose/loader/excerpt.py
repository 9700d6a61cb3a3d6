"""The lines of a file around a mistake, with a caret below it."""

from __future__ import annotations

WIDTH = 100


def excerpt(text: str, line: int, column: int) -> str:
    """Show a line, the one before it, and a caret.

    Args:
        text: the file.
        line: where the mistake is, from 1; 0 shows nothing.
        column: where in the line, from 1; 0 draws no caret.
    """
    lines = text.splitlines()
    if not 1 <= line <= len(lines):
        return ""
    margin = len(str(line))
    shown = [
        f"{number:>{margin}} | {_shortened(lines[number - 1])}"
        for number in (line - 1, line)
        if number and (number == line or lines[number - 1].strip())
    ]
    if 0 < column <= min(len(lines[line - 1]), WIDTH):
        lead = "".join("\t" if c == "\t" else " " for c in lines[line - 1][: column - 1])
        shown.append(f"{' ' * margin} | {lead}^")
    return "\n".join(shown)


def _shortened(line: str) -> str:
    printable = "".join(c if c.isprintable() or c == "\t" else "?" for c in line.rstrip())
    return printable if len(printable) <= WIDTH else printable[: WIDTH - 3] + "..."
