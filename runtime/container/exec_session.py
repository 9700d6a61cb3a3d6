"""`ExecSession`: the record of one exec, and what ``GET /exec/{id}/json`` shows of it."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

from runtime.container import shapes
from runtime.container.attach import parse_detach_keys
from runtime.container.document import flag, text, texts
from runtime.container.shapes import (
    Member,
    Structure,
    flag_member,
    text_member,
    texts_member,
)
from runtime.errors import EngineError, InvalidArgument
from runtime.record import field, mutable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.container.container import Container
    from runtime.container.task import Task

JsonObject = dict[str, object]

BODY = Structure(
    "container.ExecOptions",
    [
        text_member("User"),
        flag_member("Privileged"),
        flag_member("Tty"),
        Member("ConsoleSize", shapes.pair_of(shapes.integer_of("uint"), "[2]uint"), shapes.nothing),
        flag_member("AttachStdin"),
        flag_member("AttachStderr"),
        flag_member("AttachStdout"),
        text_member("DetachKeys"),
        texts_member("Env"),
        text_member("WorkingDir"),
        texts_member("Cmd"),
    ],
    "ExecOptions",
)


@mutable
class ExecSession:
    """A process beside a container's own.

    Attributes:
        body: the create request, complete.
        started: it was started, or is being started.
        exit_code: None until it ended.
    """

    id: str
    container: Container
    body: JsonObject
    detach_keys: bytes = b""
    started: bool = False
    running: bool = False
    exit_code: int | None = None
    pid: int = 0
    task: Task | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """It runs, has run, or could not be started."""

    @property
    def command(self) -> list[str]:
        """The program and its arguments."""
        return texts(self.body, "Cmd")

    @property
    def tty(self) -> bool:
        """Whether it has a terminal of its own."""
        return flag(self.body, "Tty")

    def _own_detach_keys(self) -> bytes:
        return self.detach_keys if text(self.body, "DetachKeys") else b""

    @property
    def event_command(self) -> str:
        """The command as it stands in events: joined by blanks, one after the program."""
        command = self.command
        return f"{command[0]} {' '.join(command[1:])}"

    def to_document(self) -> JsonObject:
        """Return what the store keeps, so that a later engine knows the exec."""
        return {"container": self.container.id, "body": self.body}

    def view(self) -> JsonObject:
        """Return the body of ``GET /exec/{id}/json``."""
        process: JsonObject = {
            "tty": self.tty,
            "entrypoint": self.command[0],
            "arguments": self.command[1:],
            "privileged": flag(self.body, "Privileged"),
        }
        if text(self.body, "User"):
            process["user"] = text(self.body, "User")
        return {
            "ID": self.id,
            "Running": self.running,
            "ExitCode": self.exit_code,
            "ProcessConfig": process,
            "OpenStdin": flag(self.body, "AttachStdin"),
            "OpenStderr": flag(self.body, "AttachStderr"),
            "OpenStdout": flag(self.body, "AttachStdout"),
            "CanRemove": False,
            "ContainerID": self.container.id,
            "DetachKeys": base64.b64encode(self._own_detach_keys()).decode(),
            "Pid": self.pid,
        }


def read_exec_request(body: Mapping[str, object]) -> tuple[JsonObject, bytes]:
    """Return the complete body of ``POST /containers/{id}/exec`` and its detach keys.

    Raises:
        InvalidArgument: there is no command, or a field has the wrong type.
        EngineError: the keys are none.
    """
    complete = BODY(dict(body))
    if not texts(complete, "Cmd"):
        raise InvalidArgument("No exec command specified")
    keys = text(complete, "DetachKeys")
    try:
        return complete, parse_detach_keys(keys)
    except InvalidArgument as error:
        raise EngineError(f"Invalid escape keys ({keys}) provided") from error
