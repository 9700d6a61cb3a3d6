"""Named volumes: idempotent creation, Docker's wording, removal that survives a crash."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from runtime.errors import Conflict, InvalidArgument, NotFound
from runtime.events import EventBus
from runtime.filters import Filters
from runtime.store import Store
from runtime.volumes import ANONYMOUS, VolumeStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NONE = Filters({})
BAD_NAME = (
    'create a/b: "a/b" includes invalid characters for a local volume name, only '
    '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use '
    "absolute path"
)


class Volumes:
    """A volume store that can be opened again, with what it published."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.disk = ThreadPoolExecutor(2)
        self.seen: list[dict[str, object]] = []
        self.open()

    def open(self) -> None:
        self.database = Store.open(str(self.root / "shoal.db"))
        bus = EventBus()
        bus.listen(self.seen.append)
        self.database.on_commit = bus.deliver
        self.store = VolumeStore(self.database, bus, str(self.root), self.disk)

    def close(self) -> None:
        self.database.close()

    def actions(self) -> list[tuple[object, object]]:
        return [(e["Action"], e["Actor"]["ID"]) for e in self.seen]  # type: ignore[index]


@pytest.fixture
def volumes(tmp_path: Path) -> Iterator[Volumes]:
    opened = Volumes(tmp_path)
    yield opened
    opened.close()
    opened.disk.shutdown()


async def test_a_volume_is_made_once(volumes: Volumes) -> None:
    first = await volumes.store.create("data", "local", None, {"a": "b"})
    second = await volumes.store.create("data", "local", None, {"other": "c"})
    assert first == second
    assert first["Labels"] == {"a": "b"}
    assert first["Options"] is None
    assert first["Scope"] == "local"
    assert os.listdir(str(first["Mountpoint"])) == []
    assert str(first["Mountpoint"]).endswith("/volumes/data/_data")
    assert volumes.actions() == [("create", "data")]


async def test_a_volume_without_a_name_is_anonymous(volumes: Volumes) -> None:
    made = await volumes.store.create(None, "", {}, {"a": "b"})
    assert len(str(made["Name"])) == 64
    assert made["Labels"] == {"a": "b", ANONYMOUS: ""}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("x", None, "create x: volume name is too short, names should be at least two"),
        ("a/b", None, BAD_NAME),
        ("..", None, 'create ..: ".." includes invalid characters'),
        ("ab\n", None, "create ab\n: "),
        ("vv", {"typ": "x"}, 'create vv: invalid option: "typ"'),
        ("vv", {"type": "tmpfs"}, 'create vv: missing required option: "device"'),
        ("vv", {"o": "bind", "device": "/"}, 'create vv: missing required option: "type"'),
        ("vv", {"size": "1"}, "create vv: quota size requested but no quota support"),
    ],
)  # fmt: skip
def test_a_bad_volume_is_refused(
    volumes: Volumes, name: str, options: dict[str, str] | None, message: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        volumes.store.ensure(name, options=options)
    assert caught.value.message.startswith(message)
    assert os.listdir(volumes.root / "volumes") == []


def test_an_unknown_driver_is_refused(volumes: Volumes) -> None:
    with pytest.raises(NotFound, match='create vv: error looking up volume plugin x: plugin "x"'):
        volumes.store.ensure("vv", "x")


async def test_an_absent_volume_is_not_found(volumes: Volumes) -> None:
    with pytest.raises(NotFound, match="get nope: no such volume"):
        await volumes.store.inspect("nope")
    with pytest.raises(NotFound, match="get nope: no such volume"):
        await volumes.store.remove("nope")
    await volumes.store.remove("nope", force=True)


async def test_a_volume_in_use_stays(volumes: Volumes) -> None:
    volumes.store.ensure("data")
    volumes.store.users = lambda name: ["one", "two"] if name == "data" else []
    for force in (False, True):
        with pytest.raises(Conflict, match=r"remove data: volume is in use - \[one, two\]"):
            await volumes.store.remove("data", force=force)


async def test_removal_takes_the_data_along(volumes: Volumes) -> None:
    volumes.store.ensure("data")
    (volumes.root / "volumes/data/_data/file").write_text("x")
    await volumes.store.remove("data")
    assert os.listdir(volumes.root / "volumes") == []
    assert os.listdir(volumes.root / "trash") == []
    assert volumes.actions() == [("create", "data"), ("destroy", "data")]
    assert await volumes.store.list(NONE) == []


async def test_lists_are_filtered(volumes: Volumes) -> None:
    volumes.store.ensure("one", labels={"a": "b"})
    volumes.store.ensure("two")
    volumes.store.users = lambda name: ["c"] if name == "two" else []

    async def names(**values: tuple[str, ...]) -> list[object]:
        return [body["Name"] for body in await volumes.store.list(Filters(values))]

    assert await names() == ["one", "two"]
    assert await names(name=("tw",)) == ["two"]
    assert await names(label=("a=b",)) == ["one"]
    assert await names(dangling=("true",)) == ["one"]
    assert await names(dangling=("false",)) == ["two"]
    assert await names(driver=("nfs",)) == []


async def test_prune_takes_unused_anonymous_volumes(volumes: Volumes) -> None:
    volumes.store.ensure("named")
    used, unused = volumes.store.ensure().name, volumes.store.ensure().name
    (volumes.root / "volumes" / unused / "_data/file").write_bytes(b"12345")
    volumes.store.users = lambda name: ["c"] if name == used else []
    assert await volumes.store.prune(NONE) == ([unused], 5)
    assert await volumes.store.prune(Filters({"all": ("true",)})) == (["named"], 0)
    assert [body["Name"] for body in await volumes.store.list(NONE)] == [used]
    assert volumes.seen[-1]["Actor"] == {"ID": "", "Attributes": {"reclaimed": "0"}}


async def test_prune_obeys_labels(volumes: Volumes) -> None:
    kept, gone = volumes.store.ensure(labels={"keep": ""}), volumes.store.ensure()
    removed, _ = await volumes.store.prune(Filters({"label!": ("keep",)}))
    assert removed == [gone.name]
    assert volumes.store.get(kept.name) == kept


async def test_usage_counts_bytes_and_users(volumes: Volumes) -> None:
    volumes.store.ensure("data")
    (volumes.root / "volumes/data/_data/file").write_bytes(b"x" * 100)
    volumes.store.users = lambda _: ["c"]
    (body,) = await volumes.store.usage()
    assert body["UsageData"] == {"RefCount": 1, "Size": 100}


async def test_volumes_are_there_after_a_restart(volumes: Volumes) -> None:
    volumes.store.ensure("data", labels={"a": "b"}, options={})
    before = await volumes.store.inspect("data")
    volumes.close()
    volumes.open()
    assert await volumes.store.inspect("data") == before


async def test_a_directory_without_a_row_is_registered_again(volumes: Volumes) -> None:
    (volumes.root / "volumes/found/_data").mkdir(parents=True)
    (volumes.root / "volumes/found/_data/file").write_text("precious")
    (volumes.root / "volumes/stray").write_text("no volume")
    volumes.store.recover()
    assert (await volumes.store.inspect("found"))["Driver"] == "local"
    assert (volumes.root / "volumes/found/_data/file").read_text() == "precious"
    with pytest.raises(NotFound):
        volumes.store.get("stray")


@pytest.mark.parametrize("moved", [False, True])
def test_a_removal_that_began_is_finished_at_start(volumes: Volumes, moved: bool) -> None:
    volumes.store.ensure("data")
    with volumes.database.transaction() as transaction:
        transaction.begin("volume-remove", "data")
    if moved:
        os.rename(volumes.root / "volumes/data", volumes.root / "trash/volume-x")
    volumes.close()
    volumes.open()
    volumes.store.recover()
    with pytest.raises(NotFound):
        volumes.store.get("data")
    assert os.listdir(volumes.root / "volumes") == []
    assert volumes.database.intents() == []


def test_a_half_filled_volume_is_empty_again_after_a_crash(volumes: Volumes) -> None:
    volumes.store.ensure("data")
    base = volumes.root / "volumes/data"
    (base / "_data/half").write_text("x")
    (base / "populating").write_text("")
    (base / "_data.1234").mkdir()
    volumes.store.recover()
    assert os.listdir(base) == ["_data"]
    assert os.listdir(base / "_data") == []
