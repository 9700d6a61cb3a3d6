"""Swarm and plugins: the answers of an engine that is in no swarm and has no plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.api.call import Call, Route, answer
from runtime.errors import NotFound, NotImplementedByEngine, Unavailable

if TYPE_CHECKING:
    from runtime.http_server.messages import Response

_NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect '
    "this node to swarm and try again."
)


def refuse_outside_swarm(call: Call) -> Response:  # noqa: ARG001 - a handler's signature
    """Everything that only a swarm manager answers."""
    raise Unavailable(_NO_MANAGER)


def refuse_swarm(call: Call) -> Response:  # noqa: ARG001 - a handler's signature
    """``POST /swarm/init`` and ``/swarm/join``."""
    raise NotImplementedByEngine("swarm is not supported by Shoal: use a Compose file")


def list_plugins(call: Call) -> Response:  # noqa: ARG001 - a handler's signature
    """``GET /plugins``."""
    return answer([])


def inspect_plugin(call: Call) -> Response:
    """``GET /plugins/{name}/json``."""
    raise NotFound(f'plugin "{call.name}" not found')


def refuse_plugins(call: Call) -> Response:  # noqa: ARG001 - a handler's signature
    """Installing and changing plugins."""
    raise NotImplementedByEngine(
        "managing plugins is not supported by Shoal: start the plugin as a program of the host"
    )


def _manager_routes() -> tuple[Route, ...]:
    routes = [
        Route("GET", "/swarm", refuse_outside_swarm),
        Route("GET", "/swarm/unlockkey", refuse_outside_swarm),
        *(
            Route("POST", f"/swarm/{verb}", refuse_outside_swarm)
            for verb in ("leave", "update", "unlock")
        ),
        Route("GET", "/services/{id}/logs", refuse_outside_swarm),
        Route("GET", "/tasks/{id}/logs", refuse_outside_swarm),
    ]
    for noun in ("nodes", "services", "tasks", "secrets", "configs"):
        routes.append(Route("GET", f"/{noun}", refuse_outside_swarm))
        routes.append(Route("GET", f"/{noun}/{{id}}", refuse_outside_swarm))
        routes.append(Route("DELETE", f"/{noun}/{{id}}", refuse_outside_swarm))
        routes.append(Route("POST", f"/{noun}/create", refuse_outside_swarm))
        routes.append(Route("POST", f"/{noun}/{{id}}/update", refuse_outside_swarm))
    return tuple(routes)


ROUTES = (
    Route("POST", "/swarm/init", refuse_swarm),
    Route("POST", "/swarm/join", refuse_swarm),
    *_manager_routes(),
    Route("GET", "/plugins", list_plugins),
    Route("GET", "/plugins/{name}/json", inspect_plugin),
    Route("GET", "/plugins/privileges", refuse_plugins),
    Route("POST", "/plugins/pull", refuse_plugins),
    Route("POST", "/plugins/create", refuse_plugins),
    Route("POST", "/plugins/{name}/enable", refuse_plugins),
    Route("POST", "/plugins/{name}/disable", refuse_plugins),
    Route("POST", "/plugins/{name}/upgrade", refuse_plugins),
    Route("POST", "/plugins/{name}/push", refuse_plugins),
    Route("POST", "/plugins/{name}/set", refuse_plugins),
    Route("DELETE", "/plugins/{name}", refuse_plugins),
)
