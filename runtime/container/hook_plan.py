"""The section ``hooks`` of a runtime specification, compiled to the plan that shim and init run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runtime.container.document import number, section, sections, string_map, text, texts
from runtime.container.hooks import (
    CREATE_CONTAINER,
    CREATE_RUNTIME,
    POSTSTART,
    POSTSTOP,
    PRESTART,
    START_CONTAINER,
)
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from runtime.container.plan_types import HookPlan, HookStep

JsonObject = dict[str, object]

MOMENTS = (PRESTART, CREATE_RUNTIME, CREATE_CONTAINER, START_CONTAINER, POSTSTART, POSTSTOP)


def compile_hooks(spec: JsonObject, identifier: str) -> HookPlan | None:
    """Return what is to be run, None when there are no hooks; see `in_bundle`.

    Args:
        spec: The runtime specification.
        identifier: The container's id.

    Raises:
        InvalidArgument: A hook has no program, or a time limit that is none.
    """
    lists = {name: _steps(section(spec, "hooks"), name) for name in MOMENTS}
    if not any(lists.values()):
        return None
    head = {"ociVersion": text(spec, "ociVersion"), "id": identifier}
    tail = {"annotations": string_map(spec, "annotations")}
    return {
        "bundle": "",
        "state": (_json(head)[:-1] + ",", _json(tail if tail["annotations"] else {})),
        "lists": {name: steps for name, steps in lists.items() if steps},
    }


def in_bundle(hooks: HookPlan | None, bundle: str) -> HookPlan | None:
    """Return the plan of hooks that are told of a bundle: the directory of ``config.json``."""
    if hooks is None:
        return None
    before, after = hooks["state"]
    middle = f',"bundle":{_json(bundle)}'
    after = f"{middle},{after[1:]}" if after != "{}" else f"{middle}}}"
    return {**hooks, "bundle": bundle, "state": (before, after)}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _steps(hooks: JsonObject, name: str) -> list[HookStep]:
    return [_step(hook, f"config.json: hooks.{name}") for hook in sections(hooks, name)]


def _step(hook: JsonObject, where: str) -> HookStep:
    path = text(hook, "path")
    if not path:
        raise InvalidArgument(f"{where}: path: a hook needs a program")
    timeout = number(hook, "timeout")
    if timeout < 0 or (hook.get("timeout") is not None and not timeout):
        raise InvalidArgument(f"{where}: timeout: {timeout} is not greater than zero")
    variables = texts(hook, "env")
    return {
        "path": path,
        "arguments": texts(hook, "args") or [path],
        "environment": _environment(variables) if variables else None,
        "timeout": timeout,
    }


def _environment(entries: list[str]) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in entries)
    return {name: value for name, equals, value in pairs if name and equals}
