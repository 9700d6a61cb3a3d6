"""What clients may choose when they ask something of containers and execs.

One frozen record for each call of the Docker Engine API that takes more than a name; the API fills
them, the parts of the engine read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.filters import Filters
from runtime.record import field, record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

JsonObject = dict[str, object]

NO_FILTERS = Filters({})


@record
class ListOptions:
    """``GET /containers/json``; ``limit`` 0 lists all that match."""

    all: bool = False
    limit: int = 0
    size: bool = False
    filters: Filters = NO_FILTERS


@record
class LogOptions:
    """``GET /containers/{id}/logs``.

    ``tail`` is the number of last lines, None for all. Times are nanoseconds of the epoch, None for
    no limit.
    """

    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    timestamps: bool = False
    details: bool = False
    since_ns: int | None = None
    until_ns: int | None = None
    tail: int | None = None


@record
class AttachOptions:
    """``POST /containers/{id}/attach``.

    ``logs`` replays what was written so far, ``stream`` goes on with what comes. ``detach_keys`` is
    the client's text, such as ``ctrl-p,ctrl-q``; None means the engine's default. ``framed`` says
    whether the client understands frames; a WebSocket does not.
    """

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    logs: bool = False
    stream: bool = False
    detach_keys: str | None = None
    framed: bool = True


@record
class ExecStartOptions:
    """``POST /exec/{id}/start``; ``console_size`` is (rows, columns)."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None


@record
class CommitOptions:
    """``POST /commit``: a container's file system becomes an image.

    ``config`` is the body's container configuration, which is laid over the container's own;
    ``changes`` are Dockerfile instructions that come last.
    """

    repository: str = ""
    tag: str = ""
    comment: str = ""
    author: str = ""
    pause: bool = True
    changes: tuple[str, ...] = ()
    config: JsonObject = field(default_factory=dict)


@record
class PutOptions:
    """``PUT /containers/{id}/archive``: a tar archive, plain or compressed, for a directory."""

    path: str
    stream: AsyncIterator[bytes]
    no_overwrite_dir_non_dir: bool = False
    copy_owners: bool = False
