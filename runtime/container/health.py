"""Health: probes of a container and what follows from their results (``Healthcheck``).

The first probe comes after one interval, the next is counted from the end of the last. At most four
run at once; the first ones are spread over the interval by the container's id, so that containers
started together do not probe together.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from runtime.container.container import Health, HealthResult
from runtime.container.document import number, section, texts
from runtime.container.timestamps import go_duration
from runtime.errors import EngineError
from runtime.record import record

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.exec import ExecProbe, Execs
    from runtime.container.parts import Parts

AT_ONCE = 4
KEPT_RESULTS = 5
OUTPUT_LIMIT = 4096
_KILL_AFTER = 10.0
_SECOND = 1_000_000_000


@record
class Check:
    """A container's health check with its defaults filled in; times in nanoseconds."""

    command: tuple[str, ...]
    interval: int = 30 * _SECOND
    timeout: int = 30 * _SECOND
    start_period: int = 0
    start_interval: int = 5 * _SECOND
    retries: int = 3

    @classmethod
    def of(cls, container: Container) -> Check | None:
        """Return the check of a container, None when it has none."""
        health = section(container.config, "Healthcheck")
        test = texts(health, "Test")
        if len(test) < 2 or test[0] not in {"CMD", "CMD-SHELL"}:
            return None
        if test[0] == "CMD-SHELL":
            shell = texts(container.config, "Shell") or ["/bin/sh", "-c"]
            command = (*shell, test[1])
        else:
            command = tuple(test[1:])
        return cls(
            command,
            number(health, "Interval") or cls.interval_default(),
            number(health, "Timeout") or 30 * _SECOND,
            number(health, "StartPeriod"),
            number(health, "StartInterval") or 5 * _SECOND,
            number(health, "Retries") or 3,
        )

    @staticmethod
    def interval_default() -> int:
        """The interval when the check names none."""
        return 30 * _SECOND

    def wait(self, health: Health, since_start_ns: int) -> int:
        """Return the time until the next probe."""
        starting = health.status == "starting" and since_start_ns < self.start_period
        return self.start_interval if starting else self.interval

    def judge(self, health: Health, result: HealthResult, *, in_start_period: bool) -> str:
        """Take a result in; returns the new status, empty when it has not changed."""
        health.log.append(result)
        del health.log[:-KEPT_RESULTS]
        before = health.status
        if result.exit_code == 0:
            health.streak = 0
            health.status = "healthy"
        elif not (before == "starting" and in_start_period):
            health.streak += 1
            if health.streak >= self.retries:
                health.status = "unhealthy"
        return health.status if health.status != before else ""


class HealthMonitor:
    """Probes every running container that has a check."""

    def __init__(self, parts: Parts, execs: Execs) -> None:
        self._parts = parts
        self._execs = execs
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._probing: dict[str, asyncio.Task[None]] = {}

    def begin(self, container: Container, *, fresh: bool = True) -> None:
        """Probe a container that runs from now on.

        Args:
            container: the container.
            fresh: it has just started; otherwise (unpaused, adopted) its status stays.
        """
        check = Check.of(container)
        if check is None:
            return
        self.end(container)
        if container.health is None:
            container.health = Health()
        if fresh:
            container.health.status, container.health.streak = "starting", 0
        work = self._probe_all(container, check, spread=not fresh)
        self._probing[container.id] = asyncio.create_task(work, name=f"health {container.name}")

    def resume(self, container: Container) -> None:
        """Go on probing a container that was paused, or that outlived an engine."""
        self.begin(container, fresh=False)

    def stopped(self, container: Container) -> None:
        """Stop probing a container that has ended or is paused; it is unhealthy from then on."""
        self.end(container)
        if container.health is not None and Check.of(container) is not None:
            container.health.status = "unhealthy"

    def end(self, container: Container) -> None:
        """Stop probing a container."""
        task = self._probing.pop(container.id, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Stop all probing."""
        probing = tuple(self._probing.values())
        self._probing.clear()
        for task in probing:
            task.cancel()
        await asyncio.gather(*probing, return_exceptions=True)

    async def _probe_all(self, container: Container, check: Check, *, spread: bool) -> None:
        run = container.run
        delay = self._wait(container, check)
        if spread:
            delay *= int(container.id[:4], 16) / 0xFFFF
        while container.run == run and container.state.active:
            await asyncio.sleep(delay / _SECOND)
            async with self._slots:
                if container.run != run or not container.state.active:
                    return
                await self._probe_once(container, check)
            delay = self._wait(container, check)

    @staticmethod
    def _wait(container: Container, check: Check) -> float:
        since = time.time_ns() - container.state.started_ns
        return check.wait(container.health or Health(), since)

    async def _probe_once(self, container: Container, check: Check) -> None:
        began = time.time_ns()
        code, output = await self._probe(container, check)
        in_period = began - container.state.started_ns < check.start_period
        result = HealthResult(began, time.time_ns(), code, output)
        health = container.health
        if health is None or not container.state.active:
            return
        status = check.judge(health, result, in_start_period=in_period)
        actions = (f"health_status: {status}",) if status else ()
        self._parts.catalogue.commit(container, *actions)

    async def _probe(self, container: Container, check: Check) -> tuple[int, str]:
        collected = _Output()
        try:
            probe = await self._execs.run(container, list(check.command), collected.add)
        except EngineError as error:
            return -1, error.message
        try:
            async with asyncio.timeout(check.timeout / _SECOND):
                code = await probe.ended()
        except TimeoutError:
            await _end(probe)
            text = f"Health check exceeded timeout ({go_duration(check.timeout)})"
            output = collected.text()
            return -1, f"{text}: {output}" if output else text
        except asyncio.CancelledError:
            probe.signal(signal.SIGKILL)
            raise
        finally:
            self._execs.forget(probe.session)
        return code, collected.text()


class _Output:
    """The first bytes that a probe writes."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._cut = False

    def add(self, data: bytes) -> None:
        room = OUTPUT_LIMIT - len(self._data)
        self._cut = self._cut or len(data) > room
        self._data += data[:room]

    def text(self) -> str:
        return self._data.decode(errors="replace") + ("..." if self._cut else "")


async def _end(probe: ExecProbe) -> None:
    """End a probe that takes too long."""
    probe.signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_KILL_AFTER):
            await probe.ended()
    except TimeoutError:
        probe.signal(signal.SIGKILL)
        await probe.ended()
