"""What Docker did, as a file: the first case whole, the others by what differs from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Table = dict[str, object]

FILE = Path(__file__).with_name("recorded.json")
_ABSENT = "absent"


def write(tables: Mapping[str, Table], images: Mapping[str, object]) -> None:
    """Write the tables of all cases, by name, and the configurations of images."""
    first = next(iter(tables))
    base = tables[first]
    document = {
        "images": images,
        "cases": {
            name: _encode(own, {} if name == first else base) for name, own in tables.items()
        },
    }
    text = json.dumps(document, indent=0, ensure_ascii=False)
    FILE.write_text(text + "\n", encoding="utf-8")


def read() -> tuple[dict[str, Table], dict[str, object]]:
    """Return the tables of all cases, by name, and the configurations of images."""
    document = json.loads(FILE.read_text(encoding="utf-8"))
    tables: dict[str, Table] = {}
    base: Table = {}
    for name, entry in document["cases"].items():
        tables[name] = {**base, **entry["differs"]}
        for key in entry.get(_ABSENT, ()):
            del tables[name][key]
        base = base or tables[name]
    return tables, document["images"]


def _encode(own: Table, base: Table) -> dict[str, object]:
    differs = {key: value for key, value in own.items() if key not in base or base[key] != value}
    absent = [key for key in base if key not in own]
    return {"differs": differs, **({_ABSENT: absent} if absent else {})}
