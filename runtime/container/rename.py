"""``POST /containers/{id}/rename``: another name, known to DNS as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.container.links import rename_linked
from runtime.errors import Conflict, InvalidArgument

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.parts import Parts


def _reserve(parts: Parts, container: Container, name: str) -> str:
    prefix = "Error when allocating new name: "
    try:
        return parts.catalogue.reserve_name(f"/{name.removeprefix('/')}", container.id)
    except InvalidArgument as error:
        raise InvalidArgument(prefix + error.message) from error
    except Conflict as error:
        raise Conflict(prefix + error.message) from error


async def rename(parts: Parts, container: Container, name: str) -> None:
    """Give a container another name.

    Raises:
        InvalidArgument: the name is empty, forbidden, or the one it has.
        Conflict: another container has it.
    """
    if not name:
        raise InvalidArgument("Neither old nor new names may be empty")
    async with container.live.lock:
        old = container.name
        if name.removeprefix("/") == old:
            raise InvalidArgument("Renaming a container with the same name as its current name")
        new = _reserve(parts, container, name)
        container.name = new
        try:
            with parts.store.transaction() as transaction:
                parts.networks.rename(transaction, container.id, new)
                parts.catalogue.save(transaction, container, "rename", extra={"oldName": f"/{old}"})
                rename_linked(parts.catalogue, transaction, container)
        except BaseException:
            container.name = old
            parts.catalogue.release_name(new, container.id)
            raise
        parts.catalogue.release_name(old, container.id)
