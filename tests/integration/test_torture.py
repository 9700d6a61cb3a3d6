"""Some minutes of the torture test: random operations while everything is being killed.

SHOAL_TORTURE_MINUTES says how many (3); `tests/torture.sh --minutes N` plays as many as wanted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MINUTES = os.environ.get("SHOAL_TORTURE_MINUTES", "3")

pytestmark = [pytest.mark.root, pytest.mark.timeout(float(MINUTES) * 60 + 1200)]


def test_every_invariant_holds_after_every_round(tmp_path: Path) -> None:
    played = subprocess.run(
        [
            *(sys.executable, "-m", "tests.torture.run"),
            *("--minutes", MINUTES, "--work", str(tmp_path / "torture")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout[-8000:] + played.stderr[-2000:]
    last = re.fullmatch(r"(\d+) passed, 0 failed \(seed \d+\)", played.stdout.splitlines()[-1])
    assert last is not None
    assert int(last[1]) > 0
