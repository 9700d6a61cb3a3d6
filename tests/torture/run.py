"""The torture test: random operations by several clients while everything is being killed.

    python -m tests.torture.run [--minutes N | --rounds N] [--seed N] [--clients N] [--work DIR]

After each round the engine is given time to come to rest, and each invariant is checked. The seed
is printed; it decides what is done, not when the kernel does it. Exit code 1 when a round failed.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.engine_process import EngineProcess
from tests.support.engine_view import look, mapping
from tests.support.invariants import assert_invariants
from tests.support.remapped_engine import remapped_engine
from tests.torture.killer import Killer
from tests.torture.operations import NETWORKS, VOLUMES, Shared, TortureClient

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATIONS = 8
MAIN_POOL, OTHER_POOL = "base=10.205.0.0/17,size=24", "base=10.205.128.0/17,size=24"


class Bystander:
    """Another engine, with one container, that nobody touches (invariant 15)."""

    def __init__(self, work: Path) -> None:
        work.mkdir()
        self.engine = EngineProcess(work, pool=OTHER_POOL).start()
        self.engine.load_busybox()
        ports = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}}
        self._container = self.engine.run(
            "sleep", "100000", ExposedPorts={"80/tcp": {}}, HostConfig=ports
        )
        self._before = self._state()

    def findings(self) -> list[str]:
        """Return what has changed."""
        after = self._state()
        return [
            f"15: {name} of another engine changed: {self._before[name]} -> {after[name]}"
            for name in after
            if after[name] != self._before[name]
        ]

    def _state(self) -> dict[str, object]:
        view = look(self.engine)
        return {
            "state": self.engine.inspect(self._container),
            "links": sorted(view.named("link")),
            "cgroups": sorted(view.named("cgroup")),
            "elements": view.elements(),
            "shims": sorted(view.shims),
        }


class Torture:
    """The engine under torture, over all rounds."""

    def __init__(self, work: Path, seed: int, clients: int, *, remap: bool = False) -> None:
        self._work = work
        self._remap = remap
        self._seed = seed
        self._clients = clients
        self._generation = 0
        self._log_read = 0
        self.engine = self._new_engine()

    def _new_engine(self) -> EngineProcess:
        self._generation += 1
        self._log_read = 0
        place = self._work / f"engine-{self._generation}"
        place.mkdir()
        make = remapped_engine if self._remap else EngineProcess
        engine = make(place, pool=MAIN_POOL).start()
        engine.load_busybox()
        for name in VOLUMES:
            assert engine.call("POST", "/volumes/create", {"Name": name}).status == 201
            (engine.storage / "volumes" / name / "_data" / "kept").write_text(name)
        for name in NETWORKS:
            assert engine.call("POST", "/networks/create", {"Name": name}).status == 201
        return engine

    def round(self, number: int) -> tuple[str, list[str]]:
        """Play one round; returns who was killed, and the findings."""
        shared = Shared(self.engine)
        threads = [
            threading.Thread(target=self._client, args=(shared, f"{self._seed} {number} {client}"))
            for client in range(self._clients)
        ]
        for thread in threads:
            thread.start()
        killed = "?"
        try:
            killed = Killer(self.engine, random.Random(f"{self._seed} {number} killer")).run()
        except (AssertionError, OSError) as error:
            shared.findings.append(f"the engine does not come back: {error}")
            shared.over.set()
        for thread in threads:
            thread.join()
        return killed, shared.findings + self._look(shared) + self._log_findings()

    def _client(self, shared: Shared, seed: str) -> None:
        try:
            TortureClient(shared, random.Random(seed)).run(OPERATIONS)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            shared.findings.append(f"client: {error!r}")

    def _look(self, shared: Shared) -> list[str]:
        try:
            assert_invariants(self.engine)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            return [repr(error) if not isinstance(error, AssertionError) else str(error)]
        view = look(self.engine)
        found = []
        for name in VOLUMES:
            file = self.engine.storage / "volumes" / name / "_data" / "kept"
            if name not in view.objects["volume"] or not file.exists():
                found.append(f"12: volume {name} is gone")
        ends: dict[str, set[str]] = {}
        for event in view.events:
            if event["Action"] == "die":
                actor = mapping(event["Actor"])
                code = str(mapping(actor["Attributes"])["exitCode"])
                ends.setdefault(str(actor["ID"]), set()).add(code)
        for identifier, given in shared.codes:
            # One that never ran has no end; who waits for it learns of its removal.
            if identifier in ends and str(given) not in ends[identifier]:
                found.append(f"4: wait gave {given} for {identifier}, no die event did")
        return found

    def _log_findings(self) -> list[str]:
        """Return the tracebacks in the engine's log since the last round."""
        with self.engine.log.open(errors="replace") as file:
            file.seek(self._log_read)
            text = file.read()
            self._log_read = file.tell()
        found = [f"traceback in the log:\n{part[:3000]}" for part in text.split("Traceback")[1:3]]
        broken = (self.engine.run_root / "tasks").glob("*/crash")
        return found + [f"a shim broke: {path.read_text()}" for path in broken]

    def begin_anew(self) -> None:
        """Leave a broken engine's directories for a look, and go on with another engine."""
        try:
            self.engine.close()
        except (AssertionError, OSError) as error:
            sys.stdout.write(f"  the broken engine leaves: {error}\n")
        self.engine = self._new_engine()


def numbers(first: int, rounds: int, minutes: float | None) -> Iterator[int]:
    """Yield the numbers of the rounds: so many, or one after the other for so many minutes."""
    end = None if minutes is None else time.monotonic() + minutes * 60
    for number in itertools.count(first):
        if number - first == rounds if end is None else time.monotonic() >= end:
            return
        yield number


def main() -> int:
    """Run the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--rounds", type=int, default=200)
    limit.add_argument(
        "--minutes", type=float, help="begin rounds for so long, instead of --rounds"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--remap", action="store_true", help="with containers in user namespaces")
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="shoal-torture-"))
    work.mkdir(exist_ok=True)
    how_long = f"{options.minutes} minutes" if options.minutes else f"{options.rounds} rounds"
    sys.stdout.write(f"seed {options.seed}, {how_long}, in {work}\n")
    other = Bystander(work / "bystander")
    torture = Torture(work, options.seed, options.clients, remap=options.remap)
    played = failed = 0
    for number in numbers(options.first, options.rounds, options.minutes):
        played += 1
        killed, found = torture.round(number)
        found += other.findings()
        failed += bool(found)
        sys.stdout.write(f"round {number}: killed {killed}: {'FAILED' if found else 'ok'}\n")
        for finding in found:
            sys.stdout.write(f"  {finding}\n")
        sys.stdout.flush()
        if found:
            torture.begin_anew()
    torture.engine.close()
    other.engine.close()
    sys.stdout.write(f"{played - failed} passed, {failed} failed (seed {options.seed})\n")
    if not failed and options.work is None:
        shutil.rmtree(work)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
