"""Images of a project: which to pull or build, and doing so."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

from compose.errors import EngineError, OperationFailed, ShoalError
from compose.model.record import record
from compose.progress import DONE, ERROR, WORKING, Event
from compose.reconciler import labels
from compose.reconciler.observed import image_name
from compose.reconciler.plan import BuildImage, Plan, PullImage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compose.engine.calls import Query
    from compose.engine.client import EngineClient
    from compose.model.build import Build
    from compose.model.project import Project
    from compose.model.service import Service
    from compose.progress import Progress
    from compose.reconciler.observed import Image

LAYER_DONE = frozenset({"Pull complete", "Already exists", "Download complete"})
UNIT_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
NAMED_INTERVALS = {"daily": 86400, "weekly": 604800}


@record
class BuildOptions:
    """Flags of ``build`` that go beyond the file."""

    arguments: tuple[str, ...] = ()
    no_cache: bool = False
    pull: bool = False
    memory: int = 0
    quiet: bool = False


def plan_images(
    project: Project,
    local: Mapping[str, Image],
    *,
    build: bool | None = None,
    now: float | None = None,
    separator: str = "-",
) -> Plan:
    """Which images to pull or build before an ``up``.

    Args:
        project: the project, pull policies already overridden by flags.
        local: images that are there, by the name that services use.
        build: True builds all that can be built, False none, None what is missing.
        now: the time, for policies with an interval.
        separator: what stands between the parts of an image's name.
    """
    plan = Plan()
    seen: set[str] = set()
    for name, service in sorted(project.services.items()):
        image = image_name(project.name, service, separator)
        if image in seen or service.provider is not None:
            continue
        operation = _image_operation(service, image, local.get(image), build=build, now=now)
        if operation is not None:
            seen.add(image)
            plan.add(operation)
            action = "build" if isinstance(operation, BuildImage) else "pull"
            plan.decide(name, f"{action} image {image}", operation.cause)
    return plan


def _image_operation(
    service: Service, image: str, found: Image | None, *, build: bool | None, now: float | None
) -> PullImage | BuildImage | None:
    policy = service.pull_policy
    buildable = service.build is not None and build is not False
    if found is not None and not _right_platform(service, found):
        found = None
    if buildable and (build or policy == "build"):
        cause = "asked for" if build else "pull_policy: build"
        return BuildImage(image=image, service=service.name, cause=cause)
    if policy == "always" or (found is not None and _is_old(policy, found, now)):
        return _pull(service, image, f"pull_policy: {policy}", build=buildable)
    if found is not None:
        return None
    if buildable and (not service.image or policy == "never"):
        return BuildImage(image=image, service=service.name, cause="missing")
    if policy in {"never", "build"} or not service.image:
        return None
    return _pull(service, image, "missing", build=buildable)


def _pull(service: Service, image: str, cause: str, *, build: bool) -> PullImage:
    return PullImage(
        image=image, service=service.name, platform=service.platform, build=build, cause=cause
    )


def _right_platform(service: Service, found: Image) -> bool:
    if not service.platform:
        return True
    wanted = service.platform.split("/")
    return found.platform.split("/")[: min(len(wanted), 2)] == wanted[:2]


def _is_old(policy: str, found: Image, now: float | None) -> bool:
    """Whether an interval policy (``daily``, ``every_12h`` ...) asks for a new pull."""
    seconds = NAMED_INTERVALS.get(policy, 0)
    if policy.startswith("every_"):
        parts = re.findall(r"(\d+)([wdhms])", policy)
        seconds = sum(int(number) * UNIT_SECONDS[unit] for number, unit in parts)
    if not seconds:
        return False
    from datetime import datetime  # noqa: PLC0415 - only policies with an interval need it

    try:
        text = re.sub(r"(\.\d{6})\d+", r"\1", found.tagged)
        tagged = datetime.fromisoformat(text).timestamp()
    except ValueError:
        return True
    return (time.time() if now is None else now) - tagged > seconds


async def pull_image(client: EngineClient, operation: PullImage, progress: Progress) -> None:
    """Pull one image and show its layers."""
    shown = operation.service
    progress.report(Event(id=shown, status="", text="Pulling", state=WORKING))
    name, tag = split_reference(operation.image)
    try:
        async for line in client.pull_image(name, tag, platform=operation.platform):
            if "error" in line:
                raise OperationFailed(str(line["error"]))
            _report_layer(shown, line, progress)
    except ShoalError as error:
        text = f"Error {error}" if not operation.build else f"Warning {error}"
        progress.report(Event(id=shown, status=text, state=ERROR))
        raise
    progress.report(Event(id=shown, status="Pulled", state=DONE))


def _report_layer(parent: str, line: dict[str, object], progress: Progress) -> None:
    detail = line.get("progressDetail")
    numbers = detail if isinstance(detail, dict) else {}
    status = str(line.get("status", ""))
    if "id" in line:
        progress.report(
            Event(
                id=str(line["id"]),
                status=status,
                state=DONE if status in LAYER_DONE else WORKING,
                parent=parent,
                current=int(numbers.get("current") or 0),
                total=int(numbers.get("total") or 0),
            )
        )


def split_reference(image: str) -> tuple[str, str]:
    """Name and tag (or digest) of a reference; no tag means ``latest``."""
    name, at, digest = image.partition("@")
    if at:
        return name, digest
    head, slash, last = image.rpartition("/")
    base, _, tag = last.partition(":")
    return f"{head}{slash}{base}", tag or "latest"


def build_query(project: Project, service: Service, image: str, options: BuildOptions) -> Query:
    """Parameters of ``POST /build`` for the classic builder."""
    from compose.engine.build_context import (  # noqa: PLC0415 - imports tarfile: only builds need it
        remote_context,
    )

    build = service.build
    if build is None:
        raise ShoalError(f'service "{service.name}" has no build section')
    arguments: dict[str, str | None] = dict(build.args)
    for text in options.arguments:
        key, equals, value = text.partition("=")
        arguments[key] = value if equals else project.environment.get(key)
    marks = {
        labels.PROJECT: project.name,
        labels.SERVICE: service.name,
        labels.VERSION: labels.COMPOSE_VERSION,
        labels.IMAGE_BUILDER: "classic",
        **build.labels,
    }
    return {
        "t": [image, *build.tags],
        "dockerfile": build.dockerfile,
        "remote": build.context if remote_context(build.context) else "",
        "buildargs": json.dumps(arguments) if arguments else "",
        "labels": json.dumps(marks),
        "cachefrom": json.dumps(list(build.cache_from)) if build.cache_from else "",
        "target": build.target,
        "networkmode": build.network,
        "nocache": options.no_cache or build.no_cache,
        "pull": options.pull or build.pull,
        "platform": service.platform or (build.platforms[0] if build.platforms else ""),
        "extrahosts": [entry.replace("=", ":", 1) for entry in build.extra_hosts],
        "shmsize": int(build.shm_size),
        "ulimits": _ulimits(build),
        "memory": options.memory,
        "rm": True,
        "version": "1",
    }


def _ulimits(build: Build) -> str:
    if not build.ulimits:
        return ""
    return json.dumps(
        [
            {"Name": name, "Soft": limit.pair[0], "Hard": limit.pair[1]}
            for name, limit in sorted(build.ulimits.items())
        ]
    )


async def build_image(
    client: EngineClient,
    project: Project,
    service: str,
    image: str,
    progress: Progress,
    *,
    options: BuildOptions | None = None,
    output: Callable[[str], None] | None = None,
) -> None:
    """Build the image of a service with the engine's classic builder.

    Args:
        client: the engine.
        project: the project.
        service: key of the service.
        image: name of the result.
        progress: where the begin and the end are shown.
        options: flags of the command.
        output: takes the builder's log.
    """
    from compose.engine.build_context import build_context  # noqa: PLC0415 - imports tarfile

    asked = options or BuildOptions()
    wanted = project.services[service]
    query = build_query(project, wanted, image, asked)
    progress.report(Event(id=image, status="Building", state=WORKING))
    log: list[str] = []
    if wanted.build is None:
        raise ShoalError(f'service "{service}" has no build section')
    try:
        async for line in client.build_image(query, build_context(wanted.build)):
            if "error" in line:
                raise OperationFailed(
                    f'failed to build service "{service}": {str(line["error"]).strip()}',
                    hint="".join(log[-30:]).strip(),
                )
            text = str(line.get("stream", ""))
            log.append(text)
            if output is not None and text:
                output(text)
    except EngineError as error:
        progress.report(Event(id=image, status=f"Error {error}", state=ERROR))
        raise
    progress.report(Event(id=image, status="Built", state=DONE))
