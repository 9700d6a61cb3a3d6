"""Names, numbers and ids of containers while a plan is carried out.

Operations run on several threads or tasks at once; everything here is done under one lock.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.reconciler.observed import Container


class Register:
    """Which containers there are by now."""

    def __init__(self, containers: Iterable[Container]) -> None:
        """Begin with those that were observed."""
        self._lock = Lock()
        self._ids: dict[str, str] = {}
        self._numbers: dict[str, dict[int, str]] = {}
        for container in containers:
            self._ids[container.name] = container.id
            if not container.oneoff:
                self._numbers.setdefault(container.service, {})[container.number] = container.name

    def add(self, service: str, number: int, name: str, id: str) -> None:
        """Enter a container that was made; it takes the number from a former holder."""
        with self._lock:
            self._ids[name] = id
            self._numbers.setdefault(service, {})[number] = name

    def remove(self, container: Container) -> None:
        """Strike a container out."""
        with self._lock:
            self._ids.pop(container.name, None)
            numbers = self._numbers.get(container.service, {})
            if numbers.get(container.number) == container.name:
                del numbers[container.number]

    def rename(self, name: str, to: str) -> None:
        """Enter a container under another name."""
        with self._lock:
            self._ids[to] = self._ids.pop(name)
            for numbers in self._numbers.values():
                for number, held in numbers.items():
                    if held == name:
                        numbers[number] = to

    def id_of(self, name: str) -> str:
        """Id of a container."""
        with self._lock:
            return self._ids[name]

    def ids(self) -> dict[str, str]:
        """Ids of all containers by name."""
        with self._lock:
            return dict(self._ids)

    def first_ids(self) -> dict[str, str]:
        """The container that stands for each service: the one with the lowest number."""
        with self._lock:
            firsts = {s: names[min(names)] for s, names in self._numbers.items() if names}
            return {s: self._ids[name] for s, name in firsts.items() if name in self._ids}

    def members(self, service: str) -> list[tuple[int, str]]:
        """Numbers and names of a service's containers."""
        with self._lock:
            return sorted(self._numbers.get(service, {}).items())
