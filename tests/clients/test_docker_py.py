"""docker-py's ``from_env()``: the whole life of containers, networks, volumes and images."""

from __future__ import annotations

import io
import json
import socket
import tarfile
import threading
import urllib.request
from contextlib import closing
from typing import Any

import pytest

from tests.clients.conftest import IMAGE, PREFIX
from tests.support.eventually import eventually

docker = pytest.importorskip("docker")

SLEEP = ["sh", "-c", "trap 'exit 5' TERM; echo begun; sleep 100000 & wait"]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tar_of(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.uid, info.gid = len(content), 7, 8
        tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def running(client: Any, name: str, **settings: Any) -> Any:
    """Start a container that has said that it runs."""
    container = client.containers.run(IMAGE, SLEEP, name=PREFIX + name, detach=True, **settings)
    eventually(lambda: b"begun" in container.logs())
    return container


def test_the_engine_tells_of_itself(client: Any) -> None:
    assert client.ping() is True
    assert client.version()["ApiVersion"] == "1.51"
    assert client.info()["OSType"] == "linux"
    usage = client.df()
    assert usage["LayersSize"] > 0
    assert any(IMAGE in (image["RepoTags"] or ()) for image in usage["Images"])


def test_run_returns_what_was_written(client: Any) -> None:
    assert client.containers.run(IMAGE, ["echo", "hi"], remove=True) == b"hi\n"
    both = client.containers.run(
        IMAGE, ["sh", "-c", "echo out; echo err >&2"], remove=True, stdout=True, stderr=True
    )
    assert sorted(both.splitlines()) == [b"err", b"out"]
    assert client.containers.list(all=True, filters={"ancestor": IMAGE}) == []


def test_a_failed_run_raises_its_code(client: Any) -> None:
    with pytest.raises(docker.errors.ContainerError) as failed:
        client.containers.run(IMAGE, ["sh", "-c", "echo why >&2; exit 3"], remove=True)
    assert failed.value.exit_status == 3
    assert failed.value.stderr == b"why\n"
    with pytest.raises(docker.errors.APIError) as refused:
        client.containers.run(IMAGE, ["no-such-program"], name=f"{PREFIX}x")
    assert "executable file not found" in str(refused.value)
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(f"{PREFIX}nothing")


def test_the_whole_life(client: Any) -> None:
    container = client.containers.create(
        IMAGE, SLEEP, name=f"{PREFIX}life", labels={"a": "1"}, environment={"A": "b"}
    )
    assert container.status == "created"
    container.start()
    container.reload()
    assert (container.status, container.labels["a"]) == ("running", "1")
    lines = container.logs(stream=True, follow=True)
    assert next(lines) == b"begun\n"
    container.rename(f"{PREFIX}renamed")
    container.reload()
    assert container.name == f"{PREFIX}renamed"
    container.pause()
    container.reload()
    assert container.status == "paused"
    container.unpause()
    container.update(mem_limit=64 << 20, memswap_limit=128 << 20)
    container.reload()
    assert container.attrs["HostConfig"]["Memory"] == 64 << 20
    container.restart(timeout=60)
    eventually(lambda: container.logs().count(b"begun") == 2)  # the trap is set again
    container.reload()
    assert container.status == "running"
    container.stop(timeout=60)
    assert container.wait()["StatusCode"] == 5
    container.start()
    container.kill()
    assert container.wait(condition="not-running")["StatusCode"] == 137
    container.remove()
    with pytest.raises(docker.errors.NotFound):
        container.reload()


def test_exec_run(client: Any) -> None:
    container = running(client, "exec", working_dir="/tmp")
    assert container.exec_run(["echo", "hi"]) == (0, b"hi\n")
    assert container.exec_run("sh -c 'exit 9'").exit_code == 9
    streams = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    assert streams.output == (b"out\n", b"err\n")
    settings = {"user": "nobody", "workdir": "/etc", "environment": {"A": "b"}}
    said = container.exec_run(["sh", "-c", "id -un; pwd; echo $A"], **settings)
    assert said.output == b"nobody\n/etc\nb\n"
    pieces = container.exec_run(["sh", "-c", "echo one; echo two"], stream=True).output
    assert b"".join(pieces) == b"one\ntwo\n"
    tty = container.exec_run(["tty"], tty=True).output
    assert tty.startswith(b"/dev/pts/")


def test_standard_input_through_a_socket(client: Any) -> None:
    container = client.containers.create(IMAGE, ["cat"], name=f"{PREFIX}cat", stdin_open=True)
    attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    raw = attached._sock
    raw.sendall(b"hello\n")
    raw.shutdown(socket.SHUT_WR)
    data = b""
    while piece := raw.recv(4096):
        data += piece
    attached.close()
    assert data[8:] == b"hello\n"
    container.wait()


def test_files_go_in_and_out(client: Any) -> None:
    container = running(client, "files")
    assert container.put_archive("/tmp", tar_of("new", b"content\n")) is True
    assert container.exec_run(["cat", "/tmp/new"]).output == b"content\n"
    pieces, status = container.get_archive("/tmp/new")
    assert (status["name"], status["size"]) == ("new", 8)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        info = tar.getmember("new")
        assert (info.uid, info.gid) == (7, 8)
    with pytest.raises(docker.errors.NotFound):
        container.get_archive("/nothing")
    with pytest.raises(docker.errors.APIError):
        container.put_archive("/tmp/new", tar_of("x", b"x"))
    assert {"Path": "/tmp/new", "Kind": 1} in container.diff()
    with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as tar:
        assert "tmp/new" in tar.getnames()


def test_top_and_stats(client: Any) -> None:
    container = running(client, "busy")
    rows = eventually(lambda: [r for r in container.top()["Processes"] if r[-1] == "sleep 100000"])
    assert len(rows) == 1
    assert container.top(ps_args="-o pid,comm")["Titles"] == ["PID", "COMMAND"]
    stats = container.stats(stream=False)
    cpu, before = stats["cpu_stats"], stats["precpu_stats"]
    assert cpu["system_cpu_usage"] > before["system_cpu_usage"]
    assert cpu["cpu_usage"]["total_usage"] >= before["cpu_usage"]["total_usage"]
    assert 0 < stats["memory_stats"]["usage"] < stats["memory_stats"]["limit"]
    assert stats["pids_stats"]["current"] == 2
    stream = container.stats(decode=True, stream=True)
    samples = [next(stream), next(stream)]
    assert samples[1]["preread"] == samples[0]["read"]


def test_commit_makes_an_image(client: Any) -> None:
    container = running(client, "commit")
    container.exec_run(["sh", "-c", "echo kept > /kept"])
    image = container.commit(
        repository=f"{PREFIX}image", tag="v1", author="me", message="said", changes="ENV A=b"
    )
    try:
        assert image.attrs["Author"] == "me"
        assert "A=b" in image.attrs["Config"]["Env"]
        assert image.history()[0]["Comment"] == "said"
        assert client.containers.run(image.id, ["cat", "/kept"], remove=True) == b"kept\n"
    finally:
        client.images.remove(f"{PREFIX}image:v1")


def test_events_tell_of_it(client: Any) -> None:
    events = client.events(decode=True, filters={"container": f"{PREFIX}told"})
    seen: list[str] = []
    ended = threading.Event()

    def read() -> None:
        for event in events:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                ended.set()
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    container = client.containers.run(IMAGE, ["true"], name=f"{PREFIX}told", detach=True)
    container.wait()
    container.remove()
    assert ended.wait(60), seen
    events.close()
    told = [action for action in seen if action != "attach"]
    assert told == ["create", "start", "die", "destroy"]


def test_networks_know_names(client: Any) -> None:
    network = client.networks.create(f"{PREFIX}lan", labels={"l": "1"})
    one = running(client, "one", network=network.name)
    two = running(client, "two")
    network.connect(two, aliases=["deux"])
    assert one.exec_run(["ping", "-c", "1", "-W", "10", "deux"]).exit_code == 0
    network.reload()
    assert {container.name for container in network.containers} == {one.name, two.name}
    with pytest.raises(docker.errors.APIError):
        network.remove()
    network.disconnect(two)
    assert one.exec_run(["ping", "-c", "1", "-W", "1", "deux"]).exit_code != 0
    one.remove(force=True)
    assert client.networks.list(filters={"label": "l=1"})[0].id == network.id
    network.remove()


def test_volumes_keep_data(client: Any) -> None:
    volume = client.volumes.create(f"{PREFIX}kept", labels={"l": "1"})
    mounts = {volume.name: {"bind": "/data", "mode": "rw"}}
    client.containers.run(
        IMAGE, ["sh", "-c", "echo x > /data/f"], volumes=mounts, name=f"{PREFIX}w", remove=True
    )
    reader = client.containers.create(IMAGE, ["cat", "/data/f"], volumes=mounts, name=f"{PREFIX}r")
    with pytest.raises(docker.errors.APIError) as refused:
        volume.remove()
    assert refused.value.status_code == 409
    reader.start()
    reader.wait()
    assert reader.logs() == b"x\n"
    reader.remove()
    volume.remove()
    with pytest.raises(docker.errors.NotFound):
        client.volumes.get(volume.name)


def test_a_published_port_answers(client: Any) -> None:
    port = free_port()
    server = ["sh", "-c", "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp"]
    container = client.containers.run(
        IMAGE, server, name=f"{PREFIX}web", detach=True, ports={"80/tcp": ("127.0.0.1", port)}
    )
    container.reload()
    assert container.ports["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(port)}]
    assert eventually(lambda: answered(port)) == b"hello\n"


def answered(port: int) -> bytes | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            body: bytes = answer.read()
            return body
    except OSError:
        return None


def test_a_health_check_turns_healthy(client: Any) -> None:
    check = {"test": ["CMD", "true"], "interval": 10**9}
    container = running(client, "healthy", healthcheck=check)

    def healthy() -> bool:
        container.reload()
        return bool(container.health == "healthy")

    eventually(healthy)
    log = container.attrs["State"]["Health"]["Log"]
    assert log[0]["ExitCode"] == 0


def test_images_are_built_tagged_saved_and_loaded(client: Any) -> None:
    dockerfile = f"FROM {IMAGE}\nENV A=b\nRUN echo built > /built\nCMD cat /built\n"
    image, log = client.images.build(
        fileobj=io.BytesIO(dockerfile.encode()), tag=f"{PREFIX}built:1", rm=True
    )
    assert any("Successfully built" in entry.get("stream", "") for entry in log)
    assert client.containers.run(image.id, remove=True) == b"built\n"
    assert image.tag(f"{PREFIX}built", "2") is True
    saved = b"".join(client.images.get(f"{PREFIX}built:1").save(named=True))
    client.images.remove(f"{PREFIX}built:2")
    client.images.remove(f"{PREFIX}built:1")
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get(f"{PREFIX}built:1")
    (loaded,) = client.images.load(saved)
    assert loaded.id == image.id
    assert loaded.history()[0]["CreatedBy"].startswith(("/bin/sh -c #(nop)", "CMD"))
    client.images.remove(f"{PREFIX}built:1")


def test_a_failing_build_says_why(client: Any) -> None:
    dockerfile = f"FROM {IMAGE}\nRUN exit 4\n".encode()
    with pytest.raises(docker.errors.BuildError) as failed:
        client.images.build(fileobj=io.BytesIO(dockerfile), rm=True)
    assert "returned a non-zero code: 4" in str(failed.value)


def test_lists_and_filters(client: Any) -> None:
    running(client, "listed", labels={"shoal-clients": "yes"})
    stopped = client.containers.create(
        IMAGE, ["true"], name=f"{PREFIX}stopped", labels={"shoal-clients": "yes"}
    )
    chosen = {"label": "shoal-clients=yes"}
    assert [c.name for c in client.containers.list(filters=chosen)] == [f"{PREFIX}listed"]
    everything = client.containers.list(all=True, filters=chosen)
    assert {c.name for c in everything} == {f"{PREFIX}listed", f"{PREFIX}stopped"}
    created = client.containers.list(all=True, filters={**chosen, "status": "created"})
    assert [c.id for c in created] == [stopped.id]
    removed = client.containers.prune(filters=chosen)
    assert removed["ContainersDeleted"] == [stopped.id]


def test_the_lower_level(client: Any) -> None:
    api = client.api
    limits = api.create_host_config(mem_limit="64m", cap_drop=["ALL"], read_only=True)
    made = api.create_container(IMAGE, ["sh", "-c", "sleep 100000"], name=f"{PREFIX}low",
                                host_config=limits, tty=True)  # fmt: skip
    identifier = made["Id"]
    api.start(identifier)
    api.resize(identifier, height=30, width=100)
    document = api.inspect_container(identifier)
    assert document["HostConfig"]["ReadonlyRootfs"] is True
    session = api.exec_create(identifier, ["sh", "-c", "touch /x"])
    api.exec_start(session)
    assert api.exec_inspect(session)["ExitCode"] == 1
    api.remove_container(identifier, force=True)
    assert json.dumps(made["Warnings"]) in {"null", "[]"}
