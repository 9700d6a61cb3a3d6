"""Which compose files, which project directory and name, and the variables to fill them with.

Rules: Compose specification, "The Compose file" and "Project name"; environment variables and
search order of Docker Compose. Nothing here changes the process: the environment and the working
directory arrive as values.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from compose.errors import ConsistencyError, Location, SourceMissing
from compose.loader import dotenv
from compose.model.record import EMPTY, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STDIN = "-"
FILE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDE_NAMES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
_VALID_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_NAME_RULE = (
    "must consist only of lowercase alphanumeric characters, hyphens, and underscores"
    " as well as start with a letter or number"
)
_REMOTE = re.compile(r"(oci|git|ssh|https?)://|git@|github\.com/")


def ignore(_warning: str) -> None:
    """Take a warning and drop it."""


def read_stdin() -> str:
    """Read all of standard input."""
    return sys.stdin.read()


@record
class LoadOptions:
    """What to load, and how far.

    Attributes:
        files: compose files as given with ``-f``; ``-`` is standard input.
        project_directory: base of relative paths, if not the first file's directory.
        project_name: name given with ``-p``.
        env_files: files given with ``--env-file``, instead of ``.env``.
        profiles: active profiles given with ``--profile``; ``*`` is all.
        services: services the user named; their profiles become active.
        environ: the process's environment.
        working_directory: where the user stands; empty means the process's.
        interpolate: fill ``${...}``.
        resolve_paths: make relative paths absolute.
        normalize: add the default network, names and implied dependencies.
        consistency: check references between parts of the project.
        resolve_environment: read ``env_file`` into ``environment``.
        keep_unused: keep networks, volumes, configs and secrets that no service uses.
        warn: takes a warning's text.
        read_stdin: returns standard input.
    """

    files: tuple[str, ...] = ()
    project_directory: str = ""
    project_name: str = ""
    env_files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    environ: Mapping[str, str] = EMPTY
    working_directory: str = ""
    interpolate: bool = True
    resolve_paths: bool = True
    normalize: bool = True
    consistency: bool = True
    resolve_environment: bool = True
    keep_unused: bool = False
    warn: Callable[[str], None] = ignore
    read_stdin: Callable[[], str] = read_stdin


@record
class Sources:
    """What was found: absolute paths and the variables.

    Attributes:
        directory: project directory.
        files: compose files in the order they merge; ``-`` is standard input.
        env_files: files given with ``--env-file`` or ``COMPOSE_ENV_FILES``; not ``.env``.
        environment: variables for ``${...}``, without ``COMPOSE_PROJECT_NAME``.
        profiles: active profiles.
    """

    directory: str
    files: tuple[str, ...]
    env_files: tuple[str, ...]
    environment: Mapping[str, str]
    profiles: tuple[str, ...]


def find_sources(options: LoadOptions) -> Sources:
    """Find the compose files and read the env files.

    Raises:
        SourceMissing: no compose file, or a named file does not exist.
    """
    here = options.working_directory or os.getcwd()
    environment = dict(options.environ)
    environment.setdefault("PWD", here)
    env_files = _env_files(options, here)
    _read_env_files(env_files or _default_env_file(options, here), environment, options)
    files = _compose_files(options, environment, here)
    directory = _directory(options, files, here)
    if not env_files:
        _read_env_files(_default_env_file(options, directory), environment, options)
    profiles = options.profiles or _words(environment.get("COMPOSE_PROFILES", ""), ",")
    return Sources(
        directory=directory,
        files=files,
        env_files=env_files,
        environment=environment,
        profiles=profiles,
    )


def read_text(path: str) -> str:
    """Read a text file.

    Raises:
        SourceMissing: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SourceMissing(f"open {path}: {reason}") from None
    except UnicodeDecodeError:
        raise SourceMissing("not a UTF-8 text", location=Location(path)) from None


def load_env_file(
    path: str,
    lookup: Callable[[str], str | None],
    warn: Callable[[str], None],
    earlier: Mapping[str, str] = EMPTY,
) -> dict[str, str]:
    """Read a file of variables in the language of ``.env``.

    Args:
        path: the file.
        lookup: the variables outside, which win inside ``${...}``.
        warn: takes a warning's text.
        earlier: variables of files read before.
    """

    def unset(name: str) -> None:
        warn(f'The "{name}" variable is not set. Defaulting to a blank string.')

    return dotenv.parse(read_text(path), lookup, file=path, warn=unset, earlier=earlier)


def project_name(options: LoadOptions, sources: Sources, declared: str) -> str:
    """Choose the project's name: option, variable, ``name:``, directory.

    Args:
        options: may hold a name.
        sources: variables and directory.
        declared: ``name:`` of the last file that has one, filled; empty if none has.

    Raises:
        ConsistencyError: a name given by option or variable is not allowed, or nothing is left.
    """
    given = options.project_name or sources.environment.get("COMPOSE_PROJECT_NAME", "")
    if given:
        if not _VALID_NAME.fullmatch(given):
            hint = f'"{normalized_name(given)}" would do' if normalized_name(given) else ""
            raise ConsistencyError(f'invalid project name "{given}": {_NAME_RULE}', hint=hint)
        return given
    name = normalized_name(declared or os.path.basename(sources.directory))
    if not name:
        raise ConsistencyError("project name must not be empty", hint="choose one with -p")
    return name


def normalized_name(text: str) -> str:
    """Turn any text into a project name: lower case, without other characters."""
    return re.sub(r"[^a-z0-9_-]", "", text.lower()).lstrip("_-")


def absolute(path: str, directory: str) -> str:
    """Make a path absolute and clean."""
    return os.path.normpath(os.path.join(directory, path))


def _words(text: str, separator: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(separator) if word.strip())


def _env_files(options: LoadOptions, here: str) -> tuple[str, ...]:
    named = options.env_files or _words(options.environ.get("COMPOSE_ENV_FILES", ""), ",")
    return tuple(absolute(name, here) for name in named)


def _default_env_file(options: LoadOptions, directory: str) -> tuple[str, ...]:
    disabled = options.environ.get("COMPOSE_DISABLE_ENV_FILE", "").lower() in ("1", "t", "true")
    path = os.path.join(directory, ".env")
    return () if disabled or not os.path.isfile(path) else (path,)


def _read_env_files(
    paths: tuple[str, ...], environment: dict[str, str], options: LoadOptions
) -> None:
    """Add the variables of the files that the environment lacks; a later file beats an earlier."""
    found: dict[str, str] = {}
    for path in paths:
        if not os.path.exists(path):
            raise SourceMissing(f"couldn't find env file: {path}")
        if os.path.isdir(path):
            raise SourceMissing(f"{path} is a directory")
        found.update(load_env_file(path, environment.get, options.warn, found))
    for name, value in found.items():
        environment.setdefault(name, value)


def _compose_files(
    options: LoadOptions, environment: Mapping[str, str], here: str
) -> tuple[str, ...]:
    named = options.files
    if not named:
        separator = environment.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        named = _words(environment.get("COMPOSE_FILE", ""), separator)
    if not named:
        return _search(options, options.project_directory or here)
    for name in named:
        if _REMOTE.match(name):
            raise SourceMissing(
                f"remote compose file {name!r} is not supported",
                hint="fetch it and name the local file",
            )
    paths = tuple(name if name == STDIN else absolute(name, here) for name in named)
    for path in paths:
        if path != STDIN and not os.path.exists(path):
            raise SourceMissing(f"open {path}: no such file or directory")
    return paths


def _search(options: LoadOptions, start: str) -> tuple[str, ...]:
    """Look for a compose file in a directory and its parents, and for its override file."""
    directory = os.path.abspath(start)
    while True:
        names = [name for name in FILE_NAMES if _is_file(directory, name)]
        if names:
            break
        parent = os.path.dirname(directory)
        if parent == directory:
            raise SourceMissing(
                "no configuration file provided: not found",
                hint=f"create {FILE_NAMES[0]} or name a file with -f",
            )
        directory = parent
    if len(names) > 1:
        listed = ", ".join(os.path.join(directory, name) for name in names)
        options.warn(f"Found multiple config files with supported names: {listed}")
        options.warn(f"Using {os.path.join(directory, names[0])}")
    overrides = [name for name in OVERRIDE_NAMES if _is_file(directory, name)]
    if len(overrides) > 1:
        listed = ", ".join(os.path.join(directory, name) for name in overrides)
        options.warn(f"Found multiple override files with supported names: {listed}")
        options.warn(f"Using {os.path.join(directory, overrides[0])}")
    return tuple(os.path.join(directory, name) for name in (names[0], *overrides[:1]))


def _is_file(directory: str, name: str) -> bool:
    return os.path.isfile(os.path.join(directory, name))


def _directory(options: LoadOptions, files: tuple[str, ...], here: str) -> str:
    if options.project_directory:
        return absolute(options.project_directory, here)
    return here if files[0] == STDIN else os.path.dirname(files[0])
