"""How much of the build cache a prune leaves."""

from __future__ import annotations

import pytest

from runtime.build.options import CacheLimits


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (CacheLimits(), 0),
        (CacheLimits(reserved=30), 30),
        (CacheLimits(reserved=300), 300),
        (CacheLimits(most=30), 30),
        (CacheLimits(most=300), 100),
        (CacheLimits(most=30, reserved=40), 40),
        (CacheLimits(free=50), 100),
        (CacheLimits(free=70), 80),
        (CacheLimits(free=700), 0),
        (CacheLimits(free=700, reserved=10), 10),
        (CacheLimits(free=70, most=30), 30),
        (CacheLimits(free=70, most=90), 80),
    ],
)
def test_what_stays_of_a_hundred_bytes_when_fifty_are_free(limits: CacheLimits, kept: int) -> None:
    assert limits.kept(100, 50) == kept
