"""The builder on a real file system: RUN is a stand-in that writes below the lent root."""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import TYPE_CHECKING, Self

import pytest

from runtime.build.builder import Builder
from runtime.build.options import BuildOptions, CacheLimits
from runtime.errors import EngineError, InvalidArgument
from runtime.filters import Filters
from tests.support.images import (
    Member,
    chunks,
    docker_archive,
    file,
    hardlink,
    load,
    open_parts,
    symlink,
    tar,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from runtime.build.runner import RunStep

pytestmark = pytest.mark.root

PASSWD = "root:x:0:0::/root:\nann:x:101:102::/:\n"
BASE = tar(
    Member("etc"), file("etc/passwd", PASSWD), file("etc/group", "staff:x:50:\n"),
    Member("usr"), Member("usr/lib"), symlink("lib", "usr/lib"), symlink("out", "/../../../../tmp"),
)  # fmt: skip


class ScriptedRunner:
    """Runs a tiny language: ``write PATH TEXT``, ``say TEXT``, ``fail CODE``, ``hang``."""

    def __init__(self) -> None:
        self.steps: list[RunStep] = []
        self.started = asyncio.Event()

    async def run(self, step: RunStep) -> int:
        self.steps.append(step)
        self.started.set()
        word, _, rest = step.argv[-1].partition(" ")
        if word == "write":
            path, _, text = rest.partition(" ")
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=step.rootfs_fd)
            os.write(fd, text.encode())
            os.close(fd)
        elif word == "say":
            step.on_output("stdout", rest.encode())
            step.on_output("stderr", b"problem")
        elif word == "hang":
            await asyncio.Event().wait()
        return int(rest) if word == "fail" else 0


class Workshop:
    """Image parts with a builder, and what a build answers."""

    def __init__(self, root: str) -> None:
        self.parts = open_parts(root)
        self.open_builder()

    def open_builder(self) -> None:
        self.runner = ScriptedRunner()
        parts = self.parts
        self.builder = Builder(parts.images, parts.removal, self.runner, parts.root, parts.disk)

    async def build(self, text: str, /, *members: Member, **options: object) -> list[str]:
        """Build; return the lines of the stream, the error as the last one."""
        context = tar(file("Dockerfile", text), *members)
        settings = BuildOptions(**{"tags": ("app",), **options})  # type: ignore[arg-type]
        stream = await self.builder.build(settings, chunks(context))
        lines = []
        async for record in stream:
            if "stream" in record:
                lines.append(str(record["stream"]))
            elif "error" in record:
                lines.append(json.dumps(record["errorDetail"]))
        return lines

    def view(self, name: str = "app") -> int:
        return self.parts.snapshotter.view_now(self.parts.images.resolve(name).layers)

    def read(self, path: str, name: str = "app") -> str:
        with Root(self.view(name)) as root:
            return root.read(path)

    def config(self, name: str = "app") -> dict[str, object]:
        return self.parts.images.resolve(name).config


class Root:
    """A mounted root that is closed at the end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def read(self, path: str) -> str:
        fd = os.open(path, os.O_RDONLY, dir_fd=self.fd)
        try:
            return os.read(fd, 10_000).decode()
        finally:
            os.close(fd)

    def stat(self, path: str) -> os.stat_result:
        return os.stat(path, dir_fd=self.fd, follow_symlinks=False)

    def names(self, path: str = ".") -> list[str]:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.fd)
        try:
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)

    def owner(self, path: str) -> tuple[int, int, str]:
        status = self.stat(path)
        return status.st_uid, status.st_gid, oct(status.st_mode & 0o7777)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Workshop]:
    opened = Workshop(str(tmp_path / "root"))
    await load(opened.parts, docker_archive([BASE], ["base"], Env=["PATH=/bin"], Cmd=["sh"]))
    yield opened
    opened.parts.close()
    assert os.listdir(tmp_path / "root/build") == []
    left = os.listdir(tmp_path / "root/snapshots")
    assert [name for name in left if name.startswith("tmp-")] == []


def ids_masked(lines: list[str]) -> list[str]:
    return [re.sub(r"\b[0-9a-f]{12}\b\n?", "ID", line) for line in lines]


async def test_the_stream_is_that_of_the_classic_builder(shop: Workshop) -> None:
    text = "FROM base\nRUN say hello\nCOPY f /\nENV A=1\n"
    assert ids_masked(await shop.build(text, file("f", "x"))) == [
        "Step 1/4 : FROM base", "\n", " ---> ID",
        "Step 2/4 : RUN say hello", "\n", " ---> Running in ID", "hello",
        "\x1b[91mproblem\x1b[0m", " ---> Removed intermediate container ID", " ---> ID",
        "Step 3/4 : COPY f /", "\n", " ---> ID",
        "Step 4/4 : ENV A=1", "\n", " ---> ID",
        "Successfully built ID", "Successfully tagged app:latest\n",
    ]  # fmt: skip


async def test_a_run_is_told_all_that_it_needs(shop: Workshop) -> None:
    await shop.build(
        "FROM base\nARG A=1\nARG B\nENV C=3 D=$A\nWORKDIR /w/x\nUSER ann\nRUN say x\n"
        'SHELL ["ash", "-e"]\nRUN say y\nRUN --network=none ["exec", "form"]',
        build_args={"B": "2", "http_proxy": "p"}, network_mode="host", shm_size=5,
        extra_hosts=("h:1",),
    )  # fmt: skip
    first, second, third = shop.runner.steps
    assert first.argv == ("/bin/sh", "-c", "say x")
    assert sorted(first.env) == ["A=1", "B=2", "C=3", "D=1", "PATH=/bin", "http_proxy=p"]
    assert (first.user, first.workdir, first.network_mode) == ("ann", "/w/x", "host")
    assert (first.shm_size, first.extra_hosts) == (5, ("h:1",))
    assert second.argv == ("ash", "-e", "say y")
    assert (third.argv, third.network_mode) == (("exec", "form"), "none")


async def test_what_a_run_writes_is_in_the_image(shop: Workshop) -> None:
    await shop.build("FROM base\nRUN write file content\n")
    assert shop.read("file") == "content"
    with Root(shop.view()) as root:
        assert root.names() == ["etc", "file", "lib", "out", "usr"]


async def test_a_failed_run_says_where_and_why(shop: Workshop) -> None:
    lines = await shop.build("FROM base\n\nRUN fail 3\nENV x=1\n")
    assert lines[-2].split("\n") == [
        "Dockerfile:3", "--------------------", "   1 |     FROM base", "   2 |",
        "   3 | >>> RUN fail 3", "   4 |     ENV x=1", "   5 |", "--------------------", "",
    ]  # fmt: skip
    message = "The command '/bin/sh -c fail 3' returned a non-zero code: 3"
    assert json.loads(lines[-1]) == {"code": 3, "message": message}
    assert shop.parts.images.count() == 1


async def test_a_heredoc_is_a_script(shop: Workshop) -> None:
    await shop.build("FROM base\nRUN <<EOF\nsay\n$x\nEOF\nRUN cat <<A <<B\n1\nA\n2\nB\n")
    assert [step.argv[-1] for step in shop.runner.steps] == [
        "say\n$x\n", "cat <<A <<B\n1\nA\n2\nB\n"
    ]  # fmt: skip


async def test_copy_takes_files_directories_and_patterns(shop: Workshop) -> None:
    await shop.build(
        "FROM base\nWORKDIR /w\nCOPY dir /d\nCOPY dir/a dir/b multi/\nCOPY dir/a renamed\n"
        "COPY dir/a /d\nCOPY *.txt /t/\nCOPY nothing* /n/\nCOPY alias /l\nCOPY . .\n"
        'COPY ["a b", "/s p/"]\nCOPY dir/../dir/./a /cleaned\nCOPY ../../dir/a /up',
        Member("dir", mode=0o700), file("dir/a", "A", mode=0o4711, uid=9), file("dir/b", "B"),
        symlink("dir/link", "a"), hardlink("dir/hard", "dir/a"), Member("dir/sub", mode=0o750),
        file("x.txt", "X"), file("y.txt", "Y"), symlink("alias", "/dir/a"), file("a b", "AB"),
    )  # fmt: skip
    with Root(shop.view()) as root:
        assert root.names("d") == ["a", "b", "hard", "link", "sub"]
        assert root.owner("d/a") == (0, 0, "0o4711")
        assert root.owner("d/sub") == (0, 0, "0o750")
        assert root.owner("d") == (0, 0, "0o755")
        assert root.stat("d/a").st_mtime == 1_000_000_000
        assert root.names("w/multi") == ["a", "b"]
        assert root.read("w/renamed") == "A"
        assert root.names("t") == ["x.txt", "y.txt"]
        assert root.read("l") == "A"
        assert root.stat("w/dir/a").st_ino == root.stat("w/dir/hard").st_ino
        assert root.names("s p") == ["a b"]
        assert root.read("cleaned") == root.read("up") == "A"
        assert "n" not in root.names()


async def test_owners_and_modes_can_be_given(shop: Workshop) -> None:
    await shop.build(
        "FROM base\nARG WHO=ann\nCOPY --chown=$WHO d /n/new/\nCOPY --chown=7 f /f7\n"
        "COPY --chown=7:staff --chmod=u=rwX,go=rX f /f8\nCOPY --chown=nosuch:0 f /f9\n"
        "COPY --chmod=0705 d /m/",
        Member("d"), file("d/x", "x"), file("f", "f", mode=0o600),
    )  # fmt: skip
    with Root(shop.view()) as root:
        assert root.owner("n") == root.owner("n/new") == (101, 102, "0o755")
        assert root.owner("n/new/x") == (101, 102, "0o644")
        assert root.owner("f7") == (7, 7, "0o600")
        assert root.owner("f8") == (7, 50, "0o644")
        assert root.owner("f9") == (0, 0, "0o600")
        assert root.owner("m/x") == (0, 0, "0o705")


async def test_links_of_image_and_context_do_not_lead_outside(shop: Workshop) -> None:
    lines = await shop.build(
        "FROM base\nCOPY f /lib/\nCOPY f /out/escaped-from-shoal\nCOPY bad /b\n",
        file("f", "x"), symlink("bad", "../../../../../../../etc/hostname"),
    )  # fmt: skip
    assert "stat bad: file does not exist" in lines[-1]
    assert "escaped-from-shoal" not in os.listdir("/tmp")
    await shop.build("FROM base\nCOPY f /lib/\nCOPY f /out/escaped\n", file("f", "x"))
    with Root(shop.view()) as root:
        assert root.read("usr/lib/f") == root.read("tmp/escaped") == "x"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("COPY nope /", "COPY failed: file not found in build context or excluded by .docker"),
        ("COPY a b /x", "When using COPY with more than one source file, the destination must"),
        ("COPY a /etc/passwd/x", "cannot copy to /etc/passwd/x: not a directory"),
        ("COPY a /etc/passwd/", "cannot copy to /etc/passwd/: not a directory"),
        ("COPY d /etc/passwd", "cannot copy to /etc/passwd: not a directory"),
        ("COPY --chmod=9 a /", "invalid chmod parameter: '9': invalid syntax"),
        ("COPY http://x/y /", "source can't be a URL for COPY"),
        ("COPY --from=$X a /", "'from' doesn't support variable expansion, define alias stage"),
        ("COPY --from=nope a /", "No such image: nope:latest"),
        ("COPY ${a /", "failed to process \"${a\": syntax error: missing '}'"),
        ("ADD http://x/y /", "ADD of a URL is not supported by Shoal yet: fetch http://x/y with"),
        ("RUN --mount=type=cache,target=/x y", "RUN --mount is not supported by Shoal yet: do"),
        ("RUN --security=insecure y", "RUN --security is not supported by Shoal yet: do without"),
        ("COPY --parents a /x/", "COPY --parents is not supported by Shoal yet: do without it"),
        ("ADD --exclude=b a /x/", "ADD --exclude is not supported by Shoal yet: do without it"),
        ("RUN --network=foo y", 'invalid network mode "foo"'),
    ],
    ids=range(16),
)
async def test_a_step_that_cannot_be_done_says_why(shop: Workshop, line: str, message: str) -> None:
    lines = await shop.build(f"FROM base\n{line}", file("a"), file("b"), Member("d"), file("d/x"))
    assert json.loads(lines[-1])["message"].startswith(message)


async def test_add_unpacks_local_archives(shop: Workshop) -> None:
    inner = tar(file("in/side", "x", uid=5, gid=6), Member("dir", uid=7))
    await shop.build(
        "FROM base\nADD a.tar /x/\nADD plain /x/\nADD --chown=8:9 a.tar /y\n",
        file("a.tar", inner), file("plain", "p"),
    )  # fmt: skip
    with Root(shop.view()) as root:
        assert root.names("x") == ["dir", "in", "plain"]
        assert root.owner("x/in/side")[:2] == (5, 6)
        assert root.owner("y/in/side")[:2] == (8, 9)


async def test_a_hostile_archive_of_add_is_refused(shop: Workshop) -> None:
    lines = await shop.build("FROM base\nADD a.tar /\n", file("a.tar", tar(file("../../x"))))
    assert "invalid entry name" in lines[-1]


async def test_documents_in_the_dockerfile_are_files(shop: Workshop) -> None:
    await shop.build(
        "FROM base\nENV V=1\nCOPY --chmod=600 <<one.txt <<'two.txt' /d/\n$V \\$V\none.txt\n$V\n"
        "two.txt\n"
    )
    with Root(shop.view()) as root:
        assert root.read("d/one.txt") == "1 \\$V\n"
        assert root.read("d/two.txt") == "$V\n"
        assert root.owner("d/one.txt") == (0, 0, "0o600")


async def test_stages_give_files_to_later_ones(shop: Workshop) -> None:
    lines = await shop.build(
        "FROM base AS one\nCOPY --chown=5:6 f /made/\nFROM base AS unneeded\nRUN fail 1\n"
        "FROM scratch\nCOPY --from=one /made /m\nCOPY --from=0 /made/f /number\n"
        "COPY --from=base /etc/passwd /image\n",
        file("f", "F"),
    )  # fmt: skip
    assert lines[0] == "Step 1/6 : FROM base AS one"
    with Root(shop.view()) as root:
        assert root.names() == ["image", "m", "number"]
        assert root.owner("m/f")[:2] == (5, 6)
        assert root.read("image") == PASSWD


async def test_a_stage_goes_on_where_another_ended(shop: Workshop) -> None:
    await shop.build("FROM base AS one\nENV A=1\nARG X=2\nRUN write f x\nFROM one\nRUN say $A$X\n")
    assert sorted(shop.runner.steps[-1].env) == ["A=1", "PATH=/bin", "X=2"]
    assert shop.read("f") == "x"


async def test_a_target_ends_the_build(shop: Workshop) -> None:
    lines = await shop.build("FROM base AS one\nENV A=1\nFROM one\nRUN fail 1\n", target="one")
    assert lines[-1] == "Successfully tagged app:latest\n"


async def test_ignored_files_are_not_there(shop: Workshop) -> None:
    await shop.build(
        "FROM base\nCOPY . /c\nCOPY *.md /m/\n",
        file(".dockerignore", "*.md\n!keep.md\nd\n!d/keep\nDockerfile\n.dockerignore"),
        file("no.md"), file("keep.md"), Member("d"), file("d/keep"), file("d/no"),
    )  # fmt: skip
    with Root(shop.view()) as root:
        assert root.names("c") == ["d", "keep.md"]
        assert root.names("c/d") == ["keep"]
        assert root.names("m") == ["keep.md"]


async def test_triggers_run_in_the_child(shop: Workshop) -> None:
    await shop.build("FROM base\nONBUILD COPY f /triggered\nONBUILD ENV T=1\n", tags=("parent",))
    assert shop.config("parent")["OnBuild"] == ["COPY f /triggered", "ENV T=1"]
    lines = await shop.build("FROM parent\nRUN say $T\n", file("f", "x"))
    assert "# Executing 2 build triggers" in lines
    assert shop.read("triggered") == "x"
    assert "OnBuild" not in shop.config()
    assert "T=1" in shop.runner.steps[-1].env


async def test_history_and_configuration_are_complete(shop: Workshop) -> None:
    await shop.build(
        'FROM base\nARG X=1\nRUN say $X\nCOPY --chown=1 f /x\nCMD ["c"]\nLABEL a=b\nWORKDIR /w\n',
        file("f", "12345"), labels={"z": "$9 'q'"},
    )  # fmt: skip
    history = shop.parts.images.history("app")
    assert [(step["CreatedBy"], step["Size"]) for step in history] == [
        ("LABEL z=$9 'q'", 0), ("WORKDIR /w", 0), ("LABEL a=b", 0), ('CMD ["c"]', 0),
        ("COPY --chown=1 f /x # buildkit", 5), ("RUN |1 X=1 /bin/sh -c say $X # buildkit", 0),
        ("ARG X=1", 0), ("test", len(PASSWD) + 12 + 7 + 16),
    ]  # fmt: skip
    assert shop.config() == {
        "Cmd": ["c"], "Env": ["PATH=/bin"],
        "Labels": {"a": "b", "z": "$9 'q'"}, "WorkingDir": "/w",
    }  # fmt: skip


async def test_an_image_from_scratch_has_a_path(shop: Workshop) -> None:
    await shop.build("FROM scratch\nCOPY f /\n", file("f"))
    assert shop.config()["WorkingDir"] == "/"
    assert str(shop.config()["Env"]).startswith("['PATH=/usr/local/sbin:")
    lines = await shop.build("FROM scratch\n")
    assert json.loads(lines[-1])["message"] == "no image was generated. Is your Dockerfile empty?"


async def test_from_alone_is_the_base_itself(shop: Workshop) -> None:
    await shop.build("FROM base\n")
    assert shop.parts.images.resolve("app").id == shop.parts.images.resolve("base").id


# Cache -----------------------------------------------------------------------------------------


def hits(lines: list[str]) -> list[int]:
    """Return the numbers of the steps that came from the cache."""
    found, step = [], 0
    for line in lines:
        step += line.startswith("Step ")
        if line == " ---> Using cache\n":
            found.append(step)
    return found


TEXT = "FROM base\nARG A\nRUN say x\nCOPY f /d/\nENV B=1\nWORKDIR /w\n"


async def test_an_unchanged_build_is_the_same_image(shop: Workshop) -> None:
    await shop.build(TEXT, file("f", "1"))
    first = shop.parts.images.resolve("app").id
    lines = await shop.build(TEXT, file("f", "1", mtime=5))
    assert hits(lines) == [2, 3, 4, 5, 6]
    assert shop.parts.images.resolve("app").id == first
    assert len(shop.runner.steps) == 1


async def test_builds_side_by_side_run_a_shared_step_once(shop: Workshop) -> None:
    names = ("one", "two", "three")
    await asyncio.gather(*(shop.build(TEXT, file("f", "1"), tags=(name,)) for name in names))
    assert len({shop.parts.images.resolve(name).id for name in names}) == 1
    assert len(shop.runner.steps) == 1


async def test_the_cache_outlives_the_engine(shop: Workshop, tmp_path: Path) -> None:
    await shop.build(TEXT, file("f", "1"))
    shop.parts.close()
    shop.parts = open_parts(str(tmp_path / "root"))
    shop.open_builder()
    await shop.parts.removal.recover()
    assert hits(await shop.build(TEXT, file("f", "1"))) == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("members", "options", "expected"),
    [
        ([file("f", "2")], {}, [2, 3]),
        ([file("f", "1", mode=0o755)], {}, [2, 3]),
        ([file("f", "1", uid=7)], {}, [2, 3, 4, 5, 6]),
        ([file("f", "1"), file("other")], {}, [2, 3, 4, 5, 6]),
        ([file("f", "1")], {"build_args": {"A": "1"}}, [2, 4]),
        ([file("f", "1")], {"build_args": {"Z": "1"}}, [2, 3, 4, 5, 6]),
        ([file("f", "1")], {"no_cache": True}, []),
        ([file("f", "1")], {"build_args": {"HTTP_PROXY": "1"}}, [2, 3, 4, 5, 6]),
    ],
    ids=["content", "mode", "owner", "another file", "argument", "unused argument", "no cache",
         "proxy"],
)  # fmt: skip
async def test_what_a_step_depends_on_decides(
    shop: Workshop, members: list[Member], options: dict[str, object], expected: list[int]
) -> None:
    await shop.build(TEXT, file("f", "1"))
    lines = await shop.build(TEXT, *members, **options)
    assert [number for number in hits(lines) if number < 5 or 5 in expected] == expected


async def test_a_label_in_front_runs_nothing_again(shop: Workshop) -> None:
    await shop.build("FROM base\nLABEL a=1\nRUN say x\nCOPY f /\n", file("f"))
    lines = await shop.build("FROM base\nLABEL a=2\nRUN say x\nCOPY f /\n", file("f"))
    assert hits(lines) == [3, 4]


async def test_equal_files_of_a_stage_keep_the_cache(shop: Workshop) -> None:
    text = "FROM base AS one\nRUN say {}\nRUN write f x\nFROM base\nCOPY --from=one f /\n"
    await shop.build(text.format(1))
    assert hits(await shop.build(text.format(2))) == [3, 5]


async def test_pruned_results_are_made_again(shop: Workshop) -> None:
    await shop.build(TEXT, file("f", "12345"))
    assert {str(entry["Type"]) for entry in await shop.builder.usage()} == {"regular"}
    await shop.parts.service.remove("app")
    removed, gained = await shop.builder.prune(Filters({}), CacheLimits())
    assert (len(removed), gained) == (5, 5)
    assert await shop.builder.usage() == []
    assert hits(await shop.build(TEXT, file("f", "12345"))) == []


async def test_a_prune_leaves_what_is_to_be_kept(shop: Workshop) -> None:
    await shop.build(TEXT, file("f", "12345"))
    total = sum(int(str(entry["Size"])) for entry in await shop.builder.usage())
    assert total > 1
    assert await shop.builder.prune(Filters({}), CacheLimits(reserved=total)) == ([], 0)
    assert await shop.builder.prune(Filters({}), CacheLimits(most=total)) == ([], 0)
    assert await shop.builder.prune(Filters({}), CacheLimits(free=1)) == ([], 0)
    removed, _gained = await shop.builder.prune(Filters({}), CacheLimits(most=total - 1))
    assert removed
    for until, message in (("x", '"until" filter expects a duration'), (None, "only one value")):
        times = (until,) if until else ("1h", "2h")
        with pytest.raises(InvalidArgument, match=f"failed to prune build cache: .*{message}"):
            await shop.builder.prune(Filters({"until": times}), CacheLimits())


async def test_layers_of_the_cache_are_not_collected(shop: Workshop) -> None:
    await shop.build(TEXT, file("f", "1"))
    await shop.parts.service.remove("app")
    await shop.parts.removal.collect()
    assert hits(await shop.build(TEXT, file("f", "1"))) == [2, 3, 4, 5, 6]


# Refused before the stream ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "kind", "message"),
    [
        ("FROM x\nRUNN y", {}, InvalidArgument, "dockerfile parse error on line 2: unknown"),
        ("FROM base", {"dockerfile": "nope"}, EngineError, "Cannot locate specified Dockerfile: "),
        ("FROM base", {"dockerfile": "../../etc/passwd"}, EngineError, "Cannot locate specified"),
        ("FROM base", {"tags": ("Bad",)}, EngineError, "invalid reference format"),
        ("FROM base", {"squash": True}, InvalidArgument, "squash is only supported with exper"),
        ("FROM base", {"target": "x"}, InvalidArgument, 'target stage "x" could not be found'),
        ("FROM base", {"remote": "git://x"}, EngineError, "builds of a remote context are not"),
    ],
    ids=range(7),
)
async def test_what_can_be_refused_is_refused_at_once(
    shop: Workshop, text: str, options: dict[str, object], kind: type[EngineError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        await shop.build(text, **options)
    assert caught.value.message.startswith(message)


async def test_a_broken_context_is_refused(shop: Workshop) -> None:
    with pytest.raises(InvalidArgument, match="invalid entry name"):
        await shop.build("FROM base", file("../x"))


async def test_an_absent_base_is_named(shop: Workshop) -> None:
    lines = await shop.build("FROM nope:1\n")
    assert json.loads(lines[-1])["message"].startswith("image nope:1 is not here")


async def test_another_platform_is_refused(shop: Workshop) -> None:
    lines = await shop.build("FROM --platform=linux/s390x base\n")
    assert "does not match the specified platform (linux/s390x)" in lines[-1]


async def test_a_quiet_build_tells_the_id_alone(shop: Workshop) -> None:
    lines = await shop.build(TEXT, file("f"), quiet=True)
    assert lines == [f"{shop.parts.images.resolve('app').id}\n"]


async def test_arguments_that_nobody_took_are_named(shop: Workshop) -> None:
    lines = await shop.build("ARG G\nFROM base\nARG A\n", build_args={"A": "1", "G": "2", "Z": "3"})
    assert "[Warning] One or more build-args [Z] were not consumed\n" in lines


async def test_a_client_that_goes_away_ends_the_build(shop: Workshop) -> None:
    context = tar(file("Dockerfile", "FROM base\nRUN hang\n"))
    stream = await shop.builder.build(BuildOptions(tags=("app",)), chunks(context))

    async def read() -> None:
        async for _ in stream:
            pass

    reader = asyncio.create_task(read())
    await shop.runner.started.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert shop.parts.images.count() == 1
