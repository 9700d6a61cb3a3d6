"""A virtual machine (QEMU) seen from its host: boot it, run commands in it, cut its power.

The images are made by ``tests/vm.sh``; a machine has a disk of its own, which keeps what was
written over reboots and power cuts. Nothing here needs KVM (``SHOAL_VM_ACCEL`` names another
accelerator than ``tcg``).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

BOOT_SECONDS = 600.0
COMMAND_SECONDS = 600.0
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Done:
    """What a command in the machine wrote (both streams) and its exit code."""

    code: int
    output: str


class MachineGoneError(Exception):
    """The machine ended while it was asked something."""


class Machine:
    """One machine; it is off until `boot`.

    Args:
        images: The directory with ``kernel``, ``initrd.gz``, ``disk.img`` and ``packages.img``.
        project: The image with the sources.
        work: A directory for the machine's own disks, console and socket.
    """

    def __init__(self, images: Path, project: Path, work: Path) -> None:
        self._images = images
        self._work = work
        self.console = work / "console"
        self._process: subprocess.Popen[bytes] | None = None
        self._agent: socket.socket | None = None
        self._buffer = b""
        self._number = 0
        self.boot_id = ""
        for source in (images / "disk.img", project):
            self._overlay(source)

    def _overlay(self, source: Path) -> None:
        subprocess.run(
            [
                *("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw"),
                *("-b", str(source.resolve()), str(self._work / f"{source.stem}.qcow2")),
            ],
            check=True,
        )

    # -- power -------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Switch the machine on and wait until it takes commands."""
        assert self._process is None
        path = self._work / "agent.sock"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener, self.console.open("ab") as console:
            listener.bind(str(path))
            listener.listen()
            listener.settimeout(BOOT_SECONDS)
            self._process = subprocess.Popen(
                self._command(path), stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
            self._agent, _ = listener.accept()
        self._buffer = b""
        message = self._receive(time.monotonic() + BOOT_SECONDS)
        self.boot_id = str(message["ready"])

    def _command(self, agent: Path) -> list[str]:
        accelerator = os.environ.get("SHOAL_VM_ACCEL", "tcg")
        drives = [
            (self._work / "disk.qcow2", "qcow2", "off"),
            (self._images / "packages.img", "raw", "on"),
            (self._work / "project.qcow2", "qcow2", "off"),
        ]
        return [
            *("qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-accel", accelerator),
            *("-m", os.environ.get("SHOAL_VM_MEMORY", "3072"), "-smp", "2"),
            *("-nographic", "-no-reboot", "-nic", "none"),
            *("-kernel", str(self._images / "kernel")),
            *("-initrd", str(self._images / "initrd.gz")),
            *("-append", "console=ttyS0 quiet panic=-1 systemd.show_status=0"),
            *("-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=agent,path={agent}"),
            *("-device", "virtserialport,chardev=agent,name=shoal.agent"),
            *(
                word
                for path, form, read_only in drives
                for word in (
                    "-drive",
                    f"file={path},if=virtio,format={form},readonly={read_only},cache=writeback",
                )
            ),
        ]

    def last_words(self) -> str:
        """Return the end of the console."""
        return self.console.read_text(encoding="utf-8", errors="replace")[-4000:]

    def power_cut(self) -> None:
        """End the machine at once: what its kernel had not written is lost."""
        assert self._process is not None
        self._process.kill()
        self._ended(60.0)

    def reboot(self) -> None:
        """Shut down as ``reboot`` does, and boot again."""
        self.shut_down()
        self.boot()

    def shut_down(self, *command: str) -> None:
        """Shut down in order and wait until the machine is off."""
        with contextlib.suppress(MachineGoneError):
            self.run(*(command or ("systemctl", "reboot")))
        self._ended(COMMAND_SECONDS)

    def _ended(self, limit: float) -> None:
        assert self._process is not None
        self._process.wait(limit)
        self._process = None
        if self._agent is not None:
            self._agent.close()
            self._agent = None

    def close(self) -> None:
        """Switch the machine off and throw its disks away."""
        if self._process is not None:
            self.power_cut()
        shutil.rmtree(self._work, ignore_errors=True)

    # -- commands ----------------------------------------------------------------------------------

    def run(
        self,
        *argv: str,
        given: str = "",
        environment: Mapping[str, str] | None = None,
        directory: str = "/",
        limit: float = COMMAND_SECONDS,
        show: Callable[[bytes], object] | None = None,
    ) -> Done:
        """Run a command as root and return when it has ended and its output is closed."""
        self._number += 1
        request = {
            "id": self._number,
            "argv": argv,
            "environment": dict(environment or {}),
            "directory": directory,
            "input": given,
        }
        assert self._agent is not None
        try:
            self._agent.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise MachineGoneError(str(error)) from error
        return self._answer(time.monotonic() + limit, show)

    def _answer(self, deadline: float, show: Callable[[bytes], object] | None) -> Done:
        output = b""
        while True:
            message = self._receive(deadline)
            if message.get("id") != self._number:
                continue
            if "code" in message:
                return Done(int(str(message["code"])), output.decode(errors="replace"))
            chunk = base64.b64decode(str(message["out"]))
            output += chunk
            if show is not None:
                show(chunk)

    def _receive(self, deadline: float) -> dict[str, object]:
        assert self._agent is not None
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._agent], [], [], deadline - time.monotonic())
            if not readable:
                raise TimeoutError(f"no answer from the machine: {self.last_words()}")
            try:
                chunk = self._agent.recv(_CHUNK)
            except OSError as error:
                raise MachineGoneError(self.last_words()) from error
            if not chunk:
                raise MachineGoneError(self.last_words())
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    def check(self, *argv: str, given: str = "") -> str:
        """Run a command that must succeed and return what it wrote."""
        done = self.run(*argv, given=given)
        assert done.code == 0, f"{argv}: exit code {done.code}: {done.output}"
        return done.output
