"""The networks of an engine in memory, found by id, name or prefix of an id. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.network.record import Network


class NetworkBook:
    """Networks by id; names are unique."""

    def __init__(self) -> None:
        self._networks: dict[str, Network] = {}
        self._names: dict[str, str] = {}

    def __iter__(self) -> Iterator[Network]:
        return iter(self._networks.values())

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._networks

    def __getitem__(self, identifier: str) -> Network:
        return self._networks[identifier]

    def get(self, identifier: str) -> Network | None:
        """Return a network by its whole id, or None."""
        return self._networks.get(identifier)

    def add(self, network: Network) -> None:
        """Enter a network."""
        self._networks[network.id] = network
        self._names[network.name] = network.id

    def discard(self, network: Network) -> None:
        """Take a network out."""
        self._networks.pop(network.id, None)
        if self._names.get(network.name) == network.id:
            del self._names[network.name]

    def named(self, name: str) -> Network | None:
        """Return a network by its exact name."""
        identifier = self._names.get(name)
        return self._networks[identifier] if identifier else None

    def look(self, reference: str) -> Network | None:
        """Return what `find` does, or None."""
        try:
            return self.find(reference)
        except (NotFound, InvalidArgument):
            return None

    def find(self, reference: str) -> Network:
        """Return a network by id, name, or unique beginning of an id.

        Raises:
            NotFound: there is none.
            InvalidArgument: the beginning fits several.
        """
        if reference in self._networks:
            return self._networks[reference]
        if reference in self._names:
            return self._networks[self._names[reference]]
        matches = [i for i in self._networks if reference and i.startswith(reference)]
        if len(matches) > 1:
            count = f"{len(matches)} matches found based on ID prefix"
            raise InvalidArgument(f"network {reference} is ambiguous ({count})")
        if not matches:
            raise NotFound(f"network {reference} not found")
        return self._networks[matches[0]]
