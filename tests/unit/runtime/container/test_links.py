"""Legacy links: their form, and the hosts files that follow an address."""

from __future__ import annotations

import pytest

from runtime.container.links import _moved, parse_link
from runtime.errors import EngineError


@pytest.mark.parametrize(
    ("link", "parts"),
    [("a:b", ("a", "b")), ("a", ("a", "a")), ("/a:/c/b", ("a", "b")), ("/a", ("a", "a"))],
)
def test_the_form_of_a_link(link: str, parts: tuple[str, str]) -> None:
    assert parse_link(link) == parts


@pytest.mark.parametrize(
    ("link", "text"), [("", "empty string specified"), ("a:b:c", "bad format for links: a:b:c")]
)
def test_what_is_no_link(link: str, text: str) -> None:
    with pytest.raises(EngineError, match=text):
        parse_link(link)


def test_a_line_of_a_link_gets_its_next_address() -> None:
    before = b"127.0.0.1\tlocalhost\n172.17.0.2\tdb 1234 web\n172.17.0.3\tdbase x\n"
    after = b"127.0.0.1\tlocalhost\n172.17.0.9\tdb 1234 web\n172.17.0.3\tdbase x\n"
    assert _moved(before, aliases={"db"}, address="172.17.0.9") == after
