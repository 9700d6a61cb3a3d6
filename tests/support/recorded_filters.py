"""What `tests.support.record_seccomp_filters` recorded of Docker's system call filters."""

from __future__ import annotations

import base64
import json
import zlib
from functools import cache
from pathlib import Path

FILE = Path(__file__).parents[1] / "unit" / "runtime" / "container" / "seccomp_filters.json"

JsonObject = dict[str, object]


@cache
def recorded() -> dict[str, dict[str, JsonObject]]:
    """Return the observations by group and case."""
    document = json.loads(FILE.read_text(encoding="utf-8"))
    return {group: cases for group, cases in document.items() if isinstance(cases, dict)}


@cache
def available() -> int:
    """Return the capabilities that the recorded engine could give."""
    return int(json.loads(FILE.read_text(encoding="utf-8"))["available"], 16)


def program(group: str, case: str) -> bytes | None:
    """Return Docker's filter, b"" for none, None where the container did not start."""
    packed = recorded()[group][case].get("filter")
    return zlib.decompress(base64.b85decode(packed)) if isinstance(packed, str) else None
