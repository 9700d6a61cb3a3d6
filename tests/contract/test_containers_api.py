from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from runtime.engine import AttachOptions, CommitOptions, LogOptions
from runtime.record import replace
from tests.support.api_client import request
from tests.support.api_schema import check_body

if TYPE_CHECKING:
    from tests.support.api_client import Api, Wire
    from tests.support.fake_engine import FakeContainer, FakeEngine

_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


async def make(api: Api, engine: FakeEngine, name: str = "web", **config: object) -> FakeContainer:
    """Create a container through the API."""
    answer = await api.call(
        "POST", f"/containers/create?name={name}", {"Image": "busybox", **config}
    )
    assert answer.status == 201
    return engine.containers.find(name)


async def test_create_answers_id_and_warnings(api: Api) -> None:
    body = {"Image": "busybox", "Labels": {"Keep.Case": "1"}, "HostConfig": {"autoremove": True}}
    answer = await api.call("POST", "/v1.51/containers/create?name=web&platform=linux/x", body)
    assert answer.status == 201
    check_body("ContainerCreated", answer.json())
    document = (await api.call("GET", "/containers/web/json")).json()
    check_body("ContainerInspect", document)
    assert isinstance(document, dict)
    assert document["Config"]["Labels"] == {"Keep.Case": "1"}
    assert document["HostConfig"]["AutoRemove"] is True


async def test_create_without_an_image_says_what_clients_pull_on(api: Api) -> None:
    answer = await api.call("POST", "/containers/create", {"Image": "x/y"})
    assert (answer.status, answer.message()) == (404, "No such image: x/y:latest")


async def test_create_with_a_taken_name_is_a_conflict(api: Api, engine: FakeEngine) -> None:
    container = await make(api, engine)
    answer = await api.call("POST", "/containers/create?name=web", {"Image": "busybox"})
    assert answer.status == 409
    assert answer.message().startswith(
        f'Conflict. The container name "/web" is already in use by container "{container.id}".'
    )


@pytest.mark.parametrize(
    ("query", "wanted"), [("", 0), ("?all=1", 1), ("?all=false", 0), ("?limit=5", 1)]
)
async def test_list_shows_stopped_ones_on_request(
    api: Api, engine: FakeEngine, query: str, wanted: int
) -> None:
    await make(api, engine)
    listed = (await api.call("GET", f"/containers/json{query}")).json()
    check_body("ContainerList", listed)
    assert isinstance(listed, list)
    assert len(listed) == wanted


@pytest.mark.parametrize("form", [{"a=b": True}, ["a=b"]])
async def test_both_forms_of_filters_reach_the_engine(
    api: Api, engine: FakeEngine, form: object
) -> None:
    filters = quote(json.dumps({"label": form}))
    await api.call("GET", f"/containers/json?filters={filters}")
    options = engine.containers.calls[-1][1]
    assert getattr(options, "filters").get("label") == ("a=b",)  # noqa: B009 - an object's field


async def test_start_and_stop_twice_are_not_modified(api: Api, engine: FakeEngine) -> None:
    await make(api, engine)
    statuses = [
        (await api.call("POST", f"/containers/web/{verb}")).status
        for verb in ("start", "start", "stop?t=-1&signal=INT", "stop")
    ]
    assert statuses == [204, 304, 204, 304]
    assert ("stop", "web", "INT", -1) in engine.containers.calls


async def test_not_modified_has_no_body(api: Api, engine: FakeEngine) -> None:
    await make(api, engine)
    answer = await api.call("POST", "/containers/web/stop")
    assert answer.status == 304
    assert "content-length" not in answer.headers


async def test_start_takes_a_checkpoint_as_not_supported(api: Api, engine: FakeEngine) -> None:
    await make(api, engine)
    answer = await api.call("POST", "/containers/web/start?checkpoint=c")
    assert answer.status == 400
    assert answer.message() == "checkpoint is only supported in experimental mode"


async def test_checkpoints_are_not_supported(api: Api, engine: FakeEngine) -> None:
    await make(api, engine)
    answer = await api.call("GET", "/containers/web/checkpoints")
    assert answer.status == 501
    assert "is not supported by Shoal: " in answer.message()


async def test_pause_and_unpause(api: Api, engine: FakeEngine) -> None:
    container = await make(api, engine)
    steps = [("pause", 409), ("start", 204), ("pause", 204), ("pause", 409), ("start", 409)]
    for verb, status in [*steps, ("unpause", 204), ("unpause", 500)]:
        assert (await api.call("POST", f"/containers/web/{verb}")).status == status
    assert container.state == "running"


async def test_kill_of_a_stopped_container_is_a_conflict(api: Api, engine: FakeEngine) -> None:
    container = await make(api, engine)
    answer = await api.call("POST", "/containers/web/kill?signal=TERM")
    assert answer.status == 409
    assert answer.message() == (
        f"cannot kill container: web: container {container.id} is not running"
    )


async def test_restart_rename_update(api: Api, engine: FakeEngine) -> None:
    container = await make(api, engine)
    assert (await api.call("POST", "/containers/web/restart?t=0")).status == 204
    assert ("restart", "web", None, 0) in engine.containers.calls
    assert (await api.call("POST", "/containers/web/rename?name=other")).status == 204
    assert (await api.call("POST", "/containers/other/rename?name=other")).status == 400
    answer = await api.call("POST", "/containers/other/update", {"Memory": 1 << 24})
    assert answer.body == b'{"Warnings":null}\n'
    assert container.body["Memory"] == 1 << 24


async def test_remove_passes_its_choices(api: Api, engine: FakeEngine) -> None:
    await make(api, engine)
    await api.call("POST", "/containers/web/start")
    answer = await api.call("DELETE", "/containers/web?force=0")
    assert (answer.status, "container is running" in answer.message()) == (409, True)
    assert (await api.call("DELETE", "/containers/web?force=1&v=True&link=")).status == 204
    assert engine.containers.calls[-1] == ("remove", "web", True, True, False)


async def test_wait_sends_its_head_before_the_end(api: Api, engine: FakeEngine) -> None:
    container = await make(api, engine)
    wire = await api.connect()
    wire.send(request("POST", "/containers/web/wait?condition=next-exit"))
    head = await wire.head()
    assert (head.status, head.headers["content-type"]) == (200, "application/json")
    await api.call("POST", "/containers/web/start")
    engine.containers.end(container, 7)
    [document] = [chunk async for chunk in wire.chunks()]
    check_body("ContainerWait", json.loads(document))
    assert json.loads(document) == {"StatusCode": 7}


async def test_resize_needs_a_running_container(api: Api, engine: FakeEngine) -> None:
    container = await make(api, engine)
    assert (await api.call("POST", "/containers/web/resize?h=24&w=80")).status == 409
    await api.call("POST", "/containers/web/start")
    assert (await api.call("POST", "/containers/web/resize?h=24&w=80")).status == 200
    assert container.size == (24, 80)
    assert (await api.call("POST", "/containers/web/resize?h=24&w=4294967296")).status == 400


async def test_top_passes_the_arguments_of_ps(api: Api, engine: FakeEngine) -> None:
    await make(api, engine)
    default = (await api.call("GET", "/containers/web/top")).json()
    check_body("ContainerTop", default)
    assert default == {"Titles": ["PID", "CMD"], "Processes": [["1", "ps -ef"]]}
    given = (await api.call("GET", "/containers/web/top?ps_args=aux")).json()
    assert given == {"Titles": ["PID", "CMD"], "Processes": [["1", "ps aux"]]}


async def test_logs_are_framed_without_a_terminal(api: Api, engine: FakeEngine) -> None:
    container = await make(api, engine)
    container.log = [(1, b"out\n"), (2, b"err\n")]
    answer = await api.call("GET", "/containers/web/logs?stdout=1&stderr=1")
    assert answer.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    assert answer.body == b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n"


@pytest.mark.parametrize(("tty", "prefix"), [(True, "/v1.51"), (False, "/v1.41")])
async def test_logs_say_raw_stream_to_terminals_and_old_clients(
    api: Api, engine: FakeEngine, tty: bool, prefix: str
) -> None:
    await make(api, engine, Tty=tty)
    answer = await api.call("GET", f"{prefix}/containers/web/logs?stdout=1")
    assert answer.headers["content-type"] == "application/vnd.docker.raw-stream"


async def test_logs_pass_their_choices(api: Api, engine: FakeEngine) -> None:
    await make(api, engine)
    query = "stdout=1&timestamps=1&details=1&tail=5&since=1700000000.5&until=1700000001.000000001"
    await api.call("GET", f"/containers/web/logs?{query}")
    assert engine.containers.calls[-1][1] == LogOptions(
        stdout=True,
        stderr=False,
        timestamps=True,
        details=True,
        since_ns=1700000000_500000000,
        until_ns=1700000001_000000001,
        tail=5,
    )


@pytest.mark.parametrize("tail", ["all", "-1", "x", ""])
async def test_any_other_tail_means_all(api: Api, engine: FakeEngine, tail: str) -> None:
    await make(api, engine)
    await api.call("GET", f"/containers/web/logs?stdout=1&tail={tail}")
    assert engine.containers.calls[-1][1] == LogOptions(stdout=True, stderr=False)


async def test_followed_logs_are_flushed_before_they_end(api: Api, engine: FakeEngine) -> None:
    container = await make(api, engine)
    container.log = [(1, b"line\n")]
    wire = await api.connect()
    wire.send(request("GET", "/containers/web/logs?stdout=1&follow=1"))
    assert (await wire.head()).status == 200
    assert (await anext(wire.chunks())).endswith(b"line\n")


@pytest.mark.parametrize(
    ("query", "count", "call"),
    [
        ("", 3, (True, False)),
        ("?stream=0", 1, (False, False)),
        ("?stream=0&one-shot=1", 1, (False, True)),
    ],
)
async def test_stats_are_one_document_a_line(
    api: Api, engine: FakeEngine, query: str, count: int, call: tuple[bool, bool]
) -> None:
    await make(api, engine)
    answer = await api.call("GET", f"/containers/web/stats{query}")
    for record in answer.records():
        check_body("Stats", record)
    assert len(answer.records()) == count
    assert engine.containers.calls[-1] == ("stats", *call)


@pytest.mark.parametrize(
    ("tty", "version", "content_type"),
    [
        (False, "/v1.51", "application/vnd.docker.multiplexed-stream"),
        (False, "/v1.41", "application/vnd.docker.raw-stream"),
        (True, "/v1.51", "application/vnd.docker.raw-stream"),
    ],
)
async def test_attach_upgrades_the_connection(
    api: Api, engine: FakeEngine, tty: bool, version: str, content_type: str
) -> None:
    await make(api, engine, Tty=tty)
    wire = await api.connect()
    query = "stream=1&stdin=1&stdout=1&stderr=1&detachKeys=ctrl-a"
    wire.send(request("POST", f"{version}/containers/web/attach?{query}", None, _UPGRADE))
    wire.send(b"hello")
    head = await wire.head()
    assert (head.status, head.reason) == (101, "UPGRADED")
    assert head.headers == {
        "content-type": content_type,
        "connection": "Upgrade",
        "upgrade": "tcp",
    }
    assert engine.containers.calls[-1][1] == AttachOptions(
        stdin=True, stdout=True, stderr=True, stream=True, detach_keys="ctrl-a"
    )
    await _check_echo(wire, tty)


async def _check_echo(wire: Wire, tty: bool) -> None:
    wanted = b"hello" if tty else b"\1\0\0\0\0\0\0\5hello"
    assert await wire.exactly(len(wanted)) == wanted
    wire.writer.write_eof()
    assert await wire.rest() == (b"end" if tty else b"\2\0\0\0\0\0\0\3end")


async def test_attach_without_upgrade_answers_200_and_raw_bytes(
    api: Api, engine: FakeEngine
) -> None:
    await make(api, engine)
    wire = await api.connect()
    wire.send(request("POST", "/v1.51/containers/web/attach?stream=1&stdin=1&stdout=1"))
    head = await wire.head()
    assert (head.status, head.reason) == (200, "OK")
    assert head.headers == {"content-type": "application/vnd.docker.raw-stream"}
    wire.send(b"hello")
    await _check_echo(wire, tty=False)


async def test_attach_errors_are_bare_lines(api: Api, engine: FakeEngine) -> None:
    await make(api, engine)
    answer = await api.call("POST", "/containers/web/attach?stream=1&detachKeys=ctrl-xx")
    assert (answer.status, answer.body) == (400, b"Invalid detach keys (ctrl-xx) provided\r\n")


async def test_prune_says_null_when_nothing_was_there(api: Api, engine: FakeEngine) -> None:
    filters = quote('{"label":["a"],"label!":["b"],"until":["10m"]}')
    answer = await api.call("POST", f"/containers/prune?filters={filters}")
    assert answer.body == b'{"ContainersDeleted":null,"SpaceReclaimed":0}\n'
    container = await make(api, engine)
    document = (await api.call("POST", "/containers/prune")).json()
    check_body("ContainersPruned", document)
    assert document == {"ContainersDeleted": [container.id], "SpaceReclaimed": 1}


async def test_commit_passes_its_choices(api: Api, engine: FakeEngine) -> None:
    await make(api, engine)
    query = "container=web&repo=r&tag=t&comment=c&author=a&pause=0&changes=CMD+x&changes=ENV+a=b"
    answer = await api.call("POST", f"/commit?{query}", {"Env": ["a=b"]})
    assert answer.status == 201
    check_body("IdOnly", answer.json())
    options = CommitOptions(
        repository="r",
        tag="t",
        comment="c",
        author="a",
        pause=False,
        changes=("CMD x", "ENV a=b"),
    )
    verb, name, given = engine.containers.calls[-1]
    assert isinstance(given, CommitOptions)
    assert (verb, name, replace(given, config={})) == ("commit", "web", options)
    assert given.config["Env"] == ["a=b"]


async def test_commit_needs_no_body(api: Api, engine: FakeEngine) -> None:
    await make(api, engine)
    assert (await api.call("POST", "/commit?container=web")).status == 201
    assert (await api.call("POST", "/commit?container=none")).status == 404
