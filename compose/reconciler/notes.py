"""What of a project has no effect here: said once, instead of being dropped in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from compose.model.build import FileReference
    from compose.model.project import Project
    from compose.model.service import Service


def project_notes(project: Project) -> list[str]:
    """Warnings about attributes that cannot be honoured."""
    return [note for service in project.services.values() for note in _notes(project, service)]


def _notes(project: Project, service: Service) -> Iterator[str]:
    name = service.name
    if service.provider is not None:
        yield f'service "{name}": providers are not supported, it is left out'
    if service.models:
        yield f'service "{name}": models are not supported, it gets no model endpoint'
    if service.use_api_socket:
        yield f'service "{name}": use_api_socket is not supported, mount the socket as a volume'
    if service.credential_spec is not None:
        yield f'service "{name}": credential_spec has no effect on Linux'
    for kind, references, objects in (
        ("secrets", service.secrets, project.secrets),
        ("configs", service.configs, project.configs),
    ):
        bound = (one for one in references if one.source in objects and objects[one.source].file)
        if _owned(bound):
            yield (
                f'service "{name}": {kind} `uid`, `gid` and `mode` are not supported for files,'
                " they will be ignored"
            )


def _owned(references: Iterable[FileReference]) -> bool:
    return any(one.uid or one.gid or one.mode is not None for one in references)
