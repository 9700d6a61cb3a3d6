"""Records without compiled code."""

from __future__ import annotations

import pytest

from runtime.record import as_dict, field, fields, mutable, record, replace


@record
class Point:
    """A point."""

    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)

    def moved(self) -> Point:
        return replace(self, x=self.x + 1)


@mutable
class Box:
    """A box."""

    corner: Point
    name: str = "box"


def test_values_come_by_place_by_name_or_by_default() -> None:
    point = Point(1, tags=["a"])
    assert (point.x, point.y, point.tags) == (1, 2, ["a"])
    assert fields(Point) == ("x", "y", "tags")
    assert Point(1).tags is not Point(1).tags


def test_a_record_is_compared_by_its_values() -> None:
    assert Point(1) == Point(x=1, y=2)
    assert Point(1) != Point(2)
    assert Box(Point(1)) == Box(Point(1))
    assert not Point(1).__eq__(Box(Point(1)))


def test_a_record_cannot_be_changed_but_replaced() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="cannot be changed"):
        point.x = 5  # type: ignore[misc]
    assert point.moved() == Point(2)
    with pytest.raises(TypeError, match="no field 'z'"):
        replace(point, z=1)


def test_a_mutable_record_can_be_changed_and_has_no_hash() -> None:
    box = Box(Point(1))
    box.name = "crate"
    assert box.name == "crate"
    with pytest.raises(TypeError):
        hash(box)
    with pytest.raises(AttributeError):
        box.other = 1  # type: ignore[attr-defined]


def test_a_frozen_record_of_plain_values_has_a_hash() -> None:
    @record
    class Key:
        name: str

    assert len({Key("a"), Key("a"), Key("b")}) == 2


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), ((1, 2, [], 4), {}), ((1,), {"x": 1}), ((1,), {"q": 1})]
)
def test_wrong_values_are_refused(values: tuple[object, ...], named: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Point(*values, **named)  # type: ignore[arg-type]


def test_records_become_dictionaries() -> None:
    assert as_dict(Box(Point(1))) == {"corner": {"x": 1, "y": 2, "tags": []}, "name": "box"}


def test_a_representation_names_the_fields_and_never_runs_in_a_circle() -> None:
    assert repr(Point(1)) == "Point(x=1, y=2, tags=[])"
    assert repr(Box(Point(1))) == "Box(name='box')"


def test_a_record_can_be_matched() -> None:
    match Point(4):
        case Point(x, y=2):
            assert x == 4
        case _:
            raise AssertionError("not matched")
