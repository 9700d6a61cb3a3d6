"""The order of init's steps, recorded without carrying any of them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.container import init, proc_files, program, rootfs
from runtime.container.failure import StartFailed, Step
from runtime.container.identity import Identity
from runtime.container.plan import compile_plan
from runtime.linux import capabilities, seccomp, syscalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.plan_types import Plan


class Recorder:
    """Puts a note in the place of functions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes: list[str] = []
        self._monkeypatch = monkeypatch

    def replace(self, where: object, *names: str, answer: object = None) -> None:
        for name in names:
            self._monkeypatch.setattr(where, name, self._note(name, answer))

    def _note(self, name: str, answer: object) -> Callable[..., object]:
        def note(*_arguments: object, **_keywords: object) -> object:
            self.notes.append(name)
            return answer

        return note


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


class Sock:
    def fileno(self) -> int:
        return 99


class Child:
    """What the steps need of a child."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.hooks = plan.get("hooks")
        self.gate = -1
        self.fds = {"rootfs": 98, "target": 97}
        self.sync = Sock()
        self.hold = -1
        self.root_fd = 96
        self.in_cgroup = False
        self.identity = Identity(1000, 1000, [])


def plan_of(kind: str = "container", *, no_new_privileges: bool = False) -> Plan:
    process = {"args": ["prog"], "env": ["HOME=/h"], "noNewPrivileges": no_new_privileges}
    policy = {"defaultAction": "SCMP_ACT_ALLOW"}
    linux = {"seccomp": policy, "namespaces": [{"type": "mount"}]}
    return compile_plan({"process": process, "linux": linux}, kind=kind)


STEPS = (
    *("_close_foreign", "_wait_for_parent", "_join_namespaces", "_become_session"),
    *("_isolate_mounts", "_look_up_user", "_enter_cgroup", "_open_streams", "_set_names"),
    *("_run_early_hooks", "_run_program"),
)
PROC_STEPS = ("set_labels", "set_sysctls")
ROOT_STEPS = (*("open_sources", "attach", "mount_all", "make_devices", "enter", "finish", "hide"),)


def test_the_steps_of_a_container(recorder: Recorder) -> None:
    recorder.replace(init, *STEPS)
    recorder.replace(proc_files, *PROC_STEPS)
    recorder.replace(rootfs.Root, *ROOT_STEPS)
    recorder.replace(program, "limit_bounding", "make_cwd")
    init._container_steps(Child(plan_of()))  # type: ignore[arg-type]
    assert recorder.notes == [
        *("_close_foreign", "_join_namespaces", "_become_session"),
        *("_isolate_mounts", "_look_up_user", "open_sources", "attach", "mount_all"),
        *("_enter_cgroup", "make_devices", "make_cwd", "_run_early_hooks", "limit_bounding"),
        *("enter", "_open_streams", "finish"),
        *("_set_names", "set_labels", "set_sysctls", "hide", "_run_program"),
    ]


def test_id_maps_are_there_before_anything_is_done_in_a_user_namespace(recorder: Recorder) -> None:
    recorder.replace(init, *STEPS)
    recorder.replace(proc_files, *PROC_STEPS)
    recorder.replace(rootfs.Root, *ROOT_STEPS)
    recorder.replace(program, "limit_bounding", "make_cwd")
    plan = plan_of()
    plan["id_ranges"] = {"uids": [(0, 1, 1)], "gids": [(0, 1, 1)]}
    init._container_steps(Child(plan))  # type: ignore[arg-type]
    assert recorder.notes[:3] == ["_close_foreign", "_wait_for_parent", "_join_namespaces"]


def test_an_exec_is_in_the_cgroup_before_it_joins_namespaces(recorder: Recorder) -> None:
    recorder.replace(init, *STEPS)
    recorder.replace(proc_files, *PROC_STEPS)
    recorder.replace(program, "limit_bounding")
    recorder.replace(syscalls, "setns")
    init._exec_steps(Child(plan_of("exec")))  # type: ignore[arg-type]
    assert recorder.notes == [
        *("_close_foreign", "_wait_for_parent", "setns", "_become_session", "limit_bounding"),
        *("_look_up_user", "_open_streams", "set_labels", "_run_program"),
    ]


def run_program(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, plan: Plan) -> list[str]:
    recorder.replace(program, "own_streams", "become", "verify_cwd", "reset_signals", "execute")
    recorder.replace(program, "find_program", answer="/prog")
    recorder.replace(syscalls, "prctl", "close_range")
    recorder.replace(init.os, "close", "write")  # type: ignore[attr-defined]
    recorder.replace(init.os, "read", answer=b"go")  # type: ignore[attr-defined]
    with monkeypatch.context():
        init._run_program(Child(plan))  # type: ignore[arg-type]
    monkeypatch.undo()
    return recorder.notes


def test_the_word_is_awaited_when_all_but_the_filter_is_done(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = run_program(recorder, monkeypatch, plan_of(no_new_privileges=True))
    assert notes == [
        *("prctl", "own_streams", "close_range", "close", "become", "verify_cwd"),
        *("find_program", "reset_signals", "write", "read", "execute"),
    ]


@pytest.mark.parametrize(
    ("no_new_privileges", "expected"),
    [(False, ["load", "capget", "capset", "execve"]), (True, ["load", "execve"])],
)
def test_the_last_calls(
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    no_new_privileges: bool,
    expected: list[str],
) -> None:
    recorder.replace(seccomp, "load")
    recorder.replace(syscalls, "capset")
    recorder.replace(syscalls, "capget", answer=(0, 0, 0))
    recorder.replace(program.os, "execve", "_exit")  # type: ignore[attr-defined]
    program.execute("/prog", plan_of(no_new_privileges=no_new_privileges), {})
    monkeypatch.undo()
    assert recorder.notes[:-1] == expected


def test_another_user_keeps_capabilities_over_the_change_of_ids(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.replace(program.os, "setgroups", "setresgid", "setresuid", "umask", "chdir")  # type: ignore[attr-defined]
    recorder.replace(syscalls, "prctl", "capset")
    recorder.replace(syscalls, "capget", answer=(0, 0, 0))
    step = plan_of()["process"]
    program.become(Identity(1000, 1000, []), step, needs_admin=True)
    monkeypatch.undo()
    assert recorder.notes == [
        *("prctl", "setgroups", "setresgid", "setresuid", "umask", "chdir"),
        *("prctl", "capget", "capset"),
    ]


def test_no_more_is_kept_than_the_process_has(monkeypatch: pytest.MonkeyPatch) -> None:
    sets: list[tuple[int, int, int]] = []
    monkeypatch.setattr(syscalls, "capget", lambda: (0b111, 0b111, 0))
    monkeypatch.setattr(syscalls, "capset", lambda *given: sets.append(given))
    chosen = compile_plan({"process": {"args": ["x"]}})["process"]["capabilities"]
    chosen["effective"] = chosen["permitted"] = 0b1010
    chosen["inheritable"] = 0b1000
    program._apply(chosen, 0b100)
    assert sets == [(0b110, 0b110, 0)]


def test_the_bounding_set_loses_all_but_the_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[int] = []

    def prctl(_option: int, number: int) -> int:
        if number > 40:
            raise OSError(22, "invalid")
        dropped.append(number)
        return 0

    monkeypatch.setattr(syscalls, "prctl", prctl)
    capabilities.limit_bounding(0b101)
    assert dropped == [1, *range(3, 41)]


def test_a_failed_step_tells_its_name_and_the_kernels_words() -> None:
    with pytest.raises(StartFailed) as caught, Step("mount", "error mounting"):
        raise OSError(2, "No such file or directory", "/x")
    failure = caught.value
    assert failure.encode() == b"failed mount 2 error mounting: no such file or directory"


def test_an_inner_failure_keeps_its_own_step() -> None:
    with pytest.raises(StartFailed) as caught, Step("outer", "outer"):
        raise StartFailed("inner", 1, "inner text")
    assert (caught.value.step, str(caught.value)) == ("inner", "inner text")


def test_a_failure_is_one_line() -> None:
    assert StartFailed("x", 0, "two\nlines\n").encode() == b"failed x 0 two lines"
