"""``up``, ``create``, ``scale``: load, observe, reconcile, show or execute the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.console import is_true
from compose.errors import OperationFailed, ShoalError, UndefinedReference, UsageError
from compose.flags import LIST, NUMBER, TEXT, Command, Flag
from compose.model.record import replace
from compose.reconciler.draft import DIVERGED, FORCE, NEVER, UpOptions
from compose.reconciler.images import plan_images
from compose.reconciler.observed import image_name, look_at_images, observe
from compose.reconciler.plan import CREATE, KeepContainer
from compose.reconciler.reconcile import diverged_volumes, reconcile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.flags import Args
    from compose.model.project import Project
    from compose.model.service import Service
    from compose.progress import Progress
    from compose.reconciler.observed import Observed
    from compose.reconciler.plan import Plan

POLICIES = frozenset({"always", "missing", "never", "build", "if_not_present", "policy"})
INCOMPATIBLE = (
    ("build", "no-build"),
    ("force-recreate", "no-recreate"),
    ("always-recreate-deps", "no-recreate"),
    ("no-recreate", "renew-anon-volumes"),
    ("no-build", "watch"),
)
CREATE_FLAGS = (
    Flag(name="build", help="Build images before starting containers"),
    Flag(name="force-recreate", help="Recreate containers even if nothing has changed"),
    Flag(name="no-build", help="Don't build an image, even if it's policy"),
    Flag(name="no-recreate", help="If containers already exist, don't recreate them"),
    Flag(
        name="pull",
        kind=TEXT,
        default="policy",
        help='Pull image before running ("always"|"missing"|"never"|"build")',
    ),
    Flag(name="quiet-pull", help="Pull without printing progress information"),
    Flag(name="remove-orphans", help="Remove containers for services not in the Compose file"),
    Flag(name="scale", kind=LIST, help="Scale SERVICE to NUM instances"),
    Flag(name="yes", short="y", aliases=("y",), help='Assume "yes" as answer to all prompts'),
)
UP_FLAGS = (
    *CREATE_FLAGS,
    Flag(name="abort-on-container-exit", help="Stops all containers if any container stops"),
    Flag(name="abort-on-container-failure", help="Stops all containers if any exits with failure"),
    Flag(name="always-recreate-deps", help="Recreate dependent containers"),
    Flag(name="attach", kind=LIST, help="Restrict attaching to the specified services"),
    Flag(name="attach-dependencies", help="Automatically attach to log output of dependencies"),
    Flag(name="detach", short="d", help="Detached mode: Run containers in the background"),
    Flag(name="exit-code-from", kind=TEXT, help="Return the exit code of the selected service"),
    Flag(name="menu", help="Enable interactive shortcuts when running attached"),
    Flag(name="no-attach", kind=LIST, help="Do not attach (stream logs) to these services"),
    Flag(name="no-color", help="Produce monochrome output"),
    Flag(name="no-deps", help="Don't start linked services"),
    Flag(name="no-log-prefix", help="Don't print prefix in logs"),
    Flag(name="no-start", help="Don't start the services after creating them"),
    Flag(name="quiet-build", help="Suppress the build output"),
    Flag(name="renew-anon-volumes", short="V", help="Recreate anonymous volumes"),
    Flag(name="timeout", short="t", kind=NUMBER, help="Shutdown timeout in seconds"),
    Flag(name="timestamps", help="Show timestamps"),
    Flag(name="wait", help="Wait for services to be running|healthy. Implies detached mode"),
    Flag(name="wait-timeout", kind=NUMBER, default="0", help="Maximum seconds to wait"),
    Flag(name="watch", short="w", help="Watch source code and rebuild/refresh containers"),
)


def up(context: Context, args: Args) -> int:
    """Create and start what the project says, in the background or attached."""
    _check_flags(args)
    if args.on("watch"):
        raise UsageError("--watch is not supported yet", hint="start without it")
    job = Job(context, args)
    detached = args.on("detach") or args.on("wait") or args.on("no-start")
    plan = job.prepare()
    if args.on("no-start"):
        plan = plan.phase(CREATE)
    if context.dry_run:
        return context.show(plan)
    if detached:
        job.execute(plan)
        return 0
    from compose.session import SessionOptions, run_session

    options = SessionOptions(
        services=job.attached(),
        abort=_abort_mode(args),
        exit_code_from=args.text("exit-code-from"),
        prefix=not args.on("no-log-prefix"),
        colour=context.console.colour_out and not args.on("no-color"),
        timestamps=args.on("timestamps"),
        grace=args.number("timeout"),
    )
    project, observed = job.project, job.observed
    return context.run(
        lambda client: run_session(client, project, observed, plan, options, context.console)
    )


def create(context: Context, args: Args) -> int:
    """Create containers without starting them."""
    job = Job(context, args)
    plan = job.prepare().phase(CREATE)
    if context.dry_run:
        return context.show(plan)
    job.execute(plan)
    return 0


def scale(context: Context, args: Args) -> int:
    """Change how many containers services have."""
    for text in args.rest:
        _, equals, number = text.partition("=")
        if not equals:
            raise UsageError(f"invalid scale specifier: {text}")
        if not number.isdecimal():
            raise UsageError(f"invalid scale specifier: can't parse replica value as int: {text}")
    job = Job(context, args, scales=args.rest)
    plan = job.prepare()
    if context.dry_run:
        return context.show(plan)
    job.execute(plan)
    return 0


def _check_flags(args: Args) -> None:
    aborts = args.on("abort-on-container-exit") or args.on("abort-on-container-failure")
    attaches = bool(args.many("attach")) or args.on("attach-dependencies")
    if args.on("wait") and (args.on("abort-on-container-exit") or attaches):
        raise UsageError(
            "--wait cannot be combined with --abort-on-container-exit,"
            " --attach or --attach-dependencies"
        )
    if args.on("detach") and (aborts or attaches or args.on("watch")):
        raise UsageError(
            "--detach cannot be combined with --abort-on-container-exit,"
            " --abort-on-container-failure, --attach, --attach-dependencies or --watch"
        )
    for one, other in INCOMPATIBLE:
        if args.on(one) and args.on(other):
            raise UsageError(f"--{one} and --{other} are incompatible")
    if args.on("abort-on-container-exit") and args.on("abort-on-container-failure"):
        raise UsageError(
            "--abort-on-container-failure cannot be combined with --abort-on-container-exit"
        )
    if args.many("attach") and args.on("attach-dependencies"):
        raise UsageError("cannot combine --attach and --attach-dependencies")


def _abort_mode(args: Args) -> str:
    if args.on("abort-on-container-failure"):
        return "failure"
    if args.on("abort-on-container-exit") or args.text("exit-code-from"):
        return "exit"
    return ""


class Job:
    """One ``up`` or ``create``: from flags to a plan, and its execution."""

    def __init__(self, context: Context, args: Args, scales: Sequence[str] = ()) -> None:
        """Load the project and apply the flags that change it."""
        self.context = context
        self.args = args
        self._flags = {flag.name for flag in UP_FLAGS}
        self.named = () if scales else tuple(args.rest)
        wanted = [text.partition("=")[0] for text in scales] or list(self.named)
        dependencies = not self._on("no-deps")
        project = context.project(wanted, dependencies=dependencies)
        for text in scales or self._many("scale"):
            project = _scaled(project, text)
        self.project = _with_pull_policy(project, self._text("pull"))
        if not self.project.services:
            raise ShoalError("no service selected")
        self.observed: Observed

    def _on(self, name: str) -> bool:
        return self.args.knows(name) and self.args.on(name)

    def _text(self, name: str) -> str:
        return self.args.text(name) if self.args.knows(name) else ""

    def _many(self, name: str) -> list[str]:
        return self.args.many(name) if self.args.knows(name) else []

    def prepare(self) -> Plan:
        """Make images available, look at the engine, decide."""
        self._check_attach()
        fresh = self._images()
        self.observed = self.context.ask(observe(self.context.client, self.project))
        plan = reconcile(self.project, self.observed, self._options(fresh))
        for note in plan.notes:
            self.context.console.warn(note)
        return plan

    def _check_attach(self) -> None:
        name = self._text("exit-code-from")
        if name and name not in self.project.services:
            raise UndefinedReference(f"no such service: {name}: not found")
        missing = [s for s in self._many("attach") if s not in self.project.services]
        if missing:
            raise UsageError(f"cannot attach to services not included in up: {', '.join(missing)}")

    def attached(self) -> tuple[str, ...]:
        """Services whose output an attached ``up`` shows."""
        named = self._many("attach") or list(self.named)
        if self._on("attach-dependencies") or not named:
            named = [
                name
                for name, service in self.project.services.items()
                if service.attach is not False
            ]
        return tuple(name for name in named if name not in self._many("no-attach"))

    def _options(self, fresh: tuple[str, ...]) -> UpOptions:
        recreate = DIVERGED
        if self._on("no-recreate"):
            recreate = NEVER
        elif self._on("force-recreate") or self._on("renew-anon-volumes"):
            recreate = FORCE
        dependencies = FORCE if self._on("always-recreate-deps") else DIVERGED
        env = self.context.env
        remove = self._on("remove-orphans")
        if not self.args.given("remove-orphans") and "wait" in self._flags:
            remove = remove or is_true(env.get("COMPOSE_REMOVE_ORPHANS", ""))
        ignore = is_true(env.get("COMPOSE_IGNORE_ORPHANS", ""))
        if ignore and remove:
            raise UsageError("cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans")
        return UpOptions(
            services=self.named,
            recreate=recreate,
            recreate_dependencies=NEVER if recreate == NEVER else dependencies,
            inherit=not self._on("renew-anon-volumes"),
            grace=self.args.number("timeout") if self.args.knows("timeout") else None,
            remove_orphans=remove,
            ignore_orphans=ignore,
            wait=self._on("wait"),
            replace_volumes=self._volumes_to_replace(),
            fresh_images=fresh,
            separator=self.context.separator,
        )

    def _volumes_to_replace(self) -> tuple[str, ...]:
        agreed = []
        for name in diverged_volumes(self.project, self.observed):
            question = (
                f'Volume "{name}" exists but doesn\'t match configuration in compose file.'
                " Recreate (data will be lost)?"
            )
            if self.context.dry_run:
                continue
            if self._on("yes") or self.context.console.confirm(question):
                agreed.append(name)
        return tuple(agreed)

    def _images(self) -> tuple[str, ...]:
        """Pull and build what is asked for; names the images that a dry run did not make."""
        context = self.context
        names = {
            image_name(self.project.name, service, context.separator)
            for service in self.project.services.values()
            if service.provider is None
        }
        local = context.ask(look_at_images(context.client, sorted(names)))
        build = None
        if self._on("build") or self._on("no-build"):
            build = self._on("build")
        plan = plan_images(self.project, local, build=build, separator=context.separator)
        if not plan.operations:
            return ()
        if context.dry_run:
            for line in plan.explain():
                context.console.print(line)
            return tuple(str(getattr(operation, "image", "")) for _, operation in plan)
        quiet = self._on("quiet-pull")
        self._execute_images(plan, quiet=quiet)
        return ()

    def _execute_images(self, plan: Plan, *, quiet: bool) -> None:
        from compose.progress import QuietProgress
        from compose.reconciler.execute import execute, with_ticks
        from compose.reconciler.observed import Observed
        from compose.reconciler.operations import Operations

        context = self.context
        progress: Progress = QuietProgress() if quiet else context.progress("Pulling")
        limit = context.parallel

        async def work(client: EngineClient) -> None:
            operations = Operations(
                client, self.project, Observed(), progress, separator=context.separator
            )
            if not self._on("quiet-build"):
                operations.build_output = context.console.write
            await with_ticks(execute(plan, operations.perform, parallel=limit), progress)

        context.run(work)

    def execute(self, plan: Plan) -> None:
        """Carry the plan out and wait if that was asked for."""
        context = self.context
        progress = context.progress()
        if not plan.changes:
            for _, operation in plan:
                if isinstance(operation, KeepContainer):
                    report_kept(progress, operation)
            progress.stop()
            return
        seconds = self.args.number("wait-timeout") if self.args.knows("wait-timeout") else 0
        try:
            context.execute(self.project, self.observed, plan, progress, seconds or 0)
        except TimeoutError:
            raise OperationFailed(f"application not healthy after {seconds}s") from None


def report_kept(progress: Progress, operation: KeepContainer) -> None:
    """Say that a container runs already."""
    from compose.progress import Event

    progress.report(Event(id=f"Container {operation.container.name}", status="Running"))


def _scaled(project: Project, text: str) -> Project:
    name, equals, number = text.partition("=")
    if not equals:
        raise UsageError(f'invalid --scale option "{text}". Should be SERVICE=NUM')
    if not number.isdecimal():
        raise UsageError(f'strconv.Atoi: parsing "{number}": invalid syntax')
    service = project.services.get(name)
    if service is None:
        raise UndefinedReference(f"no such service: {name}")
    if service.container_name and int(number) > 1:
        raise UsageError(
            f"services.scale: can't set container_name and {name} as container name"
            " must be unique: invalid compose project"
        )
    return _with_services(project, {name: replace(service, scale=int(number))})


def _with_services(project: Project, changed: Mapping[str, Service]) -> Project:
    return replace(project, services={**project.services, **changed})


def _with_pull_policy(project: Project, policy: str) -> Project:
    if policy and policy not in POLICIES:
        raise UsageError(f'invalid --pull option "{policy}"')
    if not policy or policy == "policy":
        return project
    policy = "missing" if policy == "if_not_present" else policy
    return _with_services(
        project,
        {name: replace(service, pull_policy=policy) for name, service in project.services.items()},
    )


COMMANDS = (
    Command(
        name="up",
        run=up,
        usage="[OPTIONS] [SERVICE...]",
        help="Create and start containers",
        flags=UP_FLAGS,
    ),
    Command(
        name="create",
        run=create,
        usage="[OPTIONS] [SERVICE...]",
        help="Creates containers for a service",
        flags=CREATE_FLAGS,
    ),
    Command(
        name="scale",
        run=scale,
        usage="[SERVICE=REPLICAS...]",
        help="Scale services",
        flags=(Flag(name="no-deps", help="Don't start linked services"),),
        least=1,
    ),
)
