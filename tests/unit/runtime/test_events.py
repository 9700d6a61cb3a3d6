"""The event bus."""

from __future__ import annotations

from runtime.events import EventBus, JsonObject


class Recorder:
    """Takes events as a transaction does."""

    def __init__(self) -> None:
        self.documents: list[JsonObject] = []

    def event(self, document: JsonObject) -> None:
        self.documents.append(document)


def _everything(document: JsonObject) -> bool:
    return bool(document)


async def test_a_recorded_event_is_published_when_it_is_delivered() -> None:
    bus, recorder = EventBus(), Recorder()
    subscription = bus.subscribe(_everything)
    bus.record(recorder, "container", "start", "abc", {"image": "busybox", "name": "web"})
    heard: list[JsonObject] = []
    bus.listen(heard.append)
    bus.deliver(recorder.documents)
    event = await anext(subscription)
    assert event == heard[0]
    assert event["status"] == "start"
    assert event["from"] == "busybox"
    assert event["Actor"] == {"ID": "abc", "Attributes": {"image": "busybox", "name": "web"}}


async def test_times_rise_strictly() -> None:
    bus = EventBus()
    subscription = bus.subscribe(_everything)
    for _ in range(50):
        bus.publish("network", "create", "n", {})
    bus.unsubscribe(subscription)
    times = [event["timeNano"] async for event in subscription]
    assert times == sorted(set(times), key=str)
    assert len(times) == 50


async def test_since_replays_and_a_filter_selects() -> None:
    bus = EventBus()
    bus.publish("volume", "create", "a", {})
    bus.publish("volume", "create", "b", {})
    replayed = bus.subscribe(lambda event: event["Actor"] == {"ID": "b", "Attributes": {}}, 0)
    fresh = bus.subscribe(_everything)
    bus.close()
    assert len([event async for event in replayed]) == 1
    assert [event async for event in fresh] == []
    assert bus.subscribers == 0
