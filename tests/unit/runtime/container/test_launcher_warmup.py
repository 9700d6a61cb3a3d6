"""What a launcher does for the memory of its shims before it has any."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from runtime.container.launcher_warmup import fill_pools
scattered = [bytes(450) for _ in range(400)]
del scattered[::4]  # eight holes in a pool of 33
if sys.argv[2] == "filled":
    fill_pools()
print(len({id(thing) // 16384 for thing in [bytes(450) for _ in range(60)]}))
"""


def pools_of_sixty(how: str) -> int:
    """Return in how many pools sixty new objects lie, in an interpreter like a launcher's."""
    command = [sys.executable, "-I", "-S", "-c", SCRIPT, str(ROOT), how]
    return int(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


def test_what_is_made_after_the_pools_are_filled_lies_side_by_side() -> None:
    assert pools_of_sixty("filled") <= 3


def test_what_is_made_among_holes_is_scattered() -> None:
    assert pools_of_sixty("as they are") > 6
