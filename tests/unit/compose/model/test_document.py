"""Records as documents, where the corpus of the loader says nothing."""

from __future__ import annotations

from compose.model.build import Build, SSHKey, Ulimit
from compose.model.deploy import Deploy
from compose.model.document import json_document, yaml_document
from compose.model.project import Project
from compose.model.resources import FileObject, Network
from compose.model.service import BlockIO, Dependency, DeviceRate, Service
from compose.model.units import Size


def test_defaults_are_left_out() -> None:
    assert yaml_document(Service(name="web")) == {}
    assert yaml_document(Service(name="web", init=False, tty=False)) == {"init": False}


def test_json_always_has_command_and_entrypoint() -> None:
    assert json_document(Service(name="web")) == {"command": None, "entrypoint": None}


def test_json_writes_nested_sections_even_when_empty() -> None:
    assert json_document(Network(name="n")) == {"name": "n", "ipam": {}}
    assert json_document(Deploy()) == {"resources": {}, "placement": {}}
    assert yaml_document(Deploy()) == {}


def test_json_leaves_extensions_of_services_out() -> None:
    service = Service(name="web", extensions={"x-a": 1})
    assert yaml_document(service) == {"x-a": 1}
    assert "x-a" not in str(json_document(service))


def test_maps_are_sorted_by_key() -> None:
    service = Service(name="web", environment={"B": "1", "A": None})
    document = yaml_document(service)
    assert repr(document) == "{'environment': {'A': None, 'B': '1'}}"


def test_an_empty_command_is_not_an_absent_one() -> None:
    assert yaml_document(Service(name="web", command=())) == {"command": []}


def test_a_dependency_always_says_whether_it_is_required() -> None:
    expected = {"condition": "service_started", "required": True}
    assert yaml_document(Dependency()) == expected


def test_ulimits_have_two_forms() -> None:
    assert yaml_document(Ulimit(single=5)) == 5
    assert yaml_document(Ulimit(soft=0, hard=3)) == {"soft": 0, "hard": 3}
    assert json_document(Ulimit(soft=0, hard=3)) == {"hard": 3}


def test_ssh_keys_are_texts() -> None:
    build = Build(ssh=(SSHKey(id="default"), SSHKey(id="k", path="/k")))
    assert yaml_document(build) == {"ssh": ["default", "k: /k"]}


def test_block_limits_keep_the_capitals_of_the_reference_in_json() -> None:
    limits = BlockIO(device_read_bps=(DeviceRate(path="/dev/sda", rate=Size(5)),))
    assert json_document(limits) == {"device_read_bps": [{"Path": "/dev/sda", "Rate": "5"}]}
    assert yaml_document(limits) == {"device_read_bps": [{"path": "/dev/sda", "rate": "5"}]}


def test_the_value_of_a_variable_is_never_printed() -> None:
    secret = FileObject(name="s", environment="TOKEN", content="hunter2")
    assert yaml_document(secret) == {"name": "s", "environment": "TOKEN"}
    assert json_document(secret) == {"name": "s", "environment": "TOKEN"}


def test_json_sorts_the_sections_of_a_project_and_yaml_does_not() -> None:
    project = Project(
        name="p", services={"a": Service(name="a")}, networks={"n": Network(name="p_n")}
    )
    written, encoded = yaml_document(project), json_document(project)
    assert isinstance(written, dict)
    assert isinstance(encoded, dict)
    assert list(written) == ["name", "services", "networks"]
    assert list(encoded) == ["name", "networks", "services"]
