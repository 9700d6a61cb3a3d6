"""The languages of ``.env`` and ``env_file``, and of ``format: raw``.

Rules: Compose specification, "Env_file format"; where it is silent, what Docker Compose does (which
characters a name may hold, what follows a closing quote, that a tab starts no comment).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from compose.errors import DocumentError, Location
from compose.loader.interpolate import MalformedTemplate, substitute
from compose.model.record import EMPTY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose.loader.interpolate import Lookup, Warn

_BLANK = " \t\v\f\r\x85\xa0"
_EXPORT = re.compile(r"export\s+")
_ESCAPE = re.compile(r'\\(?:[abfnrtv$"\\]|0[0-7]{3})')
_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "$": "$$",
    '"': '"',
    "\\": "\\",
}


def parse(
    text: str, lookup: Lookup, *, file: str, warn: Warn, earlier: Mapping[str, str] = EMPTY
) -> dict[str, str]:
    """Read variables; a name without value takes it from ``lookup`` or stays unset.

    Args:
        text: contents of the file.
        lookup: the variables outside, which win over those of the file inside ``${...}``.
        file: name for error messages.
        warn: told the name of each unset variable that became empty.
        earlier: variables of files read before, which those of this file replace.

    Raises:
        DocumentError: at the line that cannot be read.
    """
    return _Parser(text, lookup, file, warn, earlier).parse()


def parse_raw(text: str, lookup: Lookup, *, file: str) -> dict[str, str]:
    """Read ``KEY=VALUE`` lines literally: quotes, dollar signs and blanks are part of the value."""
    values: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        body = line.removesuffix("\r").lstrip()
        if not body or body.startswith("#"):
            continue
        name, equals, value = body.partition("=")
        if not name or re.search(r"\s", name):
            reason = f"variable {name!r} contains whitespaces" if name else "no variable name"
            raise DocumentError(reason, location=Location(file, number))
        inherited = value if equals else lookup(name)
        if inherited is not None:
            values[name] = inherited
    return values


class _Parser:
    def __init__(
        self, text: str, lookup: Lookup, file: str, warn: Warn, earlier: Mapping[str, str]
    ) -> None:
        self.text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        self.position = 0
        self.values: dict[str, str] = {}
        self._outer = lookup
        self._file = file
        self._warn = warn
        self._earlier = earlier

    def parse(self) -> dict[str, str]:
        while self._skip_to_statement():
            name, inherits = self._name()
            value = self._inherited(name) if inherits else self._value()
            if value is not None:
                self.values[name] = value
        return self.values

    def _skip_to_statement(self) -> bool:
        """Skip blank and comment lines; tell whether anything is left."""
        while self.position < len(self.text):
            if self.text[self.position].isspace():
                self.position += 1
            elif self.text[self.position] == "#":
                self._skip_line()
            else:
                return True
        return False

    def _skip_line(self) -> None:
        end = self.text.find("\n", self.position)
        self.position = len(self.text) if end < 0 else end

    def _name(self) -> tuple[str, bool]:
        """Read a name up to ``=``, ``:`` or the end of the line; the last means: inherit it."""
        if match := _EXPORT.match(self.text, self.position):
            self.position = match.end()
        start = self.position
        end = len(self.text)
        for position in range(start, len(self.text)):
            character = self.text[position]
            if character in "=:\n":
                end = position
                break
            allowed = character in _BLANK or character in "_.-[]" or character.isalnum()
            if not allowed:
                line = self.text[start:].split("\n", 1)[0]
                raise self._error(f'unexpected character "{character}" in variable name "{line}"')
        name = self.text[start:end].strip()
        if any(character.isspace() for character in name):
            raise self._error(f"variable name {name!r} contains a blank")
        if not name:
            raise self._error("no variable name before the equals sign")
        inherits = end == len(self.text) or self.text[end] == "\n"
        self.position = end + 1
        return name, inherits

    def _value(self) -> str:
        while self.position < len(self.text) and self.text[self.position] in _BLANK:
            self.position += 1
        quote = self.text[self.position : self.position + 1]
        if quote in ("'", '"'):
            return self._quoted(quote)
        start = self.position
        self._skip_line()
        value = self.text[start : self.position].split(" #", 1)[0].rstrip()
        return self._expand(value)

    def _quoted(self, quote: str) -> str:
        start = self.position
        body: list[str] = []
        position = start + 1
        while position < len(self.text):
            character = self.text[position]
            pair = self.text[position : position + 2]
            if character == "\\" and len(pair) == 2:
                body.append(quote if pair[1] == quote else pair)
                position += 2
            elif character == quote:
                self.position = position + 1
                value = "".join(body)
                return self._expand(_ESCAPE.sub(_unescape, value)) if quote == '"' else value
            else:
                body.append(character)
                position += 1
        line = self.text[start:].split("\n", 1)[0]
        raise self._error(f"unterminated quoted value {line}")

    def _expand(self, value: str) -> str:
        problem = ""
        try:
            return substitute(value, self._lookup, self._warn)
        except MalformedTemplate as error:
            problem = f"invalid interpolation {error.args[0]!r}"
        except ValueError as error:
            problem = str(error)
        raise self._error(problem)

    def _inherited(self, name: str) -> str | None:
        outer = self._outer(name)
        return self._earlier.get(name) if outer is None else outer

    def _lookup(self, name: str) -> str | None:
        outer = self._outer(name)
        return self.values.get(name, self._earlier.get(name)) if outer is None else outer

    def _error(self, message: str) -> DocumentError:
        line = self.text.count("\n", 0, self.position) + 1
        return DocumentError(message, location=Location(self._file, line))


def _unescape(match: re.Match[str]) -> str:
    letter = match[0][1]
    return chr(int(f"0o{match[0][1:]}", 0) & 0xFF) if letter == "0" else _ESCAPES[letter]
