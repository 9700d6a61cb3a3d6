from __future__ import annotations

import pytest

from runtime.api.times import unix_nanoseconds
from runtime.errors import EngineError


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("", None),
        ("0", 0),
        ("-1", None),
        ("-2", -2_000_000_000),
        ("5", 5_000_000_000),
        ("1700000000.5", 1_700_000_000_500_000_000),
        ("1.000000001", 1_000_000_001),
        ("1.0000000019", 1_000_000_001),
    ],
)
def test_time_is_nanoseconds(text: str, nanoseconds: int | None) -> None:
    assert unix_nanoseconds(text) == nanoseconds


@pytest.mark.parametrize("text", ["x", "1.x", "1.", ".5", " 1", "2026-01-01"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match="invalid syntax"):
        unix_nanoseconds(text)


def test_what_no_number_holds_is_out_of_range() -> None:
    with pytest.raises(EngineError, match="value out of range"):
        unix_nanoseconds("99999999999999999999")
