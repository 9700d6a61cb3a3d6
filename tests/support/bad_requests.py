"""Requests that are wrong, or nearly so: what `record_bad_bodies` sends to a Docker Engine.

A request of create is sent with the name of `MADE`; when it is accepted, the container is started
if the case says so, and removed. Requests without an image of their own name one that does not
exist: what is wrong with them is found before that.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.record_api_fields import BODIES, EXEC_CREATE, EXEC_START, nested

if TYPE_CHECKING:
    from collections.abc import Iterator

JsonObject = dict[str, Any]

MADE, CREATED, RUNNING = "bad-made", "bad-created", "bad-running"
"""Names: of what a create request makes, of a container that never runs, of one that does."""
JSON = "application/json"
IMAGE = "busybox:latest"
NO_IMAGE = "bad-none"
CREATE = f"/containers/create?name={MADE}"


class Case(NamedTuple):
    """A request.

    Attributes:
        method, target, body, content_type: what is sent; a body that is a text is sent as it is.
        start: start the container when it was made.
        setup: create request of a container named `MADE`, made before and removed after.
    """

    method: str
    target: str
    body: Any = None
    content_type: str | None = JSON
    start: bool = False
    setup: JsonObject | None = None


def create(start: bool = True, host: JsonObject | None = None, **config: Any) -> Case:
    """Return a create request with a real image."""
    body = {"Image": IMAGE, "Cmd": ["true"], **config}
    if host is not None:
        body["HostConfig"] = host
    return Case("POST", CREATE, body, start=start)


# -- types and numbers -----------------------------------------------------------------------------

_WRONG_VALUES: tuple[Any, ...] = ("text", 7, [1], {"a": 1})
_NUMBERS = (
    *(-(1 << 63) - 1, -(1 << 63), -2, -1, 1, 999, 1001, 65536, 1 << 32),
    *((1 << 63) - 1, 1 << 63, 1 << 64),
)
_NUMBER_FIELDS = (
    *("StopTimeout", "Healthcheck.Interval", "Healthcheck.Timeout", "Healthcheck.StartPeriod"),
    *("Healthcheck.StartInterval", "Healthcheck.Retries", "HostConfig.Memory"),
    *("HostConfig.MemoryReservation", "HostConfig.MemorySwap", "HostConfig.MemorySwappiness"),
    *("HostConfig.CpuShares", "HostConfig.NanoCpus", "HostConfig.CpuPeriod", "HostConfig.CpuQuota"),
    *("HostConfig.CpuRealtimePeriod", "HostConfig.CpuRealtimeRuntime", "HostConfig.PidsLimit"),
    *("HostConfig.BlkioWeight", "HostConfig.BlkioWeightDevice.[].Weight", "HostConfig.ShmSize"),
    *("HostConfig.BlkioDeviceReadBps.[].Rate", "HostConfig.BlkioDeviceWriteIOps.[].Rate"),
    *("HostConfig.OomScoreAdj", "HostConfig.KernelMemory", "HostConfig.KernelMemoryTCP"),
    *("HostConfig.CpuCount", "HostConfig.CpuPercent", "HostConfig.IOMaximumIOps"),
    *("HostConfig.IOMaximumBandwidth", "HostConfig.RestartPolicy.MaximumRetryCount"),
    *("HostConfig.Ulimits.[].Soft", "HostConfig.Ulimits.[].Hard", "HostConfig.ConsoleSize.[]"),
    *("HostConfig.DeviceRequests.[].Count", "HostConfig.Mounts.[].TmpfsOptions.Mode"),
    *("HostConfig.Mounts.[].TmpfsOptions.SizeBytes",),
    "NetworkingConfig.EndpointsConfig.net.GwPriority",
)


def wrong_types() -> Iterator[Case]:
    """Each field with values of other types, and with null."""
    for place, fields in BODIES.values():
        for field in fields.split():
            for value in _WRONG_VALUES:
                body: Any = nested(f"{place}.{field}", value)
                yield Case("POST", CREATE, {"Image": NO_IMAGE, **body})
    for target, names in (
        (f"/containers/{CREATED}/exec", EXEC_CREATE),
        ("/exec/bad-none/start", EXEC_START),
    ):
        for name, value in itertools.product(names.split(), _WRONG_VALUES):
            yield Case("POST", target, {name: value})


def numbers() -> Iterator[Case]:
    """Each number at its limits, below and beyond."""
    for field, value in itertools.product(_NUMBER_FIELDS, _NUMBERS):
        body: Any = nested(field, value)
        yield Case("POST", CREATE, {"Image": NO_IMAGE, **body})


_UPDATE_NUMBERS = (
    *("Memory", "MemorySwap", "MemoryReservation", "MemorySwappiness", "CpuShares", "NanoCpus"),
    *("CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime", "PidsLimit"),
    *("BlkioWeight", "KernelMemory", "CpuCount", "CpuPercent", "IOMaximumIOps"),
)


def updates() -> Iterator[Case]:
    """Updates of a container that does not run."""
    target = f"/containers/{MADE}/update"
    plain: JsonObject = {"Image": IMAGE}
    for field, value in itertools.product(_UPDATE_NUMBERS, (-(1 << 63), -5, -1, 1, 2000, 1 << 33)):
        yield Case("POST", target, {field: value}, setup=plain)
    million = 1 << 20
    limited = {"Image": IMAGE, "HostConfig": {"Memory": 64 * million}}
    for body in (
        *({"Memory": 100 * million}, {"Memory": 200 * million}, {"MemorySwap": 10 * million}),
        *({"Memory": 200 * million, "MemorySwap": 100 * million}, {"MemorySwap": -1}),
        *({"Memory": 200 * million, "MemorySwap": -1}, {"MemoryReservation": 65 * million}),
        *({"Memory": 32 * million, "MemoryReservation": 33 * million}, {"OomKillDisable": True}),
        *({"CpusetCpus": "x"}, {"CpusetCpus": "0-"}, {"CpusetCpus": "4096"}, {"CpusetMems": "9"}),
        *({"RestartPolicy": {"Name": "x"}}, {"RestartPolicy": {"Name": "always"}}),
        *({"RestartPolicy": {"MaximumRetryCount": 3}},),
        {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}},
        {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -3}},
        {"RestartPolicy": {"Name": "no", "MaximumRetryCount": -3}},
        *({"BlkioWeight": 9}, {"BlkioWeight": 1001}, {"BlkioWeight": 500}, {}, {"Nothing": 1}),
        *({"NanoCpus": 10**9, "CpuPeriod": 5000}, {"NanoCpus": 10**9, "CpuQuota": 5000}),
        *({"Ulimits": [{"Name": "x"}]}, {"Devices": [{"PathOnHost": "/none"}]}),
        *({"DeviceCgroupRules": ["x"]}, {"CgroupParent": "/x"}),
        {"BlkioWeightDevice": [{"Path": "/none", "Weight": 5}]},
        {"BlkioDeviceReadBps": [{"Path": "/none", "Rate": 5}]},
    ):
        yield Case("POST", target, body, setup=limited)
    for host, body in (
        ({"NanoCpus": 10**9}, {"CpuPeriod": 5000}),
        ({"NanoCpus": 10**9}, {"CpuQuota": 5000}),
        ({"CpuPeriod": 5000}, {"NanoCpus": 10**9}),
        ({"CpuQuota": 5000}, {"NanoCpus": 10**9}),
        ({"AutoRemove": True}, {"RestartPolicy": {"Name": "always"}}),
        ({"AutoRemove": True}, {"RestartPolicy": {"Name": "no"}}),
        ({"MemorySwap": -1, "Memory": 64 * million}, {"Memory": 65 * million}),
    ):
        yield Case("POST", target, body, setup={"Image": IMAGE, "HostConfig": host})
    for missing in ("bad-nothing", "", "a b", "%2F"):
        yield Case("POST", f"/containers/{missing.replace(' ', '%20')}/update", {})


# -- bodies that are no JSON -----------------------------------------------------------------------

_TEXTS = (
    *("{", "}", "[]", "1", '"x"', "null", "true", '{"a":}', '{"a" 1}', "{a:1}", '{"a":1,}'),
    *("{'a':1}", "nul", '{"a":01}', '{"a":1}x', '{"a":1} {}', '{"a":1}\n\n', "", "  ", "\ufeff{}"),
    *('{"a":"\x01"}', '{"a":"\\x"}', '{"a":"\\ud800"}', "[1,2", '{"a":tru}', '{"a":-}', "<xml/>"),
    *('{"a":1e}', '{"a":1.}', '{"a":.5}', '{"a":+1}', '{"a":NaN}', "\x00", '{"a":1', '{"a'),
    *('{"Image":"a\\', '{"Hostname":"x', '{"Hostname":1.5,}', '{"Hostname":1.5', '{"a":[1 2]}'),
    *('{"a":"\\u12"}', '{"a":"\\u12zz"}', '{"a":[1,]}', "{,}", '{"a":nulx}', '{"a":1x}'),
    *('{"a":"x\ty"}', '{"a":é}', "]", '{"a":]}', "[}", '{"a":--1}', '{"a":1.5.5}', "\\", '"'),
    *(
        '{"Image":"bad-none","Hostname":"a","hostname":5}',
        '{"Image":"bad-other","image":"bad-none"}',
    ),
    *('{"Image":"bad-none","StopTimeout":-0}', '{"Image":"bad-none","StopTimeout":1E2}'),
    *('{"Image":"bad-none","StopTimeout":10.0}', '{"StopTimeout":1.50,"Image":"bad-none"}'),
    '{"Image":"bad-none","Tty":"x","HostConfig":{"Memory":"y"}}',
    '{"HostConfig":{"Memory":"y"},"Tty":"x","Image":"bad-none"}',
)
_CONTENT_TYPES = (
    *(None, "", "text/plain", "application/json; charset=utf-8", "application/JSON", ";", "json"),
    *("application/json;", "application/json; x", "application/json; x=", "a/b/c", "application/"),
    *("application/json, text/plain", "application/x-www-form-urlencoded", "application/json x"),
)
_TARGETS = (
    *("/containers/create", f"/containers/{CREATED}/update", f"/containers/{CREATED}/exec"),
    *("/exec/bad-none/start", "/commit?container=bad-none"),
)


def texts() -> Iterator[Case]:
    """Bodies that are not JSON, and content types."""
    for text in _TEXTS:
        yield Case("POST", CREATE, text)
    for target in _TARGETS[1:]:
        for text in ("1", "[]", "null", "{}", "", " ", "{}{}", "{", '{"Tty":1}', '{"Cmd":"x"}'):
            yield Case("POST", target, text)
    for target, kind in itertools.product(_TARGETS, _CONTENT_TYPES):
        yield Case("POST", target, '{"Image":"bad-none"}', kind)
        yield Case("POST", target, "", kind)


# -- the other endpoints ---------------------------------------------------------------------------

_NAMES = (
    *("a", "ab", "a%20b", "%2Fab", "-a", "_a", ".a", "a%2Fb", "a!", "%C3%BC", "a%00b", "a" * 300),
    *("a:b", "A.b_c-d", "%2F", "%2F%2Fab"),
)
_SIGNALS = ("FOO", "99", "65", "-1", "0", "x9", "SIGFOO", "RTMIN%2B99", "%20", "15x", "1e1")
_FILTERS = (
    *("x", "[]", "1", "{", '{"x":["y"]}', '{"status":["x"]}', '{"status":"running"}', '{"a":1}'),
    *('{"exited":["x"]}', '{"health":["x"]}', '{"is-task":["x"]}', '{"ancestor":["A B"]}'),
    *('{"before":["bad-none"]}', '{"since":["bad-none"]}', '{"expose":["x"]}', '{"publish":["x"]}'),
    *('{"label":{"a":true}}', '{"label":{"a":1}}', '{"label":[1]}', "null", '{"volume":["x"]}'),
    *(
        '{"name":["["]}',
        '{"id":["["]}',
        '{"network":["x"]}',
        '{"isolation":["x"]}',
        '{"exited":["1"]}',
    ),
    *('{"expose":["80-70"]}', '{"expose":["70000"]}', '{"expose":["80/x"]}', '{"status":["dead"]}'),
)
_SIZES = ("", "h=1", "w=1", "h=x&w=1", "h=1&w=x", "h=-1&w=1", "h=70000&w=1", "h=1&w=4294967296")
_TIMES = (
    "x",
    "1.5",
    "1.x",
    "2020-01-01",
    "1h",
    "99999999999999999999",
    "1.1234567890",
    "%20",
)


def _quoted(text: str) -> str:
    return "".join(
        letter if letter.isalnum() else "".join(f"%{byte:02X}" for byte in letter.encode())
        for letter in text
    )


def endpoints() -> Iterator[Case]:
    """Names, signals, sizes, conditions, filters and times."""
    for name in _NAMES:
        yield Case("POST", f"/containers/create?name={name}", {"Image": NO_IMAGE})
        yield Case("POST", f"/containers/bad-nothing/rename?name={name}")
        yield Case("GET", f"/containers/{name}/json")
    for name in ("", "a%20b", "-a", "a%2Fb", CREATED, f"%2F{CREATED}", RUNNING, "a"):
        yield Case("POST", f"/containers/{CREATED}/rename?name={name}")
    yield Case("POST", f"/containers/{CREATED}/rename")
    for name, size in itertools.product((CREATED, RUNNING, "bad-nothing"), _SIZES):
        yield Case("POST", f"/containers/{name}/resize?{size}")
    for size in _SIZES:
        yield Case("POST", f"/exec/bad-none/resize?{size}")
    for name, condition in itertools.product((CREATED, "bad-nothing"), ("x", "Removed", "%20")):
        yield Case("POST", f"/containers/{name}/wait?condition={condition}")
    yield from _signals()
    yield from _filters()
    yield from _times()
    yield from _more_endpoints()


def _signals() -> Iterator[Case]:
    for name, signal in itertools.product((CREATED, RUNNING, "bad-nothing"), _SIGNALS):
        yield Case("POST", f"/containers/{name}/kill?signal={signal}")
    for verb in ("stop", "restart"):
        yield Case("POST", f"/containers/{RUNNING}/{verb}?t=x")
        yield Case("POST", f"/containers/bad-nothing/{verb}?t=1.5")


def _filters() -> Iterator[Case]:
    for text in _FILTERS:
        yield Case("GET", f"/containers/json?filters={_quoted(text)}")
        yield Case("GET", f"/events?until=1&since=0&filters={_quoted(text)}")
    # Only what is refused before anything is pruned: the engine may be somebody's own.
    for text in ("x", "{", '{"x":["y"]}', '{"until":["x"]}'):
        yield Case("POST", f"/containers/prune?filters={_quoted(text)}")
    for limit in ("x", "-1", "1.5", "99999999999999999999"):
        yield Case("GET", f"/containers/json?limit={limit}")


def _times() -> Iterator[Case]:
    for time in _TIMES:
        yield Case("GET", f"/events?since=0&until={time}")
        yield Case("GET", f"/events?until=1&since={time}")
        for key in ("since", "until"):
            yield Case("GET", f"/containers/{CREATED}/logs?stdout=1&{key}={time}")
    for query in ("", "?stdout=0", "?stdout=1&tail=x", "?stdout=1&tail=-5", "?follow=1"):
        yield Case("GET", f"/containers/{CREATED}/logs{query}")
        yield Case("GET", f"/containers/bad-nothing/logs{query}")


def _more_endpoints() -> Iterator[Case]:
    for name in (CREATED, "bad-nothing"):
        for target in ("top", "stats?stream=1&one-shot=1", "archive", "archive?path=%2Fnone"):
            yield Case("GET", f"/containers/{name}/{target}")
        for verb in ("pause", "unpause", "start?checkpoint=x"):
            yield Case("POST", f"/containers/{name}/{verb}")
        yield Case("PUT", f"/containers/{name}/archive", "x", "application/x-tar")
        yield Case("PUT", f"/containers/{name}/archive?path=%2Fnone", "x", "application/x-tar")
        for keys in ("ctrl-", "ctrl-1", "foo", "ctrl-aa", "ctrl-a,foo"):
            yield Case("POST", f"/containers/{name}/attach?stream=1&stdout=1&detachKeys={keys}")
    for arguments in ("x", "-o", "aux%20x", "-o%20cmd", "-q"):
        yield Case("GET", f"/containers/{RUNNING}/top?ps_args={arguments}")
    yield Case("DELETE", f"/containers/{RUNNING}")
    yield Case("DELETE", f"/containers/{CREATED}?link=1")
    yield Case("POST", f"/containers/{RUNNING}/start", "x" * 20, "text/plain")
    yield Case("POST", f"/containers/{RUNNING}/start")
    yield Case("POST", f"/containers/{RUNNING}/unpause")
    yield from _execs()
    yield from _commits()


def _execs() -> Iterator[Case]:
    target = f"/containers/{RUNNING}/exec"
    for body in (
        *(
            {},
            {"Cmd": []},
            {"Cmd": [""]},
            {"Cmd": ["x"], "Env": ["=x"]},
            {"Cmd": ["x"], "Env": [""]},
        ),
        *({"Cmd": ["x"], "DetachKeys": keys} for keys in ("foo", "ctrl-", "a,,b", "ctrl-1")),
        *({"Cmd": ["x"], "User": user} for user in ("nosuch", "0:nosuch", "-1", "99999999999")),
        *({"Cmd": ["x"], "ConsoleSize": size} for size in ([1], [-1, 1], [1, 2, 3], ["a", 1])),
        *({"Cmd": ["x"], "WorkingDir": place} for place in ("rel", "/none")),
    ):
        yield Case("POST", target, body)
    yield Case("POST", f"/containers/{CREATED}/exec", {"Cmd": ["x"]})
    yield Case("POST", "/containers/bad-nothing/exec", {"Cmd": ["x"]})
    yield Case("POST", "/exec/bad-none/start", {})
    yield Case("GET", "/exec/bad-none/json")


def _commits() -> Iterator[Case]:
    for query in ("", "container=", "container=bad-nothing", f"container={CREATED}&repo=UPPER"):
        yield Case("POST", f"/commit?{query}")
    for query in ("repo=a%20b", "repo=a&tag=b%20c", "tag=x", "repo=a@sha256:1", "repo=a:b&tag=c"):
        yield Case("POST", f"/commit?container={CREATED}&{query}")
    for change in (
        "FOO%20x",
        "RUN%20x",
        "ENV",
        "CMD%20[",
        "EXPOSE%20x",
        "LABEL",
        "%20",
        "FROM%20x",
    ):
        yield Case("POST", f"/commit?container={CREATED}&repo=bad-image&changes={change}")
    yield Case("POST", f"/commit?container={CREATED}", {"Hostname": 1})
