"""Plans carried out over a socket to the real API server, with an engine in memory behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compose.errors import EngineError
from compose.model.build import FileReference
from compose.model.resources import FileObject, Volume
from compose.model.service import Dependency, Mount
from compose.reconciler import labels
from compose.reconciler.draft import UpOptions
from compose.reconciler.execute import run_plan
from compose.reconciler.observed import observe
from compose.reconciler.reconcile import reconcile
from compose.reconciler.teardown import DownOptions, plan_down, plan_restart, plan_stop
from tests.support.clients import connected
from tests.support.observations import project, service

if TYPE_CHECKING:
    from compose.engine.client import EngineClient
    from compose.model.project import Project
    from compose.model.service import Service
    from compose.progress import Event
    from tests.support.api_client import Api
    from tests.support.fake_engine import FakeEngine


class Seen:
    """Progress that is kept."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def start(self, title: str) -> None:
        """Begin nothing."""

    def report(self, event: Event) -> None:
        """Keep the line."""
        self.events.append(f"{event.id} {event.status}")

    def tick(self) -> None:
        """Move nothing."""

    def stop(self) -> None:
        """End nothing."""


def alone(name: str, **fields: object) -> Service:
    """A service without a network: the engine in memory lists no attachments."""
    return service(name, networks={}, network_mode="none", **fields)


A = alone("a", volumes=(Mount(type="volume", source="v", target="/v"),))
B = alone("b", depends_on={"a": Dependency(restart=True)})


def wanted(*services: Service) -> Project:
    return project(*services, networks={}, volumes={})


async def up(client: EngineClient, asked: Project, **options: object) -> list[str]:
    seen = Seen()
    observed = await observe(client, asked)
    plan = reconcile(asked, observed, UpOptions(**options))  # type: ignore[arg-type]
    await run_plan(client, asked, observed, plan, seen)
    return seen.events


async def test_up_makes_and_starts_what_a_second_up_finds(api: Api) -> None:
    asked = project(A, B, networks={}, volumes={"v": Volume(name="p_v")})
    async with connected(api) as client:
        events = await up(client, asked)
        assert events.index("Volume p_v Created") < events.index("Container p-a-1 Creating")
        assert events[-4:] == [
            "Container p-a-1 Starting",
            "Container p-a-1 Started",
            "Container p-b-1 Starting",
            "Container p-b-1 Started",
        ]
        states = {c["Names"][0]: c["State"] for c in await client.list_containers(all=True)}
        assert states == {"/p-a-1": "running", "/p-b-1": "running"}


async def test_a_second_up_changes_nothing(api: Api, engine: FakeEngine) -> None:
    asked = wanted(alone("a"), B)
    async with connected(api) as client:
        await up(client, asked)
        before = {item.id for item in engine.containers.items.values()}
        assert await up(client, asked) == ["Container p-a-1 Running", "Container p-b-1 Running"]
        assert {item.id for item in engine.containers.items.values()} == before


async def test_a_changed_service_is_replaced_and_its_follower_restarted(api: Api) -> None:
    async with connected(api) as client:
        await up(client, wanted(alone("a"), B))
        changed = wanted(alone("a", environment={"A": "1"}), B)
        assert await up(client, changed) == [
            "Container p-a-1 Recreate",
            "Container p-b-1 Stopping",
            "Container p-b-1 Stopped",
            "Container p-a-1 Recreated",
            "Container p-a-1 Starting",
            "Container p-a-1 Started",
            "Container p-b-1 Starting",
            "Container p-b-1 Started",
        ]
        found = await client.inspect_container("p-a-1")
        assert (found["Config"]["Labels"] or {})[labels.REPLACE] == "a-1"


async def test_scaling_up_and_down(api: Api) -> None:
    async with connected(api) as client:
        await up(client, wanted(alone("a", scale=3)))
        assert len(await client.list_containers()) == 3
        await up(client, wanted(alone("a", scale=1)))
        assert [c["Names"] for c in await client.list_containers(all=True)] == [["/p-a-1"]]


async def test_inline_contents_arrive_before_the_start(api: Api, engine: FakeEngine) -> None:
    one = alone("a", configs=(FileReference(source="c", target="/etc/c"),))
    asked = project(one, networks={}, configs={"c": FileObject(content="text")})
    async with connected(api) as client:
        await up(client, asked)
    assert b"etc/c" in engine.filesystem.files["/"]


async def test_a_missing_image_fails_with_its_name_and_a_hint(api: Api) -> None:
    asked = wanted(alone("a", image="none"))
    async with connected(api) as client:
        with pytest.raises(EngineError, match="No such image: none:latest") as caught:
            await up(client, asked)
    assert "pull a" in caught.value.hint


async def test_down_leaves_nothing(api: Api, engine: FakeEngine) -> None:
    asked = project(A, B, volumes={"v": Volume(name="p_v")})
    async with connected(api) as client:
        await up(client, asked)
        seen = Seen()
        observed = await observe(client, asked)
        plan = plan_down(asked, observed, DownOptions(volumes=True))
        await run_plan(client, asked, observed, plan, seen)
        assert await client.list_containers(all=True) == []
        assert await client.list_volumes() == []
        assert "p_default" not in {n["Name"] for n in await client.list_networks()}
    assert seen.events[0] == "Container p-b-1 Stopping"
    assert not engine.containers.items


async def test_stop_and_restart(api: Api) -> None:
    asked = wanted(alone("a"), B)
    async with connected(api) as client:
        await up(client, asked)
        observed = await observe(client, asked)
        seen = Seen()
        await run_plan(client, asked, observed, plan_stop(asked, observed), seen)
        assert seen.events[0] == "Container p-b-1 Stopping"
        assert await client.list_containers() == []
        await run_plan(client, asked, observed, plan_restart(asked, observed, ("a",)), seen)
        assert len(await client.list_containers()) == 2
