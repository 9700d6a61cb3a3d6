"""What a Docker Engine answered is what Shoal answers: status, headers, body, to the byte.

The data is made by `tests.support.record_api_answers`; deliberate differences are listed here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.record_api_answers import CONTAINERS, FILE, Recorded

if TYPE_CHECKING:
    from tests.support.api_client import Answer, Api

_RECORDED = json.loads(FILE.read_text(encoding="utf-8"))
_OTHER_HEADERS = {
    "builder-version": "1",  # BuildKit is not there yet
    "connection": None,  # Shoal says when it closes
    "docker-experimental": None,  # Docker leaves it out of errors about versions
    "api-version": None,
}
_NAMED_TYPE = {
    # Docker streams these without a type
    "/v1.51/containers/api-recorded-plain/stats": ("content-type",),
}


def _name(entry: dict[str, Any]) -> str:
    return " ".join(entry["request"][:2])


@pytest.mark.parametrize("entry", _RECORDED["answers"], ids=_name)
async def test_answer_is_docker_s(api: Api, entry: dict[str, Any]) -> None:
    request = Recorded(*entry["request"])
    wire = await api.connect()
    wire.send(request.encode())
    answer = await wire.answer(request.method)
    wanted = entry["answer"]
    assert answer.body.decode() == wanted["body"]
    _check_head(answer, wanted, request.target)


@pytest.mark.parametrize("entry", _RECORDED["heads"], ids=_name)
async def test_head_of_a_stream_is_docker_s(api: Api, entry: dict[str, Any]) -> None:
    request = Recorded(*entry["request"])
    for name, body in CONTAINERS.items():
        await api.call("POST", f"/containers/create?name={name}", body)
        await api.call("POST", f"/containers/{name}/start")
    if "{exec}" in request.target:
        made: Any = (await api.call("POST", "/containers/api-recorded-plain/exec", {})).json()
        request = request._replace(target=request.target.replace("{exec}", made["Id"]))
    wire = await api.connect()
    wire.send(request.encode())
    _check_head(await wire.head(), entry["answer"], request.target)


def _check_head(answer: Answer, wanted: dict[str, Any], target: str) -> None:
    assert f"{answer.status} {answer.reason}" == wanted["status"]
    for name, value in wanted["headers"].items():
        if name not in _OTHER_HEADERS:
            assert answer.headers.get(name) == value, name
    more = answer.headers.keys() - wanted["headers"].keys() - _OTHER_HEADERS.keys()
    assert more <= {"date", "server", "content-length", *_NAMED_TYPE.get(target, ())}
