"""The real ``docker`` command says of Shoal what it says of Docker: flags that people use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.linux.cgroups import host_layout
from tests.support import command_lines
from tests.support.command_lines import RELEASE, Answer, Group, groups, play_all, recorded
from tests.support.engine_process import EngineProcess
from tests.support.shoal_program import docker_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

_EVERY = groups()
_RECORDED = recorded()
Difference = tuple[Answer, str]

DIFFERENCES: dict[str, Difference] = {
    "run --rm --cpu-shares 1 busybox echo shares": (
        Answer(0, "shares\n", ""),
        "the kernel takes 2 for 1; Docker refuses it on cgroup v1 alone",
    ),
}
"""What Shoal answers on purpose where Docker answers something else, by line, and why."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Answer]]]:
    """All groups played on an engine of their own, several at once."""
    program = docker_program()
    release = command_lines.release(program)
    if not release.startswith(RELEASE):
        pytest.skip(f"docker is of release {release}: its own words are those of {RELEASE}x here")
    work: Path = tmp_path_factory.mktemp("lines")
    engine = EngineProcess(work, pool="base=10.206.0.0/16,size=24").start()
    engine.load_busybox()
    try:
        answers = play_all(program, engine.socket_path, work / "work", _EVERY)
        yield {group.name: dict(found) for group, found in zip(_EVERY, answers, strict=True)}
    finally:
        engine.close()


@pytest.mark.parametrize("group", _EVERY, ids=lambda group: group.name)
def test_docker_says_the_same_of_shoal(played: dict[str, dict[str, Answer]], group: Group) -> None:
    if group.name == "limits" and host_layout().version != 1:
        pytest.skip("recorded where cgroup v1 has the controllers: its warnings are others")
    expected = dict(_RECORDED[group.name])
    assert tuple(expected) == tuple(dict.fromkeys(group.lines)), "record it again"
    differing = []
    for line, answer in expected.items():
        wanted = DIFFERENCES[line][0] if line in DIFFERENCES else answer
        found = played[group.name][line]
        if found != wanted:
            differing.append(f"{line}\n    Docker: {wanted}\n    Shoal:  {found}")
    assert not differing, "\n".join(["", *differing])


def test_each_difference_is_one() -> None:
    known = {line: answer for group in _EVERY for line, answer in _RECORDED[group.name]}
    for line, (answer, reason) in DIFFERENCES.items():
        assert known[line] != answer, f"a difference is gone: {line}"
        assert reason
