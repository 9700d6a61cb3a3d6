"""An engine's parts inside the test's process, for what the API cannot show."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from runtime.assembly import Assembly
from runtime.config import AddressPool, EngineConfig
from runtime.container.parts import no_fault
from tests.support.leaks import assert_nothing_left
from tests.support.rootfs import busybox_archive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


def _image(path: Path) -> bytes:
    busybox_archive(path / "busybox.tar")
    return (path / "busybox.tar").read_bytes()


@asynccontextmanager
async def open_engine(
    path: Path, fault: Callable[[str], None] = no_fault
) -> AsyncIterator[Assembly]:
    """Give an engine's parts, with the busybox image; nothing may be left of it afterwards."""
    config = EngineConfig(
        data_root=str(path / "data"),
        run_root=str(path / "run"),
        address_pools=(AddressPool("10.202.128.0/17", 24),),
    )
    os.makedirs(config.data_root)
    os.makedirs(config.run_root)
    assembly = Assembly(config, fault)
    await assembly.start()
    try:
        async for _ in await assembly.engine.images.load(_chunks(_image(path))):
            pass
        yield assembly
        for container in tuple(assembly.parts.catalogue):
            await assembly.engine.containers.remove(container.id, force=True, volumes=True)
    finally:
        await assembly.close()
    await asyncio.to_thread(assert_nothing_left, path / "data", path / "run")


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data
