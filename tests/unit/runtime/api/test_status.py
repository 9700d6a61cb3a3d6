from __future__ import annotations

import pytest

from runtime import errors
from runtime.api.status import STATUS, error_response, status_of

_KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.EngineError)
]


@pytest.mark.parametrize("kind", _KINDS)
def test_every_kind_has_a_status(kind: type[errors.EngineError]) -> None:
    assert kind in STATUS


def test_status_of_a_special_case_is_its_kind_s() -> None:
    class NameTaken(errors.Conflict):
        pass

    assert status_of(NameTaken("x")) == 409


@pytest.mark.parametrize(
    ("version", "kind", "body"),
    [
        ((1, 24), b"application/json", b'{"message":"gone"}\n'),
        ((1, 23), b"text/plain; charset=utf-8", b"gone\n"),
    ],
)
def test_old_clients_get_plain_text(version: tuple[int, int], kind: bytes, body: bytes) -> None:
    response = error_response(errors.NotFound("gone"), version, b"")
    assert response.status == 404
    assert response.headers.startswith(b"Content-Type: " + kind + b"\r\n")
    assert response.body == body
