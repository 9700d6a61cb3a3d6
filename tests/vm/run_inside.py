"""Runs pytest inside a fresh virtual machine and shows what it writes.

``python -m tests.vm.run_inside IMAGES PROJECT PYTEST_ARGUMENTS...``; the exit code is pytest's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.support.machine_qemu import Machine

LIMIT = 4 * 3600.0
_FACTS = (
    "uname -sr; cat /proc/version; python3 -V; systemctl --version | head -1; "
    "echo cgroup v2: $(cat /sys/fs/cgroup/cgroup.controllers); cat /sys/kernel/security/lsm; echo"
)


def show(chunk: bytes) -> None:
    """Pass output on as it comes."""
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def main() -> int:
    """Boot, test, and switch off."""
    images, project, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="shoal-vm.", dir="/var/tmp") as work:
        machine = Machine(Path(images), Path(project), Path(work))
        try:
            machine.boot()
            show(machine.check("sh", "-c", _FACTS).encode())
            return machine.run(
                *("python3", "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider"),
                *("--timeout", "900", *arguments),
                directory="/project",
                environment={"PYTHONPATH": "/project:/packages", "SHOAL_IN_MACHINE": "1"},
                limit=LIMIT,
                show=show,
            ).code
        finally:
            machine.close()


if __name__ == "__main__":
    sys.exit(main())
