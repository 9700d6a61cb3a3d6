"""One function per kind of Dockerfile instruction: what it does to a stage.

Each looks into the cache first, emits the records of Docker's classic builder, and leaves the stage
sealed: its image id known.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING

from runtime.build.accounts import lookup_owner
from runtime.build.cache import CacheEntry, cache_key
from runtime.build.copying import copy_files
from runtime.build.metadata import PROXIES, apply_metadata, command, set_workdir
from runtime.build.runner import RunStep
from runtime.build.step import StepFailed, now
from runtime.build.transfer import ensure_directory
from runtime.build.workspace import LayerStep, Workspace, keep, make_layer, take_cached
from runtime.errors import InvalidArgument
from runtime.linux.file_owner import creating_as
from runtime.names import new_id, short_id
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.build.dockerfile import Instruction
    from runtime.build.step import Build, StageState

_LATER = frozenset({"mount", "device", "parents", "exclude", "checksum", "keep-git-dir", "unpack"})
"""Flags of the language that this builder does not carry out; ``--link`` changes no result."""
_RED, _PLAIN = "\x1b[91m", "\x1b[0m"


async def run_instruction(build: Build, state: StageState, instruction: Instruction) -> None:
    """Carry out one instruction.

    Raises:
        EngineError: it failed.
    """
    _refuse_flags(instruction)
    match instruction.name:
        case "RUN":
            await _run(build, state, instruction)
        case "COPY" | "ADD":
            await copy_files(build, state, instruction)
        case "WORKDIR":
            await _workdir(build, state, instruction)
        case _:
            _metadata(build, state, instruction)
    state.seal()
    build.say(f" ---> {short_id(state.image_id)}\n")


def _refuse_flags(instruction: Instruction) -> None:
    """Refuse what would otherwise be left out silently."""
    for name, value in instruction.flags:
        if name in _LATER or (name == "security" and value != "sandbox"):
            raise InvalidArgument(
                f"{instruction.name} --{name} is not supported by Shoal yet: do without it"
            )


def _metadata(build: Build, state: StageState, instruction: Instruction) -> None:
    before = state.image_id
    text = apply_metadata(state.settings, instruction)
    key = cache_key("config", before, text, state.settings.config)
    entry = None if build.options.no_cache else build.cache.find(key)
    if entry is not None:
        build.say(" ---> Using cache\n")
    else:
        entry = CacheEntry(key, text or instruction.text, now())
        build.cache.add(entry)
    if text is not None:
        state.note(text, entry.created)
    else:
        state.created = entry.created


# RUN -------------------------------------------------------------------------------------------


async def _run(build: Build, state: StageState, instruction: Instruction) -> None:
    settings = state.settings
    script = _script(instruction)
    argv = command(settings, instruction) if script is None else [*settings.shell, script]
    arguments = {k: v for k, v in settings.arguments.items() if v is not None}
    proxies = {k: v for k, v in settings.given.items() if k in PROXIES and k not in arguments}
    env = _environment(settings.texts("Env"), settings.variables, arguments)
    network = _network(instruction.flag("network") or "", build.options.network_mode)
    shown = " ".join(argv)
    if settings.arguments:
        listed = " ".join(f"{k}={v or ''}" for k, v in sorted(settings.arguments.items()))
        shown = f"|{len(settings.arguments)} {listed} {shown}"
    workdir, user = settings.text("WorkingDir") or "/", settings.text("User")
    step = LayerStep(
        cache_key("run", state.chains[-1:], argv, env, workdir, user, network,
                  build.options.extra_hosts, build.options.shm_size),
        f"RUN {shown} # buildkit",
        with_init=True,
    )  # fmt: skip
    program = _Command(argv, _environment(env, proxies, proxies), user, workdir, network)
    async with build.cache.flight(step.key):
        if not take_cached(build, state, step):
            await _execute(build, state, step, program)


@record
class _Command:
    argv: list[str]
    env: list[str]
    user: str
    workdir: str
    network: str


def _script(instruction: Instruction) -> str | None:
    """Return what the shell is given when RUN has heredocs, None when it has none."""
    if not instruction.heredocs:
        return None
    alone = len(instruction.heredocs) == 1 and len(instruction.rest.split()) == 1
    body = instruction.heredocs[0].content
    if alone and not body.startswith("#!"):
        return body
    if alone:
        interpreter = body[2:].partition("\n")[0].strip()
        quoted = "'" + body.replace("'", "'\\''") + "'"
        return (
            "f=$(mktemp) && printf '%s' " + quoted + ' > "$f" && ' + interpreter + ' "$f"; c=$?;'
            ' rm -f "$f"; exit $c'
        )
    bodies = "".join(f"{doc.content}{doc.name}\n" for doc in instruction.heredocs)
    return f"{instruction.rest}\n{bodies}"


def _environment(base: Sequence[str], values: dict[str, str], names: dict[str, str]) -> list[str]:
    """Return variables of the configuration, changed and completed by those named."""
    merged = dict(entry.partition("=")[::2] for entry in base)
    for name, default in names.items():
        merged[name] = values.get(name, default)
    return [f"{name}={value}" for name, value in merged.items()]


def _network(flag: str, option: str) -> str:
    if flag not in {"", "default", "none", "host"}:
        raise InvalidArgument(f'invalid network mode "{flag}"')
    return flag if flag and flag != "default" else option or "default"


async def _execute(build: Build, state: StageState, step: LayerStep, run: _Command) -> None:
    loop = asyncio.get_running_loop()
    make = partial(Workspace, build, state, step.with_init, mapped=True)
    space = await loop.run_in_executor(build.disk, make)
    try:
        if run.workdir != "/":
            root = build.images.snapshotter.root
            await loop.run_in_executor(build.disk, _make_workdir, space.fd, run.workdir, root)
        order = _run_step(build, space.fd, run)
        code = await build.runner.run(order)
        if code != 0:
            shown = " ".join(run.argv)
            raise StepFailed(f"The command '{shown}' returned a non-zero code: {code}", code)
        layer = await loop.run_in_executor(build.disk, space.commit)
        build.say(f" ---> Removed intermediate container {short_id(order.id)}\n")
        keep(build, state, step, layer)
    finally:
        await loop.run_in_executor(build.disk, space.discard)


def _run_step(build: Build, rootfs_fd: int, run: _Command) -> RunStep:
    identifier = new_id()
    build.say(f" ---> Running in {short_id(identifier)}\n")

    def on_output(stream: str, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        build.say(f"{_RED}{text}{_PLAIN}" if stream == "stderr" else text)

    return RunStep(
        id=identifier,
        rootfs_fd=rootfs_fd,
        argv=tuple(run.argv),
        env=tuple(run.env),
        user=run.user,
        workdir=run.workdir,
        network_mode=run.network,
        on_output=on_output,
        extra_hosts=build.options.extra_hosts,
        shm_size=build.options.shm_size,
    )


def _make_workdir(root_fd: int, path: str, root: tuple[int, int]) -> None:
    with creating_as(root):
        os.close(ensure_directory(root_fd, path, root))


# WORKDIR ---------------------------------------------------------------------------------------


async def _workdir(build: Build, state: StageState, instruction: Instruction) -> None:
    settings = state.settings
    path = set_workdir(settings, instruction)
    text = f"WORKDIR {path}"
    if path == "/":
        state.note(text, state.created or now())
        return
    user = settings.text("User")
    step = LayerStep(cache_key("workdir", state.chains[-1:], path, user), text)

    def write(root_fd: int) -> None:
        owner = lookup_owner(root_fd, user) if user else (0, 0)
        os.close(ensure_directory(root_fd, path, owner))

    async with build.cache.flight(step.key):
        if not take_cached(build, state, step):
            await make_layer(build, state, step, write)
