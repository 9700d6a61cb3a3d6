"""Conversations with an engine: written as text, played, and what the engine said to each line.

A file of `tests/integration/conversations` holds some; one begins with ``== its name``. Its lines:

====================================  ==========================================================
``create C {...}``                    a container of busybox without network; C stands for it
``POST /containers/<C>/start {...}``  any request; the body may be left out
``put C PATH MODE TEXT``              a file by ``PUT archive``; TEXT as a JSON string
``state C``                           State and RestartCount of inspect
``show C A.B ...``                    members of inspect
``until C A.B=VALUE``                 waits until inspect says so; says nothing
``until-log C TEXT [N]``              waits until the log contains a word (N times)
``until-event C ACTION [N]``          waits for the N-th event that begins so
``exec E C {...}``                    creates an exec; E stands for it
``exec-start E {...}``                starts it and says what its stream carried
``begin L METHOD TARGET {...}``       sends a request and says the head of the answer
``send L TEXT``, ``shut L``           writes to its connection (JSON string), half-closes it
``end L``                             reads the rest of the answer
``later METHOD TARGET``               a request of the end, to remove what was made
====================================  ==========================================================

``<C>`` is the name of a container in a request and in what is said; ``<C.id>`` and ``<C.short>``
are its id. What differs from run to run (times, process ids) is replaced. At last comes what the
engine's event stream told of the conversation's containers.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import socket
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.eventually import eventually
from tests.support.wire_client import MULTIPLEXED, Answer, WireClient, streams_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.event_record import EventRecord

DIRECTORY = Path(__file__).parents[1] / "integration" / "conversations"
PREFIX = "lifecycle-"
_LIMIT = 120.0
_TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_NEVER = "0001-01-01T00:00:00Z"
_FRAME = re.compile(rb"[\1\2]\0\0\0")
_DIGESTS = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b")


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is said to an engine, line by line."""

    name: str
    lines: tuple[str, ...]


def conversations() -> list[Conversation]:
    """Return all conversations of the repository, in the order of files and lines."""
    found = []
    for path in sorted(DIRECTORY.glob("*.txt")):
        for text in re.split(r"^== ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            name, _, rest = text.partition("\n")
            lines = (line.strip() for line in rest.splitlines())
            kept = tuple(line for line in lines if line and not line.startswith("#"))
            found.append(Conversation(name.strip(), kept))
    return found


@dataclass(slots=True)
class Player:
    """Plays one conversation.

    Attributes:
        ids: ids by the word that stands for them.
        names: names of containers, likewise.
    """

    client: WireClient
    events: EventRecord
    conversation: Conversation
    ids: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    execs: dict[str, str] = field(default_factory=dict)
    _later: list[str] = field(default_factory=list)
    _open: dict[str, Answer] = field(default_factory=dict)

    def play(self) -> dict[str, object]:
        """Say every line; returns the answers and the events, and removes what was made."""
        try:
            said = [{"do": line, "says": self._do(line)} for line in self.conversation.lines]
            self.events.catch_up(self.client)
            return {"said": said, "events": self._events()}
        finally:
            self._clean()

    def _do(self, line: str) -> object:
        word, *rest = line.split(None, 1)
        verb = _VERBS.get(word)
        if verb is None:
            return self._request(line)
        return verb(self, rest[0] if rest else "")

    def _clean(self) -> None:
        for answer in self._open.values():
            answer.sock.close()
        for identifier in self.ids.values():
            self.client.call("DELETE", f"/containers/{identifier}?force=1&v=1")
        for line in self._later:
            self._request(line)

    # -- verbs -------------------------------------------------------------------------------------

    def create(self, text: str) -> object:
        """``create C {...}``."""
        word, body = _word_and_json(text)
        slug = re.sub(r"[^a-z0-9]+", "-", self.conversation.name.lower())
        name = f"{PREFIX}{slug}-{word}"
        request: dict[str, Any] = {"Image": "busybox", **self._filled(body)}
        request["HostConfig"] = {"NetworkMode": "none", **request.get("HostConfig", {})}
        self.names[word] = name
        status, answer = self.client.call("POST", f"/containers/create?name={name}", request)
        if status == 201:
            self.ids[word] = json.loads(answer)["Id"]
        return [status, self._shown(answer)]

    def put(self, text: str) -> object:
        """``put C PATH MODE TEXT``."""
        word, path, mode, content = text.split(None, 3)
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            info = tarfile.TarInfo(path.lstrip("/"))
            data = json.loads(content).encode("latin-1")
            info.size, info.mode = len(data), int(mode, 8)
            tar.addfile(info, io.BytesIO(data))
        target = f"/containers/{self.ids[word]}/archive?path=/"
        status, answer = self.client.call("PUT", target, file.getvalue())
        return [status, self._shown(answer)]

    def state(self, word: str) -> object:
        """``state C``."""
        document = self._inspect(word)
        if "State" not in document:
            return document
        return {**document["State"], "RestartCount": document["RestartCount"]}

    def show(self, text: str) -> object:
        """``show C A.B ...``."""
        word, *paths = text.split()
        document = self._inspect(word)
        return {path: _member(document, path) for path in paths}

    def until(self, text: str) -> None:
        """``until C A.B=VALUE``."""
        word, condition = text.split(None, 1)
        path, _, wanted = condition.partition("=")
        self._wait(
            lambda: str(_member(self._inspect(word), path)) == wanted,
            lambda: f"{text}: {self.state(word)}",
        )

    def until_log(self, text: str) -> None:
        """``until-log C TEXT [N]``."""
        word, wanted, *times = text.split()
        count = int(times[0]) if times else 1
        self._wait(
            lambda: self._log(word).count(wanted.encode()) >= count,
            lambda: f"{text}: {self._log(word)!r}",
        )

    def until_event(self, text: str) -> None:
        """``until-event C ACTION [N]``."""
        word, action, *times = text.split()
        count = int(times[0]) if times else 1
        self._wait(
            lambda: self.events.count(self.ids[word], action) >= count,
            lambda: f"{text}: {self._events()}",
        )

    def exec(self, text: str) -> object:
        """``exec E C {...}``."""
        name, word, *body = text.split(None, 2)
        request = self._filled(json.loads(body[0])) if body else None
        target = f"/containers/{self.names.get(word, self._named(word))}/exec"
        status, answer = self.client.call("POST", target, request)
        if status == 201:
            self.execs[name] = json.loads(answer)["Id"]
        return [status, self._shown(answer)]

    def exec_start(self, text: str) -> object:
        """``exec-start E {...}``."""
        name, body = _word_and_json(text)
        answer = self.client.send("POST", f"/exec/{self.execs.get(name, name)}/start", body)
        return self._whole(answer)

    def begin(self, text: str) -> object:
        """``begin L METHOD TARGET {...}``."""
        label, method, target, *body = text.split(None, 3)
        request = self._filled(json.loads(body[0])) if body else None
        upgrade = "/attach" in target or target.startswith("/exec")
        answer = self.client.send(method, self._named(target), request, upgrade=upgrade)
        if answer.status >= 400:
            return self._whole(answer)
        self._open[label] = answer
        return answer.status

    def send(self, text: str) -> None:
        """``send L TEXT``."""
        label, content = text.split(None, 1)
        self._open[label].sock.sendall(json.loads(content).encode("latin-1"))

    def shut(self, label: str) -> None:
        """``shut L``."""
        self._open[label].sock.shutdown(socket.SHUT_WR)

    def end(self, label: str) -> object:
        """``end L``."""
        return self._whole(self._open.pop(label))[1]

    def later(self, line: str) -> None:
        """``later METHOD TARGET``."""
        self._later.append(line)

    def _request(self, line: str) -> object:
        method, target, *body = line.split(None, 2)
        request = self._filled(json.loads(body[0])) if body else None
        return self._whole(self.client.send(method, self._named(target), request))

    # -- what is said ------------------------------------------------------------------------------

    def _whole(self, answer: Answer) -> list[object]:
        data = answer.read()
        if MULTIPLEXED in answer.headers.get("content-type", "") or _FRAME.match(data):
            return [answer.status, self._normal(streams_of(data))]
        return [answer.status, self._shown(data)]

    def _shown(self, data: bytes) -> object:
        try:
            return self._normal(json.loads(data)) if data else None
        except ValueError:
            return self._normal(data.decode("utf-8", "replace"))

    def _normal(self, value: object) -> object:
        if isinstance(value, dict):
            return {key: self._member(key, entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self._normal(entry) for entry in value]
        return self._replaced(value) if isinstance(value, str) else value

    def _member(self, key: str, value: object) -> object:
        if key == "Pid" and isinstance(value, int):
            return "<pid>" if value else 0
        return self._normal(value)

    def _replaced(self, text: str) -> str:
        for word, identifier in {**self.ids, **self.execs}.items():
            text = text.replace(identifier, f"<{word}.id>")
            text = text.replace(identifier[:12], f"<{word}.short>")
        for word, name in sorted(self.names.items(), key=lambda entry: -len(entry[1])):
            text = text.replace(name, f"<{word}>")
        text = _DIGESTS.sub("<digest>", text)
        return _TIMES.sub(lambda found: _NEVER if found[0] == _NEVER else "<time>", text)

    def _events(self) -> list[str]:
        told = [
            self._event(event)
            for event in self.events.about(set(self.ids.values()))
            if not self._of_probe(event)
        ]
        for index, (one, two) in enumerate(itertools.pairwise(told)):
            if " die" in one and two.endswith(" stop"):  # Docker tells them in either order
                told[index : index + 2] = two, one
        return told

    def _of_probe(self, event: Mapping[str, Any]) -> bool:
        """Tell whether an event is about an exec that no client made: how many come is chance."""
        return event["Actor"]["Attributes"].get("execID", "") not in {"", *self.execs.values()}

    def _event(self, event: Mapping[str, Any]) -> str:
        attributes = dict(event["Actor"]["Attributes"])
        for name in ("execDuration", "image"):
            attributes.pop(name, None)
        subject = event["Actor"]["ID"]
        if event["Type"] == "network":
            subject = attributes.pop("name")
        for word, identifier in self.ids.items():
            if subject == identifier:
                subject = word
                if attributes.get("name") == self.names[word]:
                    del attributes["name"]
        for key in event.get("labels", ()):
            attributes.pop(key, None)
        words = [f"{key}={value}" for key, value in sorted(attributes.items())]
        return self._replaced(" ".join([event["Type"], subject, event["Action"].strip(), *words]))

    # -- helpers -----------------------------------------------------------------------------------

    def _named(self, text: str) -> str:
        for word, name in self.names.items():
            text = text.replace(f"<{word}>", name)
        for word, identifier in {**self.ids, **self.execs}.items():
            text = text.replace(f"<{word}.id>", identifier)
            text = text.replace(f"<{word}.short>", identifier[:12])
        return text

    def _filled(self, body: Any) -> Any:
        return json.loads(self._named(json.dumps(body)))

    def _inspect(self, word: str) -> dict[str, Any]:
        reference = self.ids.get(word, self.names[word])
        _, answer = self.client.call("GET", f"/containers/{reference}/json")
        document = self._shown(answer)
        assert isinstance(document, dict), answer
        return document

    def _log(self, word: str) -> bytes:
        target = f"/containers/{self.ids[word]}/logs?stdout=1&stderr=1"
        return self.client.call("GET", target)[1]

    @staticmethod
    def _wait(condition: Callable[[], bool], otherwise: Callable[[], str]) -> None:
        eventually(condition, otherwise, _LIMIT)


_VERBS: dict[str, Callable[[Player, str], object]] = {
    "create": Player.create,
    "put": Player.put,
    "state": Player.state,
    "show": Player.show,
    "until": Player.until,
    "until-log": Player.until_log,
    "until-event": Player.until_event,
    "exec": Player.exec,
    "exec-start": Player.exec_start,
    "begin": Player.begin,
    "send": Player.send,
    "shut": Player.shut,
    "end": Player.end,
    "later": Player.later,
}


def _word_and_json(text: str) -> tuple[str, Any]:
    word, *body = text.split(None, 1)
    return word, json.loads(body[0]) if body else {}


def _member(document: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(document, list):
            document = document[int(name)] if len(document) > int(name) else None
        else:
            document = document.get(name) if isinstance(document, dict) else None
    return document


def iterate(found: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield what was said in a played conversation as (line, answer), and the events at last."""
    for entry in found["said"]:
        yield entry["do"], entry["says"]
    yield "events", found["events"]
