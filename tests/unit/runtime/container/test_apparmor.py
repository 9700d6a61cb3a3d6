"""The AppArmor profile of containers: its text, and when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.container import apparmor

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with AppArmor, whose parser writes down what it is given."""
    parser = tmp_path / "apparmor_parser"
    parser.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\ncat >{tmp_path}/given\n')
    parser.chmod(0o755)
    monkeypatch.setattr(apparmor, "_PARSERS", (str(parser),))
    monkeypatch.setattr(apparmor, "in_use", lambda: True)
    monkeypatch.setattr(apparmor, "is_loaded", lambda: False)
    return tmp_path


@pytest.mark.parametrize(("word", "used"), [("Y\n", True), ("N\n", False), (None, False)])
def test_it_is_in_use_where_the_kernel_and_the_parser_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str | None, used: bool
) -> None:
    monkeypatch.setattr(apparmor, "_PARSERS", ("/bin/sh",))
    if word is not None:
        (tmp_path / "enabled").write_text(word)
    assert apparmor.in_use(str(tmp_path / "enabled")) == used
    monkeypatch.setattr(apparmor, "_PARSERS", (str(tmp_path / "absent"),))
    assert not apparmor.in_use(str(tmp_path / "enabled"))


def test_the_profile_goes_to_the_parser(host: Path) -> None:
    assert apparmor.ensure_profile() == "docker-default"
    assert (host / "asked").read_text().split() == ["--replace", "--skip-read-cache", "--quiet"]
    text = (host / "given").read_text()
    assert "profile docker-default flags=(attach_disconnected,mediate_deleted) {" in text
    for rule in ("deny mount,", "signal (receive) peer=unconfined,", "deny @{PROC}/kcore rwklx,"):
        assert f"  {rule}\n" in text
    assert text.count("{") == text.count("}")


def test_a_parser_that_fails_leaves_nobody_unconfined(
    host: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (host / "apparmor_parser").write_text("#!/bin/sh\necho bad rule >&2\nexit 1\n")
    assert apparmor.ensure_profile() == "docker-default"
    assert "could not be loaded: bad rule" in caplog.text


@pytest.mark.parametrize(
    ("lines", "loaded"),
    [
        ("docker-default (enforce)\n", True),
        ("a (complain)\ndocker-default (enforce)\n", True),
        ("docker-default-more (enforce)\n", False),
        ("", False),
    ],
)
def test_what_the_kernel_has_loaded(tmp_path: Path, lines: str, loaded: bool) -> None:
    (tmp_path / "profiles").write_text(lines)
    assert apparmor.is_loaded(profiles=str(tmp_path / "profiles")) == loaded
    assert not apparmor.is_loaded(profiles=str(tmp_path / "absent"))


def test_the_distributions_pieces_are_used_where_they_are(tmp_path: Path) -> None:
    assert apparmor.profile_text(str(tmp_path)).startswith("@{PROC}=/proc/\n")
    for name in ("tunables/global", "abstractions/base"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    text = apparmor.profile_text(str(tmp_path))
    assert text.startswith("#include <tunables/global>\n")
    assert "  #include <abstractions/base>\n" in text
