"""Plans that take a project down, in words."""

from __future__ import annotations

from textwrap import dedent

from compose.model.record import replace
from compose.model.resources import Network, Volume
from compose.model.service import Dependency
from compose.reconciler import labels
from compose.reconciler.from_labels import project_of_labels
from compose.reconciler.teardown import (
    DownOptions,
    plan_down,
    plan_remove,
    plan_restart,
    plan_stop,
)
from tests.support.observations import container, network, observed, project, service, volume

A = service("a")
B = service("b", depends_on={"a": Dependency(restart=True)})
C = service("c", depends_on={"b": Dependency()})
EVERYTHING = project(A, B, C)
RUNNING = observed(EVERYTHING, container(C), container(B), container(A))


def text(golden: str) -> str:
    return dedent(golden).strip()


def test_down_goes_in_reverse_order_and_removes_the_network_last() -> None:
    assert str(plan_down(EVERYTHING, RUNNING, DownOptions())) == text(
        """
        1 stop p-c-1
        2 remove p-c-1 <- 1
        3 stop p-b-1 <- 2
        4 remove p-b-1 <- 3
        5 stop p-a-1 <- 2, 4
        6 remove p-a-1 <- 5
        7 remove network p_default <- 2, 4, 6
        """
    )


def test_down_of_one_service_leaves_its_dependants() -> None:
    plan = plan_down(EVERYTHING, RUNNING, DownOptions(services=("a",)))
    assert [str(op) for _, op in plan] == [
        "stop p-a-1",
        "remove p-a-1",
        "remove network p_default",
    ]


def test_down_removes_volumes_and_images_only_when_asked() -> None:
    built = service("a", image="")
    wanted = project(built, volumes={"v": Volume(name="p_v"), "e": Volume(external=True)})
    seen = observed(wanted, images=("p-a", "busybox"))
    assert str(plan_down(wanted, seen, DownOptions())) == "1 remove network p_default"
    options = DownOptions(volumes=True, images="local")
    assert [str(op) for _, op in plan_down(wanted, seen, options)] == [
        "remove network p_default",
        "remove volume p_v",
        "remove image p-a",
    ]


def test_pulled_images_go_with_all_only() -> None:
    seen = observed(EVERYTHING)
    local = plan_down(EVERYTHING, seen, DownOptions(images="local"))
    every = plan_down(EVERYTHING, seen, DownOptions(images="all"))
    assert "busybox" not in str(local)
    assert "remove image busybox" in str(every)


def test_networks_of_others_stay() -> None:
    wanted = project(A, networks={"default": Network(name="n"), "x": Network(external=True)})
    foreign = network(wanted.networks["default"], **{labels.PROJECT: "q"})
    seen = replace(observed(wanted), networks={"n": foreign})
    assert str(plan_down(wanted, seen, DownOptions())) == ""


def test_orphans_and_one_off_containers_go_when_asked() -> None:
    stray = container(service("old"))
    one_off = replace(container(A, 0), oneoff=True, name="p-a-run-1", id="r" * 64)
    seen = observed(project(A), stray, one_off)
    assert "p-old-1" not in str(plan_down(project(A), seen, DownOptions()))
    plan = plan_down(project(A), seen, DownOptions(remove_orphans=True))
    assert [str(op) for _, op in plan] == [
        "stop p-old-1",
        "remove p-old-1",
        "stop p-a-run-1",
        "remove p-a-run-1",
        "remove network p_default",
    ]


def test_stop_goes_in_reverse_order_of_the_named_services() -> None:
    assert str(plan_stop(EVERYTHING, RUNNING, ("a", "c"))) == text(
        """
        1 stop p-c-1
        2 stop p-a-1 <- 1
        """
    )


def test_restart_takes_along_what_asked_for_it() -> None:
    assert str(plan_restart(EVERYTHING, RUNNING, ("a",))) == text(
        """
        1 restart p-a-1
        2 restart p-b-1: depends on what is restarted <- 1
        """
    )
    alone = plan_restart(EVERYTHING, RUNNING, ("a",), dependants=False)
    assert str(alone) == "1 restart p-a-1"


def test_rm_removes_what_it_is_given() -> None:
    plan = plan_remove([container(A, state="exited")], volumes=True)
    assert str(plan) == "1 remove p-a-1"


def test_a_project_without_files_is_rebuilt_from_labels() -> None:
    marked = container(B, marks={labels.DEPENDS_ON: "a:service_healthy:true"})
    found = project_of_labels(
        "p",
        [marked, container(A, 2), container(A, 1)],
        [network(Network(name="p_default"))],
        [volume(Volume(name="p_v"), "v")],
    )
    assert sorted(found.services) == ["a", "b"]
    assert found.services["a"].scale == 2
    assert found.services["b"].depends_on["a"].condition == "service_healthy"
    assert found.services["b"].depends_on["a"].restart
    assert found.networks["default"].name == "p_default"
    assert found.volumes["v"].name == "p_v"
