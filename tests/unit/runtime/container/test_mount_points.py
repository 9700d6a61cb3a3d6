"""Binds, mounts and volumes of a request."""

from __future__ import annotations

import pytest

from runtime.container.mount_points import (
    MountPoint,
    inherit,
    parse_bind,
    parse_mount,
    parse_volumes_from,
    read_mount_points,
)
from runtime.errors import EngineError, InvalidArgument

JsonObject = dict[str, object]


def test_an_absolute_source_is_a_bind_that_is_made_if_it_is_absent() -> None:
    point = parse_bind("/host//dir/:/in/", "")
    assert (point.type, point.source, point.target) == ("bind", "/host/dir", "/in")
    assert (point.rw, point.propagation, point.create_source) == (True, "rprivate", True)


def test_another_source_is_a_volume_that_is_filled_from_the_image() -> None:
    point = parse_bind("data:/in", "")
    assert (point.type, point.name, point.driver, point.mode) == ("volume", "data", "local", "z")
    assert point.copy
    assert not parse_bind("data:/in:nocopy", "").copy


def test_a_target_alone_is_an_anonymous_volume() -> None:
    assert parse_bind("/in", "").anonymous


@pytest.mark.parametrize(
    ("mode", "rw", "propagation"),
    [("ro", False, "rprivate"), ("rw,z", True, "rprivate"), ("ro,rshared", False, "rshared")],
)
def test_the_third_part_is_read_and_kept(mode: str, rw: bool, propagation: str) -> None:
    point = parse_bind(f"/a:/b:{mode}", "")
    assert (point.rw, point.propagation, point.mode) == (rw, propagation, mode)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:b:c:d", "invalid volume specification: 'a:b:c:d'"),
        (":/x", "invalid volume specification: ':/x'"),
        ("/a:/b:rw,ro", "invalid mode: rw,ro"),
        ("/a:/b:nocopy", 'type "bind": field VolumeOptions must not be specified'),
        ("data:/b:shared", 'type "volume": field BindOptions must not be specified'),
        ("/a:b/c", "invalid mount path: 'b/c' mount path must be absolute"),
        ("/a:/", "invalid specification: destination can't be '/'"),
        ("/a:/b/..", "invalid specification: destination can't be '/'"),
    ],
)
def test_a_bad_bind_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_bind(text, "")
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"Type": "x", "Target": "/a"}, 'invalid mount config for type "x": mount type unknown'),
        ({"Type": "volume"}, "field Target must not be empty"),
        ({"Type": "bind", "Target": "/a"}, "field Source must not be empty"),
        ({"Type": "bind", "Source": "/nowhere-at-all", "Target": "/a"}, "path does not exist"),
        ({"Type": "bind", "Source": "rel", "Target": "/a"}, "mount path must be absolute"),
        ({"Type": "tmpfs", "Source": "/x", "Target": "/a"}, "field Source must not be specified"),
        (
            {"Type": "tmpfs", "Target": "/a", "BindOptions": {}},
            'BindOptions must not be specified on mount type "tmpfs"',
        ),
        (
            {
                "Type": "volume",
                "Source": "data",
                "Target": "/a",
                "VolumeOptions": {"Subpath": "../x"},
            },
            "subpath must be a relative path within the volume",
        ),
    ],
)
def test_a_bad_mount_is_refused(entry: JsonObject, message: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_mount(entry)
    assert message in refused.value.message


def test_one_target_is_mounted_once() -> None:
    with pytest.raises(InvalidArgument, match="Duplicate mount point: /x"):
        read_mount_points({"Binds": ["a1:/x"], "Mounts": [{"Type": "tmpfs", "Target": "/x/"}]})


def test_a_tmpfs_of_the_host_config_is_not_listed() -> None:
    (point,) = read_mount_points({"Tmpfs": {"/t": "size=1m"}})
    assert (point.type, point.listed) == ("tmpfs", False)


def test_mounts_of_another_container_are_inherited_perhaps_read_only() -> None:
    point = MountPoint("volume", "/x", name="data", anonymous=True, copy=True)
    taken = inherit(point, "ro")
    assert (taken.rw, taken.anonymous, taken.copy) == (False, False, False)
    assert parse_volumes_from("other:ro") == ("other", "ro")
    with pytest.raises(InvalidArgument, match="invalid mode: xx"):
        parse_volumes_from("other:xx")


def test_the_durable_form_comes_back_the_same() -> None:
    point = parse_bind("data:/in:ro", "")
    assert MountPoint.from_document(point.to_document()) == point


def test_what_is_wrong_with_a_bind_is_told_as_docker_tells_it() -> None:
    with pytest.raises(EngineError) as refused:
        read_mount_points({"Binds": ["/a:/b:wrong"]})
    assert type(refused.value) is EngineError
    assert refused.value.message == "invalid mode: wrong"
    with pytest.raises(InvalidArgument, match="includes invalid characters for a local volume"):
        read_mount_points({"Binds": ["a/b:/x"]})


def test_an_image_is_mounted_read_only_under_its_name() -> None:
    (point,) = read_mount_points(
        {"Mounts": [{"Type": "image", "Source": "base", "Target": "/image"}]}
    )
    view = point.view()
    assert (view["Name"], view["RW"], view["Propagation"]) == ("base", False, "rprivate")
