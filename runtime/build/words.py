"""Words of a Dockerfile: quotes, escapes, ``$name``, ``${name...}`` (Dockerfile reference). Pure.

The rules are those of a small shell: single quotes keep everything, double quotes keep blanks,
the escape character keeps the next character.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPECIAL = frozenset("@*#?-$!0")


class WordError(InvalidArgument):
    """A word cannot be expanded."""


def expand(text: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """Return a word without quotes and with its variables filled in.

    Raises:
        WordError: ``failed to process "<word>": <reason>``.
    """
    return " ".join(_expanded(text, variables, escape).words(split=False))


def expand_words(text: str, variables: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Return the words of a text; an unquoted variable may give several."""
    return _expanded(text, variables, escape).words(split=True)


def expand_unquoted(text: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """Fill in variables alone: quotes and other escapes stay (heredocs of COPY and ADD)."""
    return re.sub(
        rf"{re.escape(escape)}\$|\$(?:\w+|\{{[^}}]*\}})",
        lambda found: (
            found[0] if found[0].startswith(escape) else expand(found[0], variables, escape)
        ),
        text,
    )


def _expanded(text: str, variables: Mapping[str, str], escape: str) -> _Scanner:
    scanner = _Scanner(text, variables, escape)
    try:
        scanner.run("")
    except WordError as error:
        raise WordError(f'failed to process "{text}": {error.message}') from error
    return scanner


class _Scanner:
    """One pass over a text; collects pieces of which some are open to splitting."""

    def __init__(self, text: str, variables: Mapping[str, str], escape: str) -> None:
        self._text = text
        self._position = 0
        self._variables = variables
        self._escape = escape
        self._pieces: list[tuple[str, bool]] = []  # text, may be split at blanks

    def words(self, split: bool) -> list[str]:
        """Return what was collected: one word, or several."""
        if not split:
            return ["".join(text for text, _ in self._pieces)]
        words: list[str] = []
        current: str | None = None
        for text, open_ in self._pieces:
            for character in text if open_ else (text,):
                if open_ and character.isspace():
                    if current is not None:
                        words.append(current)
                    current = None
                else:
                    current = (current or "") + character
        return [*words, current] if current is not None else words

    def run(self, stop: str, raw_escapes: bool = False) -> str:
        """Read up to a character (or the end) and return what was read, expanded."""
        start = len(self._pieces)
        while self._position < len(self._text):
            character = self._next()
            if character == stop:
                found = self._pieces[start:]
                if stop:
                    del self._pieces[start:]
                return "".join(text for text, _ in found)
            self._one(character, raw_escapes)
        if stop:
            raise WordError(f"syntax error: missing '{stop}'")
        return ""

    def _one(self, character: str, raw_escapes: bool) -> None:
        if character == "'":
            self._pieces.append((self._single_quoted(), False))
        elif character == '"':
            self._double_quoted()
        elif character == "$":
            self._pieces.append((self._dollar(), True))
        elif character == self._escape:
            if self._position < len(self._text):
                kept = self._next()
                self._pieces.append((character + kept if raw_escapes else kept, False))
        else:
            self._pieces.append((character, True))

    def _next(self) -> str:
        character = self._text[self._position]
        self._position += 1
        return character

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._position)
        if end < 0:
            raise WordError("unexpected end of statement while looking for matching single-quote")
        quoted, self._position = self._text[self._position : end], end + 1
        return quoted

    def _double_quoted(self) -> None:
        self._pieces.append(("", False))  # an empty pair of quotes is a word too
        while self._position < len(self._text):
            character = self._next()
            if character == '"':
                return
            if character == "$":
                character = self._dollar()
            elif character == self._escape:
                following = self._peek()
                if following and following in f'"${self._escape}':
                    character = self._next()
            self._pieces.append((character, False))
        raise WordError("unexpected end of statement while looking for matching double-quote")

    # Variables -------------------------------------------------------------------------------

    def _dollar(self) -> str:
        if self._peek() != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._next()
        if not self._peek():
            raise WordError("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise WordError("syntax error: bad substitution")
        name = self._name()
        modifier = self._next() if self._peek() else ""
        if not modifier:
            raise WordError("syntax error: missing '}'")
        if modifier == "}":
            return self._variables.get(name, "")
        return self._modified(name, modifier)

    def _name(self) -> str:
        found = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+").match(self._text, self._position)
        if found is not None:
            self._position = found.end()
            return found[0]
        if self._peek() in _SPECIAL and self._peek():
            return self._next()
        return ""

    def _modified(self, name: str, modifier: str) -> str:
        if modifier == "/":
            return self._replaced(self._variables.get(name, ""))
        empty_is_unset = modifier == ":"
        if empty_is_unset:
            modifier = self._next() if self._peek() else ""
        shown = (":" if empty_is_unset else "") + modifier
        if modifier not in {"-", "+", "?", "#", "%"} or (empty_is_unset and modifier in "#%"):
            raise WordError(f"unsupported modifier ({shown}) in substitution")
        word = self.run("}", raw_escapes=modifier in "#%")
        value = self._variables.get(name)
        if modifier in "#%":
            return _trimmed(value or "", modifier, word)
        present = value is not None and not (empty_is_unset and not value)
        return _chosen(name, modifier, word, value if present else None, empty_is_unset)

    def _replaced(self, value: str) -> str:
        everywhere = self._peek() == "/"
        if everywhere:
            self._next()
        pattern = self.run("/", raw_escapes=True)
        replacement = self.run("}", raw_escapes=True)
        return _regex(pattern, greedy=True).sub(
            lambda _: replacement, value, count=0 if everywhere else 1
        )


def _chosen(name: str, modifier: str, word: str, value: str | None, empty: bool) -> str:
    """Decide between a value and the word of ``-``, ``+`` or ``?``."""
    if modifier == "+":
        return "" if value is None else word
    if value is not None:
        return value
    if modifier == "?":
        default = "is not allowed to be " + ("empty" if empty else "unset")
        raise WordError(f"{name}: {word or default}")
    return word


def _trimmed(value: str, modifier: str, word: str) -> str:
    """Cut the shortest or (doubled modifier) longest match off the front or the end."""
    greedy = word.startswith(modifier)
    pattern = word[1:] if greedy else word
    if modifier == "#":
        found = _regex(pattern, greedy).match(value)
        return value[found.end() :] if found else value
    starts = range(len(value) + 1) if greedy else range(len(value), -1, -1)
    regex = _regex(pattern, greedy=True)
    for start in starts:
        if regex.fullmatch(value, start):
            return value[:start]
    return value


def _regex(pattern: str, greedy: bool) -> re.Pattern[str]:
    """Translate a pattern with ``*`` and ``?`` alone."""
    pieces = []
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            pieces.append(".*" if greedy else ".*?")
        elif character == "?":
            pieces.append(".")
        elif character == "\\":
            escaped = next(characters, "")
            if escaped not in {"*", "?", "\\"}:
                raise WordError(f"invalid escape '\\{escaped}'")
            pieces.append(re.escape(escaped))
        else:
            pieces.append(re.escape(character))
    return re.compile("".join(pieces), re.DOTALL)
