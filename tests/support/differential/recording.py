"""What Docker did, as a file: the first case whole, the others by what differs from it.

Of a container's later states only what differs from the inspect document of the created one is
written down.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Table = dict[str, object]

FILE = Path(__file__).with_name("recorded.json")
_FIRST = "created."
_LATER = ("running.", "exited.", "failed.")


def write(tables: Mapping[str, Table], images: Mapping[str, object]) -> None:
    """Write the tables of all cases, by name, and the configurations of images."""
    cases: dict[str, object] = {}
    base: Table = {}
    for name, own in tables.items():
        cases[name] = _encode(own, base)
        base = base or own
    text = json.dumps({"images": images, "cases": cases}, indent=0, ensure_ascii=False)
    FILE.write_text(text + "\n", encoding="utf-8")


def read() -> tuple[dict[str, Table], dict[str, object]]:
    """Return the tables of all cases, by name, and the configurations of images."""
    document = json.loads(FILE.read_text(encoding="utf-8"))
    tables: dict[str, Table] = {}
    base: Table = {}
    for name, entry in document["cases"].items():
        tables[name] = _decode(entry, base)
        base = base or tables[name]
    return tables, document["images"]


def _encode(own: Table, base: Table) -> dict[str, object]:
    states = [state for state in _LATER if any(key.startswith(state) for key in own)]
    usual = _usual(own, base, states)
    return {
        "states": states,
        "differs": {key: own[key] for key in own if key not in usual or usual[key] != own[key]},
        "absent": _shorten([key for key in usual if key not in own], own),
    }


def _shorten(absent: list[str], own: Table) -> list[str]:
    """Name a part that is missing as a whole by the part alone, such as ``probe.``."""
    present = {key.partition(".")[0] for key in own}
    parts = dict.fromkeys(key.partition(".")[0] for key in absent)
    whole = [f"{part}." for part in parts if part not in present]
    return whole + [key for key in absent if key.partition(".")[0] in present]


def _decode(entry: Mapping[str, dict[str, object]], base: Table) -> Table:
    differs, absent = entry["differs"], tuple(entry["absent"])
    whole, single = tuple(key for key in absent if key.endswith(".")), set(absent)

    def missing(key: str) -> bool:
        return key in single or f"{key}.".startswith(whole)

    early = {key: value for key, value in differs.items() if not key.startswith(_LATER)}
    created = {key: value for key, value in {**base, **early}.items() if not missing(key)}
    usual = _usual(created, base, list(entry["states"]))
    return {key: value for key, value in {**usual, **differs}.items() if not missing(key)}


def _usual(own: Table, base: Table, states: list[str]) -> Table:
    """Return what is expected of a case: the first one's table, and states as when created."""
    usual = {key: value for key, value in base.items() if not key.startswith(_LATER)}
    created = {key: value for key, value in own.items() if key.startswith(_FIRST)}
    for state in states:
        for key, value in created.items():
            usual[state + key.removeprefix(_FIRST)] = value
        for key, value in base.items():
            # What starting changes, it changes in every container.
            before = base.get(_FIRST + key.removeprefix(state))
            if key.startswith(state) and value != before and own.get(_same(key, state)) == before:
                usual[key] = value
    return usual


def _same(key: str, state: str) -> str:
    return _FIRST + key.removeprefix(state)
