"""``POST /build``: a Dockerfile and its context become an image.

The records are those of Docker's classic builder; the language is that of BuildKit's frontend.
Stages that the target does not need are not built. One build is one operation on the layers: what
it makes is safe from collection until the image, or the cache, has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from runtime.build.cache import BuildCache
from runtime.build.context import BuildContext
from runtime.build.dockerfile import Instruction, parse_dockerfile, parse_line
from runtime.build.instructions import run_instruction
from runtime.build.metadata import DEFAULT_PATH, PROXIES, Settings
from runtime.build.stages import SCRATCH, Plan, Stage, plan_stages
from runtime.build.step import Build, StageState, StepFailed
from runtime.errors import EngineError, InvalidArgument, NotFound, NotImplementedByEngine
from runtime.image.archive import UPLOADS, host_platform
from runtime.image.bridge import FedSource
from runtime.image.image_store import tag_reference
from runtime.linux import trees
from runtime.names import short_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from concurrent.futures import Executor

    from runtime.build.dockerfile import Dockerfile
    from runtime.build.options import BuildOptions, CacheLimits
    from runtime.build.runner import StepRunner
    from runtime.filters import Filters
    from runtime.image.image_store import Image, ImageStore
    from runtime.image.removal import ImageRemoval

JsonObject = dict[str, object]


class Builder:
    """Builds images; the handlers' ``engine.builder``."""

    def __init__(
        self,
        images: ImageStore,
        removal: ImageRemoval,
        runner: StepRunner,
        data_root: str,
        disk: Executor,
    ) -> None:
        self._images = images
        self._removal = removal
        self._runner = runner
        self._disk = disk
        self._uploads = ThreadPoolExecutor(UPLOADS, "build-context")
        self._contexts = os.path.join(data_root, "build")
        trees.remove_tree(self._contexts)
        os.makedirs(self._contexts, mode=0o700)
        self.cache = BuildCache(images.store, images.snapshotter.layers)
        images.roots.append(self.cache.chains)

    async def build(
        self, options: BuildOptions, context: AsyncIterator[bytes]
    ) -> AsyncIterator[JsonObject]:
        """Build an image from a context in tar.

        Awaiting it reads the context and parses the Dockerfile; it raises what is answered with a
        status (400 for a bad Dockerfile, 500 for a missing one). Iterating does the work and yields
        the records; a failed step is a last record with ``errorDetail`` and ``error``. Closing the
        iterator cancels the build.
        """
        _refuse(options)
        tags = _tags(options)
        prepared = await self._prepare(options, context)
        return self._records(options, prepared, tags)

    async def _prepare(
        self, options: BuildOptions, stream: AsyncIterator[bytes]
    ) -> tuple[BuildContext, Dockerfile, Plan]:
        source = FedSource()
        feeder = asyncio.ensure_future(source.feed(stream))
        loop = asyncio.get_running_loop()

        def read() -> tuple[BuildContext, Dockerfile, Plan]:
            context = BuildContext(self._contexts)
            try:
                context.fill(source)
                dockerfile = parse_dockerfile(context.dockerfile(options.dockerfile))
                return context, dockerfile, _plan(dockerfile, options)
            except BaseException:
                context.close()
                raise

        try:
            return await loop.run_in_executor(self._uploads, read)
        finally:
            source.abort()
            await feeder

    async def _records(
        self,
        options: BuildOptions,
        prepared: tuple[BuildContext, Dockerfile, Plan],
        tags: Sequence[str],
    ) -> AsyncIterator[JsonObject]:
        """Run the build as a task and yield what it emits."""
        queue: asyncio.Queue[JsonObject | None] = asyncio.Queue()
        context, dockerfile, plan = prepared
        emit = (lambda _: None) if options.quiet else queue.put_nowait
        build = Build(
            options, plan, context, self.cache, self._images, self._runner, self._disk, emit
        )
        task = asyncio.ensure_future(self._guarded(build, dockerfile, tags, queue))
        try:
            while (record := await queue.get()) is not None:
                yield record
            await task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await asyncio.get_running_loop().run_in_executor(self._disk, context.close)

    async def _guarded(
        self,
        build: Build,
        dockerfile: Dockerfile,
        tags: Sequence[str],
        queue: asyncio.Queue[JsonObject | None],
    ) -> None:
        """Run a build; turn its failure into the last records."""
        progress = _Progress(build, dockerfile)
        try:
            with self._images.operation():
                image = await self._run(build, dockerfile, progress)
                await self._finish(build, image, tags, queue)
        except EngineError as error:
            for record in progress.failure(error):
                queue.put_nowait(record)
        finally:
            self.cache.save()
            queue.put_nowait(None)

    async def _run(self, build: Build, dockerfile: Dockerfile, progress: _Progress) -> StageState:
        state: StageState | None = None
        used = set(_given(build.options)) & set(build.plan.arguments)
        for stage in build.plan.needed:
            progress.step(stage.source)
            state = self._base(build, stage, dockerfile.escape, used)
            build.states[stage.index] = state
            await self._triggers(build, state)
            for instruction in _all_instructions(build, stage):
                progress.step(instruction)
                await run_instruction(build, state, instruction)
            if not build.options.quiet:
                build.emit({"aux": {"ID": state.image_id}})
        given = build.options.build_args or {}
        unused = sorted(name for name in given if name not in used | PROXIES)
        if unused:
            names = " ".join(unused)
            build.say(f"[Warning] One or more build-args [{names}] were not consumed\n")
        assert state is not None  # noqa: S101 - a plan has a target
        return state

    def _base(self, build: Build, stage: Stage, escape: str, used: set[str]) -> StageState:
        """Begin a stage: on an earlier one, on an image, or on nothing."""
        if stage.parent is not None:
            state = build.states[stage.parent].copy()
            state.settings.cmd_set = False
        elif stage.base == SCRATCH:
            state = StageState(Settings({"WorkingDir": "/"}), host_platform())
        else:
            state = _from_image(self._image(stage.base), stage)
        state.index = stage.index
        settings = state.settings
        settings.given = _given(build.options)
        settings.globals = build.plan.arguments
        settings.used = used
        settings.escape = escape
        if not any(entry.startswith("PATH=") for entry in settings.texts("Env")):
            settings.set_environment("PATH", DEFAULT_PATH)
        build.say(f" ---> {short_id(state.image_id)}\n")
        return state

    def _image(self, name: str) -> Image:
        image = self._images.find(name)
        if image is None:
            shown = tag_reference(name, "").familiar if "@" not in name else name
            raise NotFound(
                f"image {shown} is not here, and this engine has no registry support yet: bring it"
                " with `docker load`, `docker import` or `shoal image pack`"
            )
        return image

    async def _triggers(self, build: Build, state: StageState) -> None:
        """Run the ONBUILD instructions of a base; its child does not inherit them."""
        triggers = state.settings.texts("OnBuild")
        if not triggers:
            return
        state.settings.config["OnBuild"] = None
        state.seal()
        build.say(f"# Executing {len(triggers)} build trigger{'s' if len(triggers) > 1 else ''}")
        build.say("\n")
        for trigger in triggers:
            await run_instruction(build, state, parse_line(trigger))

    async def _finish(
        self,
        build: Build,
        state: StageState,
        tags: Sequence[str],
        queue: asyncio.Queue[JsonObject | None],
    ) -> None:
        if not state.image_id:
            raise EngineError("no image was generated. Is your Dockerfile empty?")
        if self._images.get(state.image_id) is not None:  # nothing new, or FROM alone
            same = self._images.content.read(state.image_id)
            image = await self._images.put(same, tags)
        else:
            image = await self._images.put(state.document(), tags, ("create", "tag"))
        if build.options.quiet:
            queue.put_nowait({"stream": f"{image.id}\n"})
            return
        build.say(f"Successfully built {short_id(image.id)}\n")
        for tag in tags:
            build.say(f"Successfully tagged {tag_reference(tag, '').familiar}\n")

    async def prune(
        self,
        filters: Filters,
        limits: CacheLimits,
        *,
        all: bool = False,  # noqa: ARG002 - every entry can be made again
    ) -> tuple[Sequence[str], int]:
        """Remove build cache; return the ids of the records and the bytes gained."""
        dropped = self.cache.prune(filters, limits, _free_bytes(self._contexts))
        removed = await self._removal.collect()
        gained = sum(layer.size for layer in removed)
        self._images.events.publish("builder", "prune", "", {"reclaimed": str(gained)})
        return [entry.key[:25] for entry in dropped], gained

    async def usage(self) -> Sequence[JsonObject]:
        """Return ``BuildCache`` of ``GET /system/df``."""
        needed = {chain for image in self._images.all() for chain in image.layers}
        return self.cache.usage(needed)


def _free_bytes(path: str) -> int:
    space = os.statvfs(path)
    return space.f_bavail * space.f_frsize


class _Progress:
    """Counts steps, and knows where in the Dockerfile the build is."""

    def __init__(self, build: Build, dockerfile: Dockerfile) -> None:
        self._build = build
        self._dockerfile = dockerfile
        needed = build.plan.needed
        self._total = sum(1 + len(_all_instructions(build, stage)) for stage in needed)
        self._done = 0
        self._current: Instruction | None = None

    def step(self, instruction: Instruction) -> None:
        """Announce the next step."""
        self._done += 1
        self._current = instruction
        self._build.say(f"Step {self._done}/{self._total} : {instruction.text}")
        self._build.say("\n")

    def failure(self, error: EngineError) -> list[JsonObject]:
        """Return the last records: where it failed, and why in Docker's words."""
        detail: JsonObject = {"message": error.message}
        if isinstance(error, StepFailed):
            detail = {"code": error.code, "message": error.message}
        last: JsonObject = {"errorDetail": detail, "error": error.message}
        if self._current is None or not self._current.line or self._build.options.quiet:
            return [last]
        return [{"stream": self._excerpt(self._current)}, last]

    def _excerpt(self, instruction: Instruction) -> str:
        """Return the lines around an instruction, those of it marked."""
        lines = self._dockerfile.lines
        first, last = max(instruction.line - 2, 1), min(instruction.end_line + 2, len(lines))
        rule = "-" * 20
        shown = [f"{self._build.options.dockerfile}:{instruction.line}", rule]
        for number in range(first, last + 1):
            marked = instruction.line <= number <= instruction.end_line
            shown.append(f"{number:4} | {'>>> ' if marked else '    '}{lines[number - 1]}".rstrip())
        return "\n".join([*shown, rule, ""])


def _all_instructions(build: Build, stage: Stage) -> tuple[Instruction, ...]:
    """Return a stage's instructions; the client's labels are one more in the target."""
    labels = build.options.labels
    if not labels or stage.index != build.plan.target.index:
        return stage.instructions
    words = " ".join(f"{_word(key)}={_word(value)}" for key, value in sorted(labels.items()))
    shown = " ".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return (*stage.instructions, Instruction("LABEL", f"LABEL {shown}", words, 0, 0))


def _word(text: str) -> str:
    """Quote a text so that no variable in it is filled in."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


def _plan(dockerfile: Dockerfile, options: BuildOptions) -> Plan:
    host = host_platform()
    platform = f"{host['os']}/{host['architecture']}"
    defaults = {
        "TARGETPLATFORM": platform, "TARGETOS": host["os"], "TARGETARCH": host["architecture"],
        "TARGETVARIANT": "", "BUILDPLATFORM": platform, "BUILDOS": host["os"],
        "BUILDARCH": host["architecture"], "BUILDVARIANT": "", "TARGETSTAGE": options.target,
    }  # fmt: skip
    return plan_stages(dockerfile, _given(options), defaults, options.target)


def _given(options: BuildOptions) -> dict[str, str]:
    given = options.build_args or {}
    return {name: value for name, value in given.items() if value is not None}


def _tags(options: BuildOptions) -> list[str]:
    try:
        return [str(tag_reference(tag, "")) for tag in options.tags]
    except InvalidArgument as error:  # answered as Docker does: 500, not 400
        raise EngineError(error.message) from error


def _refuse(options: BuildOptions) -> None:
    if options.squash:
        raise InvalidArgument("squash is only supported with experimental mode")
    if options.remote:
        raise NotImplementedByEngine(
            "builds of a remote context are not supported by Shoal: clone it and build locally"
        )


def _from_image(image: Image, stage: Stage) -> StageState:
    document = image.document
    platform = {key: str(document[key]) for key in ("os", "architecture", "variant")
                if document.get(key)}  # fmt: skip
    have = f"{platform.get('os')}/{platform.get('architecture')}"
    if stage.platform and stage.platform.split("/")[:2] != have.split("/"):
        raise NotFound(
            f"image with reference {stage.base} was found but its platform ({have}) does not match"
            f" the specified platform ({stage.platform})"
        )
    settings = Settings(dict(image.config), author=str(document.get("author") or ""))
    for entry in settings.texts("Env"):
        name, _, value = entry.partition("=")
        settings.variables[name] = value
    history = document.get("history")
    rootfs = document.get("rootfs")
    layers = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    return StageState(
        settings,
        platform,
        diff_ids=list(layers or ()),
        history=[step for step in history if isinstance(step, dict)]
        if isinstance(history, list)
        else [],
        created=image.created,
        image_id=image.id,
    )
