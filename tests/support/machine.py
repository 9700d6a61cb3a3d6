"""Whether this machine can run the tests that make containers; as a program, it prints why not."""

from __future__ import annotations

import os
import subprocess
import sys


def obstacle() -> str | None:
    """Return why containers cannot be made here, in one line with the remedy, or None."""
    if os.geteuid() != 0:
        return "needs root: run tests/run.sh as root"
    if not os.path.exists("/proc/self/ns/net"):
        return "the kernel has no network namespaces"
    with open("/proc/filesystems", encoding="ascii") as file:
        known = "\toverlay\n" in file.read()
    if not known and subprocess.run(["modprobe", "-q", "overlay"], check=False).returncode != 0:
        return "the kernel has no overlayfs: load the module 'overlay'"
    new = ["unshare", "--mount", "--net", "--pid", "--fork", "true"]
    if subprocess.run(new, capture_output=True, check=False).returncode != 0:
        return "the machine forbids new namespaces: needs CAP_SYS_ADMIN"
    return None


if __name__ == "__main__":
    reason = obstacle()
    if reason is not None:
        sys.stdout.write(f"{reason}\n")
    sys.exit(reason is not None)
