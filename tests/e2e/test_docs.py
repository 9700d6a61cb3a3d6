"""The command blocks of the pages run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.shoal_program import ShoalProgram

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path for path in (ROOT / "docs").glob("*.md"))


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem
)
def test_the_blocks_of_a_page_run(shoal: ShoalProgram, tmp_path: Path, page: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "shoal"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m compose "$@"\n')
    program.chmod(0o755)
    home = tmp_path / "page"
    home.mkdir()
    for block in blocks(page):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=home,
            env={**shoal.env, "PATH": f"{programs}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text()
    assert {page.name for page in PAGES} - {"README.md"} == set(
        re.findall(r"\]\((\w+\.md)\)", index)
    )
