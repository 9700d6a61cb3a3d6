"""The tree of errors."""

from __future__ import annotations

import pytest

from compose import errors
from compose.errors import Location, NotFound, ShoalError, engine_error, join


def classes() -> list[type[ShoalError]]:
    """Every error of the module."""
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [kind for kind in found if issubclass(kind, ShoalError)]


def test_the_drawing_names_every_error() -> None:
    drawing = (errors.__doc__ or "").split("\n\n")[2]
    drawn = {line.split("+- ")[-1].split()[0] for line in drawing.splitlines()}
    assert drawn == {kind.__name__ for kind in classes()}


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (Location("f"), "f"),
        (Location("f", 3), "f:3"),
        (Location("f", 3, 5), "f:3:5"),
    ],
)
def test_a_location_shows_what_is_known(location: Location, text: str) -> None:
    assert str(location) == text
    assert str(ShoalError("wrong", location=location)) == f"{text}: wrong"


def test_locations_are_equal_by_value() -> None:
    assert Location("f", 1, 2) == Location("f", 1, 2)
    assert len({Location("f", 1, 2), Location("f", 1, 2), Location("f", 1, 3)}) == 2


def test_a_status_of_the_engine_has_its_class() -> None:
    error = engine_error(404, "No such container: x")
    assert isinstance(error, NotFound)
    assert (error.status, str(error)) == (404, "No such container: x")


def test_an_unlisted_status_keeps_its_number() -> None:
    assert engine_error(418, "teapot").status == 418


def test_joined_errors_travel_with_the_first() -> None:
    first, second, third = (ShoalError(word) for word in ("one", "two", "three"))
    joined = join([first, second, third])
    assert joined is first
    assert joined.others == (second, third)


def test_exit_codes_follow_docker_compose() -> None:
    assert ShoalError("x").exit_code == 1
    assert errors.Interrupted("x").exit_code == 130
    assert ShoalError("x", exit_code=7).exit_code == 7
