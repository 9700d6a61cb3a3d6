"""Bodies that are not JSON, and content types: what is said of them is what Docker says."""

from __future__ import annotations

import pytest

from runtime.api.json_body import check_content_type, decode, explain
from runtime.container.shapes import Fraction
from runtime.errors import InvalidArgument

KIND = "container.CreateRequest"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "unexpected EOF"),
        ("}", "invalid character '}' looking for beginning of value"),
        ('{"a":}', "invalid character '}' looking for beginning of value"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
        ("nul", "unexpected EOF"),
        ('{"a":01}', "invalid character '1' after object key:value pair"),
        ("\ufeff{}", "invalid character '\\ufeff' looking for beginning of value"),
        ('{"a":"\x01"}', "invalid character '\\x01' in string"),
        ('{"a":"x\ty"}', "invalid character '\\t' in string"),
        ('{"a":"\\x"}', "invalid escape sequence `\\x` in string"),
        ('{"a":"\\u12"}', 'invalid escape sequence `\\u12"}` in string'),
        ('{"a":"\\', "unexpected EOF"),
        ('{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
        ('{"a":falsx}', "invalid character 'x' in literal false (expecting 'e')"),
        ('{"a":nulx}', "invalid character 'x' in literal null (expecting 'l')"),
        ('{"a":-}', "invalid character '}' in numeric literal"),
        ('{"a":--1}', "invalid character '-' in numeric literal"),
        ('{"a":1e}', "invalid character '}' in numeric literal"),
        ('{"a":1.}', "invalid character '}' in numeric literal"),
        ('{"a":.5}', "invalid character '.' looking for beginning of value"),
        ('{"a":1.5.5}', "invalid character '.' after object key:value pair"),
        ('{"a":NaN}', "invalid character 'N' looking for beginning of value"),
        ('{"a":[1 2]}', "invalid character '2' after array element"),
        ('{"a":[1,]}', "invalid character ']' looking for beginning of value"),
        ('{"a":é}', "invalid character 'é' looking for beginning of value"),
        ("\\", "invalid character '\\\\' looking for beginning of value"),
        ("\x00", "invalid character '\\x00' looking for beginning of value"),
        ("[" * 100_000, "exceeded max depth"),
        ('{"Hostname":1.5', "unexpected EOF"),
    ],
)
def test_what_is_wrong_is_said_in_docker_s_words(text: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        decode(text.encode(), KIND)
    assert caught.value.message == f"invalid JSON: {complaint}"


@pytest.mark.parametrize("text", ['{"a": [1, -2.5e3, "\\u00e9", null, true, {}]}', "[]", '" "'])
def test_nothing_is_said_of_what_is_json(text: str) -> None:
    assert explain(text) == ""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "invalid JSON: got EOF while reading request body"),
        (b"  \n", "invalid JSON: got EOF while reading request body"),
        (b"{} x", "unexpected content after JSON"),
        (b"[1]", f"invalid JSON: json: cannot unmarshal array into Go value of type {KIND}"),
        (b"true", f"invalid JSON: json: cannot unmarshal bool into Go value of type {KIND}"),
        (b'"x"', f"invalid JSON: json: cannot unmarshal string into Go value of type {KIND}"),
    ],
)
def test_a_body_that_is_no_object_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        decode(data, KIND)
    assert caught.value.message == message


def test_a_number_that_python_does_not_read_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="invalid JSON: "):
        decode(b'{"a": ' + b"9" * 5000 + b"}", KIND)


@pytest.mark.parametrize(("data", "value"), [(b' {"a": 1} ', {"a": 1}), (b"null", {})])
def test_a_body_is_decoded(data: bytes, value: object) -> None:
    assert decode(data, KIND) == value


def test_a_fraction_keeps_how_it_was_written() -> None:
    number = decode(b'{"a": 1.50e1}', KIND)["a"]
    assert isinstance(number, Fraction)
    assert (number, number.written) == (15.0, "1.50e1")


@pytest.mark.parametrize(
    "text",
    [
        *("application/json", "Application/JSON; charset=utf-8", "application/json;"),
        'application/json; charset="utf-8"',
    ],
)
def test_a_content_type_of_json_is_accepted(text: str) -> None:
    check_content_type(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "malformed Content-Type header (): mime: no media type"),
        (";", "malformed Content-Type header (;): mime: no media type"),
        ("text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'"),
        ("json", "unsupported Content-Type header (json): must be 'application/json'"),
        (
            "application/json; x",
            "malformed Content-Type header (application/json; x): mime: invalid media parameter",
        ),
        (
            "a/b/c",
            "malformed Content-Type header (a/b/c): mime: unexpected content after media subtype",
        ),
    ],
)
def test_another_content_type_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_content_type(text)
    assert caught.value.message == message
