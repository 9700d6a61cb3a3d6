"""``config``: check the files and print what they mean.

Flags and outputs are those of ``docker compose config`` 2.40.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from compose.errors import UsageError
from compose.flags import TEXT, Command, Flag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from compose.context import Context
    from compose.flags import Args
    from compose.model.project import Project

FLAGS = (
    Flag(name="environment", help="Print environment used for interpolation."),
    Flag(name="format", kind=TEXT, help="Format the output. Values: [yaml | json]"),
    Flag(name="hash", kind=TEXT, help="Print the service config hash, one per line."),
    Flag(name="images", help="Print the image names, one per line."),
    Flag(name="lock-image-digests", help="Produces an override file with image digests"),
    Flag(name="models", help="Print the model names, one per line."),
    Flag(name="networks", help="Print the network names, one per line."),
    Flag(
        name="no-consistency",
        help="Don't check model consistency - warning: may produce invalid Compose output",
    ),
    Flag(name="no-env-resolution", help="Don't resolve service env files"),
    Flag(name="no-interpolate", help="Don't interpolate environment variables"),
    Flag(name="no-normalize", help="Don't normalize compose model"),
    Flag(name="no-path-resolution", help="Don't resolve file paths"),
    Flag(name="output", short="o", kind=TEXT, help="Save to file (default to stdout)"),
    Flag(name="profiles", help="Print the profile names, one per line."),
    Flag(
        name="quiet",
        short="q",
        help="Only validate the configuration, don't print anything",
    ),
    Flag(name="resolve-image-digests", help="Pin image tags to digests"),
    Flag(name="services", help="Print the service names, one per line."),
    Flag(name="variables", help="Print model variables and default values."),
    Flag(name="volumes", help="Print the volume names, one per line."),
)


def config(context: Context, args: Args) -> int:
    """Run the command."""
    for flag, report in _REPORTS.items():
        if args.on(flag) or (flag == "hash" and args.text(flag)):
            report(context, args)
            return 0
    for flag in ("lock-image-digests", "resolve-image-digests"):
        if args.on(flag):
            raise UsageError(f"--{flag} is not supported yet", hint="it needs a registry")
    if args.text("format") not in ("", "yaml", "json"):
        raise UsageError(f"unsupported format {args.text('format')!r}", hint="yaml or json")
    text = _tree_text(context, args) if args.on("no-interpolate") else _project_text(context, args)
    if args.on("quiet"):
        return 0
    if path := args.text("output"):
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    else:
        context.console.write(text)
    return 0


def _load(context: Context, args: Args, **changes: object) -> Project:
    """Load what the flags ask for, narrowed to the named services."""
    from compose.graph import select, without_unused
    from compose.loader.load import load_project

    wanted: dict[str, object] = {
        "resolve_paths": not args.on("no-path-resolution"),
        "normalize": not args.on("no-normalize") and not context.args.on("compatibility"),
        "consistency": not args.on("no-consistency"),
        "resolve_environment": not args.on("no-env-resolution"),
        "services": tuple(args.rest),
        "keep_unused": True,
    }
    project = select(load_project(context.load_options(**{**wanted, **changes})), args.rest)
    return project if context.args.on("all-resources") else without_unused(project)


def _project_text(context: Context, args: Args) -> str:
    """Write the loaded project; nothing when only the check was asked for."""
    project = _load(context, args)
    if args.on("quiet"):
        return ""
    from compose.loader.render import escaped, to_json, to_yaml
    from compose.model.document import json_document, yaml_document

    if args.text("format") == "json":
        return to_json(escaped(json_document(project)))
    return to_yaml(escaped(yaml_document(project)))


def _tree_text(context: Context, args: Args) -> str:
    """Write the merged files with their variables still in them, keys sorted."""
    from compose.loader.load import load_tree
    from compose.loader.render import to_json, to_yaml
    from compose.loader.values import plain, sorted_tree

    loaded = load_tree(
        context.load_options(
            interpolate=False,
            resolve_paths=not args.on("no-path-resolution"),
            normalize=not args.on("no-normalize"),
        )
    )
    document = plain(sorted_tree(loaded.tree))
    return to_json(document) if args.text("format") == "json" else to_yaml(document)


def _lines(context: Context, lines: Iterable[str]) -> None:
    for line in lines:
        context.console.print(line)


def _services(context: Context, args: Args) -> None:
    from compose.graph import start_order

    _lines(context, start_order(_load(context, args)))


def _section(name: str) -> Callable[[Context, Args], None]:
    """Return a report of the keys of a section."""

    def report(context: Context, args: Args) -> None:
        _lines(context, getattr(_load(context, args), name))

    return report


def _profiles(context: Context, args: Args) -> None:
    project = _load(context, args, consistency=False)
    services = (*project.services.values(), *project.disabled_services.values())
    _lines(context, sorted({profile for service in services for profile in service.profiles}))


def _images(context: Context, args: Args) -> None:
    project = _load(context, args)
    for name, service in project.services.items():
        context.console.print(service.image or f"{project.name}{context.separator}{name}")


def _hashes(context: Context, args: Args) -> None:
    from compose.graph import select
    from compose.reconciler.config_hash import service_hash

    asked = args.text("hash")
    names = () if asked == "*" else tuple(asked.split(","))
    project = _load(context, args)
    chosen = select(project, names, dependencies=False)
    for name in sorted(chosen.services):
        context.console.print(f"{name} {service_hash(project.services[name])}")


def _environment(context: Context, args: Args) -> None:
    variables = _load(context, args, consistency=False).environment
    _lines(context, (f"{name}={variables[name]}" for name in sorted(variables)))


def _variables(context: Context, args: Args) -> None:
    from compose.loader.load import load_tree
    from compose.loader.variables import variables_of

    loaded = load_tree(context.load_options(interpolate=False, resolve_paths=False))
    found = variables_of(loaded.tree).values()
    if args.text("format") == "json":
        table = {
            variable.name: {
                "Name": variable.name,
                "DefaultValue": variable.default,
                "PresenceValue": variable.alternate,
                "Required": variable.required,
            }
            for variable in found
        }
        context.console.print(json.dumps(table, indent=4, ensure_ascii=False))
        return
    titles = ("NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE")
    rows = [(v.name, str(v.required).lower(), v.default, v.alternate) for v in found]
    context.console.table(titles, rows, least=20)


_REPORTS: dict[str, Callable[[Context, Args], None]] = {
    "services": _services,
    "volumes": _section("volumes"),
    "networks": _section("networks"),
    "models": _section("models"),
    "hash": _hashes,
    "profiles": _profiles,
    "images": _images,
    "variables": _variables,
    "environment": _environment,
}

COMMANDS = (Command(name="config", run=config, usage="[OPTIONS] [SERVICE...]", flags=FLAGS),)
