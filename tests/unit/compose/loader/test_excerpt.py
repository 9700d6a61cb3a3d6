"""The lines around a mistake."""

from __future__ import annotations

from hypothesis import given, strategies as st

from compose.loader.excerpt import excerpt

TEXT = "services:\n  web:\n    imagee: x\n\n\tq: 1\n"


def test_the_line_and_the_one_before_are_shown_with_a_caret() -> None:
    assert excerpt(TEXT, 3, 5) == "2 |   web:\n3 |     imagee: x\n  |     ^"


def test_an_empty_line_before_is_left_out_and_tabs_stay_under_tabs() -> None:
    assert excerpt(TEXT, 5, 2) == "5 | \tq: 1\n  | \t^"


def test_the_first_line_stands_alone() -> None:
    assert excerpt(TEXT, 1, 0) == "1 | services:"


def test_a_place_outside_the_text_shows_nothing() -> None:
    assert excerpt(TEXT, 0, 0) == ""
    assert excerpt(TEXT, 9, 1) == ""


def test_a_long_line_is_cut_and_control_characters_are_not_sent_to_the_terminal() -> None:
    assert excerpt("a" * 200, 1, 150) == f"1 | {'a' * 97}..."
    assert excerpt("a\x1b[31m", 1, 1) == "1 | a?[31m\n  | ^"


@given(st.text(), st.integers(-1, 5), st.integers(-1, 200))
def test_any_place_can_be_shown(text: str, line: int, column: int) -> None:
    assert "\x1b" not in excerpt(text, line, column)
