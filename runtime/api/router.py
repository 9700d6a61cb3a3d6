"""From a request to its handler: the route table, versions, and errors as answers.

Every path is served with and without a version (``/v1.51/info``, ``/info``). Docker Engine API,
"Versioning": what is unknown is 404 ``page not found``, also for a wrong method.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

from runtime.api import (
    builds,
    containers,
    events,
    execs,
    extensions,
    files,
    images,
    networks,
    swarm,
    system,
    volumes,
)
from runtime.api.call import JSON_TYPE, VERSION_HEADERS, Call, Route
from runtime.api.status import error_body, error_response
from runtime.config import API_VERSION, MINIMUM_API_VERSION
from runtime.errors import EngineError, InvalidArgument
from runtime.http_server.messages import Answer, ClientGone, Request, Response

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from runtime.engine import Engine

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *events.ROUTES,
    *containers.ROUTES,
    *files.ROUTES,
    *execs.ROUTES,
    *images.ROUTES,
    *builds.ROUTES,
    *networks.ROUTES,
    *volumes.ROUTES,
    *swarm.ROUTES,
    *extensions.ROUTES,
)

Version = tuple[int, int]

_VERSIONED = re.compile(r"/v([0-9.]{1,16})(/.*)")
_LOG = logging.getLogger(__name__)


class RouteTable:
    """Finds a route by method and path; the longest fixed text wins."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._variable: dict[tuple[str, str, str], Route] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        before, brace, rest = route.path.partition("{")
        if not brace:
            self._exact[route.method, route.path] = route
            return
        after = rest.partition("}")[2]
        self._variable[route.method, before, after] = route

    def find(self, method: str, path: str) -> tuple[Route, str] | None:
        """Return a route and the variable part of the path, or None."""
        route = self._exact.get((method, path))
        if route is not None:
            return route, ""
        head_end = path.find("/", 1) + 1
        if path.startswith("/shoal/"):
            head_end = path.find("/", len("/shoal/v1/")) + 1
        if not head_end:
            return None
        head, rest = path[:head_end], path[head_end:]
        for after in _endings(rest):
            route = self._variable.get((method, head, after))
            if route is not None:
                name = rest[: len(rest) - len(after)]
                if name and ("/" not in name or "{name}" in route.path):
                    return route, name
        return None


def _endings(rest: str) -> Iterable[str]:
    """Give what may follow the variable part: two segments, one, none."""
    last = rest.rfind("/")
    if last > 0:
        second = rest.rfind("/", 0, last)
        if second > 0:
            yield rest[second:]
        yield rest[last:]
    yield ""


class Router:
    """The application that the HTTP server runs."""

    def __init__(self, engine: Engine, routes: Iterable[Route] = ROUTES) -> None:
        self._engine = engine
        self._table = RouteTable(routes)

    def __call__(self, request: Request) -> Answer:
        """Answer a request; a handler that never waits is answered without a coroutine."""
        path = unquote(request.path) if "%" in request.path else request.path
        version_text = ""
        if path.startswith("/v"):
            versioned = _VERSIONED.fullmatch(path)
            if versioned is not None:
                version_text, path = versioned.groups()
        if request.method == "OPTIONS":
            return Response(200, VERSION_HEADERS)
        found = self._table.find(request.method, path)
        if found is None:
            return _not_found(request, path)
        route, name = found
        version = CURRENT
        try:
            if version_text:
                version = parse_version(version_text)
                check_version(version, version_text)
            answer = route.handler(Call(self._engine, request, name, version))
        except Exception as error:  # noqa: BLE001 - a bug is answered, not hidden
            return _answer_to(error, request, version)
        if isinstance(answer, Response):
            return answer
        return _guarded(answer, request, version)


async def _guarded(
    answer: Coroutine[object, object, Response | None], request: Request, version: Version
) -> Response | None:
    try:
        return await answer
    except ClientGone:
        raise
    except Exception as error:  # noqa: BLE001 - a bug is answered, not hidden in a closed connection
        answered = _answer_to(error, request, version)
        expected = isinstance(error, EngineError)
        return None if request.hijack.accepted and not expected else answered


def _answer_to(error: Exception, request: Request, version: Version) -> Response:
    """Return an error as an answer; what is none of the engine's kinds is a bug, and logged."""
    if not isinstance(error, EngineError):
        _LOG.error("%s %s", request.method, request.path, exc_info=error)
        error = EngineError(f"{type(error).__name__}: {error}")
    return error_response(error, version, VERSION_HEADERS)


def _not_found(request: Request, path: str) -> Response:
    if "//" in path or "/./" in path or "/../" in path:
        parts: list[str] = []
        for part in request.path.split("/"):
            if part == "..":
                del parts[-1:]
            elif part not in {"", "."}:
                parts.append(part)
        return Response(301, b"Location: /" + "/".join(parts).encode() + b"\r\n")
    return Response(404, JSON_TYPE, error_body("page not found"))


@lru_cache(maxsize=64)
def parse_version(text: str) -> Version:
    """Return a version such as ``1.51`` as numbers; what is missing counts as 0."""
    major, _, minor = text.partition(".")
    minor = minor.partition(".")[0]
    return int(major or 0), int(minor or 0)


CURRENT = parse_version(API_VERSION)
_MINIMUM = parse_version(MINIMUM_API_VERSION)


def check_version(version: Version, text: str) -> None:
    """Refuse versions that the engine does not speak.

    Raises:
        InvalidArgument: the version is too new or too old.
    """
    if version > CURRENT:
        raise InvalidArgument(
            f"client version {text} is too new. Maximum supported API version is {API_VERSION}"
        )
    if version < _MINIMUM:
        raise InvalidArgument(
            f"client version {text} is too old. Minimum supported API version is "
            f"{MINIMUM_API_VERSION}, please upgrade your client to a newer version"
        )
