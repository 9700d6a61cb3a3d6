"""COPY and ADD: their words, where they read from, and the cache key of what they read."""

from __future__ import annotations

import asyncio
import os
import posixpath
from contextlib import ExitStack
from typing import TYPE_CHECKING

from runtime.build.accounts import lookup_owner
from runtime.build.cache import cache_key
from runtime.build.modes import check_mode
from runtime.build.source_tree import SourceTree
from runtime.build.stages import stage_reference
from runtime.build.transfer import Transfer, transfer
from runtime.build.words import expand_unquoted
from runtime.build.workspace import LayerStep, make_layer, take_cached
from runtime.errors import EngineError, InvalidArgument
from runtime.record import record

if TYPE_CHECKING:
    from runtime.build.dockerfile import Instruction
    from runtime.build.step import Build, StageState


async def copy_files(build: Build, state: StageState, instruction: Instruction) -> None:
    """Carry out COPY or ADD.

    Raises:
        EngineError: a source is missing, or the destination cannot take it.
    """
    order = _CopyOrder.parse(state, instruction)
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        tree = await _source_tree(build, state, instruction, stack)
        items = await loop.run_in_executor(
            build.disk, lambda: _found(build, state, instruction, tree, order)
        )
        digests = await loop.run_in_executor(
            build.disk, lambda: [(posixpath.basename(p), t.digest(p)) for t, p in items]
        )
        step = LayerStep(
            cache_key("copy", state.chains[-1:], order.destination, order.chown, order.chmod,
                      instruction.name, digests),
            order.text,
        )  # fmt: skip

        def write(root_fd: int) -> None:
            owner = lookup_owner(root_fd, order.chown) if order.chown else None
            extract = instruction.name == "ADD"
            transfer(root_fd, Transfer(items, order.destination, owner, order.chmod, extract))

        async with build.cache.flight(step.key):
            if not take_cached(build, state, step):
                await make_layer(build, state, step, write)


@record
class _CopyOrder:
    """The words of COPY or ADD, expanded."""

    sources: tuple[str, ...]
    destination: str
    chown: str
    chmod: str
    text: str

    @classmethod
    def parse(cls, state: StageState, instruction: Instruction) -> _CopyOrder:
        """Expand the words and check what can be checked.

        Raises:
            InvalidArgument: the destination is ambiguous, or a source is remote.
        """
        settings = state.settings
        given = instruction.json if instruction.json is not None else instruction.rest.split()
        words = [settings.expand(word) for word in given]
        *sources, last = words
        name = instruction.name
        if len(sources) > 1 and not last.endswith("/") and last not in {".", ".."}:
            raise InvalidArgument(
                f"When using {name} with more than one source file, the destination must be a"
                " directory and end with a /"
            )
        for source in sources:
            _refuse_remote(name, source)
        base = settings.text("WorkingDir") or "/"
        destination = posixpath.normpath(posixpath.join("/", base, last))
        if last.endswith("/") or posixpath.basename(last) in {".", ".."}:
            destination = destination.rstrip("/") + "/"
        chown = settings.expand(instruction.flag("chown") or "")
        chmod = settings.expand(instruction.flag("chmod") or "")
        flags = (f"--{k}={v}" for k, v in (("chown", chown), ("chmod", chmod)) if v)
        text = " ".join((name, *flags, *words, "# buildkit"))
        return cls(tuple(sources), destination, chown, check_mode(chmod) if chmod else "", text)


def _refuse_remote(name: str, source: str) -> None:
    remote = source.startswith(("http://", "https://", "git://", "ssh://", "git@"))
    if remote and name == "COPY":
        raise InvalidArgument("source can't be a URL for COPY")
    if remote:
        raise InvalidArgument(
            f"ADD of a URL is not supported by Shoal yet: fetch {source} with RUN, or put it into"
            " the build context"
        )


async def _source_tree(
    build: Build, state: StageState, instruction: Instruction, stack: ExitStack
) -> SourceTree:
    """Return where COPY reads from: the context, a stage, or an image."""
    ref = instruction.flag("from")
    if ref is None:
        return build.context.tree
    if "$" in ref:
        raise InvalidArgument(
            "'from' doesn't support variable expansion, define alias stage instead"
        )
    stage = stage_reference(ref, build.plan.stages, state.index)
    if stage is not None:
        chains = build.states[stage.index].chains
    elif ref.lower() == "scratch":
        chains = ()
    else:
        chains = build.images.resolve(ref).layers
    fd = await build.images.snapshotter.view(chains)
    stack.callback(os.close, fd)
    return SourceTree(fd, keep_owner=True)


def _found(
    build: Build,
    state: StageState,
    instruction: Instruction,
    tree: SourceTree,
    order: _CopyOrder,
) -> list[tuple[SourceTree, str]]:
    """Return every source: files and directories of the tree, and heredocs."""
    named = {f"<<{doc.name}" for doc in instruction.heredocs}
    documents = iter(instruction.heredocs)
    items: list[tuple[SourceTree, str]] = []
    for source in order.sources:
        if source.replace("<<-", "<<").replace('"', "").replace("'", "") in named:
            document = next(documents)
            content = document.content
            if document.expand:
                content = expand_unquoted(content, state.settings.variables, state.settings.escape)
            items.append((build.context.documents([document], [content]), document.name))
            continue
        paths = tree.find(source)
        if not paths and not any(character in source for character in "*?["):
            raise EngineError(
                f"{instruction.name} failed: file not found in build context or excluded by"
                f" .dockerignore: stat {source.lstrip('/')}: file does not exist"
            )
        items += [(tree, path) for path in paths]
    return items
