"""What Docker's API does not have: ``/shoal/v1/...``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.api.call import Call, Route, answer
from runtime.config import API_VERSION, ENGINE_VERSION, VERSION

if TYPE_CHECKING:
    from runtime.http_server.messages import Response


def describe_engine(call: Call) -> Response:
    """``GET /shoal/v1/engine``: which engine this is, and where its files are."""
    config = call.engine.config
    return answer(
        {
            "Version": VERSION,
            "EngineVersion": ENGINE_VERSION,
            "ApiVersion": API_VERSION,
            "Pid": os.getpid(),
            "Tag": config.tag,
            "DataRoot": config.data_root,
            "RunRoot": config.run_root,
        }
    )


async def examine(call: Call) -> Response:
    """``GET /shoal/v1/doctor`` looks for leaks, ``POST`` repairs them too."""
    found = await call.engine.doctor.examine(repair=call.request.method == "POST")
    return answer({"Findings": found})


def listeners(call: Call) -> Response:
    """``GET /shoal/v1/containers/{id}/listeners``: who listens in a container, on what address."""
    return answer({"Listeners": call.engine.containers.listeners(call.name)})


def obstacles(call: Call) -> Response:
    """``GET /shoal/v1/obstacles``: rules of other firewalls that drop what containers send."""
    return answer({"Obstacles": call.engine.networks.obstacles})


ROUTES = (
    Route("GET", "/shoal/v1/engine", describe_engine),
    Route("GET", "/shoal/v1/doctor", examine),
    Route("POST", "/shoal/v1/doctor", examine),
    Route("GET", "/shoal/v1/containers/{id}/listeners", listeners),
    Route("GET", "/shoal/v1/obstacles", obstacles),
)
