"""The loader as a whole, where the corpus says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compose.errors import LoadError, UndefinedReference
from compose.loader.load import LoadOptions, load_project, load_tree
from compose.loader.variables import Variable, variables_of

if TYPE_CHECKING:
    from pathlib import Path

    from compose.model.project import Project


class Files:
    """A project directory that is filled and loaded by a test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.warnings: list[str] = []

    def put(self, text: str, name: str = "compose.yaml") -> None:
        file = self.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def options(self, **changes: object) -> LoadOptions:
        values: dict[str, object] = {
            "working_directory": str(self.directory),
            "warn": self.warnings.append,
            **changes,
        }
        return LoadOptions(**values)  # type: ignore[arg-type]

    def load(self, **changes: object) -> Project:
        return load_project(self.options(**changes))

    def fail(self, **changes: object) -> LoadError:
        with pytest.raises(LoadError) as caught:
            self.load(**changes)
        return caught.value


@pytest.fixture
def files(tmp_path: Path) -> Files:
    directory = tmp_path / "app"
    directory.mkdir()
    return Files(directory)


def test_standard_input_is_a_compose_file(files: Files) -> None:
    text = "services: {a: {image: x, volumes: ['./d:/d']}}"
    project = files.load(files=("-",), read_stdin=lambda: text)
    assert project.services["a"].volumes[0].source == f"{files.directory}/d"
    assert project.name == "app"


def test_a_mistake_in_standard_input_is_placed_there(files: Files) -> None:
    error = files.fail(files=("-",), read_stdin=lambda: "services: {a: {}}")
    assert str(error.location) == "<stdin>:1:15"


def test_a_file_below_the_working_directory_is_named_as_the_user_would(files: Files) -> None:
    files.put("services: {a: {foo: 1}}", "sub/x.yaml")
    assert str(files.fail(files=("sub/x.yaml",)).location) == "sub/x.yaml:1:16"


def test_each_warning_is_given_once(files: Files) -> None:
    files.put("services: {a: {image: 'x$A$A', hostname: $A, user: $B}}")
    files.load()
    assert files.warnings == [
        f'The "{name}" variable is not set. Defaulting to a blank string.' for name in "AB"
    ]


def test_an_unknown_volume_option_is_warned_of_with_its_place(files: Files) -> None:
    files.put("services: {a: {image: x, volumes: ['/a:/b:ro,cached,typo']}}")
    files.load()
    assert files.warnings[0] == (
        'compose.yaml:1:36: service "a": volumes: unknown option "typo" in "/a:/b:ro,cached,typo" '
        "ignored"
    )


def test_what_a_shell_operator_cuts_off_is_warned_of(files: Files) -> None:
    files.put("services: {a: {image: x, command: 'a b && c'}}")
    assert files.load().services["a"].command == ("a", "b")
    assert len(files.warnings) == 1
    assert "'&& c' is dropped" in files.warnings[0]


def test_the_obsolete_version_is_warned_of(files: Files) -> None:
    files.put("version: '3'\nservices: {a: {image: x}}")
    files.load()
    assert files.warnings[0] == (
        f"{files.directory}/compose.yaml: the attribute `version` is obsolete, it will be ignored, "
        "please remove it to avoid potential confusion"
    )


def test_naming_a_service_activates_its_profiles(files: Files) -> None:
    files.put(
        "services:\n"
        "  a: {image: x, profiles: [p], depends_on: [b]}\n"
        "  b: {image: x, profiles: [p]}\n"
        "  c: {image: x, profiles: [q]}\n"
    )
    assert list(files.load().services) == []
    project = files.load(services=("a",))
    assert list(project.services) == ["a", "b"]
    assert list(project.disabled_services) == ["c"]


def test_an_optional_dependency_nobody_defines_is_a_warning(files: Files) -> None:
    files.put(
        "services: {a: {image: x, depends_on: {z: {condition: service_started, required: false}}}}"
    )
    assert list(files.load().services["a"].depends_on) == ["z"]
    assert "not required" in files.warnings[0]


def test_an_unset_secret_variable_is_known_to_be_unset(files: Files) -> None:
    files.put(
        "services: {a: {image: x, secrets: [s, t]}}\n"
        "secrets: {s: {environment: SET}, t: {environment: UNSET}}\n"
    )
    project = files.load(environ={"SET": "value"})
    assert project.secrets["s"].content == "value"
    assert project.secrets["t"].content is None


def test_unused_resources_stay_when_asked_for(files: Files) -> None:
    files.put("services: {a: {image: x}}\nvolumes: {unused: }\n")
    assert files.load().volumes == {}
    assert list(files.load(keep_unused=True).volumes) == ["unused"]


def test_scale_reaches_the_deploy_section(files: Files) -> None:
    files.put("services: {a: {image: x, scale: 3, deploy: {mode: replicated}}}")
    service = files.load().services["a"]
    assert service.deploy
    assert (service.deploy.replicas, service.replicas) == (3, 3)


def test_all_faults_of_a_phase_are_reported(files: Files) -> None:
    files.put("services:\n  a: {image: x, networks: [n], secrets: [s]}\n  b: {depends_on: [c]}\n")
    error = files.fail()
    assert [type(each) for each in (error, *error.others)].count(UndefinedReference) == 3
    assert len(error.others) == 3


def test_consistency_can_be_switched_off(files: Files) -> None:
    files.put("services: {a: {depends_on: [zz]}}")
    assert list(files.load(consistency=False).services) == ["a"]


def test_env_files_can_be_left_alone(files: Files) -> None:
    files.put("services: {a: {image: x, env_file: nope.env}}")
    service = files.load(resolve_environment=False).services["a"]
    assert service.env_file[0].path == f"{files.directory}/nope.env"


def test_a_tree_can_be_loaded_with_its_variables(files: Files) -> None:
    files.put("services: {a: {image: 'x:${TAG:-1}', ports: ['${P}:80'], command: a b}}")
    tree = load_tree(files.options(interpolate=False)).tree
    assert tree["services"] == {
        "a": {
            "image": "x:${TAG:-1}",
            "ports": ["${P}:80"],
            "command": "a b",
            "networks": {"default": None},
        }
    }
    assert variables_of(tree) == {
        "P": Variable(name="P"),
        "TAG": Variable(name="TAG", default="1"),
    }


def test_variables_inside_words_are_found_too(files: Files) -> None:
    files.put("services: {a: {image: '${A:-${B?m}}${C:+alt}$D$$E'}}")
    found = variables_of(load_tree(files.options(interpolate=False)).tree)
    assert found == {
        "A": Variable(name="A", default="${B?m}"),
        "B": Variable(name="B", required=True),
        "C": Variable(name="C", alternate="alt"),
        "D": Variable(name="D"),
    }


def test_loading_twice_gives_equal_projects(files: Files) -> None:
    files.put("services: {a: {image: x, ports: ['80:80'], x-a: {b: [1]}}}")
    assert files.load() == files.load()
    assert hash(files.load()) == hash(files.load())


def test_a_large_file_of_many_services_loads(files: Files) -> None:
    services = "".join(
        f"  s{n}: {{image: x, depends_on: [s{n - 1}], ports: ['{8000 + n}:80']}}\n"
        for n in range(1, 200)
    )
    files.put(f"services:\n  s0: {{image: x}}\n{services}")
    assert len(files.load().services) == 200
