"""The shape of a sample of ``stats`` for each version of cgroups, and what info says of limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.container import overview, stats

if TYPE_CHECKING:
    from runtime.linux.resources import CgroupStats

USED: CgroupStats = {
    "cpu": {
        "usage_ns": 9,
        "user_ns": 5,
        "system_ns": 4,
        "percpu_ns": [9],
        "periods": 3,
        "throttled_periods": 2,
        "throttled_ns": 1,
    },
    "memory": {
        "usage": 100,
        "max_usage": 200,
        "failcnt": 0,
        "limit": 1 << 20,
        "stat": {"anon": 7, "inactive_file": 8, "zswap": 1, "cache": 2},
    },
    "pids": 3,
    "pids_limit": 0,
    "io_bytes": [{"major": 8, "minor": 0, "op": "read", "value": 10}],
    "io_operations": [{"major": 8, "minor": 0, "op": "read", "value": 1}],
}


def test_memory_of_version_2_has_dockers_names() -> None:
    shown = stats._memory(USED, 2)
    counters = shown["stats"]
    assert isinstance(counters, dict)
    assert shown.keys() == {"usage", "stats", "limit"}
    assert len(counters) == 31
    assert (counters["anon"], counters["inactive_file"], counters["pgscan"]) == (7, 8, 0)
    assert not {"zswap", "cache"} & counters.keys()


def test_memory_of_version_1_is_the_kernels() -> None:
    shown = stats._memory(USED, 1)
    assert shown["stats"] == USED["memory"]["stat"]
    assert shown["max_usage"] == 200


def test_version_2_has_no_counts_of_block_operations() -> None:
    assert stats._block(USED, 2)["io_serviced_recursive"] is None
    first = stats._block(USED, 1)["io_serviced_recursive"]
    assert first == [{"major": 8, "minor": 0, "op": "read", "value": 1}]


@pytest.mark.parametrize(
    ("lacking", "unified", "warnings"),
    [
        (set(), False, []),
        ({"OomKillDisable"}, True, []),
        ({"OomKillDisable"}, False, ["WARNING: No oom kill disable support"]),
        (
            {"MemorySwap", "Memory"},
            True,
            [
                "WARNING: No memory limit support",
                "WARNING: No swap limit support",
            ],
        ),
        (
            {"CpuQuota"},
            False,
            [
                "WARNING: No cpu cfs period support",
                "WARNING: No cpu cfs quota support",
            ],
        ),
    ],
)
def test_info_names_the_limits_that_a_host_lacks(
    lacking: set[str], unified: bool, warnings: list[str]
) -> None:
    fields, said = overview._limits(lacking, unified=unified)
    assert said == warnings
    assert fields["MemoryLimit"] == ("Memory" not in lacking)
    assert fields["CpuCfsQuota"] == ("CpuQuota" not in lacking)
