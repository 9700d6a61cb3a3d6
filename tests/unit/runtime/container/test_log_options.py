"""Options of log drivers: what Docker said to each of them (see `record_log_answers`)."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from runtime.container.config import HostFacts, complete, read_request
from runtime.container.log_options import (
    check_log_config,
    parse_address,
    parse_facility,
    parse_size,
)
from runtime.container.log_order import logger_order, shim_order
from runtime.container.log_tag import TemplateError, render_tag
from runtime.container.start_errors import container_failure
from runtime.errors import EngineError, InvalidArgument, NotImplementedByEngine
from tests.support.records import make_container

ANSWERS: dict[str, list[Any]] = json.loads(
    Path(__file__).with_name("log_answers.json").read_text("utf-8")
)
IDENTIFIER = "0123456789ab" * 5 + "cdef"
REMOTE_TEXTS = ("dial ", "journald is not enabled", "could not read", "Could not load")
"""What only a logger can find out."""


def logging_container(driver: str, options: dict[str, str], **config: object) -> Any:
    """Return a container with a log of this kind."""
    made = make_container()
    made.id = IDENTIFIER
    made.host_config["LogConfig"] = {"Type": driver, "Config": options}
    made.config.update(config)
    return made


def start(driver: str, options: dict[str, str]) -> str:
    """Return what a start says about the options alone."""
    made = logging_container(driver, options)
    try:
        shim_order(made, "/log", "host")
        logger_order(made, "host")
    except EngineError as error:
        return container_failure("logging", error.message).message
    return ""


@pytest.mark.parametrize("case", ANSWERS["options"], ids=lambda case: f"{case[0]}-{case[1]}")
def test_options_are_answered_as_docker_does(case: list[Any]) -> None:
    driver, options, status, text = case[:4]
    if status != 201:
        with pytest.raises(InvalidArgument) as error:
            check_log_config(driver, options)
        assert (status, text) == (400, error.value.message)
        return
    check_log_config(driver or "json-file", options)
    wanted = case[5]
    if not any(part in wanted for part in REMOTE_TEXTS):
        assert start(driver, options) == wanted


@pytest.mark.parametrize("case", ANSWERS["tags"], ids=lambda case: case[0])
def test_tags_are_those_of_docker(case: list[str]) -> None:
    template, tag, text = case
    made = logging_container(
        "json-file", {"tag": template}, Image="busybox", Env=["E=2", "PATH=/bin"]
    )
    made.name, made.path, made.args = "recorded-log", "echo", ["hi"]
    made.config["Labels"] = {"l": "1", "m": "2"}
    if text:
        failed = start_of(made)
        assert failed.split(": error calling")[0] == text.split(": wrong number of args for tr")[0]
        return
    order = shim_order(made, "/log", socket.gethostname())
    assert order is not None
    raw = order["attributes"]
    assert isinstance(raw, bytes)
    attributes = json.loads(raw or b"{}")
    for value, name in (
        (made.id, "FULL-ID"),
        (made.id[:12], "ID"),
        (made.image, "FULL-IMAGE"),
        (made.image[:12], "IMAGE"),
        (socket.gethostname(), "HOST"),
    ):
        attributes["tag"] = attributes.get("tag", "").replace(value, name)
    assert attributes["tag"] == tag


def start_of(made: Any) -> str:
    """Return why a container does not start because of its log."""
    with pytest.raises(EngineError) as error:
        shim_order(made, "/log", "host")
    return container_failure("logging", error.value.message).message


@pytest.mark.parametrize(
    "template", ["{{$x := 1}}", '{{template "x"}}', '{{define "x"}}', "{{if .ID}}"]
)
def test_what_a_tag_cannot_hold_is_named(template: str) -> None:
    with pytest.raises(TemplateError, match=r"^template: log-tag:1: "):
        render_tag(template, {"ID": "x"})


@pytest.mark.parametrize("driver", ["awslogs", "fluentd", "gcplogs", "gelf", "splunk"])
def test_drivers_that_shoal_lacks_are_named(driver: str) -> None:
    with pytest.raises(NotImplementedByEngine, match=f"logging driver {driver} is not supported"):
        check_log_config(driver, {})


def test_defaults_of_the_engine_are_laid_below_the_request() -> None:
    facts = HostFacts(True, log_driver="local", log_options={"max-size": "1m", "max-file": "3"})
    assert log_config({}, facts) == {"Type": "local", "Config": {"max-size": "1m", "max-file": "3"}}
    own = {"Type": "local", "Config": {"max-size": "2m"}}
    assert log_config(own, facts)["Config"] == {"max-size": "2m", "max-file": "3"}
    other = {"Type": "json-file", "Config": {}}
    assert log_config(other, facts) == other


def test_defaults_of_the_cache_count_for_every_driver() -> None:
    facts = HostFacts(True, log_driver="syslog", log_options={"cache-disabled": "true", "tag": "x"})
    own = {"Type": "journald", "Config": {}}
    assert log_config(own, facts)["Config"] == {"cache-disabled": "true"}


def log_config(given: Any, facts: HostFacts) -> Any:
    """Return the log's configuration of a container that is created with this one."""
    request = read_request({"Image": "x", "Cmd": ["true"], "HostConfig": {"LogConfig": given}})
    complete(request, IDENTIFIER, {}, facts)
    return request.host_config["LogConfig"]


def test_orders_hold_numbers_and_chosen_attributes() -> None:
    options = {"max-size": "1k", "max-file": "3", "labels": "a", "env-regex": "^P", "tag": "t"}
    made = logging_container(
        "json-file", options, Labels={"a": "1", "b": "2"}, Env=["PATH=/", "HOME=/"]
    )
    order = shim_order(made, "/x", "host")
    assert order == {
        "driver": "json-file",
        "path": "/x",
        "max_size": 1000,
        "max_files": 3,
        "compress": False,
        "attributes": b'{"a":"1","PATH":"/","tag":"t"}',
    }
    assert shim_order(logging_container("none", {}), "/x", "host") is None
    local = shim_order(logging_container("local", {}), "/x", "host")
    assert local is not None
    assert (local["max_size"], local["max_files"], local["compress"]) == (20 << 20, 5, True)


def test_a_remote_log_has_a_cache_unless_it_is_not_wanted() -> None:
    options = {"syslog-address": "udp://127.0.0.1:9", "cache-max-size": "1k", "cache-max-file": "x"}
    order = shim_order(logging_container("syslog", options), "/x", "host")
    assert order == {
        "driver": "feed",
        "path": "/x",
        "max_size": 20 << 20,
        "max_files": 5,
        "compress": True,
        "blocking": True,
    }
    options = {"cache-disabled": "1", "mode": "non-blocking", "max-buffer-size": "2m"}
    made = logging_container("journald", options)
    assert shim_order(made, "/x", "host") == {
        "driver": "feed",
        "path": "",
        "compress": False,
        "blocking": False,
    }
    order = logger_order(made, "host")
    assert order is not None
    assert order["buffer"] == 2 << 20


def test_fields_of_the_journal_are_capitals() -> None:
    options = {"labels": "com.example-x,_under", "env": "lower"}
    made = logging_container(
        "journald",
        options,
        Labels={"com.example-x": "1", "_under": "2"},
        Env=["lower=3"],
        Image="busybox",
    )
    order = logger_order(made, "host")
    assert order is not None
    assert order["fields"] == {
        "CONTAINER_ID": IDENTIFIER[:12],
        "CONTAINER_ID_FULL": IDENTIFIER,
        "CONTAINER_NAME": made.name,
        "CONTAINER_TAG": IDENTIFIER[:12],
        "IMAGE_NAME": "busybox",
        "SYSLOG_IDENTIFIER": IDENTIFIER[:12],
        "COM_EXAMPLE_X": "1",
        "UNDER": "2",
        "LOWER": "3",
    }


@pytest.mark.parametrize(
    ("text", "size"), [("10", 10), ("10k", 10240), ("1.5m", 3 << 19), ("2G", 2 << 30)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_addresses_and_facilities_are_read() -> None:
    assert parse_address("") == ("", "", 0)
    assert parse_address("udp://host") == ("udp", "host", 514)
    assert parse_address("tcp+tls://[::1]:6514") == ("tcp+tls", "::1", 6514)
    assert parse_address("unix:///dev/null") == ("unix", "/dev/null", 0)
    assert [parse_facility(text) for text in ("", "kern", "local7", "5")] == [3, 0, 23, 5]
