"""Images by name: look-up, inspect, list, tag, history, and storing new ones.

An image's id is the digest of its configuration (OCI image spec). Names are full references
(``docker.io/library/busybox:latest``) in the database and familiar ones (``busybox:latest``)
outside. Look-ups, lists and tags are quick and run on the event loop; removal is in
`runtime.image.removal`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Protocol

from runtime.errors import EngineError, InvalidArgument, NotFound
from runtime.image import image_view
from runtime.image.manifest import chain_ids, diff_ids, digest_of, encode, parse_config
from runtime.image.patterns import matches
from runtime.image.reference import Reference, check_tag, is_digest, parse_reference
from runtime.image.times import parse_moment, rfc3339
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from runtime.events import EventBus
    from runtime.filters import Filters
    from runtime.image.content_store import ContentStore
    from runtime.image.options import ImageListOptions
    from runtime.image.snapshotter import Snapshotter
    from runtime.store import Store, Transaction

JsonObject = dict[str, object]

LIST_FILTERS = frozenset({"dangling", "label", "reference", "before", "since", "until"})
_IMAGE, _NAME = "image", "tag"


@record
class Image:
    """An image as the engine knows it."""

    id: str
    """``sha256:<64 hex>``, the digest of the configuration."""
    document: JsonObject
    """The whole OCI image configuration: architecture, os, created, config, rootfs, history."""
    layers: tuple[str, ...]
    """Chain ids, the lowest first."""
    names: tuple[str, ...] = ()
    """Familiar names, such as ``busybox:latest``, sorted."""
    digests: tuple[str, ...] = ()
    """Familiar repository digests, such as ``busybox@sha256:…``, sorted."""
    size: int = 0
    created: str = ""
    """RFC 3339 time of the configuration, empty when it has none."""
    tagged: str = ""
    """RFC 3339 time at which a name was last given, empty for never."""
    parent: str = ""
    """The id of the image that it was committed on, empty when there was none."""

    @property
    def config(self) -> JsonObject:
        """What a container inherits: ``Env``, ``Cmd``, ``Entrypoint``, ``Labels``..."""
        config = self.document.get("config")
        return config if isinstance(config, dict) else {}


@record
class ImageUser:
    """A container that was made from an image."""

    id: str
    name: str
    running: bool


class ImageUsers(Protocol):
    """Tells which containers use images; the container half implements it."""

    def __call__(self, image_id: str) -> Iterable[ImageUser]:
        """Return the containers made from an image."""


def nobody(image_id: str) -> Iterable[ImageUser]:  # noqa: ARG001 - the protocol's name
    """Say that no container uses an image."""
    return ()


class ImageStore:
    """All images of one engine.

    Attributes:
        users: set by whoever owns containers; until then no image is in use.
        roots: further functions that return chain ids which must stay (the build cache).
    """

    def __init__(
        self,
        store: Store,
        events: EventBus,
        content: ContentStore,
        snapshotter: Snapshotter,
        disk: Executor,
    ) -> None:
        self.users: ImageUsers = nobody
        self.roots: list[Callable[[], Iterable[str]]] = []
        self.snapshotter = snapshotter
        self.content = content
        self.store = store
        self.events = events
        self.disk = disk
        self._records: dict[str, JsonObject] = {}
        self._names: dict[str, str] = {}
        self._cache: dict[str, Image] = {}
        self._coming: list[str] = []
        self._reload()

    def _reload(self) -> None:
        self._records = dict(self.store.items(_IMAGE))
        self._names = {name: str(data["image"]) for name, data in self.store.items(_NAME)}
        self._cache.clear()

    @contextlib.contextmanager
    def changing(self) -> Iterator[Transaction]:
        """Open a durable transaction; when it fails, memory goes back to what the database says."""
        try:
            with self.store.transaction(full=True) as transaction:
                yield transaction
        except BaseException:
            self._reload()
            raise

    @contextlib.contextmanager
    def operation(self) -> Iterator[None]:
        """Keep layers that are made inside the block until an image has them (commit, load)."""
        with self.snapshotter.layers.operation():
            yield

    # Look-up ---------------------------------------------------------------------------------

    def resolve(self, ref: str) -> Image:
        """Return an image by name, digest, id or unique prefix of an id.

        Raises:
            NotFound: ``No such image: x:latest``.
            InvalidArgument: the reference has a bad form.
        """
        if is_digest(ref) or (len(ref) == 64 and is_digest(f"sha256:{ref}")):
            identifier = ref if ":" in ref else f"sha256:{ref}"
            image = self.get(identifier)
            if image is None:
                raise NotFound(f"No such image: {identifier}")
            return image
        reference = parse_reference(ref).tagged()
        identifier = self._named(reference) or self._by_prefix(ref)
        image = self.get(identifier) if identifier else None
        if image is None:
            shown = ref if ref.startswith("sha256:") else reference.familiar
            raise NotFound(f"No such image: {shown}")
        return image

    def find(self, ref: str) -> Image | None:
        """Return an image like `resolve`, or None when there is none."""
        try:
            return self.resolve(ref)
        except NotFound:
            return None

    def _named(self, reference: Reference) -> str:
        """Return the id that a name stands for; with a digest the digest decides."""
        if not reference.digest:
            return self._names.get(str(reference), "")
        exact = f"{reference.repository}@{reference.digest}"
        return self._names.get(exact) or self._own_digest(reference)

    def _own_digest(self, reference: Reference) -> str:
        """Accept ``name@<image id>`` for a name that stands for that very image."""
        if reference.digest not in self._records:
            return ""
        owners = {parse_reference(name).repository for name in self.references(reference.digest)}
        return reference.digest if reference.repository in owners else ""

    def _by_prefix(self, ref: str) -> str:
        digits = ref.removeprefix("sha256:")
        if not digits or any(digit not in "0123456789abcdef" for digit in digits):
            return ""
        found = [image_id for image_id in self._records if image_id.startswith(f"sha256:{digits}")]
        return found[0] if len(found) == 1 else ""

    def get(self, image_id: str) -> Image | None:
        """Return an image by its whole id, or None."""
        cached = self._cache.get(image_id)
        if cached is not None:
            return cached
        record = self._records.get(image_id)
        if record is None:
            return None
        document = parse_config(self.content.read(image_id))
        names = [parse_reference(name) for name in self.references(image_id)]
        chains = chain_ids(diff_ids(document))
        image = Image(
            id=image_id,
            document=document,
            layers=chains,
            names=tuple(sorted(name.familiar for name in names if not name.digest)),
            digests=tuple(sorted(name.familiar for name in names if name.digest)),
            size=self.snapshotter.image_size(chains),
            created=str(document.get("created") or ""),
            tagged=str(record.get("tagged") or ""),
            parent=str(record.get("parent") or ""),
        )
        self._cache[image_id] = image
        return image

    def references(self, image_id: str) -> list[str]:
        """Return the full names of an image, sorted: those with tags and those with digests."""
        return sorted(name for name, owner in self._names.items() if owner == image_id)

    def all(self) -> list[Image]:
        """Return every image."""
        return [image for image in map(self.get, self._records) if image is not None]

    def count(self) -> int:
        """Return the number of images (``Images`` of ``/info``)."""
        return len(self._records)

    # Views -----------------------------------------------------------------------------------

    def inspect(self, ref: str) -> JsonObject:
        """Return the body of ``GET /images/{name}/json``."""
        image = self.resolve(ref)
        return image_view.inspect_body(image, self.snapshotter.graph_driver(image.layers))

    def history(self, ref: str) -> list[JsonObject]:
        """Return the body of ``GET /images/{name}/history``, newest first."""
        image = self.resolve(ref)
        sizes = [self.snapshotter.image_size([chain]) for chain in image.layers]
        return image_view.history_body(image, sizes)

    def summaries(self, options: ImageListOptions) -> list[JsonObject]:
        """Return the body of ``GET /images/json``, newest first."""
        selected = self._selected(options.filters)
        shared = self._shared_sizes() if options.shared_size else {}
        return [
            image_view.summary_body(
                image, names, len(list(self.users(image.id))), shared.get(image.id, -1)
            )
            for image, names in selected
        ]

    def _selected(self, filters: Filters) -> list[tuple[Image, Sequence[str]]]:
        """Return the images that pass filters, newest first, each with the names to be shown."""
        earliest, latest = self._time_limits(filters)
        dangling = filters.flag("dangling", default=False)
        selected: list[tuple[Image, Sequence[str]]] = []
        for image in self.all():
            if not earliest < image_view.created_ns(image) < latest:
                continue
            if not filters.match_labels(image_view.labels_of(image)):
                continue
            if "dangling" in filters and dangling == bool(image.names or image.digests):
                continue
            names = _matching_names(image, filters.get("reference"))
            if names is not None:
                selected.append((image, names))
        return sorted(selected, key=lambda entry: image_view.created_ns(entry[0]), reverse=True)

    def _time_limits(self, filters: Filters) -> tuple[int, int]:
        since = [image_view.created_ns(self.resolve(ref)) for ref in filters.get("since")]
        before = [image_view.created_ns(self.resolve(ref)) for ref in filters.get("before")]
        before += [parse_moment(text) for text in filters.get("until")]
        return max(since, default=-(1 << 127)), min(before, default=1 << 127)

    def _shared_sizes(self) -> dict[str, int]:
        """Return for each image the bytes of its layers that other images have too."""
        images = self.all()
        counts: dict[str, int] = {}
        for image in images:
            for chain in image.layers:
                counts[chain] = counts.get(chain, 0) + 1
        return {
            image.id: self.snapshotter.image_size([c for c in image.layers if counts[c] > 1])
            for image in images
        }

    def disk_usage(self) -> list[JsonObject]:
        """Return ``Images`` of ``GET /system/df``."""
        shared = self._shared_sizes()
        return [
            image_view.summary_body(
                image, image.names, len(list(self.users(image.id))), shared[image.id]
            )
            for image in self.all()
        ]

    def layers_size(self) -> int:
        """Return the bytes that all layers take together (``LayersSize`` of ``/system/df``)."""
        return sum(layer.size for layer in self.snapshotter.layers.all())

    # Changes ---------------------------------------------------------------------------------

    def tag(self, ref: str, repository: str, tag: str = "") -> None:
        """Give an image one more name (``POST /images/{name}/tag``), durably.

        Raises:
            NotFound: no such image.
            InvalidArgument: the new name has a bad form.
        """
        image = self.resolve(ref)
        if not repository:
            return
        with self.changing() as transaction:
            name = self._point(transaction, image.id, tag_reference(repository, tag))
            self.record(transaction, image.id, "tag", name)

    async def put(
        self,
        document: Mapping[str, object] | bytes,
        names: Sequence[str] = (),
        events: Sequence[str] = ("tag",),
        parent: str = "",
    ) -> Image:
        """Store an image whose layers are there (``rootfs.diff_ids``) and give it names.

        Used by commit, build, load and import. An image that loses its last name to this one
        becomes dangling.

        Args:
            document: the configuration, or its bytes when they have a digest that must stay.
            names: any references.
            events: actions to publish: ``tag`` once a name, others (``load``, ``import``,
                ``create``) once.
            parent: the image that it was made from, if any.

        Raises:
            EngineError: a layer is missing.
        """
        data = document if isinstance(document, bytes) else encode(document)
        parsed = parse_config(data)
        for chain in chain_ids(diff_ids(parsed)):
            if self.snapshotter.layers.get(chain) is None:
                raise EngineError(f"layer {chain} of the image is missing")
        references = [parse_reference(name).tagged() for name in names]
        image_id = digest_of(data)
        self._coming.append(image_id)
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self.disk, self._store_content, data)
            self._record(image_id, references, events, parent)
        finally:
            self._coming.remove(image_id)
        image = self.get(image_id)
        if image is None:
            raise EngineError(f"image {image_id} vanished")
        return image

    def _record(
        self,
        image_id: str,
        references: Sequence[Reference],
        events: Sequence[str],
        parent: str,
    ) -> None:
        with self.changing() as transaction:
            if image_id not in self._records:
                record: JsonObject = {"tagged": "", "parent": parent}
                transaction.put(_IMAGE, image_id, record)
                self._records[image_id] = record
            for reference in references:
                name = self._point(transaction, image_id, reference, touch="tag" in events)
                if "tag" in events:
                    self.record(transaction, image_id, "tag", name)
            for action in events:
                if action != "tag":
                    self.record(transaction, image_id, action)

    def _store_content(self, data: bytes) -> None:
        self.snapshotter.layers.sync_now()
        self.content.write(data)

    def drop_content(self, digests: Iterable[str]) -> None:
        """Remove the configurations of images that are gone, unless one is being put again."""
        for digest in digests:
            if digest not in self._records and digest not in self._coming:
                self.content.remove(digest)

    def add_digest(self, image_id: str, reference: Reference) -> None:
        """Record under which digest a registry has an image (``RepoDigests``)."""
        with self.changing() as transaction:
            self._point(transaction, image_id, reference, touch=False)

    def _point(
        self, transaction: Transaction, image_id: str, reference: Reference, touch: bool = True
    ) -> str:
        """Make a name stand for an image; return the familiar name."""
        name = str(reference)
        previous = self._names.get(name)
        transaction.put(_NAME, name, {"image": image_id})
        self._names[name] = image_id
        if touch:
            record = {**self._records.get(image_id, {}), "tagged": rfc3339(time.time_ns())}
            transaction.put(_IMAGE, image_id, record)
            self._records[image_id] = record
        for changed in (image_id, previous):
            self._cache.pop(changed or "", None)
        return reference.familiar

    def unname(self, transaction: Transaction, name: str) -> None:
        """Take a full name away from its image."""
        transaction.delete(_NAME, name)
        self._cache.pop(self._names.pop(name, ""), None)

    def drop(self, transaction: Transaction, image_id: str) -> None:
        """Take an image out of the database."""
        transaction.delete(_IMAGE, image_id)
        self._records.pop(image_id, None)
        self._cache.pop(image_id, None)

    def record(self, transaction: Transaction, image_id: str, action: str, name: str = "") -> None:
        """Record an event about an image, with its labels unless it is gone."""
        image = self.get(image_id) if action != "delete" else None
        attributes = {**(image_view.labels_of(image) if image else {}), "name": name or image_id}
        self.events.record(transaction, "image", action, image_id, attributes)


def tag_reference(repository: str, tag: str) -> Reference:
    """Return the name that ``repo`` and ``tag`` of a query mean.

    Raises:
        InvalidArgument: one of them has a bad form.
    """
    reference = parse_reference(repository)
    if reference.digest:
        raise InvalidArgument("cannot import digest reference")
    if tag:
        return Reference(reference.domain, reference.path, check_tag(tag))
    return reference.tagged()


def _matching_names(image: Image, patterns: Sequence[str]) -> Sequence[str] | None:
    """Return the names that fit a ``reference`` filter; None when there is a filter and none do."""
    if not patterns:
        return image.names
    found = [
        name
        for name in image.names
        if any(matches(p, name) or matches(p, name.rpartition(":")[0]) for p in patterns)
    ]
    digests = any(
        matches(p, digest) or matches(p, digest.partition("@")[0])
        for p in patterns
        for digest in image.digests
    )
    return found if found or digests else None
