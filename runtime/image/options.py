"""What clients may choose when they list, pull or import images (``/images`` of the API)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.record import record

if TYPE_CHECKING:
    from runtime.filters import Filters

JsonObject = dict[str, object]


@record
class ImageListOptions:
    """``GET /images/json``."""

    filters: Filters
    all: bool = False
    shared_size: bool = False
    manifests: bool = False


@record
class PullOptions:
    """``POST /images/create?fromImage=`` and ``POST /images/{name}/push``.

    ``auth`` is the decoded ``X-Registry-Auth``; ``tag`` may be a digest or empty.
    """

    reference: str
    tag: str = ""
    platform: str | None = None
    auth: JsonObject | None = None


@record
class ImportOptions:
    """``POST /images/create?fromSrc=``: a root file system becomes an image.

    ``source`` is ``-`` for the request's body, else a URL.
    """

    source: str
    repository: str = ""
    tag: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()
    platform: str | None = None
