"""A start that fails after any of its steps leaves nothing behind, and the next one works."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from runtime.errors import EngineError
from runtime.linux.cgroups import Cgroup
from tests.support.engine_parts import open_engine
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.assembly import Assembly

pytestmark = pytest.mark.root

STEPS = ("begin", "mount", "prepare", "create", "attach", "go")
JsonObject = dict[str, object]


class Faults:
    """Fails at one step of a start."""

    def __init__(self) -> None:
        self.step = ""
        self.seen: list[str] = []

    def __call__(self, step: str) -> None:
        self.seen.append(step)
        if step == self.step:
            raise EngineError(f"failed after {step}")


async def _create(assembly: Assembly) -> str:
    body: JsonObject = {
        "Image": "busybox",
        "Cmd": ["sleep", "1000"],
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}, "Binds": ["vol:/v"]},
    }
    identifier, _warnings = await assembly.engine.containers.create(None, body, None)
    return identifier


def _left_of_start(assembly: Assembly, identifier: str) -> list[str]:
    """Return what a start takes, as far as it is there."""
    parts = assembly.parts
    container = parts.catalogue.get(identifier)
    left = [f"lease {kind} {key}" for kind, key in parts.store.owned(identifier)]
    left += [f"intent {intent.kind}" for intent in parts.store.intents()]
    left += [f"task {name}" for name in parts.tasks.ids()]
    if Cgroup(parts.cgroup_path(container)).exists():
        left.append("cgroup")
    left += [f"descriptor {path}" for path in _descriptors() if "overlay" in path]
    return left


def _descriptors() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    return found


def _ports(bridge: str) -> list[str]:
    path = f"/sys/class/net/{bridge}/brif"
    return os.listdir(path) if os.path.isdir(path) else []


@pytest.mark.parametrize("step", STEPS)
async def test_a_failed_step_undoes_the_start(tmp_path: Path, step: str) -> None:
    faults = Faults()
    async with open_engine(tmp_path, faults) as assembly:
        containers = assembly.engine.containers
        identifier = await _create(assembly)
        descriptors = len(_descriptors())
        faults.step = step
        with pytest.raises(EngineError, match=f"failed after {step}"):
            await containers.start(identifier)
        assert _left_of_start(assembly, identifier) == []
        state = (await containers.inspect(identifier))["State"]
        assert isinstance(state, dict)
        assert (state["Status"], state["ExitCode"]) == ("created", 128)
        assert state["Error"] == f"failed after {step}"
        faults.step = ""
        await containers.start(identifier)
        assert (await containers.inspect(identifier))["State"]["Running"] is True  # type: ignore[index]
        await containers.stop(identifier, None, 0)
        assert _left_of_start(assembly, identifier) == []
        bridge = assembly.parts.config.default_bridge
        await asyncio.to_thread(eventually, lambda: not _ports(bridge))  # the kernel takes its time
        # Sockets of the network thread are made once; what watched the shim goes a little later.
        await asyncio.to_thread(
            eventually,
            lambda: len(_descriptors()) <= descriptors + 2,
            lambda: f"left open: {sorted(_descriptors())}",
        )


async def test_every_step_is_a_place_to_fail(tmp_path: Path) -> None:
    faults = Faults()
    async with open_engine(tmp_path, faults) as assembly:
        identifier = await _create(assembly)
        await assembly.engine.containers.start(identifier)
        assert tuple(faults.seen) == STEPS


async def test_descriptors_and_rows_do_not_grow_with_runs(tmp_path: Path) -> None:
    async with open_engine(tmp_path, Faults()) as assembly:
        containers = assembly.engine.containers
        identifier = await _create(assembly)
        await containers.start(identifier)
        before = len(_descriptors())  # with one running container
        await containers.stop(identifier, None, 0)
        for _ in range(10):
            await containers.start(identifier)
            await containers.stop(identifier, None, 0)
        # Shims let go of their clients first, then of us.
        await asyncio.to_thread(eventually, lambda: len(_descriptors()) <= before)
