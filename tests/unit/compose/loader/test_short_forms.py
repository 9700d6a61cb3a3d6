"""Short ports, mounts and commands."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from compose.loader.command_line import OpenQuote, split_command
from compose.loader.mounts import MalformedMount, MountText, split_device, split_mount
from compose.loader.ports import PortText, split_port


def test_a_range_gives_one_port_each_sorted_as_text() -> None:
    assert [(port.target, port.published) for port in split_port("8-11:18-21")] == [
        (18, "8"),
        (19, "9"),
        (20, "10"),
        (21, "11"),
    ]


def test_one_port_may_choose_from_a_range() -> None:
    assert split_port("5000-5010:500") == [
        PortText(target=500, protocol="tcp", published="5000-5010")
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [("[::1]:7:7", "::1"), ("127.0.0.1::7", "127.0.0.1"), ("[fe80::1%eth0]:7:7", "fe80::1%eth0")],
)
def test_an_address_loses_its_brackets(text: str, address: str) -> None:
    assert split_port(text)[0].host_ip == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("80:y", "invalid container port 'y'"),
        ("x:80", "invalid host port 'x'"),
        ("80:99999", "invalid container port '99999'"),
        ("80:٣", "invalid container port"),
        ("9-8", "runs backwards"),
        ("80-81:8080-8082", "3 container ports, 2 host ports"),
        ("80/icmp", "invalid protocol 'icmp'"),
        ("foo:80:80", "invalid IP address 'foo'"),
        ("", "no container port"),
        ("80:", "no container port"),
    ],
)
def test_a_bad_port_says_which_part_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        split_port(text)


@given(st.text(alphabet="0123456789:.-/[]tcpud", max_size=20))
def test_any_text_is_a_port_or_refused(text: str) -> None:
    try:
        ports = split_port(text)
    except ValueError:
        return
    assert all(0 <= port.target <= 65535 for port in ports)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/d", MountText(target="/d")),
        ("v", MountText(target="v")),
        ("vol:/d", MountText(source="vol", target="/d")),
        ("./a:/d:ro,z", MountText(source="./a", target="/d", options=("ro", "z"))),
        ("${A:-x:y}:/d", MountText(source="${A:-x:y}", target="/d")),
        ("C:\\a:/d", MountText(source="C:\\a", target="/d")),
        (
            "vol:/d:typo,ro",
            MountText(source="vol", target="/d", options=("typo", "ro"), unknown=("typo",)),
        ),
    ],
)
def test_a_short_mount_has_up_to_three_parts(text: str, mount: MountText) -> None:
    assert split_mount(text) == mount


@pytest.mark.parametrize(
    ("source", "bind"),
    [("./a", True), ("/a", True), ("~", True), ("C:\\a", True), ("vol", False), ("a/b", False)],
)
def test_a_path_is_told_from_a_name(source: str, bind: bool) -> None:
    assert MountText(target="/d", source=source).is_bind is bind


@pytest.mark.parametrize("text", ["", "a1::/b", "vol:/b:ro:x", "v:/d", ":/d", "vol:"])
def test_a_bad_mount_is_refused(text: str) -> None:
    with pytest.raises(MalformedMount):
        split_mount(text)


def test_a_device_has_the_same_path_inside_unless_told() -> None:
    assert split_device("/dev/a") == ("/dev/a", "/dev/a", "rwm")
    assert split_device("/dev/a:/dev/b:r") == ("/dev/a", "/dev/b", "r")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("a  b\tc\nd", ("a", "b", "c", "d")),
        ("a 'b c' \"d e\"", ("a", "b c", "d e")),
        ("a\\ b", ("a b",)),
        ("'a\\b'", ("a\\b",)),
        ('"a\\"b"', ('a"b',)),
        ("''", ("",)),
        ('x"y"z', ("xyz",)),
        ("a '' b", ("a", "", "b")),
        ("a #b", ("a", "#b")),
        ("$(a b) c", ("$(a b)", "c")),
        ("`a b` c", ("`a b`", "c")),
        ('"a(b)"', ("a(b)",)),
    ],
)
def test_a_command_is_split_like_a_shell_does(text: str, words: tuple[str, ...]) -> None:
    assert split_command(text) == (words, "")


@pytest.mark.parametrize(
    ("text", "words", "lost"),
    [
        ("a | b", ("a",), "| b"),
        ("a&&b", ("a",), "&&b"),
        ("a 2>b", ("a",), ">b"),
        ("a 'x|y'", ("a", "x|y"), ""),
        ("a \\| b", ("a", "|", "b"), ""),
    ],
)
def test_an_unquoted_operator_ends_the_command(
    text: str, words: tuple[str, ...], lost: str
) -> None:
    assert split_command(text) == (words, lost)


@pytest.mark.parametrize("text", ["'a", '"a', "`a", "$(a", "a)", "a (b)", "a\\"])
def test_what_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(OpenQuote):
        split_command(text)


@given(st.lists(st.text(st.characters(blacklist_characters="'", blacklist_categories=["Cs"]))))
def test_quoted_words_arrive_unchanged(words: list[str]) -> None:
    assert split_command(" ".join(f"'{word}'" for word in words)) == (tuple(words), "")
