"""Conversations with a Docker Engine, repeated with Shoal: the same answers, the same events.

What Docker said was recorded by `tests.support.record_conversations`. All conversations are held at
the same time with one engine; a test compares one of them. What Shoal says on purpose is below.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support.conversation import Conversation, conversations
from tests.support.engine_process import EngineProcess
from tests.support.event_record import EventRecord
from tests.support.record_conversations import Record, lines_of, load, play

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

_AT_ONCE = 8
_EVERY = conversations()
_RECORDED = load()

_NOT_CONNECTED = "a container that was not connected is not disconnected"
_OWN_PATHS = "Shoal tells no client where on the host the files of its containers are"

DIFFERENCES: dict[tuple[str, str], tuple[object, str]] = {
    ("a working directory below a file", "create c"): (
        [500, {"message": "Cannot mkdir: /etc/passwd/x is not a directory"}],
        _OWN_PATHS,
    ),
    ("a volume over a file of the image", 'create c {"Cmd":["true"],"Volumes'): (
        [
            500,
            {"message": "cannot mount volume over existing file, file exists /etc/passwd"},
        ],
        _OWN_PATHS,
    ),
    ("a volume over a file of the image", 'create c {"Cmd":["true"],"HostConfig'): (
        [500, {"message": "source /etc/passwd is not directory"}],
        _OWN_PATHS,
    ),
    ("what a container says while it waits for its restart", "POST /containers/<c>/resize"): (
        [409, {"message": "container <c.id> is not running"}],
        "Shoal has no other engine below whose words it could repeat",
    ),
    ("a host port that is taken", "events"): (
        [
            "container c create",
            "container d create",
            "network bridge connect container=<c.id> type=bridge",
            "container c start",
            "container c kill signal=9",
            "network bridge disconnect container=<c.id> type=bridge",
            "container c die exitCode=137",
            "container c destroy",
            "network bridge connect container=<d.id> type=bridge",
            "container d start",
            "container d kill signal=9",
            "network bridge disconnect container=<d.id> type=bridge",
            "container d die exitCode=137",
            "container d destroy",
        ],
        _NOT_CONNECTED,
    ),
}
"""By conversation and beginning of a line (or ``events``): what Shoal says instead, and why."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Record | Exception]]:
    """Hold all conversations with one engine; what went wrong is kept for its own test."""
    engine = EngineProcess(tmp_path_factory.mktemp("conversations")).start()
    engine.load_busybox()

    def attempt(conversation: Conversation) -> Record | Exception:
        try:
            return play(engine.socket_path, events, conversation)
        except (AssertionError, LookupError, OSError, ValueError) as error:
            return error

    with EventRecord(engine.socket_path) as events, ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(attempt, _EVERY)
        yield dict(zip((each.name for each in _EVERY), found, strict=True))
    engine.close()


@pytest.mark.parametrize("conversation", _EVERY, ids=lambda each: str(each.name))
def test_a_conversation_is_docker_s(
    played: dict[str, Record | Exception], conversation: Conversation
) -> None:
    recorded = _RECORDED[conversation.name]
    assert lines_of(recorded) == conversation.lines, "record it again"
    found = played[conversation.name]
    if isinstance(found, Exception):
        raise found
    differences = _differences(conversation.name, recorded, found)
    assert not differences, "\n".join(["", *differences])


def _differences(name: str, docker: Record, shoal: Record) -> list[str]:
    pairs = zip(docker["said"], shoal["said"], strict=True)
    compared = [(one["do"], one["says"], two["says"]) for one, two in pairs]
    compared.append(("events", docker["events"], shoal["events"]))
    return [
        f"{line}\n  Docker: {expected}\n  Shoal:  {said}"
        for line, expected, said in compared
        if said != _expected(name, line, expected)
    ]


def _expected(name: str, line: str, docker: object) -> object:
    for (conversation, begin), (instead, _reason) in DIFFERENCES.items():
        if conversation == name and line.startswith(begin):
            return instead
    return docker


def test_differences_are_still_differences() -> None:
    for (name, begin), (instead, reason) in DIFFERENCES.items():
        record = _RECORDED[name]
        said = {entry["do"]: entry["says"] for entry in record["said"]}
        said["events"] = record["events"]
        matching = [answer for line, answer in said.items() if line.startswith(begin)]
        assert len(matching) == 1, (name, begin)
        assert matching[0] != instead, (name, begin)
        assert reason
