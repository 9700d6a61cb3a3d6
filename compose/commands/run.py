"""``run``: a one-off container of a service, attached or in the background."""

from __future__ import annotations

import json
import secrets
import sys
from typing import TYPE_CHECKING

from compose.errors import ProtocolError, ShoalError, UndefinedReference, UsageError
from compose.flags import LIST, TEXT, Command, Flag
from compose.loader.command_line import split_command
from compose.loader.mounts import split_mount
from compose.loader.ports import split_port
from compose.model.record import replace
from compose.model.service import STARTED, BindOptions, Mount, Port, VolumeOptions
from compose.reconciler.container_body import (
    Identity,
    container_body,
    resolve_references,
    volumes_from,
)
from compose.reconciler.draft import UpOptions
from compose.reconciler.images import plan_images
from compose.reconciler.mounts import inline_files
from compose.reconciler.observed import image_name, list_project, look_at_images, observe
from compose.reconciler.plan import Plan, WaitFor
from compose.reconciler.reconcile import reconcile

if TYPE_CHECKING:
    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.engine.transport import Response
    from compose.engine.wire import CreateBody
    from compose.flags import Args
    from compose.model.project import Project
    from compose.model.service import Service

SLUG_BYTES = 32
SHOWN_SLUG = 12


def run(context: Context, args: Args) -> int:
    """Run one command in a new container of a service."""
    name, *words = args.rest
    _check_flags(args)
    if context.dry_run:
        raise UsageError("interactive run is not supported in dry-run mode")
    project = context.project([name], dependencies=not args.on("no-deps"))
    service = project.services.get(name)
    if service is None:
        raise UndefinedReference(f"no such service: {name}")
    _prepare_images(context, args, project)
    _start_dependencies(context, args, project, service)
    service = _one_off(context, args, service, words)
    body, container_name = _body(context, args, project, service)
    archive = inline_files(project, service)
    detached = args.on("detach")

    async def work(client: EngineClient) -> int:
        made = await client.create_container(body, name=container_name, platform=service.platform)
        for warning in made.get("Warnings") or ():
            context.console.warn(warning)
        if archive:
            await client.put_archive(made["Id"], "/", archive, owners=True)
        if detached:
            await client.start_container(made["Id"])
            context.console.print(made["Id"])
            return 0
        return await _attached(client, made["Id"], body)

    return context.run(work)


def _check_flags(args: Args) -> None:
    if args.on("service-ports") and args.many("publish"):
        raise UsageError("--service-ports and --publish are incompatible")
    if args.given("tty") and args.given("no-tty"):
        raise UsageError("--tty and --no-TTY can't be used together")
    for label in args.many("label"):
        if "=" not in label:
            raise UsageError("label must be set as KEY=VALUE")


def _prepare_images(context: Context, args: Args, project: Project) -> None:
    names = {
        image_name(project.name, service, context.separator)
        for service in project.services.values()
        if service.provider is None
    }
    policy = args.text("pull")
    if policy and policy != "policy":
        changed = {
            name: replace(service, pull_policy=policy) for name, service in project.services.items()
        }
        project = replace(project, services=changed)
    local = context.ask(look_at_images(context.client, sorted(names)))
    build = True if args.on("build") else None
    plan = plan_images(project, local, build=build, separator=context.separator)
    if plan.operations:
        from compose.reconciler.observed import Observed

        context.carry_out(project, Observed(), plan, "Pulling")


def _start_dependencies(context: Context, args: Args, project: Project, service: Service) -> None:
    """Bring up what the service needs, and the networks and volumes that it uses itself."""
    others = {name: other for name, other in project.services.items() if name != service.name}
    rest = {**project.disabled_services, service.name: service}
    needs = replace(project, services=others, disabled_services=rest)
    observed = context.ask(observe(context.client, needs))
    options = UpOptions(remove_orphans=args.on("remove-orphans"), separator=context.separator)
    plan = reconcile(needs, observed, options)
    for note in plan.notes:
        context.console.warn(note)
    if not plan.changes and all(rule.condition == STARTED for rule in service.depends_on.values()):
        return
    context.carry_out(needs, observed, plan)
    waits = Plan()
    containers = context.ask(list_project(context.client, project.name, oneoff=False))
    for target, rule in service.depends_on.items():
        names = tuple(c.name for c in containers if c.service == target)
        if rule.condition != STARTED and names:
            waits.add(
                WaitFor(
                    service=target,
                    condition=rule.condition,
                    names=names,
                    required=rule.required,
                    dependants=(service.name,),
                )
            )
    context.carry_out(needs, replace(observed, containers=containers), waits)


def _one_off(context: Context, args: Args, service: Service, words: list[str]) -> Service:
    """The service as this run wants it."""
    changes: dict[str, object] = {
        "container_name": "",
        "restart": "",
        "stdin_open": args.on("interactive"),
        "tty": _wants_terminal(args),
        "cap_add": (*service.cap_add, *args.many("cap-add")),
        "cap_drop": (*service.cap_drop, *args.many("cap-drop")),
        "environment": _environment(context, args, service),
        "volumes": (*service.volumes, *(_mount(text) for text in args.many("volume"))),
        "labels": {
            **service.labels,
            **dict(text.split("=", 1) for text in args.many("label")),
        },
    }
    if service.deploy is not None:
        changes["deploy"] = replace(service.deploy, restart_policy=None)
    if words:
        changes["command"] = tuple(words)
    if args.given("entrypoint"):
        changes["entrypoint"] = split_command(args.text("entrypoint"))[0]
        if not words:
            changes["command"] = ()
    if not args.on("service-ports"):
        changes["ports"] = tuple(port for text in args.many("publish") for port in _published(text))
    for flag, field in (("user", "user"), ("workdir", "working_dir")):
        if args.text(flag):
            changes[field] = args.text(flag)
    return replace(service, **changes)


def _wants_terminal(args: Args) -> bool:
    if args.on("detach") or args.on("no-tty"):
        return False
    return args.on("tty") or (
        not args.given("no-tty") and sys.stdin.isatty() and sys.stdout.isatty()
    )


def _environment(context: Context, args: Args, service: Service) -> dict[str, str | None]:
    variables = dict(service.environment)
    for path in args.many("env-from-file"):
        from compose.loader.discover import load_env_file

        variables.update(load_env_file(path, context.env.get, context.console.warn))
    for text in args.many("env"):
        key, equals, value = text.partition("=")
        if equals:
            variables[key] = value
        elif key in context.env:
            variables[key] = context.env[key]
    return variables


def _mount(text: str) -> Mount:
    try:
        parts = split_mount(text)
    except ValueError as error:
        raise UsageError(f"invalid volume: {error}") from error
    read_only = "ro" in parts.options
    if parts.source.startswith(("/", ".", "~")):
        from os.path import abspath, expanduser

        return Mount(
            type="bind",
            source=abspath(expanduser(parts.source)),
            target=parts.target,
            read_only=read_only,
            bind=BindOptions(create_host_path=True),
        )
    return Mount(
        type="volume",
        source=parts.source,
        target=parts.target,
        read_only=read_only,
        volume=VolumeOptions(),
    )


def _published(text: str) -> list[Port]:
    try:
        return [
            Port(
                target=port.target,
                published=port.published,
                host_ip=port.host_ip,
                protocol=port.protocol,
                mode="ingress",
            )
            for port in split_port(text)
        ]
    except ValueError as error:
        raise UsageError(str(error)) from error


def _body(
    context: Context, args: Args, project: Project, service: Service
) -> tuple[CreateBody, str]:
    slug = secrets.token_hex(SLUG_BYTES)
    separator = context.separator
    name = args.text("name") or separator.join(
        (project.name, service.name, "run", slug[:SHOWN_SLUG])
    )
    containers = context.ask(list_project(context.client, project.name, oneoff=False))
    first: dict[str, str] = {}
    for container in sorted(containers, key=lambda container: container.number):
        first.setdefault(container.service, container.id)
    image = image_name(project.name, service, separator)
    local = context.ask(look_at_images(context.client, [image]))
    identity = Identity(
        name=name,
        slug=slug,
        image=image,
        image_id=local[image].id if image in local else "",
        volumes_from=volumes_from(service, first),
        own_aliases=args.on("use-aliases"),
    )
    body = container_body(project, resolve_references(service, first), identity)
    host = body["HostConfig"]
    if args.on("rm"):
        host["AutoRemove"] = True
    if not args.on("detach"):
        body["AttachStdin"] = service.stdin_open
        body["StdinOnce"] = service.stdin_open
    return body, name


async def _attached(client: EngineClient, container: str, body: CreateBody) -> int:
    """Attach, start, pass everything on, and return the container's exit code."""
    import asyncio
    import signal

    from compose.terminal import interact

    terminal = body.get("Tty", False)
    stdin = body.get("AttachStdin", False)
    stream = await client.attach(container, stdin=stdin)
    condition = "removed" if body["HostConfig"].get("AutoRemove") else "next-exit"
    loop = asyncio.get_running_loop()
    sent: set[asyncio.Task[None]] = set()

    def forward(name: str) -> None:
        task = asyncio.create_task(client.kill_container(container, name))
        sent.add(task)
        task.add_done_callback(sent.discard)

    if not terminal:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            loop.add_signal_handler(number, forward, number.name)

    async def resize(rows: int, columns: int) -> None:
        await client.resize_container(container, rows, columns)

    async with client.open_wait(container, condition) as waiting:
        await client.start_container(container)
        await interact(stream, terminal=terminal, stdin=stdin, resize=resize)
        return await _code(waiting)


async def _code(waiting: Response) -> int:
    try:
        answer = json.loads(await waiting.body())
    except ValueError as error:
        raise ProtocolError("the engine did not tell the exit code") from error
    problem = (answer.get("Error") or {}).get("Message")
    if problem:
        raise ShoalError(problem)
    return int(answer.get("StatusCode", 0))


COMMANDS = (
    Command(
        name="run",
        run=run,
        usage="[OPTIONS] SERVICE [COMMAND] [ARGS...]",
        help="Run a one-off command on a service",
        flags=(
            Flag(name="build", help="Build image before starting container"),
            Flag(name="cap-add", kind=LIST, help="Add Linux capabilities"),
            Flag(name="cap-drop", kind=LIST, help="Drop Linux capabilities"),
            Flag(name="detach", short="d", help="Run container in background and print its ID"),
            Flag(name="entrypoint", kind=TEXT, help="Override the entrypoint of the image"),
            Flag(name="env", short="e", kind=LIST, help="Set environment variables"),
            Flag(name="env-from-file", kind=LIST, help="Set environment variables from file"),
            Flag(name="interactive", short="i", default="true", help="Keep STDIN open"),
            Flag(
                name="label",
                short="l",
                aliases=("labels",),
                kind=LIST,
                help="Add or override a label",
            ),
            Flag(name="name", kind=TEXT, help="Assign a name to the container"),
            Flag(
                name="no-tty",
                short="T",
                aliases=("no-TTY",),
                help="Disable pseudo-TTY allocation",
            ),
            Flag(name="no-deps", help="Don't start linked services"),
            Flag(name="publish", short="p", kind=LIST, help="Publish a port to the host"),
            Flag(name="pull", kind=TEXT, default="policy", help="Pull image before running"),
            Flag(name="quiet", short="q", help="Don't print progress"),
            Flag(name="quiet-build", help="Suppress progress output from the build process"),
            Flag(name="quiet-pull", help="Pull without printing progress information"),
            Flag(name="remove-orphans", help="Remove containers of unknown services"),
            Flag(name="rm", help="Automatically remove the container when it exits"),
            Flag(name="service-ports", short="P", help="Publish all of the service's ports"),
            Flag(name="tty", short="t", hidden=True),
            Flag(name="use-aliases", help="Use the service's network aliases"),
            Flag(name="user", short="u", kind=TEXT, help="Run as specified username or uid"),
            Flag(
                name="volume",
                short="v",
                aliases=("volumes",),
                kind=LIST,
                help="Bind mount a volume",
            ),
            Flag(name="workdir", short="w", kind=TEXT, help="Working directory inside"),
        ),
        least=1,
        interspersed=False,
    ),
)
