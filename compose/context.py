"""What every command gets: the console, the environment, the project and the engine, on demand."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, TypeVar

from compose.console import Console, is_true
from compose.engine.client import EngineClient
from compose.engine.connection import connect_blocking, drive
from compose.engine.contexts import choose_engine
from compose.engine.launch import ensure_engine
from compose.engine.transport import Transport
from compose.errors import Interrupted, LoadError, UsageError
from compose.graph import select, without_unused
from compose.progress import make_progress
from compose.reconciler.observed import Observed, list_project, look_at_resources

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from compose.engine.contexts import Choice
    from compose.flags import Args
    from compose.loader.discover import LoadOptions
    from compose.model.project import Project
    from compose.progress import Progress
    from compose.reconciler.plan import Plan

Answer = TypeVar("Answer")
UNLIMITED = 1000


class Context:
    """One run of the program."""

    def __init__(self, args: Args, env: Mapping[str, str], console: Console) -> None:
        """Keep what the command line and the environment say; nothing is loaded yet.

        Args:
            args: flags that stand before the verb.
            env: the process environment.
            console: where to write.
        """
        self.args = args
        self.env = env
        self.console = console
        self.dry_run = args.on("dry-run")
        self._client: EngineClient | None = None
        self._choice: Choice | None = None
        self._ready = False

    # The project

    @property
    def separator(self) -> str:
        """What stands between the parts of a container's name."""
        compatible = self.args.on("compatibility") or is_true(
            self.env.get("COMPOSE_COMPATIBILITY", "")
        )
        return "_" if compatible else "-"

    @property
    def parallel(self) -> int:
        """How many images are pulled or built at once."""
        text = self.env.get("COMPOSE_PARALLEL_LIMIT", "")
        if text and not text.removeprefix("-").isdecimal():
            raise UsageError(f'COMPOSE_PARALLEL_LIMIT must be an integer (found: "{text}")')
        given = self.args.number("parallel") if self.args.given("parallel") else int(text or -1)
        return given if given and given > 0 else UNLIMITED

    def load_options(self, **changes: object) -> LoadOptions:
        """What to load, from the flags before the verb.

        Args:
            changes: fields of `LoadOptions` that a command sets itself.
        """
        from compose.loader.discover import LoadOptions  # noqa: PLC0415 - 11 ms only of those that load

        directory = self.args.text("project-directory") or self.args.text("workdir")
        values: dict[str, object] = {
            "files": tuple(self.args.many("file")),
            "project_directory": directory,
            "project_name": self.args.text("project-name"),
            "env_files": tuple(self.args.many("env-file")),
            "profiles": tuple(self.args.many("profile")),
            "environ": self.env,
            "working_directory": os.getcwd(),
            "warn": self.console.warn,
        }
        return LoadOptions(**{**values, **changes})  # type: ignore[arg-type]

    def project(
        self,
        names: Sequence[str] = (),
        *,
        dependencies: bool = True,
        keep_unused: bool = False,
    ) -> Project:
        """Load the project, narrowed to some services and what they need.

        Args:
            names: services that were named; their profiles count as active.
            dependencies: whether what they depend on is kept too.
            keep_unused: whether networks and volumes of no service are kept.
        """
        from compose.loader.load import load_project  # noqa: PLC0415 - YAML only where it is read

        loaded = load_project(self.load_options(keep_unused=True, services=tuple(names)))
        chosen = select(loaded, names, dependencies=dependencies)
        if keep_unused or self.args.on("all-resources"):
            return chosen
        return without_unused(chosen)

    def project_name(self) -> str:
        """The project's name, for commands that need nothing else."""
        name = self.args.text("project-name") or self.env.get("COMPOSE_PROJECT_NAME", "")
        return name or self.project(keep_unused=True).name

    def project_or_labels(self) -> tuple[Project, bool]:
        """The project from its files or, with ``-p`` and no ``-f``, from labels on the engine.

        Returns:
            The project, and whether it was loaded from files.
        """
        name = self.args.text("project-name")
        if not name or self.args.many("file"):
            try:
                return self.project(keep_unused=True), True
            except LoadError:
                name = self.env.get("COMPOSE_PROJECT_NAME", "")
                if not name or self.args.many("file"):
                    raise
        return self._from_labels(name), False

    def _from_labels(self, name: str) -> Project:
        from compose.reconciler.from_labels import (  # noqa: PLC0415 - most commands have files
            project_of_labels,
        )

        containers = self.ask(list_project(self.client, name))
        networks, volumes = self.ask(look_at_resources(self.client, name))
        return project_of_labels(name, containers, networks, volumes)

    # The engine

    @property
    def choice(self) -> Choice:
        """Which engine the command talks to."""
        if self._choice is None:
            self._choice = choose_engine(
                self.args.text("host"), self.args.text("context"), self.env
            )
        return self._choice

    def _engine_ready(self) -> None:
        if not self._ready and self.choice.own:
            ensure_engine(self.choice.address.path, self.env)
        self._ready = True

    @property
    def client(self) -> EngineClient:
        """A client whose calls block; for `ask`."""
        if self._client is None:
            self._engine_ready()
            self._client = EngineClient(self._transport_blocking())
        return self._client

    def _transport_blocking(self) -> Transport:
        api = self.env.get("DOCKER_API_VERSION", "")
        return Transport(self.choice.address, connect_blocking, api=api)

    def ask(self, question: Coroutine[object, None, Answer]) -> Answer:
        """Run calls of `client` one after another, without an event loop."""
        return drive(question)

    def run(self, work: Callable[[EngineClient], Awaitable[Answer]]) -> Answer:
        """Run work that does several things at once on an event loop.

        Raises:
            Interrupted: the user pressed Ctrl-C and the work did not handle that.
        """
        import asyncio  # noqa: PLC0415 - 45 ms that only commands which act pay

        from compose.engine.loop_connection import connect_on_loop  # noqa: PLC0415 - imports asyncio

        self._engine_ready()
        gc.enable()  # this may last: the command edge switched it off

        async def whole() -> Answer:
            client = EngineClient(
                Transport(
                    self.choice.address,
                    connect_on_loop,
                    api=self.env.get("DOCKER_API_VERSION", ""),
                )
            )
            try:
                return await work(client)
            finally:
                client.close()

        try:
            return asyncio.run(whole())
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None

    def progress(self, title: str = "Running") -> Progress:
        """A progress display for the console's mode."""
        progress = make_progress(self.console)
        progress.start(title)
        return progress

    def show(self, plan: Plan) -> int:
        """Print a plan's decisions instead of carrying them out."""
        for line in plan.explain() or ["nothing to do"]:
            self.console.print(line)
        return 0

    def carry_out(
        self, project: Project, observed: Observed, plan: Plan, title: str = "Running"
    ) -> int:
        """Show a plan when this is a dry run, else execute it."""
        if self.dry_run:
            return self.show(plan)
        if plan.operations:
            self.execute(project, observed, plan, self.progress(title))
        return 0

    def execute(
        self,
        project: Project,
        observed: Observed,
        plan: Plan,
        progress: Progress,
        seconds: int = 0,
    ) -> None:
        """Execute a plan, on an event loop only if it waits for something.

        Args:
            project: the project.
            observed: what was there when the plan was made.
            plan: what to do.
            progress: where to show it.
            seconds: how long the wait at its end may take; 0 means for ever.
        """
        from compose.reconciler.threads import (  # noqa: PLC0415 - not needed to look only
            needs_loop,
            run_on_threads,
        )

        if not needs_loop(plan):
            run_on_threads(self.client, project, observed, plan, progress, separator=self.separator)
            return
        from compose.reconciler.execute import run_plan  # noqa: PLC0415 - imports asyncio

        async def work(client: EngineClient) -> None:
            await run_plan(
                client,
                project,
                observed,
                plan,
                progress,
                separator=self.separator,
                seconds=seconds,
            )

        self.run(work)

    def close(self) -> None:
        """Close the connections to the engine."""
        if self._client is not None:
            self._client.close()


async def observe_by_labels(client: EngineClient, name: str) -> Observed:
    """What carries the project's label, whatever the files say."""
    containers = await list_project(client, name)
    networks, volumes = await look_at_resources(client, name)
    return Observed(
        containers=containers,
        networks={network["Name"]: network for network in networks},
        volumes={volume["Name"]: volume for volume in volumes},
    )
