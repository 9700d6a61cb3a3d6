"""A machine with systemd and an image, switched on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.machine_engine import MachineEngine
from tests.support.machine_qemu import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine of its own for the tests of a file, running."""
    images, project = os.environ.get("SHOAL_VM_IMAGES"), os.environ.get("SHOAL_VM_PROJECT")
    if not images or not project:
        pytest.skip("needs the images that tests/vm.sh makes")
    one = Machine(Path(images), Path(project), tmp_path_factory.mktemp("machine"))
    try:
        one.boot()
        yield one
    finally:
        one.close()


@pytest.fixture(scope="module")
def engine(machine: Machine) -> MachineEngine:
    """The engine of the machine, installed for systemd, with the image busybox."""
    machine.check("shoal", "engine", "install", "--group", "docker")
    machine.check("shoal", "image", "pack", "busybox", "busybox")
    return MachineEngine(machine)
