"""The event bus: every change of state is published once, after it is durable.

An event is the JSON object of ``GET /events`` (Docker Engine API). Events of changes of state are
recorded in the transaction that makes the change (`EventBus.record`) and reach subscribers when it
is committed (`EventBus.deliver`, called by the store). Passing events, such as ``exec_start`` or
``attach``, are published directly (`EventBus.publish`) and kept in memory only. All share one order
and strictly rising times.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

JsonObject = dict[str, object]

HISTORY = 1024
"""How many events are kept in memory for ``since``."""

_LEGACY_TYPES = frozenset({"container", "image"})
_QUEUE_LIMIT = 20_000


class EventRecorder(Protocol):
    """What takes an event into a transaction (`runtime.store.Transaction`)."""

    def event(self, document: JsonObject) -> None:
        """Add the event to what is made durable by the transaction."""


class Subscription:
    """One reader of the bus: an asynchronous iterator over events that pass its filter.

    A reader that falls more than 20,000 events behind is ended; it has lost the present anyway.
    """

    def __init__(self, wanted: Callable[[JsonObject], bool]) -> None:
        self._wanted = wanted
        self._queue: deque[JsonObject] = deque()
        self._ready = asyncio.Event()
        self._closed = False

    def offer(self, document: JsonObject) -> None:
        """Queue an event if the subscription wants it; called by the bus."""
        if self._closed or not self._wanted(document):
            return
        if len(self._queue) >= _QUEUE_LIMIT:
            self._closed = True
        else:
            self._queue.append(document)
        self._ready.set()

    def close(self) -> None:
        """End the iteration after what is queued."""
        self._closed = True
        self._ready.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> JsonObject:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._queue.popleft()


class EventBus:
    """Publishes events to listeners and subscriptions, and keeps the last ones for replay."""

    def __init__(self, history: Iterable[JsonObject] = ()) -> None:
        self._history: deque[JsonObject] = deque(history, maxlen=HISTORY)
        self._listeners: list[Callable[[JsonObject], None]] = []
        self._subscriptions: set[Subscription] = set()
        self._last = _time_of(self._history[-1]) if self._history else 0

    @property
    def subscribers(self) -> int:
        """Number of open subscriptions (``NEventsListener`` of ``/info``)."""
        return len(self._subscriptions)

    def record(
        self,
        recorder: EventRecorder,
        kind: str,
        action: str,
        actor_id: str,
        attributes: Mapping[str, str],
    ) -> None:
        """Record an event in a transaction; it is published when that is committed."""
        recorder.event(self._document(kind, action, actor_id, attributes))

    def publish(self, kind: str, action: str, actor_id: str, attributes: Mapping[str, str]) -> None:
        """Publish a passing event, which is kept in memory only."""
        self.deliver([self._document(kind, action, actor_id, attributes)])

    def deliver(self, documents: Iterable[JsonObject]) -> None:
        """Hand committed events to everybody, in order."""
        for document in documents:
            self._history.append(document)
            for listener in tuple(self._listeners):
                listener(document)
            for subscription in tuple(self._subscriptions):
                subscription.offer(document)

    def listen(self, listener: Callable[[JsonObject], None]) -> None:
        """Call a function (restart policy, health) for every event; it must not block."""
        self._listeners.append(listener)

    def subscribe(
        self, wanted: Callable[[JsonObject], bool], since_ns: int | None = None
    ) -> Subscription:
        """Open a subscription.

        Args:
            wanted: says of each event whether it is to be delivered.
            since_ns: replay kept events from this time on (ns of the epoch); None replays none.
        """
        subscription = Subscription(wanted)
        if since_ns is not None:
            for document in self._history:
                if _time_of(document) >= since_ns:
                    subscription.offer(document)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Close a subscription; does nothing when it is closed already."""
        self._subscriptions.discard(subscription)
        subscription.close()

    def close(self) -> None:
        """End every subscription."""
        for subscription in tuple(self._subscriptions):
            self.unsubscribe(subscription)

    def _document(
        self, kind: str, action: str, actor_id: str, attributes: Mapping[str, str]
    ) -> JsonObject:
        now = max(time.time_ns(), self._last + 1)
        self._last = now
        document: JsonObject = {}
        if kind in _LEGACY_TYPES:
            document["status"] = action
            document["id"] = actor_id
            if kind == "container":
                document["from"] = attributes.get("image", "")
        document.update(
            Type=kind,
            Action=action,
            Actor={"ID": actor_id, "Attributes": dict(attributes)},
            scope="local",
            time=now // 1_000_000_000,
            timeNano=now,
        )
        return document


def _time_of(document: JsonObject) -> int:
    value = document["timeNano"]
    return value if isinstance(value, int) else 0
