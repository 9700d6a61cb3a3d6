"""Walks along the edges between services: what is needed by some, what needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def closure(edges: Mapping[str, Iterable[str]], names: Iterable[str]) -> set[str]:
    """The names and everything they depend on, directly or not."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found and name in edges:
            found.add(name)
            left += edges[name]
    return found


def reversed_edges(edges: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """What depends on each name."""
    back: dict[str, set[str]] = {name: set() for name in edges}
    for name, targets in edges.items():
        for target in targets:
            if target in back:
                back[target].add(name)
    return back
