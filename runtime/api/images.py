"""``/images`` and ``/distribution`` of the Docker Engine API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.api.call import Call, Route, answer, empty
from runtime.api.registry_auth import decode_auth
from runtime.api.streams import output, progress
from runtime.engine import ImageListOptions, ImportOptions, PullOptions
from runtime.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from runtime.http_server.messages import Response

LIST_FILTERS = ("dangling", "label", "reference", "before", "since", "until")
PRUNE_FILTERS = ("dangling", "until", "label", "label!")
SEARCH_FILTERS = ("is-automated", "is-official", "stars")

_BUILDKIT_IMAGE = "moby/buildkit"
BUILDKIT_HINT = "BuildKit is not available in Shoal: set DOCKER_BUILDKIT=0"
_SEARCH_LIMIT = 25


async def list_images(call: Call) -> Response:
    """``GET /images/json``."""
    options = ImageListOptions(
        filters=call.filters(LIST_FILTERS),
        all=call.flag("all"),
        shared_size=call.flag("shared-size"),
        manifests=call.flag("manifests"),
    )
    return answer(await call.engine.images.list(options))


async def create_image(call: Call) -> Response:
    """``POST /images/create``: pull with ``fromImage``, import with ``fromSrc``."""
    platform = call.text("platform") or None
    name = call.text("fromImage")
    if name:
        if _is_buildkit(name):
            raise NotFound(BUILDKIT_HINT)
        auth = decode_auth(call.request.headers.get("x-registry-auth", ""))
        pull = PullOptions(reference=name, tag=call.text("tag"), platform=platform, auth=auth)
        return progress(await call.engine.images.pull(pull))
    options = ImportOptions(
        source=call.require("fromSrc"),
        repository=call.text("repo"),
        tag=call.text("tag"),
        message=call.text("message"),
        changes=call.texts("changes"),
        platform=platform,
    )
    return progress(await call.engine.images.import_(options, call.request.body))


async def inspect_image(call: Call) -> Response:
    """``GET /images/{name}/json``."""
    try:
        return answer(await call.engine.images.inspect(call.name))
    except NotFound as error:
        if _is_buildkit(call.name):
            raise NotFound(f"{error.message} ({BUILDKIT_HINT})") from error
        raise


async def history_of_image(call: Call) -> Response:
    """``GET /images/{name}/history``."""
    return answer(await call.engine.images.history(call.name))


async def push_image(call: Call) -> Response:
    """``POST /images/{name}/push``."""
    options = PullOptions(
        reference=call.name,
        tag=call.text("tag"),
        platform=call.text("platform") or None,
        auth=decode_auth(call.request.headers.get("x-registry-auth", "")),
    )
    return progress(await call.engine.images.push(options))


async def tag_image(call: Call) -> Response:
    """``POST /images/{name}/tag``."""
    await call.engine.images.tag(call.name, call.text("repo"), call.text("tag"))
    return empty(201)


async def remove_image(call: Call) -> Response:
    """``DELETE /images/{name}``."""
    records = await call.engine.images.remove(
        call.name, force=call.flag("force"), prune=not call.flag("noprune")
    )
    return answer(list(records))


async def prune_images(call: Call) -> Response:
    """``POST /images/prune``."""
    records, gained = await call.engine.images.prune(call.filters(PRUNE_FILTERS))
    return answer({"ImagesDeleted": list(records) or None, "SpaceReclaimed": gained})


async def search_images(call: Call) -> Response:
    """``GET /images/search``."""
    limit = call.number("limit")
    found = await call.engine.images.search(
        call.text("term"), _SEARCH_LIMIT if limit is None else limit, call.filters(SEARCH_FILTERS)
    )
    return answer(list(found))


async def save_images(call: Call) -> Response:
    """``GET /images/get`` and ``GET /images/{name}/get``."""
    names = (call.name,) if call.name else call.texts("names")
    if not names:
        raise InvalidArgument("bad parameter: names cannot be empty")
    return output(await call.engine.images.save(names), "application/x-tar")


async def load_images(call: Call) -> Response:
    """``POST /images/load``."""
    quiet = call.flag("quiet", default=True)
    return progress(await call.engine.images.load(call.request.body, quiet=quiet))


async def distribution_of_image(call: Call) -> Response:
    """``GET /distribution/{name}/json``."""
    auth = decode_auth(call.request.headers.get("x-registry-auth", ""))
    return answer(await call.engine.images.distribution(call.name, auth))


def _is_buildkit(name: str) -> bool:
    return name.removeprefix("docker.io/").startswith(_BUILDKIT_IMAGE)


ROUTES = (
    Route("GET", "/images/json", list_images),
    Route("POST", "/images/create", create_image),
    Route("GET", "/images/search", search_images),
    Route("GET", "/images/get", save_images),
    Route("POST", "/images/load", load_images),
    Route("POST", "/images/prune", prune_images),
    Route("GET", "/images/{name}/json", inspect_image),
    Route("GET", "/images/{name}/history", history_of_image),
    Route("GET", "/images/{name}/get", save_images),
    Route("POST", "/images/{name}/push", push_image),
    Route("POST", "/images/{name}/tag", tag_image),
    Route("DELETE", "/images/{name}", remove_image),
    Route("GET", "/distribution/{name}/json", distribution_of_image),
)
