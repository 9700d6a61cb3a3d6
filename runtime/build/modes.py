"""File modes as COPY's ``--chmod`` writes them: octal, or symbolic as chmod(1) does. Pure."""

from __future__ import annotations

import re

from runtime.errors import InvalidArgument

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXst]*)+)")
_ACTION = re.compile(r"([-+=])([rwxXst]*)")
_CLASSES = {"u": 0o4700, "g": 0o2070, "o": 0o1007}


def check_mode(text: str) -> str:
    """Return a mode that can be applied.

    Raises:
        InvalidArgument: it is neither octal nor symbolic.
    """
    if re.fullmatch(r"[0-7]{1,5}", text) and int(text, 8) <= 0o7777:
        return text
    if all(_CLAUSE.fullmatch(clause) for clause in text.split(",")):
        return text
    raise InvalidArgument(f"invalid chmod parameter: '{text}': invalid syntax")


def apply_mode(text: str, mode: int, is_directory: bool) -> int:
    """Return a file's permission bits after a checked change."""
    if text.isdigit():
        return int(text, 8)
    mode &= 0o7777
    for clause in text.split(","):
        found = _CLAUSE.fullmatch(clause)
        if found is None:
            continue
        classes = "ugo" if not found[1] or "a" in found[1] else found[1]
        for operator, letters in _ACTION.findall(found[2]):
            mode = _act(mode, classes, operator, letters, is_directory)
    return mode


def _act(mode: int, classes: str, operator: str, letters: str, is_directory: bool) -> int:
    executable = is_directory or bool(mode & 0o111)
    bits = 0
    for letter in letters:
        if letter in "rwx" or (letter == "X" and executable):
            bits |= {"r": 0o444, "w": 0o222, "x": 0o111, "X": 0o111}[letter]
        elif letter == "s":
            bits |= 0o6000
        elif letter == "t":
            bits |= 0o1000
    mask = sum(_CLASSES[name] for name in set(classes))
    bits &= mask
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    return (mode & ~(mask & 0o6777)) | bits
