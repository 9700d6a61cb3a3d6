"""The metadata database."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from runtime.errors import EngineError
from runtime.store import LeaseTaken, NameTaken, NotWritten, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(str(tmp_path / "shoal.db"))
    yield opened
    opened.close()


def test_an_object_is_found_by_id_and_by_name(store: Store) -> None:
    with store.transaction() as tx:
        tx.put("container", "c1", {"a": 1}, name="web")
    assert store.get("container", "c1") == {"a": 1}
    assert store.by_name("container", "web") == ("c1", {"a": 1})
    assert store.items("container") == [("c1", {"a": 1})]
    assert store.get("network", "c1") is None


def test_a_name_belongs_to_one_object_of_a_kind(store: Store) -> None:
    with store.transaction() as tx:
        tx.put("container", "c1", {}, name="web")
        tx.put("volume", "v1", {}, name="web")
    with pytest.raises(NameTaken) as caught, store.transaction() as tx:
        tx.put("container", "c2", {}, name="web")
    assert caught.value.holder == "c1"


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    heard: list[object] = []
    store.on_commit = heard.extend
    with pytest.raises(ValueError, match="stop"), store.transaction() as tx:
        tx.put("container", "c1", {})
        tx.lease("port", "80", "c1")
        tx.begin("start", "c1", 1)
        tx.event({"timeNano": 1})
        raise ValueError("stop")
    assert store.items("container") == []
    assert store.leases("port") == {}
    assert store.intents() == []
    assert store.events(10) == []
    assert heard == []


def test_a_lease_has_one_owner_until_it_is_released(store: Store) -> None:
    with store.transaction() as tx:
        tx.lease("port", "80", "c1")
        tx.lease("port", "80", "c1")
        tx.lease("ip", "10.0.0.2", "c1")
    with pytest.raises(LeaseTaken) as caught, store.transaction() as tx:
        tx.lease("port", "80", "c2")
    assert caught.value.holder == "c1"
    with store.transaction() as tx:
        tx.release("c1", "port")
    assert store.owned("c1") == [("ip", "10.0.0.2")]


def test_events_are_published_after_the_commit_and_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "shoal.db")
    store = Store.open(path)
    heard: list[object] = []
    store.on_commit = heard.extend
    with store.transaction() as tx:
        tx.event({"n": 1})
        tx.event({"n": 2})
        assert heard == []
    assert heard == [{"n": 1}, {"n": 2}]
    store.close()
    again = Store.open(path)
    assert again.events(1) == [{"n": 2}]
    again.close()


def test_an_intent_stands_until_it_ends(store: Store) -> None:
    with store.transaction(full=True) as tx:
        tx.begin("stop", "c1", 3, deadline=5)
    (intent,) = store.intents()
    assert (intent.kind, intent.object, intent.run, intent.deadline) == ("stop", "c1", 3, 5)
    with store.transaction() as tx:
        tx.end("stop", "c1")
    assert store.intents() == []


def test_a_database_of_a_newer_engine_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "shoal.db")
    Store.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(EngineError, match="newer Shoal"):
        Store.open(path)


def test_a_checkpoint_runs_beside_an_open_store(store: Store) -> None:
    with store.transaction() as tx:
        tx.put("volume", "v", {})
    store.checkpoint()
    assert store.get("volume", "v") == {}


def test_a_full_disk_is_one_error_and_changes_nothing(store: Store) -> None:
    with store.transaction() as transaction:
        transaction.put("thing", "one", {})
    limit = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={limit}")
    with pytest.raises(NotWritten, match="cannot be written: database or disk is full"):  # noqa: SIM117
        with store.transaction() as transaction:
            transaction.put("thing", "two", {"text": "x" * 100_000})
    assert [identifier for identifier, _ in store.items("thing")] == ["one"]
    store._connection.execute("PRAGMA max_page_count=100000")
    with store.transaction() as transaction:
        transaction.put("thing", "two", {})
    assert store.get("thing", "two") == {}
