"""One coroutine for each kind of operation: an engine call or two, and the events it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import Conflict, EngineError, Forbidden, NotFound, ShoalError
from compose.progress import DONE, ERROR, WARNING, WORKING, Event
from compose.reconciler.container_body import (
    Identity,
    container_body,
    resolve_references,
    volumes_from,
)
from compose.reconciler.hooks import run_hooks
from compose.reconciler.mounts import inherited_mounts, inline_files
from compose.reconciler.network_body import endpoint_settings, network_body, volume_body
from compose.reconciler.observed import image_name, look_at_images
from compose.reconciler.plan import (
    BuildImage,
    Connect,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Disconnect,
    Gate,
    KeepContainer,
    PullImage,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    RenameContainer,
    RestartContainer,
    StartContainer,
    StopContainer,
    WaitFor,
)
from compose.reconciler.register import Register

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from compose.engine.client import EngineClient
    from compose.engine.wire import Mount
    from compose.model.project import Project
    from compose.model.service import Service
    from compose.progress import Progress
    from compose.reconciler.hooks import HookOutput
    from compose.reconciler.observed import Container, Observed
    from compose.reconciler.plan import Operation
    from compose.reconciler.waiting import Waiter

STILL_IN_USE = "Resource is still in use"


class Operations:
    """Does the operations of one plan and remembers the ids of what they made."""

    def __init__(
        self,
        client: EngineClient,
        project: Project,
        observed: Observed,
        progress: Progress,
        *,
        separator: str = "-",
    ) -> None:
        """Begin with what was observed.

        Args:
            client: the engine.
            project: the project.
            observed: what was there when the plan was made.
            progress: where events go.
            separator: what stands between the parts of an image's name.
        """
        self._client = client
        self._project = project
        self.progress = progress
        self._separator = separator
        self.images = dict(observed.images)
        self._containers = Register(observed.containers)
        self._waiter: Waiter | None = None
        self.before_start: Callable[[str, StartContainer], Awaitable[None]] | None = None
        self.hook_output: HookOutput | None = None
        self.build_output: Callable[[str], None] | None = None

    async def close(self) -> None:
        """Stop listening to the engine."""
        if self._waiter is not None:
            await self._waiter.close()

    async def perform(self, operation: Operation) -> None:  # noqa: C901, PLR0912 - one case a kind
        """Do one operation."""
        match operation:
            case CreateContainer():
                await self._create_container(operation)
            case StartContainer():
                await self._start(operation)
            case StopContainer():
                await self._stop(operation)
            case RemoveContainer():
                await self._remove(operation)
            case RenameContainer():
                await self._rename(operation)
            case RestartContainer():
                await self._restart(operation)
            case KeepContainer():
                self._report(f"Container {operation.container.name}", "Running")
            case WaitFor():
                await self._wait(operation)
            case CreateNetwork():
                await self._create_network(operation)
            case RemoveNetwork():
                await self._remove_network(operation)
            case Connect():
                await self._connect(operation)
            case Disconnect():
                await self._client.disconnect_network(
                    operation.network, operation.container.id, force=True
                )
            case CreateVolume():
                await self._create_volume(operation)
            case RemoveVolume():
                await self._remove_volume(operation)
            case RemoveImage():
                await self._remove_image(operation)
            case PullImage():
                await self._pull(operation)
            case BuildImage():
                await self._build(operation.service, operation.image)
            case Gate():
                pass

    async def _wait(self, operation: WaitFor) -> None:
        if self._waiter is None:
            from compose.reconciler.waiting import Waiter  # noqa: PLC0415 - 45 ms: imports asyncio

            self._waiter = Waiter(self._client, self._project.name)
        await self._waiter.wait(operation, self._containers.ids(), self.progress)

    def _report(self, id: str, status: str, state: str = DONE) -> None:
        self.progress.report(Event(id=id, status=status, state=state))

    async def _tell(self, id: str, words: tuple[str, str], call: Awaitable[object]) -> None:
        """Report the begin and the end of a call, or its failure."""
        self._report(id, words[0], WORKING)
        try:
            await call
        except ShoalError as error:
            if words[0] in {"Stopping", "Removing"}:
                self._report(id, f"Error while {words[0]}", ERROR)
            else:
                self._fail(id, error)
            raise
        self._report(id, words[1])

    def _fail(self, id: str, error: ShoalError) -> None:
        text = f"Error response from daemon: {error}" if isinstance(error, EngineError) else "Error"
        self._report(id, text, ERROR)

    def _service(self, name: str) -> Service:
        return self._project.services[name]

    # Containers

    async def _create_container(self, operation: CreateContainer) -> None:
        old = operation.replaces
        shown = f"Container {old.name if old else operation.name}"
        self._report(shown, "Recreate" if operation.replaces else "Creating", WORKING)
        try:
            await self._make(operation)
        except ShoalError as error:
            self._fail(shown, error)
            raise
        if not operation.replaces:
            self._report(shown, "Created")

    async def _make(self, operation: CreateContainer) -> None:
        wanted, ids = self._service(operation.service), self._containers.first_ids()
        service = resolve_references(wanted, ids)
        image = image_name(self._project.name, service, self._separator)
        if image not in self.images:
            self.images.update(await look_at_images(self._client, [image]))
        known = self.images.get(image)
        old = operation.replaces
        inherited: tuple[Mount, ...] = ()
        if old is not None and operation.inherit:
            volumes = known.volumes if known else ()
            inherited = tuple(inherited_mounts(old, service, volumes))
        identity = Identity(
            name=operation.final,
            number=operation.number,
            image=image,
            image_id=known.id if known else "",
            replaces=(service.container_name or f"{service.name}-{old.number}") if old else "",
            inherited=inherited,
            links=self._links(service),
            volumes_from=volumes_from(wanted, ids),
        )
        body = container_body(self._project, service, identity)
        try:
            made = await self._client.create_container(
                body, name=operation.name, platform=service.platform
            )
        except EngineError as error:
            raise await self._explained(service, error) from error
        self._containers.add(service.name, operation.number, operation.name, made["Id"])

    async def _explained(self, service: Service, error: EngineError) -> EngineError:
        from compose.reconciler.diagnosis import (  # noqa: PLC0415 - 2 ms only after a failure
            explain_failure,
        )

        return await explain_failure(self._client, self._project, service, error)

    def _links(self, service: Service) -> tuple[str, ...]:
        links = []
        for link in service.links:
            target, _, alias = link.partition(":")
            for number, name in self._containers.members(target):
                links += [
                    f"{name}:{alias or target}",
                    f"{name}:{target}{self._separator}{number}",
                    f"{name}:{name}",
                ]
        return (*links, *service.external_links)

    async def _start(self, operation: StartContainer) -> None:
        name = operation.name
        container = self._containers.id_of(name)
        service = self._service(operation.service)
        if archive := inline_files(self._project, service):
            await self._client.put_archive(container, "/", archive, owners=True)
        if self.before_start is not None:
            await self.before_start(container, operation)
        call = self._started(container, service)
        await self._tell(f"Container {name}", ("Starting", "Started"), call)

    async def _started(self, container: str, service: Service) -> None:
        try:
            await self._client.start_container(container)
        except EngineError as error:
            raise await self._explained(service, error) from error
        await run_hooks(self._client, container, service.name, service.post_start, self.hook_output)

    async def _stop(self, operation: StopContainer) -> None:
        container = operation.container
        call = self._stopped(container, operation.grace, hooks=not operation.silent)
        if operation.silent:
            await call
            return
        await self._tell(f"Container {container.name}", ("Stopping", "Stopped"), call)

    async def _stopped(self, container: Container, grace: int | None, *, hooks: bool) -> None:
        service = self._project.services.get(container.service)
        if hooks and service is not None and container.running:
            await run_hooks(
                self._client, container.id, service.name, service.pre_stop, self.hook_output
            )
        try:
            await self._client.stop_container(container.id, grace)
        except NotFound:
            return

    async def _remove(self, operation: RemoveContainer) -> None:
        container = operation.container
        call = self._removed(operation)
        if operation.silent:
            await call
        else:
            await self._tell(f"Container {container.name}", ("Removing", "Removed"), call)
        self._containers.remove(container)

    async def _removed(self, operation: RemoveContainer) -> None:
        try:
            await self._client.remove_container(
                operation.container.id, force=operation.force, volumes=operation.volumes
            )
        except NotFound:
            return
        except Conflict as error:
            if "is already in progress" not in str(error):
                raise

    async def _rename(self, operation: RenameContainer) -> None:
        container = self._containers.id_of(operation.name)
        await self._client.rename_container(container, operation.to)
        self._containers.rename(operation.name, operation.to)
        self._report(f"Container {operation.to}", "Recreated")

    async def _restart(self, operation: RestartContainer) -> None:
        container = operation.container
        call = self._restarted(container, operation.grace)
        await self._tell(f"Container {container.name}", ("Restarting", "Started"), call)

    async def _restarted(self, container: Container, grace: int | None) -> None:
        service = self._project.services.get(container.service)
        output = self.hook_output
        if service is not None and container.running:
            await run_hooks(self._client, container.id, service.name, service.pre_stop, output)
        await self._client.restart_container(container.id, grace)
        if service is not None:
            await run_hooks(self._client, container.id, service.name, service.post_start, output)

    # Networks, volumes, images

    async def _create_network(self, operation: CreateNetwork) -> None:
        network = self._project.networks[operation.key]
        body = network_body(self._project.name, operation.key, network)
        call = self._client.create_network(body)
        await self._tell(f"Network {operation.name}", ("Creating", "Created"), call)

    async def _remove_network(self, operation: RemoveNetwork) -> None:
        shown = f"Network {operation.name}"
        self._report(shown, "Removing", WORKING)
        try:
            await self._client.remove_network(operation.id or operation.name)
        except NotFound:
            self._report(shown, "No resource found to remove", WARNING)
        except Forbidden:
            self._report(shown, STILL_IN_USE, WARNING)
        else:
            self._report(shown, "Removed")

    async def _connect(self, operation: Connect) -> None:
        container = operation.container
        service = self._service(container.service)
        settings = endpoint_settings(
            service,
            operation.key,
            names=[container.name, service.name],
            links=self._links(service),
        )
        await self._client.connect_network(operation.network, container.id, settings)

    async def _create_volume(self, operation: CreateVolume) -> None:
        volume = self._project.volumes[operation.key]
        call = self._client.create_volume(volume_body(self._project.name, operation.key, volume))
        await self._tell(f"Volume {operation.name}", ("Creating", "Created"), call)

    async def _remove_volume(self, operation: RemoveVolume) -> None:
        shown = f"Volume {operation.name}"
        self._report(shown, "Removing", WORKING)
        try:
            await self._client.remove_volume(operation.name, force=True)
        except Conflict:
            self._report(shown, STILL_IN_USE, WARNING)
        except NotFound:
            self._report(shown, "No resource found to remove", WARNING)
        else:
            self._report(shown, "Removed")

    async def _remove_image(self, operation: RemoveImage) -> None:
        shown = f"Image {operation.image}"
        self._report(shown, "Removing", WORKING)
        try:
            await self._client.remove_image(operation.image)
        except Conflict:
            self._report(shown, STILL_IN_USE, WARNING)
        except NotFound:
            self._report(shown, "No resource found to remove", WARNING)
        else:
            self._report(shown, "Removed")

    async def _pull(self, operation: PullImage) -> None:
        from compose.reconciler.images import pull_image  # noqa: PLC0415 - 2 ms of few commands

        try:
            await pull_image(self._client, operation, self.progress)
        except ShoalError as error:
            if not operation.build:
                raise
            text = f"Warning {error}"
            self.progress.report(Event(id=operation.service, status=text, state=WARNING))
            await self._build(operation.service, operation.image)

    async def _build(self, service: str, image: str) -> None:
        from compose.reconciler.images import build_image  # noqa: PLC0415 - 2 ms of few commands

        await build_image(
            self._client,
            self._project,
            service,
            image,
            self.progress,
            output=self.build_output,
        )
