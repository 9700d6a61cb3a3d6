"""The repository's own rules: linters, types, layers, budgets and maps."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
HALVES = ("compose", "runtime", "schemas")
LONGEST_FUNCTION = 60
LONGEST_FILE = 500
EXEMPT_FUNCTIONS: frozenset[str] = frozenset()  # at most five, each with its reason
FORBIDDEN_NAMES = frozenset({"utils", "helpers", "common", "misc", "util", "helper"})

FILES = sorted(path for half in HALVES for path in (ROOT / half).rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def _functions() -> list[tuple[str, int]]:
    return [
        (f"{path.relative_to(ROOT)}:{node.name}", _length(node))
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, FunctionNode)
    ]


def _length(node: FunctionNode) -> int:
    body = node.body
    documented = ast.get_docstring(node, clean=False) is not None
    first = body[0].end_lineno if documented else node.lineno
    assert first is not None
    assert node.end_lineno is not None
    return node.end_lineno - first + (0 if documented else 1)


def test_ruff_check_passes() -> None:
    _run(str(BIN / "ruff"), "check", "--quiet", ".")


def test_ruff_format_is_applied() -> None:
    _run(str(BIN / "ruff"), "format", "--check", "--quiet", ".")


@pytest.mark.timeout(600)
def test_mypy_strict_passes() -> None:
    _run(str(BIN / "mypy"))


@pytest.mark.timeout(300)
def test_import_contracts_hold() -> None:
    _run(str(BIN / "lint-imports"))


def test_functions_stay_within_the_budget() -> None:
    functions = _functions()
    too_long = [
        f"{name}: {length}"
        for name, length in functions
        if length > LONGEST_FUNCTION and name not in EXEMPT_FUNCTIONS
    ]
    assert not too_long
    assert len(EXEMPT_FUNCTIONS) <= 5
    lengths = sorted(length for _, length in functions)
    assert statistics.median(lengths) <= 12
    assert lengths[int(len(lengths) * 0.9)] <= 30


def test_files_stay_within_the_budget() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in FILES
    }
    too_long = {name: count for name, count in lengths.items() if count > LONGEST_FILE}
    assert not too_long


def test_any_is_rare() -> None:
    uses = lines = 0
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        lines += len(text.splitlines())
        uses += len(re.findall(r"\bAny\b(?!\w)", re.sub(r'""".*?"""', "", text, flags=re.DOTALL)))
    assert uses <= 5 * lines / 1000


def test_every_module_says_in_one_sentence_what_it_is() -> None:
    bad = []
    for path, tree in TREES.items():
        first = (ast.get_docstring(tree) or "").split("\n\n")[0].strip()
        if not first.endswith((".", ":")):
            bad.append(str(path.relative_to(ROOT)))
    assert not bad


@pytest.mark.parametrize("half", ["compose", "runtime"])
def test_the_map_of_a_half_names_every_module(half: str) -> None:
    text = (ROOT / half / "__init__.py").read_text(encoding="utf-8")
    modules = {
        path.relative_to(ROOT / half).with_suffix("").as_posix()
        for path in FILES
        if path.is_relative_to(ROOT / half) and path.name != "__init__.py"
    }
    named = _map_entries(text)
    assert modules - named == set(), "not in the map"
    assert named - modules == set(), "in the map, but gone"


def _map_entries(text: str) -> set[str]:
    """Read a map: a line ``folder/`` opens a folder, a line of a module begins with its name."""
    named: set[str] = set()
    folder = ""
    for line in text.splitlines():
        if match := re.match(r"^([a-z_0-9]+(?:/[a-z_0-9]+)*)/(?:\s.*)?$", line):
            folder = match[1] + "/"
        elif re.match(r"^\(root\)", line):
            folder = ""
        elif match := re.match(r"^  ([a-z_0-9]+)\s{2,}\S", line):
            named.add(folder + match[1])
    return named


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not [path for path in FILES if path.stem in FORBIDDEN_NAMES]


def test_tests_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_packages_hold_only_a_docstring() -> None:
    for path, tree in TREES.items():
        if path.name == "__init__.py" and path.parent.name != "schemas":
            rest = [node for node in tree.body[1:] if not isinstance(node, ast.Assign)]
            assert not rest, path
            assert isinstance(tree.body[0], ast.Expr), path


def test_every_sample_has_a_readme_and_a_compose_file() -> None:
    samples = [path for path in (ROOT / "samples").iterdir() if path.is_dir()]
    assert samples
    for sample in samples:
        assert (sample / "compose.yaml").is_file(), sample
        assert (sample / "README.md").is_file(), sample


def test_every_error_kind_has_a_status() -> None:
    from runtime import errors  # noqa: PLC0415
    from runtime.api import status  # noqa: PLC0415

    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.EngineError)
    }
    answers = {status.status_of(kind("x")) for kind in kinds}
    assert answers == {304, 400, 401, 403, 404, 409, 500, 501, 503}


def test_the_suite_never_sleeps_and_skips_with_a_reason() -> None:
    offenders = []
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path == Path(__file__):
            continue
        if re.search(r"\btime\.sleep\(|pytest\.skip\(\)|mark\.skip\(\)", text):
            offenders.append(str(path.relative_to(ROOT)))
    assert not offenders
