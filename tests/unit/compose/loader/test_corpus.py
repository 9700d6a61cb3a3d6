"""The loader against the recorded answers of ``docker compose config``.

A case whose name begins with ``bad-`` fails in both; ``message.txt`` holds Shoal's words. In a case
that begins with ``stricter-`` Shoal refuses what Docker Compose misreads.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from compose.cli import GLOBAL_FLAGS
from compose.errors import LoadError
from compose.flags import parse
from compose.loader.load import LoadOptions, load_project
from compose.loader.render import escaped, to_yaml
from compose.model.document import json_document, yaml_document
from tests.support.record_compose_config import CORPUS, DIRECTORY, arguments, variables

if TYPE_CHECKING:
    from pathlib import Path

    from compose.model.project import Project

CASES = sorted(path.name for path in CORPUS.iterdir())
BAD = [name for name in CASES if name.startswith(("bad-", "stricter-"))]
GOOD = [name for name in CASES if name not in BAD]

JSON_CRASHES = ("build-ssh",)  # Docker Compose fails to write the JSON of an ssh key with a path
DOLLAR_KEYS = ("interpolation-keys",)  # Docker Compose doubles dollars in keys, at every round


def load_case(name: str, scratch: Path) -> tuple[Project, str]:
    """Load a copy of a case; the second value is the directory it is in."""
    case = CORPUS / name
    project = scratch / "project"
    shutil.copytree(case, project)
    args = parse(arguments(case), GLOBAL_FLAGS)
    options = LoadOptions(
        files=tuple(args.many("file")),
        project_directory=args.text("project-directory"),
        project_name=args.text("project-name"),
        env_files=tuple(args.many("env-file")),
        profiles=tuple(args.many("profile")),
        environ=variables(case),
        working_directory=str(project),
    )
    return load_project(options), str(project)


def answer(name: str) -> dict[str, object]:
    """The recorded answer of a case."""
    document: dict[str, object] = json.loads((CORPUS / name / "answer.json").read_text())
    return document


@pytest.mark.parametrize("name", [name for name in GOOD if name not in JSON_CRASHES])
def test_the_project_equals_docker_composes_as_data(name: str, tmp_path: Path) -> None:
    recorded = answer(name)
    project, directory = load_case(name, tmp_path)
    document = json.loads(json.dumps(json_document(project)).replace(directory, DIRECTORY))
    document.pop("models", None)  # Docker Compose leaves models out of its JSON
    assert document == recorded["json"]


@pytest.mark.parametrize("name", GOOD)
def test_the_yaml_equals_docker_composes_letter_by_letter(name: str, tmp_path: Path) -> None:
    project, directory = load_case(name, tmp_path)
    text = to_yaml(escaped(yaml_document(project))).replace(directory, DIRECTORY)
    recorded = str(answer(name)["yaml"])
    if name in DOLLAR_KEYS:
        recorded = recorded.replace("$${SET}:", "${SET}:")
    assert text == recorded


@pytest.mark.parametrize("name", GOOD)
def test_the_output_fed_back_gives_the_same_output(name: str, tmp_path: Path) -> None:
    project, _ = load_case(name, tmp_path)
    text = to_yaml(escaped(yaml_document(project)))
    again = tmp_path / "again.yaml"
    again.write_text(text)
    loaded = load_project(
        LoadOptions(files=(str(again),), profiles=("*",), environ={"HOME": "/home/user"})
    )
    assert to_yaml(escaped(yaml_document(loaded))) == text


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_reported_with_place_and_remedy(name: str, tmp_path: Path) -> None:
    with pytest.raises(LoadError) as caught:
        load_case(name, tmp_path)
    errors = (caught.value, *caught.value.others)
    lines = [f"{e}\n  hint: {e.hint}\n" if e.hint else f"{e}\n" for e in errors]
    told = "".join(lines).replace(str(tmp_path / "project"), DIRECTORY)
    assert told == (CORPUS / name / "message.txt").read_text()


@pytest.mark.parametrize("name", [name for name in BAD if name.startswith("bad-")])
def test_docker_compose_refuses_the_same_mistakes(name: str) -> None:
    assert "error" in answer(name)


def test_the_corpus_holds_no_path_of_the_machine_that_recorded_it() -> None:
    for file in CORPUS.rglob("answer.json"):
        assert "/tmp/" not in file.read_text(), file
