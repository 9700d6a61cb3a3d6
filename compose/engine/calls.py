"""The base of the typed calls: query strings, JSON bodies and answers over a `Transport`."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from compose.engine.stream import json_lines
from compose.engine.transport import Request, Transport
from compose.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from compose.engine.transport import Body, Response

Query: TypeAlias = "Mapping[str, str | int | bool | Sequence[str] | None]"
Filters: TypeAlias = "Mapping[str, Sequence[str]]"


SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


def quote(text: str, safe: str = "") -> str:
    """Percent-encode a text; ``urllib.parse`` would cost 8 ms at each start.

    Args:
        text: what to encode.
        safe: characters that stay besides letters, digits and ``-_.~``.
    """
    kept = SAFE.union(safe.encode())
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in text.encode())


def query_string(query: Query) -> str:
    """Encode a query; nothing and empty text are left out, truth is 1."""
    pairs: list[tuple[str, str]] = []
    for key, value in query.items():
        if value is None or value == "" or value is False:
            continue
        if isinstance(value, (str, int)):
            pairs.append((key, "1" if value is True else str(value)))
        else:
            pairs.extend((key, item) for item in value)
    return "?" + "&".join(f"{key}={quote(value)}" for key, value in pairs) if pairs else ""


def filters_text(filters: Filters | None) -> str:
    """Encode the ``filters`` parameter."""
    if not filters:
        return ""
    return json.dumps({key: list(values) for key, values in filters.items()})


def segment(name: str) -> str:
    """One name as part of a path."""
    return quote(name)


def image_path(name: str) -> str:
    """An image reference as part of a path; its slashes stay."""
    return quote(name, safe="/:@")


class Calls:
    """What every family of calls needs."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def get(self, path: str, query: Query | None = None) -> object:
        """GET a JSON value."""
        return await self.ask("GET", path, query)

    async def ask(
        self, method: str, path: str, query: Query | None = None, body: object = None
    ) -> object:
        """Send a request with an optional JSON body; the answer is JSON or, when empty, None."""
        request = Request(method, path + query_string(query or {}))
        if body is not None:
            request.body = json.dumps(body, separators=(",", ":")).encode()
            request.headers["Content-Type"] = "application/json"
        async with await self.transport.send(request) as response:
            data = await response.body()
        if not data:
            return None
        try:
            value: object = json.loads(data)
        except ValueError as error:
            raise ProtocolError(f"{method} {path}: the answer is no JSON") from error
        return value

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: Body = b"",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Response]:
        """Send a request whose answer is read as a stream."""
        request = Request(method, path + query_string(query or {}), body, headers)
        async with await self.transport.send(request) as response:
            yield response

    async def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: Body = b"",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[dict[str, object]]:
        """Send a request that is answered by one JSON object after another."""
        async with self.open(method, path, query, body=body, headers=headers) as response:
            async for value in json_lines(response.chunks()):
                yield value
