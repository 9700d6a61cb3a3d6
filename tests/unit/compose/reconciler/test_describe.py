"""Containers as rows of a report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from compose.reconciler.describe import container_record, fill_template, ports_text
from compose.reconciler.observed import read_container

if TYPE_CHECKING:
    from compose.engine.wire import ContainerSummary, PortSummary


def port(inside: int, outside: int = 0, ip: str = "", kind: str = "tcp") -> PortSummary:
    found: PortSummary = {"PrivatePort": inside, "Type": kind}
    if ip:
        found |= {"IP": ip, "PublicPort": outside}
    return found


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(80, 8080, "0.0.0.0")], "0.0.0.0:8080->80/tcp"),
        ([port(81), port(80), port(82)], "80-82/tcp"),
        (
            [port(90, 90, "0.0.0.0"), port(91, 91, "0.0.0.0"), port(93, 93, "0.0.0.0")],
            "0.0.0.0:90-91->90-91/tcp, 0.0.0.0:93->93/tcp",
        ),
        ([port(53, 53, "::", "udp")], "[::]:53->53/udp"),
        ([port(80, 8080, "0.0.0.0"), port(443)], "443/tcp, 0.0.0.0:8080->80/tcp"),
    ],
)
def test_ports_in_one_line(ports: list[PortSummary], text: str) -> None:
    assert ports_text(ports) == text


SUMMARY: ContainerSummary = {
    "Id": "f" * 64,
    "Names": ["/other/alias", "/p-web-1"],
    "Image": "busybox",
    "Command": "sh -c 'echo a long command'",
    "Created": 1_700_000_000,
    "State": "exited",
    "Status": "Exited (3) 2 hours ago",
    "Labels": {
        "com.docker.compose.service": "web",
        "com.docker.compose.project": "p",
        "com.docker.compose.container-number": "2",
        "x": "y",
    },
    "Ports": [port(80, 8080, "0.0.0.0")],
    "Mounts": [{"Type": "volume", "Name": "a-volume-with-a-long-name", "Driver": "local"}],
    "NetworkSettings": {"Networks": {"n2": {"NetworkID": "2"}, "n1": {"NetworkID": "1"}}},
}


def test_a_listed_container_is_read() -> None:
    found = read_container(SUMMARY)
    assert (found.name, found.service, found.number) == ("p-web-1", "web", 2)
    assert found.networks == {"n1": "1", "n2": "2"}
    assert not found.alive


def test_the_record_has_docker_composes_keys_in_order() -> None:
    record = container_record(read_container(SUMMARY))
    assert list(record) == sorted(record)
    assert record["Command"] == '"sh -c \'echo a long …"'
    assert record["ExitCode"] == 3
    assert record["Health"] == ""
    assert record["Mounts"] == "a-volume-with-…"
    assert record["LocalVolumes"] == "1"
    assert record["Networks"] == "n1,n2"
    assert record["Publishers"] == [
        {"URL": "0.0.0.0", "TargetPort": 80, "PublishedPort": 8080, "Protocol": "tcp"}
    ]
    whole = container_record(read_container(SUMMARY), cut=False)
    assert whole["ID"] == "f" * 64


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("Up 2 minutes (healthy)", "healthy"),
        ("Up 2 minutes (unhealthy)", "unhealthy"),
        ("Up 2 seconds (health: starting)", "starting"),
        ("Up 2 minutes (Paused)", ""),
    ],
)
def test_health_is_read_from_the_status(status: str, word: str) -> None:
    assert container_record(read_container({**SUMMARY, "Status": status}))["Health"] == word


def test_simple_templates_are_filled() -> None:
    container = read_container(SUMMARY)
    record = container_record(container)
    assert fill_template(r"{{.Name}}\t{{ .State }}", record) == "p-web-1\texited"
    assert fill_template('{{.Label "x"}}', record, container) == "y"
    assert json.loads(fill_template("{{json .}}", record))["Name"] == "p-web-1"
    assert fill_template("{{json .Name}}", record) == '"p-web-1"'
