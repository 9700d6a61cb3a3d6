from __future__ import annotations

import pytest

from runtime.api.call import Call, check_content_type, decode, encode, header
from runtime.errors import EngineError, InvalidArgument
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


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "invalid JSON: got EOF while reading request body"),
        (b"  \n", "invalid JSON: got EOF while reading request body"),
        (b"{} x", "unexpected content after JSON"),
        (b"[1]", "invalid JSON: json: cannot unmarshal into an object"),
        (b'{"a": NaN}', "invalid JSON: invalid character 'N' looking for beginning of value"),
        (b'{"a"', "invalid JSON: "),
        (b'{"a":' + b"[" * 100_000, "invalid JSON: "),
        (b'{"a": ' + b"9" * 5000 + b"}", "invalid JSON: "),
    ],
)
def test_body_that_is_no_object_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        decode(data)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(("data", "value"), [(b' {"a": 1} ', {"a": 1}), (b"null", {})])
def test_body_is_decoded(data: bytes, value: object) -> None:
    assert decode(data) == value


@pytest.mark.parametrize("text", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_content_type_is_accepted(text: str) -> None:
    check_content_type(text)


def test_answer_keeps_letters_and_survives_broken_ones() -> None:
    assert encode({"a": "ü\udcff"}) == '{"a":"ü?"}\n'.encode()


def test_header_cannot_begin_another_one() -> None:
    assert header("X", "a\r\nY: b") == b"X: a  Y: b\r\n"
