from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from runtime.api.images import BUILDKIT_HINT
from runtime.engine import ImportOptions, PullOptions
from tests.support.api_schema import check_body

if TYPE_CHECKING:
    from tests.support.api_client import Api
    from tests.support.fake_engine import FakeEngine

_AUTH: dict[str, object] = {"username": "u", "password": "?>"}


@pytest.mark.parametrize("encode", [base64.urlsafe_b64encode, base64.b64encode])
@pytest.mark.parametrize("strip", ["", "="])
async def test_pull_is_a_progress_stream_with_credentials(
    api: Api, engine: FakeEngine, encode: object, strip: str
) -> None:
    assert callable(encode)
    header = encode(json.dumps(_AUTH).encode()).decode().rstrip(strip or None)
    answer = await api.call(
        "POST",
        "/images/create?fromImage=docker.io%2Flibrary%2Fweb&tag=1&platform=linux%2Famd64",
        headers={"X-Registry-Auth": header},
    )
    assert answer.headers["content-type"] == "application/json"
    assert answer.body.endswith(b"\r\n")
    for record in answer.records():
        check_body("Progress", record)
    assert engine.images.calls == [
        ("pull", PullOptions("docker.io/library/web", "1", "linux/amd64", _AUTH))
    ]


@pytest.mark.parametrize("header", ["", "e30=", "!!!", "bnVsbA=="])
async def test_unreadable_credentials_count_as_none(
    api: Api, engine: FakeEngine, header: str
) -> None:
    await api.call("POST", "/images/create?fromImage=x&tag=1", headers={"X-Registry-Auth": header})
    assert engine.images.calls == [("pull", PullOptions("x", "1"))]


async def test_pull_error_before_data_has_a_status(api: Api) -> None:
    answer = await api.call("POST", "/images/create?fromImage=missing&tag=1")
    assert (answer.status, answer.message()) == (404, "pull access denied for missing")


async def test_pull_error_after_data_is_the_last_record(api: Api) -> None:
    answer = await api.call("POST", "/images/create?fromImage=broken&tag=1")
    assert answer.status == 200
    last = answer.records()[-1]
    check_body("Progress", last)
    assert last == {"errorDetail": {"message": "unexpected EOF"}, "error": "unexpected EOF"}


async def test_import_takes_the_body(api: Api, engine: FakeEngine) -> None:
    query = "fromSrc=-&repo=x%2Fy&tag=1&message=m&changes=CMD+a&changes=ENV+b%3Dc"
    answer = await api.call("POST", f"/images/create?{query}", b"archive")
    assert answer.records() == [{"status": engine.images.names["x/y:1"]}]
    options = ImportOptions("-", "x/y", "1", "m", ("CMD a", "ENV b=c"))
    assert engine.images.calls == [("import", options, b"archive")]


async def test_neither_pull_nor_import_is_refused(api: Api) -> None:
    assert (await api.call("POST", "/images/create")).status == 400


async def test_image_of_buildkit_names_the_remedy(api: Api) -> None:
    inspected = await api.call("GET", "/images/moby/buildkit:buildx-stable-1/json")
    assert inspected.status == 404
    assert inspected.message().endswith(f"({BUILDKIT_HINT})")
    pulled = await api.call("POST", "/images/create?fromImage=docker.io%2Fmoby%2Fbuildkit&tag=x")
    assert (pulled.status, pulled.message()) == (404, BUILDKIT_HINT)


@pytest.mark.parametrize("name", ["a/b/c:1", "localhost:5000/a:1", "quay.io/a/b"])
async def test_names_with_slashes_and_colons_are_one_name(
    api: Api, engine: FakeEngine, name: str
) -> None:
    identifier = engine.images.add(engine.images.full(name))
    document = (await api.call("GET", f"/images/{name}/json")).json()
    check_body("ImageInspect", document)
    assert isinstance(document, dict)
    assert document["Id"] == identifier
    escaped = await api.call("GET", f"/v1.51/images/{quote(name, safe='')}/history")
    check_body("ImageHistory", escaped.json())
    assert (await api.call("POST", f"/images/{name}/tag?repo=z&tag=2")).status == 201
    deleted = (await api.call("DELETE", f"/images/{name}?force=1&noprune=1")).json()
    check_body("ImagesDeleted", deleted)
    assert engine.images.calls[-1] == ("remove", name, True, False)


async def test_list_and_its_filters(api: Api, engine: FakeEngine) -> None:
    answer = await api.call("GET", "/images/json?all=1&shared-size=1&manifests=1")
    check_body("ImageList", answer.json())
    options = engine.images.calls[-1][1]
    assert [getattr(options, name) for name in ("all", "shared_size", "manifests")] == [True] * 3
    refused = await api.call("GET", "/images/json?filters=" + quote('{"x":["y"]}'))
    assert (refused.status, refused.message()) == (400, "invalid filter 'x'")


async def test_conflict_and_bad_name(api: Api, engine: FakeEngine) -> None:
    engine.images.add("used:latest")
    assert (await api.call("DELETE", "/images/used:latest")).status == 409
    assert (await api.call("POST", "/images/busybox/tag?repo=UP")).status == 400


async def test_save_and_load(api: Api, engine: FakeEngine) -> None:
    engine.images.add("a/b:1")
    answer = await api.call("GET", "/images/get?names=a/b:1&names=busybox")
    assert answer.headers["content-type"] == "application/x-tar"
    assert answer.body == b"a/b:1busybox"
    assert (await api.call("GET", "/images/a/b:1/get")).body == b"a/b:1"
    assert (await api.call("GET", "/images/get?names=none")).status == 404
    loaded = await api.call("POST", "/images/load?quiet=0", b"new:1")
    assert loaded.records() == [{"stream": "Loaded image: new:1\n"}]
    assert engine.images.calls[-1] == ("load", False)


async def test_push_passes_its_tag(api: Api, engine: FakeEngine) -> None:
    engine.images.add("h:5000/a:1")
    answer = await api.call("POST", "/images/h:5000/a/push?tag=1")
    assert answer.records()[-1]["aux"] == {"Tag": "1", "Digest": "", "Size": 1}
    assert engine.images.calls[-1] == ("push", PullOptions("h:5000/a", "1"))


async def test_prune_search_and_distribution(api: Api, engine: FakeEngine) -> None:
    pruned = await api.call("POST", "/images/prune?filters=" + quote('{"dangling":["false"]}'))
    check_body("ImagesPruned", pruned.json())
    assert pruned.body == b'{"ImagesDeleted":null,"SpaceReclaimed":0}\n'
    assert engine.images.calls[-1] == ("prune", False)
    found = await api.call("GET", "/images/search?term=redis&filters=" + quote('{"stars":["3"]}'))
    check_body("ImageSearch", found.json())
    assert ("search", "redis", 25, ("3",)) in engine.images.calls
    described = await api.call("GET", "/distribution/a/b:1/json")
    check_body("Distribution", described.json())
    assert ("distribution", "a/b:1", None) in engine.images.calls
