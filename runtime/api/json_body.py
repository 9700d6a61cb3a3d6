"""JSON bodies of requests: read whole, and refused in the words of the Docker Engine.

Python's decoder reads them; only what it refuses is looked at again, to say what is wrong in
Docker's words. Numbers with a fraction keep how they were written, which errors show.
"""

from __future__ import annotations

import json
import re

from runtime.container.shapes import Fraction, mismatch
from runtime.errors import InvalidArgument

JsonObject = dict[str, object]

_NO_SUBTYPE = "expected token after slash"
NO_BODY = "invalid JSON: got EOF while reading request body"
_DEEPEST = 10_000
_SPACE = " \t\r\n"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NUMBER_PART = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?)?")
_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})')
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_PARAMETER = re.compile(
    r"\s*;\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=\s*"
    r'(?:[!#$%&\'*+.^_`|~0-9A-Za-z-]+|"(?:[^"\\]|\\.)*")\s*'
)
_SHOWN = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v"}
_SHOWN |= {"'": "\\'", "\\": "\\\\"}


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_float=Fraction, parse_constant=_refuse_constant)


def check_content_type(value: str) -> None:
    """Refuse a content type that is not JSON.

    Raises:
        InvalidArgument: in Docker's words.
    """
    media, _, rest = value.partition(";")
    media = media.strip().lower()
    kind, slash, subtype = media.partition("/")
    problem = ""
    if not media:
        problem = "no media type"
    elif not _TOKEN.match(kind):
        problem = "expected slash after first token" if slash else "no media type"
    elif slash and not _TOKEN.match(subtype):
        problem = "unexpected content after media subtype" if subtype else _NO_SUBTYPE
    elif rest.strip() and not _parameters_fit(f";{rest}"):
        problem = "invalid media parameter"
    if problem:
        raise InvalidArgument(f"malformed Content-Type header ({value}): mime: {problem}")
    if media != "application/json":
        raise InvalidArgument(
            f"unsupported Content-Type header ({value}): must be 'application/json'"
        )


def _parameters_fit(text: str) -> bool:
    at = 0
    while at < len(text):
        if not text[at:].strip(" \t;"):
            return True
        match = _PARAMETER.match(text, at)
        if match is None:
            return False
        at = match.end()
    return True


def decode(data: bytes, kind: str) -> JsonObject:
    """Parse a body that must be one JSON object; null counts as an empty one.

    Args:
        data: The body.
        kind: The type that errors name, such as ``container.CreateRequest``.

    Raises:
        InvalidArgument: it is something else.
    """
    text = data.decode("utf-8", "replace").strip(_SPACE)
    if not text:
        raise InvalidArgument(NO_BODY)
    try:
        document, end = _DECODER.raw_decode(text)
    except RecursionError:
        raise InvalidArgument("invalid JSON: exceeded max depth") from None
    except ValueError as error:
        raise InvalidArgument(f"invalid JSON: {explain(text) or error}") from error
    if text[end:].strip(_SPACE):
        raise InvalidArgument("unexpected content after JSON")
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise mismatch(document, "", kind)
    return document


def explain(text: str) -> str:
    """Return what is wrong with a text that is not JSON; empty when nothing is."""
    try:
        _Reader(text).value()
    except _Wrong as wrong:
        return str(wrong)
    except RecursionError:
        return "exceeded max depth"
    return ""


class _Wrong(Exception):
    """What is wrong with a text."""


class _Reader:
    """Walks a text by the grammar of RFC 8259."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def value(self) -> None:
        """Read a value."""
        first = self._next()
        if first == "{":
            self._object()
        elif first == "[":
            self._array()
        elif first == '"':
            self._string()
        elif first == "-" or first.isdecimal():
            self._number()
        elif first in {"t", "f", "n"}:
            self._literal({"t": "true", "f": "false", "n": "null"}[first])
        else:
            self._bad("looking for beginning of value")

    def _next(self) -> str:
        while self._text[self._at : self._at + 1] in {" ", "\t", "\r", "\n"}:
            self._at += 1
        return self._here()

    def _here(self) -> str:
        if self._at >= len(self._text):
            raise _Wrong("unexpected EOF")
        return self._text[self._at]

    def _bad(self, context: str) -> None:
        raise _Wrong(f"invalid character {_quoted(self._here())} {context}")

    def _object(self) -> None:
        self._at += 1
        if self._next() == "}":
            self._at += 1
            return
        while True:
            if self._next() != '"':
                self._bad("looking for beginning of object key string")
            self._string()
            if self._next() != ":":
                self._bad("after object key")
            self._at += 1
            self.value()
            if self._ends("}", "after object key:value pair"):
                return

    def _array(self) -> None:
        self._at += 1
        if self._next() == "]":
            self._at += 1
            return
        while True:
            self.value()
            if self._ends("]", "after array element"):
                return

    def _ends(self, end: str, context: str) -> bool:
        found = self._next()
        if found not in {end, ","}:
            self._bad(context)
        self._at += 1
        return found == end

    def _string(self) -> None:
        self._at += 1
        while (here := self._here()) != '"':
            if here < " ":
                self._bad("in string")
            if here != "\\":
                self._at += 1
                continue
            match = _ESCAPE.match(self._text, self._at)
            if match is None:
                self._bad_escape()
            else:
                self._at = match.end()
        self._at += 1

    def _bad_escape(self) -> None:
        rest = self._text[self._at :]
        size = 6 if rest[1:2] == "u" else 2
        if len(rest) < size:
            raise _Wrong("unexpected EOF")
        raise _Wrong(f"invalid escape sequence `{rest[:size]}` in string")

    def _number(self) -> None:
        part = _NUMBER_PART.match(self._text, self._at)
        end = part.end() if part is not None else self._at
        if _NUMBER.fullmatch(self._text, self._at, end) is None:
            self._at = end
            self._bad("in numeric literal")
        self._at = end

    def _literal(self, word: str) -> None:
        for letter in word:
            if self._here() != letter:
                self._bad(f"in literal {word} (expecting '{letter}')")
            self._at += 1


def _quoted(character: str) -> str:
    """Return a character as Docker's errors show it."""
    if character in _SHOWN:
        return f"'{_SHOWN[character]}'"
    if character < " " or character == "\x7f":
        return f"'\\x{ord(character):02x}'"
    return f"'{character}'" if character.isprintable() else f"'\\u{ord(character):04x}'"
