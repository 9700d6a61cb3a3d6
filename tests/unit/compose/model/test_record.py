"""Records behave like frozen, slotted, keyword-only dataclasses."""

from __future__ import annotations

import pickle

import pytest

from compose.model.build import Build
from compose.model.record import fields, is_default, record, replace
from compose.model.service import Port, Service


@record
class Pair:
    """Two values, one with a default."""

    first: int
    second: str = "two"


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(TypeError, match="Pair needs 'first'"):
        Pair()  # type: ignore[call-arg]


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="no field 'third'"):
        Pair(first=1, third=3)  # type: ignore[call-arg]


def test_a_record_cannot_be_changed() -> None:
    pair = Pair(first=1)
    with pytest.raises(AttributeError, match="immutable"):
        pair.first = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del pair.first
    assert not hasattr(pair, "__dict__")


def test_equality_looks_at_the_kind_and_all_fields() -> None:
    assert Pair(first=1) == Pair(first=1, second="two")
    assert Pair(first=1) != Pair(first=2)
    other: object = (1, "two")
    assert Pair(first=1) != other


def test_a_record_with_maps_can_be_hashed() -> None:
    one, same = (Service(name="a", environment={"A": "1"}, ports=(Port(),)) for _ in range(2))
    assert hash(one) == hash(same)
    assert len({one, same, Service(name="a")}) == 2


def test_replace_gives_a_changed_copy() -> None:
    service = Service(name="web", image="a")
    changed = replace(service, image="b")
    assert (service.image, changed.image, changed.name) == ("a", "b", "web")
    with pytest.raises(TypeError, match="no field 'imagee'"):
        replace(service, imagee="b")


def test_the_text_shows_only_what_differs_from_the_defaults() -> None:
    assert repr(Pair(first=1)) == "Pair(first=1)"
    assert repr(Pair(first=1, second="x")) == "Pair(first=1, second='x')"


def test_false_is_not_the_default_of_a_tri_state() -> None:
    assert is_default(Service(name="a"), "init")
    assert not is_default(Service(name="a", init=False), "init")


def test_fields_keep_their_order() -> None:
    assert list(fields(Build))[:3] == ["context", "dockerfile", "dockerfile_inline"]


def test_a_record_survives_pickling() -> None:
    service = Service(name="web", ports=(Port(target=80),), environment={"A": None})
    assert pickle.loads(pickle.dumps(service)) == service
