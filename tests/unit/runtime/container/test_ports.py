from __future__ import annotations

import pytest

from runtime.container.ports import exposes, publishes, wanted_ports
from runtime.errors import EngineError

PORTS = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "53/udp": None}


@pytest.mark.parametrize(
    ("value", "exposed", "published"),
    [
        ("80", True, False),
        ("80/tcp", True, False),
        ("80/udp", False, False),
        ("8080", False, True),
        ("8000-9000", False, True),
        ("53/udp", True, False),
        ("1-100/udp", True, False),
        ("80/strange", False, False),
    ],
)
def test_ports_inside_and_on_the_host(value: str, exposed: bool, published: bool) -> None:
    assert exposes(PORTS, wanted_ports("expose", [value])) is exposed
    assert publishes(PORTS, wanted_ports("publish", [value])) is published


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("x", 'parsing "x": invalid syntax'),
        ("99999", 'parsing "99999": value out of range'),
        ("1-", 'parsing "": invalid syntax'),
        ("5-3", "Invalid range specified for the Port: 5-3"),
    ],
)
def test_what_is_no_port_is_named(value: str, problem: str) -> None:
    with pytest.raises(EngineError, match=problem):
        wanted_ports("publish", [value])
