"""``/build`` of the Docker Engine API: the classic builder.

BuildKit's ``/grpc`` and ``/session`` are refused, in words that name the remedy.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runtime.api.call import Call, Route, answer, empty
from runtime.api.images import BUILDKIT_HINT
from runtime.api.registry_auth import decode_auth
from runtime.api.streams import progress
from runtime.build.options import BuildOptions, CacheLimits
from runtime.errors import EngineError, InvalidArgument, NotImplementedByEngine

if TYPE_CHECKING:
    from runtime.engine import JsonObject
    from runtime.http_server.messages import Response

PRUNE_FILTERS = (
    *("until", "id", "parent", "type", "description", "inuse", "shared", "private"),
    *("unused-for", "label", "label!"),
)
_LIMITS = {
    "memory": "Memory",
    "memswap": "MemorySwap",
    "cpushares": "CpuShares",
    "cpuperiod": "CpuPeriod",
    "cpuquota": "CpuQuota",
}
_LIMIT_TEXTS = {
    "cpusetcpus": "CpusetCpus",
    "cpusetmems": "CpusetMems",
    "cgroupparent": "CgroupParent",
}


async def build_image(call: Call) -> Response:
    """``POST /build``."""
    if call.text("version") == "2" or call.text("remote") == "client-session":
        raise NotImplementedByEngine(BUILDKIT_HINT)
    records = await call.engine.builder.build(_options(call), call.request.body)
    return progress(records)


def _options(call: Call) -> BuildOptions:
    return BuildOptions(
        dockerfile=call.text("dockerfile") or "Dockerfile",
        tags=tuple(tag for tag in call.texts("t") if tag),
        remote=call.text("remote"),
        quiet=call.flag("q"),
        no_cache=call.flag("nocache"),
        pull=call.flag("pull"),
        remove=call.flag("rm", default=True),
        force_remove=call.flag("forcerm"),
        build_args=_texts_or_null(call, "buildargs"),
        labels={name: text or "" for name, text in _texts_or_null(call, "labels").items()},
        cache_from=tuple(str(entry) for entry in _list(call, "cachefrom")),
        target=call.text("target"),
        network_mode=call.text("networkmode"),
        platform=call.text("platform"),
        extra_hosts=tuple(
            host for entry in call.texts("extrahosts") for host in entry.split(",") if host
        ),
        shm_size=call.number("shmsize") or 0,
        limits=_limits(call),
        squash=call.flag("squash"),
        build_id=call.text("buildid"),
        auths=decode_auth(call.request.headers.get("x-registry-config", "")),
    )


def _limits(call: Call) -> JsonObject | None:
    limits: JsonObject = {}
    for key, field in _LIMITS.items():
        number = call.number(key)
        if number:
            limits[field] = number
    for key, field in _LIMIT_TEXTS.items():
        if call.text(key):
            limits[field] = call.text(key)
    ulimits = _list(call, "ulimits")
    if ulimits:
        limits["Ulimits"] = ulimits
    return limits or None


def _list(call: Call, key: str) -> list[object]:
    value = _json(call, key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidArgument(f"error reading {key}: must be a JSON list")
    return value


def _texts_or_null(call: Call, key: str) -> dict[str, str | None]:
    value = _json(call, key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgument(f"error reading {key}: must be a JSON object")
    for entry in value.values():
        if entry is not None and not isinstance(entry, str):
            raise InvalidArgument(f"error reading {key}: values must be strings")
    return value


def _json(call: Call, key: str) -> object:
    text = call.text(key)
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"error reading {key}: {error}") from error


async def prune_cache(call: Call) -> Response:
    """``POST /build/prune``."""
    limits = CacheLimits(
        reserved=_bytes(call, "reserved-space") or _bytes(call, "keep-storage"),
        most=_bytes(call, "max-used-space"),
        free=_bytes(call, "min-free-space"),
    )
    filters = call.filters(None)
    for key in filters:
        if key not in PRUNE_FILTERS:
            raise InvalidArgument(f"failed to prune build cache: invalid filter '{key}'")
    removed, gained = await call.engine.builder.prune(filters, limits, all=call.flag("all"))
    return answer({"CachesDeleted": list(removed) or None, "SpaceReclaimed": gained})


def _bytes(call: Call, key: str) -> int:
    try:
        return call.number(key) or 0
    except EngineError as error:
        text = call.text(key)
        raise InvalidArgument(
            f"{key} is in bytes and expects an integer, got {text}: {error.message}"
        ) from error


def cancel_build(call: Call) -> Response:
    """``POST /build/cancel``: as with Docker it ends BuildKit's builds only, and there are none."""
    if not call.text("id"):
        raise InvalidArgument("build ID not provided")
    return empty(200)


def refuse_buildkit(call: Call) -> Response:
    """``POST /grpc`` and ``POST /session``, which BuildKit clients use."""
    if not call.request.headers.get("upgrade"):
        if call.request.path.endswith("/session"):
            raise InvalidArgument("no upgrade proto in request")
        raise EngineError("no upgrade proto in request")
    raise NotImplementedByEngine(BUILDKIT_HINT)


ROUTES = (
    Route("POST", "/build", build_image),
    Route("POST", "/build/prune", prune_cache),
    Route("POST", "/build/cancel", cancel_build),
    Route("POST", "/grpc", refuse_buildkit),
    Route("POST", "/session", refuse_buildkit),
)
