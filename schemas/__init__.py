"""The JSON Schemas that both halves agree on, read from the package once and kept."""

from __future__ import annotations

import functools
import json
from importlib import resources


@functools.cache
def load(name: str) -> dict[str, object]:
    """Return the shipped schema ``<name>.json``; the caller must not change it.

    Args:
        name: file name without ending, such as ``compose-spec``.
    """
    text = resources.files("schemas").joinpath(f"{name}.json").read_text(encoding="utf-8")
    document: dict[str, object] = json.loads(text)
    return document
