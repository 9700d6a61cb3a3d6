"""Seccomp profiles that leave calls to an agent (``SCMP_ACT_NOTIFY`` with ``listenerPath``)."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually
from tests.support.recorded_filters import recorded
from tests.support.seccomp_agent import Agent
from tests.support.seccomp_cases import refused_cases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

JsonObject = dict[str, object]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path_factory.mktemp("agent"), pool="base=10.232.0.0/16,size=24")
    process.start()
    process.load_busybox()
    yield process
    process.close()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path / "agent.sock", errno.EXDEV)
    yield made
    made.close()


def profile(path: str, *names: str, **fields: object) -> JsonObject:
    """Return the HostConfig of a container whose calls an agent decides."""
    document = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "listenerMetadata": "of the test",
        "syscalls": [{"names": list(names), "action": "SCMP_ACT_NOTIFY"}],
        **fields,
    }
    return {"NetworkMode": "none", "SecurityOpt": [f"seccomp={json.dumps(document)}"]}


@pytest.mark.parametrize("flags", [[], ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"]])
@pytest.mark.parametrize("options", [[], ["no-new-privileges"]])
def test_an_agent_decides_calls(
    engine: EngineProcess, agent: Agent, options: list[str], flags: list[str]
) -> None:
    host_config = profile(agent.path, "mkdir", "mkdirat", "sendmsg", flags=flags)
    host_config["SecurityOpt"] = [*host_config["SecurityOpt"], *options]  # type: ignore[misc]
    identifier = engine.run("sh", "-c", "mkdir /new; sleep 1000", HostConfig=host_config)
    eventually(lambda: b"Invalid cross-device link" in engine.logs(identifier))
    pid = engine.state(identifier)["Pid"]
    (message,) = agent.messages
    state = message.pop("state")
    assert isinstance(state, dict)
    version = state["ociVersion"]
    wanted = {"ociVersion": version, "fds": ["seccompFd"], "pid": pid, "metadata": "of the test"}
    assert message == wanted
    bundle = str(engine.run_root / "tasks" / f"{identifier}.1")
    told = {"id": identifier, "status": "creating", "pid": pid, "bundle": bundle}
    assert state == {"ociVersion": version, **told}
    assert agent.calls
    engine.call("DELETE", f"/containers/{identifier}?force=1")


def test_an_agent_decides_calls_of_an_exec(engine: EngineProcess, agent: Agent) -> None:
    identifier = engine.run(
        "sleep", "1000", HostConfig=profile(agent.path, "mkdir", "mkdirat"), User="1000"
    )
    code, output = engine.exec(identifier, "mkdir", "/tmp/new")
    assert (code, b"Invalid cross-device link" in output) == (1, True)
    first, second = agent.messages
    pid = engine.state(identifier)["Pid"]
    assert first["pid"] == pid
    assert second["pid"] != pid
    assert second["state"]["pid"] == pid  # type: ignore[index]
    assert second["state"]["status"] == "running"  # type: ignore[index]
    engine.call("DELETE", f"/containers/{identifier}?force=1")


def test_where_nobody_listens_the_start_fails_in_dockers_words(engine: EngineProcess) -> None:
    name = "notify with a listener"
    identifier = engine.create("true", HostConfig=refused_cases()[name])
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert [answer.status, answer.message] == recorded()["refused"][name]["start"]
    engine.call("DELETE", f"/containers/{identifier}?force=1")
