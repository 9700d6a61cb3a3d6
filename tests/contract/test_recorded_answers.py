"""What a Docker Engine answered is what Shoal answers: status, headers, body, to the byte.

The data is made by `tests.support.record_api_answers`; deliberate differences are listed here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.record_api_answers import FILE, Recorded

if TYPE_CHECKING:
    from tests.support.api_client import Api

_ANSWERS = json.loads(FILE.read_text(encoding="utf-8"))
_OTHER_HEADERS = {
    "builder-version": "1",  # BuildKit is not there yet
    "connection": None,  # Shoal says when it closes
    "docker-experimental": None,  # Docker leaves it out of errors about versions
    "api-version": None,
}


def _name(entry: dict[str, Any]) -> str:
    return " ".join(entry["request"][:2])


@pytest.mark.parametrize("entry", _ANSWERS, ids=_name)
async def test_answer_is_docker_s(api: Api, entry: dict[str, Any]) -> None:
    request = Recorded(*entry["request"])
    wire = await api.connect()
    wire.send(request.encode())
    answer = await wire.answer(request.method)
    wanted = entry["answer"]
    assert f"{answer.status} {answer.reason}" == wanted["status"]
    assert answer.body.decode() == wanted["body"]
    for name, value in wanted["headers"].items():
        if name not in _OTHER_HEADERS:
            assert answer.headers.get(name) == value
    unknown = answer.headers.keys() - wanted["headers"].keys() - _OTHER_HEADERS.keys()
    assert unknown <= {"date", "server", "content-length"}
