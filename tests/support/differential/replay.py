"""Carries many cases out at once on one engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.support.differential.normal import table
from tests.support.differential.observe import observe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support.differential.case import Case
    from tests.support.differential.normal import Names, Table
    from tests.support.engine_process import EngineProcess

_WORKERS = 8


def carry_out(
    engine: EngineProcess, cases: Iterable[Case], names: Names
) -> dict[str, Table | Exception]:
    """Return the table of each case by name, or what went wrong with it."""

    def one(case: Case) -> Table | Exception:
        try:
            return table(observe(engine, case, names.directory), names)
        except Exception as error:  # noqa: BLE001 - it fails the test of its case
            return error

    chosen = list(cases)
    with ThreadPoolExecutor(_WORKERS) as pool:
        return dict(zip((case.name for case in chosen), pool.map(one, chosen), strict=True))


def prepare_directory(directory: Path) -> None:
    """Put into a directory what cases bind into their containers."""
    (directory / "things" / "empty").mkdir(parents=True)
    (directory / "things" / "file").write_text("from the host\n", encoding="utf-8")
    (directory / "single.txt").write_text("one file\n", encoding="utf-8")
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # whatever the umask is
