"""Units of the engine: their text, and the steps of installing and removing them."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from compose.engine.service import (
    SERVICE,
    SOCKET,
    Installer,
    engine_command,
    engine_environment,
    quote,
    service_unit,
    socket_unit,
)
from compose.errors import OperationFailed, ShoalError

SYSTEMCTL = """\
#!/bin/sh
printf '%s\\n' "$*" >>"$SYSTEMCTL_LOG"
case "$*" in
*is-enabled*|*is-active*) test -e "$SYSTEMCTL_LOG.installed" ;;
*fail*) echo no such unit >&2; exit 5 ;;
esac
"""


class System:
    """A machine with systemd, as far as an installer sees it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said: list[str] = []
        self.log = root / "log"
        self.units = root / "units"
        self.units.mkdir()
        (root / "booted").mkdir()
        self.installer = Installer(
            str(root / "run/shoal.sock"), self.said.append, str(self.units), str(root / "booted")
        )

    def calls(self) -> list[str]:
        """Return what systemctl was asked to do since the last call, without questions."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in lines if "is-" not in line]


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SYSTEMCTL_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return System(tmp_path)


def test_units_are_written_enabled_and_started(system: System) -> None:
    system.installer.install("", {})
    assert sorted(path.name for path in system.units.iterdir()) == [SERVICE, SOCKET]
    assert system.calls() == [
        "daemon-reload",
        f"enable --quiet {SOCKET} {SERVICE}",
        f"restart {SOCKET}",
        f"start {SERVICE}",
    ]
    assert system.said[0] == f"wrote {system.units / SOCKET}"
    assert [path.stat().st_mode & 0o777 for path in system.units.iterdir()] == [0o644, 0o644]


def test_a_second_time_changes_nothing(system: System) -> None:
    system.installer.install("", {})
    system.calls()
    (system.root / "log.installed").touch()
    system.said.clear()
    system.installer.install("", {})
    assert system.calls() == []
    assert [line.rpartition(" is ")[2] for line in system.said[:2]] == ["up to date"] * 2
    assert system.said[2].startswith("the engine runs")


def test_what_changed_is_restarted(system: System) -> None:
    system.installer.install("", {})
    system.calls()
    (system.root / "log.installed").touch()
    system.installer.install("", {"SHOAL_DATA_ROOT": "/data"})
    assert system.calls() == [
        "daemon-reload",
        f"stop {SERVICE}",
        f"start {SOCKET}",
        f"start {SERVICE}",
    ]
    assert 'Environment="SHOAL_DATA_ROOT=/data"\n' in (system.units / SERVICE).read_text()


def test_units_are_taken_away(system: System) -> None:
    system.installer.install("", {})
    system.calls()
    system.installer.uninstall()
    assert list(system.units.iterdir()) == []
    assert system.calls() == [f"disable --now --quiet {SOCKET} {SERVICE}", "daemon-reload"]
    system.installer.uninstall()
    assert system.said[-1] == "no units are installed"
    assert system.calls() == []


def test_without_systemd_it_is_refused(system: System) -> None:
    (system.root / "booted").rmdir()
    with pytest.raises(ShoalError, match="systemd does not run on this system") as caught:
        system.installer.install("", {})
    assert caught.value.hint
    assert list(system.units.iterdir()) == []


def test_only_root_installs(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ShoalError, match="only root"):
        system.installer.install("", {})


def test_what_systemctl_says_is_told(system: System) -> None:
    (system.root / "bin/systemctl").write_text("#!/bin/sh\necho no bus >&2\nexit 5\n")
    with pytest.raises(OperationFailed, match="systemctl daemon-reload: exit code 5: no bus"):
        system.installer.install("", {})


def test_the_group_may_use_the_socket() -> None:
    text = socket_unit("/run/shoal/shoal.sock", "docker")
    assert "SocketGroup=docker\n" in text
    assert "SocketMode=0660\n" in text
    assert "SocketGroup=root\n" in socket_unit("/run/shoal/shoal.sock", "")


def test_the_service_leaves_containers_alone() -> None:
    lines = service_unit(["/usr/bin/python3", "-m", "runtime"], {"A": "b c"}).splitlines()
    for line in (
        'ExecStart="/usr/bin/python3" "-m" "runtime"',
        'Environment="A=b c"',
        *("Type=notify", "KillMode=process", "Delegate=yes"),
        *("OOMScoreAdjust=-500", "TasksMax=infinity", f"Requires={SOCKET}"),
    ):
        assert line in lines


@pytest.mark.parametrize(
    ("word", "there"),
    [
        ("plain", '"plain"'),
        ("two words", '"two words"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("100%", '"100%%"'),
        ("$HOME", '"$$HOME"'),
    ],
)
def test_words_are_written_as_systemd_reads_them(word: str, there: str) -> None:
    assert quote(word) == there


def test_the_engine_finds_its_packages() -> None:
    root = str(Path(__file__).resolve().parents[4])
    environment = engine_environment({"PYTHONPATH": "/more", "SHOAL_RUN_ROOT": "/r", "HOME": "/"})
    assert environment == {"SHOAL_RUN_ROOT": "/r", "PYTHONPATH": f"{root}:/more"}
    assert shlex.join(engine_command()) == f"{sys.executable} -P -m runtime"
