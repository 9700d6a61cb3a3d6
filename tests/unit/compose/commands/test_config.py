"""``config``: what it prints, flag by flag, as ``docker compose config`` does."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from compose.cli import GLOBAL_FLAGS
from compose.commands.config import COMMANDS
from compose.console import Console
from compose.context import Context
from compose.errors import UndefinedReference, UsageError
from compose.flags import parse

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
name: shop
services:
  web:
    image: web:${TAG:-1}
    depends_on: [db]
    ports: ["80:80"]
    labels: {price: $$5}
    networks: [front]
  db:
    build: .
    volumes: ["data:/d"]
  tool:
    image: tool
    profiles: [later, never]
networks: {front: , unused: }
volumes: {data: , unused: }
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a compose file."""
    (tmp_path / "compose.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str, program: tuple[str, ...] = ()) -> str:
    """What ``shoal PROGRAM... config WORDS...`` prints."""
    command = COMMANDS[0]
    out = io.StringIO()
    context = Context(
        parse(program, GLOBAL_FLAGS), {"HOME": "/h"}, Console(out=out, err=io.StringIO(), env={})
    )
    assert command.run(context, parse(words, command.flags)) == 0
    return out.getvalue()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--services", "db\nweb\n"),
        ("--volumes", "data\n"),
        ("--networks", "default\nfront\n"),
        ("--profiles", "later\nnever\n"),
        ("--images", "shop-db\nweb:1\n"),
        ("--models", ""),
        ("--quiet", ""),
    ],
)
def test_a_flag_prints_names_only(flag: str, text: str) -> None:
    assert run(flag) == text


@pytest.mark.usefixtures("here")
def test_the_project_is_printed_with_dollars_doubled() -> None:
    text = run()
    assert text.startswith("name: shop\nservices:\n  db:\n    build:\n")
    assert "price: $$5" in text
    assert "unused" not in text
    assert "tool" not in text


@pytest.mark.usefixtures("here")
def test_json_has_no_final_newline() -> None:
    text = run("--format", "json")
    assert not text.endswith("\n")
    assert json.loads(text)["services"]["web"]["labels"] == {"price": "$$5"}


@pytest.mark.usefixtures("here")
def test_named_services_bring_what_they_need() -> None:
    assert set(json.loads(run("--format", "json", "db"))["services"]) == {"db"}
    assert set(json.loads(run("--format", "json", "web"))["services"]) == {"db", "web"}
    assert set(json.loads(run("--format", "json", "tool"))["services"]) == {"tool"}


@pytest.mark.usefixtures("here")
def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(UndefinedReference, match="no such service: nope"):
        run("nope")


@pytest.mark.usefixtures("here")
def test_all_resources_are_printed_when_asked_for() -> None:
    assert run(program=("--all-resources",)).count("unused:") == 2


@pytest.mark.usefixtures("here")
def test_variables_stay_when_they_are_not_filled() -> None:
    text = run("--no-interpolate")
    assert "image: web:${TAG:-1}\n" in text
    assert "price: $$5\n" in text
    assert text.startswith("name: shop\nnetworks:\n")


@pytest.mark.usefixtures("here")
def test_phases_can_be_left_out() -> None:
    assert "context: ." in run("--no-path-resolution")
    assert "shop_front" not in run("--no-normalize")


@pytest.mark.usefixtures("here")
def test_variables_are_listed_with_their_defaults() -> None:
    lines = run("--variables").splitlines()
    assert [line.split() for line in lines] == [
        ["NAME", "REQUIRED", "DEFAULT", "VALUE", "ALTERNATE", "VALUE"],
        ["TAG", "false", "1"],
    ]
    assert json.loads(run("--variables", "--format", "json"))["TAG"] == {
        "Name": "TAG",
        "DefaultValue": "1",
        "PresenceValue": "",
        "Required": False,
    }


@pytest.mark.usefixtures("here")
def test_the_environment_is_listed_sorted() -> None:
    lines = run("--environment").splitlines()
    assert "COMPOSE_PROJECT_NAME=shop" in lines
    assert lines == sorted(lines)


@pytest.mark.usefixtures("here")
def test_hashes_are_listed_by_name() -> None:
    lines = [line.split() for line in run("--hash", "*").splitlines()]
    assert [name for name, _ in lines] == ["db", "web"]
    assert {len(digest) for _, digest in lines} == {64}
    assert run("--hash", "web").split() == lines[1]


def test_the_output_can_go_to_a_file(here: Path) -> None:
    assert run("-o", "out.yaml") == ""
    assert (here / "out.yaml").read_text() == run()


@pytest.mark.usefixtures("here")
def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="unsupported format 'toml'"):
        run("--format", "toml")


def test_checking_a_file_loads_no_heavy_library(here: Path) -> None:
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    code = (
        "import sys; from compose.cli import main; main(['config', '-q']);"
        "print([m for m in ('jsonschema', 'networkx', 'asyncio', 'dataclasses', 'textual')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=here,
        env={"PYTHONPATH": ":".join(sys.path), "HOME": "/h"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
