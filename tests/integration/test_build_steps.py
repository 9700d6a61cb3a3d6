"""Build steps run like containers, on a root that the builder keeps."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from runtime.build.runner import RunStep
from runtime.build.task_runner import TaskStepRunner
from runtime.errors import EngineError
from runtime.linux import paths
from runtime.names import new_id
from tests.support.engine_parts import open_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from runtime.assembly import Assembly

pytestmark = pytest.mark.root


class Root:
    """A writable root made of the busybox image."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.runner = TaskStepRunner(assembly.parts)
        self.output: list[tuple[str, bytes]] = []
        self.fd = -1
        self.id = new_id()

    async def open(self) -> None:
        """Mount the root; a step takes the mount along, so each one needs its own."""
        parts = self.assembly.parts
        layers = parts.images.resolve("busybox").layers
        self.unmount()
        await parts.snapshotter.prepare(self.id, layers)
        self.fd = await parts.snapshotter.mount(self.id, layers)

    def unmount(self) -> None:
        """Close the mount."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    async def run(self, *argv: str, **settings: object) -> int:
        """Run a step on a new mount of the root."""
        await self.open()
        return await self.runner.run(self.step(*argv, **settings))

    async def close(self) -> None:
        """Unmount and remove the root."""
        self.unmount()
        await self.assembly.parts.snapshotter.remove(self.id)

    def step(self, *argv: str, **settings: object) -> RunStep:
        """Return a step on this root."""
        values: dict[str, object] = {
            "id": new_id(),
            "rootfs_fd": self.fd,
            "argv": argv,
            "env": ("PATH=/bin",),
            "user": "",
            "workdir": "/",
            "network_mode": "none",
            "on_output": lambda stream, data: self.output.append((stream, data)),
            **settings,
        }
        return RunStep(**values)  # type: ignore[arg-type]

    def read(self, path: str) -> bytes:
        """Return the content of a file in the root."""
        fd = paths.open_in_root(self.fd, path, os.O_RDONLY)
        try:
            return os.read(fd, 65536)
        finally:
            os.close(fd)


@pytest.fixture
async def root(tmp_path: Path) -> AsyncIterator[Root]:
    """A root on an engine of its own."""
    async with open_engine(tmp_path) as assembly:
        root = Root(assembly)
        yield root
        await root.close()


async def test_what_a_step_writes_stays_in_the_root_for_the_next(root: Root) -> None:
    assert await root.run("sh", "-c", "echo made > /made") == 0
    assert root.read("/made") == b"made\n"
    assert await root.run("cat", "/made") == 0
    assert root.output == [("stdout", b"made\n")]


async def test_streams_and_code_are_told(root: Root) -> None:
    script = "cat; echo wrong >&2; exit 3"
    code = await root.run("sh", "-c", script, stdin=b"typed")
    assert code == 3
    assert sorted(root.output) == [("stderr", b"wrong\n"), ("stdout", b"typed")]


async def test_a_missing_program_is_an_error(root: Root) -> None:
    with pytest.raises(EngineError, match='exec: "nothing-here": executable file not found'):
        await root.run("nothing-here")


async def test_a_cancelled_step_is_gone(root: Root) -> None:
    begun = asyncio.Event()
    await root.open()
    step = root.step("sh", "-c", "echo on; sleep 1000", on_output=lambda *_: begun.set())
    task = asyncio.create_task(root.runner.run(step))
    await asyncio.wait_for(begun.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert root.assembly.parts.tasks.ids() == []
    assert await root.run("true") == 0


async def test_a_step_reaches_the_network_it_names(root: Root) -> None:
    script = "ifconfig eth0; cat /etc/hosts"
    code = await root.run("sh", "-c", script, network_mode="default")
    text = b"".join(data for _stream, data in root.output)
    assert code == 0, text
    assert b"10.202." in text
