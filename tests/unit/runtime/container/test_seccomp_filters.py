"""Docker's own filters, recorded, and what the engine compiles for the same requests."""

from __future__ import annotations

import os

import pytest

from runtime.container.plan import compile_plan
from runtime.container.spec import Host, SpecInput, build_spec
from runtime.errors import EngineError, InvalidArgument
from runtime.linux import capabilities
from tests.support import recorded_filters, seccomp_cases
from tests.support.filter_difference import differences

CASES = [(group, name) for group, cases in seccomp_cases.all_cases().items() for name in cases]
STARTED = [case for case in CASES if recorded_filters.program(*case) is not None]
REFUSED = [case for case in CASES if recorded_filters.program(*case) is None]
# Whether somebody listens is found at the start: tests/integration/test_seccomp_agent.py.
LISTENER = ("refused", "notify with a listener")


@pytest.fixture(autouse=True)
def the_recorded_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = os.uname_result(("Linux", "recorded", "6.18.0", "#1", "x86_64"))
    monkeypatch.setattr(os, "uname", lambda: machine)


def compiled(group: str, name: str) -> tuple[bytes, int]:
    """Return the filter of a request ("" for none) and its bounding set."""
    request = seccomp_cases.all_cases()[group][name]
    spec = build_spec(
        SpecInput(
            container_id="c",
            config={"Cmd": ["true"]},
            host_config={"NetworkMode": "bridge", **request},
            host=Host(recorded_filters.available(), unified=False),
            mounts=[],
            cgroup="/c",
            hostname="c",
        )
    )
    process = spec["process"]
    assert isinstance(process, dict)
    bounding = capabilities.bits(process["capabilities"]["bounding"])
    return compile_plan(spec)["seccomp"] or b"", bounding


@pytest.mark.parametrize(("group", "name"), STARTED)
def test_every_call_is_decided_as_docker_decides_it(group: str, name: str) -> None:
    theirs = recorded_filters.program(group, name)
    ours, bounding = compiled(group, name)
    assert bounding == int(str(recorded_filters.recorded()[group][name]["bounding"]), 16)
    assert bool(ours) == bool(theirs)
    assert not theirs or list(differences(theirs, ours)) == []


@pytest.mark.parametrize(("group", "name"), [case for case in REFUSED if case != LISTENER])
def test_what_docker_refuses_is_refused_in_its_words(group: str, name: str) -> None:
    observed = recorded_filters.recorded()[group][name]
    ((_step, answer),) = observed.items()
    assert isinstance(answer, list)
    with pytest.raises(EngineError) as caught:
        compiled(group, name)
    assert str(caught.value) == answer[1]
    assert isinstance(caught.value, InvalidArgument) == (answer[0] == 400)


def test_the_comparison_sees_a_single_call_and_a_single_argument() -> None:
    default = recorded_filters.program("capabilities", "none")
    with_chroot = recorded_filters.program("capabilities", "add SYS_CHROOT")
    assert default is not None
    assert with_chroot is not None
    found = list(differences(default, with_chroot))
    assert any(line.startswith("call 161 of 0xc000003e") for line in found)
    one = recorded_filters.program("profiles", "compare GE")
    two = recorded_filters.program("profiles", "compare GT")
    assert one is not None
    assert two is not None
    assert any("arguments 6 2 0" in line for line in differences(one, two))
