"""Create: a request becomes a container with its directory, volumes and row.

Order (an intent ``create`` spans it, so that recovery undoes what was begun): row with name and
intent, directories, volumes and their copy-up, row without intent and the event.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from runtime.container.catalogue import KIND
from runtime.container.config import Request, complete, read_request
from runtime.container.container import Container, Health
from runtime.container.create_request import ENDPOINT
from runtime.container.document import flag, section, text, texts
from runtime.container.links import take_links
from runtime.container.mount_points import MountPoint, inherit, parse_volumes_from
from runtime.container.network_request import request_of
from runtime.container.security_checks import check_security, check_user_namespace
from runtime.container.working_directory import make_working_directory
from runtime.errors import EngineError, InvalidArgument, NotFound
from runtime.linux import paths
from runtime.names import new_id
from runtime.network.endpoint_settings import plain_mac
from runtime.record import replace

if TYPE_CHECKING:
    from runtime.container.parts import Parts
    from runtime.image.image_store import Image

JsonObject = dict[str, object]


INTENT = "create"
_IMAGE_MOUNT = "Image mount is an experimental feature"
ANONYMOUS_LABEL = "com.docker.volume.anonymous"
_PLATFORM_WORDS = {
    *("linux", "windows", "darwin", "freebsd", "amd64", "arm64", "arm", "386", "ppc64le", "s390x"),
    *("riscv64", "mips64le", "x86_64", "aarch64", "i386", "armhf", "armel", "x86-64"),
}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class Creator:
    """Makes containers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(
        self, name: str | None, body: JsonObject, platform: str | None = None
    ) -> tuple[str, list[str]]:
        """Create a container; returns its id and warnings.

        Raises:
            InvalidArgument: the request can never work.
            NotFound: image, network or a container it refers to is absent.
            Conflict: the name is taken.
        """
        request = read_request(body, self._parts.facts.lacking)
        self._parts.runtimes.find(text(request.host_config, "Runtime"))
        image = self._image(request, platform)
        identifier = new_id()
        complete(request, identifier, image.config, self._parts.facts)
        check_security(request.host_config)
        if self._parts.user_namespaces.map_of(request.host_config) is not None:
            check_user_namespace(request.host_config)
        self._check_lenders(request)
        self._complete_mounts(request)
        _check_mac(request)
        _complete_endpoints(request)
        links = take_links(self._parts.catalogue, request)
        own_name = self._parts.catalogue.reserve_name(name, identifier)
        try:
            self._parts.networks.check(request_of(identifier, own_name, request))
            container = _record(identifier, own_name, request, image)
            container.links = links
            await self._make(container)
        except BaseException:
            self._parts.catalogue.release_name(own_name, identifier)
            raise
        return identifier, request.warnings

    def _image(self, request: Request, platform: str | None) -> Image:
        reference = text(request.config, "Image")
        if not reference:
            raise InvalidArgument("no image specified: Image must not be empty")
        image = self._parts.images.resolve(reference)
        own = f"linux/{text(image.document, 'architecture')}"
        host = f"linux/{_MACHINES.get(os.uname().machine, os.uname().machine)}"
        if platform and "/" not in platform and platform not in _PLATFORM_WORDS:
            raise InvalidArgument(
                f'"{platform}": unknown operating system or architecture: invalid argument'
            )
        if platform and not platform.startswith(own):
            raise NotFound(
                f"image with reference {reference} was found but its platform ({own}) does not "
                f"match the specified platform ({platform})"
            )
        if not platform and own not in {"linux/", host}:
            request.warnings.append(
                f"The requested image's platform ({own}) does not match the detected host platform "
                f"({host}) and no specific platform was requested"
            )
        return image

    def _check_lenders(self, request: Request) -> None:
        """Refuse to borrow from containers that do not exist."""
        catalogue = self._parts.catalogue
        try:
            for key in ("IpcMode", "PidMode"):
                mode = text(request.host_config, key)
                if mode.startswith("container:"):
                    lender = catalogue.get(mode.removeprefix("container:"))
                    request.host_config[key] = f"container:{lender.id}"
            mode = text(request.host_config, "NetworkMode")
            if mode.startswith("container:"):
                with contextlib.suppress(NotFound):  # that is found at the start
                    lender = catalogue.get(mode.removeprefix("container:"))
                    request.host_config["NetworkMode"] = f"container:{lender.id}"
            for entry in texts(request.host_config, "VolumesFrom"):
                catalogue.get(parse_volumes_from(entry)[0])
        except NotFound as error:
            raise InvalidArgument(error.message) from error

    def _complete_mounts(self, request: Request) -> None:
        """Take over mounts of ``VolumesFrom``, add the ``Volumes``, name the anonymous ones."""
        taken = {mount.target for mount in request.mounts}
        for mount in request.mounts:
            if mount.type == "image":
                self._parts.images.resolve(mount.source)
                request.warnings.append(_IMAGE_MOUNT)
        for entry in texts(request.host_config, "VolumesFrom"):
            reference, mode = parse_volumes_from(entry)
            for mount in self._parts.catalogue.get(reference).mounts:
                if mount.listed and mount.target not in taken:
                    request.mounts.append(inherit(mount, mode))
                    taken.add(mount.target)
        for target in section(request.config, "Volumes"):
            clean = os.path.normpath(target)
            if clean == ".":
                raise InvalidArgument("invalid specification: destination can't be '/'")
            if clean not in taken:
                request.mounts.append(
                    MountPoint("volume", clean, driver="local", copy=True, anonymous=True)
                )
                taken.add(clean)
        request.mounts = [
            replace(mount, name=new_id()) if mount.type == "volume" and not mount.name else mount
            for mount in request.mounts
        ]

    async def _make(self, container: Container) -> None:
        parts = self._parts
        async with contextlib.AsyncExitStack() as undo:
            parts.catalogue.begin(container)
            undo.push_async_callback(undo_create, parts, container)
            with parts.store.transaction() as transaction:
                transaction.begin(INTENT, container.id)
                parts.catalogue.save(transaction, container)
            await parts.snapshotter.prepare(container.id, container.layers)
            await make_working_directory(parts, container)
            await self._make_volumes(container)
            with parts.store.transaction() as transaction:
                transaction.end(INTENT, container.id)
                parts.catalogue.save(transaction, container, "create")
            parts.catalogue.add(container)
            undo.pop_all()

    async def _make_volumes(self, container: Container) -> None:
        wanted = [mount for mount in container.mounts if mount.type == "volume"]
        if not wanted:
            return
        mounts: dict[str, MountPoint] = {}
        for mount in wanted:
            labels = dict(mount.volume_labels or {})
            if mount.anonymous:
                labels[ANONYMOUS_LABEL] = ""
            volume = self._parts.volumes.ensure(
                mount.name, mount.driver or "local", mount.driver_options, labels or None
            )
            source = self._parts.volumes.mountpoint(volume.name)
            mounts[mount.target] = replace(mount, source=source)
        container.mounts = [mounts.get(mount.target, mount) for mount in container.mounts]
        await self._copy_up(container)

    async def _copy_up(self, container: Container) -> None:
        """Fill new volumes with what the image has at their place.

        Raises:
            EngineError: the image has a file there.
        """
        parts = self._parts
        wanted = [mount for mount in container.mounts if mount.copy and not mount.subpath]
        if not wanted:
            return
        mapped = parts.id_map(container) is not None
        rootfs = await parts.snapshotter.view(container.layers, mapped=mapped)
        try:
            for mount in wanted:
                _require_directory(rootfs, mount)
                await parts.volumes.populate(mount.name, rootfs, mount.target)
        finally:
            os.close(rootfs)


def _require_directory(rootfs: int, mount: MountPoint) -> None:
    try:
        place = paths.open_in_root(rootfs, mount.target, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # it will be made
    try:
        if paths.is_directory(place):
            return
    finally:
        os.close(place)
    if mount.anonymous:
        raise EngineError(f"cannot mount volume over existing file, file exists {mount.target}")
    raise EngineError(f"source {mount.target} is not directory")


def _complete_endpoints(request: Request) -> None:
    """Name the network of the mode when the request names none."""
    mode = text(request.host_config, "NetworkMode")
    if "default" in request.endpoints:
        request.endpoints.setdefault("bridge", request.endpoints.pop("default"))
    address = text(request.config, "MacAddress")
    if mode.startswith("container:") or flag(request.config, "NetworkDisabled"):
        request.endpoints = {}
    elif not request.endpoints:
        request.endpoints = {mode: ENDPOINT({})}
    if address:
        _give_address(request, mode, address)
    own = text(request.endpoints.get(mode) or {}, "MacAddress")
    if own:
        request.config["MacAddress"] = own


def _give_address(request: Request, mode: str, address: str) -> None:
    """Give the container's own MAC address, an old field, to its first network."""
    settings = request.endpoints.get(mode)
    if settings is not None and not text(settings, "MacAddress"):
        settings["MacAddress"] = address
    request.warnings.append(
        "The container-wide MacAddress field is now deprecated. It should be specified in "
        "EndpointsConfig instead."
    )


def _check_mac(request: Request) -> None:
    """Refuse an address of the whole container that is none, or is not the main network's.

    Raises:
        InvalidArgument: in Docker's words.
    """
    address = text(request.config, "MacAddress")
    if not address:
        return
    mode = text(request.host_config, "NetworkMode")
    if not plain_mac(address):
        raise InvalidArgument(f"invalid config for network {mode}: invalid MAC address {address}")
    own = text(request.endpoints.get(mode, {}), "MacAddress")
    if own and own != address:
        raise InvalidArgument(
            "the container-wide MAC address must match the endpoint-specific MAC address for the "
            "main network, or be left empty"
        )


def _record(identifier: str, name: str, request: Request, image: Image) -> Container:
    config = request.config
    command = texts(config, "Entrypoint") + texts(config, "Cmd")
    test = texts(section(config, "Healthcheck"), "Test")
    return Container(
        id=identifier,
        name=name,
        created_ns=time.time_ns(),
        image=image.id,
        layers=list(image.layers),
        platform="linux",
        path=command[0],
        args=command[1:],
        config=config,
        host_config=request.host_config,
        endpoints=request.endpoints,
        mounts=request.mounts,
        image_environment=texts(image.config, "Env"),
        health=Health() if test and test[0] in {"CMD", "CMD-SHELL"} else None,
    )


async def undo_create(parts: Parts, container: Container) -> None:
    """Undo a create that did not come to its end; all steps are idempotent."""
    parts.catalogue.drop(container)
    parts.trash.discard(parts.directory(container))
    await parts.snapshotter.remove(container.id)
    await remove_anonymous_volumes(parts, container)
    with parts.store.transaction() as transaction:
        transaction.delete(KIND, container.id)
        transaction.end(INTENT, container.id)


async def remove_anonymous_volumes(parts: Parts, container: Container) -> None:
    """Remove the volumes that were made for this container alone and that nobody else uses."""
    for mount in container.mounts:
        if mount.type == "volume" and mount.anonymous and mount.name:
            with contextlib.suppress(EngineError):
                await parts.volumes.remove(mount.name, force=True)
