"""The event stream of an engine, kept in order by a thread for whoever wants to look at it."""

from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING, Any, Self

from tests.support.eventually import eventually
from tests.support.wire_client import Answer, WireClient

if TYPE_CHECKING:
    from types import TracebackType

Event = dict[str, Any]
_MARKER = "lifecycle-marker-"


class EventRecord:
    """All events of an engine from now on; a context manager."""

    def __init__(self, path: str) -> None:
        self._client = WireClient(path)
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._numbers = itertools.count()
        self._answer: Answer | None = None
        self._thread = threading.Thread(target=self._read, name="events", daemon=True)

    def __enter__(self) -> Self:
        self._answer = self._client.send("GET", "/events")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._answer is not None
        self._answer.sock.shutdown(2)
        self._thread.join()
        self._answer.sock.close()

    def _read(self) -> None:
        assert self._answer is not None
        text = b""
        for chunk in self._answer.chunks():
            text += chunk
            *lines, text = text.split(b"\n")
            found = [json.loads(line) for line in lines if line.strip()]
            with self._lock:
                self._events += found

    def catch_up(self, client: WireClient) -> None:
        """Wait until everything that has been published is recorded: until a marker comes."""
        name = f"{_MARKER}{next(self._numbers)}"
        client.call("POST", "/volumes/create", {"Name": name})
        client.call("DELETE", f"/volumes/{name}")
        eventually(
            lambda: any(
                event["Type"] == "volume" and event["Actor"]["ID"] == name
                for event in self._snapshot()
            )
        )

    def about(self, identifiers: set[str]) -> list[Event]:
        """Return the events about some containers, of networks and volumes too."""
        return [
            event
            for event in self._snapshot()
            if event["Actor"]["ID"] in identifiers
            or event["Actor"]["Attributes"].get("container") in identifiers
        ]

    def count(self, identifier: str, action: str) -> int:
        """Return how many events of a container begin with an action."""
        return sum(event["Action"].startswith(action) for event in self.about({identifier}))

    def _snapshot(self) -> list[Event]:
        with self._lock:
            return list(self._events)
