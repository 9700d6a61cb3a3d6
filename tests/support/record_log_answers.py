"""Records what a Docker Engine says to options of log drivers, as data for `test_log_options`.

Run it by hand: ``python -m tests.support.record_log_answers /var/run/docker.sock``. A container of
busybox is made for each case, started and removed. Cases name no server that exists.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from tests.support.api_socket import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = Path(__file__).parents[1] / "unit" / "runtime" / "container" / "log_answers.json"
NAME = "recorded-log"
UDP = {"syslog-address": "udp://127.0.0.1:9"}
TLS = {"syslog-address": "tcp+tls://127.0.0.1:1"}

JsonObject = dict[str, object]


def _each(name: str, *values: str, **more: str) -> list[dict[str, str]]:
    return [
        {name: value, **{key.replace("_", "-"): v for key, v in more.items()}} for value in values
    ]


FILES = [
    {"x": "y"},
    *_each("max-size", "x", "-1", "0", "-2", "10", "", "1k", "1.5m", "1 kb", "1kib", "k"),
    *_each("max-file", "0", "x", "-1", "1", "3", "+2", ""),
    *_each("max-file", "2", "1", max_size="1k", compress="true"),
    *_each("compress", "true", "x", "false", "1", "T", "yes"),
    *_each("compress", "1", "F", max_size="1k", max_file="2"),
    *_each("mode", "x", "non-blocking", "blocking", ""),
    *_each("max-buffer-size", "x", "4m", "0", mode="non-blocking"),
    *_each("max-buffer-size", "1m", mode="blocking"),
    *_each("max-buffer-size", "1m"),
    *_each("cache-disabled", "true", "x", ""),
    *_each("cache-max-size", "x", "1m"),
    *_each("labels-regex", "[", "^a", "("),
    *_each("env-regex", "(", "a*", "*"),
    {"labels": "a"},
]
SYSLOG = [
    {"x": "y", **UDP},
    *_each(
        "syslog-address",
        *("foo", "foo://x", "udp://", "udp://127.0.0.1", "udp://127.0.0.1:x", "tls://127.0.0.1:1"),
        *("unix:///nonexistent", "unixgram:///nonexistent", "udp://[::1]:9"),
        *("tcp://127.0.0.1:1", "tcp+tls://127.0.0.1:1"),
    ),
    *_each("syslog-facility", "x", "24", "-1", "kern", "3", "local7", "23", **UDP),
    *_each("syslog-format", "x", "rfc3164", "rfc5424", "rfc5424micro", "", **UDP),
    {"syslog-tls-ca-cert": "/nonexistent", **TLS},
    {"syslog-tls-skip-verify": "x", **TLS},
    {"syslog-tls-cert": "/nonexistent", "syslog-tls-key": "/nonexistent", **TLS},
    {"labels-regex": "[", **UDP},
    *_each("cache-disabled", "x", "true", "1", **UDP),
    *_each("cache-max-size", "x", "1m", **UDP),
    *_each("cache-max-file", "0", "2", **UDP),
    *_each("cache-compress", "x", **UDP),
    *_each("cache-foo", "x", **UDP),
    *_each("max-size", "1m", **UDP),
    *_each("max-buffer-size", "1m", mode="non-blocking", **UDP),
]
OPTIONS: list[tuple[str, dict[str, str]]] = [
    *(("json-file", options) for options in FILES),
    *(("local", options) for options in FILES),
    *(("none", options) for options in ({}, {"x": "y"}, {"max-size": "1"}, {"mode": "x"})),
    *(("syslog", options) for options in SYSLOG),
    *(("journald", options) for options in ({}, {"x": "y"}, {"tag": "{{"}, {"max-size": "1m"})),
    *((driver, {}) for driver in ("nothing", "etwlogs", "")),
]

TAGS = (
    *("{{.ID}}", "{{.FullID}}", "{{.Name}}", "{{.ImageID}}", "{{.ImageFullID}}", "{{.ImageName}}"),
    *("{{.DaemonName}}", "{{.Hostname}}", "{{.Command}}", "{{.ContainerName}}", "{{.ContainerID}}"),
    *(
        "{{.ContainerEntrypoint}}",
        "{{.ContainerArgs}}",
        "{{.ContainerLabels}}",
        "{{.ContainerEnv}}",
    ),
    *("{{.ContainerImageID}}", "{{.ContainerImageName}}", "{{.Config}}"),
    *('{{index .ContainerLabels "l"}}', '{{index .ContainerLabels "none"}}', "{{len .Name}}"),
    *("{{.ContainerLabels.l}}", "{{.ContainerLabels.none}}", "{{.ExtraAttributes nil}}"),
    *("{{truncate .Name 4}}", "{{upper .Name}}", '{{lower "ABC"}}', '{{title "abc def"}}'),
    *('{{pad "a" 1 2}}', '{{pad "" 1 2}}', '{{join (split "a,b" ",") "-"}}', "{{json .Name}}"),
    *("{{json .ContainerArgs}}", "{{json .ContainerLabels}}", "{{.Name | upper | truncate}}"),
    *("{{.Name | upper}}", "{{if .Name}}y{{else}}n{{end}}", '{{if ""}}y{{end}}z'),
    *('{{if ""}}a{{else if .Name}}b{{else}}c{{end}}', "{{with .Name}}<{{.}}>{{end}}"),
    *('{{with ""}}x{{else}}e{{end}}', "{{range .ContainerArgs}}[{{.}}]{{end}}"),
    *("{{range .ContainerLabels}}({{.}}){{end}}", '{{printf "%s-%s" .ID .Name}}'),
    *('{{printf "%5d|%-5s|%q|%v|%%" 3 "a" "b" .ContainerArgs}}', "a b", "x", "{{print .Name 1 2}}"),
    *("{{/* c */}}x", "{{- .Name -}} y", " {{.Name}} ", "x {{- .Name}}", "{{slice .Name 0 3}}"),
    *("{{.Name.Foo}}", "{{.ID .Name}}", '{{eq .Name "x"}}', '{{ne .Name "x"}}', "{{not .Name}}"),
    *('{{or "" "x"}}', '{{and "y" "x"}}', '{{"q"}}{{`raw`}}{{1}}', "{{true}}", "}}", "{{.Nope}}"),
    *("{{", "{{nope .ID}}", "{{end}}"),
)


def record_options(path: str) -> list[list[object]]:
    """Return (driver, options, status and text of create, status and text of start)."""
    answers: list[list[object]] = []
    for driver, options in OPTIONS:
        status, made = _create(path, driver, options)
        answer: list[object] = [driver, options, status, made.get("message", "")]
        if status == 201:
            status, body = ask(path, "POST", f"/containers/{NAME}/start")
            answer += [status, json.loads(body)["message"] if body else ""]
            ask(path, "DELETE", f"/containers/{NAME}?force=1")
        answers.append(answer)
    return answers


def record_tags(path: str) -> list[list[str]]:
    """Return (template, tag or "", text of the error or "")."""
    answers = []
    for template in TAGS:
        _status, made = _create(path, "json-file", {"tag": template})
        status, body = ask(path, "POST", f"/containers/{NAME}/start")
        if status == 204:
            ask(path, "POST", f"/containers/{NAME}/wait")
            _status, body = ask(path, "GET", f"/containers/{NAME}/logs?stdout=1&details=1")
            tag = unquote_plus(body[8:].decode().removesuffix(" hi\n").removeprefix("tag="))
            _status, body = ask(path, "GET", f"/containers/{NAME}/json")
            answers.append([template, _neutral(tag, json.loads(body)), ""])
        else:
            answers.append([template, "", json.loads(body)["message"]])
        ask(path, "DELETE", f"/containers/{made['Id']}?force=1")
    return answers


def _create(path: str, driver: str, options: dict[str, str]) -> tuple[int, JsonObject]:
    body = {
        "Image": "busybox",
        "Cmd": ["echo", "hi"],
        "Env": ["E=2", "PATH=/bin"],
        "Labels": {"l": "1", "m": "2"},
        "HostConfig": {"LogConfig": {"Type": driver, "Config": options}},
    }
    status, answer = ask(path, "POST", f"/containers/create?name={NAME}", body)
    document: JsonObject = json.loads(answer)
    return status, document


def _neutral(tag: str, container: JsonObject) -> str:
    """Return a tag with names in the place of what differs each time."""
    identifier, image = str(container["Id"]), str(container["Image"])
    for value, name in (
        (identifier, "FULL-ID"),
        (identifier[:12], "ID"),
        (image, "FULL-IMAGE"),
        (image[:12], "IMAGE"),
        (socket.gethostname(), "HOST"),
    ):
        tag = tag.replace(value, name)
    return tag


def main() -> None:
    """Record everything."""
    path = sys.argv[1]
    answers: dict[str, Sequence[object]] = {
        "options": record_options(path),
        "tags": record_tags(path),
    }
    lines = [
        f'"{name}": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]"
        for name, cases in answers.items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
