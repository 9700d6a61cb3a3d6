"""Names of images: what is one, what it means, how it is shown."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from runtime.errors import InvalidArgument
from runtime.image.reference import check_tag, is_digest, parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1", "docker.io/library/busybox:1", "busybox:1"),
        ("me/app", "docker.io/me/app", "me/app"),
        ("index.docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/library/a/b:1", "docker.io/library/a/b:1", "library/a/b:1"),
        ("localhost/app:x", "localhost/app:x", "localhost/app:x"),
        ("host:5000/a/b", "host:5000/a/b", "host:5000/a/b"),
        ("Host/app", "Host/app", "Host/app"),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
        ("quay.io/a__b/c---d.e", "quay.io/a__b/c---d.e", "quay.io/a__b/c---d.e"),
        (f"a:1@{DIGEST}", f"docker.io/library/a:1@{DIGEST}", f"a:1@{DIGEST}"),
    ],
)
def test_a_name_is_normalised_and_shown_familiar(text: str, full: str, familiar: str) -> None:
    reference = parse_reference(text)
    assert (str(reference), reference.familiar) == (full, familiar)


def test_a_name_without_tag_and_digest_means_latest() -> None:
    assert parse_reference("a").tagged().familiar == "a:latest"
    assert parse_reference("a:1").tagged().familiar == "a:1"
    assert parse_reference(f"a@{DIGEST}").tagged().familiar == f"a@{DIGEST}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Bad", "invalid reference format: repository name (library/Bad) must be lowercase"),
        ("a" * 64, f"invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal"),
        ("", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a:-", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a_-b", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a\n", "invalid reference format"),
        ("-a/b", "invalid reference format"),
        ("a@sha256:abc", "invalid reference format"),
        (f"a@sha256:{'a' * 63}", "invalid checksum digest length"),
        (f"a@md5:{'a' * 32}", "unsupported digest algorithm"),
        ("a" * 249, "repository name must not be more than 255 characters"),
        ("a:" + "b" * 129, "invalid reference format"),
    ],
)
def test_what_is_no_name_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_reference(text)
    assert caught.value.message.startswith(message)


def test_a_tag_alone_is_checked() -> None:
    assert check_tag("v1.2-3_x") == "v1.2-3_x"
    with pytest.raises(InvalidArgument, match="invalid tag format"):
        check_tag("b d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [(DIGEST, True), ("sha256:" + "A" * 64, False), ("sha256:ab", False), ("a" * 64, False),
     ("sha512:" + "0" * 128, True), ("md5:" + "0" * 32, False)],
)  # fmt: skip
def test_a_digest_has_a_known_algorithm_and_its_length(text: str, expected: bool) -> None:
    assert is_digest(text) is expected


_component = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True)


@given(
    st.sampled_from(["", "localhost/", "reg.io/", "reg:5000/", "docker.io/"]),
    st.lists(_component, min_size=1, max_size=3),
    st.from_regex(r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,10})?", fullmatch=True),
)
def test_normalising_twice_changes_nothing(domain: str, path: list[str], tag: str) -> None:
    # Without a domain the first of several components may itself be one.
    reference = parse_reference(domain + "/".join(path if domain else path[:1]) + tag)
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar) == reference


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidArgument:
        return
    assert parse_reference(str(reference)) == reference
