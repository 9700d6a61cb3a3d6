"""Command lines of docker whose answers are recorded: `tests/data/docker_cli.json`.

Record them anew, with a docker command of release 28 on PATH, as root:
    .venv/bin/python -m tests.support.docker_cases
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.support.shoal_program import ROOT, ShoalProgram, docker_program

DATA = ROOT / "tests/data/docker_cli.json"
CONTAINER = "recorded"
SCRIPT = "echo out; echo err >&2; sleep 1000"

WITHOUT_ENGINE = r"""
run --foo
run
run -Z x
run --memory
run -m abc busybox
run --memory-swap 1x busybox
run --name
run -p x:y:z:w busybox
run --expose x busybox
run --mount foo busybox
run --mount type=bind,source=/x busybox
run --mount type=tmpfs,target=/x,volume-nocopy=true busybox
run --mount type=volume,target=/x,colour=red busybox
run --mount type=volume,target=/x,readonly=perhaps busybox
run -e A --env-file /nowhere/file busybox
run --label-file /nowhere/file busybox
run --health-interval x busybox
run --no-healthcheck --health-cmd x busybox
run --health-retries x busybox
run -d -a stdout busybox true
run --ulimit foo busybox true
run --ulimit nofile=5:2 busybox true
run --memory-swappiness x busybox
run --cpus x busybox
run --cpus 0.1234567891 busybox
run --sysctl a=b busybox true
run --stop-timeout x busybox
run --network name=bridge,foo=bar busybox
run --security-opt seccomp=/nowhere/file busybox
run --security-opt foo busybox
run --pull xx busybox
run -d --rm --restart always busybox
run --restart on-failure:x busybox
run --restart :2 busybox
run -a foo busybox
run --device-read-bps foo busybox
run --device-read-bps /dev/x:y busybox
run --blkio-weight-device /dev/x:1 busybox
run --init=perhaps busybox
create
create --foo
ps --foo
ps x
ps -f foo
ps -n x
logs
logs --foo x
rm
rm --foo x
exec
exec x
exec --foo x y
inspect
inspect --type foo x
frob
"""
WITH_ENGINE = r"""
logs nope
logs recorded
logs -n 1 recorded
logs --since foo recorded
rm nope nope2
rm -f nope
rm recorded
exec nope ls
exec -t recorded tty
exec recorded sh -c 'echo a; echo b >&2; exit 9'
exec recorded nope
exec -it recorded ls
exec -u 7:8 -w /tmp -e A=b recorded sh -c 'id; pwd; echo $A'
exec -d recorded true
inspect nope
inspect --type image recorded
inspect -f '{{.Config.Tty}} {{.Config.Labels}} {{.Config.Cmd}} {{.HostConfig.Memory}}' recorded
inspect -f '{{index .Config.Cmd 0}} {{json .Config.Cmd}} {{len .Config.Cmd}}' recorded
inspect -f '{{.Foo}}' recorded
inspect -f '{{json .State.Running}} {{.Name | upper}}' recorded nope
ps
ps -q
ps -a --no-trunc
ps --format '{{.Names}} {{.Image}} {{.Command}} {{.Ports}}'
ps --format json
ps --format 'table {{.ID}}\t{{.Names}}'
ps -f foo=bar
ps -f name=recorded -q
ps -f name=nothing
run nope-image
run --device foo:bar:baz:x busybox true
run -it busybox true
run --restart foo busybox true
run --rm --network host -p 80:80 busybox true
run -v a:b:c:d busybox true
run --gpus all busybox true
run --rm busybox echo hi
run --rm busybox sh -c 'exit 3'
run --rm busybox nope
run --rm busybox /etc
run --rm -e A=b -e HOME -w /tmp -u 1:1 --hostname hh busybox sh -c 'echo $A; pwd; id; hostname'
run --rm -m 32m --memory-swap 64m --cpus 0.5 --pids-limit 20 busybox echo limited
run --rm --ulimit nofile=10:20 busybox sh -c 'ulimit -n'
run --rm --cap-drop ALL --cap-add KILL busybox grep CapBnd /proc/self/status
run --rm --mount type=tmpfs,target=/x,tmpfs-size=1m busybox sh -c 'grep -o size=1024k /proc/mounts'
run --rm --add-host a:1.2.3.4 --dns 1.1.1.1 busybox grep 1.2.3.4 /etc/hosts
run --rm --entrypoint echo busybox x y
run --rm --init busybox cat /proc/1/comm
run --rm -p 80 -p 127.0.0.1::81/udp -P busybox true
run --rm -a stdout busybox sh -c 'echo o; echo e >&2'
run --rm --security-opt seccomp=unconfined busybox grep Seccomp: /proc/self/status
run --rm --shm-size 1m busybox sh -c 'grep -o size=1024k /proc/mounts'
run --name bad/name busybox
run --memory 1k busybox
run --network nonet --rm busybox true
run --link nope busybox true
run --rm --runtime nope busybox
run --name recorded busybox
container ls -q
container rm nope
"""


class Answer(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def cases(text: str) -> list[list[str]]:
    """Return the command lines of one of the lists above, as words."""
    return [_words(line) for line in text.strip().splitlines()]


def _words(line: str) -> list[str]:
    return [word[1:-1] if word[:1] == "'" else word for word in re.findall(r"'[^']*'|\S+", line)]


def plain(text: str) -> str:
    """Return a text without what differs from run to run."""
    text = re.sub(r"[0-9a-f]{64}", "ID", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "SHORT", text)
    text = re.sub(
        r"Less than a second|About a minute|\d+ (seconds|minutes?)|1 second", "TIME", text
    )
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+\d{4} UTC", "DATE", text)
    return re.sub(r"  +", "  ", text)


def start_container(shoal: ShoalProgram) -> None:
    """Start the container that the command lines are about."""
    body = {"Image": "busybox", "Cmd": ["sh", "-c", SCRIPT]}
    made = shoal.request("POST", f"/containers/create?name={CONTAINER}", json.dumps(body).encode())
    assert made[0] == 201, made
    assert shoal.request("POST", f"/containers/{CONTAINER}/start")[0] == 204


def _ask(env: dict[str, str], words: list[str]) -> Answer:
    done = subprocess.run(
        [docker_program(), *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, plain(done.stdout), plain(done.stderr))


def main() -> None:
    """Record the answers of the docker command on an engine of Shoal's."""
    found = []
    with tempfile.TemporaryDirectory(prefix="shoal-docker-cases-") as work:
        shoal = ShoalProgram(Path(work))
        shoal.load_busybox()
        start_container(shoal)
        for text in (WITHOUT_ENGINE, WITH_ENGINE):
            host = f"unix://{shoal.socket if text is WITH_ENGINE else '/nowhere/docker.sock'}"
            env = {**shoal.env, "DOCKER_HOST": host}
            for words in cases(text):
                answer = _ask(env, words)
                found.append({"words": words, **answer._asdict()})
        shoal.close()
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in found)
    DATA.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def recorded(text: str) -> list[tuple[list[str], Answer]]:
    """Return the command lines of a list with their recorded answers."""
    known = {tuple(case.pop("words")): Answer(**case) for case in json.loads(DATA.read_text())}
    return [(words, known[tuple(words)]) for words in cases(text)]


if __name__ == "__main__":
    main()
