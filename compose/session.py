"""Foreground ``up``: output of all containers, the first and second Ctrl-C, the end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import TYPE_CHECKING

from compose.console import BOLD, RED
from compose.engine.containers import LogQuery
from compose.engine.stream import FrameDecoder, RawDecoder
from compose.errors import EngineError, NotFound
from compose.logs import LineCollector, LogPrinter, Source, follow, shown_name
from compose.model.record import record
from compose.progress import QuietProgress, make_progress
from compose.reconciler import labels
from compose.reconciler.execute import execute, run_plan, with_ticks
from compose.reconciler.observed import Observed, list_project
from compose.reconciler.operations import Operations
from compose.reconciler.plan import CREATE, START, KeepContainer, StartContainer
from compose.reconciler.teardown import plan_stop

if TYPE_CHECKING:
    from compose.console import Console
    from compose.engine.client import EngineClient
    from compose.engine.transport import Hijacked
    from compose.engine.wire import Event
    from compose.model.project import Project
    from compose.reconciler.plan import Plan

INTERRUPTED = 130
DRAIN_SECONDS = 2.0
ERASE_LINE = "\r\x1b[K"


@record
class SessionOptions:
    """How an attached ``up`` behaves.

    Attributes:
        services: whose output is shown, and whose end ends it.
        abort: ``exit`` or ``failure`` when the end of one container stops all.
        exit_code_from: the service whose code becomes the command's.
        prefix: whether lines begin with the container's name.
        colour: whether the names are coloured.
        timestamps: whether lines carry the time.
        grace: seconds until a stopped container is killed.
    """

    services: tuple[str, ...] = ()
    abort: str = ""
    exit_code_from: str = ""
    prefix: bool = True
    colour: bool = False
    timestamps: bool = False
    grace: int | None = None


async def run_session(
    client: EngineClient,
    project: Project,
    observed: Observed,
    plan: Plan,
    options: SessionOptions,
    console: Console,
) -> int:
    """Carry the plan out attached, until everything ended or the user ends it.

    Returns:
        The exit code of the command.
    """
    session = _Session(client, project, options, console)
    return await session.run(observed, plan)


class _Session:
    def __init__(
        self, client: EngineClient, project: Project, options: SessionOptions, console: Console
    ) -> None:
        self._client = client
        self._project = project
        self._options = options
        self._console = console
        self._printer = LogPrinter(
            console,
            prefix=options.prefix,
            colour=options.colour,
            timestamps=options.timestamps,
            split=True,
        )
        self._output: dict[str, asyncio.Task[None]] = {}
        self._names: dict[str, str] = {}
        self._services: dict[str, str] = {}
        self._live: set[str] = set()
        self._finished = asyncio.Event()
        self._signals = 0
        self._signalled = asyncio.Event()
        self._code: int | None = None
        self._starting = True

    async def run(self, observed: Observed, plan: Plan) -> int:
        """The whole session."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        listener: asyncio.Task[None] | None = None
        operations = Operations(self._client, self._project, observed, QuietProgress())
        try:
            creating = asyncio.create_task(self._create(operations, plan))
            if await self._interrupted(creating):
                return INTERRUPTED
            self._attach_notice(plan)
            ready = asyncio.Event()
            listener = asyncio.create_task(self._listen(ready))
            await ready.wait()
            starting = asyncio.create_task(self._start(operations, plan))
            if await self._interrupted(starting):
                return await self._stop()
            return await self._until_end()
        finally:
            await operations.close()
            tasks = [*self._output.values(), *([listener] if listener else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        self._signals += 1
        self._signalled.set()

    async def _interrupted(self, work: asyncio.Task[None]) -> bool:
        """Await work; tell whether the user ended it."""
        waiting = asyncio.create_task(self._signalled.wait())
        done, _ = await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if work in done:
            await work
            return False
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return True

    async def _create(self, operations: Operations, plan: Plan) -> None:
        progress = make_progress(self._console)
        progress.start("Running")
        operations.progress = progress
        await with_ticks(execute(plan.phase(CREATE), operations.perform), progress)

    def _attach_notice(self, plan: Plan) -> None:
        names = []
        for _, operation in plan:
            if isinstance(operation, StartContainer) and self._shown(operation.service):
                names.append(operation.name)
            elif isinstance(operation, KeepContainer) and self._shown(operation.container.service):
                names.append(operation.container.name)
        for name in sorted(names):
            self._printer.register(shown_name(self._project.name, name))
        shown = sorted(shown_name(self._project.name, name) for name in names)
        self._console.print(f"Attaching to {', '.join(shown)}")

    def _shown(self, service: str) -> bool:
        return service in self._options.services

    async def _start(self, operations: Operations, plan: Plan) -> None:
        operations.progress = QuietProgress()
        operations.before_start = self._before_start
        operations.hook_output = self._hook_output
        for _, operation in plan:
            if isinstance(operation, KeepContainer) and self._shown(operation.container.service):
                container = operation.container
                await self._attach(container.id, container.name, container.service)
        await execute(plan.phase(START), operations.perform)
        self._starting = False
        self._check_end()

    async def _before_start(self, container: str, operation: StartContainer) -> None:
        if self._shown(operation.service):
            await self._attach(container, operation.name, operation.service)

    def _hook_output(self, container: str, data: bytes) -> None:
        name = f"{self._names.get(container, container[:12])} -> "
        self._printer.lines(name, data.rstrip(b"\n").split(b"\n"))

    async def _attach(self, container: str, name: str, service: str) -> None:
        """Connect to a container's output before its process begins."""
        self._know(container, name, service)
        tty = bool(self._project.services[service].tty)
        stream = await self._client.attach(container)
        self._output[container] = asyncio.create_task(self._copy(stream, container, tty=tty))

    def _know(self, container: str, name: str, service: str) -> None:
        self._names[container] = shown_name(self._project.name, name)
        self._services[container] = service
        self._live.add(container)
        self._printer.register(self._names[container])

    async def _copy(self, stream: Hijacked, container: str, *, tty: bool) -> None:
        decoder = RawDecoder() if tty else FrameDecoder()
        collector = LineCollector(self._printer, self._names[container])
        try:
            while data := await stream.read():
                for number, piece in decoder.feed(data):
                    collector.feed(number, piece)
        finally:
            collector.finish()
            stream.close()

    async def _listen(self, ready: asyncio.Event) -> None:
        filters = {
            "label": [f"{labels.PROJECT}={self._project.name}", f"{labels.ONEOFF}=False"],
            "type": ["container"],
            "event": ["start", "die"],
        }
        stream = self._client.events(filters, opened=ready.set)
        try:
            async for event in stream:
                await self._on_event(event)
        finally:
            ready.set()

    async def _on_event(self, event: Event) -> None:
        actor = event.get("Actor") or {}
        container, attributes = actor.get("ID", ""), actor.get("Attributes") or {}
        service = attributes.get(labels.SERVICE, "")
        if not self._shown(service):
            return
        if event.get("Action") == "die" and container in self._live:
            await self._on_death(container, int(attributes.get("exitCode", 0)))
        elif event.get("Action") == "start" and (
            container not in self._output or self._output[container].done()
        ):
            self._know(container, attributes.get("name", ""), service)
            since = f"{event.get('timeNano', 0) / 1e9:.9f}"
            tty = bool(self._project.services[service].tty)
            source = Source(container, self._names[container], tty=tty)
            query = LogQuery(follow=True, since=since)
            self._output[container] = asyncio.create_task(
                follow(self._client, source, query, self._printer)
            )

    async def _on_death(self, container: str, code: int) -> None:
        output = self._output.get(container)
        if output is not None:
            await asyncio.wait({output}, timeout=DRAIN_SECONDS)
        restarting = await self._restarts(container)
        note = " (restarting)" if restarting else ""
        erase = ERASE_LINE if sys.stdout.isatty() else ""
        self._console.print(f"{erase}{self._names[container]} exited with code {code}{note}")
        if restarting:
            return
        self._live.discard(container)
        if self._code is None and self._aborts(code):
            self._code = code
            self._finished.set()
        self._check_end()

    async def _restarts(self, container: str) -> bool:
        try:
            state = (await self._client.inspect_container(container))["State"]
        except NotFound:
            return False
        return bool(state.get("Restarting") or state.get("Running"))

    def _aborts(self, code: int) -> bool:
        if self._options.abort == "failure":
            return code != 0
        return self._options.abort == "exit"

    def _check_end(self) -> None:
        if not self._live and not self._starting:
            self._finished.set()

    async def _until_end(self) -> int:
        finished = asyncio.create_task(self._finished.wait())
        signalled = asyncio.create_task(self._signalled.wait())
        await asyncio.wait({finished, signalled}, return_when=asyncio.FIRST_COMPLETED)
        finished.cancel()
        signalled.cancel()
        if self._signals:
            return await self._stop()
        if self._code is None:
            return 0
        notice = "Aborting on container exit..."
        self._console.note(self._console.paint(notice, f"{BOLD};{RED}"))
        await self._stop()
        return await self._chosen_code()

    async def _chosen_code(self) -> int:
        service = self._options.exit_code_from
        for container, name in self._services.items():
            if service and name == service:
                with contextlib.suppress(EngineError):
                    state = (await self._client.inspect_container(container))["State"]
                    return state.get("ExitCode", 0)
        return self._code or 0

    async def _stop(self) -> int:
        """Stop everything in order; a second signal kills."""
        if self._signals:
            erase = ERASE_LINE if sys.stdout.isatty() else ""
            self._console.print(f"{erase}Gracefully Stopping... press Ctrl+C again to force")
        before = self._signals
        self._signalled.clear()
        containers = await list_project(self._client, self._project.name)
        observed = Observed(containers=containers)
        progress = make_progress(self._console)
        progress.start("Stopping")
        plan = plan_stop(self._project, observed, (), self._options.grace)
        stopping = asyncio.create_task(
            run_plan(self._client, self._project, observed, plan, progress)
        )
        if await self._interrupted(stopping) or self._signals > before:
            calls = [self._client.kill_container(c.id) for c in observed.containers if c.alive]
            await asyncio.gather(*calls, return_exceptions=True)
        await self._drain()
        return INTERRUPTED

    async def _drain(self) -> None:
        """Let the last lines of the stopped containers arrive."""
        if self._output:
            await asyncio.wait(self._output.values(), timeout=DRAIN_SECONDS)
