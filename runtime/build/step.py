"""What a stage has become after each step, and what steps share in one build."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from runtime.errors import EngineError
from runtime.image.manifest import chain_ids, digest_of, encode
from runtime.image.times import rfc3339
from runtime.record import field, mutable

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from runtime.build.cache import BuildCache, CacheEntry
    from runtime.build.context import BuildContext
    from runtime.build.metadata import Settings
    from runtime.build.options import BuildOptions
    from runtime.build.runner import StepRunner
    from runtime.build.stages import Plan
    from runtime.image.image_store import ImageStore

JsonObject = dict[str, object]

COMMENT = "buildkit.dockerfile.v0"


class StepFailed(EngineError):
    """A command of RUN ended with an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@mutable
class StageState:
    """A stage in the making: settings, layers and history of the image that it would be now.

    `image_id` is empty for a stage from scratch that has no step yet.
    """

    settings: Settings
    platform: dict[str, str]
    index: int = 0
    diff_ids: list[str] = field(default_factory=list)
    history: list[JsonObject] = field(default_factory=list)
    created: str = ""
    image_id: str = ""

    @property
    def chains(self) -> tuple[str, ...]:
        """Chain ids of the layers so far, the lowest first."""
        return chain_ids(self.diff_ids)

    def document(self) -> JsonObject:
        """Return the configuration of the image."""
        config = {key: value for key, value in self.settings.config.items() if value is not None}
        document: JsonObject = {
            **self.platform,
            "config": dict(sorted(config.items())),
            "created": self.created,
            "history": list(self.history),
            "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
        }
        if self.settings.author:
            document["author"] = self.settings.author
        return dict(sorted(document.items()))

    def note(self, text: str, created: str, entry: CacheEntry | None = None) -> None:
        """Add a history entry; one with a cache entry has a layer."""
        step: JsonObject = {"created": created, "created_by": text, "comment": COMMENT}
        if entry is None:
            step["empty_layer"] = True
        else:
            self.diff_ids.append(entry.diff_id)
        self.history.append(step)
        self.created = created

    def seal(self) -> None:
        """Compute the id of the image so far."""
        self.image_id = digest_of(encode(self.document()))

    def copy(self) -> StageState:
        """Return an independent copy, for a stage that is built on this one."""
        settings = self.settings
        return StageState(
            settings=type(settings)(
                config=json.loads(json.dumps(settings.config)),
                variables=dict(settings.variables),
                arguments=dict(settings.arguments),
                given=settings.given,
                globals=settings.globals,
                used=settings.used,
                author=settings.author,
                escape=settings.escape,
            ),
            platform=dict(self.platform),
            index=self.index,
            diff_ids=list(self.diff_ids),
            history=list(self.history),
            created=self.created,
            image_id=self.image_id,
        )


@mutable
class Build:
    """What the steps of one build share.

    Attributes:
        emit: takes a record of the answer.
        states: finished stages by index.
    """

    options: BuildOptions
    plan: Plan
    context: BuildContext
    cache: BuildCache
    images: ImageStore
    runner: StepRunner
    disk: Executor
    emit: Callable[[JsonObject], None]
    states: dict[int, StageState] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Emit a line of output."""
        self.emit({"stream": text})


def now() -> str:
    """Return the present time as documents write it."""
    return rfc3339(time.time_ns())
