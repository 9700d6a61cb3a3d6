"""``GET /events`` of the Docker Engine API."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from runtime.api.call import Call, Route
from runtime.api.event_filter import wanted_by
from runtime.api.streams import documents
from runtime.api.times import unix_nanoseconds
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.engine import JsonObject
    from runtime.events import EventBus, Subscription
    from runtime.http_server.messages import Response

_SECOND = 1_000_000_000


def stream_events(call: Call) -> Response:
    """``GET /events``: what was kept since a time, then what comes, until a time or for ever."""
    since = unix_nanoseconds(call.text("since"))
    until = unix_nanoseconds(call.text("until"))
    if since is not None and until is not None and since > until:
        times = f"`since` time ({call.text('since')}) cannot be after `until`"
        raise InvalidArgument(f"{times} time ({call.text('until')})")
    if since is None and until is not None:
        since = 0
    wanted = wanted_by(call.filters(None))
    bus = call.engine.events
    return documents(_events(bus, bus.subscribe(wanted, since), until))


async def _events(
    bus: EventBus, subscription: Subscription, until: int | None
) -> AsyncIterator[JsonObject]:
    timer = None
    if until is not None:
        seconds = max(0.0, (until - time.time_ns()) / _SECOND)
        timer = asyncio.get_running_loop().call_later(seconds, subscription.close)
    try:
        async for event in subscription:
            moment = event["timeNano"]
            if until is not None and isinstance(moment, int) and moment > until:
                return
            yield event
    finally:
        if timer is not None:
            timer.cancel()
        bus.unsubscribe(subscription)


ROUTES = (Route("GET", "/events", stream_events),)
