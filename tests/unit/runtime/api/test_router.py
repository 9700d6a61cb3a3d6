from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from runtime.api.call import Call, Route, answer
from runtime.api.router import ROUTES, Router, RouteTable, parse_version
from runtime.errors import EngineError, InvalidArgument, NotModified
from runtime.http_server.messages import ClientGone, Request, Response
from tests.support.fake_engine import make_fake_engine
from tests.support.idle_carrier import IdleCarrier

if TYPE_CHECKING:
    from collections.abc import Callable


def ask(handler: Callable[[Call], Response], method: str, target: str) -> Response:
    """Route a request to a handler and return its answer."""
    router = Router(make_fake_engine().record, [Route("GET", "/thing/{id}", handler)])
    given = router(Request(method, target, {}, "1", IdleCarrier()))
    assert isinstance(given, Response)
    return given


@pytest.mark.parametrize(
    ("path", "pattern", "name"),
    [
        ("/containers/json", "/containers/json", ""),
        ("/containers/json/json", "/containers/{id}/json", "json"),
        ("/containers/a/attach/ws", "/containers/{id}/attach/ws", "a"),
        ("/images/json", "/images/json", ""),
        ("/images/a/json", "/images/{name}/json", "a"),
        ("/images/h:1/a/b:2/json", "/images/{name}/json", "h:1/a/b:2"),
        ("/images/json/json", "/images/{name}/json", "json"),
        ("/networks/a", "/networks/{id}", "a"),
        ("/networks/", "/networks/", ""),
        ("/shoal/v1/engine", "/shoal/v1/engine", ""),
    ],
)
def test_path_finds_its_route(path: str, pattern: str, name: str) -> None:
    found = RouteTable(ROUTES).find("GET", path)
    assert found is not None
    assert (found[0].path, found[1]) == (pattern, name)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/containers"),
        ("GET", "/containers/"),
        ("GET", "/containers//json"),
        ("GET", "/containers/a/b/json"),
        ("GET", "/networks/a/b"),
        ("DELETE", "/images/"),
        ("PATCH", "/containers/a/json"),
    ],
)
def test_other_paths_find_nothing(method: str, path: str) -> None:
    assert RouteTable(ROUTES).find(method, path) is None


def test_no_two_routes_are_the_same() -> None:
    keys = [(route.method, route.path) for route in ROUTES]
    assert len(keys) == len(set(keys))


def test_every_handler_names_what_it_serves() -> None:
    for route in ROUTES:
        assert route.handler.__doc__, route.path


@pytest.mark.parametrize(
    ("text", "version"),
    [("1.51", (1, 51)), ("1.5", (1, 5)), ("1", (1, 0)), ("1.24.3", (1, 24)), ("..", (0, 0))],
)
def test_versions_are_numbers(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


def test_handler_gets_version_name_and_decoded_path() -> None:
    seen: list[Call] = []

    def handler(call: Call) -> Response:
        seen.append(call)
        return answer({})

    ask(handler, "GET", "/v1.44/thing/a%20b?x=1")
    ask(handler, "GET", "/thing/c")
    assert [(call.name, call.version) for call in seen] == [("a b", (1, 44)), ("c", (1, 51))]


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (InvalidArgument('bad "x"'), 400, b'{"message":"bad \\"x\\""}\n'),
        (EngineError("ü\ud800"), 500, '{"message":"ü?"}\n'.encode()),
        (NotModified("done"), 304, b""),
    ],
)
def test_error_of_a_handler_is_the_answer(error: EngineError, status: int, body: bytes) -> None:
    def handler(call: Call) -> Response:
        raise error from RuntimeError(call.name)

    given = ask(handler, "GET", "/thing/a")
    assert (given.status, given.body) == (status, body)


def test_a_bug_of_a_handler_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def handler(call: Call) -> Response:
        raise LookupError(call.name)

    given = ask(handler, "GET", "/thing/a")
    assert given.status == 500
    assert b"LookupError: a" in given.body
    assert "GET /thing/a" in caplog.text


async def _given(problem: BaseException) -> Response | None:
    async def handler(call: Call) -> Response:
        await asyncio.sleep(0)
        assert call.name == ""
        raise problem

    router = Router(make_fake_engine().record, [Route("GET", "/x", handler)])
    given = router(Request("GET", "/x", {}, "1", IdleCarrier()))
    assert not isinstance(given, Response)
    return await given


async def test_bug_in_a_handler_is_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    given = await _given(KeyError("x"))
    assert given is not None
    assert (given.status, given.body) == (500, b'{"message":"KeyError: \'x\'"}\n')
    assert "Traceback" in caplog.text


async def test_client_that_goes_is_no_answer() -> None:
    with pytest.raises(ClientGone):
        await _given(ClientGone())
