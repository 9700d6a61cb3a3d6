"""An engine whose containers live in user namespaces, with subordinate ids of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.engine_process import POOL, EngineProcess

USER = "daemon"
"""A user that every Debian has, with a group of the same name."""
FIRST, SECOND = 500000, 300000
"""Ids on the host of the ids inside from 0 and from 1000 on."""
RANGES = f"{USER}:{FIRST}:1000\n{USER}:{SECOND}:70000\n"
_FILES = ("/etc/subuid", "/etc/subgid")
_OWN_FILES = 'mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && exec "$@"'


def remapped_engine(work: Path, *arguments: str, pool: str = POOL) -> EngineProcess:
    """Return an engine, not started, in a mount namespace where the files have these ranges."""
    prepare(work)
    engine = EngineProcess(work, "--userns-remap", USER, *arguments, pool=pool)
    engine.storage = engine.data_root / f"{FIRST}.{FIRST}"
    engine.wrapper = wrapper(work)
    return engine


def prepare(work: Path) -> None:
    """Write the ranges; skip where the system has no files to put them over."""
    if not all(Path(name).exists() for name in _FILES):
        pytest.skip("the host has no /etc/subuid and /etc/subgid (package passwd)")
    (work / "ranges").write_text(RANGES)


def wrapper(work: Path) -> tuple[str, ...]:
    """Return the command that executes another one where the files have the ranges."""
    return ("unshare", "--mount", "sh", "-c", _OWN_FILES, str(work / "ranges"))
