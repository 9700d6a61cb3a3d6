"""Wait for a condition with a generous limit, instead of sleeping."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")
LIMIT = 600.0 if "SHOAL_IN_MACHINE" in os.environ else 60.0
"""Seconds; far more than anything takes on a loaded machine, or inside an emulated one."""


def eventually(
    condition: Callable[[], Value],
    otherwise: Callable[[], str] = lambda: "the condition did not come true",
    limit: float = LIMIT,
) -> Value:
    """Return the first true value of a condition.

    Args:
        condition: is asked again every 20 ms.
        otherwise: says what is wrong when it does not come true.
        limit: seconds to wait at most.

    Raises:
        AssertionError: the condition did not come true in time.
    """
    end = time.monotonic() + limit
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(otherwise())
        select.select([], [], [], 0.02)
    return value
