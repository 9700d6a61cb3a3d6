"""Records what a Docker Engine makes of every case of the differential test.

The parts of the test, in `tests.support.differential`:

  case          `Case`: a create request, what is made before it, and how its container ends
  requests_*    the cases, by what they are about; `cases` holds them all
  image         the image that containers start from, with the probe in it, and images built on it
  probe.sh      what a container sees of itself; `probe_report` reads what it printed
  observe       carries a case out and keeps all that the engine and the container say
  machine       what differs from machine to machine
  normal        observations as flat tables, with names for what machines and runs differ in
  allowed       the differences between Docker and Shoal that are meant, each with its reason
  recording     what Docker did, as a file

``python -m tests.support.record_differential SOCKET PID DIRECTORY [CASE...]``: PID is dockerd's,
DIRECTORY a path that it and this program share. With names of cases only these are recorded anew.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.support.differential.cases import CASES
from tests.support.differential.image import image_configs, load_images, remove_images
from tests.support.differential.machine import Machine
from tests.support.differential.normal import Names, Table
from tests.support.differential.recording import FILE, read, write
from tests.support.differential.replay import carry_out, prepare_directory
from tests.support.engine_process import EngineProcess


def main() -> int:
    """Record; returns the exit code."""
    socket_path, pid, shared, *chosen = sys.argv[1:]
    directory = Path(tempfile.mkdtemp(prefix="diff-", dir=shared))
    engine = EngineProcess(directory)
    engine.socket_path = socket_path
    root = str(engine.call("GET", "/info").json()["DockerRootDir"])
    machine = Machine.of(int(pid), root, "/var/run/docker")
    prepare_directory(directory)
    try:
        names = Names(machine, load_images(engine), str(directory))
        cases = [case for name, case in CASES.items() if not chosen or name in chosen]
        found = carry_out(engine, cases, names)
        images = image_configs(engine)
    finally:
        remove_images(engine)
        shutil.rmtree(directory)
    old = read()[0] if chosen and FILE.exists() else {}
    done = {name: each for name, each in found.items() if not isinstance(each, Exception)}
    tables: dict[str, Table] = {
        name: table for name in CASES if (table := done.get(name, old.get(name))) is not None
    }
    write(tables, images)
    for name, each in found.items():
        if isinstance(each, Exception):
            sys.stderr.write(f"{name}: {each!r}\n")
    return int(len(done) < len(found))


if __name__ == "__main__":
    sys.exit(main())
