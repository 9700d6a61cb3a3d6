"""Markers of the suite: what the machine cannot run is skipped, with the reason.

With SHOAL_TEST_RESULTS=FILE each test's outcome is appended to the file, a JSON object a line;
COMPATIBILITY.md is generated from it (tests/support/compatibility.py).
"""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, settings

from tests.support.machine import obstacle

# A loaded machine must not fail a property: no example has a deadline.
settings.register_profile(
    "shoal", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("shoal")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs root and namespaces where there are none."""
    del config
    needing = [item for item in items if item.get_closest_marker("root") is not None]
    reason = obstacle() if needing else None
    if reason is not None:
        for item in needing:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Append a test's outcome to the file of results."""
    path = os.environ.get("SHOAL_TEST_RESULTS")
    if not path or "PYTEST_XDIST_WORKER" in os.environ:
        return
    if report.when == "call" or report.outcome != "passed":
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"test": report.nodeid, "outcome": report.outcome}) + "\n")
