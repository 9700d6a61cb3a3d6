"""Every field of the API is carried out, refused by name, or known to have no effect on Docker."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.api import field_table
from runtime.api.router import ROUTES, Router
from runtime.container import create_request, exec_session
from runtime.container.config import HostFacts, complete, read_request
from runtime.container.limits import check_limits
from runtime.container.spec import Host, SpecInput, build_spec
from runtime.container.update import changed
from runtime.errors import EngineError
from tests.support.api_client import serve
from tests.support.fake_engine import make_fake_engine
from tests.support.record_api_fields import BODIES, FILE, nested

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.api.field_table import Entry

JsonObject = dict[str, Any]

_RECORDED = json.loads(FILE.read_text(encoding="utf-8"))
_PLACES = {name: place for name, (place, _) in BODIES.items()}
_FACTS = HostFacts(private_cgroups=True)


def _entries() -> Iterator[tuple[str, Entry]]:
    for name, entries in (*field_table.BODIES.items(), *field_table.PARAMETERS.items()):
        for entry in entries:
            yield name, entry


def _with_values(*, refused: bool) -> list[Any]:
    """Return the create request's entries with a value, each with its place in the body."""
    return [
        pytest.param(f"{_PLACES[name]}.{entry.name}", entry, id=f"{name}.{entry.name}")
        for name, entries in field_table.BODIES.items()
        for entry in entries
        if name in _PLACES and (entry.reason or entry.refusal) and bool(entry.refusal) == refused
    ]


def _spec(body: JsonObject) -> JsonObject:
    """Return what a create request comes to, through the real checks."""
    request = read_request(
        {"Image": "i", "Cmd": ["true"], "HostConfig": {}, "NetworkingConfig": {}, **body}
    )
    complete(request, "f" * 64, {}, _FACTS)
    return build_spec(
        SpecInput(
            container_id="f" * 64,
            config=request.config,
            host_config=request.host_config,
            host=Host(capabilities=(1 << 41) - 1, unified=True),
            mounts=[],
            cgroup="/x",
            hostname="box",
        )
    )


@pytest.mark.parametrize("definition", _RECORDED["bodies"])
def test_each_recorded_field_stands_in_the_table_once(definition: str) -> None:
    names = [entry.name for entry in field_table.BODIES[definition]]
    assert sorted(names) == sorted(_RECORDED["bodies"][definition])


@pytest.mark.parametrize("endpoint", _RECORDED["parameters"])
def test_each_recorded_parameter_stands_in_the_table_once(endpoint: str) -> None:
    names = [entry.name for entry in field_table.PARAMETERS[endpoint]]
    assert sorted(names) == sorted(_RECORDED["parameters"][endpoint])


def test_the_table_knows_nothing_that_is_not_recorded() -> None:
    assert field_table.BODIES.keys() == _RECORDED["bodies"].keys()
    assert field_table.PARAMETERS.keys() == _RECORDED["parameters"].keys()


def test_what_docker_shows_of_a_container_stands_in_the_table() -> None:
    known = {name: {entry.name for entry in table} for name, table in field_table.BODIES.items()}
    shown = _RECORDED["shown"]
    assert set(shown["Config"]) <= known["ContainerConfig"]
    assert set(shown["HostConfig"]) <= known["HostConfig"] | known["Resources"]
    assert set(shown["EndpointSettings"]) <= known["EndpointSettings"]


def test_each_route_of_containers_stands_in_the_table() -> None:
    routes = {
        f"{route.method} {route.path}"
        for route in ROUTES
        if route.path.split("/")[1] in {"containers", "exec", "commit", "events"}
        and not route.path.endswith("/checkpoints")
    }
    assert routes == field_table.PARAMETERS.keys()


def test_there_is_no_fourth_case() -> None:
    for name, entry in _entries():
        kinds = [bool(entry.handler and not entry.refusal), bool(entry.reason), bool(entry.refusal)]
        assert kinds.count(True) == 1, (name, entry)


@cache
def _texts(module: str, path: str) -> frozenset[str]:
    """Return the texts in a function's source, and in what its module defines beside functions."""
    file = importlib.import_module(module).__file__
    assert file is not None
    nodes: list[ast.AST] = list(ast.parse(Path(file).read_text(encoding="utf-8")).body)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    chosen: list[ast.AST] = [node for node in nodes if not isinstance(node, functions)]
    for part in path.split("."):
        named = [node for node in nodes if isinstance(node, functions) and node.name == part]
        nodes = list(named[0].body)
    return frozenset(
        node.value
        for chosen_node in (*chosen, *nodes)
        for node in ast.walk(chosen_node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        pytest.param(name, entry, id=f"{name} {entry.name}")
        for name, entry in _entries()
        if entry.handler
    ],
)
def test_the_function_that_carries_a_field_out_exists_and_names_it(name: str, entry: Entry) -> None:
    module, _, path = entry.handler.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    assert inspect.isroutine(found) or isinstance(found, property), name
    assert entry.name in _texts(module, path), f"{entry.handler} does not name {entry.name}"


@pytest.mark.parametrize(("place", "entry"), _with_values(refused=True))
def test_a_refused_field_is_refused_by_the_real_checks(place: str, entry: Entry) -> None:
    body = nested(place, entry.value)
    assert isinstance(body, dict)
    with pytest.raises(EngineError) as caught:
        _spec(body)
    assert entry.refusal in caught.value.message


@pytest.mark.parametrize("entry", field_table.REFUSED_VALUES, ids=lambda each: str(each.value))
def test_a_refused_value_is_refused_by_the_real_checks(entry: Entry) -> None:
    body: Any = nested(entry.name, entry.value)
    for mount in body["HostConfig"].get("Mounts", ()):
        mount["Target"] = "/x"
    with pytest.raises(EngineError) as caught:
        _spec(body)
    assert entry.refusal in caught.value.message


@pytest.mark.parametrize(("place", "entry"), _with_values(refused=False))
def test_a_field_without_effect_changes_nothing(place: str, entry: Entry) -> None:
    target = {"Type": "volume", "Target": "/x"}
    plain: Any = nested(place.rpartition(".")[0], {}) or {}
    changed_: Any = nested(place, entry.value)
    for body in (plain, changed_):
        for mount in body.get("HostConfig", {}).get("Mounts", ()):
            mount.update(target)
            if "BindOptions" in mount:
                mount.update(Type="bind", Source="/", ReadOnly=True)
        for request in body.get("HostConfig", {}).get("DeviceRequests", ()):
            request.clear()
    if "DeviceRequests" in place:
        pytest.skip("a request of devices is refused whatever its other fields say")
    assert _spec(changed_) == _spec(plain)


def test_an_update_changes_what_the_table_says() -> None:
    old: JsonObject = create_request.HOST_CONFIG({})
    values: JsonObject = {
        "CpusetCpus": "0",
        "CpusetMems": "0",
        "PidsLimit": 5,
        "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
    }
    for entry in field_table.UPDATE:
        if entry.refusal:
            with pytest.raises(EngineError) as caught:
                check_limits({entry.name: entry.value}, update=True)
            assert caught.value.message == entry.refusal
            continue
        value = entry.value if entry.reason else values.get(entry.name, 1 << 30)
        if entry.name == "BlkioWeight":
            value = 300
        body = {entry.name: value}
        if entry.name == "Memory":
            body["MemorySwap"] = 2 << 30
        after = changed(old, create_request.UPDATE(body))
        assert (after != old) == bool(entry.handler), entry


async def test_a_refused_parameter_is_refused_by_its_handler(tmp_path: Path) -> None:
    engine = make_fake_engine(str(tmp_path))
    async with serve(Router(engine.record), str(tmp_path / "api.sock")) as api:
        for endpoint, entries in field_table.PARAMETERS.items():
            method, path = endpoint.split(" ")
            for entry in entries:
                if entry.refusal:
                    target = f"{path.replace('{id}', 'x')}?{entry.name}={entry.value}"
                    answer = await api.call(method, target)
                    assert answer.status == 400
                    assert entry.refusal in answer.message()


@pytest.mark.parametrize("definition", _RECORDED["bodies"])
def test_a_wrong_type_is_refused_as_docker_refuses_it(definition: str) -> None:
    for field, kind in _RECORDED["bodies"][definition].items():
        shape: Any
        body: object
        if definition == "UpdateConfig":
            shape, body = create_request.UPDATE, {field: 1.5}
        elif definition in {"ExecCreate", "ExecStart"}:
            shape = exec_session.BODY if definition == "ExecCreate" else None
            body = {field: 1.5}
        else:
            shape, body = create_request.CREATE, nested(f"{_PLACES[definition]}.{field}", 1.5)
        if shape is None:
            continue
        with pytest.raises(EngineError) as caught:
            shape(body)
        assert caught.value.message.endswith(f" of type {kind}"), field
