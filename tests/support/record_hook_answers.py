"""Records what comes of hooks under a Docker Engine, as data for `test_hooks`.

Run it by hand, as root on an engine's machine (image ``busybox``):
``python -m tests.support.record_hook_answers /var/run/docker.sock /etc/cdi``. Each case of
`tests.support.hook_cases` is a CDI device for the time of the recording.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support import hook_cases
from tests.support.record_seccomp_filters import call

FILE = Path(__file__).parents[1] / "integration" / "recorded" / "hooks.json"
NAME = "hooks-recorded"


def observe(path: str, name: str) -> dict[str, object]:
    """Start a container with one case's hooks; returns what became of it."""
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": hook_cases.wanted(name)}
    call(path, "DELETE", f"/containers/{NAME}?force=1")
    status, answer = call(path, "POST", f"/containers/create?name={NAME}", body)
    assert status == 201, answer
    try:
        status, answer = call(path, "POST", f"/containers/{NAME}/start")
        if status == 204:
            call(path, "POST", f"/containers/{NAME}/wait")
        state = call(path, "GET", f"/containers/{NAME}/json")[1]["State"]
        assert isinstance(state, dict)
        return {
            "status": status,
            "message": answer.get("message", ""),
            "state": [state["Status"], state["ExitCode"], state["Error"]],
        }
    finally:
        call(path, "DELETE", f"/containers/{NAME}?force=1")


def main() -> int:
    """Record all cases from the engine at a socket."""
    path, directory = sys.argv[1:]
    spec = Path(directory) / "hooks-recorded.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text(json.dumps(hook_cases.document()), encoding="utf-8")
    try:
        _, version = call(path, "GET", "/version")
        cases = {name: observe(path, name) for name in hook_cases.CASES}
    finally:
        spec.unlink()
    recorded = {"engine": version["Version"], "cases": cases}
    FILE.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
