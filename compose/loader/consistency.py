"""Rules between the parts of a finished project that the schema cannot say.

Rules: Compose specification and Docker Compose. Only enabled services are checked; all errors of a
project are reported at once.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from compose.errors import ConsistencyError, CycleError, UndefinedReference, join
from compose.graph import find_cycle
from compose.loader.tree import locate, subject

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from compose.errors import LoadError
    from compose.loader.interpolate import Warn
    from compose.loader.tree import Map, Path
    from compose.model.project import Project
    from compose.model.service import Service


def check_project(project: Project, tree: Map, warn: Warn) -> None:
    """Check the enabled services and the resources.

    Args:
        project: the project, profiles already applied.
        tree: what it was decoded from, for the places of errors.
        warn: takes a warning's text.

    Raises:
        LoadError: the first error, the rest in its ``others``.
    """
    checker = _Checker(project, tree, warn)
    errors = list(checker.errors())
    if errors:
        raise join(errors)


class _Checker:
    def __init__(self, project: Project, tree: Map, warn: Warn) -> None:
        self._warn = warn
        self._project = project
        self._tree = tree

    def errors(self) -> Iterator[LoadError]:
        """Yield every error."""
        for service in self._project.services.values():
            for check in _SERVICE_CHECKS:
                yield from check(self, service)
        yield from self._container_names()
        yield from self._secrets()
        yield from self._cycle()

    def wrong(self, service: Service, keys: Path, message: str, hint: str = "") -> LoadError:
        """Return an error of a service at one of its keys."""
        path = ("services", service.name, *keys)
        place = locate(self._tree, path)
        return ConsistencyError(f"{subject(path[:2])}: {message}", hint=hint, location=place)

    def undefined(self, path: Path, what: str, name: str, known: Collection[str]) -> LoadError:
        """Return an error of a name that nobody defines."""
        hint = _close(name, known) or _declare(what, name)
        message = f'{subject(path[:2])}: refers to undefined {what} "{name}"'
        return UndefinedReference(message, hint=hint, location=locate(self._tree, path))

    def source(self, service: Service) -> Iterator[LoadError]:
        """A service needs something to run."""
        if not service.build and not service.image and not service.provider:
            yield self.wrong(
                service, (), "has neither an image nor a build context", 'add "image" or "build"'
            )

    def build(self, service: Service) -> Iterator[LoadError]:
        """Check Dockerfile, platforms, named contexts and secrets of a build."""
        build = service.build
        if not build:
            return
        if build.dockerfile and build.dockerfile_inline:
            yield self.wrong(
                service,
                ("build", "dockerfile_inline"),
                "dockerfile and dockerfile_inline exclude each other",
            )
        if build.platforms and service.platform and service.platform not in build.platforms:
            yield self.wrong(
                service,
                ("build", "platforms"),
                f'build.platforms must include the service\'s platform "{service.platform}"',
            )
        for name, context in build.additional_contexts.items():
            if context.startswith("service:"):
                yield from self._context(service, name, context.removeprefix("service:"))
        for index, secret in enumerate(build.secrets):
            if secret.source not in self._project.secrets:
                path = ("services", service.name, "build", "secrets", str(index))
                known = self._project.secrets
                yield self.undefined(path, "build secret", secret.source, known)

    def _context(self, service: Service, name: str, target: str) -> Iterator[LoadError]:
        keys = ("build", "additional_contexts", name)
        other = self._project.services.get(target)
        if other is None:
            path = ("services", service.name, *keys)
            yield self.undefined(path, "service", target, self._project.services)
        elif not other.build:
            message = f'additional context "{name}": service "{target}" is not built'
            yield self.wrong(service, keys, message)

    def networks(self, service: Service) -> Iterator[LoadError]:
        """Check the networks and the network mode."""
        if service.network_mode and service.networks:
            yield self.wrong(
                service,
                ("network_mode",),
                "network_mode and networks exclude each other",
                "remove one of them",
            )
        for name in service.networks:
            if name not in self._project.networks:
                path = ("services", service.name, "networks", name)
                yield self.undefined(path, "network", name, self._project.networks)

    def healthcheck(self, service: Service) -> Iterator[LoadError]:
        """A probe's first word says how it is run."""
        test = service.healthcheck.test if service.healthcheck else ()
        if test and test[0] not in ("CMD", "CMD-SHELL", "NONE"):
            yield self.wrong(
                service,
                ("healthcheck", "test"),
                'healthcheck.test must start with "CMD", "CMD-SHELL" or "NONE"',
                f'write ["CMD", "{test[0]}", ...] or a plain string',
            )

    def dependencies(self, service: Service) -> Iterator[LoadError]:
        """Check that every needed service exists and is enabled."""
        for name, dependency in service.depends_on.items():
            disabled = self._project.disabled_services.get(name)
            if name in self._project.services or (disabled and not dependency.required):
                continue
            path = ("services", service.name, "depends_on", name)
            hint = _close(name, self._project.services)
            if disabled:
                profiles = ", ".join(disabled.profiles)
                hint = f'"{name}" has only inactive profiles: start with --profile {profiles}'
            place = locate(self._tree, path, key=True)
            message = f'{subject(path[:2])}: depends on undefined service "{name}"'
            if not dependency.required:
                self._warn(f"{place}: {message}, which is not required" if place else message)
                continue
            yield UndefinedReference(message, hint=hint, location=place)

    def mounts(self, service: Service) -> Iterator[LoadError]:
        """Check named volumes and that no path is mounted twice."""
        taken: dict[str, str] = {}
        for index, mount in enumerate(service.volumes):
            path = ("services", service.name, "volumes", str(index))
            if mount.type == "volume" and mount.source not in {"", *self._project.volumes}:
                yield self.undefined(path, "volume", mount.source, self._project.volumes)
            if mount.type == "bind" and not mount.source:
                yield self.wrong(service, path[2:], f"volumes.{index}: a bind needs a source")
            if not mount.target:
                yield self.wrong(service, path[2:], f"volumes.{index}: a mount without target")
            yield from self._taken(service, path[2:], mount.target, taken)
        for index, entry in enumerate(service.tmpfs):
            target = entry.partition(":")[0]
            yield from self._taken(service, ("tmpfs", str(index)), target, taken)

    def _taken(
        self, service: Service, keys: Path, target: str, taken: dict[str, str]
    ) -> Iterator[LoadError]:
        place = posixpath.normpath(target) if target else ""
        if place in taken:
            what = f'{".".join(keys)}: "{target}" is already mounted by {taken[place]}'
            yield self.wrong(service, keys, what)
        if place:
            taken.setdefault(place, ".".join(keys))

    def references(self, service: Service) -> Iterator[LoadError]:
        """Check configs, secrets and models by name."""
        for kind in ("configs", "secrets"):
            known = getattr(self._project, kind)
            for index, reference in enumerate(getattr(service, kind)):
                if reference.source not in known:
                    path = ("services", service.name, kind, str(index))
                    yield self.undefined(path, kind[:-1], reference.source, known)
        for name in service.models:
            if name not in self._project.models:
                path = ("services", service.name, "models", name)
                yield self.undefined(path, "model", name, self._project.models)

    def replicas(self, service: Service) -> Iterator[LoadError]:
        """Check numbers of containers."""
        replicas = service.deploy.replicas if service.deploy else None
        if service.scale is not None and replicas is not None and service.scale != replicas:
            yield self._distinct(service, "scale", "deploy.replicas")
        for keys, count in ((("scale",), service.scale), (("deploy", "replicas"), replicas)):
            if count is not None and count < 0:
                name = ".".join(keys)
                yield self.wrong(service, keys, f"{name} must be 0 or more, not {count}")
        if service.container_name and service.replicas > 1:
            key = "deploy.replicas" if service.scale is None else "scale"
            yield self.wrong(
                service,
                ("container_name",),
                f"container_name and {key} {service.replicas} exclude each other",
                "a container's name is unique; leave it to Shoal",
            )

    def limits(self, service: Service) -> Iterator[LoadError]:
        """The two places of a limit must agree."""
        resources = service.deploy.resources if service.deploy else None
        limits = resources.limits if resources else None
        reserved = resources.reservations if resources else None
        if limits:
            for key, mine, other in (
                ("cpus", service.cpus, limits.cpus),
                ("mem_limit", service.mem_limit, limits.memory),
                ("pids_limit", service.pids_limit, limits.pids),
            ):
                if mine and mine != other:
                    name = {"mem_limit": "memory", "pids_limit": "pids"}.get(key, key)
                    yield self._distinct(service, key, f"deploy.resources.limits.{name}")
        if reserved and service.mem_reservation not in (0, reserved.memory):
            yield self._distinct(service, "mem_reservation", "deploy.resources.reservations.memory")

    def _distinct(self, service: Service, key: str, other: str) -> LoadError:
        message = f"{key} and {other} have distinct values"
        return self.wrong(service, (key,), message, "keep one of them")

    def watch(self, service: Service) -> Iterator[LoadError]:
        """Files that are copied need a place to go."""
        for index, rule in enumerate(service.develop.watch if service.develop else ()):
            if not rule.target and rule.action not in ("rebuild", "restart"):
                keys = ("develop", "watch", str(index))
                message = f'develop.watch.{index}: action "{rule.action}" needs a target'
                yield self.wrong(service, keys, message)

    def _container_names(self) -> Iterator[LoadError]:
        owners: dict[str, str] = {}
        for service in self._project.services.values():
            name = service.container_name
            if name and name in owners:
                message = f'container_name "{name}" is already used by service "{owners[name]}"'
                yield self.wrong(service, ("container_name",), message)
            owners.setdefault(name, service.name)

    def _secrets(self) -> Iterator[LoadError]:
        for name, secret in self._project.secrets.items():
            if not secret.external and not secret.file and not secret.environment:
                path = ("secrets", name)
                message = f"{subject(path)}: must declare either file or environment"
                yield ConsistencyError(message, location=locate(self._tree, path))

    def _cycle(self) -> Iterator[LoadError]:
        cycle = find_cycle(
            {name: tuple(s.depends_on) for name, s in self._project.services.items()}
        )
        if cycle:
            path = ("services", cycle[0], "depends_on", cycle[1])
            yield CycleError(
                f"dependency cycle detected: {' -> '.join(cycle)}",
                hint="links, volumes_from and service: namespaces count as dependencies",
                location=locate(self._tree, path, key=True),
            )


def _close(word: str, known: Collection[str]) -> str:
    import difflib  # noqa: PLC0415 - only to explain an error

    close = difflib.get_close_matches(word, known, n=1)
    return f'did you mean "{close[0]}"?' if close else ""


def _declare(what: str, name: str) -> str:
    kind = what.rpartition(" ")[2]
    return f'declare it: a top-level "{kind}s" section with "{name}:"'


_SERVICE_CHECKS: tuple[Callable[[_Checker, Service], Iterator[LoadError]], ...] = (
    _Checker.source,
    _Checker.build,
    _Checker.networks,
    _Checker.healthcheck,
    _Checker.dependencies,
    _Checker.mounts,
    _Checker.references,
    _Checker.replicas,
    _Checker.limits,
    _Checker.watch,
)
