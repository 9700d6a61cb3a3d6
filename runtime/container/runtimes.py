"""Which OCI runtimes there are: the engine's own, configured ones, and well-known ones on PATH.

``HostConfig.Runtime`` names one of them. The engine's own is built in; any other is a program that
is run on the same bundle, and what is asked of its containers later is asked through it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from typing import TYPE_CHECKING

from runtime.config import RuntimeProgram
from runtime.container.external_runtime import STATE
from runtime.errors import EngineError, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.linux.resources import Resources

JsonObject = dict[str, object]

EMBEDDED = "shoal"
_EMBEDDED_TOO = frozenset({"", EMBEDDED, "io.containerd.runc.v2"})
WELL_KNOWN = ("crun", "runc", "runsc", "youki")
"""Programs that are runtimes by their own name wherever they are installed."""


class Runtimes:
    """The runtimes of one engine."""

    def __init__(self, configured: Mapping[str, RuntimeProgram], default: str) -> None:
        """Take what is configured.

        Raises:
            InvalidArgument: the default is none of the runtimes.
        """
        self._configured = dict(configured)
        self.default = default or EMBEDDED
        try:
            self.find(self.default)
        except InvalidArgument as error:
            raise InvalidArgument(
                f"specified default runtime '{self.default}' does not exist"
            ) from error

    def find(self, name: str) -> RuntimeProgram | None:
        """Return the program of a runtime, None for the engine's own.

        ``runc`` is Docker's name of its default: without such a program it is the engine's own.

        Raises:
            InvalidArgument: there is no such runtime.
        """
        if name in self._configured:
            return self._configured[name]
        if name in _EMBEDDED_TOO:
            return None
        path = shutil.which(name) if name in WELL_KNOWN else None
        if path is not None:
            return RuntimeProgram(path)
        if name == "runc":
            return None
        raise InvalidArgument(f"unknown or invalid runtime name: {name}")

    def view(self) -> JsonObject:
        """Return ``Runtimes`` of ``GET /info``."""
        found: JsonObject = {EMBEDDED: {"path": EMBEDDED}}
        for name in WELL_KNOWN:
            path = shutil.which(name)
            if path is not None:
                found[name] = {"path": path}
        for name, program in self._configured.items():
            found[name] = {"path": program.path}
            if program.arguments:
                found[name] = {"path": program.path, "runtimeArgs": list(program.arguments)}
        return found


class ExternalContainer:
    """What can be asked of a running container by way of its runtime."""

    def __init__(self, program: RuntimeProgram, identifier: str, directory: str) -> None:
        """Name the container: its id and the directory of its task."""
        self.program = program
        self._id = identifier
        self._state = os.path.join(directory, STATE)

    async def kill(self, number: int) -> bool:
        """Send a signal; False when there is no process (any more) that takes it."""
        try:
            await self._run("kill", self._id, str(number))
        except EngineError:
            return False
        return True

    async def pause(self) -> None:
        """Freeze all processes."""
        await self._run("pause", self._id)

    async def resume(self) -> None:
        """Thaw all processes."""
        await self._run("resume", self._id)

    async def update(self, resources: Resources) -> None:
        """Change limits (``linux.resources`` of the runtime specification)."""
        await self._run("update", "--resources", "-", self._id, given=json.dumps(resources))

    async def paused(self) -> bool:
        """Tell whether the container is frozen."""
        document = json.loads(await self._run("state", self._id))
        return isinstance(document, dict) and document.get("status") == "paused"

    async def delete(self) -> None:
        """Have the runtime forget the container, killing what is left; idempotent."""
        if self._known():
            await self._run("delete", "--force", self._id)

    def _known(self) -> bool:
        """Tell whether the runtime holds anything of the container."""
        return os.path.isdir(os.path.join(self._state, self._id))

    async def _run(self, *words: str, given: str = "") -> str:
        """Run the program and return its output.

        Raises:
            EngineError: it failed.
        """
        verb = words[0]
        log = ["--log", "/dev/stderr", "--log-format", "json"]
        try:
            process = await asyncio.create_subprocess_exec(
                self.program.path,
                *(*self.program.arguments, "--root", self._state, *log, *words),
                stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise EngineError(
                f"OCI runtime {verb} failed: fork/exec {self.program.path}: {error.strerror}"
            ) from error
        output, complaints = await process.communicate(given.encode() or None)
        if process.returncode:
            raise EngineError(
                f"OCI runtime {verb} failed: {message_of(complaints.decode(errors='replace'))}"
            )
        return output.decode(errors="replace")


def message_of(log: str) -> str:
    """Return the last message of a runtime's log in JSON, or the text when it is none.

    The log may be cut off at its beginning or at its end.
    """
    messages = _MESSAGE.findall(log)
    if messages:
        try:
            return str(json.loads(f'"{messages[-1]}"'))
        except ValueError:
            return str(messages[-1])
    return log.strip() or "no reason given"


_MESSAGE = re.compile(r'"msg"\s*:\s*"((?:[^"\\]|\\.)*)(?:"|$)', re.DOTALL)
