"""The plan of a task that an external OCI runtime makes: its bundle in the standard's own words.

What the engine's own runtime takes as an extension is put into the form that every runtime knows:
the user as numbers, and mounts made by the engine or below a volume as paths inside the bundle.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.container.bundle import PROCESS
from runtime.container.document import section, sections, text, texts
from runtime.container.external_runtime import STATE
from runtime.container.rootfs import GIVEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.config import RuntimeProgram
    from runtime.container.identity import Identity
    from runtime.container.plan_types import BundleMount, Plan, RuntimeStep

JsonObject = dict[str, object]

_SHIM_PARTS = (
    *("kind", "namespaces", "joined", "cgroup", "tty", "stdin", "stdin_once", "log"),
    *("rows", "cols"),
)


def external_plan(plan: Plan, spec: JsonObject, step: RuntimeStep, identity: Identity) -> Plan:
    """Return the plan of a container, or of another process in it.

    Args:
        plan: The plan as it would be for the engine's own runtime.
        spec: The specification that it was made from.
        step: See `runtime_step`; its mounts are filled in.
        identity: Who runs the program.
    """
    process = {**section(spec, "process"), "user": _user(identity)}
    document: JsonObject = process
    if plan["kind"] != "exec":
        step["mounts"], mounts = _in_bundle(sections(spec, "mounts"), step["directory"])
        document = {**spec, "process": process, "mounts": mounts}
    kept: JsonObject = {key: value for key, value in plan.items() if key in _SHIM_PARTS}
    return {**kept, "spec": document, "runtime": step}  # type: ignore[typeddict-item]


def runtime_step(
    program: RuntimeProgram, identifier: str, directory: str, task: str
) -> RuntimeStep:
    """Return what an external runtime is and works on.

    Args:
        program: The runtime.
        identifier: The container's id.
        directory: The directory of the task that is made.
        task: The directory of the container's task.
    """
    return {
        "program": program.path,
        "arguments": list(program.arguments),
        "environment": {"PATH": os.environ.get("PATH", os.defpath)},
        "id": identifier,
        "directory": directory,
        "state": os.path.join(task, STATE),
        "process": PROCESS,
        "mounts": [],
    }


def _user(identity: Identity) -> JsonObject:
    return {"uid": identity.uid, "gid": identity.gid, "additionalGids": list(identity.groups)}


def _in_bundle(
    entries: Sequence[JsonObject], directory: str
) -> tuple[list[BundleMount], list[JsonObject]]:
    """Return what must be attached below the bundle, and the mounts that name it there."""
    attached: list[BundleMount] = []
    mounts: list[JsonObject] = []
    for entry in entries:
        source, subpath = text(entry, "source"), text(entry, "subpath")
        if not subpath and not source.startswith(GIVEN):
            mounts.append(entry)
            continue
        place = f"mounts/{len(attached)}"
        recursive = "rbind" in texts(entry, "options")
        attached.append(
            {"source": source, "subpath": subpath, "recursive": recursive, "place": place}
        )
        rest = {key: value for key, value in entry.items() if key != "subpath"}
        mounts.append({**rest, "source": os.path.join(directory, place)})
    return attached, mounts
