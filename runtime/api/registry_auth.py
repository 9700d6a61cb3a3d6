"""Credentials in ``X-Registry-Auth`` and ``X-Registry-Config`` (Docker Engine API)."""

from __future__ import annotations

import base64
import json

JsonObject = dict[str, object]


def decode_auth(text: str) -> JsonObject | None:
    """Return the JSON object of a base64url header, None when there is none.

    What cannot be read counts as none, as in the Docker Engine: the registry will then say that it
    wants credentials.
    """
    if not text:
        return None
    padded = text.translate(str.maketrans("+/", "-_")).rstrip("=")
    padded += "=" * (-len(padded) % 4)
    try:
        document = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and document else None
