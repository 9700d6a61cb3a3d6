"""Names, numbers and ids of containers while a plan is carried out."""

from __future__ import annotations

from compose.model.record import replace
from compose.reconciler.register import Register
from tests.support.observations import container, service

A = service("a")
FIRST, SECOND = container(A, 1), container(A, 2)


def test_the_lowest_number_stands_for_a_service() -> None:
    assert Register([SECOND, FIRST]).first_ids() == {"a": FIRST.id}


def test_one_off_containers_stand_for_nothing() -> None:
    one_off = replace(FIRST, oneoff=True)
    register = Register([one_off])
    assert register.first_ids() == {}
    assert register.id_of(one_off.name) == one_off.id


def test_a_replacement_takes_the_place_of_the_old_container() -> None:
    register = Register([FIRST, SECOND])
    register.add("a", 1, "tmp_p-a-1", "new")
    register.remove(FIRST)
    register.rename("tmp_p-a-1", "p-a-1")
    assert register.first_ids() == {"a": "new"}
    assert register.members("a") == [(1, "p-a-1"), (2, "p-a-2")]
    assert register.ids() == {"p-a-1": "new", "p-a-2": SECOND.id}


def test_a_removed_container_is_gone() -> None:
    register = Register([FIRST])
    register.remove(FIRST)
    assert register.first_ids() == {}
    assert register.members("a") == []
