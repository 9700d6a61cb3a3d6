"""Files, images, networks, volumes, builder and system of the engine in memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from runtime.errors import Conflict, EngineError, Forbidden, InvalidArgument, NotFound
from runtime.names import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from runtime.engine import (
        BuildOptions,
        CacheLimits,
        ImageListOptions,
        ImportOptions,
        JsonObject,
        PullOptions,
        PutOptions,
    )
    from runtime.filters import Filters


class Known(Protocol):
    """What is needed of a container."""

    id: str


async def _records(*records: JsonObject) -> AsyncIterator[JsonObject]:
    for record in records:
        yield record


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def read_all(stream: AsyncIterator[bytes]) -> bytes:
    """Return all bytes of a stream."""
    return b"".join([piece async for piece in stream])


class FakeFilesystem:
    """`runtime.engine.FilesystemPart` in memory: one dictionary of files for all containers."""

    def __init__(self, find: Callable[[str], Known]) -> None:
        self._find = find
        self.files: dict[str, bytes] = {}
        self.differences: list[JsonObject] = []
        self.puts: list[PutOptions] = []

    async def changes(self, ref: str) -> Sequence[JsonObject]:
        """Return differences."""
        self._find(ref)
        return self.differences

    async def export(self, ref: str) -> AsyncIterator[bytes]:
        """Export."""
        self._find(ref)
        return _pieces(b"tar", b" of ", ref.encode())

    async def stat(self, ref: str, path: str) -> JsonObject:
        """Stat a file."""
        self._find(ref)
        if path not in self.files:
            raise NotFound(f"Could not find the file {path} in container {ref}")
        size = len(self.files[path])
        return {
            "name": path.rpartition("/")[2],
            "size": size,
            "mode": 0o644,
            "mtime": "2026-01-01T00:00:00Z",
            "linkTarget": "",
        }

    async def get(self, ref: str, path: str) -> tuple[JsonObject, AsyncIterator[bytes]]:
        """Read a file."""
        return await self.stat(ref, path), _pieces(self.files[path])

    async def put(self, ref: str, options: PutOptions) -> None:
        """Write a file; the archive is kept as it came."""
        self._find(ref)
        if options.path == "/read-only":
            raise Forbidden("container rootfs is marked read-only")
        self.puts.append(options)
        self.files[options.path] = await read_all(options.stream)


class FakeImages:
    """`runtime.engine.ImagesPart` in memory: names to ids."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.calls: list[tuple[object, ...]] = []
        self.add("busybox:latest")

    def add(self, name: str) -> str:
        """Add an image and return its id."""
        self.names[name] = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
        return self.names[name]

    @staticmethod
    def full(name: str) -> str:
        """Return a name with its tag."""
        return name if ":" in name.rpartition("/")[2] else f"{name}:latest"

    def identify(self, name: str) -> str:
        """Return the id behind a name or id."""
        if name in self.names.values():
            return name
        if self.full(name) not in self.names:
            raise NotFound(f"No such image: {self.full(name)}")
        return self.names[self.full(name)]

    async def list(self, options: ImageListOptions) -> Sequence[JsonObject]:
        """List images."""
        self.calls.append(("list", options))
        return [
            {
                "Id": identifier,
                "ParentId": "",
                "RepoTags": [name],
                "RepoDigests": [],
                "Created": 1700000000,
                "Size": 1000,
                "SharedSize": -1,
                "Labels": None,
                "Containers": -1,
            }
            for name, identifier in self.names.items()
        ]

    async def inspect(self, ref: str) -> JsonObject:
        """Inspect an image."""
        identifier = self.identify(ref)
        return {
            "Id": identifier,
            "RepoTags": [name for name, value in self.names.items() if value == identifier],
            "RepoDigests": [],
            "Created": "2026-01-01T00:00:00Z",
            "Architecture": "amd64",
            "Os": "linux",
            "Size": 1000,
            "Config": {"Cmd": ["echo"], "Env": [], "Labels": None},
            "RootFS": {"Type": "layers", "Layers": []},
        }

    async def history(self, ref: str) -> Sequence[JsonObject]:
        """Return an image's history."""
        return [
            {
                "Id": self.identify(ref),
                "Created": 1700000000,
                "CreatedBy": "echo",
                "Tags": [self.full(ref)],
                "Size": 0,
                "Comment": "",
            }
        ]

    async def tag(self, ref: str, repository: str, tag: str) -> None:
        """Tag an image."""
        if repository != repository.lower():
            raise InvalidArgument("invalid reference format: repository name must be lowercase")
        self.names[f"{repository}:{tag or 'latest'}"] = self.identify(ref)

    async def remove(
        self, ref: str, *, force: bool = False, prune: bool = True
    ) -> Sequence[JsonObject]:
        """Remove an image."""
        self.calls.append(("remove", ref, force, prune))
        identifier = self.identify(ref)
        if ref == "used:latest" and not force:
            raise Conflict(f"conflict: unable to remove repository reference {ref!r}")
        del self.names[self.full(ref)]
        return [{"Untagged": self.full(ref)}, {"Deleted": identifier}]

    async def prune(self, filters: Filters) -> tuple[Sequence[JsonObject], int]:
        """Prune images."""
        self.calls.append(("prune", filters.flag("dangling", default=True)))
        return [], 0

    async def pull(self, options: PullOptions) -> AsyncIterator[JsonObject]:
        """Pull an image."""
        self.calls.append(("pull", options))
        if options.reference.endswith("missing"):
            raise NotFound(f"pull access denied for {options.reference}")
        return self._pull(options)

    async def _pull(self, options: PullOptions) -> AsyncIterator[JsonObject]:
        yield {"status": f"Pulling from {options.reference}", "id": options.tag}
        if options.reference.endswith("broken"):
            raise EngineError("unexpected EOF")
        self.add(f"{options.reference}:{options.tag}")
        yield {"status": f"Status: Downloaded newer image for {options.reference}:{options.tag}"}

    async def push(self, options: PullOptions) -> AsyncIterator[JsonObject]:
        """Push an image."""
        self.calls.append(("push", options))
        self.identify(f"{options.reference}:{options.tag}")
        return _records(
            {"status": "Pushed"}, {"aux": {"Tag": options.tag, "Digest": "", "Size": 1}}
        )

    async def load(
        self, stream: AsyncIterator[bytes], *, quiet: bool = False
    ) -> AsyncIterator[JsonObject]:
        """Load an image; its name is the archive's content."""
        name = (await read_all(stream)).decode()
        self.calls.append(("load", quiet))
        self.add(name)
        return _records({"stream": f"Loaded image: {name}\n"})

    async def save(self, names: Sequence[str]) -> AsyncIterator[bytes]:
        """Save images."""
        for name in names:
            self.identify(name)
        return _pieces(*(name.encode() for name in names))

    async def import_(
        self, options: ImportOptions, stream: AsyncIterator[bytes]
    ) -> AsyncIterator[JsonObject]:
        """Import an image."""
        self.calls.append(("import", options, await read_all(stream)))
        return _records({"status": self.add(f"{options.repository}:{options.tag or 'latest'}")})

    async def search(self, term: str, limit: int, filters: Filters) -> Sequence[JsonObject]:
        """Search."""
        self.calls.append(("search", term, limit, filters.get("stars")))
        return [{"name": term, "description": "", "star_count": 1, "is_official": True}]

    async def distribution(self, ref: str, auth: JsonObject | None) -> JsonObject:
        """Ask the registry."""
        self.calls.append(("distribution", ref, auth))
        return {"Descriptor": {"mediaType": "", "digest": "sha256:0", "size": 1}, "Platforms": []}

    async def login(self, credentials: JsonObject) -> JsonObject:
        """Check credentials."""
        self.calls.append(("login", credentials))
        return {"Status": "Login Succeeded", "IdentityToken": ""}


class FakeNetworks:
    """`runtime.engine.NetworksPart` in memory."""

    def __init__(self, find: Callable[[str], Known]) -> None:
        self._find = find
        self.items: dict[str, JsonObject] = {}
        self.members: dict[str, dict[str, JsonObject]] = {}
        self.bodies: list[JsonObject] = []
        self.obstacles = ["a rule is in the way: remove it"]

    async def create(self, body: JsonObject) -> tuple[str, str]:
        """Create a network."""
        self.bodies.append(body)
        name = str(body["Name"])
        if name == "bridge":
            raise Forbidden("operation is not permitted on predefined bridge network ")
        if any(item["Name"] == name for item in self.items.values()):
            raise Conflict(f"network with name {name} already exists")
        identifier = new_id()
        self.items[identifier] = {
            "Name": name,
            "Id": identifier,
            "Created": "2026-01-01T00:00:00Z",
            "Scope": "local",
            "Driver": body["Driver"] or "bridge",
            "EnableIPv4": True,
            "EnableIPv6": bool(body["EnableIPv6"]),
            "IPAM": {"Driver": "default", "Options": None, "Config": []},
            "Internal": body["Internal"],
            "Attachable": body["Attachable"],
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": {},
            "Options": body["Options"] or {},
            "Labels": body["Labels"] or {},
        }
        self.members[identifier] = {}
        return identifier, ""

    def find(self, ref: str) -> str:
        """Return a network's id."""
        for identifier, item in self.items.items():
            if ref in {identifier, item["Name"]}:
                return identifier
        raise NotFound(f"network {ref} not found")

    async def inspect(self, ref: str) -> JsonObject:
        """Inspect a network."""
        identifier = self.find(ref)
        return {**self.items[identifier], "Containers": self.members[identifier]}

    async def list(self, filters: Filters) -> Sequence[JsonObject]:
        """List networks."""
        return [
            item for item in self.items.values() if filters.match_exact("name", str(item["Name"]))
        ]

    async def remove(self, ref: str) -> None:
        """Remove a network."""
        identifier = self.find(ref)
        if self.members[identifier]:
            raise Forbidden(f"error while removing network: network {ref} has active endpoints")
        del self.items[identifier]

    async def prune(self, filters: Filters) -> Sequence[str]:
        """Prune networks."""
        del filters
        gone = [key for key in self.items if not self.members[key]]
        return [str(self.items.pop(key)["Name"]) for key in gone]

    async def connect(self, ref: str, container: str, settings: JsonObject) -> None:
        """Connect a container."""
        self.members[self.find(ref)][self._find(container).id] = settings

    async def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        """Disconnect a container."""
        del force
        identifier = self._find(container).id
        if self.members[self.find(ref)].pop(identifier, None) is None:
            raise EngineError(f"container {identifier} is not connected to network {ref}")


class FakeVolumeContent:
    """`runtime.engine.VolumeContentPart` in memory."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {"full": b"tar"}

    async def export(self, name: str) -> AsyncIterator[bytes]:
        """Export a volume."""
        if name not in self.content:
            raise NotFound(f"get {name}: no such volume")
        return self._pieces(self.content[name])

    async def _pieces(self, data: bytes) -> AsyncIterator[bytes]:
        yield data

    async def put(self, name: str, stream: AsyncIterator[bytes], *, replace: bool) -> JsonObject:
        """Import into a volume."""
        if name in self.content and not replace:
            raise Conflict(f"volume {name} is not empty")
        self.content[name] = b"".join([piece async for piece in stream])
        return {"Name": name}

    async def clone(self, name: str, target: str, *, replace: bool) -> JsonObject:
        """Copy a volume."""
        if target in self.content and not replace:
            raise Conflict(f"volume {target} is not empty")
        self.content[target] = self.content[name]
        return {"Name": target}


class FakeVolumes:
    """`runtime.engine.VolumesPart` in memory."""

    def __init__(self) -> None:
        self.items: dict[str, JsonObject] = {}
        self.busy: set[str] = set()

    async def create(
        self,
        name: str | None,
        driver: str,
        options: Mapping[str, str] | None,
        labels: Mapping[str, str] | None,
    ) -> JsonObject:
        """Create a volume."""
        anonymous = {} if name else {"com.docker.volume.anonymous": ""}
        name = name or new_id()
        if name not in self.items:
            self.items[name] = {
                "CreatedAt": "2026-01-01T00:00:00Z",
                "Driver": driver,
                "Labels": {**(labels or {}), **anonymous} or None,
                "Mountpoint": f"/volumes/{name}/_data",
                "Name": name,
                "Options": dict(options or {}) or None,
                "Scope": "local",
            }
        return self.items[name]

    async def inspect(self, name: str) -> JsonObject:
        """Inspect a volume."""
        if name not in self.items:
            raise NotFound(f"get {name}: no such volume")
        return self.items[name]

    async def list(self, filters: Filters) -> Sequence[JsonObject]:
        """List volumes."""
        return [
            item for item in self.items.values() if filters.match_exact("name", str(item["Name"]))
        ]

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a volume."""
        if name not in self.items:
            if force:
                return
            raise NotFound(f"get {name}: no such volume")
        if name in self.busy:
            raise Conflict(f"remove {name}: volume is in use - [abc]")
        del self.items[name]

    async def prune(self, filters: Filters) -> tuple[Sequence[str], int]:
        """Prune volumes."""
        if not filters.flag("all", default=False):
            return [], 0
        gone = list(self.items)
        self.items.clear()
        return gone, len(gone)

    async def usage(self) -> Sequence[JsonObject]:
        """Return usage."""
        return [{**item, "UsageData": {"Size": 1, "RefCount": 0}} for item in self.items.values()]


class FakeBuilder:
    """`runtime.engine.BuilderPart` in memory."""

    def __init__(self) -> None:
        self.builds: list[tuple[BuildOptions, bytes]] = []
        self.prunes: list[tuple[bool, CacheLimits]] = []

    async def build(
        self, options: BuildOptions, context: AsyncIterator[bytes]
    ) -> AsyncIterator[JsonObject]:
        """Build an image."""
        data = await read_all(context)
        self.builds.append((options, data))
        if data == b"bad":
            raise InvalidArgument("dockerfile parse error on line 1: unknown instruction: BAD")
        return _records({"stream": "Step 1/1 : FROM scratch\n"}, {"aux": {"ID": "sha256:1"}})

    async def prune(
        self, filters: Filters, limits: CacheLimits, *, all: bool = False
    ) -> tuple[Sequence[str], int]:
        """Prune the cache."""
        del filters
        self.prunes.append((all, limits))
        return ["a"], 7

    async def usage(self) -> Sequence[JsonObject]:
        """Return usage."""
        return [
            {
                "ID": "a",
                "Type": "regular",
                "Description": "",
                "InUse": False,
                "Shared": False,
                "Size": 7,
                "CreatedAt": "2026-01-01T00:00:00Z",
                "LastUsedAt": None,
                "UsageCount": 1,
            }
        ]


class FakeSystem:
    """`runtime.engine.SystemPart` in memory."""

    async def info(self) -> JsonObject:
        """Return known facts."""
        runtimes = {"shoal": {"path": "shoal"}}
        return {"Driver": "memory", "Runtimes": runtimes, "DefaultRuntime": "shoal"}

    async def layers_size(self) -> int:
        """Return the size of layers."""
        return 1000


class FakeDoctor:
    """`runtime.engine.DoctorPart` with one finding, which goes when it is repaired."""

    def __init__(self) -> None:
        self._ill = True

    async def examine(self, *, repair: bool) -> list[JsonObject]:
        """Return the finding while there is one."""
        if not self._ill:
            return []
        self._ill = not repair
        return [{"Check": "links", "Finding": "a link", "Repair": "deletes it", "Repaired": repair}]
