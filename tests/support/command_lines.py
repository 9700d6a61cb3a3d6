"""Command lines of ``docker`` with flags that people use, and what they print and end with.

`tests/e2e/command_lines/*.txt` hold groups (``== name``) of lines; a line is what stands after
``docker``, with quotes as in a shell, ``{work}`` for a directory of the group's own, and in front
``"text" |`` for what comes in. ``wait-log CONTAINER TEXT`` waits for a text in a log. Whatever a
group makes is named ``cli-...``.

What a Docker Engine answers is recorded by hand, with a docker command of release 28 on PATH:
    .venv/bin/python -m tests.support.command_lines SOCKET WORK [GROUP]
WORK is a directory that the engine sees under the same name; busybox must be there. Each group is
played three times: what differs between the times is told and the group is not recorded.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.support.eventually import eventually

DIRECTORY = Path(__file__).parents[1] / "e2e" / "command_lines"
FILE = Path(__file__).parents[1] / "data" / "command_lines.json"
RELEASE = "28."
"""The release of the docker command whose own words are recorded."""
_TIMES = 3
_AT_ONCE = 4
_SECONDS = 120
_INPUT = re.compile(r'("(?:[^"\\]|\\.)*") \| (.*)')
_PROFILE = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
}
_FILES = {
    "env": "# a comment\nA=file\nB=two words\nCLI_PASSED\n",
    "bad-env": "A B=1\n",
    "labels": "one=1\n",
    "bad-profile": "{",
    "profile": json.dumps(_PROFILE),
    "bind/file": "content\n",
}


class Group(NamedTuple):
    """Lines that belong together."""

    name: str
    lines: tuple[str, ...]


class Answer(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Answers = list[tuple[str, Answer]]


def groups() -> list[Group]:
    """Return all groups."""
    found = []
    for path in sorted(DIRECTORY.glob("*.txt")):
        for text in path.read_text(encoding="utf-8").split("== ")[1:]:
            name, *lines = [line for line in text.splitlines() if line]
            found.append(Group(name, tuple(lines)))
    return found


def release(program: str) -> str:
    """Return the release of a docker command."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.removeprefix("Docker version ").split(",")[0]


class Player:
    """Runs the lines of one group, one after the other, on the engine at a socket."""

    def __init__(self, program: str, socket_path: str, work: Path) -> None:
        self._program = program
        self._work = work
        self._env = {
            "DOCKER_HOST": f"unix://{socket_path}",
            "HOME": str(work / "home"),
            "PATH": "/usr/bin:/bin",
            "CLI_PASSED": "passed",
        }

    def play(self, group: Group) -> Answers:
        """Return what each line came to; what the group made is removed."""
        for name, content in _FILES.items():
            path = self._work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        try:
            return [(line, self._answer(line)) for line in group.lines]
        finally:
            self.clean(group)
            shutil.rmtree(self._work)

    def clean(self, group: Group) -> None:
        """Remove whatever the group may have made."""
        names = sorted(set(re.findall(r"\bcli-[a-z]+(?::[a-z]+)?", "\n".join(group.lines))))
        plain = [name for name in names if ":" not in name]
        self._run(["rm", "-f", "-v", *plain])
        self._run(["volume", "rm", "-f", *plain])
        self._run(["network", "rm", "-f", *plain])
        self._run(["rmi", "-f", *names])

    def _answer(self, line: str) -> Answer:
        found = _INPUT.fullmatch(line)
        given = json.loads(found[1]) if found else ""
        words = shlex.split((found[2] if found else line).replace("{work}", str(self._work)))
        if words[0] == "wait-log":
            return self._wait_log(*words[1:])
        return self._run(words, given)

    def _wait_log(self, container: str, text: str) -> Answer:
        eventually(lambda: text in "".join(self._run(["logs", container])[1:]))
        return Answer(0, "", "")

    def _run(self, words: list[str], given: str = "") -> Answer:
        done = subprocess.run(
            [self._program, *words],
            env=self._env,
            input=given.encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        return Answer(done.returncode, self._plain(done.stdout), self._plain(done.stderr))

    def _plain(self, data: bytes) -> str:
        """Return a text without what differs from run to run, and between two machines."""
        text = data.decode("utf-8", "replace").replace(str(self._work), "WORK")
        text = re.sub(r"[0-9a-f]{64}", "ID", text)
        text = re.sub(r"\b[0-9a-f]{12}\b", "SHORT", text)
        text = re.sub(r"\b(172\.17|10\.2\d\d)(\.\d+){2}\b", "ADDRESS", text)
        text = re.sub(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
        text = re.sub(r"(Up|Exited \(\d+\)) (Less than a second|\d+ seconds?)", r"\1 TIME", text)
        return re.sub(r"v1\.\d\d/", "vVERSION/", text)


def play_all(program: str, socket_path: str, work: Path, wanted: list[Group]) -> list[Answers]:
    """Play groups, several at once."""

    def play(group: Group) -> Answers:
        slug = group.name.replace(" ", "-")
        return Player(program, socket_path, work / slug).play(group)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(play, wanted))


def recorded() -> dict[str, Answers]:
    """Return what was recorded, by the name of the group."""
    if not FILE.exists():
        return {}
    document = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        name: [(line, Answer(*answer)) for line, answer in entries]
        for name, entries in document.items()
    }


def _save(records: dict[str, Answers]) -> None:
    parts = []
    for name, answers in records.items():
        lines = ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in answers)
        parts.append(f" {json.dumps(name)}: [\n{lines}\n ]")
    FILE.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _same(group: Group, times: list[Answers]) -> bool:
    for first, *others in zip(*times, strict=True):
        for other in others:
            if other != first:
                sys.stderr.write(f"{group.name}: {first}\n  {other}\n")
                return False
    return True


def main() -> int:
    """Record the groups that have changed; returns the number of those that differ."""
    socket_path, work = sys.argv[1], Path(sys.argv[2])
    part = sys.argv[3] if len(sys.argv) > 3 else None
    program = shutil.which("docker")
    if program is None or not release(program).startswith(RELEASE):
        sys.stderr.write(f"a docker command of release {RELEASE} is needed\n")
        return 1
    known = recorded()
    every = groups()
    wanted = [
        group
        for group in every
        if (part is not None and part in group.name)
        or tuple(line for line, _ in known.get(group.name, [])) != group.lines
    ]
    times = [play_all(program, socket_path, work, wanted) for _ in range(_TIMES)]
    differing = 0
    for index, group in enumerate(wanted):
        answers = [played[index] for played in times]
        known.pop(group.name, None)
        if _same(group, answers):
            known[group.name] = answers[0]
        else:
            differing += 1
    _save({group.name: known[group.name] for group in every if group.name in known})
    return differing


if __name__ == "__main__":
    sys.exit(main())
