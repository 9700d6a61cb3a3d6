"""``start``, ``stop``, ``restart``, ``pause``, ``unpause``, ``kill``, ``wait``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from compose.errors import ShoalError, UndefinedReference
from compose.flags import NUMBER, TEXT, Command, Flag
from compose.model.record import replace
from compose.progress import ERROR, WORKING, Event
from compose.reconciler.observed import PAUSED, Observed, list_project
from compose.reconciler.startup import plan_start_existing
from compose.reconciler.teardown import chosen, plan_down, plan_restart, plan_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.flags import Args
    from compose.model.project import Project
    from compose.reconciler.observed import Container


def _look(context: Context, args: Args, *, alive: bool = False) -> tuple[Project, Observed]:
    """The project and its containers; unknown services are an error when there are files."""
    project, loaded = context.project_or_labels()
    for name in args.rest:
        if loaded and name not in project.services:
            raise UndefinedReference(f"no such service: {name}")
    containers = context.ask(list_project(context.client, project.name, all=not alive))
    return project, Observed(containers=containers)


def start(context: Context, args: Args) -> int:
    """Start existing containers, dependencies first."""
    project, observed = _look(context, args)
    unknown = [name for name in args.rest if name not in project.services]
    if unknown:
        raise UndefinedReference(f'no such service: "{unknown[0]}": not found')
    names = set(args.rest or project.services)
    left = list(names)
    while left:
        for target in project.services[left.pop()].depends_on:
            if target in project.services and target not in names:
                names.add(target)
                left.append(target)
    if not observed.containers and context.args.text("project-name"):
        raise ShoalError(f'no container found for project "{project.name}": not found')
    plan = plan_start_existing(project, observed, names)
    return context.carry_out(project, observed, plan)


def stop(context: Context, args: Args) -> int:
    """Stop running containers without removing them."""
    project, observed = _look(context, args)
    plan = plan_stop(project, observed, args.rest, args.number("timeout"))
    return context.carry_out(project, observed, plan, "Stopping")


def restart(context: Context, args: Args) -> int:
    """Restart containers and what asked to be restarted with them."""
    project, observed = _look(context, args)
    plan = plan_restart(
        project,
        observed,
        args.rest,
        grace=args.number("timeout"),
        dependants=not args.on("no-deps"),
    )
    return context.carry_out(project, observed, plan, "Restarting")


def pause(context: Context, args: Args) -> int:
    """Pause running containers."""
    _, observed = _look(context, args, alive=True)
    found = [c for c in chosen(observed.containers, args.rest) if c.running]
    return _each(context, found, ("", "Paused"), lambda client, c: client.pause_container(c.id))


def unpause(context: Context, args: Args) -> int:
    """Let paused containers go on."""
    _, observed = _look(context, args, alive=True)
    found = [c for c in chosen(observed.containers, args.rest) if c.state == PAUSED]
    return _each(context, found, ("", "Unpaused"), lambda client, c: client.unpause_container(c.id))


def kill(context: Context, args: Args) -> int:
    """Send a signal to running containers, those of ``run`` included."""
    project, observed = _look(context, args, alive=True)
    known = project.services.keys() if not args.on("remove-orphans") else None
    found = [
        c
        for c in observed.containers
        if (not args.rest or c.service in args.rest) and (known is None or c.service in known)
    ]
    if not found:
        context.console.draw("no container to kill")
        return 0
    signal = args.text("signal")
    return _each(
        context, found, ("Killing", "Killed"), lambda client, c: client.kill_container(c.id, signal)
    )


def _each(
    context: Context,
    found: Sequence[Container],
    words: tuple[str, str],
    call: Callable[[EngineClient, Container], Coroutine[object, None, None]],
) -> int:
    """Do the same to every container at once; the first failure is the command's."""
    if context.dry_run:
        for container in found:
            context.console.print(f"{container.service}: {words[1].lower()} {container.name}")
        return 0
    if not found:
        return 0
    from compose.reconciler.threads import LockedProgress, call_all

    progress = LockedProgress(context.progress(words[0] or "Running"))

    async def one(container: Container) -> None:
        shown = f"Container {container.name}"
        if words[0]:
            progress.report(Event(id=shown, status=words[0], state=WORKING))
        try:
            await call(context.client, container)
        except ShoalError:
            text = f"Error while {words[0]}" if words[0] else "Error"
            progress.report(Event(id=shown, status=text, state=ERROR))
            raise
        progress.report(Event(id=shown, status=words[1]))

    call_all([partial(one, container) for container in found], progress)
    return 0


def wait(context: Context, args: Args) -> int:
    """Block until containers of services end; returns the code of the last one."""
    project, observed = _look(context, args, alive=True)
    found = chosen(observed.containers, args.rest)
    if not found:
        raise ShoalError(f'no containers for project "{project.name}"')

    async def work(client: EngineClient) -> int:
        import asyncio

        last = 0

        async def one(container: Container) -> None:
            nonlocal last
            answer = await client.wait_container(container.id)
            last = answer.get("StatusCode", 0)
            console.print(f'container "{container.id}" exited with status code {last}')

        console = context.console
        await asyncio.gather(*map(one, found))
        return last

    code = context.run(work)
    if args.on("down-project"):
        from compose.context import observe_by_labels
        from compose.reconciler.teardown import DownOptions

        everything = context.ask(observe_by_labels(context.client, project.name))
        plan = plan_down(project, everything, DownOptions(remove_orphans=True))
        context.carry_out(replace(project), everything, plan)
    return code


TIMEOUT = Flag(name="timeout", short="t", kind=NUMBER, help="Specify a shutdown timeout in seconds")
SERVICES = "[OPTIONS] [SERVICE...]"
COMMANDS = (
    Command(name="start", run=start, usage="[SERVICE...]", help="Start services"),
    Command(name="stop", run=stop, usage=SERVICES, help="Stop services", flags=(TIMEOUT,)),
    Command(
        name="restart",
        run=restart,
        usage=SERVICES,
        help="Restart service containers",
        flags=(TIMEOUT, Flag(name="no-deps", help="Don't restart dependent services")),
    ),
    Command(name="pause", run=pause, usage="[SERVICE...]", help="Pause services"),
    Command(name="unpause", run=unpause, usage="[SERVICE...]", help="Unpause services"),
    Command(
        name="kill",
        run=kill,
        usage=SERVICES,
        help="Force stop service containers",
        flags=(
            Flag(
                name="signal",
                short="s",
                kind=TEXT,
                default="SIGKILL",
                help="SIGNAL to send to the container",
            ),
            Flag(name="remove-orphans", help="Kill containers of unknown services too"),
        ),
    ),
    Command(
        name="wait",
        run=wait,
        usage="SERVICE [SERVICE...] [OPTIONS]",
        help="Block until containers of all (or specified) services stop.",
        flags=(Flag(name="down-project", help="Drops project when the first container stops"),),
        least=1,
    ),
)
