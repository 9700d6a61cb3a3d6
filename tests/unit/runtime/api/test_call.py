from __future__ import annotations

import pytest

from runtime.api.call import Call, encode, header
from runtime.errors import EngineError
from runtime.http_server.messages import Request
from tests.support.fake_engine import make_fake_engine
from tests.support.idle_carrier import IdleCarrier


def call(query: str) -> Call:
    """Return a call with a query."""
    request = Request("GET", f"/x?{query}", {}, "1", IdleCarrier())
    return Call(make_fake_engine().record, request, "", (1, 51))


@pytest.mark.parametrize("text", ["", "0", "no", "NO", "false", "False", " none "])
def test_these_words_are_false(text: str) -> None:
    assert call(f"a={text}").flag("a", default=True) is False


@pytest.mark.parametrize("text", ["1", "true", "yes", "2", "off"])
def test_everything_else_is_true(text: str) -> None:
    assert call(f"a={text}").flag("a") is True


def test_absent_flag_has_its_default() -> None:
    assert call("b=1").flag("a", default=True) is True


def test_number_must_be_one() -> None:
    assert call("t=-1").number("t") == -1
    assert call("t=").number("t") is None
    with pytest.raises(EngineError, match=r'strconv\.Atoi: parsing "x": invalid syntax'):
        call("t=x").number("t")


def test_query_is_decoded() -> None:
    given = call("a=x%2Fy+z&a=2&b")
    assert given.texts("a") == ("x/y z", "2")
    assert given.has("b")
    assert given.text("c", "d") == "d"


def test_answer_keeps_letters_and_survives_broken_ones() -> None:
    assert encode({"a": "ü\udcff"}) == '{"a":"ü?"}\n'.encode()


def test_header_cannot_begin_another_one() -> None:
    assert header("X", "a\r\nY: b") == b"X: a  Y: b\r\n"
