"""The metadata database: SQLite in WAL mode, the only module that talks SQL.

Vocabulary:
- an *object* is a JSON document of some kind (``container``, ``image``, ``volume`` ...),
  with an id and, for some kinds, a name that is unique in the kind;
- a *lease* is a key (an address, a host port) that one owner holds at a time;
- an *intent* says that an operation of several steps has begun; recovery finishes or undoes it;
- an *event* is recorded in the transaction of the change that it tells of.

Everything runs on the event loop: a commit takes less than a hop to a thread. With
``synchronous=NORMAL`` a power cut loses at most the time since the last checkpoint; a transaction
with ``full=True`` is synced before it returns (volumes, tags, commits).
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from typing import TYPE_CHECKING

from runtime.errors import Conflict, EngineError
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JsonObject = dict[str, object]

SCHEMA_VERSION = 1
_EVENTS_KEPT = 10_000
_TRIM_EVERY = 500
_RESERVE = 1 << 20

_SCHEMA = """
CREATE TABLE objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT, data TEXT NOT NULL,
    PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE UNIQUE INDEX objects_by_name ON objects (kind, name) WHERE name IS NOT NULL;
CREATE TABLE leases (
    kind TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL,
    PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE INDEX leases_by_owner ON leases (owner);
CREATE TABLE intents (
    object TEXT NOT NULL, kind TEXT NOT NULL, run INTEGER NOT NULL, deadline INTEGER,
    PRIMARY KEY (object, kind)) WITHOUT ROWID;
CREATE TABLE events (seq INTEGER PRIMARY KEY, data TEXT NOT NULL);
"""


@record
class Intent:
    """An operation that has begun; the deadline is in nanoseconds of the epoch."""

    kind: str
    object: str
    run: int
    deadline: int | None


class NameTaken(Conflict):
    """The name belongs to another object of the same kind, whose id is `holder`."""

    def __init__(self, kind: str, name: str, holder: str) -> None:
        super().__init__(f"{kind} name {name} is already in use by {holder}")
        self.holder = holder


class LeaseTaken(Conflict):
    """The key is leased to another owner, `holder`."""

    def __init__(self, kind: str, key: str, holder: str) -> None:
        super().__init__(f"{kind} {key} is already allocated to {holder}")
        self.holder = holder


class NotWritten(EngineError):
    """The disk is full or broken; nothing has changed."""


class Transaction:
    """The writes of one change of state; all of them happen or none."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._writes: list[tuple[str, tuple[object, ...]]] = []
        self.events: list[JsonObject] = []

    def _write(self, statement: str, *values: object) -> None:
        self._writes.append((statement, values))
        self._connection.execute(statement, values)

    def repeat(self) -> None:
        """Do all writes again, in a transaction that was opened anew."""
        for statement, values in self._writes:
            self._connection.execute(statement, values)

    def put(self, kind: str, identifier: str, data: JsonObject, name: str | None = None) -> None:
        """Write an object, replacing an older one with the same id.

        Raises:
            NameTaken: another object of the kind has the name.
        """
        if name is not None:
            row = self._connection.execute(
                "SELECT id FROM objects WHERE kind=? AND name=? AND id<>?", (kind, name, identifier)
            ).fetchone()
            if row is not None:
                raise NameTaken(kind, name, row[0])
        self._write(
            "INSERT OR REPLACE INTO objects (kind, id, name, data) VALUES (?, ?, ?, ?)",
            *(kind, identifier, name, json.dumps(data, separators=(",", ":"))),
        )

    def delete(self, kind: str, identifier: str) -> None:
        """Remove an object; nothing happens when it is absent."""
        self._write("DELETE FROM objects WHERE kind=? AND id=?", kind, identifier)

    def lease(self, kind: str, key: str, owner: str) -> None:
        """Give a key to an owner; giving it again to the same one changes nothing.

        Raises:
            LeaseTaken: another owner holds it.
        """
        row = self._connection.execute(
            "SELECT owner FROM leases WHERE kind=? AND key=?", (kind, key)
        ).fetchone()
        if row is None:
            self._write("INSERT INTO leases VALUES (?, ?, ?)", kind, key, owner)
        elif row[0] != owner:
            raise LeaseTaken(kind, key, row[0])

    def leases(self, kind: str) -> dict[str, str]:
        """Return key and owner of every lease of a kind, this transaction's included."""
        return dict(self._connection.execute("SELECT key, owner FROM leases WHERE kind=?", (kind,)))

    def release(self, owner: str, kind: str | None = None, key: str | None = None) -> None:
        """End leases of an owner: all of them, those of a kind, or one."""
        self._write(
            "DELETE FROM leases WHERE owner=? AND kind=coalesce(?, kind) AND key=coalesce(?, key)",
            *(owner, kind, key),
        )

    def begin(self, kind: str, identifier: str, run: int = 0, deadline: int | None = None) -> None:
        """Record that an operation begins (or goes on with another deadline)."""
        self._write(
            "INSERT OR REPLACE INTO intents (object, kind, run, deadline) VALUES (?, ?, ?, ?)",
            *(identifier, kind, run, deadline),
        )

    def end(self, kind: str, identifier: str) -> None:
        """Record that an operation has ended, done or undone."""
        self._write("DELETE FROM intents WHERE object=? AND kind=?", identifier, kind)

    def event(self, document: JsonObject) -> None:
        """Record an event that is published when the transaction is committed."""
        self.events.append(document)
        self._write(
            "INSERT INTO events (data) VALUES (?)", json.dumps(document, separators=(",", ":"))
        )


class Store:
    """The database of one engine; use it from one thread."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._connection = connection
        self._path = path
        self._open: Transaction | None = None
        self._commits = 0
        self._reserve = f"{path}.reserve"
        self.on_commit: Callable[[list[JsonObject]], None] | None = None

    @classmethod
    def open(cls, path: str) -> Store:
        """Open the database, making or migrating it.

        Raises:
            EngineError: it was written by a newer engine, or cannot be opened.
        """
        try:
            connection = sqlite3.connect(path, isolation_level=None, timeout=10)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            _migrate(connection, path)
        except sqlite3.Error as error:
            raise EngineError(f"{path}: cannot open the database: {error}") from error
        store = cls(connection, path)
        store._keep_reserve()
        return store

    def close(self) -> None:
        """Write everything into the database file and close it."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self, *, full: bool = False) -> Iterator[Transaction]:
        """Open a transaction; leaving the block commits it, an exception undoes it.

        Args:
            full: sync to disk before returning.
        """
        if self._open is not None:
            raise EngineError("a transaction is already open")
        if full:
            self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("BEGIN IMMEDIATE")
        transaction = self._open = Transaction(self._connection)
        try:
            yield transaction
            self._commit(transaction)
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            transaction.events.clear()
            if isinstance(error, sqlite3.Error):
                raise NotWritten(f"{self._path}: cannot be written: {error}") from error
            raise
        finally:
            self._open = None
            if full:
                self._connection.execute("PRAGMA synchronous=NORMAL")
        self._after_commit(transaction.events)

    def _commit(self, transaction: Transaction) -> None:
        """Commit; on a full disk the reserve is given up for it, so that things can be removed."""
        try:
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL or not os.path.exists(self._reserve):
                raise
            os.unlink(self._reserve)
            self._connection.execute("BEGIN IMMEDIATE")  # SQLite has undone the other one
            transaction.repeat()
            self._connection.execute("COMMIT")

    def _keep_reserve(self) -> None:
        """Occupy some space that can be given up when there is no other."""
        with contextlib.suppress(OSError):
            if os.path.exists(self._reserve):
                return
            new = f"{self._reserve}.new"
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, _RESERVE)
                os.rename(new, self._reserve)
            except OSError:
                os.unlink(new)
            finally:
                os.close(fd)

    def get(self, kind: str, identifier: str) -> JsonObject | None:
        """Return an object by id, or None."""
        row = self._connection.execute(
            "SELECT data FROM objects WHERE kind=? AND id=?", (kind, identifier)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def by_name(self, kind: str, name: str) -> tuple[str, JsonObject] | None:
        """Return id and object by name, or None."""
        row = self._connection.execute(
            "SELECT id, data FROM objects WHERE kind=? AND name=?", (kind, name)
        ).fetchone()
        return None if row is None else (row[0], json.loads(row[1]))

    def items(self, kind: str) -> list[tuple[str, JsonObject]]:
        """Return id and object of everything of a kind."""
        rows = self._connection.execute("SELECT id, data FROM objects WHERE kind=?", (kind,))
        return [(identifier, json.loads(data)) for identifier, data in rows]

    def leases(self, kind: str) -> dict[str, str]:
        """Return key and owner of every lease of a kind."""
        return dict(self._connection.execute("SELECT key, owner FROM leases WHERE kind=?", (kind,)))

    def all_leases(self) -> list[tuple[str, str, str]]:
        """Return kind, key and owner of every lease."""
        return list(self._connection.execute("SELECT kind, key, owner FROM leases"))

    def owned(self, owner: str) -> list[tuple[str, str]]:
        """Return kind and key of every lease of an owner."""
        rows = self._connection.execute("SELECT kind, key FROM leases WHERE owner=?", (owner,))
        return [(kind, key) for kind, key in rows]

    def intents(self) -> list[Intent]:
        """Return the operations that have begun and not ended."""
        rows = self._connection.execute("SELECT kind, object, run, deadline FROM intents")
        return [Intent(*row) for row in rows]

    def events(self, limit: int) -> list[JsonObject]:
        """Return the last events, oldest first."""
        rows = self._connection.execute(
            "SELECT data FROM events ORDER BY seq DESC LIMIT ?", (limit,)
        ).fetchall()
        return [json.loads(data) for (data,) in reversed(rows)]

    def checkpoint(self) -> None:
        """Move the log into the database file and sync; run it in a thread, it may take 30 ms."""
        with (
            contextlib.suppress(sqlite3.Error),  # a full disk: the next one does it
            contextlib.closing(sqlite3.connect(self._path, timeout=10)) as connection,
        ):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._keep_reserve()

    def _after_commit(self, events: list[JsonObject]) -> None:
        self._commits += 1
        if self._commits % _TRIM_EVERY == 0:
            self._connection.execute(
                "DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?", (_EVENTS_KEPT,)
            )
        if self.on_commit is not None:
            self.on_commit(events)


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise EngineError(
            f"{path}: written by a newer Shoal (schema {version}, this one knows {SCHEMA_VERSION});"
            " use that version, or another data root"
        )
    if version == 0:
        connection.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
        )
