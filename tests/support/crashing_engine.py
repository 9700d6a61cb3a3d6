"""An engine that ends itself with SIGKILL at a named place, for tests of recovery.

    python -m tests.support.crashing_engine PLACE WHEN [options of the engine]

PLACE is one of
    before MODULE:QUALIFIED.NAME    when the function is called
    after MODULE:QUALIFIED.NAME     when it has returned
    step NAME                       after a step of a start (`Parts.fault`)
    commit N                        after the N-th transaction
    call N                          before the N-th system call that Python code makes
WHEN is `now`, or `armed`: places count from the moment that SIGUSR2 comes.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from runtime import daemon
from runtime.container import parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_MODULES = frozenset({"posix", "fcntl", "signal", "_socket", "select"})
_TYPES = ("socket", "Connection")
_PURE = frozenset({"fspath", "getpid", "geteuid", "urandom", "fsencode", "fsdecode", "getsockname"})


class Crash:
    """The one end that is planned for this process."""

    def __init__(self, *, armed: bool) -> None:
        self.armed = armed
        self.left = 1

    def here(self) -> None:
        """Die, if this is the place; counts down while it is only one of them."""
        if not self.armed:
            return
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _replace(place: str, crash: Crash, *, after: bool) -> None:
    """Put a function that dies before or after itself in each place that names it."""
    module, _, path = place.partition(":")
    found: object = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    assert callable(found)
    wrapper = _wrapped(found, crash, after=after)
    for holder in _holders():
        for name, present in tuple(vars(holder).items()):
            if isinstance(present, staticmethod) and present.__func__ is found:
                setattr(holder, name, staticmethod(wrapper))
            elif present is found:
                setattr(holder, name, wrapper)


def _holders() -> list[object]:
    """Return all modules and classes of the engine, as far as they are loaded."""
    found: list[object] = []
    for name, module in tuple(sys.modules.items()):
        if name.startswith("runtime"):
            found.append(module)
            found += [value for value in vars(module).values() if isinstance(value, type)]
    return found


def _wrapped(
    function: Callable[..., object], crash: Crash, *, after: bool
) -> Callable[..., object]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waiting(*arguments: object, **named: object) -> object:
            if not after:
                crash.here()
            result = await function(*arguments, **named)
            if after:
                crash.here()
            return result

        return waiting

    @functools.wraps(function)
    def calling(*arguments: object, **named: object) -> object:
        if not after:
            crash.here()
        result = function(*arguments, **named)
        if after:
            crash.here()
        return result

    return calling


def _watch_steps(name: str, crash: Crash) -> None:
    def fault(step: str) -> None:
        if step == name:
            crash.here()

    original = parts.Parts.__init__

    @functools.wraps(original)
    def initialise(self: parts.Parts, *arguments: object, **named: object) -> None:
        original(self, *arguments, **{**named, "fault": fault})  # type: ignore[arg-type]

    parts.Parts.__init__ = initialise  # type: ignore[method-assign]


def _watch_calls(crash: Crash) -> None:
    def profile(frame: FrameType, event: str, argument: object) -> None:
        if not crash.armed:
            return
        if event == "c_call":
            if _is_system_call(argument):
                crash.here()
        elif event == "call" and frame.f_code.co_filename.endswith("runtime/linux/syscalls.py"):
            crash.here()

    threading.setprofile(profile)
    sys.setprofile(profile)


def _is_system_call(function: object) -> bool:
    if getattr(function, "__name__", "") in _PURE:
        return False
    if getattr(function, "__module__", None) in _MODULES:
        return True
    return type(getattr(function, "__self__", None)).__name__ in _TYPES


def main() -> int:
    """Run the engine with its end in it."""
    kind, place, when, *options = sys.argv[1:]
    crash = Crash(armed=when == "now")
    signal.signal(signal.SIGUSR2, lambda *_: setattr(crash, "armed", True))
    if kind in {"commit", "call"}:
        crash.left = int(place)
    match kind:
        case "before" | "after":
            _replace(place, crash, after=kind == "after")
        case "step":
            _watch_steps(place, crash)
        case "commit":
            _replace("runtime.store:Store._after_commit", crash, after=False)
        case "call":
            _watch_calls(crash)
        case _:
            raise ValueError(f"unknown kind of place: {kind}")
    return daemon.main(options)


if __name__ == "__main__":
    sys.exit(main())
