"""Scheduling, execution domain and clocks: words of a specification to numbers of the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.container import scheduling_plan
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

JsonObject = dict[str, object]

TIME: JsonObject = {"namespaces": [{"type": "time"}]}


def test_what_is_not_said_is_left_alone() -> None:
    assert scheduling_plan.scheduler({}) is None
    assert scheduling_plan.io_priority({}) is None
    assert scheduling_plan.personality({}) is None
    assert scheduling_plan.time_offsets({}) == ""


def test_a_scheduler_is_in_the_kernels_numbers() -> None:
    flags = ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_RECLAIM"]
    wanted = {"policy": "SCHED_FIFO", "priority": 50, "nice": -3, "flags": flags}
    assert scheduling_plan.scheduler({"scheduler": wanted}) == {
        "policy": 1,
        "flags": 3,
        "nice": -3,
        "priority": 50,
        "times": (0, 0, 0),
    }


@pytest.mark.parametrize(
    ("kind", "priority", "value"),
    [("RT", 0, 0x2000), ("BE", 7, 0x4007), ("IDLE", 0, 0x6000)],
)
def test_an_io_priority_is_class_and_level(kind: str, priority: int, value: int) -> None:
    wanted = {"class": f"IOPRIO_CLASS_{kind}", "priority": priority}
    assert scheduling_plan.io_priority({"ioPriority": wanted}) == value


def test_offsets_are_lines() -> None:
    offsets = {"boottime": {"secs": -5}, "monotonic": {"secs": 1, "nanosecs": 2}}
    text = scheduling_plan.time_offsets({**TIME, "timeOffsets": offsets})
    assert text == "monotonic 1 2\nboottime -5 0\n"


@pytest.mark.parametrize(
    ("function", "section", "text"),
    [
        (
            scheduling_plan.scheduler,
            {"scheduler": {"policy": "SCHED_X"}},
            "process.scheduler.policy: SCHED_X is unknown",
        ),
        (
            scheduling_plan.scheduler,
            {"scheduler": {"policy": "SCHED_RR", "flags": ["F"]}},
            "process.scheduler.flags: F is unknown",
        ),
        (
            scheduling_plan.io_priority,
            {"ioPriority": {"class": "x"}},
            "process.ioPriority.class: x is unknown",
        ),
        (
            scheduling_plan.io_priority,
            {"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}},
            "process.ioPriority.priority: 8 is not between 0 and 7",
        ),
        (
            scheduling_plan.personality,
            {"personality": {"domain": "BSD"}},
            "linux.personality.domain: BSD is unknown",
        ),
        (
            scheduling_plan.personality,
            {"personality": {"domain": "LINUX", "flags": ["x"]}},
            "linux.personality.flags: there are no such flags",
        ),
        (
            scheduling_plan.time_offsets,
            {"timeOffsets": {"boottime": {"secs": 1}}},
            "linux.timeOffsets: needs a namespace of type time",
        ),
        (
            scheduling_plan.time_offsets,
            {
                "namespaces": [{"type": "time", "path": "/x"}],
                "timeOffsets": {"boottime": {"secs": 1}},
            },
            "linux.timeOffsets: a namespace that is joined keeps its own",
        ),
        (
            scheduling_plan.time_offsets,
            {**TIME, "timeOffsets": {"realtime": {"secs": 1}}},
            "linux.timeOffsets: there is no clock realtime",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    function: Callable[[JsonObject], object], section: JsonObject, text: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        function(section)
    assert caught.value.message == f"config.json: {text}"
