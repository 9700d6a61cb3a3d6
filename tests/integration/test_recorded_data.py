"""What Docker Engine 28.5 did with the files, changes and lists of containers, Shoal does too.

The cases are asked of both in the same way (`tests.support.record_data`); each difference that
stays has its reason here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.data_image import load_image
from tests.support.engine_process import EngineProcess
from tests.support.record_data import GROUPS, recorded
from tests.support.talker import Talker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.talker import Value

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

DIFFERENCES = {
    "reads": {
        r"(GET|HEAD) /data$": "directories that fill a volume keep their times",
        r"(GET|HEAD) /tmpfs$": "a tmpfs stays open to all when its container starts again",
    },
    "writes": {
        r"anonymous volume$": "directories that fill a volume keep their times",
        r"half a tar$": "a file is private until it is complete",
        r"up from what is missing$": "what a link leads through is made",
        r": xz$": "the recorded engine had no xz program",
    },
    "changes": {
        r"export$": "a tmpfs stays open to all when its container starts again",
    },
    "commits": {
        r"cmd empty$": "CMD without words is no command, rather than a shell without a script",
    },
}


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talker]:
    """One engine that has the image of the cases."""
    engine = EngineProcess(tmp_path_factory.mktemp("data"), pool="base=10.219.0.0/16,size=24")
    engine.start()
    try:
        client = Talker(engine.socket_path)
        load_image(client)
        yield client
    finally:
        engine.close()


@pytest.mark.parametrize("group", GROUPS)
def test_shoal_does_what_docker_did(group: str, talker: Talker, tmp_path: Path) -> None:
    expected, found = recorded(group), GROUPS[group](talker, tmp_path)
    assert found.keys() == expected.keys()
    reasons = DIFFERENCES.get(group, {})
    used: set[str] = set()
    wrong: dict[str, tuple[Value, Value]] = {}
    for name, value in expected.items():
        if found[name] == value:
            continue
        reason = next((pattern for pattern in reasons if re.search(pattern, name)), None)
        if reason is None:
            wrong[name] = value, found[name]
        else:
            used.add(reason)
    assert not wrong, f"(Docker's, Shoal's): {wrong}"
    assert used == set(reasons), "a difference is gone: take its reason out"
