"""The filter language."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies

from runtime.errors import InvalidArgument
from runtime.filters import Filters

KEYS = ("label", "label!", "name", "dangling")
LISTS = strategies.dictionaries(
    strategies.sampled_from(KEYS), strategies.lists(strategies.text(min_size=1), unique=True)
)


@given(LISTS)
def test_both_forms_mean_the_same(values: dict[str, list[str]]) -> None:
    as_lists = Filters.parse(json.dumps(values), KEYS)
    as_maps = Filters.parse(
        json.dumps({key: dict.fromkeys(entries, True) for key, entries in values.items()}), KEYS
    )
    assert all(as_lists.get(key) == as_maps.get(key) for key in KEYS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"foo": ["x"]}', "invalid filter 'foo'"),
        ("not json", "invalid filter"),
        ("[]", "invalid filter"),
        ('{"name": 3}', "invalid filter"),
        ('{"name": [3]}', "invalid filter"),
    ],
)
def test_bad_filters_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Filters.parse(text, KEYS)
    assert caught.value.message == message


def test_all_labels_must_match() -> None:
    filters = Filters.parse('{"label": ["a", "b=1"], "label!": ["c"]}', KEYS)
    assert filters.match_labels({"a": "", "b": "1"})
    assert not filters.match_labels({"a": "", "b": "2"})
    assert filters.match_not_labels({"a": ""})
    assert not filters.match_not_labels({"c": "x"})


def test_a_flag_is_true_or_false() -> None:
    assert Filters.parse("", KEYS).flag("dangling", default=True)
    assert not Filters.parse('{"dangling": ["0"]}', KEYS).flag("dangling", default=True)
    with pytest.raises(InvalidArgument):
        Filters.parse('{"dangling": ["maybe"]}', KEYS).flag("dangling", default=True)
