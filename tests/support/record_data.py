"""Records what a Docker Engine does with the files of containers, as data for `tests/integration`.

Run it by hand: ``python -m tests.support.record_data SOCKET WORK [GROUP...]``, as root. WORK is a
directory that the engine sees under the same name. Everything that is made is named ``data-...``
and removed again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import data_changes, data_copies, data_events, data_lists
from tests.support.data_image import IMAGE, load_image
from tests.support.talker import Talker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.talker import Value

DIRECTORY = Path(__file__).parents[1] / "integration" / "recorded"
GROUPS: dict[str, Callable[[Talker, Path], dict[str, Value]]] = {
    "reads": data_copies.record_reads,
    "writes": data_copies.record_writes,
    "changes": data_changes.record_changes,
    "commits": data_changes.record_commits,
    "lists": data_lists.record_lists,
    "events": data_events.record_events,
}


def recorded(group: str) -> dict[str, Value]:
    """Return what a Docker Engine did in the cases of a group."""
    document: dict[str, Value] = json.loads((DIRECTORY / f"{group}.json").read_text("utf-8"))
    return document


def main(arguments: list[str]) -> int:
    """Record the named groups, or all."""
    talker = Talker(arguments[0])
    work = Path(arguments[1])
    target = Path(arguments[2]) if len(arguments) > 2 and "/" in arguments[2] else DIRECTORY
    chosen = [word for word in arguments[2:] if "/" not in word] or list(GROUPS)
    target.mkdir(parents=True, exist_ok=True)
    load_image(talker)
    try:
        for group in chosen:
            document = GROUPS[group](talker, work)
            text = json.dumps(document, indent=0, ensure_ascii=False, sort_keys=True)
            (target / f"{group}.json").write_text(text + "\n", "utf-8")
    finally:
        talker.ask("DELETE", f"/images/{IMAGE}", {"force": 1})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
