"""Records the system call filters that a Docker Engine gives its containers, as data for tests.

Run it by hand, as root on an engine's machine (x86_64, image ``busybox``):
``python -m tests.support.record_seccomp_filters /var/run/docker.sock``. Each container of
`tests.support.seccomp_cases` is started, its filter read by ``PTRACE_SECCOMP_GET_FILTER``
(ptrace(2)), and removed.
"""

from __future__ import annotations

import base64
import ctypes
import http.client
import json
import os
import socket
import sys
import zlib
from pathlib import Path

from tests.support import seccomp_cases

FILE = Path(__file__).parents[1] / "unit" / "runtime" / "container" / "seccomp_filters.json"
NAME = "isolation-recorded"

_SEIZE, _INTERRUPT, _GET_FILTER, _DETACH = 0x4206, 0x4207, 0x420C, 17
_ANY_CHILD = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long


def _ptrace(request: int, pid: int, number: int = 0, data: object = None) -> int:
    result = _LIBC.ptrace(request, pid, number, data)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(result)


def filter_of(pid: int) -> bytes:
    """Return the only filter of a process as an array of ``struct sock_filter``; b"" for none."""
    _ptrace(_SEIZE, pid)
    try:
        _ptrace(_INTERRUPT, pid)
        os.waitpid(pid, _ANY_CHILD)
        try:
            count = _ptrace(_GET_FILTER, pid)
        except OSError:  # ENOENT, or EINVAL: no filter
            return b""
        buffer = ctypes.create_string_buffer(8 * count)
        _ptrace(_GET_FILTER, pid, 0, ctypes.cast(buffer, ctypes.c_void_p))
        return buffer.raw
    finally:
        _ptrace(_DETACH, pid)


class _Engine(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def call(path: str, method: str, target: str, body: object = None) -> tuple[int, dict[str, object]]:
    """Send a request; returns status and the answer's object."""
    connection = _Engine(path)
    connection.request(method, target, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text.startswith(b"{") else {}


def _observe(path: str, host_config: dict[str, object]) -> dict[str, object]:
    """Start a container and return its filter and bounding set, or what the engine answered."""
    body = {"Image": "busybox", "Cmd": ["sleep", "600"], "HostConfig": host_config}
    call(path, "DELETE", f"/containers/{NAME}?force=1")
    status, answer = call(path, "POST", f"/containers/create?name={NAME}", body)
    if status != 201:
        return {"create": [status, answer.get("message")]}
    try:
        status, answer = call(path, "POST", f"/containers/{NAME}/start")
        if status != 204:
            return {"start": [status, answer.get("message")]}
        _, answer = call(path, "GET", f"/containers/{NAME}/json")
        state = answer["State"]
        assert isinstance(state, dict)
        program = filter_of(int(state["Pid"]))
        lines = Path(f"/proc/{state['Pid']}/status").read_text(encoding="ascii").splitlines()
        bounding = next(line.split()[1] for line in lines if line.startswith("CapBnd"))
        packed = base64.b85encode(zlib.compress(program, 9)).decode()
        return {"bounding": bounding, "filter": packed}
    finally:
        call(path, "DELETE", f"/containers/{NAME}?force=1")


def main() -> int:
    """Record everything from the engine at a socket."""
    path = sys.argv[1]
    _, version = call(path, "GET", "/version")
    recorded: dict[str, object] = {
        "engine": version["Version"],
        "kernel": ".".join(os.uname().release.split(".")[:2]),
        "available": _observe(path, {"Privileged": True})["bounding"],
    }
    for group, cases in seccomp_cases.all_cases().items():
        recorded[group] = {name: _observe(path, wanted) for name, wanted in cases.items()}
    FILE.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
