"""Top-level networks, volumes, configs, secrets and models of a project.

Field names and their order are those of the Compose specification as ``docker compose config``
prints them. ``name`` is the name on the engine, not the key in the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.record import EMPTY, record

if TYPE_CHECKING:
    from collections.abc import Mapping


@record
class AddressPool:
    """A subnet of a network."""

    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    aux_addresses: Mapping[str, str] = EMPTY
    extensions: Mapping[str, object] = EMPTY


@record
class IPAM:
    """Address management of a network."""

    driver: str = ""
    config: tuple[AddressPool, ...] = ()
    extensions: Mapping[str, object] = EMPTY


@record
class Network:
    """A network of the project, or one that exists already (``external``)."""

    name: str = ""
    driver: str = ""
    driver_opts: Mapping[str, str] = EMPTY
    ipam: IPAM = IPAM()
    external: bool = False
    internal: bool = False
    attachable: bool = False
    labels: Mapping[str, str] = EMPTY
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    extensions: Mapping[str, object] = EMPTY


@record
class Volume:
    """A named volume of the project, or one that exists already (``external``)."""

    name: str = ""
    driver: str = ""
    driver_opts: Mapping[str, str] = EMPTY
    external: bool = False
    labels: Mapping[str, str] = EMPTY
    extensions: Mapping[str, object] = EMPTY


@record
class FileObject:
    """Common part of configs and secrets: bytes from a file, a variable or the file itself.

    ``content`` holds the text of ``content:``, or for ``environment:`` the variable's value, which
    is never printed; ``None`` there means that the variable is unset.
    """

    name: str = ""
    file: str = ""
    environment: str = ""
    content: str | None = None
    external: bool = False
    labels: Mapping[str, str] = EMPTY
    driver: str = ""
    driver_opts: Mapping[str, str] = EMPTY
    template_driver: str = ""
    extensions: Mapping[str, object] = EMPTY


Config = FileObject
Secret = FileObject


@record
class Model:
    """A language model that services use through an endpoint."""

    name: str = ""
    model: str = ""
    context_size: int = 0
    runtime_flags: tuple[str, ...] = ()
    extensions: Mapping[str, object] = EMPTY
