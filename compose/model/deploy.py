"""The ``deploy`` section: replicas, resources, restart policy, and what only a swarm reads.

Field names and their order are those of the Compose Deploy Specification as
``docker compose config`` prints them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.record import EMPTY, record
from compose.model.units import Duration, Size

if TYPE_CHECKING:
    from collections.abc import Mapping


@record
class DeviceRequest:
    """Devices asked for by capability; a count of -1 means all, 0 that ids are named."""

    capabilities: tuple[str, ...] = ()
    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] = ()
    options: Mapping[str, str] = EMPTY


@record
class DiscreteResource:
    """A counted resource of a swarm node."""

    kind: str = ""
    value: int = 0
    extensions: Mapping[str, object] = EMPTY


@record
class GenericResource:
    """A user-defined resource of a swarm node."""

    discrete_resource_spec: DiscreteResource | None = None
    extensions: Mapping[str, object] = EMPTY


@record
class Resource:
    """An amount of CPU, memory, processes and devices."""

    cpus: float = 0.0
    memory: Size = Size(0)
    pids: int = 0
    devices: tuple[DeviceRequest, ...] = ()
    generic_resources: tuple[GenericResource, ...] = ()
    extensions: Mapping[str, object] = EMPTY


@record
class Resources:
    """Upper limits and guaranteed amounts."""

    limits: Resource | None = None
    reservations: Resource | None = None
    extensions: Mapping[str, object] = EMPTY


@record
class UpdateConfig:
    """How a swarm replaces tasks; without effect on one machine."""

    parallelism: int | None = None
    delay: Duration = Duration(0)
    failure_action: str = ""
    monitor: Duration = Duration(0)
    max_failure_ratio: float = 0.0
    order: str = ""
    extensions: Mapping[str, object] = EMPTY


@record
class RestartPolicy:
    """When a container is started again."""

    condition: str = ""
    delay: Duration | None = None
    max_attempts: int | None = None
    window: Duration | None = None
    extensions: Mapping[str, object] = EMPTY


@record
class PlacementPreference:
    """A wish of where a swarm places tasks."""

    spread: str = ""
    extensions: Mapping[str, object] = EMPTY


@record
class Placement:
    """Where a swarm may place tasks; without effect on one machine."""

    constraints: tuple[str, ...] = ()
    preferences: tuple[PlacementPreference, ...] = ()
    max_replicas_per_node: int = 0
    extensions: Mapping[str, object] = EMPTY


@record
class Deploy:
    """The deployment section of a service."""

    mode: str = ""
    replicas: int | None = None
    labels: Mapping[str, str] = EMPTY
    update_config: UpdateConfig | None = None
    rollback_config: UpdateConfig | None = None
    resources: Resources = Resources()
    restart_policy: RestartPolicy | None = None
    placement: Placement = Placement()
    endpoint_mode: str = ""
    extensions: Mapping[str, object] = EMPTY
