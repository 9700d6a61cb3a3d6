"""Checks of response bodies against `schemas/engine-api.json`."""

from __future__ import annotations

from functools import cache

import jsonschema

import schemas


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        {**schemas.load("engine-api"), "$ref": f"#/$defs/{name}"}
    )


def check_body(name: str, document: object) -> None:
    """Raise an error that names the place when a body does not fit its definition."""
    for error in _validator(name).iter_errors(document):
        place = "/".join(str(part) for part in error.absolute_path)
        raise AssertionError(f"{name}: {place or 'body'}: {error.message[:300]}")
