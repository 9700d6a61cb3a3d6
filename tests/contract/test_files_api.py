from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.support.api_schema import check_body

if TYPE_CHECKING:
    from tests.support.api_client import Answer, Api
    from tests.support.fake_engine import FakeEngine


@pytest.fixture(autouse=True)
async def _container(api: Api, engine: FakeEngine) -> None:
    await api.call("POST", "/containers/create?name=web", {"Image": "busybox"})
    engine.filesystem.files["/etc/grüße"] = b"tar bytes"


def stat_of(answer: Answer) -> object:
    text = base64.b64decode(answer.headers["x-docker-container-path-stat"], validate=True)
    document = json.loads(text)
    check_body("PathStat", document)
    return document["name"]


async def test_head_has_the_stat_header_only(api: Api) -> None:
    answer = await api.call("HEAD", "/containers/web/archive?path=/etc/gr%C3%BC%C3%9Fe")
    assert (answer.status, stat_of(answer)) == (200, "grüße")


async def test_get_has_stat_and_archive(api: Api) -> None:
    answer = await api.call("GET", "/containers/web/archive?path=/etc/gr%C3%BC%C3%9Fe")
    assert stat_of(answer) == "grüße"
    assert answer.headers["content-type"] == "application/x-tar"
    assert answer.body == b"tar bytes"


async def test_missing_file_is_named(api: Api) -> None:
    answer = await api.call("GET", "/containers/web/archive?path=/none")
    assert (answer.status, answer.message()) == (
        404,
        "Could not find the file /none in container web",
    )


async def test_put_streams_the_archive(api: Api, engine: FakeEngine) -> None:
    data = bytes(1 << 20)
    query = "path=/in&noOverwriteDirNonDir=true&copyUIDGID=1"
    assert (await api.call("PUT", f"/containers/web/archive?{query}", data)).status == 200
    assert engine.filesystem.files["/in"] == data
    [options] = engine.filesystem.puts
    assert (options.no_overwrite_dir_non_dir, options.copy_owners) == (True, True)


async def test_put_that_is_refused_answers_before_the_body_is_read(api: Api) -> None:
    answer = await api.call("PUT", "/containers/web/archive?path=/read-only", bytes(1 << 20))
    assert (answer.status, answer.message()) == (403, "container rootfs is marked read-only")


async def test_export_is_a_stream_of_bytes(api: Api) -> None:
    answer = await api.call("GET", "/containers/web/export")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.body == b"tar of web"


@pytest.mark.parametrize("differences", [[], [{"Path": "/etc", "Kind": 0}]])
async def test_changes_are_null_when_there_are_none(
    api: Api, engine: FakeEngine, differences: list[dict[str, object]]
) -> None:
    engine.filesystem.differences = differences
    document = (await api.call("GET", "/containers/web/changes")).json()
    check_body("ContainerChanges", document)
    assert document == (differences or None)
