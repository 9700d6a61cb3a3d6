"""Legacy links (``HostConfig.Links``): the names by which a container knows others.

A link is kept by the other one's id, so that names may change. On the default bridge it becomes a
line of ``/etc/hosts``, which follows the other one to its next address.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from runtime.container.container import Link
from runtime.container.document import text, texts
from runtime.container.networking import edit_in_place
from runtime.errors import EngineError, InvalidArgument, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.container.catalogue import Catalogue
    from runtime.container.config import Request
    from runtime.container.container import Container
    from runtime.container.parts import Parts
    from runtime.store import Transaction

_NO_LINKS = ("host", "none", "bridge", "default")

_log = logging.getLogger(__name__)


def parse_link(link: str) -> tuple[str, str]:
    """Return the container and the alias of ``CONTAINER[:ALIAS]``.

    Raises:
        EngineError: it has another form.
    """
    if not link:
        raise EngineError("empty string specified for links")
    target, *alias = link.split(":")
    if len(alias) > 1:
        raise EngineError(f"bad format for links: {link}")
    name = target.removeprefix("/")
    return name, (alias[0] if alias else name).rpartition("/")[2]


def take_links(catalogue: Catalogue, request: Request) -> list[Link]:
    """Resolve the links of a create request, and take them out of it.

    Raises:
        InvalidArgument: a container is absent.
        EngineError: a link has another form.
    """
    found = []
    for entry in texts(request.host_config, "Links"):
        name, alias = parse_link(entry)
        try:
            other = catalogue.get(name)
        except (NotFound, InvalidArgument) as error:
            message = f"could not get container for {name}: {error.message}"
            raise InvalidArgument(message) from error
        found.append(Link(other.id, other.name, alias))
    request.host_config["Links"] = None
    mode = text(request.host_config, "NetworkMode")
    return found if mode in _NO_LINKS or mode.startswith("container:") else []


def view(container: Container) -> list[str] | None:
    """Return ``HostConfig.Links`` as inspect shows it."""
    own = container.name
    return [f"/{link.name}:/{own}/{link.alias}" for link in container.links] or None


def rename_linked(catalogue: Catalogue, transaction: Transaction, container: Container) -> None:
    """Keep the new name of a container in the links that others have to it."""
    for holder in _holders(catalogue, container):
        for link in holder.links:
            if link.id == container.id:
                link.name = container.name
        catalogue.save(transaction, holder)


def remove_link(parts: Parts, ref: str) -> None:
    """Remove a link named ``CONTAINER/ALIAS``; both containers stay.

    As with Docker the hosts file of one that runs loses its other links too, until its next start.

    Raises:
        NotFound: there is none.
    """
    holder, alias = find_link(parts.catalogue, ref)
    gone = {link.alias for link in holder.links}
    holder.links = [link for link in holder.links if link.alias != alias]
    parts.catalogue.commit(holder)
    if holder.state.active and "bridge" in holder.endpoints:
        _edit_hosts(parts, holder, partial(_moved, aliases=gone, address=""))


def find_link(catalogue: Catalogue, ref: str) -> tuple[Container, str]:
    """Return whose link ``CONTAINER/ALIAS`` is, and its alias.

    Raises:
        NotFound: there is none.
    """
    name, _, alias = ref.removeprefix("/").partition("/")
    try:
        holder = catalogue.get(name)
    except NotFound:
        holder = None
    if holder is None or all(link.alias != alias for link in holder.links):
        raise NotFound(f"No such container: {ref}")
    return holder, alias


def update_hosts(parts: Parts, container: Container) -> None:
    """Write a started container's address into the hosts files of those that link to it."""
    holders = [
        holder
        for holder in _holders(parts.catalogue, container)
        if holder.state.active and "bridge" in holder.endpoints
    ]
    if not holders:
        return
    endpoint = parts.networks.endpoints(container.id, container.endpoints).get("bridge")
    address = text(endpoint, "IPAddress") if endpoint is not None else ""
    for holder in holders if address else ():
        aliases = {link.alias for link in holder.links if link.id == container.id}
        _edit_hosts(parts, holder, partial(_moved, aliases=aliases, address=address))


def _edit_hosts(parts: Parts, holder: Container, edit: Callable[[bytes], bytes]) -> None:
    try:
        edit_in_place(os.path.join(parts.directory(holder), "hosts"), edit)
    except OSError as error:
        _log.warning("hosts file of %s: %s", holder.name, error)


def _moved(current: bytes, *, aliases: set[str], address: str) -> bytes:
    """Give the lines of some names another address, or take them away when it is empty."""
    lines = []
    for line in current.split(b"\n"):
        _, tab, names = line.partition(b"\t")
        first = names.split(b" ", 1)[0].decode(errors="replace")
        if first not in aliases:
            lines.append(line)
        elif address:
            lines.append(address.encode() + tab + names)
    return b"\n".join(lines)


def _holders(catalogue: Catalogue, container: Container) -> Iterator[Container]:
    for other in catalogue:
        if any(link.id == container.id for link in other.links):
            yield other
