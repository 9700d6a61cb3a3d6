"""Pack programs of this machine into an image: the steps of ``shoal image pack``, in order."""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from compose.errors import ShoalError
from compose.pack.archive import image_config, newest, write_archive, write_layer
from compose.pack.libraries import LibraryFinder
from compose.pack.programs import Program, find_programs
from compose.pack.system_files import add_system_files
from compose.pack.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


@dataclass(frozen=True, slots=True)
class PackOptions:
    """What to pack and how the image presents itself.

    Attributes:
        name: image name; ``:latest`` is added when it has no tag.
        programs: names on PATH, or paths; the first is the image's command.
        files: further host files or directories, as (source, place in the image).
        command: replaces the default command.
        environment: further ``KEY=value`` entries.
        labels: labels of the image.
        user: default user.
        working_dir: default working directory.
        search_path: where program names are looked up.
    """

    name: str
    programs: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    user: str = ""
    working_dir: str = "/"
    search_path: str = _SEARCH_PATH


def pack(options: PackOptions, archive: IO[bytes]) -> str:
    """Write the image as a docker-archive and return its id (``sha256:...``).

    Raises:
        ShoalError: a program, library or file is missing.
    """
    programs = find_programs(list(options.programs), options.search_path)
    tree = build_tree(programs, options.files)
    with tempfile.TemporaryFile() as layer:
        digest = write_layer(tree, layer)
        architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
        config = image_config(_settings(options, programs), architecture, newest(tree), digest)
        write_archive(archive, full_name(options.name), config, layer, digest)
    return f"sha256:{hashlib.sha256(config).hexdigest()}"


def full_name(name: str) -> str:
    """Return the name with a tag."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def build_tree(programs: Sequence[Program], files: Sequence[tuple[str, str]]) -> Tree:
    """Assemble programs, their libraries and the system's files."""
    tree = Tree()
    packed = [path for program in programs for path in program.files]
    for path in packed:
        tree.host(path)
    extra = [pair for source, place in files for pair in _expand(source, place)]
    for source, place in extra:
        tree.host(source, place)
    for path in LibraryFinder().closure([*packed, *(source for source, _ in extra)]):
        tree.host(path)
    for program in programs:
        for path, target in program.links:
            tree.link(path, target)
    add_system_files(tree)
    return tree


def _expand(source: str, place: str) -> list[tuple[str, str]]:
    source = os.path.abspath(source)
    if os.path.isfile(source):
        return [(source, place)]
    if not os.path.isdir(source):
        raise ShoalError(f'"{source}": no such file or directory')
    inside = [
        os.path.join(directory, name) for directory, _, names in os.walk(source) for name in names
    ]
    return [
        (path, os.path.normpath(os.path.join(place, os.path.relpath(path, source))))
        for path in sorted(filter(os.path.isfile, inside))
    ]


def _settings(options: PackOptions, programs: Sequence[Program]) -> Mapping[str, object]:
    environment = [f"PATH={_SEARCH_PATH}", "LANG=C.UTF-8", *options.environment]
    settings: dict[str, object] = {
        "Cmd": list(options.command) or [os.path.basename(programs[0].name)],
        "Env": environment,
        "WorkingDir": options.working_dir,
    }
    if options.labels:
        settings["Labels"] = dict(options.labels)
    if options.user:
        settings["User"] = options.user
    return settings
