"""Markers of the suite: what the machine cannot run is skipped, with the reason.

With SHOAL_TEST_RESULTS=FILE each test's outcome is appended to the file, a JSON object a line;
COMPATIBILITY.md is generated from it (tests/support/compatibility.py).
"""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, settings

# A loaded machine must not fail a property: no example has a deadline.
settings.register_profile(
    "shoal", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("shoal")


def _missing_for_root() -> str | None:
    """Say why tests that make containers cannot run here, or None when they can."""
    if os.geteuid() != 0:
        return "needs root: run tests/run.sh as root"
    if not os.path.exists("/proc/self/ns/net"):
        return "the kernel has no network namespaces"
    with open("/proc/filesystems", encoding="ascii") as file:
        if "overlay" not in file.read() and os.system("modprobe -q overlay") != 0:
            return "the kernel has no overlayfs: load the module 'overlay'"
    return _missing_namespaces()


def _missing_namespaces() -> str | None:
    pid = os.fork()
    if pid == 0:
        os.execvp("unshare", ["unshare", "--mount", "--net", "--pid", "--fork", "true"])
    _, status = os.waitpid(pid, 0)
    if status != 0:
        return "the machine forbids new namespaces (unshare failed): needs CAP_SYS_ADMIN"
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs root and namespaces where there are none."""
    del config
    needing = [item for item in items if item.get_closest_marker("root") is not None]
    reason = _missing_for_root() if needing else None
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
