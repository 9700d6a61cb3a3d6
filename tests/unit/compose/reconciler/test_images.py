"""Which images are pulled or built, and with which parameters."""

from __future__ import annotations

import json

import pytest

from compose.model.build import Build
from compose.model.record import replace
from compose.reconciler.images import (
    BuildOptions,
    build_query,
    plan_images,
    split_reference,
)
from compose.reconciler.observed import Image
from tests.support.observations import project, service

HERE = {"busybox": Image(id="1", platform="linux/amd64", tagged="2026-01-01T00:00:00.123456789Z")}
NOW = 1_767_225_600.0 + 2 * 86_400  # two days after the tag
BUILD = Build(context="/c", dockerfile="Dockerfile", args={"A": "1", "B": None})


def plan(policy: str = "", *, local: bool = True, **fields: object) -> str:
    build = fields.pop("build_all", None)
    one = service("a", pull_policy=policy, **fields)
    assert build is None or isinstance(build, bool)
    return str(plan_images(project(one), HERE if local else {}, build=build, now=NOW))


@pytest.mark.parametrize(
    ("policy", "here", "missing"),
    [
        ("", "", "1 pull image busybox: missing"),
        ("missing", "", "1 pull image busybox: missing"),
        ("always", "1 pull image busybox: pull_policy: always",
         "1 pull image busybox: pull_policy: always"),
        ("never", "", ""),
        ("build", "", ""),
        ("daily", "1 pull image busybox: pull_policy: daily", "1 pull image busybox: missing"),
        ("weekly", "", "1 pull image busybox: missing"),
        ("every_47h", "1 pull image busybox: pull_policy: every_47h",
         "1 pull image busybox: missing"),
        ("every_2d1h", "", "1 pull image busybox: missing"),
    ],
)  # fmt: skip
def test_pull_policies(policy: str, here: str, missing: str) -> None:
    assert plan(policy) == here
    assert plan(policy, local=False) == missing


def test_what_can_be_built_is_built_when_missing_or_asked_for() -> None:
    assert plan(image="", build=BUILD, local=False) == "1 build image p-a: missing"
    assert plan(build=BUILD) == ""
    assert plan(build=BUILD, build_all=True) == "1 build image busybox: asked for"
    assert plan("build", build=BUILD) == "1 build image busybox: pull_policy: build"
    assert plan(build=BUILD, build_all=False, local=False) == "1 pull image busybox: missing"


def test_an_image_of_another_platform_counts_as_missing() -> None:
    assert plan(platform="linux/amd64") == ""
    assert plan(platform="linux/arm64") == "1 pull image busybox: missing"


def test_one_image_of_two_services_is_pulled_once() -> None:
    wanted = project(service("a"), service("b"))
    assert str(plan_images(wanted, {})) == "1 pull image busybox: missing"


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("busybox", ("busybox", "latest")),
        ("a/b:1", ("a/b", "1")),
        ("host:5000/a", ("host:5000/a", "latest")),
        ("host:5000/a:2", ("host:5000/a", "2")),
        ("a@sha256:ff", ("a", "sha256:ff")),
    ],
)
def test_references_are_split(reference: str, parts: tuple[str, str]) -> None:
    assert split_reference(reference) == parts


def test_a_build_request_carries_labels_arguments_and_every_tag() -> None:
    one = service("a", image="", build=replace(BUILD, tags=("x:1",), target="t", no_cache=True))
    query = build_query(project(one), one, "p-a", BuildOptions(arguments=("B=2", "C"), pull=True))
    assert query["t"] == ["p-a", "x:1"]
    assert query["target"] == "t"
    assert query["nocache"] is True
    assert query["pull"] is True
    assert json.loads(str(query["buildargs"])) == {"A": "1", "B": "2", "C": None}
    assert json.loads(str(query["labels"]))["com.docker.compose.image.builder"] == "classic"


def test_a_remote_context_is_fetched_by_the_engine() -> None:
    one = service("a", build=replace(BUILD, context="https://example.org/x.git"))
    query = build_query(project(one), one, "p-a", BuildOptions())
    assert query["remote"] == "https://example.org/x.git"
