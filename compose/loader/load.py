"""Compose files to a ``Project``: the phases, in their order.

=====================  ===========================================================================
phase                  what a small file looks like after it
=====================  ===========================================================================
discover               which files, directory, variables, profiles and name
document               ``ports: ["${P:-80}:80"]`` as a tree that knows its lines
interpolate            ``ports: ["80:80"]``
extends, include       services of other places are part of the tree
merge, collapse        later files have changed earlier ones
schema                 no unknown keys, no wrong types
canonical              ``ports: [{target: 80, published: "80", mode: ingress, protocol: tcp}]``
defaults, checks       what long forms leave out; rules of single sections
paths                  ``./data`` is ``/home/me/app/data``
normalize              ``networks: {default: {name: app_default}}``, implied dependencies
decode                 ``Service(name="web", ports=(Port(target=80, published="80", ...),))``
profiles, consistency  disabled services apart; references and circles checked
env_file               the files' variables are part of ``environment``
=====================  ===========================================================================

Interpolation comes before merging, and the schema sees the merged result: both as in Docker
Compose. Nothing here changes the process: no ``chdir``, no environment variable is set.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from compose.errors import CycleError, DocumentError, LoadError, Location
from compose.graph import without_unused
from compose.loader import discover, normalize, paths, schema
from compose.loader.canonical import accept_printed_forms, canonicalize
from compose.loader.checks import check_values
from compose.loader.collapse import collapse
from compose.loader.consistency import check_project
from compose.loader.decode import decode_project
from compose.loader.discover import LoadOptions, find_sources, project_name
from compose.loader.document import read_documents
from compose.loader.env_files import FileResolver
from compose.loader.excerpt import excerpt
from compose.loader.extends import Extendable, apply_extends
from compose.loader.include import copy_resources, inclusions
from compose.loader.interpolate import MalformedTemplate, MissingVariable, interpolate, substitute
from compose.loader.merge import drop, merge
from compose.loader.tree import Map
from compose.model.record import record, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compose.loader.discover import Sources
    from compose.loader.document import Document
    from compose.loader.include import Inclusion
    from compose.loader.tree import Path
    from compose.model.project import Project

__all__ = ["LoadOptions", "LoadedTree", "load_project", "load_tree"]


@record
class LoadedTree:
    """A complete tree before it is decoded.

    Attributes:
        tree: the merged, canonical tree.
        name: the project's name.
        sources: files, directory and variables it came from.
        environment: the variables including ``COMPOSE_PROJECT_NAME``.
    """

    tree: Map
    name: str
    sources: Sources
    environment: Mapping[str, str]


def load_project(options: LoadOptions) -> Project:
    """Load a project.

    Raises:
        LoadError: with the place in the file, for anything that is wrong with the files.
    """
    texts: dict[str, str] = {}
    try:
        return _load_project(options, texts)
    except LoadError as error:
        _add_excerpts(error, texts)
        raise


def _load_project(options: LoadOptions, texts: dict[str, str]) -> Project:
    loaded = _load_tree(options, texts)
    sources = loaded.sources
    project = decode_project(loaded.tree, name=loaded.name, directory=sources.directory)
    project = replace(
        project,
        files=sources.files,
        env_files=sources.env_files,
        environment=loaded.environment,
    )
    project = _apply_profiles(project, (*sources.profiles, *_profiles_of(project, options)))
    if options.consistency:
        check_project(project, loaded.tree, options.warn)
    project = _capture_contents(_align_replicas(project))
    if options.resolve_environment:
        files = FileResolver(loaded.environment, loaded.tree, options.warn)
        services = {name: files.resolve(s) for name, s in project.services.items()}
        project = replace(project, services=services)
    return project if options.keep_unused else without_unused(project)


def load_tree(options: LoadOptions) -> LoadedTree:
    """Load the files up to the complete tree: what ``config --no-interpolate`` prints.

    Raises:
        LoadError: with the place in the file, for anything that is wrong with the files.
    """
    texts: dict[str, str] = {}
    try:
        return _load_tree(options, texts)
    except LoadError as error:
        _add_excerpts(error, texts)
        raise


def _load_tree(options: LoadOptions, texts: dict[str, str]) -> LoadedTree:
    options = replace(options, warn=_once(options))
    sources = find_sources(options)
    loading = _Loading(options, sources.environment, texts)
    documents = {file: loading.read(file) for file in sources.files}
    name = project_name(options, sources, _declared_name(documents, sources.environment))
    environment = {**sources.environment, "COMPOSE_PROJECT_NAME": name}
    loading.environment = environment
    tree = loading.model(documents, sources.directory, ())
    if not tree:
        raise DocumentError("empty compose file", location=Location(loading.show(sources.files[0])))
    if options.normalize:
        normalize.normalize(tree, name, environment)
    return LoadedTree(tree=tree, name=name, sources=sources, environment=environment)


class _Loading:
    """One run over a set of files with one set of variables."""

    def __init__(
        self, options: LoadOptions, environment: Mapping[str, str], texts: dict[str, str]
    ) -> None:
        self.options = options
        self._texts = texts
        self.environment = environment
        self._here = options.working_directory or os.getcwd()
        self._home = environment.get("HOME", "")
        self._extended: dict[str, Extendable] = {}

    def show(self, path: str) -> str:
        """Shorten a path to what the user would type."""
        if path == discover.STDIN:
            return "<stdin>"
        prefix = self._here.rstrip("/") + "/"
        return path.removeprefix(prefix)

    def read(self, path: str) -> list[Document]:
        """Read and parse a file."""
        stdin = path == discover.STDIN
        text = self.options.read_stdin() if stdin else discover.read_text(path)
        self._texts[self.show(path)] = text
        return read_documents(text, self.show(path))

    def model(
        self, files: Mapping[str, list[Document]], directory: str, including: tuple[str, ...]
    ) -> Map:
        """Merge files and bring the result into long form with absolute paths."""
        tree = Map()
        for path, documents in files.items():
            if not documents:
                raise DocumentError("empty compose file", location=Location(self.show(path)))
            for document in documents:
                self._add(tree, document, path, directory, (*including, path))
        normalize.defaults(tree)
        check_values(tree, self.options.warn)
        if self.options.resolve_paths:
            paths.resolve_paths(tree, paths.Base(directory, self._home))
        return normalize.fill_environment(tree, self.environment)

    def _add(
        self, tree: Map, document: Document, path: str, directory: str, including: tuple[str, ...]
    ) -> None:
        """Merge one document into what was loaded so far."""
        file = self.show(path)
        addition = self._filled(document, file)
        source = Extendable(file, addition, document.resets)
        apply_extends(source, lambda name, place: self._extendable(name, directory, place))
        drop(tree, document.resets)
        for inclusion in inclusions(addition, directory):
            copy_resources(self._included(inclusion, including), addition, inclusion.place)
        addition.pop("include", None)
        merge(tree, addition)
        collapse(tree)
        schema.check(accept_printed_forms(tree), file)
        if tree.pop("version", None) is not None:
            self.options.warn(
                f"{path}: the attribute `version` is obsolete, it will be ignored, "
                "please remove it to avoid potential confusion"
            )
        self._canonical(tree)

    def _filled(self, document: Document, file: str) -> Map:
        """Return a document's tree with its variables filled."""
        tree = document.tree
        if not isinstance(tree, Map):
            message = "the top level must be a mapping with services"
            raise DocumentError(message, location=Location(file, 1))
        if not self.options.interpolate:
            return tree
        return interpolate(tree, self.environment.get, self.options.warn)

    def _canonical(self, tree: Map) -> None:
        canonicalize(tree, self.options.warn, keep_unreadable=not self.options.interpolate)
        collapse(tree)

    def _extendable(self, name: str, directory: str, place: Location | None) -> Extendable:
        """Load a file whose services are extended; its paths are relative to itself."""
        path = discover.absolute(name, directory)
        if path not in self._extended:
            if not os.path.isfile(path):
                raise DocumentError(f"extends: {path} does not exist", location=place)
            tree = Map()
            resets: list[Path] = []
            for document in self.read(path):
                drop(tree, document.resets)
                resets.extend(document.resets)
                merge(tree, self._filled(document, self.show(path)))
                collapse(tree)
                self._canonical(tree)
            paths.resolve_paths(tree, paths.Base(os.path.dirname(path), self._home))
            self._extended[path] = Extendable(self.show(path), tree, tuple(resets))
        return self._extended[path]

    def _included(self, inclusion: Inclusion, including: tuple[str, ...]) -> Map:
        """Load an included model."""
        if inclusion.files[0] in including:
            steps = (*including[including.index(inclusion.files[0]) :], inclusion.files[0])
            circle = " -> ".join(self.show(step) for step in steps)
            message = f"files include each other in a circle: {circle}"
            raise CycleError(message, location=inclusion.place)
        environment = dict(self.environment)
        found: dict[str, str] = {}
        for path in inclusion.env_files:
            found.update(discover.load_env_file(path, environment.get, self.options.warn, found))
        loading = _Loading(self.options, {**found, **environment}, self._texts)
        documents = {path: loading.read(path) for path in inclusion.files}
        return loading.model(documents, inclusion.directory, including)


def _add_excerpts(error: LoadError, texts: Mapping[str, str]) -> None:
    """Quote the lines of the files that the errors are about."""
    for each in (error, *error.others):
        place = each.location
        if place and place.file in texts:
            each.excerpt = excerpt(texts[place.file], place.line, place.column)


def _once(options: LoadOptions) -> Callable[[str], None]:
    """Let each warning through only once."""
    seen: set[str] = set()

    def warn(text: str) -> None:
        if text not in seen:
            seen.add(text)
            options.warn(text)

    return warn


def _declared_name(documents: Mapping[str, list[Document]], environment: Mapping[str, str]) -> str:
    """Find the ``name:`` of the last document that has one; what is malformed is reported later."""
    declared = ""
    for document in (document for found in documents.values() for document in found):
        name = document.tree.get("name") if isinstance(document.tree, Map) else None
        if isinstance(name, str):
            try:
                declared = substitute(name, environment.get, discover.ignore)
            except (MalformedTemplate, MissingVariable):
                continue
    return declared


def _profiles_of(project: Project, options: LoadOptions) -> tuple[str, ...]:
    """Naming a service activates its profiles."""
    named = (project.services.get(name) for name in options.services)
    return tuple(profile for service in named if service for profile in service.profiles)


def _apply_profiles(project: Project, profiles: tuple[str, ...]) -> Project:
    """Set services aside whose profiles are all inactive."""
    active = set(profiles) or {""}
    everything = "*" in active
    enabled = {
        name: service
        for name, service in project.services.items()
        if everything or not service.profiles or active & set(service.profiles)
    }
    rest = {name: s for name, s in project.services.items() if name not in enabled}
    return replace(
        project,
        services=enabled,
        disabled_services=rest,
        profiles=tuple(dict.fromkeys(profiles)),
    )


def _align_replicas(project: Project) -> Project:
    """Copy ``scale`` to ``deploy.replicas`` where a deploy section exists."""
    services = {
        name: replace(service, deploy=replace(service.deploy, replicas=service.scale))
        if service.deploy and service.scale is not None
        else service
        for name, service in project.services.items()
    }
    return replace(project, services=services)


def _capture_contents(project: Project) -> Project:
    """Read the configs and secrets that come from variables."""
    changes = {
        kind: {
            key: replace(entry, content=project.environment.get(entry.environment))
            if entry.environment
            else entry
            for key, entry in getattr(project, kind).items()
        }
        for kind in ("configs", "secrets")
    }
    return replace(project, **changes)
