"""From the name of a program to the files that it is made of, without its shared libraries."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compose.errors import ShoalError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PYTHON = re.compile(r"python(\d(\.\d+)?)?$")
_ASK_PYTHON = (
    "import json,os,sys,sysconfig;"
    "print(json.dumps({'executable':os.path.realpath(getattr(sys,'_base_executable','')"
    " or sys.executable),"
    "'libraries':sorted({os.path.realpath(sysconfig.get_path(n,vars={"
    "'base':sys.base_prefix,'platbase':sys.base_exec_prefix,"
    "'installed_base':sys.base_prefix,'installed_platbase':sys.base_exec_prefix}))"
    " for n in ('stdlib','platstdlib')}),"
    "'version':'%d.%d'%sys.version_info[:2]}))"
)
_LEFT_OUT = frozenset(
    {
        *("__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter"),
        *("turtledemo", "ensurepip", "lib2to3"),
    }
)
_LEFT_OUT_FILES = re.compile(r"(_tkinter|_test|_ctypes_test|_xx|xx)\w*\.|\.(a|pyc|exe)$")


@dataclass(frozen=True, slots=True)
class Program:
    """A program and what belongs to it.

    Attributes:
        name: what the user called it.
        path: the file that is executed.
        files: host paths to take along, `path` included.
        links: further names in the image: path → target.
    """

    name: str
    path: str
    files: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()


def find_programs(names: list[str], search_path: str) -> list[Program]:
    """Find programs by name or path, and the interpreters that scripts among them need.

    Raises:
        ShoalError: a program is not there or cannot be executed.
    """
    programs: dict[str, Program] = {}
    waiting = list(reversed(names))
    while waiting:
        name = waiting.pop()
        if name in programs:
            continue
        program = _find(name, search_path)
        programs[name] = program
        waiting += _interpreters(program.path)
    return list(programs.values())


def _find(name: str, search_path: str) -> Program:
    path = shutil.which(name, path=search_path)
    if path is None:
        raise ShoalError(
            f'program "{name}" is not on this machine',
            hint="install it, or name its path",
        )
    path = os.path.abspath(path)
    base = os.path.basename(name)
    if _PYTHON.match(base):
        return _python(name, path)
    if base == "busybox":
        return Program(name, path, (path,), tuple(_applets(path)))
    return Program(name, path, (path,))


def _ask(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise ShoalError(f"{command[0]}: cannot be run: {error}") from error
    return done.stdout


def _python(name: str, path: str) -> Program:
    """Take the interpreter behind wrappers and virtual environments, with its library."""
    facts = json.loads(_ask([path, "-I", "-c", _ASK_PYTHON]))
    executable: str = facts["executable"]
    files = [executable]
    for library in facts["libraries"]:
        files += _library_files(library)
    directory = os.path.dirname(executable)
    links = []
    for alias in ("python", "python3", f"python{facts['version']}"):
        if os.path.join("/usr/bin", alias) == executable:
            continue
        target = executable
        place = "/usr/bin" if directory == "/usr/bin" else "/usr/local/bin"
        links.append((f"{place}/{alias}", target))
    return Program(name, executable, tuple(files), tuple(links))


def _library_files(library: str) -> Iterator[str]:
    for directory, folders, names in os.walk(library):
        folders[:] = sorted(
            folder
            for folder in folders
            if folder not in _LEFT_OUT and not folder.startswith("config-")
        )
        for name in sorted(names):
            if not _LEFT_OUT_FILES.search(name):
                yield os.path.join(directory, name)


def _applets(path: str) -> Iterator[tuple[str, str]]:
    for applet in sorted(_ask([path, "--list"]).split()):
        if applet != "busybox":
            yield f"/bin/{applet}", path
    if os.path.realpath(path) != os.path.realpath("/bin/busybox"):
        yield "/bin/busybox", path


def _interpreters(path: str) -> list[str]:
    """Return the programs that a script's first line names."""
    with open(path, "rb") as file:
        first = file.read(256).split(b"\n", 1)[0]
    if not first.startswith(b"#!"):
        return []
    words = first[2:].decode(errors="replace").split()
    if not words:
        return []
    names = [words[0]]
    if os.path.basename(words[0]) == "env":
        names += [word for word in words[1:] if not word.startswith("-") and "=" not in word][:1]
    return names
