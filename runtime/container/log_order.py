"""What shim and logger of a run are told about the log; problems are named as Docker names them."""

from __future__ import annotations

import json
import marshal
import re
from typing import TYPE_CHECKING

from runtime.container.document import section, string_map, text, texts
from runtime.container.log_options import (
    FORMATS,
    REMOTE,
    is_cached,
    parse_address,
    parse_bool,
    parse_facility,
    parse_number,
    parse_size,
)
from runtime.container.log_tag import render_tag
from runtime.container.timestamps import rfc3339
from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.container.container import Container

JsonObject = dict[str, object]

UNLIMITED = -1
_LOCAL_DEFAULTS = {"max-size": "20m", "max-file": "5", "compress": "true"}
_BUFFER = "1m"
_SHORT = 12


def shim_order(container: Container, path: str, hostname: str) -> JsonObject | None:
    """Return what a plan says under `log`; None when nothing is logged.

    Args:
        container: the container.
        path: the newest file's absolute path.
        hostname: the host's name, for tags.

    Raises:
        EngineError: an option cannot be carried out.
    """
    driver, options = _log_config(container)
    if driver == "json-file":
        extra = _extra(container, options)
        if tag := _tag(container, hostname, ""):
            extra["tag"] = tag
        attributes = json.dumps(extra, ensure_ascii=False, separators=(",", ":")).encode()
        files = json_files(options)
        return {"driver": driver, "path": path, **files, "attributes": attributes if extra else b""}
    if driver == "local":
        return {"driver": driver, "path": path, **local_files(options)}
    if driver in REMOTE:
        order: JsonObject = {"driver": "feed", "path": "", "compress": False}
        if is_cached(driver, options):
            order |= {"path": path, **_cache_files(options)}
        return {**order, "blocking": options.get("mode") != "non-blocking"}
    return None


def logger_order(container: Container, hostname: str, journal: str = "") -> JsonObject | None:
    """Return what the logger of a run is told; None for drivers that need none.

    Args:
        container: the container.
        hostname: the host's name, for tags and messages.
        journal: the socket on which the journal listens; "" for the usual one.

    Raises:
        EngineError: an option cannot be carried out.
    """
    driver, options = _log_config(container)
    if driver not in REMOTE:
        return None
    tag = _tag(container, hostname, "{{.ID}}")
    order: JsonObject = {
        "driver": driver,
        "tag": tag,
        "buffer": parse_size(options.get("max-buffer-size", _BUFFER)),
    }
    if driver == "syslog":
        return {**order, **_syslog(options, hostname)}
    return {**order, "socket": journal, "fields": _journal_fields(container, options, tag)}


def _log_config(container: Container) -> tuple[str, Mapping[str, str]]:
    log = section(container.host_config, "LogConfig")
    return text(log, "Type"), string_map(log, "Config")


# -- files -----------------------------------------------------------------------------------------


def json_files(options: Mapping[str, str]) -> JsonObject:
    """Return size, number and compression of the files of `json-file`.

    Raises:
        EngineError: a value is wrong.
    """
    size = UNLIMITED
    if "max-size" in options:
        size = parse_size(options["max-size"], decimal=True)
        if size <= 0:
            raise EngineError("max-size must be a positive number")
    count = parse_number(options.get("max-file", "1"))
    if count < 1:
        raise EngineError("max-file cannot be less than 1")
    compress = parse_bool(options.get("compress", "false"))
    if compress and (count == 1 or size == UNLIMITED):
        raise EngineError(
            "compress cannot be true when max-file is less than 2 or max-size is not set"
        )
    return {"max_size": size, "max_files": count, "compress": compress}


def local_files(options: Mapping[str, str]) -> JsonObject:
    """Return size, number and compression of the files of `local`.

    Raises:
        EngineError: a value is wrong.
    """
    given = {**_LOCAL_DEFAULTS, **options}
    size = _named("invalid value for max-size: {}: ", given["max-size"], parse_size)
    count = _named("invalid value for max-file: {}: ", given["max-file"], parse_number)
    compress = _named("error reading compress log option: ", given["compress"], parse_bool)
    if count < 0:
        raise EngineError("max file count cannot be less than 0")
    if compress and count <= 1:
        raise EngineError("compression cannot be enabled when max file count is 1")
    return {"max_size": size or UNLIMITED, "max_files": max(count, 1), "compress": bool(compress)}


def _named(prefix: str, value: str, parse: object) -> int:
    try:
        return parse(value)  # type: ignore[operator, no-any-return]
    except EngineError as error:
        raise EngineError(prefix.format(value) + error.message) from None


def _cache_files(options: Mapping[str, str]) -> JsonObject:
    """Return the same for the cache of a remote driver; wrong values are as good as none."""
    given = {
        name: options[f"cache-{name}"] for name in _LOCAL_DEFAULTS if f"cache-{name}" in options
    }
    try:
        return local_files(given)
    except EngineError:
        return local_files({})


# -- what is said of the container -----------------------------------------------------------------


def _tag(container: Container, hostname: str, default: str) -> str:
    _driver, options = _log_config(container)
    template = options.get("tag") or default
    return render_tag(template, tag_fields(container, hostname)) if template else ""


def tag_fields(container: Container, hostname: str) -> JsonObject:
    """Return what a tag can use, by the names that Docker documents."""
    _driver, options = _log_config(container)
    image = text(container.config, "Image")
    return {
        "ID": container.id[:_SHORT],
        "FullID": container.id,
        "Name": container.name,
        "ImageID": container.image[:_SHORT],
        "ImageFullID": container.image,
        "ImageName": image,
        "Command": " ".join([container.path, *container.args]),
        "Hostname": hostname,
        "DaemonName": "docker",
        "Config": dict(options),
        "ContainerID": container.id,
        "ContainerName": f"/{container.name}",
        "ContainerEntrypoint": container.path,
        "ContainerArgs": list(container.args),
        "ContainerImageID": container.image,
        "ContainerImageName": image,
        "ContainerCreated": _go_time(container.created_ns),
        "ContainerEnv": texts(container.config, "Env"),
        "ContainerLabels": dict(container.labels),
        "LogPath": "",
        "ExtraAttributes": lambda _key=None: _extra(container, options),
    }


def _go_time(time_ns: int) -> str:
    date, _t, clock = rfc3339(time_ns).rstrip("Z").partition("T")
    return f"{date} {clock} +0000 UTC"


def _extra(container: Container, options: Mapping[str, str]) -> dict[str, str]:
    """Return the labels and variables that the options want to see with each entry."""
    environment = dict(entry.partition("=")[::2] for entry in texts(container.config, "Env"))
    return {
        **_chosen(container.labels, options.get("labels", ""), options.get("labels-regex", "")),
        **_chosen(environment, options.get("env", ""), options.get("env-regex", "")),
    }


def _chosen(values: Mapping[str, str], names: str, pattern: str) -> dict[str, str]:
    """Return the values whose name is listed or matches."""
    wanted = names.split(",") if names else []
    chosen = {name: values[name] for name in wanted if name in values}
    if pattern:
        expression = _expression(pattern)
        chosen |= {name: value for name, value in values.items() if expression.search(name)}
    return chosen


def _expression(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        text = str(error.msg)
        if text.startswith("unterminated character set"):
            text = f"missing closing ]: `{pattern[error.pos :]}`"
        elif text.startswith("missing )"):
            text = f"missing closing ): `{pattern}`"
        elif text.startswith("unbalanced parenthesis"):
            text = f"unexpected ): `{pattern}`"
        elif text.startswith("nothing to repeat"):
            text = f"missing argument to repetition operator: `{pattern[error.pos or 0]}`"
        raise EngineError(f"error parsing regexp: {text}") from None


# -- remote drivers --------------------------------------------------------------------------------


def _syslog(options: Mapping[str, str], hostname: str) -> JsonObject:
    protocol, host, port = parse_address(options.get("syslog-address", ""))
    form = options.get("syslog-format", "")
    return {
        "protocol": protocol,
        "host": host,
        "port": port,
        "facility": parse_facility(options.get("syslog-facility", "")),
        "format": form if form in FORMATS else "",
        "hostname": hostname,
        "ca": options.get("syslog-tls-ca-cert", ""),
        "certificate": options.get("syslog-tls-cert", ""),
        "key": options.get("syslog-tls-key", ""),
        "verify": "syslog-tls-skip-verify" not in options,
    }


def _journal_fields(container: Container, options: Mapping[str, str], tag: str) -> dict[str, str]:
    extra = {_journal_name(name): value for name, value in _extra(container, options).items()}
    fields = {
        "CONTAINER_ID": container.id[:_SHORT],
        "CONTAINER_ID_FULL": container.id,
        "CONTAINER_NAME": container.name,
        "CONTAINER_TAG": tag,
        "IMAGE_NAME": text(container.config, "Image"),
        "SYSLOG_IDENTIFIER": tag,
    }
    return {name: value for name, value in {**fields, **extra}.items() if name}


def _journal_name(name: str) -> str:
    """Return a name that the journal takes: capitals, digits and underscores, none in front."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper()).lstrip("_")


def encode_order(order: Mapping[str, object], *, again: bool) -> bytes:
    """Return a logger's order as it travels; `again` when it takes the place of a dead one."""
    return marshal.dumps({**order, "again": again})
