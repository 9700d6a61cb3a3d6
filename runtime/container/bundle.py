"""A task's directory below the run root: socket, exit record, netns link, `config.json`.

`<run root>/tasks/<task>/` 0700. Made by the engine before the fork, removed by the engine after
the exit was committed. `config.json` is the OCI bundle document, for people and other runtimes; the
shim gets the same document as a sealed memfd.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

from runtime.container import exit_record
from runtime.container.messages import MessageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.container.exit_record import ExitRecord


CONFIG, PROCESS = "config.json", "process.json"
"""Documents of a bundle: of a container, and of another process for an external runtime."""


class TaskDirectory:
    """Names and files of one task's directory; `name` never contains a slash."""

    def __init__(self, tasks_path: str, name: str) -> None:
        if not name or "/" in name or name.startswith("."):
            raise ValueError(f"not the name of a task: {name!r}")
        self.name = name
        self.path = os.path.join(tasks_path, name)

    def create(self, spec: Mapping[str, object] | None = None, document: str = CONFIG) -> None:
        """Make the directory and write the bundle's `config.json`, or another document.

        Raises:
            FileExistsError: a task of this name is there already.
        """
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        os.mkdir(self.path, 0o700)
        if spec is not None:
            with open(os.path.join(self.path, document), "x", encoding="utf-8") as file:
                file.write(json.dumps(spec))  # `dump` would encode in Python, 20 times slower

    def admit(self, group: int) -> None:
        """Let a group reach what is mounted in the directory: root of a user namespace is in it.

        Another OCI runtime sets the root up with the rights of the container's own root.
        """
        for path in (os.path.dirname(self.path), self.path):
            os.chown(path, 0, group)
            os.chmod(path, 0o710)  # noqa: S103 - nobody but the containers' root is in the group

    def open(self) -> int:
        """Return a descriptor of the directory."""
        return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def record(self) -> ExitRecord | None:
        """Return how the task ended, None without a (whole) record."""
        try:
            fd = self.open()
        except FileNotFoundError:
            return None
        try:
            return exit_record.read(fd)
        except MessageError:
            return None
        finally:
            os.close(fd)

    def crash(self) -> str:
        """Return where a broken shim says it broke, else an empty text."""
        try:
            with open(os.path.join(self.path, "crash"), encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""

    def remove(self) -> None:
        """Remove the directory, if it is there."""
        shutil.rmtree(self.path, ignore_errors=True)


def task_names(tasks_path: str) -> list[str]:
    """Return the names of all task directories."""
    try:
        with os.scandir(tasks_path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
