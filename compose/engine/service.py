"""Shoal's engine as systemd units: their text, and putting them in place.

The units are those of systemd.service(5) and systemd.socket(5): the engine is started at boot and
by its socket, says when it is ready, and leaves its containers alone when it is stopped.
"""

from __future__ import annotations

import grp
import os
import site
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from compose.engine.launch import engine_pid, stop_engine
from compose.errors import OperationFailed, ShoalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

UNIT_DIRECTORY = "/etc/systemd/system"
SERVICE, SOCKET = "shoal.service", "shoal.socket"
UNITS = (SOCKET, SERVICE)
_BOOTED = "/run/systemd/system"
_INHERITED = ("SHOAL_DATA_ROOT", "SHOAL_RUN_ROOT", "SHOAL_CONFIG")
_BY_HAND = "run `shoal engine start` from what starts programs at boot on this system"


def service_unit(command: Iterable[str], environment: Mapping[str, str]) -> str:
    """Return the text of ``shoal.service``.

    ``KillMode=process`` and the engine's own cgroups let containers outlive it; systemd makes an
    exit by a signal good again, but leaves an engine alone that was told to end.
    """
    variables = "".join(
        f"Environment={quote(f'{name}={value}', expanded=False)}\n"
        for name, value in environment.items()
    )
    program, *rest = command
    words = " ".join([quote(program, expanded=False), *(quote(word) for word in rest)])
    return f"""\
# Written by `shoal engine install`; `shoal engine uninstall` removes it. Changes of your own belong
# into a drop-in: systemctl edit {SERVICE}
[Unit]
Description=Shoal container engine
After=network-online.target nss-lookup.target firewalld.service nftables.service time-set.target
Wants=network-online.target
Requires={SOCKET}
After={SOCKET}
# Starts by hand and by clients of the socket count as well as those after a crash.
StartLimitIntervalSec=60
StartLimitBurst=10

[Service]
Type=notify
ExecStart={words}
{variables}KillMode=process
Delegate=yes
OOMScoreAdjust=-500
TasksMax=infinity
LimitNPROC=infinity
LimitCORE=infinity
Restart=on-failure
RestartSec=2
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""


def socket_unit(path: str, group: str) -> str:
    """Return the text of ``shoal.socket``.

    Args:
        path: the socket's path.
        group: who may use it beside root; empty means nobody.
    """
    return f"""\
# Written by `shoal engine install`; `shoal engine uninstall` removes it.
[Unit]
Description=Socket of the Shoal container engine

[Socket]
ListenStream={path.replace("%", "%%")}
SocketMode=0660
SocketUser=root
SocketGroup={group or "root"}
DirectoryMode=0711
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
"""


def quote(word: str, *, expanded: bool = True) -> str:
    """Write a word as systemd.syntax(7) reads it back.

    Args:
        word: the word.
        expanded: it stands where ``$`` names a variable: behind the program of a command line.
    """
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    escaped = escaped.replace("\n", "\\n")
    return '"' + (escaped.replace("$", "$$") if expanded else escaped) + '"'


def engine_command() -> list[str]:
    """Return the command line of an engine that takes its socket from systemd."""
    return [os.path.abspath(sys.executable), "-P", "-m", "runtime"]


def engine_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return what the engine needs of the installing user's environment.

    Its directories when they are not the usual ones, and where Python finds Shoal when that is not
    among the interpreter's own packages.
    """
    wanted = {name: os.path.abspath(env[name]) for name in _INHERITED if env.get(name)}
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    own = {os.path.realpath(path) for path in site.getsitepackages()}
    search = [] if os.path.realpath(root) in own else [root]
    search += [os.path.abspath(path) for path in env.get("PYTHONPATH", "").split(":") if path]
    if search:
        wanted["PYTHONPATH"] = ":".join(dict.fromkeys(search))
    return wanted


class Installer:
    """Puts the units in place and takes them away; each step says what it did by `say`.

    Args:
        path: the engine's socket.
        say: takes one line.
        directory: where units stand.
        booted: exists where systemd runs.
    """

    def __init__(
        self,
        path: str,
        say: Callable[[str], None],
        directory: str = UNIT_DIRECTORY,
        booted: str = _BOOTED,
    ) -> None:
        self._path = path
        self._say = say
        self._directory = directory
        self._booted = booted

    def check(self) -> None:
        """Refuse where units cannot be installed.

        Raises:
            ShoalError: systemd does not run here, or the caller is not root.
        """
        if not os.path.isdir(self._booted):
            raise ShoalError("systemd does not run on this system", hint=_BY_HAND)
        if os.geteuid() != 0:
            raise ShoalError("only root can install or remove units of the system")

    def install(self, group: str, env: Mapping[str, str]) -> None:
        """Write and enable the units and run the engine under them.

        An engine that was started without systemd is ended first; its containers run on.

        Raises:
            OperationFailed: a program of the system failed; the text is its own.
        """
        self.check()
        if group:
            self._ensure_group(group)
        service = service_unit(engine_command(), engine_environment(env))
        changed = [
            self._write(SOCKET, socket_unit(self._path, group)),
            self._write(SERVICE, service),
        ]
        if any(changed):
            systemctl("daemon-reload")
        self._enable()
        self._run(restart_socket=changed[0], restart_service=any(changed))

    def uninstall(self) -> None:
        """Stop the engine and remove the units; containers run on, data stays."""
        self.check()
        there = [name for name in UNITS if os.path.exists(self._unit(name))]
        if not there:
            self._say("no units are installed")
            return
        systemctl("disable", "--now", "--quiet", *there)
        for name in there:
            os.unlink(self._unit(name))
            self._say(f"removed {self._unit(name)}")
        systemctl("daemon-reload")
        self._say("the engine is stopped; its containers run on, its data stays")

    def _unit(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def _ensure_group(self, group: str) -> None:
        with suppress(KeyError):
            grp.getgrnam(group)
            return
        _run(["groupadd", "--system", group])
        self._say(f"made the group {group}")

    def _write(self, name: str, text: str) -> bool:
        """Write a unit in one step; tells whether anything changed."""
        path = self._unit(name)
        with suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            if file.read() == text:
                self._say(f"{path} is up to date")
                return False
        making = f"{path}.new"
        with open(making, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        os.replace(making, path)
        self._say(f"wrote {path}")
        return True

    def _enable(self) -> None:
        missing = [name for name in UNITS if not _holds("is-enabled", name)]
        if missing:
            systemctl("enable", "--quiet", *missing)
            self._say(f"enabled {' and '.join(missing)}: the engine starts with the system")

    def _run(self, *, restart_socket: bool, restart_service: bool) -> None:
        active = _holds("is-active", SERVICE)
        pid = engine_pid(self._path)
        if pid and not active:
            stop_engine(self._path)
            self._say(f"ended the engine that ran without systemd (process {pid})")
        if active and not restart_service:
            self._say(f"the engine runs (process {pid})")
            return
        if active:
            systemctl("stop", SERVICE)
        systemctl("restart" if restart_socket else "start", SOCKET)
        systemctl("start", SERVICE)
        verb = "restarted" if active else "started"
        self._say(f"{verb} the engine (process {engine_pid(self._path)}), {self._path}")


def systemctl(*arguments: str) -> None:
    """Ask systemd for something by its program.

    Raises:
        OperationFailed: it failed; the text is its own.
    """
    _run(["systemctl", *arguments])


def _holds(question: str, unit: str) -> bool:
    done = subprocess.run(["systemctl", "--quiet", question, unit], check=False, timeout=60)
    return done.returncode == 0


def _run(command: list[str]) -> None:
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise OperationFailed(f"{shown}: {error.strerror}") from error
    if done.returncode != 0:
        raise OperationFailed(
            f"{shown}: exit code {done.returncode}: {(done.stderr or done.stdout).strip()}"
        )
