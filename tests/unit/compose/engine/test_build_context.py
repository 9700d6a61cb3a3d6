"""What of a build context is sent."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from compose.engine.build_context import IgnoreRules, context_pieces
from compose.errors import ShoalError
from compose.model.build import Build

if TYPE_CHECKING:
    from pathlib import Path


def names(build: Build) -> list[str]:
    data = b"".join(context_pieces(build))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with files in two directories."""
    for name in ("Dockerfile", "a.txt", "b.log", "sub/c.log", "sub/keep.log", "node/x/y"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_everything_is_sent_without_an_ignore_file(context: Path) -> None:
    sent = names(Build(context=str(context), dockerfile="Dockerfile"))
    assert sent == [
        "Dockerfile", "a.txt", "b.log", "node", "node/x", "node/x/y",
        "sub", "sub/c.log", "sub/keep.log",
    ]  # fmt: skip


def test_ignored_paths_stay_out_and_exceptions_come_back(context: Path) -> None:
    (context / ".dockerignore").write_text("# logs\n**/*.log\n!sub/keep.log\nnode\n")
    sent = names(Build(context=str(context), dockerfile="Dockerfile"))
    assert sent == [".dockerignore", "Dockerfile", "a.txt", "sub", "sub/keep.log"]


def test_the_dockerfile_is_sent_even_when_everything_is_ignored(context: Path) -> None:
    (context / ".dockerignore").write_text("*\n")
    sent = names(Build(context=str(context), dockerfile="Dockerfile"))
    assert sent == [".dockerignore", "Dockerfile"]


def test_the_dockerfiles_own_ignore_file_wins(context: Path) -> None:
    (context / ".dockerignore").write_text("a.txt\n")
    (context / "Dockerfile.dockerignore").write_text("*\n!a.txt\n")
    assert "a.txt" in names(Build(context=str(context), dockerfile="Dockerfile"))


def test_an_inline_dockerfile_is_added(context: Path) -> None:
    (context / "Dockerfile").unlink()
    sent = names(Build(context=str(context), dockerfile_inline="FROM scratch"))
    assert sent[-1] == "Dockerfile"


def test_links_are_sent_as_links(context: Path) -> None:
    (context / "link").symlink_to("/etc/passwd")
    data = b"".join(context_pieces(Build(context=str(context), dockerfile="Dockerfile")))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getmember("link").linkname == "/etc/passwd"


def test_a_missing_context_or_dockerfile_is_named(context: Path) -> None:
    with pytest.raises(ShoalError, match=r"path .*/none. not found"):
        names(Build(context=str(context / "none")))
    with pytest.raises(ShoalError, match="open Other: no such file"):
        names(Build(context=str(context), dockerfile="Other"))


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("a.txt", "a.txt", True),
        ("a.txt", "sub/a.txt", False),
        ("**/a.txt", "a.txt", True),
        ("**/a.txt", "x/y/a.txt", True),
        ("sub", "sub/deep/file", True),
        ("*/c", "sub/c", True),
        ("*/c", "sub/x/c", False),
        ("sub/**", "sub/x/y", True),
        ("/a", "a", True),
        ("./a/", "a", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab]x", "bx", True),
        ("[ab]x", "cx", False),
        ("\\*", "*", True),
        ("\\*", "x", False),
        ("#x", "#x", False),
        ("  a  ", "a", True),
    ],
)
def test_patterns(pattern: str, path: str, ignored: bool) -> None:
    assert IgnoreRules([pattern]).ignores(path) is ignored


def test_the_last_matching_pattern_decides() -> None:
    rules = IgnoreRules(["*.md", "!README.md", "README*"])
    assert rules.ignores("README.md")
    assert IgnoreRules(["*.md", "!README.md"]).ignores("README.md") is False
