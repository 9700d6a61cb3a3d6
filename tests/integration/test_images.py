"""Images: load, save, names, removal, prune, import, as Docker's clients see them."""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING

import pytest

from runtime.errors import Conflict, EngineError, InvalidArgument, NotFound
from runtime.filters import Filters
from runtime.image.image_store import ImageUser
from runtime.image.options import ImageListOptions, ImportOptions, PullOptions
from tests.support.images import (
    ImageParts,
    chunks,
    collect,
    docker_archive,
    file,
    image_config,
    load,
    open_parts,
    sha256,
    symlink,
    tar,
    write_file,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

ONE, TWO = tar(file("one", "1")), tar(file("two", "22"))
NONE = Filters({})


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[ImageParts]:
    opened = open_parts(str(tmp_path / "root"))
    yield opened
    opened.close()
    left = os.listdir(tmp_path / "root/snapshots")
    assert not [name for name in left if name.startswith("tmp-")]
    assert os.listdir(tmp_path / "root/content/ingest") == []


def use(parts: ImageParts, *users: ImageUser) -> None:
    parts.images.users = lambda _: users


def oci_archive(layer: bytes, name: str, architecture: str = "amd64") -> bytes:
    config = image_config([layer])
    packed = gzip.compress(layer)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": {"digest": sha256(config), "size": len(config)},
            "layers": [{"digest": sha256(packed), "size": len(packed)}],
        }
    ).encode()
    platform = {"os": "linux", "architecture": architecture}
    index = {
        "manifests": [
            {
                "digest": sha256(manifest), "size": len(manifest), "platform": platform,
                "annotations": {"org.opencontainers.image.ref.name": name},
            }
        ]
    }  # fmt: skip
    blobs = [config, packed, manifest]
    return tar(
        file("index.json", json.dumps(index)),
        *(file(f"blobs/sha256/{sha256(blob).removeprefix('sha256:')}", blob) for blob in blobs),
    )


async def test_a_docker_archive_is_loaded(parts: ImageParts) -> None:
    data = docker_archive([ONE, TWO], ["app:1", "other:2"], Cmd=["x"])
    assert await load(parts, data) == ["Loaded image: app:1\n", "Loaded image: other:2\n"]
    body = parts.images.inspect("app:1")
    assert body["RepoTags"] == ["app:1", "other:2"]
    assert body["RootFS"] == {"Type": "layers", "Layers": [sha256(ONE), sha256(TWO)]}
    assert body["Size"] == 3
    config = body["Config"]
    assert isinstance(config, dict)
    assert (config["Cmd"], config["Entrypoint"], config["User"]) == (["x"], None, "")
    assert [event["Action"] for event in parts.seen] == ["load"]
    assert body["Metadata"] == {"LastTagTime": "0001-01-01T00:00:00Z"}


async def test_a_compressed_archive_is_loaded(parts: ImageParts) -> None:
    assert await load(parts, gzip.compress(docker_archive([ONE], ["a:1"]))) == [
        "Loaded image: a:1\n"
    ]


async def test_an_oci_layout_is_loaded(parts: ImageParts) -> None:
    assert await load(parts, oci_archive(ONE, "quay.io/x/y:1")) == ["Loaded image: quay.io/x/y:1\n"]
    assert parts.images.resolve("quay.io/x/y:1").id == sha256(image_config([ONE]))


async def test_an_image_without_a_name_is_loaded_by_id(parts: ImageParts) -> None:
    identifier = sha256(image_config([ONE]))
    assert await load(parts, docker_archive([ONE], [])) == [f"Loaded image ID: {identifier}\n"]


async def test_a_link_to_a_layer_inside_the_archive_is_followed(parts: ImageParts) -> None:
    config = image_config([ONE, ONE])
    manifest = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["x/layer.tar", "y/layer.tar"]}]
    await load(
        parts,
        tar(
            symlink("y/layer.tar", "../x/layer.tar"), file("x/layer.tar", ONE),
            file("manifest.json", json.dumps(manifest)), file("c.json", config),
        ),
    )  # fmt: skip
    assert len(parts.images.resolve("a:1").layers) == 2


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"x" * 2000, "archive/tar: invalid tar header"),
        (docker_archive([ONE], ["a:1"])[:2000], "unexpected EOF"),
        (tar(file("x", "y")), "neither manifest.json nor index.json"),
        (docker_archive([ONE], ["Bad"]), "must be lowercase"),
        (docker_archive([ONE], ["a:1"]).replace(b"layer0/layer.tar", b"../../etc/passwd"), ""),
        (docker_archive([tar(file("../x"))], ["a:1"]), 'invalid entry name "../x"'),
        (tar(file("manifest.json", '[{"Config":"/etc/passwd"}]')), "is missing"),
        (tar(file("manifest.json", "[" * 5000)), "invalid JSON"),
        (tar(file("manifest.json", "{}")), "must be a list"),
    ],
    ids=range(9),
)
async def test_a_bad_archive_stores_nothing(
    parts: ImageParts, archive: bytes, message: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await load(parts, archive)
    assert message in caught.value.message
    assert parts.images.count() == 0
    await parts.removal.collect()
    assert parts.snapshotter.layers.all() == []


async def test_a_layer_with_another_digest_is_refused(parts: ImageParts) -> None:
    config = image_config([TWO])
    manifest = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l"]}]
    members = [file("l", ONE), file("c.json", config), file("manifest.json", json.dumps(manifest))]
    with pytest.raises(InvalidArgument) as caught:
        await load(parts, tar(*members))
    assert caught.value.message == (
        f'invalid diffID for layer 0: expected "{sha256(TWO)}", got "{sha256(ONE)}"'
    )


async def test_a_client_that_goes_away_leaves_nothing(parts: ImageParts) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield docker_archive([ONE * 100], ["a:1"])[:20_000]
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        async for _ in await parts.service.load(broken()):
            pass
    assert parts.images.count() == 0


async def test_what_is_saved_is_stable_and_loads_again(parts: ImageParts, tmp_path: Path) -> None:
    await load(parts, docker_archive([ONE, TWO], ["app:1", "app:2"]))
    saved = await collect(await parts.service.save(["app:1", "app:2"]))
    assert saved == await collect(await parts.service.save(["app:1", "app:2"]))
    other = open_parts(str(tmp_path / "other"))
    assert await load(other, saved) == ["Loaded image: app:1\n", "Loaded image: app:2\n"]
    assert other.images.resolve("app:2").id == parts.images.resolve("app:1").id
    assert await collect(await other.service.save(["app:1", "app:2"])) == saved
    other.close()


async def test_an_image_saved_by_id_has_no_name(parts: ImageParts, tmp_path: Path) -> None:
    await load(parts, docker_archive([ONE], ["app:1"]))
    identifier = parts.images.resolve("app:1").id
    saved = await collect(await parts.service.save([identifier[7:19]]))
    other = open_parts(str(tmp_path / "other"))
    assert await load(other, saved) == [f"Loaded image ID: {identifier}\n"]
    other.close()


async def test_saving_what_is_not_there_fails_before_the_stream(parts: ImageParts) -> None:
    with pytest.raises(NotFound, match=r"No such image: nope$"):
        await parts.service.save(["nope"])


@pytest.mark.parametrize(
    ("ref", "message"),
    [("nope", "No such image: nope:latest"), ("sha256:abc", "No such image: sha256:abc"),
     ("a" * 64, f"No such image: sha256:{'a' * 64}"), ("nope:1", "No such image: nope:1")],
)  # fmt: skip
async def test_an_absent_image_is_not_found(parts: ImageParts, ref: str, message: str) -> None:
    with pytest.raises(NotFound) as caught:
        parts.images.resolve(ref)
    assert caught.value.message == message


async def test_an_image_is_found_by_name_id_and_prefix(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["app"]))
    image = parts.images.resolve("app")
    for ref in ("app:latest", "docker.io/library/app", image.id, image.id[7:], image.id[7:12],
                image.id[:15], f"app@{image.id}"):  # fmt: skip
        assert parts.images.resolve(ref).id == image.id


async def test_a_name_moves_to_another_image(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["app:1"]))
    first = parts.images.resolve("app:1").id
    await load(parts, docker_archive([TWO], ["app:1"]))
    assert parts.images.resolve("app:1").id != first
    assert parts.images.inspect(first)["RepoTags"] == []
    dangling = ImageListOptions(Filters({"dangling": ("true",)}))
    assert [body["Id"] for body in await parts.service.list(dangling)] == [first]


async def test_tags_are_checked_and_told(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["app:1"], Labels={"a": "b"}))
    await parts.service.tag("app:1", "reg.io/me/app", "2")
    assert parts.images.inspect("app:1")["RepoTags"] == ["app:1", "reg.io/me/app:2"]
    assert parts.seen[-1]["Actor"] == {
        "ID": parts.images.resolve("app:1").id,
        "Attributes": {"a": "b", "name": "reg.io/me/app:2"},
    }
    for repo, tag, message in [
        ("Bad", "", "must be lowercase"),
        ("x", "b d", "invalid tag format"),
        (f"x@sha256:{'0' * 64}", "", "cannot import digest reference"),
    ]:
        with pytest.raises(InvalidArgument, match=message):
            await parts.service.tag("app:1", repo, tag)


async def test_removing_one_of_several_names_only_untags(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["app:1", "app:2"]))
    assert await parts.service.remove("app:1") == [{"Untagged": "app:1"}]
    assert parts.images.inspect("app:2")["RepoTags"] == ["app:2"]


async def test_removing_the_last_name_removes_the_image(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE, TWO], ["app:1"]))
    image = parts.images.resolve("app:1")
    assert await parts.service.remove("app:1") == [
        {"Untagged": "app:1"}, {"Deleted": image.id},
        {"Deleted": image.layers[1]}, {"Deleted": image.layers[0]},
    ]  # fmt: skip
    assert [event["Action"] for event in parts.seen] == ["load", "untag", "delete"]
    assert os.listdir(os.path.join(parts.root, "snapshots")) == ["empty"]
    assert os.listdir(os.path.join(parts.root, "content/blobs/sha256")) == []


async def test_layers_that_others_share_stay(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["base:1"]))
    await load(parts, docker_archive([ONE, TWO], ["app:1"]))
    top = parts.images.resolve("app:1")
    assert await parts.service.remove("app:1") == [
        {"Untagged": "app:1"}, {"Deleted": top.id}, {"Deleted": top.layers[1]}
    ]  # fmt: skip
    os.close(await parts.snapshotter.view(parts.images.resolve("base:1").layers))


async def test_an_id_with_several_names_needs_force(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["a:1", "b:1"]))
    short = parts.images.resolve("a:1").id[7:19]
    with pytest.raises(Conflict) as caught:
        await parts.service.remove(short)
    assert caught.value.message == (
        f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple"
        " repositories"
    )
    records = await parts.service.remove(short, force=True)
    assert records[:2] == [{"Untagged": "a:1"}, {"Untagged": "b:1"}]
    assert parts.images.count() == 0


async def test_an_image_in_use_is_kept(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["app:3"]))
    image = parts.images.resolve("app:3")
    short = image.id[7:19]
    use(parts, ImageUser("c" * 64, "web", running=False))
    with pytest.raises(Conflict) as caught:
        await parts.service.remove("app:3")
    assert caught.value.message == (
        'conflict: unable to remove repository reference "app:3" (must force) - container'
        f" {'c' * 12} is using its referenced image {short}"
    )
    with pytest.raises(Conflict) as caught:
        await parts.service.remove(short)
    assert caught.value.message == (
        f"conflict: unable to delete {short} (must be forced) - image is being used by stopped"
        f" container {'c' * 12}"
    )
    use(parts, ImageUser("d" * 64, "web", running=True))
    with pytest.raises(Conflict) as caught:
        await parts.service.remove(short, force=True)
    assert caught.value.message == (
        f"conflict: unable to delete {short} (cannot be forced) - image is being used by running"
        f" container {'d' * 12}"
    )
    assert await parts.service.remove("app:3", force=True) == [{"Untagged": "app:3"}]
    assert parts.images.count() == 1


async def test_layers_stay_while_a_container_needs_them(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["app:1"]))
    image = parts.images.resolve("app:1")
    await parts.snapshotter.prepare("c", image.layers)
    use(parts, ImageUser("c", "web", running=False))
    assert await parts.service.remove("app:1", force=True) == [
        {"Untagged": "app:1"}, {"Deleted": image.id}
    ]  # fmt: skip
    os.close(await parts.snapshotter.mount("c", image.layers))
    await parts.snapshotter.remove("c")
    await parts.removal.collect()
    assert parts.snapshotter.layers.all() == []


async def test_prune_takes_dangling_images_unless_told_otherwise(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], []))
    await load(parts, docker_archive([TWO], ["app:1"]))
    records, gained = await parts.service.prune(NONE)
    assert records[0] == {"Deleted": sha256(image_config([ONE]))}
    assert gained == 1
    records, gained = await parts.service.prune(Filters({"dangling": ("false",)}))
    assert records[0] == {"Untagged": "app:1"}
    assert gained == 2
    assert parts.seen[-1]["Actor"] == {"ID": "", "Attributes": {"reclaimed": "2"}}


async def test_prune_obeys_filters_and_users(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], [], Labels={"keep": "yes"}))
    for filters in ({"label!": ("keep",)}, {"label": ("other",)}, {"until": ("2020-01-01",)}):
        assert await parts.service.prune(Filters(filters)) == ([], 0)
    use(parts, ImageUser("c", "web", running=False))
    assert await parts.service.prune(NONE) == ([], 0)
    use(parts)
    assert (await parts.service.prune(Filters({"label": ("keep=yes",)})))[1] == 1


async def test_lists_are_filtered(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["app:1", "me/app:2"], Labels={"a": "b"}))
    await load(parts, docker_archive([TWO], ["reg.io/x/y:1"]))

    async def tags(**values: tuple[str, ...]) -> list[str]:
        found = await parts.service.list(ImageListOptions(Filters(values)))
        return sorted(str(body["RepoTags"]) for body in found)

    assert len(await tags()) == 2
    assert await tags(reference=("app",)) == ["['app:1']"]
    assert await tags(reference=("*:1",)) == ["['app:1']"]
    assert await tags(reference=("*/app",)) == ["['me/app:2']"]
    assert await tags(reference=("reg.io/*/*",)) == ["['reg.io/x/y:1']"]
    assert await tags(label=("a=b",)) == ["['app:1', 'me/app:2']"]
    assert await tags(dangling=("true",)) == []
    assert await tags(until=("2020-01-01",)) == []
    assert await tags(since=("app:1",)) == []
    with pytest.raises(NotFound):
        await tags(before=("nope",))


async def test_a_list_tells_shared_sizes(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["a:1"]))
    await load(parts, docker_archive([ONE, TWO], ["b:1"]))
    bodies = await parts.service.list(ImageListOptions(NONE, shared_size=True))
    assert {str(b["RepoTags"]): (b["SharedSize"], b["Size"]) for b in bodies} == {
        "['a:1']": (1, 1), "['b:1']": (1, 3)
    }  # fmt: skip
    assert parts.images.layers_size() == 3


async def test_history_names_the_newest_step(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["a:1"]))
    assert await parts.service.history("a:1") == [
        {
            "Comment": "", "Created": 1714979289, "CreatedBy": "test", "Size": 1,
            "Id": parts.images.resolve("a:1").id, "Tags": ["a:1"],
        }
    ]  # fmt: skip


async def test_a_root_file_system_becomes_an_image(parts: ImageParts) -> None:
    options = ImportOptions("-", "app", "7", changes=("LABEL a=b",))
    records = [r async for r in await parts.service.import_(options, chunks(gzip.compress(ONE)))]
    image = parts.images.resolve("app:7")
    assert records == [{"status": image.id}]
    assert image.config == {"Labels": {"a": "b"}}
    assert parts.images.inspect("app:7")["Comment"] == "Imported from -"
    assert [event["Action"] for event in parts.seen] == ["tag", "import"]


async def test_a_pull_says_that_there_is_no_registry(parts: ImageParts) -> None:
    with pytest.raises(EngineError, match="image app:1 is not here, and this engine has no regist"):
        await parts.service.pull(PullOptions("app", "1"))


async def test_images_are_there_after_a_restart(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["a:1"]))
    before = parts.images.inspect("a:1")
    again = open_parts(parts.root)
    await again.removal.recover()
    assert again.images.inspect("a:1") == before
    again.close()


async def test_recovery_removes_what_nobody_owns(parts: ImageParts) -> None:
    await load(parts, docker_archive([ONE], ["a:1"]))
    kept = parts.images.resolve("a:1")
    await parts.snapshotter.prepare("c", kept.layers)
    parts.snapshotter.layers.add_now(iter([TWO]), None)
    parts.snapshotter.layers.workspace_now()
    parts.images.content.write(b"stray")
    write_file(parts.root, "content/ingest/half")
    again = open_parts(parts.root)
    await again.removal.recover()
    assert [layer.chain_id for layer in again.snapshotter.layers.all()] == list(kept.layers)
    assert list(again.images.content.digests()) == [kept.id]
    hexes = kept.layers[0].removeprefix("sha256:")
    assert sorted(os.listdir(os.path.join(parts.root, "snapshots"))) == [
        hexes, "empty", f"init-{hexes}"
    ]  # fmt: skip
    again.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "No such image: none"),
        ("none:tag", "reference does not exist"),
        ("a/none", "No such image: a/none"),
        ("sha256:0000", "No such image: sha256:0000"),
        ("0123456789ab", "No such image: 0123456789ab"),
    ],
)
async def test_an_image_to_be_saved_that_is_not_there(
    parts: ImageParts, name: str, message: str
) -> None:
    with pytest.raises(NotFound) as caught:
        await parts.service.save([name])
    assert caught.value.message == message
