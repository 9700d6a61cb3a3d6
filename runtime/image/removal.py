"""Removing images: untag, delete, prune, and the collection of what nobody needs any more.

Order: the database forgets first, then the files go; a crash in between leaves garbage that the
next start collects. Rules and wording are Docker's (``DELETE /images``, ``POST /images/prune``).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.errors import Conflict
from runtime.image import image_view
from runtime.image.reference import parse_reference
from runtime.image.times import parse_moment
from runtime.linux import trees
from runtime.names import short_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.filters import Filters
    from runtime.image.image_store import Image, ImageStore
    from runtime.image.layer_store import CommittedLayer
    from runtime.image.reference import Reference

JsonObject = dict[str, object]

PRUNE_FILTERS = frozenset({"dangling", "until", "label", "label!"})


class ImageRemoval:
    """Takes names and images away.

    `discard`, when given, has a directory deleted later; without it removal waits for the deletion.
    """

    def __init__(self, images: ImageStore, discard: Callable[[str], None] | None = None) -> None:
        self._images = images
        self._discard = discard
        self._pruning = False

    async def remove(self, ref: str, *, force: bool = False) -> list[JsonObject]:
        """Remove a name or an image; return the body of ``DELETE /images/{name}``.

        Raises:
            NotFound: no such image.
            Conflict: it is in use, or has several names and was given by id.
        """
        image = self._images.resolve(ref)
        records: list[JsonObject] = []
        if _is_id(ref, image):
            self._check_by_id(image, force)
        else:
            self._check_by_name(image, ref, force)
            self._untag(image, parse_reference(ref).tagged(), records)
            left = self._images.references(image.id)
            # Without its last name an image goes, unless a container still runs it.
            if left or self._conflict(image, force=True) is not None:
                return records
        await self._delete(image, records)
        return records

    def _check_by_name(self, image: Image, ref: str, force: bool) -> None:
        if force or not _one_name(self._images.references(image.id)):
            return
        for user in self._images.users(image.id):
            raise Conflict(
                f'conflict: unable to remove repository reference "{ref}" (must force) - container'
                f" {short_id(user.id)} is using its referenced image {short_id(image.id)}"
            )

    def _check_by_id(self, image: Image, force: bool) -> None:
        several = not _one_name(self._images.references(image.id))
        problem = self._conflict(image, force, several=several)
        if problem is not None:
            raise problem

    def _conflict(self, image: Image, force: bool, several: bool = False) -> Conflict | None:
        users = list(self._images.users(image.id))
        for user in users:
            if user.running:
                reason = f"image is being used by running container {short_id(user.id)}"
                return _conflict(image, "cannot be forced", reason)
        if force:
            return None
        if several:
            reason = "image is referenced in multiple repositories"
            return _conflict(image, "must be forced", reason)
        if users:
            reason = f"image is being used by stopped container {short_id(users[0].id)}"
            return _conflict(image, "must be forced", reason)
        return None

    def _untag(self, image: Image, reference: Reference, records: list[JsonObject]) -> None:
        """Take one name away, and with the last tag of a repository its digests."""
        names = [str(reference)]
        if reference.digest:
            names = [f"{reference.repository}@{reference.digest}"]
        left = [parse_reference(n) for n in self._images.references(image.id) if n not in names]
        same = [name for name in left if name.repository == reference.repository]
        if not reference.digest and all(name.digest for name in same):
            names += [str(name) for name in same]
        self._forget_names(image, names, records)

    def _forget_names(self, image: Image, names: Sequence[str], records: list[JsonObject]) -> None:
        with self._images.changing() as transaction:
            for name in names:
                records.append({"Untagged": parse_reference(name).familiar})
                self._images.record(transaction, image.id, "untag")
                self._images.unname(transaction, name)

    async def _delete(self, image: Image, records: list[JsonObject]) -> int:
        """Remove an image and all its names; return the bytes of the layers that went with it."""
        names = self._images.references(image.id)
        if names:
            self._forget_names(image, names, records)
        with self._images.changing() as transaction:
            self._images.drop(transaction, image.id)
            self._images.record(transaction, image.id, "delete")
        records.append({"Deleted": image.id})
        removed = await self.collect((image.id,))
        records += [
            {"Deleted": layer.chain_id} for layer in removed if layer.chain_id in image.layers
        ]
        return sum(layer.size for layer in removed)

    async def prune(self, filters: Filters) -> tuple[list[JsonObject], int]:
        """Remove unused images; return the records and the bytes gained.

        Raises:
            Conflict: another prune is running.
        """
        if self._pruning:
            raise Conflict("a prune operation is already running")
        self._pruning = True
        try:
            return await self._prune(filters)
        finally:
            self._pruning = False

    async def _prune(self, filters: Filters) -> tuple[list[JsonObject], int]:
        only_dangling = filters.flag("dangling", default=True)
        until = min((parse_moment(text) for text in filters.until()), default=None)
        records: list[JsonObject] = []
        gained = 0
        for image in self._images.all():
            if only_dangling and (image.names or image.digests):
                continue
            if until is not None and image_view.created_ns(image) > until:
                continue
            labels = image_view.labels_of(image)
            if not (filters.match_labels(labels) and filters.match_not_labels(labels)):
                continue
            if not any(True for _ in self._images.users(image.id)):
                gained += await self._delete(image, records)
        self._images.events.publish("image", "prune", "", {"reclaimed": str(gained)})
        return records, gained

    async def collect(self, images: Sequence[str] = ()) -> list[CommittedLayer]:
        """Remove layers that nothing needs, and the configurations of images that are gone."""
        taken = self._images.snapshotter.layers.take_garbage(self._needed())
        self._images.drop_content(images)

        loop = asyncio.get_running_loop()
        for _, directory in taken:
            if self._discard is not None:
                self._discard(directory)
            else:
                await loop.run_in_executor(self._images.disk, trees.remove_tree, directory)
        return [layer for layer, _ in taken]

    def _needed(self) -> set[str]:
        needed = set(self._images.snapshotter.pins())
        for image in self._images.all():
            needed.update(image.layers)
        for root in self._images.roots:
            needed.update(root())
        return needed

    async def recover(self) -> None:
        """Remove what an earlier engine left: half-made files, layers and blobs of nobody.

        Clients may be served meanwhile: what this engine makes is left alone.
        """

        def clean() -> None:
            self._images.content.recover()
            self._images.snapshotter.layers.recover()

        await asyncio.get_running_loop().run_in_executor(self._images.disk, clean)
        await self.collect(list(self._images.content.digests()))


def _conflict(image: Image, force: str, reason: str) -> Conflict:
    return Conflict(f"conflict: unable to delete {short_id(image.id)} ({force}) - {reason}")


def _is_id(ref: str, image: Image) -> bool:
    """Tell whether a reference is the image's id or a prefix of it, rather than a name."""
    return image.id.startswith(ref) or image.id.removeprefix("sha256:").startswith(ref)


def _one_name(names: Sequence[str]) -> bool:
    """Tell whether names are one tag at most, with digests of the same repository only."""
    references = [parse_reference(name) for name in names]
    tags = [reference for reference in references if not reference.digest]
    repositories = {reference.repository for reference in references}
    return len(tags) <= 1 and len(repositories) <= 1
