"""From a kind of error to an HTTP status, and to the body that clients read.

Docker Engine API, "Errors": a JSON object with ``message``; one line of text for versions below
1.24.
"""

from __future__ import annotations

import json

from runtime.errors import (
    Conflict,
    EngineError,
    Forbidden,
    InvalidArgument,
    NotFound,
    NotImplementedByEngine,
    NotModified,
    Unauthorized,
    Unavailable,
)
from runtime.http_server.messages import Response

JSON_ERRORS_SINCE = (1, 24)

STATUS: dict[type[EngineError], int] = {
    NotModified: 304,
    InvalidArgument: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    EngineError: 500,
    NotImplementedByEngine: 501,
    Unavailable: 503,
}


def status_of(error: EngineError) -> int:
    """Return the HTTP status of an error; the nearest kind in its ancestry decides."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def error_body(message: str) -> bytes:
    """Return the JSON body of an error."""
    text = json.dumps(message, ensure_ascii=False)
    return f'{{"message":{text}}}\n'.encode("utf-8", "replace")


def error_response(error: EngineError, version: tuple[int, int], headers: bytes) -> Response:
    """Return the answer for an error to a client that speaks an API version."""
    status = status_of(error)
    if status == 304:
        return Response(status, headers)
    if version < JSON_ERRORS_SINCE:
        text = error.message.encode("utf-8", "replace") + b"\n"
        plain = b"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
        return Response(status, headers + plain, text)
    return Response(
        status, headers + b"Content-Type: application/json\r\n", error_body(error.message)
    )
