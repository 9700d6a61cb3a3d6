"""The build cache: results of steps by the digest of all that they depend on.

Two kinds of entries: a *layer* step (RUN, COPY, ADD, WORKDIR) is keyed by the layers below, the
command and the contents that it reads; a *configuration* step by the image before it. Entries
outlive the engine and keep their layers from being collected until they are pruned.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from runtime.errors import EngineError, InvalidArgument
from runtime.image.times import parse_moment, rfc3339
from runtime.record import as_dict, record, replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.build.options import CacheLimits
    from runtime.filters import Filters
    from runtime.image.layer_store import LayerStore
    from runtime.store import Store

JsonObject = dict[str, object]

_KIND = "cache"
PRUNE_FILTERS = frozenset(
    {
        "until",
        "id",
        "parent",
        "type",
        "description",
        "inuse",
        "shared",
        "private",
        "label",
        "label!",
    }
)


@record
class CacheEntry:
    """A result: when it was made, and for a layer step its layer."""

    key: str
    description: str
    created: str
    chain: str = ""
    diff_id: str = ""
    size: int = 0
    used: str = ""
    uses: int = 0


def cache_key(*parts: object) -> str:
    """Return the digest of everything that a step depends on."""
    data = json.dumps(parts, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(data.encode("utf-8", "surrogateescape")).hexdigest()


class BuildCache:
    """All entries of one engine."""

    def __init__(self, store: Store, layers: LayerStore) -> None:
        self._store = store
        self._layers = layers
        self._entries: dict[str, CacheEntry] = {}
        for key, data in store.items(_KIND):
            self._entries[key] = CacheEntry(key=key, **data)  # type: ignore[arg-type]
        self._touched: set[str] = set()
        self._flights: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def flight(self, key: str) -> asyncio.Lock:
        """Return the lock under which a step is looked up and run: builds side by side run it once.

        Whoever waited for it finds the result of the first.
        """
        lock = self._flights.get(key)
        if lock is None:
            lock = self._flights[key] = asyncio.Lock()
        return lock

    def find(self, key: str) -> CacheEntry | None:
        """Return an entry whose layer is still there, and note that it was used."""
        entry = self._entries.get(key)
        if entry is None or (entry.chain and self._layers.get(entry.chain) is None):
            return None
        if entry.chain:
            self._layers.require([entry.chain])
        used = replace(entry, used=rfc3339(time.time_ns()), uses=entry.uses + 1)
        self._entries[key] = used
        self._touched.add(key)
        return used

    def add(self, entry: CacheEntry) -> None:
        """Keep a result; it is written with `save`."""
        self._entries[entry.key] = entry
        self._touched.add(entry.key)

    def save(self) -> None:
        """Write what was added or used since the last time."""
        with self._store.transaction() as transaction:
            for key in self._touched & self._entries.keys():
                data: JsonObject = as_dict(self._entries[key])
                del data["key"]
                transaction.put(_KIND, key, data)
        self._touched.clear()

    def chains(self) -> Iterable[str]:
        """Return the layers that entries need."""
        return [entry.chain for entry in self._entries.values() if entry.chain]

    def usage(self, needed: set[str]) -> list[JsonObject]:
        """Return ``BuildCache`` of ``GET /system/df``; `needed` are the layers of images."""
        return [
            {
                "ID": entry.key[:25],
                "Type": "regular",
                "Description": entry.description,
                "InUse": False,
                "Shared": entry.chain in needed,
                "Size": entry.size,
                "CreatedAt": entry.created,
                "LastUsedAt": entry.used or None,
                "UsageCount": entry.uses,
            }
            for entry in self._entries.values()
        ]

    def prune(self, filters: Filters, limits: CacheLimits, free: int) -> list[CacheEntry]:
        """Drop entries, least recently used first, until what is kept fits the limits.

        Raises:
            InvalidArgument: the filter ``until`` is no time, or there are several.
        """
        until = _until(filters)
        limit = rfc3339(until) if until is not None else None
        total = sum(entry.size for entry in self._entries.values())
        keep_bytes = limits.kept(total, free)
        dropped: list[CacheEntry] = []
        for entry in sorted(self._entries.values(), key=_last_use):
            if keep_bytes and total <= keep_bytes:
                break
            if limit is not None and _last_use(entry) > limit:
                continue
            if any(not entry.key.startswith(wanted) for wanted in filters.get("id")):
                continue
            dropped.append(entry)
            total -= entry.size
        with self._store.transaction() as transaction:
            for entry in dropped:
                transaction.delete(_KIND, entry.key)
                del self._entries[entry.key]
        return dropped


def _until(filters: Filters) -> int | None:
    """Return the time of the filters ``until`` and ``unused-for``, in the words of BuildKit."""
    times = [*filters.get("until"), *filters.get("unused-for")]
    if len(times) > 1:
        raise InvalidArgument("failed to prune build cache: filters expect only one value")
    try:
        return parse_moment(times[0]) if times else None
    except EngineError as error:
        raise InvalidArgument(
            "failed to prune build cache: \"until\" filter expects a duration (e.g., '24h') or a"
            f" timestamp: {error.message}"
        ) from error


def _last_use(entry: CacheEntry) -> str:
    return entry.used or entry.created
