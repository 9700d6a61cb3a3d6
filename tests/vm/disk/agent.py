"""Inside the virtual machine: runs the commands that come in by a virtual serial port.

One JSON object a line, both ways. In: ``id``, ``argv``, ``directory``, ``environment``, ``input``.
Out: ``id`` with ``out`` (base64, as it is written) and, at the end, ``code``. A first line
``{"ready": <boot id>}`` says that the machine is up. Commands run side by side.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from pathlib import Path

PORT_NAME = "shoal.agent"


def port() -> Path:
    """Return the device of the port with our name."""
    for entry in Path("/sys/class/virtio-ports").iterdir():
        if (entry / "name").read_text().strip() == PORT_NAME:
            return Path("/dev") / entry.name
    raise SystemExit(f"no virtual serial port {PORT_NAME}")


class Agent:
    """The port, and one thread for each command that runs."""

    def __init__(self, device: Path) -> None:
        self._fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Run commands until the machine ends."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._send({"ready": boot})
        with os.fdopen(os.dup(self._fd), "rb") as lines:
            for line in lines:
                request = json.loads(line)
                threading.Thread(target=self._run, args=(request,), daemon=True).start()

    def _send(self, message: dict[str, object]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._lock:
            while data:
                data = data[os.write(self._fd, data) :]

    def _run(self, request: dict[str, object]) -> None:
        number = request["id"]
        try:
            code = self._command(request)
        except OSError as error:
            self._send({"id": number, "out": base64.b64encode(str(error).encode()).decode()})
            code = 127
        self._send({"id": number, "code": code})

    def _command(self, request: dict[str, object]) -> int:
        argv, extra = request["argv"], request["environment"]
        assert isinstance(argv, list)
        assert isinstance(extra, dict)
        with subprocess.Popen(
            argv,
            cwd=str(request["directory"]),
            env={**os.environ, "HOME": "/root", "LANG": "C.UTF-8", **extra},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            with process.stdin as stdin:
                stdin.write(str(request["input"]).encode())
            while chunk := process.stdout.read(65536):
                self._send({"id": request["id"], "out": base64.b64encode(chunk).decode()})
        return process.returncode


if __name__ == "__main__":
    Agent(port()).serve()
