"""Warnings about what has no effect."""

from __future__ import annotations

import pytest

from compose.model.build import FileReference
from compose.model.resources import FileObject
from compose.model.service import CredentialSpec, Provider
from compose.model.units import FileMode
from compose.reconciler.notes import project_notes
from tests.support.observations import project, service


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"provider": Provider(type="x")}, "providers"),
        ({"models": {"llm": None}}, "models"),
        ({"use_api_socket": True}, "use_api_socket"),
        ({"credential_spec": CredentialSpec(file="x")}, "credential_spec"),
    ],
)
def test_what_has_no_effect_is_named(fields: dict[str, object], word: str) -> None:
    (note,) = project_notes(project(service("a", **fields)))
    assert note.startswith('service "a": ')
    assert word in note


def test_modes_count_for_contents_and_not_for_files() -> None:
    one = service("a", secrets=(FileReference(source="s", mode=FileMode(0o400)),))
    bound = project(one, secrets={"s": FileObject(file="/f")})
    copied = project(one, secrets={"s": FileObject(content="x")})
    assert "secrets `uid`, `gid` and `mode`" in project_notes(bound)[0]
    assert project_notes(copied) == []


def test_an_ordinary_project_has_no_notes() -> None:
    assert project_notes(project(service("a"), service("b"))) == []
