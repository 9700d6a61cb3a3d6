"""Command lines that docker refuses before it asks an engine are refused in the same words."""

from __future__ import annotations

import pytest

from compose import cli
from compose.docker import values
from compose.docker.container_flags import CONTAINER_FLAGS, create_request
from compose.docker.template import fill
from compose.errors import ShoalError
from compose.flags import parse
from tests.support.docker_cases import WITHOUT_ENGINE, Answer, plain, recorded

JsonObject = dict[str, object]


@pytest.mark.parametrize(
    ("words", "answer"),
    [pytest.param(*case, id=" ".join(case[0])) for case in recorded(WITHOUT_ENGINE)],
)
def test_a_refusal_is_dockers(
    words: list[str],
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    code = cli.main(["docker", *words])
    said = capsys.readouterr()
    assert Answer(code, plain(said.out), plain(said.err)) == answer


def _request(*words: str) -> JsonObject:
    args = parse(words, CONTAINER_FLAGS, interspersed=False)
    return create_request(args, args.rest[0], args.rest[1:], {"KNOWN": "value"})


def _host(*words: str) -> JsonObject:
    host = _request(*words, "busybox")["HostConfig"]
    assert isinstance(host, dict)
    return host


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-m", "64m", "--memory-swap", "-1"), {"Memory": 64 << 20, "MemorySwap": -1}),
        (("--cpus", "1.5", "-c", "512"), {"NanoCpus": 1_500_000_000, "CpuShares": 512}),
        (("--cpuset-cpus", "0-1", "--pids-limit", "-1"), {"CpusetCpus": "0-1", "PidsLimit": -1}),
        (("-v", "/a:/b:ro", "-v", "name:/c"), {"Binds": ["/a:/b:ro", "name:/c"]}),
        (("--tmpfs", "/t:size=1m", "--tmpfs", "/u"), {"Tmpfs": {"/t": "size=1m", "/u": ""}}),
        (
            ("-p", "127.0.0.1:8080:80", "-p", "53/udp"),
            {
                "PortBindings": {
                    "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
                    "53/udp": [{"HostIp": "", "HostPort": ""}],
                }
            },
        ),
        (
            ("--device", "/dev/fuse:r", "--device", "vendor.com/gpu=all"),
            {
                "Devices": [
                    {
                        "PathOnHost": "/dev/fuse",
                        "PathInContainer": "/dev/fuse",
                        "CgroupPermissions": "r",
                    }
                ],
                "DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["vendor.com/gpu=all"]}],
            },
        ),
        (
            ("--gpus", "2"),
            {
                "DeviceRequests": [
                    {"Driver": "", "Count": 2, "Capabilities": [["gpu"]], "Options": {}}
                ]
            },
        ),
        (
            ("--restart", "on-failure:3"),
            {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}},
        ),
        (("--ulimit", "nofile=5:9"), {"Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 9}]}),
        (("--add-host", "a=::1"), {"ExtraHosts": ["a:::1"]}),
        (("--sysctl", "net.ipv4.ip_forward=1"), {"Sysctls": {"net.ipv4.ip_forward": "1"}}),
        (
            ("--log-driver", "local", "--log-opt", "max-size=1m"),
            {"LogConfig": {"Type": "local", "Config": {"max-size": "1m"}}},
        ),
        (("--init=false", "--rm"), {"Init": False, "AutoRemove": True}),
        (
            ("--security-opt", "systempaths=unconfined", "--security-opt", "no-new-privileges"),
            {"MaskedPaths": [], "ReadonlyPaths": [], "SecurityOpt": ["no-new-privileges"]},
        ),
        (
            ("--device-write-bps", "/dev/x:1mb", "--device-read-iops", "/dev/x:5"),
            {
                "BlkioDeviceWriteBps": [{"Path": "/dev/x", "Rate": 1 << 20}],
                "BlkioDeviceReadIOps": [{"Path": "/dev/x", "Rate": 5}],
            },
        ),
    ],
)
def test_flags_become_fields_of_host_config(words: tuple[str, ...], expected: JsonObject) -> None:
    host = _host(*words)
    assert {key: host[key] for key in expected} == expected


def test_flags_become_fields_of_config() -> None:
    config = _request(
        *("-e", "A=b", "-e", "KNOWN", "-e", "UNKNOWN", "-l", "x=y", "-l", "z", "-w", "/w", "-it"),
        *("--entrypoint", "", "--stop-timeout", "5", "--expose", "70-71", "-v", "/anonymous"),
        *("--health-cmd", "true", "--health-interval", "1m30s", "busybox", "-c", "--rm"),
    )
    assert config["Env"] == ["A=b", "KNOWN=value", "UNKNOWN"]
    assert config["Labels"] == {"x": "y", "z": ""}
    assert (config["Cmd"], config["Entrypoint"]) == (["-c", "--rm"], [""])
    assert (config["Tty"], config["OpenStdin"], config["StdinOnce"]) == (True, True, True)
    assert config["StopTimeout"] == 5
    assert config["ExposedPorts"] == {"70/tcp": {}, "71/tcp": {}}
    assert config["Volumes"] == {"/anonymous": {}}
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 90 * 10**9}


def test_networks_become_endpoints() -> None:
    config = _request("--network", "one", "--ip", "10.0.0.5", "--network-alias", "x", "busybox")
    assert config["HostConfig"]["NetworkMode"] == "one"  # type: ignore[index]
    assert config["NetworkingConfig"] == {
        "EndpointsConfig": {"one": {"IPAMConfig": {"IPv4Address": "10.0.0.5"}, "Aliases": ["x"]}}
    }
    config = _request("--network", "name=one,alias=a,ip=10.0.0.6", "--net", "two", "busybox")
    assert config["NetworkingConfig"] == {
        "EndpointsConfig": {
            "one": {"IPAMConfig": {"IPv4Address": "10.0.0.6"}, "Aliases": ["a"]},
            "two": {},
        }
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "type=bind,source=/a,target=/b,readonly,bind-propagation=rslave",
            {
                "Type": "bind",
                "Source": "/a",
                "Target": "/b",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rslave"},
            },
        ),
        (
            "src=v,dst=/d,volume-nocopy,volume-opt=type=nfs,volume-label=a=b",
            {
                "Type": "volume",
                "Source": "v",
                "Target": "/d",
                "VolumeOptions": {
                    "NoCopy": True,
                    "DriverConfig": {"Options": {"type": "nfs"}},
                    "Labels": {"a": "b"},
                },
            },
        ),
        (
            'type=volume,dst=/d,"volume-opt=o=addr=1.2.3.4,rw"',
            {
                "Type": "volume",
                "Target": "/d",
                "VolumeOptions": {"DriverConfig": {"Options": {"o": "addr=1.2.3.4,rw"}}},
            },
        ),
        (
            "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770",
            {
                "Type": "tmpfs",
                "Target": "/t",
                "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770},
            },
        ),
    ],
)
def test_mounts(text: str, expected: JsonObject) -> None:
    assert values.mount(text) == expected


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.A.B}}-{{ .N }}", "x-5"),
        ("{{json .A}}", '{"B":"x"}'),
        ('{{index .L 1}} {{index .A "B"}} {{len .L}}', "q x 2"),
        ("{{.A}} {{.L}} {{.T}} {{.Z}}", "map[B:x] [p q] true <no value>"),
        ('{{join .L ","}} {{.A.B | upper}}', "p,q X"),
        ("no action", "no action"),
    ],
)
def test_templates(template: str, text: str) -> None:
    value = {"A": {"B": "x"}, "N": 5, "L": ["p", "q"], "T": True, "Z": None}
    assert fill(template, value) == text


@pytest.mark.parametrize(
    "template", ["{{.X}}", "{{range .L}}", "{{frob .A}}", "{{}}", "{{.A.B.C}}"]
)
def test_templates_that_are_not_understood_are_refused(template: str) -> None:
    with pytest.raises(ShoalError, match=r"^template parsing error: "):
        fill(template, {"A": {"B": "x"}, "L": []})
