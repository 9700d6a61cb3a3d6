"""Records what a Docker Engine says in the conversations of `tests/integration/conversations`.

Run it by hand: ``python -m tests.support.record_conversations /var/run/docker.sock [NAME]``; the
image busybox must be there. Conversations whose lines have not changed since they were recorded are
left out unless a part of their name is given. Each one is played three times: what differs between
the times would make a test that fails now and then, so it is shown and not recorded.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.conversation import Conversation, Player, conversations
from tests.support.event_record import EventRecord
from tests.support.wire_client import WireClient

FILE = Path(__file__).parents[1] / "integration" / "recorded_conversations.json"
_TIMES = 3
_AT_ONCE = 4

Record = dict[str, Any]


def load() -> dict[str, Record]:
    """Return what was recorded, by the conversation's name."""
    if not FILE.exists():
        return {}
    found: dict[str, Record] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def lines_of(record: Record) -> tuple[str, ...]:
    """Return the lines that were said when a record was made."""
    return tuple(entry["do"] for entry in record["said"])


def save(records: dict[str, Record]) -> None:
    """Write the records: one line for each thing that was said."""
    parts = []
    for name, record in records.items():
        said = ",\n".join("   " + json.dumps(entry) for entry in record["said"])
        events = ",\n".join("   " + json.dumps(entry) for entry in record["events"])
        parts.append(
            f' {json.dumps(name)}: {{\n  "said": [\n{said}\n  ],\n  "events": [\n{events}\n  ]\n }}'
        )
    FILE.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def play(path: str, events: EventRecord, conversation: Conversation) -> Record:
    """Play a conversation with the engine at a socket."""
    return dict(Player(WireClient(path), events, conversation).play())


def _same_each_time(path: str, events: EventRecord, conversation: Conversation) -> Record | None:
    try:
        records = [play(path, events, conversation) for _ in range(_TIMES)]
    except (AssertionError, KeyError, OSError) as error:
        sys.stderr.write(f"{conversation.name}: {error!r}\n")
        return None
    for record in records[1:]:
        if record != records[0]:
            _report(conversation, records[0], record)
            return None
    return records[0]


def _report(conversation: Conversation, first: Record, other: Record) -> None:
    out = sys.stderr.write
    out(f"{conversation.name}: not the same each time\n")
    for one, two in zip(first["said"], other["said"], strict=True):
        if one != two:
            out(f"  {one['do']}\n    {one['says']}\n    {two['says']}\n")
    if first["events"] != other["events"]:
        out(f"  events\n    {first['events']}\n    {other['events']}\n")


def main() -> int:
    """Record what is missing; returns the number of conversations that could not be recorded."""
    path, part = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    known = load()
    every = conversations()
    wanted = [
        conversation
        for conversation in every
        if (part is not None and part in conversation.name)
        or conversation.name not in known
        or lines_of(known[conversation.name]) != conversation.lines
    ]
    with EventRecord(path) as events, ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda each: _same_each_time(path, events, each), wanted))
    for conversation, record in zip(wanted, found, strict=True):
        known.pop(conversation.name, None)
        if record is not None:
            known[conversation.name] = record
    save({each.name: known[each.name] for each in every if each.name in known})
    return found.count(None)


if __name__ == "__main__":
    sys.exit(main())
