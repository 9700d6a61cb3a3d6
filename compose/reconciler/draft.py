"""The plan of an ``up`` while it is being made: what the steps of `reconcile` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.record import record
from compose.reconciler.plan import Plan

if TYPE_CHECKING:
    from compose.model.project import Project
    from compose.model.service import Service
    from compose.reconciler.observed import Container, Observed

DIVERGED, FORCE, NEVER = "diverged", "force", "never"


@record
class UpOptions:
    """What the user asked of an ``up``.

    Attributes:
        services: the services that were named; empty means all.
        recreate: when to recreate containers of the named services.
        recreate_dependencies: when to recreate those of the others.
        inherit: whether recreated containers take over anonymous volumes.
        grace: seconds until a stopped container is killed; None leaves that to the container.
        remove_orphans: whether containers of services that are no more are removed.
        ignore_orphans: whether nothing is said about them.
        wait: whether to wait in the end until everything runs and is healthy.
        replace_volumes: diverged volumes that may be removed with their data.
        fresh_images: images whose content is unknown until they are pulled or built.
        separator: what stands between the parts of a container's name.
    """

    services: tuple[str, ...] = ()
    recreate: str = DIVERGED
    recreate_dependencies: str = DIVERGED
    inherit: bool = True
    grace: int | None = None
    remove_orphans: bool = False
    ignore_orphans: bool = False
    wait: bool = False
    replace_volumes: tuple[str, ...] = ()
    fresh_images: tuple[str, ...] = ()
    separator: str = "-"

    def policy(self, service: str) -> str:
        """When to recreate containers of a service."""
        named = not self.services or service in self.services
        return self.recreate if named else self.recreate_dependencies


class Draft:
    """A plan in the making.

    Attributes:
        plan: the plan.
        networks: number of the operation that makes a network, by key.
        volumes: number of the operation that makes a volume, by key.
        created: numbers of the operations after which a service's containers are there.
        first: the container that stands for a service in ``service:x``; None when it will be new.
        stopped: operations that stop a container, by its id.
        to_start: names of containers to start, with the cause, by service.
        present: names of all containers that a service has in the end.
        starts: numbers of the operations that start a service's containers.
    """

    def __init__(self, project: Project, observed: Observed, options: UpOptions) -> None:
        self.project = project
        self.observed = observed
        self.options = options
        self.plan = Plan()
        self.networks: dict[str, int] = {}
        self.volumes: dict[str, int] = {}
        self.created: dict[str, list[int]] = {}
        self.first: dict[str, Container | None] = {}
        self.stopped: dict[str, int] = {}
        self.to_start: dict[str, dict[str, str]] = {}
        self.present: dict[str, list[str]] = {}
        self.starts: dict[str, list[int]] = {}

    def known_ids(self) -> dict[str, str]:
        """Id of the container that stands for each service whose container stays."""
        return {name: found.id for name, found in self.first.items() if found is not None}

    def must_start(self, service: str, name: str, cause: str) -> None:
        """Note a container to be started in the start phase."""
        self.to_start.setdefault(service, {}).setdefault(name, cause)

    def container_name(self, service: Service, number: int) -> str:
        """Name of a service's container."""
        separator = self.options.separator
        return service.container_name or separator.join(
            (self.project.name, service.name, str(number))
        )
