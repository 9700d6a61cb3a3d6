"""Which files, which directory and name, which variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compose.errors import ConsistencyError, SourceMissing
from compose.loader.discover import (
    LoadOptions,
    Sources,
    find_sources,
    normalized_name,
    project_name,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory named ``app`` that holds nothing."""
    directory = tmp_path / "app"
    directory.mkdir()
    return directory


def put(directory: Path, *names: str, text: str = "services: {}\n") -> None:
    for name in names:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def sources(here: Path, warnings: list[str] | None = None, **changes: object) -> Sources:
    warn = (warnings if warnings is not None else []).append
    return find_sources(
        LoadOptions(**{"working_directory": str(here), "warn": warn, **changes})  # type: ignore[arg-type]
    )


def names(found: Sources, here: Path) -> list[str]:
    return [file.removeprefix(f"{here}/") for file in found.files]


def test_the_first_known_name_is_taken_and_several_are_warned_of(here: Path) -> None:
    put(here, "docker-compose.yml", "compose.yml")
    warnings: list[str] = []
    assert names(sources(here, warnings), here) == ["compose.yml"]
    assert [text.split(":")[0].split(" /")[0] for text in warnings] == [
        "Found multiple config files with supported names",
        "Using",
    ]


def test_an_override_file_follows(here: Path) -> None:
    put(here, "compose.yaml", "docker-compose.override.yml")
    assert names(sources(here), here) == ["compose.yaml", "docker-compose.override.yml"]


def test_parents_are_searched_and_become_the_project_directory(here: Path) -> None:
    put(here, "compose.yaml", "a/b/c.txt")
    found = sources(here / "a" / "b")
    assert (names(found, here), found.directory) == (["compose.yaml"], str(here))


def test_named_files_bring_no_override_file(here: Path) -> None:
    put(here, "sub/x.yaml", "sub/compose.override.yaml", "y.yaml")
    found = sources(here, files=("sub/x.yaml", "y.yaml"))
    assert (names(found, here), found.directory) == (["sub/x.yaml", "y.yaml"], f"{here}/sub")


def test_the_project_directory_may_be_given(here: Path) -> None:
    put(here, "sub/x.yaml")
    assert sources(here, files=("sub/x.yaml",), project_directory="other").directory == (
        f"{here}/other"
    )


def test_standard_input_stands_in_the_working_directory(here: Path) -> None:
    found = sources(here, files=("-",))
    assert (found.files, found.directory) == (("-",), str(here))


def test_a_variable_names_the_files(here: Path) -> None:
    put(here, "a.yaml", "b.yaml")
    assert names(sources(here, environ={"COMPOSE_FILE": "a.yaml:b.yaml"}), here) == [
        "a.yaml",
        "b.yaml",
    ]
    environ = {"COMPOSE_FILE": "a.yaml;b.yaml", "COMPOSE_PATH_SEPARATOR": ";"}
    assert names(sources(here, environ=environ), here) == ["a.yaml", "b.yaml"]


def test_no_file_is_an_error_with_a_remedy(here: Path) -> None:
    with pytest.raises(SourceMissing) as caught:
        sources(here)
    assert caught.value.message == "no configuration file provided: not found"
    assert "compose.yaml" in caught.value.hint


@pytest.mark.parametrize("name", ["oci://x/y", "https://x/y.git", "git@github.com:x/y"])
def test_a_remote_file_is_refused(here: Path, name: str) -> None:
    with pytest.raises(SourceMissing, match="not supported"):
        sources(here, files=(name,))


def test_a_missing_named_file_is_an_error(here: Path) -> None:
    with pytest.raises(SourceMissing, match="no such file or directory"):
        sources(here, files=("nope.yaml",))


def test_the_process_wins_over_env_files_and_later_ones_over_earlier(here: Path) -> None:
    put(here, "compose.yaml")
    put(here, "one.env", text="A=1\nB=1\nC=1\n")
    put(here, "two.env", text="B=2\nC=2\n")
    found = sources(here, env_files=("one.env", "two.env"), environ={"C": "process"})
    assert [found.environment[name] for name in "ABC"] == ["1", "2", "process"]
    assert found.env_files == (f"{here}/one.env", f"{here}/two.env")


def test_the_default_env_file_stands_beside_the_project(here: Path) -> None:
    put(here, "sub/compose.yaml")
    put(here, ".env", text="A=here\n")
    put(here, "sub/.env", text="A=sub\nB=sub\n")
    found = sources(here, files=("sub/compose.yaml",))
    assert (found.environment["A"], found.environment["B"]) == ("here", "sub")
    assert found.env_files == ()


def test_the_default_env_file_can_be_switched_off(here: Path) -> None:
    put(here, "compose.yaml")
    put(here, ".env", text="A=1\n")
    found = sources(here, environ={"COMPOSE_DISABLE_ENV_FILE": "1"})
    assert "A" not in found.environment


def test_a_missing_env_file_is_an_error(here: Path) -> None:
    put(here, "compose.yaml")
    with pytest.raises(SourceMissing, match="couldn't find env file"):
        sources(here, env_files=("nope.env",))


def test_profiles_come_from_the_option_or_the_variable(here: Path) -> None:
    put(here, "compose.yaml")
    environ = {"COMPOSE_PROFILES": " a , b"}
    assert sources(here, environ=environ).profiles == ("a", "b")
    assert sources(here, environ=environ, profiles=("c",)).profiles == ("c",)


def test_the_process_is_left_alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415

    put(here, "compose.yaml")
    put(here, ".env", text="SHOAL_TEST_VARIABLE=1\n")
    before = (os.getcwd(), dict(os.environ))
    monkeypatch.setattr(os, "chdir", lambda path: pytest.fail(f"chdir {path}"))
    sources(here, environ=os.environ)
    assert (os.getcwd(), dict(os.environ)) == before


@pytest.mark.parametrize(
    ("text", "name"),
    [("My.Proj_X-", "myproj_x-"), ("_-a", "a"), ("___", ""), ("A b", "ab"), ("ü1", "1")],
)
def test_a_name_is_normalized(text: str, name: str) -> None:
    assert normalized_name(text) == name


def named(
    option: str = "", variable: str = "", declared: str = "", directory: str = "/x/Dir"
) -> str:
    environment = {"COMPOSE_PROJECT_NAME": variable} if variable else {}
    found = Sources(
        directory=directory, files=(), env_files=(), environment=environment, profiles=()
    )
    return project_name(LoadOptions(project_name=option), found, declared)


def test_the_name_comes_from_option_variable_file_directory_in_this_order() -> None:
    assert named("option", "variable", "declared") == "option"
    assert named("", "variable", "declared") == "variable"
    assert named("", "", "De.Clared") == "declared"
    assert named() == "dir"


@pytest.mark.parametrize("option", ["Foo", "-a", "a.b", "a b"])
def test_a_given_name_must_be_a_name(option: str) -> None:
    with pytest.raises(ConsistencyError, match="invalid project name"):
        named(option)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ConsistencyError, match="project name must not be empty"):
        named(directory="/")
