"""What a handler gets and gives: `Call`, `Route`, and the usual answers.

Rules of the Docker Engine API for queries: ``""``, ``0``, ``no``, ``false`` and ``none`` in any
case are false, everything else is true; a number that is none is an error 500 with Go's wording.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from runtime.api.json_body import check_content_type, decode
from runtime.config import API_VERSION, ENGINE_VERSION
from runtime.errors import EngineError, InvalidArgument
from runtime.filters import Filters
from runtime.http_server.messages import Request, Response
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Collection

    from runtime.engine import Engine

JsonObject = dict[str, object]

VERSION_HEADERS = (
    f"Api-Version: {API_VERSION}\r\nDocker-Experimental: false\r\n"
    f"Ostype: linux\r\nServer: Docker/{ENGINE_VERSION} (linux)\r\n"
).encode()
"""On every answer of a known route."""
JSON_TYPE = b"Content-Type: application/json\r\n"
JSON_HEADERS = VERSION_HEADERS + JSON_TYPE

BODY_LIMIT = 16 << 20
"""Bytes of a JSON body."""

_FALSE = frozenset({"", "0", "no", "false", "none"})
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def encode(document: object) -> bytes:
    """Return a JSON value and a line feed, as every JSON answer ends."""
    return (_ENCODER.encode(document) + "\n").encode("utf-8", "replace")


def answer(document: object, status: int = 200, headers: bytes = b"") -> Response:
    """Return a JSON answer."""
    return Response(status, JSON_HEADERS + headers, encode(document))


def empty(status: int) -> Response:
    """Return an answer without a body."""
    return Response(status, VERSION_HEADERS)


def header(name: str, value: str) -> bytes:
    """Return a header line; line ends in the value cannot begin another header."""
    clean = value.replace("\r", " ").replace("\n", " ")
    return f"{name}: {clean}\r\n".encode("utf-8", "replace")


class Call:
    """One request for one route: the engine, the names in the path, query and body."""

    __slots__ = ("_query", "engine", "name", "request", "version")

    def __init__(
        self, engine: Engine, request: Request, name: str, version: tuple[int, int]
    ) -> None:
        self.engine = engine
        self.request = request
        self.name = name
        """The variable part of the path."""
        self.version = version
        """The API version that the client speaks."""
        self._query = parse_qs(request.query, keep_blank_values=True) if request.query else {}

    def has(self, key: str) -> bool:
        """Tell whether the query has a parameter, perhaps without a value."""
        return key in self._query

    def text(self, key: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        values = self._query.get(key)
        return values[0] if values else default

    def texts(self, key: str) -> tuple[str, ...]:
        """Return all values of a query parameter."""
        return tuple(self._query.get(key, ()))

    def flag(self, key: str, default: bool = False) -> bool:
        """Return a yes-or-no query parameter."""
        values = self._query.get(key)
        return values[0].strip().lower() not in _FALSE if values else default

    def number(self, key: str) -> int | None:
        """Return a whole number of the query, None when it is absent or empty.

        Raises:
            EngineError: it is not a number.
        """
        text = self.text(key)
        if not text:
            return None
        try:
            value = int(text)
        except ValueError as error:
            raise EngineError(f'strconv.Atoi: parsing "{text}": invalid syntax') from error
        if not -(1 << 63) <= value < 1 << 63:
            raise EngineError(f'strconv.Atoi: parsing "{text}": value out of range')
        return value

    def filters(self, accepted: Collection[str] | None) -> Filters:
        """Return the ``filters`` of the query; keys that are not accepted are refused."""
        return Filters.parse(self.text("filters"), accepted)

    def require(self, key: str) -> str:
        """Return a query parameter that must have a value.

        Raises:
            InvalidArgument: it is absent or empty.
        """
        value = self.text(key)
        if not value:
            raise InvalidArgument(f"bad parameter: {key} cannot be empty")
        return value

    async def json(self, kind: str = "") -> JsonObject:
        """Return the body, which must be one JSON object.

        Args:
            kind: The type that errors name.

        Raises:
            InvalidArgument: the content type or the body is something else.
        """
        data = await self._read()
        self._check_content_type(data)
        return decode(data, kind)

    async def optional_json(self, kind: str = "", blank: bytes = b"") -> JsonObject:
        """Return the body's JSON object, or nothing when there is no body.

        Args:
            kind: The type that errors name.
            blank: Bytes that do not count as a body.

        Raises:
            InvalidArgument: the content type or the body is something else.
        """
        data = await self._read()
        self._check_content_type(data)
        return decode(data, kind) if data.strip(blank) else {}

    def _check_content_type(self, data: bytes) -> None:
        """Refuse a content type that is not JSON; it may be absent when there is no body."""
        given = self.request.headers.get("content-type")
        if given or data:
            check_content_type(given or "")

    async def _read(self) -> bytes:
        data = await self.request.body.read(BODY_LIMIT)
        if data is None:
            raise InvalidArgument(f"request body is larger than {BODY_LIMIT} bytes")
        return data


Handler = Callable[[Call], Response | Coroutine[object, object, Response | None]]


@record
class Route:
    """One line of the API's reference.

    ``path`` holds at most one variable: ``{id}`` stands for one segment, ``{name}`` for one or
    more, because names of images contain slashes.
    """

    method: str
    path: str
    handler: Handler
