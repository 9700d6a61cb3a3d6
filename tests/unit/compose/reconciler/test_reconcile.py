"""Every rule of ``up`` as a plan in words."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from compose.errors import ShoalError
from compose.model.record import replace
from compose.model.resources import Network, Volume
from compose.model.service import Dependency, Mount
from compose.reconciler import labels
from compose.reconciler.draft import FORCE, NEVER, UpOptions
from compose.reconciler.observed import Container, Image, Observed
from compose.reconciler.plan import CREATE
from compose.reconciler.reconcile import diverged_volumes, reconcile
from tests.support.observations import (
    changed,
    container,
    network,
    observed,
    project,
    service,
    volume,
)

if TYPE_CHECKING:
    from compose.model.project import Project

A = service("a")
B = service("b", depends_on={"a": Dependency()})
NOTHING = UpOptions()


def plan_text(wanted: Project, seen: Observed, options: UpOptions = NOTHING) -> str:
    return str(reconcile(wanted, seen, options))


def text(golden: str) -> str:
    return dedent(golden).strip()


def test_on_an_empty_engine_everything_is_made_then_started_in_order() -> None:
    wanted = project(A, B, volumes={"data": Volume(name="p_data")})
    images = {"busybox": Image(id="sha256:1")}
    assert plan_text(wanted, Observed(images=images)) == text(
        """
        1 create network p_default: missing
        2 create volume p_data: missing
        3 create p-a-1: missing <- 1
        4 create p-b-1: missing <- 1
        5 gate everything is made <- 1, 2, 3, 4
        6 start p-a-1: created <- 5
        7 start p-b-1: created <- 5, 6
        """
    )


def test_a_second_up_keeps_everything() -> None:
    wanted = project(A, B)
    plan = reconcile(wanted, observed(wanted, container(A), container(B)), NOTHING)
    assert str(plan) == text(
        """
        1 keep p-a-1
        2 keep p-b-1
        """
    )
    assert not plan.changes
    assert plan.explain() == []


def test_a_changed_variable_recreates_that_service_alone_and_says_so() -> None:
    old = service("a", environment={"LOG_LEVEL": "info"})
    new = service("a", environment={"LOG_LEVEL": "debug"})
    wanted = project(new, B)
    plan = reconcile(wanted, observed(wanted, container(old), container(B)), NOTHING)
    assert str(plan) == text(
        """
        1 create a10000000000_p-a-1: environment.LOG_LEVEL "info" -> "debug"
        2 stop p-a-1 <- 1
        3 remove p-a-1 <- 2
        4 rename a10000000000_p-a-1 to p-a-1 <- 3
        5 keep p-b-1
        6 gate everything is made <- 1, 2, 3, 4, 5
        7 start p-a-1: recreated <- 6
        """
    )
    assert plan.explain() == ['a: recreate p-a-1: environment.LOG_LEVEL "info" -> "debug"']


def test_a_dependant_that_asked_for_it_is_restarted_when_its_dependency_is_recreated() -> None:
    follower = service("b", depends_on={"a": Dependency(restart=True)})
    wanted = project(service("a", tty=True), follower)
    seen = observed(wanted, container(A), container(follower))
    assert plan_text(wanted, seen) == text(
        """
        1 create a10000000000_p-a-1: tty true added
        2 stop p-b-1: depends on "a", which is recreated
        3 stop p-a-1 <- 1, 2
        4 remove p-a-1 <- 3
        5 rename a10000000000_p-a-1 to p-a-1 <- 4
        6 gate everything is made <- 1, 2, 3, 4, 5
        7 start p-a-1: recreated <- 6
        8 start p-b-1: depends on "a", which is recreated <- 6, 7
        """
    )


def test_what_shares_a_namespace_with_a_recreated_container_is_recreated_too() -> None:
    user = service("b", network_mode="service:a", networks={}, depends_on={"a": Dependency()})
    wanted = project(service("a", tty=True), user)
    ids = {"a": container(A).id}
    seen = observed(wanted, container(A), container(user, ids=ids))
    plan = reconcile(wanted, seen, NOTHING)
    assert plan.explain() == [
        "a: recreate p-a-1: tty true added",
        'b: recreate p-b-1: shares namespaces or volumes of "a", which is new',
    ]


def test_what_shares_a_namespace_with_a_kept_container_is_kept() -> None:
    user = service("b", network_mode="service:a", networks={}, depends_on={"a": Dependency()})
    wanted = project(A, user)
    seen = observed(wanted, container(A), container(user, ids={"a": container(A).id}))
    assert not reconcile(wanted, seen, NOTHING).changes


def test_a_new_image_recreates() -> None:
    wanted = project(A)
    seen = replace(
        observed(wanted, container(A)), images={"busybox": Image(id="sha256:" + "2" * 64)}
    )
    assert reconcile(wanted, seen, NOTHING).explain() == [
        "a: recreate p-a-1: image 111111111111 -> 222222222222"
    ]


def test_an_image_that_a_dry_run_would_pull_may_recreate() -> None:
    wanted = project(A)
    options = UpOptions(fresh_images=("busybox",))
    assert reconcile(wanted, observed(wanted, container(A)), options).explain() == [
        "a: recreate p-a-1: image busybox may change"
    ]


def test_a_running_container_off_its_network_is_recreated_a_stopped_one_is_not() -> None:
    wanted = project(A)
    off = replace(container(A), networks={})
    assert reconcile(wanted, observed(wanted, off), NOTHING).explain() == [
        "a: recreate p-a-1: not attached to network p_default"
    ]
    stopped = replace(off, state="exited")
    assert reconcile(wanted, observed(wanted, stopped), NOTHING).explain() == [
        "a: start p-a-1: is exited"
    ]


def test_a_stopped_container_on_a_network_that_is_gone_is_recreated() -> None:
    wanted = project(A)
    stale = replace(container(A), state="exited", networks={"p_default": "gone"})
    assert reconcile(wanted, observed(wanted, stale), NOTHING).explain() == [
        "a: recreate p-a-1: network p_default was made anew"
    ]


def test_a_named_volume_that_is_not_mounted_recreates() -> None:
    mounting = service("a", volumes=(Mount(type="volume", source="data", target="/d"),))
    wanted = project(mounting, volumes={"data": Volume(name="p_data")})
    mounted = container(mounting, mounts=[{"Type": "volume", "Name": "p_data"}])
    assert not reconcile(wanted, observed(wanted, mounted), NOTHING).changes
    other = container(mounting, mounts=[{"Type": "volume", "Name": "p_old"}])
    assert reconcile(wanted, observed(wanted, other), NOTHING).explain() == [
        "a: recreate p-a-1: volume p_data not mounted"
    ]


def test_no_recreate_keeps_what_differs_and_force_replaces_what_does_not() -> None:
    wanted = project(service("a", tty=True), B)
    seen = observed(wanted, container(A), container(B))
    assert not reconcile(wanted, seen, UpOptions(recreate=NEVER)).changes
    forced = UpOptions(services=("b",), recreate=FORCE)
    assert reconcile(wanted, seen, forced).explain() == [
        "a: recreate p-a-1: tty true added",
        "b: recreate p-b-1: forced",
    ]


def test_a_container_without_shoals_label_still_tells_that_it_differs() -> None:
    wanted = project(service("a", tty=True))
    old = container(A)
    bare = {key: value for key, value in old.labels.items() if key != labels.SHOAL_CONFIG}
    seen = observed(wanted, replace(old, labels=bare))
    assert reconcile(wanted, seen, NOTHING).explain() == ["a: recreate p-a-1: config hash differs"]


def test_scaling_up_continues_after_the_highest_number() -> None:
    wanted = project(changed(A, scale=4))
    seen = observed(wanted, container(A, 4), container(A, 3), container(A, 1))
    assert reconcile(wanted, seen, NOTHING).explain() == ["a: create p-a-5: scaled up"]


def test_scaling_down_removes_the_highest_numbers() -> None:
    wanted = project(changed(A, scale=1))
    seen = observed(wanted, container(A, 3), container(A, 2), container(A, 1))
    assert reconcile(wanted, seen, NOTHING).explain() == [
        "a: remove p-a-2: scaled down",
        "a: remove p-a-3: scaled down",
    ]


def test_scaling_down_removes_diverged_containers_first() -> None:
    new = service("a", tty=True)
    wanted = project(new)
    seen = observed(wanted, container(new, 4), container(A, 3), container(A, 1))
    assert reconcile(wanted, seen, NOTHING).explain() == [
        "a: remove p-a-3: scaled down",
        "a: remove p-a-1: scaled down",
    ]


def test_scaling_down_among_diverged_ones_keeps_the_newest() -> None:
    wanted = project(A)
    seen = observed(wanted, container(A, 2), container(A, 1))
    assert reconcile(wanted, seen, UpOptions(recreate=FORCE)).explain() == [
        "a: remove p-a-1: scaled down",
        "a: recreate p-a-2: forced",
    ]


def test_a_service_with_zero_replicas_loses_its_containers() -> None:
    wanted = project(changed(A, scale=0))
    assert reconcile(wanted, observed(wanted, container(A)), NOTHING).explain() == [
        "a: remove p-a-1: scaled down"
    ]


def test_a_stopped_container_is_started_not_recreated() -> None:
    wanted = project(A)
    seen = observed(wanted, container(A, state="exited"))
    assert plan_text(wanted, seen) == "1 start p-a-1: is exited"


def test_conditions_become_waits_shared_by_their_dependants() -> None:
    healthy = {"a": Dependency(condition="service_healthy")}
    wanted = project(A, service("b", depends_on=healthy), service("c", depends_on=healthy))
    images = {"busybox": Image(id="sha256:1")}
    plan = reconcile(wanted, replace(observed(wanted), images=images), NOTHING)
    assert str(plan) == text(
        """
        1 create p-a-1: missing
        2 create p-b-1: missing
        3 create p-c-1: missing
        4 gate everything is made <- 1, 2, 3
        5 start p-a-1: created <- 4
        6 wait for a service_healthy <- 5
        7 start p-b-1: created <- 4, 6
        8 start p-c-1: created <- 4, 6
        """
    )
    waits = [op for _, op in plan if "wait" in str(op)]
    assert getattr(waits[0], "dependants", ()) == ("b", "c")


def test_a_dependency_that_is_listed_as_healthy_is_not_waited_for() -> None:
    dependant = service("b", depends_on={"a": Dependency(condition="service_healthy")})
    wanted = project(A, dependant)
    stopped = container(dependant, state="exited")
    well = container(A, status="Up 2 minutes (healthy)")
    assert plan_text(wanted, observed(wanted, well, stopped)) == text(
        """
        1 keep p-a-1
        2 gate everything is made <- 1
        3 start p-b-1: is exited <- 2
        """
    )
    ill = container(A, status="Up 2 minutes (health: starting)")
    assert "wait for a service_healthy" in plan_text(wanted, observed(wanted, ill, stopped))


def test_an_optional_dependency_is_waited_for_as_such() -> None:
    optional = Dependency(condition="service_healthy", required=False)
    wanted = project(A, service("b", depends_on={"a": optional}))
    assert "wait for a service_healthy (optional)" in plan_text(wanted, observed(wanted))


def test_wait_ends_with_a_look_at_every_service() -> None:
    job = {"a": Dependency(condition="service_completed_successfully")}
    wanted = project(A, service("b", depends_on=job))
    lines = plan_text(wanted, observed(wanted), UpOptions(wait=True)).splitlines()
    assert lines[-2:] == [
        "7 wait for a service_completed_successfully <- 4, 6",
        "8 wait for b running_or_healthy <- 4, 6",
    ]


def test_only_the_create_phase_can_be_carried_out() -> None:
    wanted = project(A)
    assert str(reconcile(wanted, observed(wanted), NOTHING).phase(CREATE)) == text(
        """
        1 create p-a-1: missing
        2 gate everything is made <- 1
        """
    )


def test_links_and_container_names() -> None:
    wanted = project(
        service("a", container_name="solo"),
        service("b", links=("a:x",), depends_on={"a": Dependency(restart=True)}),
    )
    assert plan_text(wanted, observed(wanted)).splitlines()[:2] == [
        "1 create solo: missing",
        "2 create p-b-1: missing <- 1",
    ]


# Networks


def test_a_changed_network_is_made_anew_and_its_containers_are_kept() -> None:
    wanted = project(A)
    old = network(Network(name="p_default", internal=True))
    seen = replace(observed(wanted, container(A)), networks={"p_default": old})
    assert plan_text(wanted, seen) == text(
        """
        1 stop p-a-1: network p_default is recreated
        2 disconnect p-a-1 from p_default: network p_default is recreated <- 1
        3 remove network p_default: config hash differs <- 2
        4 create network p_default: config hash differs <- 3
        5 connect p-a-1 to p_default <- 4
        6 gate everything is made <- 1, 2, 3, 4, 5
        7 start p-a-1: network p_default is recreated <- 6
        """
    )


def test_a_missing_external_network_is_an_error() -> None:
    wanted = project(A, networks={"default": Network(name="out", external=True)})
    with pytest.raises(ShoalError, match="network out declared as external, but could not be"):
        reconcile(wanted, Observed(), NOTHING)


def test_a_network_of_another_key_is_an_error() -> None:
    wanted = project(A)
    seen = replace(
        observed(wanted), networks={"p_default": network(wanted.networks["default"], "other")}
    )
    with pytest.raises(ShoalError, match=r'incorrect label .* set to "other"'):
        reconcile(wanted, seen, NOTHING)


def test_a_network_of_another_project_is_used_with_a_warning() -> None:
    wanted = project(A)
    foreign = network(wanted.networks["default"])
    foreign["Labels"] = {labels.PROJECT: "q", labels.NETWORK: "default"}
    seen = replace(observed(wanted), networks={"p_default": foreign})
    plan = reconcile(wanted, seen, NOTHING)
    assert 'was not created for project "p"' in plan.notes[0]
    assert "network" not in str(plan)


# Volumes


def test_a_missing_external_volume_is_an_error() -> None:
    wanted = project(A, volumes={"v": Volume(name="v", external=True)})
    seen = replace(observed(wanted), volumes={})
    with pytest.raises(ShoalError, match='external volume "v" not found'):
        reconcile(wanted, seen, NOTHING)


def test_a_volume_of_another_project_is_used_with_a_warning() -> None:
    wanted = project(A, volumes={"v": Volume(name="p_v")})
    foreign = volume(wanted.volumes["v"], "v", **{labels.PROJECT: "q"})
    seen = replace(observed(wanted), volumes={"p_v": foreign})
    notes = reconcile(wanted, seen, NOTHING).notes
    assert notes[0].startswith('volume "p_v" already exists but was created for project "q"')


def test_a_changed_volume_is_replaced_only_when_the_user_agreed() -> None:
    mounting = service("a", volumes=(Mount(type="volume", source="v", target="/d"),))
    wanted = project(mounting, volumes={"v": Volume(name="p_v", driver_opts={"o": "1"})})
    running = container(mounting, mounts=[{"Type": "volume", "Name": "p_v"}])
    old = volume(Volume(name="p_v"), "v")
    seen = replace(observed(wanted, running), volumes={"p_v": old})
    assert diverged_volumes(wanted, seen) == ["p_v"]
    assert not reconcile(wanted, seen, NOTHING).changes
    assert plan_text(wanted, seen, UpOptions(replace_volumes=("p_v",))) == text(
        """
        1 stop p-a-1: volume p_v is recreated
        2 remove p-a-1: volume p_v is recreated <- 1
        3 remove volume p_v: config hash differs <- 2
        4 create volume p_v: config hash differs <- 3
        5 create p-a-1: missing <- 4
        6 gate everything is made <- 1, 2, 3, 4, 5
        7 start p-a-1: created <- 6
        """
    )


# Orphans


def stray(**fields: object) -> Container:
    return replace(container(service("old")), **fields)


def test_orphans_are_reported_or_removed() -> None:
    wanted = project(A)
    seen = observed(wanted, container(A), stray())
    plan = reconcile(wanted, seen, NOTHING)
    assert plan.notes[0].startswith("Found orphan containers ([p-old-1]) for this project.")
    assert reconcile(wanted, seen, UpOptions(ignore_orphans=True)).notes == []
    assert plan_text(wanted, seen, UpOptions(remove_orphans=True)) == text(
        """
        1 stop p-old-1: orphan
        2 remove p-old-1: no service "old" in the project <- 1
        3 keep p-a-1
        """
    )


def test_ended_one_off_containers_are_orphans_running_ones_are_not() -> None:
    wanted = project(A)
    seen = observed(wanted, container(A), stray(oneoff=True, service="a"))
    assert reconcile(wanted, seen, NOTHING).notes == []
    ended = observed(wanted, container(A), stray(oneoff=True, service="a", state="exited"))
    assert len(reconcile(wanted, ended, NOTHING).notes) == 1


def test_services_of_inactive_profiles_are_no_orphans() -> None:
    wanted = project(A, disabled_services={"old": service("old")})
    assert reconcile(wanted, observed(wanted, container(A), stray()), NOTHING).notes == []
