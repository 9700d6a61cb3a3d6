"""Bodies of create requests."""

from __future__ import annotations

import io
import tarfile

import pytest

from compose.errors import ShoalError
from compose.model.build import FileReference, Ulimit
from compose.model.deploy import Deploy, Resource, Resources, RestartPolicy
from compose.model.resources import FileObject, Network, Volume
from compose.model.service import (
    BindOptions,
    Dependency,
    Device,
    Healthcheck,
    Mount,
    Port,
    ServiceNetwork,
    VolumeOptions,
)
from compose.model.units import Duration, FileMode, Size
from compose.reconciler import labels
from compose.reconciler.config_hash import network_hash, service_tree, unpack_tree
from compose.reconciler.container_body import (
    Identity,
    container_body,
    resolve_references,
    volumes_from,
)
from compose.reconciler.host_config import host_config
from compose.reconciler.mounts import inherited_mounts, inline_files, mounts_of
from compose.reconciler.network_body import network_body, volume_body
from tests.support.observations import container, project, service

SECOND = 10**9


def test_the_labels_are_docker_composes_and_win_over_the_users() -> None:
    one = service(
        "a",
        labels={"mine": "1", labels.PROJECT: "stolen"},
        depends_on={"b": Dependency(condition="service_healthy", restart=True)},
    )
    body = container_body(project(one), one, Identity(name="p-a-2", number=2, image_id="sha256:1"))
    found = body["Labels"] or {}
    assert found["mine"] == "1"
    assert found[labels.PROJECT] == "p"
    assert found[labels.SERVICE] == "a"
    assert found[labels.NUMBER] == "2"
    assert found[labels.ONEOFF] == "False"
    assert found[labels.DEPENDS_ON] == "b:service_healthy:true"
    assert found[labels.IMAGE] == "sha256:1"
    assert found[labels.WORKING_DIR] == "/d"
    assert found[labels.CONFIG_FILES] == "/d/compose.yaml"
    assert found[labels.VERSION] == "2.40.3"
    assert labels.REPLACE not in found
    assert unpack_tree(found[labels.SHOAL_CONFIG]) == service_tree(one)
    assert "," not in found[labels.SHOAL_CONFIG]


def test_a_one_off_container_has_a_slug_and_no_number() -> None:
    one = service("a")
    found = container_body(project(one), one, Identity(name="x", slug="abc"))["Labels"] or {}
    assert found[labels.SLUG] == "abc"
    assert found[labels.ONEOFF] == "True"
    assert labels.NUMBER not in found


def test_the_network_of_highest_priority_is_the_mode_and_all_are_endpoints() -> None:
    one = service(
        "a",
        networks={
            "back": None,
            "front": ServiceNetwork(priority=5, aliases=("x",), ipv4_address="10.0.0.9"),
        },
    )
    networks = {"back": Network(name="p_back"), "front": Network(name="p_front")}
    body = container_body(project(one, networks=networks), one, Identity(name="p-a-1"))
    assert body["HostConfig"]["NetworkMode"] == "p_front"
    assert body["NetworkingConfig"]["EndpointsConfig"] == {
        "p_front": {
            "Aliases": ["p-a-1", "a", "x"],
            "IPAMConfig": {"IPv4Address": "10.0.0.9"},
        },
        "p_back": {"Aliases": ["p-a-1", "a"]},
    }


def test_a_network_mode_leaves_no_endpoints() -> None:
    one = service("a", network_mode="host", networks={})
    body = container_body(project(one), one, Identity(name="p-a-1"))
    assert body["HostConfig"]["NetworkMode"] == "host"
    assert body["NetworkingConfig"] == {}


def test_what_is_unset_is_left_to_the_engine() -> None:
    one = service("a")
    assert host_config(one) == {}
    body = container_body(project(one), one, Identity(name="p-a-1"))
    assert body["Cmd"] is None
    assert body["Entrypoint"] is None
    assert "StopTimeout" not in body
    assert "Healthcheck" not in body


def test_empty_commands_are_sent_as_empty() -> None:
    one = service("a", command=(), entrypoint=())
    body = container_body(project(one), one, Identity(name="p-a-1"))
    assert (body["Cmd"], body["Entrypoint"]) == ([], [])


def test_a_variable_without_value_is_sent_without_equals_sign() -> None:
    one = service("a", environment={"A": "1", "B": None, "C": ""})
    body = container_body(project(one), one, Identity(name="p-a-1"))
    assert body["Env"] == ["A=1", "B", "C="]


def test_limits_of_deploy_win() -> None:
    limits = Resource(cpus=0.5, memory=Size(1000), pids=7)
    one = service(
        "a",
        cpus=2.0,
        mem_limit=Size(5),
        deploy=Deploy(
            resources=Resources(limits=limits, reservations=Resource(memory=Size(9))),
            restart_policy=RestartPolicy(condition="on-failure", max_attempts=4),
        ),
        restart="always",
    )
    config = host_config(one)
    assert config["NanoCpus"] == 500_000_000
    assert config["Memory"] == 1000
    assert config["PidsLimit"] == 7
    assert config["MemoryReservation"] == 9
    assert config["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 4}


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("always", {"Name": "always", "MaximumRetryCount": 0}),
        ("on-failure:3", {"Name": "on-failure", "MaximumRetryCount": 3}),
    ],
)
def test_restart_policies(text: str, policy: dict[str, object]) -> None:
    assert host_config(service("a", restart=text))["RestartPolicy"] == policy


def test_a_restart_policy_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ShoalError, match='service "a": restart "on-failure:x"'):
        host_config(service("a", restart="on-failure:x"))


def test_ports_are_exposed_and_published() -> None:
    one = service(
        "a",
        expose=("70-71", "90/udp"),
        ports=(
            Port(target=80, published="8080", host_ip="127.0.0.1", protocol="tcp"),
            Port(target=80, published="", protocol="tcp"),
        ),
    )
    body = container_body(project(one), one, Identity(name="p-a-1"))
    assert list(body["ExposedPorts"] or {}) == ["70/tcp", "71/tcp", "90/udp", "80/tcp"]
    assert body["HostConfig"]["PortBindings"] == {
        "80/tcp": [
            {"HostIp": "127.0.0.1", "HostPort": "8080"},
            {"HostIp": "", "HostPort": ""},
        ]
    }


def test_capabilities_devices_and_limits_have_the_engines_names() -> None:
    one = service(
        "a",
        cap_add=("net_admin", "CAP_CHOWN", "ALL"),
        devices=(
            Device(source="/dev/null", target="/dev/x", permissions="r"),
            Device(source="v.com/gpu=0", target="v.com/gpu=0"),
        ),
        ulimits={"nofile": Ulimit(soft=1, hard=2), "core": Ulimit(single=5)},
        security_opt=("no-new-privileges:true", "systempaths=unconfined"),
        extra_hosts=("h=::1",),
        tmpfs=("/run:size=1m", "/tmp"),
    )
    config = host_config(one)
    assert config["CapAdd"] == ["CAP_NET_ADMIN", "CAP_CHOWN", "ALL"]
    assert config["Devices"][0]["PathInContainer"] == "/dev/x"
    assert config["DeviceRequests"] == [{"Driver": "cdi", "DeviceIDs": ["v.com/gpu=0"]}]
    assert config["Ulimits"] == [
        {"Name": "core", "Soft": 5, "Hard": 5},
        {"Name": "nofile", "Soft": 1, "Hard": 2},
    ]
    assert config["SecurityOpt"] == ["no-new-privileges:true"]
    assert (config["MaskedPaths"], config["ReadonlyPaths"]) == ([], [])
    assert config["ExtraHosts"] == ["h:::1"]
    assert config["Tmpfs"] == {"/run": "size=1m", "/tmp": ""}


def test_a_health_check_is_in_nanoseconds() -> None:
    rule = Healthcheck(test=("CMD", "x"), interval=Duration(2 * SECOND), retries=0)
    one = service("a", healthcheck=rule)
    body = container_body(project(one), one, Identity(name="p-a-1"))
    assert body["Healthcheck"] == {"Test": ["CMD", "x"], "Interval": 2 * SECOND, "Retries": 0}


def test_a_disabled_health_check_is_none() -> None:
    one = service("a", healthcheck=Healthcheck(test=("CMD", "x"), disable=True))
    body = container_body(project(one), one, Identity(name="p-a-1"))
    assert body["Healthcheck"] == {"Test": ["NONE"]}


def test_a_start_interval_needs_a_start_period() -> None:
    one = service("a", healthcheck=Healthcheck(start_interval=Duration(1)))
    with pytest.raises(ShoalError, match=r"requires healthcheck\.start_period"):
        container_body(project(one), one, Identity(name="p-a-1"))


# Mounts


@pytest.mark.parametrize(
    ("rule", "bind"),
    [
        (Mount(type="bind", source="/h", target="/t"), "/h:/t:rw"),
        (
            Mount(
                type="bind",
                source="/h",
                target="/t",
                read_only=True,
                bind=BindOptions(create_host_path=True, selinux="z"),
            ),
            "/h:/t:ro,z",
        ),
        (Mount(type="volume", source="v", target="/t", volume=VolumeOptions()), "p_v:/t:rw"),
    ],
)
def test_plain_mounts_take_the_short_form(rule: Mount, bind: str) -> None:
    one = service("a", volumes=(rule,))
    wanted = project(one, volumes={"v": Volume(name="p_v")})
    assert mounts_of(wanted, one) == {"Binds": [bind]}


@pytest.mark.parametrize(
    ("rule", "mount"),
    [
        (
            Mount(type="bind", source="/h", target="/t", bind=BindOptions()),
            {"Type": "bind", "Source": "/h", "Target": "/t", "BindOptions": {}},
        ),
        (
            Mount(
                type="bind",
                source="/h",
                target="/t",
                bind=BindOptions(propagation="rslave", create_host_path=True),
            ),
            {
                "Type": "bind",
                "Source": "/h",
                "Target": "/t",
                "BindOptions": {"Propagation": "rslave", "CreateMountpoint": True},
            },
        ),
        (
            Mount(type="volume", source="v", target="/t", volume=VolumeOptions(nocopy=True)),
            {
                "Type": "volume",
                "Source": "p_v",
                "Target": "/t",
                "VolumeOptions": {"NoCopy": True},
            },
        ),
        (
            Mount(type="volume", target="/t"),
            {"Type": "volume", "Source": "", "Target": "/t"},
        ),
    ],
)
def test_other_mounts_take_the_long_form(rule: Mount, mount: dict[str, object]) -> None:
    one = service("a", volumes=(rule,))
    wanted = project(one, volumes={"v": Volume(name="p_v")})
    assert mounts_of(wanted, one) == {"Mounts": [mount]}


def test_a_recreated_container_takes_over_anonymous_volumes_only() -> None:
    one = service(
        "a",
        volumes=(
            Mount(type="volume", target="/anon"),
            Mount(type="volume", source="v", target="/named"),
        ),
    )
    old = container(
        one,
        mounts=[
            {"Type": "volume", "Name": "x1", "Destination": "/anon", "RW": True},
            {"Type": "volume", "Name": "p_v", "Destination": "/named", "RW": True},
            {"Type": "volume", "Name": "x2", "Destination": "/image", "RW": False},
            {"Type": "tmpfs", "Destination": "/anon2"},
        ],
    )
    kept = inherited_mounts(old, one, ["/image", "/named"])
    assert kept == [
        {"Type": "volume", "Source": "x1", "Target": "/anon", "ReadOnly": False},
        {"Type": "volume", "Source": "x2", "Target": "/image", "ReadOnly": True},
    ]
    wanted = project(one, volumes={"v": Volume(name="p_v")})
    assert mounts_of(wanted, one, kept) == {"Binds": ["p_v:/named:rw"], "Mounts": kept}


def test_files_are_bound_and_inline_contents_are_copied() -> None:
    one = service(
        "a",
        configs=(FileReference(source="c"), FileReference(source="inline", uid="5")),
        secrets=(FileReference(source="s", target="/run/secrets/s", mode=FileMode(0o400)),),
    )
    wanted = project(
        one,
        configs={"c": FileObject(file="/f"), "inline": FileObject(content="text")},
        secrets={"s": FileObject(environment="S", content="hidden")},
    )
    assert mounts_of(wanted, one)["Mounts"] == [
        {
            "Type": "bind",
            "Source": "/f",
            "Target": "/c",
            "ReadOnly": True,
            "BindOptions": {},
        }
    ]
    with tarfile.open(fileobj=io.BytesIO(inline_files(wanted, one))) as archive:
        found = {entry.name: (entry.mode, entry.uid) for entry in archive}
        assert found == {"inline": (0o444, 5), "run/secrets/s": (0o400, 0)}


def test_an_unset_secret_variable_is_named() -> None:
    one = service("a", secrets=(FileReference(source="s"),))
    wanted = project(one, secrets={"s": FileObject(environment="S")})
    with pytest.raises(ShoalError, match='variable "S" required by secret "s" is not set'):
        inline_files(wanted, one)


def test_inline_contents_need_a_writable_container() -> None:
    one = service("a", read_only=True, configs=(FileReference(source="c"),))
    wanted = project(one, configs={"c": FileObject(content="x")})
    with pytest.raises(ShoalError, match='cannot create config "c" in read-only service a'):
        inline_files(wanted, one)


# References to other services


def test_references_to_services_become_containers() -> None:
    one = service("a", network_mode="service:b", ipc="host", volumes_from=("b:ro", "container:x"))
    resolved = resolve_references(one, {"b": "ID"})
    assert resolved.network_mode == "container:ID"
    assert resolved.ipc == "host"
    assert resolved.volumes_from == ("ID", "x")
    assert volumes_from(one, {"b": "ID"}) == ("ID:ro", "x")


def test_a_reference_to_a_service_without_container_is_an_error() -> None:
    with pytest.raises(ShoalError, match="cannot share volume with service b"):
        resolve_references(service("a", volumes_from=("b",)), {})


# Networks and volumes


def test_network_and_volume_bodies_carry_the_labels() -> None:
    wanted = Network(name="p_default", labels={"x": "1"})
    body = network_body("p", "default", wanted)
    assert body["Labels"] == {
        "x": "1",
        labels.PROJECT: "p",
        labels.NETWORK: "default",
        labels.VERSION: "2.40.3",
        labels.CONFIG_HASH: network_hash(wanted),
    }
    assert "IPAM" not in body
    marks = volume_body("p", "v", Volume(name="p_v"))["Labels"]
    assert isinstance(marks, dict)
    assert marks[labels.VOLUME] == "v"
