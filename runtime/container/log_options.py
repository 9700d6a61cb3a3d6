"""Log drivers and their options: what is refused when a container is created, in Docker's words.

A shim writes `json-file` and `local` itself; `syslog` and `journald` are fed by it and written by a
logger, a process of its own. What Docker finds out when a container starts is checked in
`runtime.container.log_order`.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.errors import EngineError, InvalidArgument, NotImplementedByEngine

if TYPE_CHECKING:
    from collections.abc import Mapping

CACHE = frozenset(("cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"))
_COMMON = frozenset(("mode", "max-buffer-size")) | CACHE
_FILES = frozenset(("max-size", "max-file", "compress"))
_LABELS = frozenset(("labels", "labels-regex", "env", "env-regex", "tag"))
_SYSLOG = frozenset(
    (
        *("syslog-address", "syslog-facility", "syslog-format", "syslog-tls-ca-cert"),
        *("syslog-tls-cert", "syslog-tls-key", "syslog-tls-skip-verify"),
    )
)
OPTIONS: Mapping[str, frozenset[str]] = {
    "json-file": _COMMON | _FILES | _LABELS,
    "local": _COMMON | _FILES,
    "syslog": _COMMON | _SYSLOG | _LABELS,
    "journald": _COMMON | _LABELS,
    "none": frozenset(),
}
"""The options of each driver."""
REMOTE = ("syslog", "journald")
"""Drivers that need a logger."""
LACKED = frozenset(("awslogs", "fluentd", "gcplogs", "gelf", "splunk"))
"""Docker's drivers that Shoal lacks."""

FACILITIES: Mapping[str, int] = {
    name: number
    for number, name in enumerate(
        (
            *("kern", "user", "mail", "daemon", "auth", "syslog"),
            *("lpr", "news", "uucp", "cron", "authpriv", "ftp"),
        )
    )
} | {f"local{number}": 16 + number for number in range(8)}
"""Facilities of syslog (RFC 5424, section 6.2.1) by their names."""
FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")

_BINARY = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_DECIMAL = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.IGNORECASE)
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


def parse_size(text: str, *, decimal: bool = False) -> int:
    """Return the bytes of a size such as `10m`.

    Args:
        text: the size.
        decimal: units are powers of 1000, not of 1024.

    Raises:
        EngineError: it is not a size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise EngineError(f"invalid size: '{text}'")
    units = _DECIMAL if decimal else _BINARY
    return int(float(match[1]) * units[match[2].lower()])


def parse_number(text: str) -> int:
    """Return a whole number.

    Raises:
        EngineError: it is none.
    """
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise EngineError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def parse_bool(text: str) -> bool:
    """Return a truth value in any of Go's spellings.

    Raises:
        EngineError: it is none.
    """
    if text not in _TRUE | _FALSE:
        raise EngineError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return text in _TRUE


def is_cached(driver: str, options: Mapping[str, str]) -> bool:
    """Tell whether what a remote driver sends is kept here too, for `logs`."""
    return driver in REMOTE and options.get("cache-disabled", "") not in _TRUE


def check_log_config(driver: str, options: Mapping[str, str]) -> None:
    """Refuse a driver or options that a container cannot be created with.

    Raises:
        InvalidArgument: unknown driver, option or value.
        NotImplementedByEngine: one of Docker's drivers that Shoal lacks.
    """
    if driver in LACKED:
        raise NotImplementedByEngine(
            f"logging driver {driver} is not supported: use {', '.join(sorted(OPTIONS))}"
        )
    if driver not in OPTIONS:
        raise InvalidArgument(
            f'error looking up logging plugin {driver}: plugin "{driver}" not found'
        )
    if driver == "none":
        return
    _check_mode(options)
    for name in sorted(options.keys() - OPTIONS[driver]):
        place = "log driver local" if driver == "local" else f"{driver} log driver"
        raise InvalidArgument(f"unknown log opt '{name}' for {place}")
    if driver == "syslog":
        _check_syslog(options)


def _check_mode(options: Mapping[str, str]) -> None:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidArgument(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options:
        if mode != "non-blocking":
            raise InvalidArgument(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
            )
        try:
            parse_size(options["max-buffer-size"])
        except EngineError as error:
            raise InvalidArgument(
                f"error parsing option max-buffer-size: {error.message}"
            ) from None
    disabled = options.get("cache-disabled")
    if disabled and disabled not in _TRUE | _FALSE:
        raise InvalidArgument(f"invalid value for option cache-disabled: {disabled}")


def _check_syslog(options: Mapping[str, str]) -> None:
    parse_address(options.get("syslog-address", ""))
    parse_facility(options.get("syslog-facility", ""))
    if options.get("syslog-format", "") not in FORMATS:
        raise InvalidArgument("Invalid syslog format")


def parse_facility(text: str) -> int:
    """Return the number of a facility given by name or number; `daemon` when there is none.

    Raises:
        InvalidArgument: there is no such facility.
    """
    if not text:
        return FACILITIES["daemon"]
    if text in FACILITIES:
        return FACILITIES[text]
    if text.isascii() and text.isdigit() and int(text) <= max(FACILITIES.values()):
        return int(text)
    raise InvalidArgument("invalid syslog facility")


def parse_address(text: str) -> tuple[str, str, int]:
    """Return (protocol, host or path, port) of an address of syslog; ("", "", 0) for the local one.

    Raises:
        InvalidArgument: it is no address, or a socket that does not exist.
    """
    if not text:
        return "", "", 0
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        bad = text.rpartition(":")[2]
        raise InvalidArgument(f'parse "{text}": invalid port ":{bad}" after host') from None
    if url.scheme in ("unix", "unixgram"):
        path = text.partition("://")[2]
        if not os.path.exists(path):
            raise InvalidArgument(f"stat {path}: no such file or directory")
        return url.scheme, path, 0
    if url.scheme not in ("udp", "tcp", "tcp+tls"):
        raise InvalidArgument(f"unsupported scheme: '{url.scheme}'")
    return url.scheme, url.hostname or "", 514 if port is None else port
