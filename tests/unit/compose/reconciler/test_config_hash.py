"""Configuration hashes against those that the real Docker Compose computed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compose.cli import GLOBAL_FLAGS
from compose.flags import parse
from compose.loader.load import LoadOptions, load_project
from compose.model.deploy import Deploy
from compose.model.resources import Network, Volume
from compose.model.service import Service
from compose.reconciler.config_hash import (
    canonical_json,
    digest,
    network_hash,
    pack_tree,
    service_hash,
    service_tree,
    unpack_tree,
    volume_hash,
)
from tests.support.record_compose_config import CORPUS, DIRECTORY, arguments, variables

if TYPE_CHECKING:
    from compose.model.project import Project

RECORDED: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parent / "config_hashes.json").read_text()
)
SMALLEST = Service(name="a", image="busybox", networks={"default": None})


def load_case(name: str, scratch: Path) -> tuple[Project, str]:
    """Load a copy of a case; the second value is the directory it is in."""
    case = CORPUS / name
    directory = scratch / "project"
    shutil.copytree(case, directory)
    args = parse(arguments(case), GLOBAL_FLAGS)
    options = LoadOptions(
        files=tuple(args.many("file")),
        project_directory=args.text("project-directory"),
        project_name=args.text("project-name"),
        env_files=tuple(args.many("env-file")),
        profiles=tuple(args.many("profile")),
        environ=variables(case),
        working_directory=str(directory),
    )
    return load_project(options), str(directory)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_the_hash_of_every_service_equals_docker_composes(name: str, tmp_path: Path) -> None:
    project, directory = load_case(name, tmp_path)
    own = {}
    for key, service in project.services.items():
        tree = json.loads(json.dumps(service_tree(service)).replace(directory, DIRECTORY))
        own[key] = digest(tree)
    assert {key: own[key] for key in RECORDED[name]} == RECORDED[name]


def test_the_record_covers_most_of_the_corpus() -> None:
    assert sum(map(len, RECORDED.values())) > 80


def test_the_smallest_service_is_hashed_from_four_keys() -> None:
    text = '{"command":null,"entrypoint":null,"image":"busybox","networks":{"default":null}}'
    assert canonical_json(service_tree(SMALLEST)) == text


@pytest.mark.parametrize(
    "changed",
    [
        {"pull_policy": "always"},
        {"scale": 3},
        {"profiles": ("x",)},
        {"extensions": {"x-a": 1}},
    ],
)
def test_what_only_says_how_to_make_containers_is_not_hashed(changed: dict[str, object]) -> None:
    service = Service(
        name="other",
        image="busybox",
        networks={"default": None},
        **changed,  # type: ignore[arg-type]
    )
    assert service_hash(service) == service_hash(SMALLEST)


def test_a_deploy_section_is_hashed_but_not_its_replicas() -> None:
    def with_deploy(replicas: int | None) -> str:
        return service_hash(Service(name="a", image="busybox", deploy=Deploy(replicas=replicas)))

    assert with_deploy(2) == with_deploy(None)
    assert with_deploy(2) != service_hash(Service(name="a", image="busybox"))


def test_markup_characters_are_escaped_as_go_does() -> None:
    assert canonical_json({"a": "<&>\u2028é"}) == '{"a":"\\u003c\\u0026\\u003e\\u2028é"}'


def test_a_network_is_hashed_with_an_empty_ipam_section() -> None:
    # The value is the label of a network that Docker Compose 2.40.3 made.
    assert network_hash(Network(name="recon-rich_back", internal=True, enable_ipv6=False)) == (
        "5967fa7bdefdd82e99d85ff70ea9fb62ffcbd9bddc36537499eb32b34b132f73"
    )


def test_a_volume_without_driver_is_hashed_as_local() -> None:
    # The value is the label of a volume that Docker Compose 2.40.3 made.
    assert volume_hash(Volume(name="recon-rich_data", labels={"vl": "1"})) == (
        "4d051e144725a63a409394680ab9c7b29fbe14570a2b604db7d727ae9806d75f"
    )


def test_a_packed_tree_is_found_again_and_damage_is_noticed() -> None:
    tree = service_tree(SMALLEST)
    assert unpack_tree(pack_tree(tree)) == tree
    for damaged in ("", "nonsense", pack_tree(tree)[:-8]):
        with pytest.raises(ValueError, match="not a packed tree"):
            unpack_tree(damaged)
