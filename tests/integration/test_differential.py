"""Shoal makes of a create request what Docker makes of it: answers, inspect, inside, end, events.

What Docker made of each is recorded by `tests.support.record_differential`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.differential.allowed import differences
from tests.support.differential.cases import CASES
from tests.support.differential.image import image_configs, load_images
from tests.support.differential.machine import Machine
from tests.support.differential.normal import Names, Table
from tests.support.differential.portable import portable
from tests.support.differential.recording import read
from tests.support.differential.replay import carry_out, prepare_directory
from tests.support.engine_process import EngineProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

_RECORDED, _IMAGES = read()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine with the images of the cases."""
    process = EngineProcess(tmp_path_factory.mktemp("differential"))
    process.start()
    load_images(process)
    yield process
    process.close()
    for parent in Path("/sys/fs/cgroup").glob("**/diff-parent"):
        parent.rmdir()  # a parent that a request names is not the engine's, and stays


@pytest.fixture(scope="module")
def machine(engine: EngineProcess) -> Machine:
    """The machine, as the engine finds it."""
    return Machine.of(engine.pid, str(engine.data_root), str(engine.run_root))


@pytest.fixture(scope="module")
def tables(
    engine: EngineProcess, machine: Machine, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Table | Exception]:
    """What Shoal made of all cases."""
    directory = tmp_path_factory.mktemp("shared")
    prepare_directory(directory)
    return carry_out(engine, CASES.values(), Names(machine, load_images(engine), str(directory)))


@pytest.mark.parametrize("name", CASES)
def test_container_is_docker_s(
    name: str, machine: Machine, tables: dict[str, Table | Exception]
) -> None:
    if CASES[name].cgroups not in {0, machine.cgroups}:
        pytest.skip(f"recorded on cgroup v{CASES[name].cgroups}, and depends on it")
    found = tables[name]
    if isinstance(found, Exception):
        raise found
    assert differences(portable(_RECORDED[name], machine), found) == []


def test_every_case_is_recorded_and_nothing_else() -> None:
    assert _RECORDED.keys() == CASES.keys()


def test_configurations_of_images_are_docker_s(engine: EngineProcess) -> None:
    assert image_configs(engine) == _IMAGES
