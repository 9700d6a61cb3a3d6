"""``down`` and ``rm``: take a project away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.console import is_true
from compose.errors import UsageError
from compose.flags import NUMBER, TEXT, Command, Flag
from compose.reconciler.observed import ALIVE, Observed, image_name, look_at_images
from compose.reconciler.teardown import ALL, LOCAL, DownOptions, chosen, plan_down, plan_remove

if TYPE_CHECKING:
    from compose.context import Context
    from compose.flags import Args
    from compose.model.project import Project


def down(context: Context, args: Args) -> int:
    """Stop and remove containers, networks and, when asked for, volumes and images."""
    if args.text("rmi") not in {"", ALL, LOCAL}:
        raise UsageError(f'invalid value for --rmi: "{args.text("rmi")}"')
    project, loaded = context.project_or_labels()
    services = _services(context, project, args, loaded=loaded)
    if services is None:
        return 0
    observed = _observe(context, project, images=bool(args.text("rmi")))
    remove = args.on("remove-orphans") or (
        not args.given("remove-orphans") and is_true(context.env.get("COMPOSE_REMOVE_ORPHANS", ""))
    )
    options = DownOptions(
        services=services,
        volumes=args.on("volumes"),
        images=args.text("rmi"),
        remove_orphans=remove,
        grace=args.number("timeout"),
        separator=context.separator,
    )
    plan = plan_down(project, observed, options)
    if not plan.operations and not project.networks and not project.volumes:
        context.console.warn(f'Warning: No resource found to remove for project "{project.name}".')
    return context.carry_out(project, observed, plan)


def _services(
    context: Context, project: Project, args: Args, *, loaded: bool
) -> tuple[str, ...] | None:
    """The named services; None when none of them is there and that is no fault."""
    from compose.errors import UndefinedReference

    unknown = [name for name in args.rest if name not in project.services]
    if unknown and loaded:
        raise UndefinedReference(f"no such service: {unknown[0]}")
    if unknown and len(unknown) == len(args.rest):
        names = " ".join(args.rest)
        context.console.info(
            f'Any of the services [{names}] not running in project "{project.name}"'
        )
        return None
    return tuple(args.rest)


def _observe(context: Context, project: Project, *, images: bool) -> Observed:
    from compose.context import observe_by_labels
    from compose.model.record import replace

    observed = context.ask(observe_by_labels(context.client, project.name))
    names = [volume.name for volume in project.volumes.values() if not volume.external]
    missing = [name for name in names if name not in observed.volumes]
    if missing:
        found = context.ask(context.client.list_volumes({"name": missing}))
        extra = {volume["Name"]: volume for volume in found if volume["Name"] in missing}
        observed = replace(observed, volumes={**observed.volumes, **extra})
    if images:
        wanted = {
            image_name(project.name, service, context.separator)
            for service in project.services.values()
        }
        local = context.ask(look_at_images(context.client, sorted(wanted)))
        observed = replace(observed, images=local)
    return observed


def rm(context: Context, args: Args) -> int:
    """Remove stopped containers of services."""
    project, loaded = context.project_or_labels()
    if loaded:
        _services(context, project, args, loaded=True)
    observed = _observe(context, project, images=False)
    candidates = chosen(observed.containers, args.rest)
    if args.on("stop") and candidates and not context.dry_run:
        from compose.reconciler.teardown import plan_stop

        names = sorted({container.service for container in candidates})
        context.carry_out(project, observed, plan_stop(project, observed, names))
    stopped = [c for c in candidates if c.state not in ALIVE or args.on("stop")]
    if not stopped:
        context.console.note("No stopped containers")
        return 0
    names_text = ", ".join(container.name for container in stopped)
    if args.on("force") or context.dry_run:
        context.console.print(f"Going to remove {names_text}")
    elif not context.console.confirm(f"Going to remove {names_text}"):
        return 0
    plan = plan_remove(stopped, volumes=args.on("volumes"), force=True)
    return context.carry_out(project, observed, plan)


COMMANDS = (
    Command(
        name="down",
        run=down,
        usage="[OPTIONS] [SERVICES]",
        help="Stop and remove containers, networks",
        flags=(
            Flag(name="remove-orphans", help="Remove containers for services not in the file"),
            Flag(name="rmi", kind=TEXT, help='Remove images used by services ("local"|"all")'),
            Flag(name="timeout", short="t", kind=NUMBER, help="Shutdown timeout in seconds"),
            Flag(
                name="volumes",
                short="v",
                aliases=("volume",),
                help="Remove named volumes of the file and anonymous volumes of containers",
            ),
        ),
    ),
    Command(
        name="rm",
        run=rm,
        usage="[OPTIONS] [SERVICE...]",
        help="Removes stopped service containers",
        flags=(
            Flag(name="all", short="a", hidden=True),
            Flag(name="force", short="f", help="Don't ask to confirm removal"),
            Flag(name="stop", short="s", help="Stop the containers, if required, before removing"),
            Flag(name="volumes", short="v", help="Remove anonymous volumes of the containers"),
        ),
    ),
)
