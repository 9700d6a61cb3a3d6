"""What must not grow, and what must not wake up: many cycles on one engine, then a look at rest.

    python -m tests.torture.endurance [--cycles N]

A cycle is create, start, exec, end and remove of a container on the default network.
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import sys
import tempfile
from pathlib import Path

from tests.support.crashes import POOL
from tests.support.engine_process import EngineProcess
from tests.support.engine_view import look
from tests.support.eventually import eventually
from tests.support.invariants import assert_invariants

WARM_UP = 50
REST_SECONDS = 5.0
ROOM_KIB = 4096
"""What the resident memory may grow by: events and history are kept up to their limits."""


def main() -> int:
    """Run the cycles and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=1000)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="shoal-torture-"))
    engine = EngineProcess(work, pool=POOL).start()
    engine.load_busybox()
    for _ in range(WARM_UP):
        _cycle(engine)
    before = _size(engine)
    for _ in range(options.cycles):
        _cycle(engine)
    failed = 0
    for name, limit in (("descriptors", 0), ("threads", 0), ("KiB resident", ROOM_KIB)):
        # What was in flight is let go of with a little delay.
        kept = _least(engine, name, before[name] + limit)
        good = kept <= before[name] + limit
        failed += not good
        sys.stdout.write(f"{'ok' if good else 'FAILED'}: {name} {before[name]} -> {kept}\n")
    woken = _wake_ups(engine)
    sys.stdout.write(f"{'FAILED' if woken else 'ok'}: wake-ups at rest {woken}\n")
    failed += bool(woken)
    assert_invariants(engine)
    engine.close()
    shutil.rmtree(work)
    sys.stdout.write(f"{4 - failed} passed, {failed} failed\n")
    return 1 if failed else 0


def _cycle(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "1000")
    assert engine.exec(identifier, "true")[0] == 0
    assert engine.call("DELETE", f"/containers/{identifier}?force=1").status == 204


def _size(engine: EngineProcess) -> dict[str, int]:
    status = Path(f"/proc/{engine.pid}/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {
        "descriptors": len(os.listdir(f"/proc/{engine.pid}/fd")),
        "threads": int(fields["Threads"]),
        "KiB resident": int(fields["VmRSS"].split()[0]),
    }


def _least(engine: EngineProcess, name: str, enough: int) -> int:
    """Return a size when it has become small enough, or else what it is."""
    try:
        eventually(lambda: _size(engine)[name] <= enough, limit=20)
    except AssertionError:
        return _size(engine)[name]
    return _size(engine)[name]


def _wake_ups(engine: EngineProcess) -> dict[int, int]:
    """Return the processes, launcher and shims, that ran while nothing was asked of them."""
    for _ in range(3):
        engine.run("sleep", "1000")
    assert_invariants(engine)
    pids = [process.pid for process in look(engine).own]
    before = {pid: _switches(pid) for pid in pids}
    select.select([], [], [], REST_SECONDS)
    after = {pid: _switches(pid) for pid in pids}
    return {pid: after[pid] - before[pid] for pid in pids if after[pid] != before[pid]}


def _switches(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["voluntary_ctxt_switches"]) + int(fields["nonvoluntary_ctxt_switches"])


if __name__ == "__main__":
    sys.exit(main())
