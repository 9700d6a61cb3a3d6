"""Log drivers and their options: checked in Docker's words, and turned into a shim's order.

Drivers that a shim writes itself: `json-file`, `local`, `none`. Others are refused by name.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument, NotImplementedByEngine

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMON = frozenset(("mode", "max-buffer-size"))
_FILES = frozenset(("max-size", "max-file", "compress"))
_LABELS = frozenset(("labels", "labels-regex", "env", "env-regex", "tag"))
OPTIONS: Mapping[str, frozenset[str]] = {
    "json-file": _COMMON | _FILES | _LABELS,
    "local": _COMMON | _FILES,
    "none": frozenset(),
}
"""The options of each driver that a shim writes."""
REMOTE = frozenset(
    ("awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "splunk", "syslog")
)
"""Docker's drivers that Shoal lacks."""

_LOCAL_DEFAULTS = {"max-size": "20m", "max-file": "5", "compress": "true"}
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `10m`; -1 is no limit.

    Raises:
        InvalidArgument: it is not a size.
    """
    if text == "-1":
        return -1
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f"invalid size: '{text}'")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def check_log_config(driver: str, options: Mapping[str, str]) -> None:
    """Refuse a driver or options that cannot work.

    Raises:
        InvalidArgument: unknown option or value.
        NotImplementedByEngine: one of Docker's drivers that Shoal lacks.
    """
    known = OPTIONS.get(driver)
    if known is None:
        if driver in REMOTE:
            raise NotImplementedByEngine(
                f"logging driver {driver} is not supported: use json-file, local or none"
            )
        raise InvalidArgument(
            f'error looking up logging plugin {driver}: plugin "{driver}" not found'
        )
    for name in options:
        if name not in known:
            raise InvalidArgument(f"unknown log opt '{name}' for {driver} log driver")
    if driver != "none":
        _check_files(driver, options)


def _check_files(driver: str, options: Mapping[str, str]) -> None:
    parse_size(options.get("max-size", "-1"))
    count = options.get("max-file", "1" if driver == "json-file" else "5")
    if not count.isdigit() or int(count) < 1:
        raise InvalidArgument("max-file cannot be less than 1")
    if int(count) > 1 and driver == "json-file" and options.get("max-size", "-1") == "-1":
        raise InvalidArgument("max-file cannot be set without max-size")
    if options.get("mode", "blocking") not in ("blocking", "non-blocking"):
        raise InvalidArgument(f"logger: invalid mode {options['mode']}")
    # `non-blocking` changes nothing here: a shim never waits for a log, it drops and counts.
    parse_size(options.get("max-buffer-size", "1m"))
    compress = options.get("compress", "false")
    if compress not in ("true", "false"):
        raise InvalidArgument(f'invalid value for compress: "{compress}"')
    if compress == "true" and driver == "json-file" and int(count) < 2:
        raise InvalidArgument("compress cannot be true when max-file is less than 2 or unset")


def shim_log(
    driver: str,
    options: Mapping[str, str],
    path: str,
    labels: Mapping[str, str],
    environment: Mapping[str, str],
) -> dict[str, object] | None:
    """Return what a plan says under `log`; None when nothing is logged.

    Args:
        driver: the checked driver.
        options: its checked options.
        path: the newest file's absolute path.
        labels: the container's labels, for the options `labels` and `labels-regex`.
        environment: the container's variables, for `env` and `env-regex`.
    """
    if driver not in ("json-file", "local"):
        return None
    if driver == "local":
        options = {**_LOCAL_DEFAULTS, **options}
    extra = {
        **_chosen(labels, options.get("labels", ""), options.get("labels-regex", "")),
        **_chosen(environment, options.get("env", ""), options.get("env-regex", "")),
    }
    if "tag" in options:
        extra["tag"] = options["tag"]
    return {
        "driver": driver,
        "path": path,
        "max_size": parse_size(options.get("max-size", "-1")),
        "max_files": int(options.get("max-file", "1")),
        "compress": options.get("compress") == "true",
        "attributes": json.dumps(extra, separators=(",", ":")).encode() if extra else b"",
    }


def _chosen(values: Mapping[str, str], names: str, pattern: str) -> dict[str, str]:
    """Return the values whose name is listed or matches."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    chosen = {name: value for name, value in values.items() if name in wanted}
    if pattern:
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise InvalidArgument(f"invalid regular expression {pattern!r}: {error}") from None
        chosen |= {name: value for name, value in values.items() if expression.search(name)}
    return chosen
