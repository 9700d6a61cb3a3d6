"""Query strings, filters, path segments."""

from __future__ import annotations

import json
from urllib.parse import quote as reference

from hypothesis import given, strategies as st

from compose.engine.calls import filters_text, image_path, query_string, quote, segment


@given(st.text())
def test_encoding_equals_the_standard_librarys(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    assert quote(text) == reference(text, safe="")
    assert quote(text, "/:@") == reference(text, safe="/:@")


def test_what_is_not_set_is_left_out_and_lists_repeat_their_key() -> None:
    query = {"a": True, "b": False, "c": None, "d": "", "n": 0, "t": ["x", "y z"]}
    assert query_string(query) == "?a=1&n=0&t=x&t=y%20z"
    assert query_string({}) == ""


def test_a_zero_grace_is_sent() -> None:
    assert query_string({"t": 0}) == "?t=0"


def test_filters_are_json_lists() -> None:
    assert json.loads(filters_text({"label": ["a=b", "c"]})) == {"label": ["a=b", "c"]}
    assert filters_text(None) == ""


def test_names_cannot_leave_their_path_segment() -> None:
    assert segment("../x?y") == "..%2Fx%3Fy"
    assert image_path("reg:5000/a/b@sha256:1?x") == "reg:5000/a/b@sha256:1%3Fx"
