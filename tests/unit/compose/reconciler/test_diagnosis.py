"""Hints that go beyond what the engine says."""

from __future__ import annotations

import os
import socket

import pytest

from compose.errors import NotFound, ServerError
from compose.model.build import Build
from compose.reconciler.diagnosis import PORT_TAKEN, explain_failure, port_holder
from tests.support.observations import project, service

ALLOCATED = (
    "failed to set up container networking: driver failed programming external connectivity on"
    " endpoint p-a-1 (abc): Bind for 127.0.0.1:8080 failed: port is already allocated"
)
IN_USE = (
    "failed to set up container networking: driver failed programming external connectivity on"
    " endpoint p-a-1 (abc): failed to bind host port for 0.0.0.0:8080:172.18.0.2:80/tcp:"
    " address already in use"
)


class Engine:
    """An engine with one container that publishes port 8080."""

    async def list_containers(self) -> list[dict[str, object]]:
        return [
            {
                "Names": ["/q-web-1"],
                "Labels": {"com.docker.compose.project": "q"},
                "Ports": [{"PublicPort": 8080}],
            }
        ]


@pytest.mark.parametrize("message", [ALLOCATED, IN_USE])
def test_the_port_is_found_in_the_engines_words(message: str) -> None:
    match = PORT_TAKEN.search(message)
    assert match is not None
    assert match["port"] == "8080"


async def test_the_container_that_holds_a_port_is_named() -> None:
    one = service("a")
    error = await explain_failure(
        Engine(),  # type: ignore[arg-type]
        project(one),
        one,
        ServerError(ALLOCATED),
    )
    assert error.hint == 'port 8080 is published by container q-web-1 of project "q"'
    assert str(error) == ALLOCATED


async def test_a_missing_image_tells_how_to_get_it() -> None:
    missing = NotFound("No such image: x:latest")
    plain, built = service("a"), service("b", build=Build())
    engine = Engine()
    hints = [
        (await explain_failure(engine, project(one), one, missing)).hint  # type: ignore[arg-type]
        for one in (plain, built)
    ]
    assert "pull a" in hints[0]
    assert "build b" in hints[1]


def test_the_process_that_listens_on_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        holder = port_holder(server.getsockname()[1])
    assert holder.startswith(f"process {os.getpid()} (")


def test_a_port_that_nobody_listens_on_has_no_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert port_holder(port) == ""
