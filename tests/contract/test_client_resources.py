"""The client's calls for images, networks, volumes and the engine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compose.engine.build_context import build_context
from compose.engine.connection import connect_blocking, drive
from compose.errors import EngineError, NotFound
from compose.model.build import Build
from tests.support.clients import connected

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api_client import Api
    from tests.support.fake_engine import FakeEngine


async def test_the_engine_tells_its_versions(api: Api) -> None:
    async with connected(api) as client:
        await client.ping()
        assert (await client.version())["ApiVersion"] == "1.51"
        assert isinstance(await client.info(), dict)


async def test_networks(api: Api) -> None:
    async with connected(api) as client:
        made = await client.create_network({"Name": "n", "Driver": "bridge", "Labels": {"a": "b"}})
        assert (await client.inspect_network("n"))["Id"] == made
        assert "n" in {network["Name"] for network in await client.list_networks()}
        await client.remove_network(made)
        with pytest.raises(NotFound, match="network n not found"):
            await client.inspect_network("n")


async def test_volumes(api: Api) -> None:
    async with connected(api) as client:
        await client.create_volume({"Name": "v", "Labels": {"a": "b"}})
        assert (await client.inspect_volume("v"))["Labels"] == {"a": "b"}
        assert [volume["Name"] for volume in await client.list_volumes()] == ["v"]
        await client.remove_volume("v", force=True)
        with pytest.raises(NotFound, match="get v: no such volume"):
            await client.inspect_volume("v")


async def test_images(api: Api) -> None:
    async with connected(api) as client:
        found = await client.inspect_image("busybox")
        assert found["Id"].startswith("sha256:")
        assert (await client.list_images())[0]["RepoTags"] == ["busybox:latest"]
        with pytest.raises(NotFound, match="No such image: none:latest"):
            await client.inspect_image("none")


async def test_a_pull_tells_its_progress(api: Api) -> None:
    async with connected(api) as client:
        lines = [line async for line in client.pull_image("busybox", "1")]
        assert all("status" in line for line in lines)
        assert lines


async def test_a_build_sends_its_context(api: Api, engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")
    async with connected(api) as client:
        context = build_context(Build(context=str(tmp_path), dockerfile="Dockerfile"))
        lines = [line async for line in client.build_image({"t": ["x"], "version": "1"}, context)]
    assert lines[0] == {"stream": "Step 1/1 : FROM scratch\n"}
    options, data = engine.builder.builds[0]
    assert list(options.tags) == ["x"]
    assert b"FROM busybox" in data


async def test_a_build_that_cannot_begin_is_an_error(api: Api) -> None:
    async with connected(api) as client:
        with pytest.raises(EngineError, match="dockerfile parse error on line 1"):
            [line async for line in client.build_image({"version": "1"}, b"bad")]


def test_a_blocking_connection_never_suspends() -> None:
    async def work() -> int:
        return 5

    assert drive(work()) == 5
    assert connect_blocking.__name__ == "connect_blocking"
