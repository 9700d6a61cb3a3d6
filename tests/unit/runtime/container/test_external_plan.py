"""The bundle of an external runtime: only words of the standard are left in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.config import RuntimeProgram
from runtime.container.document import section, sections, text
from runtime.container.external_plan import external_plan, runtime_step
from runtime.container.identity import Identity
from runtime.container.plan import compile_plan
from runtime.container.rootfs import GIVEN

if TYPE_CHECKING:
    from runtime.container.plan_types import RuntimeStep

JsonObject = dict[str, object]
WHO = Identity(1000, 100, [100, 44])


def _step() -> RuntimeStep:
    program = RuntimeProgram("/usr/sbin/runc", ("--debug",))
    return runtime_step(program, "c" * 64, "/run/tasks/c.1", "/run/tasks/c.1")


def _spec(*mounts: JsonObject) -> JsonObject:
    return {
        "ociVersion": "1.2.0",
        "process": {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "mounts": list(mounts),
        "linux": {
            "cgroupsPath": "/shoal/c",
            "namespaces": [{"type": "mount"}],
            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"},
        },
    }


def _bind(source: str, target: str, **more: object) -> JsonObject:
    return {
        "type": "bind",
        "source": source,
        "destination": target,
        "options": ["rbind", "ro"],
        **more,
    }


def test_a_user_is_written_as_numbers_and_the_filter_stays() -> None:
    spec = _spec()
    document = external_plan(compile_plan(spec), spec, _step(), WHO)["spec"]
    assert section(document, "process")["user"] == {
        "uid": 1000,
        "gid": 100,
        "additionalGids": [100, 44],
    }
    assert section(section(document, "linux"), "seccomp") == {"defaultAction": "SCMP_ACT_ALLOW"}


def test_what_only_the_engine_can_open_is_attached_in_the_bundle() -> None:
    given = f"{GIVEN}/img"
    spec = _spec(
        _bind("/srv", "/srv"),
        _bind(given, "/img"),
        _bind("/volumes/v/_data", "/part", subpath="a/b"),
    )
    plan = external_plan(compile_plan(spec), spec, _step(), WHO)
    mounts = sections(plan["spec"], "mounts")
    assert [text(mount, "source") for mount in mounts] == [
        "/srv",
        "/run/tasks/c.1/mounts/0",
        "/run/tasks/c.1/mounts/1",
    ]
    assert not any("subpath" in mount for mount in mounts)
    assert [dict(mount) for mount in plan["runtime"]["mounts"]] == [
        {"source": given, "subpath": "", "recursive": True, "place": "mounts/0"},
        {"source": "/volumes/v/_data", "subpath": "a/b", "recursive": True, "place": "mounts/1"},
    ]


def test_the_shim_is_told_what_it_needs_and_init_nothing() -> None:
    spec = _spec()
    plan = external_plan(compile_plan(spec, stdin=True), spec, _step(), WHO)
    assert plan["stdin"]
    assert plan["cgroup"] == "/shoal/c"
    assert "root" not in plan
    assert plan["runtime"]["arguments"] == ["--debug"]


def test_an_execs_document_is_its_process() -> None:
    spec = _spec()
    step = runtime_step(RuntimeProgram("runc"), "c", "/run/tasks/exec", "/run/tasks/c.1")
    plan = external_plan(compile_plan(spec, kind="exec"), spec, step, WHO)
    assert plan["spec"]["args"] == ["true"]
    assert "process" not in plan["spec"]
    assert plan["runtime"]["state"] == "/run/tasks/c.1/state"
