"""Documents of images: digests, chains, and what is refused."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, strategies as st

from runtime.errors import InvalidArgument
from runtime.image import manifest

DIGEST = "sha256:" + "0" * 64
_digests = st.binary(max_size=8).map(manifest.digest_of)


@given(st.lists(_digests, max_size=6))
def test_a_chain_id_stands_for_its_layer_and_all_below(diff_ids: list[str]) -> None:
    chains = manifest.chain_ids(diff_ids)
    assert len(chains) == len(diff_ids)
    for number, diff_id in enumerate(diff_ids):
        if number == 0:
            assert chains[0] == diff_id
            continue
        text = f"{chains[number - 1]} {diff_id}".encode()
        assert chains[number] == "sha256:" + hashlib.sha256(text).hexdigest()


@given(st.lists(_digests, min_size=1, max_size=6), st.integers(min_value=0, max_value=5))
def test_the_chain_of_a_prefix_is_a_prefix_of_the_chain(diff_ids: list[str], cut: int) -> None:
    assert manifest.chain_ids(diff_ids[:cut]) == manifest.chain_ids(diff_ids)[:cut]


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b'{"a":' * 70 + b"1" + b"}" * 70, b"[" * 100_000, b" " * (5 << 20)],
    ids=["empty", "list", "cut", "deep", "very deep", "large"],
)
def test_a_document_from_outside_is_bounded(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        manifest.parse_document(data, "x")


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"digest": "../../etc/passwd", "size": 1},
        {"digest": DIGEST, "size": -1},
        {"digest": DIGEST, "size": True},
        {"digest": DIGEST},
        {"digest": "sha256:" + "A" * 64, "size": 1},
        {"digest": "sha512:" + "0" * 128, "size": 1},
    ],
)
def test_a_bad_descriptor_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument):
        manifest.parse_descriptor(value, "x")


def test_a_list_of_descriptors_is_bounded() -> None:
    entry = {"digest": DIGEST, "size": 1, "mediaType": "t", "platform": {"os": "linux"}}
    assert manifest.parse_descriptors([entry], "x")[0].platform == {"os": "linux"}
    with pytest.raises(InvalidArgument):
        manifest.parse_descriptors([entry] * 1001, "x")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"rootfs": {"diff_ids": "x"}},
        {"rootfs": {"diff_ids": ["sha256:x"]}},
        {"rootfs": {"diff_ids": []}, "config": []},
        {"rootfs": {"diff_ids": []}, "history": {}},
    ],
)
def test_a_bad_configuration_is_refused(document: object) -> None:
    with pytest.raises(InvalidArgument):
        manifest.parse_config(json.dumps(document).encode())


def test_a_configuration_without_layers_is_an_image_from_scratch() -> None:
    document = manifest.parse_config(b'{"rootfs": {"type": "layers", "diff_ids": null}}')
    assert manifest.diff_ids(document) == ()
