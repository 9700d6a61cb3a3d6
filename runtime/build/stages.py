"""Stages of a Dockerfile: their names, what they need of one another, which must be built. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runtime.build.dockerfile import DockerfileError, Instruction
from runtime.build.words import WordError, expand
from runtime.errors import InvalidArgument
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.build.dockerfile import Dockerfile

_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
SCRATCH = "scratch"


@record
class Stage:
    """A FROM and what follows it.

    Attributes:
        base: the name of an image, or of an earlier stage when `parent` is set.
        parent: index of the stage that it is built on.
        copies: indexes of the stages that it copies from.
    """

    index: int
    name: str
    base: str
    platform: str
    source: Instruction
    instructions: tuple[Instruction, ...]
    parent: int | None
    copies: frozenset[int]


@record
class Plan:
    """The stages of a build, in file order, and those that the target needs."""

    arguments: Mapping[str, str]
    """Values of the ARGs before the first FROM."""
    stages: tuple[Stage, ...]
    target: Stage
    needed: tuple[Stage, ...]


def plan_stages(
    dockerfile: Dockerfile, build_args: Mapping[str, str], defaults: Mapping[str, str], target: str
) -> Plan:
    """Split a Dockerfile into stages and choose what must be built.

    Args:
        dockerfile: the instructions.
        build_args: values that the client gives.
        defaults: predefined arguments, such as TARGETARCH.
        target: the name of the last stage to be built; empty for the last one.

    Raises:
        InvalidArgument: a stage is malformed, or the target does not exist.
    """
    arguments, groups = _groups(dockerfile.instructions, build_args, defaults)
    stages: list[Stage] = []
    names: dict[str, int] = {}
    for group in groups:
        stage = _stage(len(stages), group, arguments, names)
        stages.append(stage)
        names[str(stage.index)] = stage.index
        if stage.name:
            names[stage.name] = stage.index
    chosen = _target(stages, target)
    return Plan(arguments, tuple(stages), chosen, _needed(stages, chosen))


def _groups(
    instructions: Sequence[Instruction], build_args: Mapping[str, str], defaults: Mapping[str, str]
) -> tuple[dict[str, str], list[list[Instruction]]]:
    """Evaluate the ARGs in front, and cut the rest at each FROM."""
    arguments = dict(defaults)
    groups: list[list[Instruction]] = []
    for instruction in instructions:
        if instruction.name == "FROM":
            groups.append([instruction])
        elif groups:
            groups[-1].append(instruction)
        elif instruction.name == "ARG":
            _global_argument(instruction, arguments, build_args)
        else:
            raise DockerfileError(instruction.line, "no build stage in current context")
    if not groups:
        raise InvalidArgument("no build stage in current context")
    return arguments, groups


def _global_argument(
    instruction: Instruction, arguments: dict[str, str], build_args: Mapping[str, str]
) -> None:
    for word in split_pairs(instruction.rest):
        name, equals, value = word.partition("=")
        if name in build_args:
            arguments[name] = build_args[name]
        elif equals:
            arguments[name] = _expanded(value, arguments, instruction)


def split_pairs(text: str) -> list[str]:
    """Split a text at blanks outside of quotes; quotes and escapes stay."""
    return re.findall(r"(?:\\.|\"(?:\\.|[^\"\\])*\"|'[^']*'|[^\s\"'\\]|[\"'\\])+", text)


def _expanded(text: str, arguments: Mapping[str, str], instruction: Instruction) -> str:
    try:
        return expand(text, arguments)
    except WordError as error:
        raise DockerfileError(instruction.line, error.message) from error


def _stage(
    index: int,
    group: Sequence[Instruction],
    arguments: Mapping[str, str],
    names: Mapping[str, int],
) -> Stage:
    source = group[0]
    words = source.rest.split()
    name = words[2].lower() if len(words) == 3 else ""
    if name and not _NAME.fullmatch(name):
        raise DockerfileError(
            source.line,
            f'invalid name for build stage: "{words[2]}", name can\'t start with a number or'
            " contain symbols",
        )
    base = _expanded(words[0], arguments, source)
    if not base:
        raise DockerfileError(source.line, f"base name ({words[0]}) should not be blank")
    platform = _expanded(source.flag("platform") or "", arguments, source)
    parent = names.get(base.lower())
    copied = [i.flag("from") for i in group if i.name == "COPY"]
    copies = {names[ref.lower()] for ref in copied if ref and ref.lower() in names}
    if name and any(ref and ref.lower() == name for ref in copied) and name not in names:
        raise InvalidArgument(f"circular dependency detected on stage: {name}")
    return Stage(index, name, base, platform, source, tuple(group[1:]), parent, frozenset(copies))


def _target(stages: Sequence[Stage], target: str) -> Stage:
    if not target:
        return stages[-1]
    found = [stage for stage in stages if stage.name == target.lower()]
    if not found:
        raise InvalidArgument(f'target stage "{target}" could not be found')
    return found[-1]


def _needed(stages: Sequence[Stage], target: Stage) -> tuple[Stage, ...]:
    needed: set[int] = set()
    pending = [target.index]
    while pending:
        index = pending.pop()
        if index in needed:
            continue
        needed.add(index)
        stage = stages[index]
        pending += stage.copies
        if stage.parent is not None:
            pending.append(stage.parent)
    return tuple(stage for stage in stages if stage.index in needed)


def stage_reference(ref: str, stages: Sequence[Stage], before: int) -> Stage | None:
    """Return the earlier stage that a ``--from`` names by name or number, or None."""
    if ref.isdigit() and int(ref) < before:
        return stages[int(ref)]
    found = [stage for stage in stages[:before] if stage.name == ref.lower()]
    return found[-1] if found else None
