"""What the agent of a seccomp profile is told of a process whose calls it decides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runtime.container.document import section, string_map, text

if TYPE_CHECKING:
    from runtime.container.plan_types import AgentStep

JsonObject = dict[str, object]

_PID = "PID"


def agent_step(
    spec: JsonObject, identifier: str, bundle: str, running: int | None = None
) -> AgentStep | None:
    """Return the step of a container's first process or of an exec; None when no agent decides.

    Args:
        spec: The runtime specification.
        identifier: The container's id.
        bundle: The directory of the bundle.
        running: The container's first process, when it runs already.
    """
    policy = section(section(spec, "linux"), "seccomp")
    path = text(policy, "listenerPath")
    if not path:
        return None
    version = text(spec, "ociVersion")
    state: JsonObject = {
        "ociVersion": version,
        "id": identifier,
        "status": "running" if running else "creating",
        "pid": _PID,
        "bundle": bundle,
    }
    if string_map(spec, "annotations"):
        state["annotations"] = string_map(spec, "annotations")
    document: JsonObject = {"ociVersion": version, "fds": ["seccompFd"], "pid": _PID}
    if text(policy, "listenerMetadata"):
        document["metadata"] = text(policy, "listenerMetadata")
    encoded = json.dumps({**document, "state": state}, separators=(",", ":"))
    mark = f'"pid":{json.dumps(_PID)}'
    first, second, last = encoded.split(mark, 2)
    return {
        "path": path,
        "message": (f'{first}"pid":', f'{second}"pid":', last),
        "pid": running or 0,
    }
