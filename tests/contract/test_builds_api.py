from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest

from runtime.api.images import BUILDKIT_HINT
from runtime.engine import BuildOptions, CacheLimits
from tests.support.api_schema import check_body

if TYPE_CHECKING:
    from tests.support.api_client import Api
    from tests.support.fake_engine import FakeEngine


async def test_every_choice_reaches_the_builder(api: Api, engine: FakeEngine) -> None:
    query = urlencode(
        [
            ("dockerfile", "D"),
            ("t", "a:1"),
            ("t", "b:2"),
            ("q", "1"),
            ("nocache", "1"),
            ("pull", "1"),
            ("rm", "0"),
            ("forcerm", "1"),
            ("buildargs", '{"A":"1","B":null}'),
            ("labels", '{"l":"v"}'),
            ("cachefrom", '["c:1"]'),
            ("target", "stage"),
            ("networkmode", "host"),
            ("platform", "linux/amd64"),
            ("extrahosts", "a:1.1.1.1,b:2.2.2.2"),
            ("extrahosts", "c:3.3.3.3"),
            ("shmsize", "64"),
            ("memory", "1024"),
            ("cpusetcpus", "0"),
            ("ulimits", '[{"Name":"nofile","Soft":1,"Hard":2}]'),
            ("squash", "1"),
            ("buildid", "id"),
            ("version", "1"),
        ]
    )
    auths: dict[str, object] = {"registry.test": {"username": "u"}}
    header = base64.urlsafe_b64encode(json.dumps(auths).encode()).decode()
    answer = await api.call("POST", f"/build?{query}", b"context", {"X-Registry-Config": header})
    for record in answer.records():
        check_body("Progress", record)
    [(options, context)] = engine.builder.builds
    assert context == b"context"
    assert options == BuildOptions(
        dockerfile="D",
        tags=("a:1", "b:2"),
        quiet=True,
        no_cache=True,
        pull=True,
        remove=False,
        force_remove=True,
        build_args={"A": "1", "B": None},
        labels={"l": "v"},
        cache_from=("c:1",),
        target="stage",
        network_mode="host",
        platform="linux/amd64",
        extra_hosts=("a:1.1.1.1", "b:2.2.2.2", "c:3.3.3.3"),
        shm_size=64,
        limits={
            "Memory": 1024,
            "CpusetCpus": "0",
            "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
        },
        squash=True,
        build_id="id",
        auths=auths,
    )


async def test_bad_dockerfile_has_a_status(api: Api) -> None:
    answer = await api.call("POST", "/build", b"bad")
    assert answer.status == 400
    assert answer.message().startswith("dockerfile parse error on line 1: ")


@pytest.mark.parametrize(
    "query", ["buildargs=x", "buildargs=[]", 'buildargs={"a":1}', "ulimits={}"]
)
async def test_bad_json_in_the_query_is_named(api: Api, query: str) -> None:
    answer = await api.call("POST", f"/build?{quote(query, safe='=')}", b"")
    assert answer.status == 400
    assert answer.message().startswith(f"error reading {query.partition('=')[0]}: ")


@pytest.mark.parametrize("path", ["/grpc", "/session", "/v1.51/grpc"])
async def test_buildkit_is_refused_with_the_remedy(api: Api, path: str) -> None:
    answer = await api.call("POST", path, headers={"Connection": "Upgrade", "Upgrade": "h2c"})
    assert (answer.status, answer.message()) == (501, BUILDKIT_HINT)


@pytest.mark.parametrize("query", ["version=2", "remote=client-session"])
async def test_build_of_buildkit_is_refused(api: Api, query: str) -> None:
    answer = await api.call("POST", f"/build?{query}", b"")
    assert (answer.status, answer.message()) == (501, BUILDKIT_HINT)


async def test_prune_passes_its_choices(api: Api, engine: FakeEngine) -> None:
    filters = quote('{"until":["24h"]}')
    answer = await api.call("POST", f"/build/prune?all=1&keep-storage=5&filters={filters}")
    check_body("CachePruned", answer.json())
    assert answer.body == b'{"CachesDeleted":["a"],"SpaceReclaimed":7}\n'
    assert engine.builder.prunes == [(True, CacheLimits(reserved=5))]
    sizes = "reserved-space=1&keep-storage=5&max-used-space=2&min-free-space=3"
    assert (await api.call("POST", f"/build/prune?{sizes}")).status == 200
    assert engine.builder.prunes[1:] == [(False, CacheLimits(reserved=1, most=2, free=3))]


@pytest.mark.parametrize("key", ["reserved-space", "keep-storage", "max-used-space"])
async def test_a_size_to_keep_that_is_none_is_named(api: Api, key: str) -> None:
    answer = await api.call("POST", f"/build/prune?{key}=x")
    problem = 'strconv.Atoi: parsing "x": invalid syntax'
    wanted = f"{key} is in bytes and expects an integer, got x: {problem}"
    assert (answer.status, answer.message()) == (400, wanted)


async def test_filters_of_a_prune_are_refused_as_buildkit_does(api: Api) -> None:
    answer = await api.call("POST", "/build/prune?filters=" + quote('{"foo":["bar"]}'))
    wanted = (400, "failed to prune build cache: invalid filter 'foo'")
    assert (answer.status, answer.message()) == wanted


async def test_a_build_that_is_not_there_is_cancelled_in_silence(api: Api) -> None:
    assert (await api.call("POST", "/build/cancel?id=nothing")).status == 200
    assert (await api.call("POST", "/build/cancel")).message() == "build ID not provided"
