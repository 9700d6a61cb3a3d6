"""testcontainers-python: the generic container, its wait strategies, its networks."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import IMAGE
from tests.support.eventually import eventually

pytest.importorskip("testcontainers")

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

if TYPE_CHECKING:
    from pathlib import Path

strategies = pytest.importorskip("testcontainers.core.wait_strategies")

WEB = "sh -c 'echo hello > /tmp/index.html; echo serving; exec httpd -f -p 80 -h /tmp'"

pytestmark = pytest.mark.usefixtures("client")


def test_a_line_of_the_log_is_awaited() -> None:
    program = "sh -c 'sleep 1; echo ready to serve; sleep 100000'"
    with DockerContainer(IMAGE).with_command(program) as container:
        eventually(lambda: container.get_logs()[0] == b"ready to serve\n")
        out, err = container.get_logs()
        assert (out, err) == (b"ready to serve\n", b"")
        assert container.exec(["echo", "hi"]).output == b"hi\n"
        assert container.exec("sh -c 'exit 3'").exit_code == 3


@pytest.mark.parametrize("name", ["log", "http", "port"])
def test_a_server_is_awaited(name: str) -> None:
    made = {
        "log": lambda: strategies.LogMessageWaitStrategy("serving"),
        "http": lambda: strategies.HttpWaitStrategy(80).for_status_code(200),
        "port": lambda: strategies.PortWaitStrategy(80),
    }
    container = DockerContainer(IMAGE).with_command(WEB).with_exposed_ports(80)
    strategy = made[name]().with_startup_timeout(60)
    with container.waiting_for(strategy) as web:
        host, port = web.get_container_host_ip(), web.get_exposed_port(80)
        assert int(port) > 0
        if name != "log":
            with urllib.request.urlopen(f"http://{host}:{port}/", timeout=60) as answer:
                assert answer.read() == b"hello\n"


def test_a_health_check_is_awaited() -> None:
    check = {"test": ["CMD", "true"], "interval": 10**9}
    container = DockerContainer(IMAGE, healthcheck=check).with_command("sleep 100000")
    strategy = strategies.HealthcheckWaitStrategy().with_startup_timeout(60)
    with container.waiting_for(strategy) as healthy:
        state = healthy.get_wrapped_container().attrs["State"]
        assert state["Status"] == "running"


def test_a_container_that_ends_is_awaited() -> None:
    strategy = strategies.ContainerStatusWaitStrategy().with_startup_timeout(60)
    container = DockerContainer(IMAGE).with_command("sleep 100000").waiting_for(strategy)
    with container as done:
        assert done.get_wrapped_container().status in {"created", "running"}


def test_volumes_environment_and_files(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_text("copied\n")
    container = (
        DockerContainer(IMAGE)
        .with_env("GREETING", "hello")
        .with_kwargs(working_dir="/tmp")
        .with_copy_into_container(source, "/tmp/inside")
        .with_command("sleep 100000")
    )
    with container as started:
        said = started.exec(["sh", "-c", "echo $GREETING; pwd; cat inside"])
        assert said.output == b"hello\n/tmp\ncopied\n"


def test_containers_of_a_network_find_each_other() -> None:
    with Network() as network:
        server = DockerContainer(IMAGE).with_command("sleep 100000")
        server = server.with_network(network).with_network_aliases("server")
        other = DockerContainer(IMAGE).with_command("sleep 100000").with_network(network)
        with server, other:
            pinged = other.exec(["ping", "-c", "1", "-W", "10", "server"])
            assert pinged.exit_code == 0
