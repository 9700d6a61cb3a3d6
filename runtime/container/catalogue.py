"""All containers of an engine: look-up by id, prefix and name, and their rows in the store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runtime.container.container import Container
from runtime.container.document import text
from runtime.errors import Conflict, EngineError, InvalidArgument, NotFound
from runtime.image.image_store import ImageUser
from runtime.names import new_id, random_name
from runtime.store import NameTaken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runtime.events import EventBus
    from runtime.store import Store, Transaction

KIND = "container"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")


class Catalogue:
    """The containers by id and by name; the store's rows follow every change."""

    def __init__(self, store: Store, events: EventBus) -> None:
        self._store = store
        self._events = events
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, str] = {}
        self._coming: dict[str, Container] = {}

    def load(self) -> None:
        """Read every row; called once when the engine starts."""
        for _identifier, document in self._store.items(KIND):
            self.add(Container.from_document(document))

    def __iter__(self) -> Iterator[Container]:
        return iter(tuple(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, ref: str) -> Container:
        """Return a container by id, name (with or without a slash) or unique prefix of its id.

        Raises:
            NotFound: there is none.
            InvalidArgument: the prefix fits several.
        """
        if not ref:
            raise InvalidArgument('invalid name or ID supplied: ""')
        found = self._by_id.get(ref)
        if found is None:
            identifier = self._by_name.get(ref.removeprefix("/"))
            found = self._by_id.get(identifier) if identifier else None
        if found is not None:
            return found
        matches = [key for key in self._by_id if ref and key.startswith(ref)]
        if len(matches) > 1:
            raise InvalidArgument(f"multiple IDs found with provided prefix: {ref}")
        if not matches:
            raise NotFound(f"No such container: {ref}")
        return self._by_id[matches[0]]

    def find(self, identifier: str) -> Container | None:
        """Return a container by its whole id, or None."""
        return self._by_id.get(identifier)

    def reserve_name(self, wanted: str | None, identifier: str) -> str:
        """Check a name, or invent one; it belongs to the id from now on.

        Raises:
            InvalidArgument: the name has a forbidden character.
            Conflict: another container has it.
        """
        if not wanted:
            name = random_name()
            while name in self._by_name:
                name = f"{random_name()}{new_id()[0]}"
        else:
            name = wanted.removeprefix("/")
            if not _NAME.match(name):
                raise InvalidArgument(
                    f"Invalid container name ({wanted}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
                )
        holder = self._by_name.setdefault(name, identifier)
        if holder != identifier:
            raise name_conflict(name, holder)
        return name

    def release_name(self, name: str, identifier: str) -> None:
        """Free a reserved name."""
        if self._by_name.get(name) == identifier:
            del self._by_name[name]

    def begin(self, container: Container) -> None:
        """Count a container that is being created as a user of its image and volumes."""
        self._coming[container.id] = container

    def add(self, container: Container) -> None:
        """Make a container known."""
        self._coming.pop(container.id, None)
        self._by_id[container.id] = container
        self._by_name[container.name] = container.id

    def drop(self, container: Container) -> None:
        """Forget a container and its name."""
        self._coming.pop(container.id, None)
        self._by_id.pop(container.id, None)
        self.release_name(container.name, container.id)

    def save(
        self,
        transaction: Transaction,
        container: Container,
        *actions: str,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """Write a container's row, and its events, into a transaction.

        Raises:
            NotFound: the container was removed meanwhile: its row must not come back.
            Conflict: the name is taken.
        """
        if container.id not in self._by_id and container.id not in self._coming:
            raise NotFound(f"No such container: {container.id}")
        try:
            transaction.put(KIND, container.id, container.to_document(), container.name)
        except NameTaken as error:
            raise name_conflict(container.name, error.holder) from error
        for action in actions:
            self.record(transaction, container, action, extra)

    def commit(
        self, container: Container, *actions: str, extra: Mapping[str, str] | None = None
    ) -> None:
        """Write a container's row and its events in a transaction of its own."""
        with self._store.transaction() as transaction:
            self.save(transaction, container, *actions, extra=extra)

    def record(
        self,
        transaction: Transaction,
        container: Container,
        action: str,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """Record an event about a container."""
        attributes = container.event_attributes(extra)
        self._events.record(transaction, "container", action, container.id, attributes)

    def publish(
        self, container: Container, action: str, extra: Mapping[str, str] | None = None
    ) -> None:
        """Publish a passing event about a container (``attach``, ``exec_start``, ``top``)."""
        attributes = container.event_attributes(extra)
        self._events.publish("container", action, container.id, attributes)

    def users_of_volume(self, name: str) -> list[str]:
        """Return the ids of containers that mount a volume."""
        return [
            container.id
            for container in (*self, *self._coming.values())
            if not container.live.past
            and any(mount.type == "volume" and mount.name == name for mount in container.mounts)
        ]

    def users_of_image(self, image_id: str) -> list[ImageUser]:
        """Return the containers that were made from an image."""
        return [
            ImageUser(container.id, container.name, container.state.running)
            for container in (*self, *self._coming.values())
            if container.image == image_id
        ]

    def joined_by(self, container: Container, key: str) -> Container | None:
        """Return the container whose namespace another one joins by a ``container:`` mode.

        Raises:
            NotFound: the mode names a container that does not exist.
        """
        mode = text(container.host_config, key)
        if not mode.startswith("container:"):
            return None
        try:
            return self.get(mode.removeprefix("container:"))
        except NotFound as error:
            if key != "NetworkMode":
                raise
            raise EngineError(f"joining network namespace of container: {error.message}") from error


def name_conflict(name: str, holder: str) -> Conflict:
    """The error for a name that another container has."""
    return Conflict(
        f'Conflict. The container name "/{name}" is already in use by container "{holder}". You '
        "have to remove (or rename) that container to be able to reuse that name."
    )
