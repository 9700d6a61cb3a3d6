"""What a create request means, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.container.config import (
    MASKED_PATHS,
    HostFacts,
    Request,
    complete,
    masked_paths,
    merge_image,
    read_request,
)
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path

JsonObject = dict[str, object]
FACTS = HostFacts(private_cgroups=False)
ID = "8bd69fd5c0e1" + "0" * 52


def _completed(body: JsonObject, image: JsonObject | None = None) -> Request:
    request = read_request({"Image": "busybox", "Cmd": ["true"], **body})
    complete(request, ID, image or {}, FACTS)
    return request


def _refusal(**body: object) -> str:
    with pytest.raises(InvalidArgument) as refused:
        _completed(dict(body))
    return refused.value.message


def test_a_bare_request_has_dockers_zero_values() -> None:
    request = _completed({}, {"Env": ["PATH=/bin"]})
    config, host = request.config, request.host_config
    assert config["Hostname"] == "8bd69fd5c0e1"
    assert config["Env"] == ["PATH=/bin"]
    assert (config["Labels"], config["Entrypoint"], config["Volumes"]) == ({}, None, None)
    assert "Healthcheck" not in config
    assert "StopSignal" not in config
    assert host["NetworkMode"] == "bridge"
    assert host["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert host["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert (host["ShmSize"], host["IpcMode"], host["CgroupnsMode"]) == (67108864, "private", "host")
    assert host["MaskedPaths"] == list(masked_paths())
    assert (host["Binds"], host["Dns"], host["PortBindings"]) == (None, None, None)
    assert host["ConsoleSize"] == [0, 0]
    assert not {"Mounts", "Tmpfs", "Sysctls", "Init"} & host.keys()


def test_names_of_fields_match_without_case_and_unknown_ones_are_ignored() -> None:
    request = _completed({"hostNAME": "box", "hostconfig": {"autoremove": True}, "Magic": 1})
    assert request.config["Hostname"] == "box"
    assert request.host_config["AutoRemove"] is True
    assert "Magic" not in request.config


def test_lists_that_were_sent_empty_stay_empty() -> None:
    host = _completed({"HostConfig": {"Dns": [], "Devices": []}}).host_config
    assert (host["Dns"], host["Devices"], host["DnsSearch"]) == ([], [], None)


def test_a_command_may_be_one_word() -> None:
    assert _completed({"Cmd": "true"}).config["Cmd"] == ["true"]


def test_a_privileged_container_hides_nothing() -> None:
    host = _completed({"HostConfig": {"Privileged": True}}).host_config
    assert (host["MaskedPaths"], host["ReadonlyPaths"]) == (None, None)


def test_memory_brings_twice_as_much_with_swap() -> None:
    host = _completed({"HostConfig": {"Memory": 64 << 20}}).host_config
    assert host["MemorySwap"] == 128 << 20


def test_exposed_ports_stay_as_they_were_written() -> None:
    request = _completed({"ExposedPorts": {"80-81": {}, "53/udp": {}}})
    assert request.config["ExposedPorts"] == {"80-81": {}, "53/udp": {}}


def test_a_working_directory_is_tidied() -> None:
    assert _completed({"WorkingDir": "//data/../tmp//"}).config["WorkingDir"] == "/tmp"
    assert _completed({}).config["WorkingDir"] == ""


def test_a_health_check_without_settings_is_kept() -> None:
    assert _completed({"Healthcheck": {}}).config["Healthcheck"] == {}
    assert "Healthcheck" not in _completed({}).config


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"WorkingDir": "a"}, "the working directory 'a' is invalid"),
        ({"StopSignal": "NOPE"}, "invalid signal: NOPE"),
        ({"Env": ["=x"]}, "invalid environment variable: =x"),
        ({"Healthcheck": {"Interval": 5}}, "Interval in Healthcheck cannot be less than 1ms"),
    ],
)
def test_a_bad_config_is_refused(body: JsonObject, text: str) -> None:
    assert text in _refusal(**body)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ({"Memory": 1024}, "Minimum memory limit allowed is 6MB"),
        ({"Memory": 64 << 20, "MemorySwap": 1 << 20}, "Minimum memoryswap limit should be larger"),
        ({"MemorySwap": 64 << 20}, "You should always set the Memory limit"),
        ({"MemoryReservation": 1}, "Minimum memory reservation allowed is 6MB"),
        ({"NanoCpus": 1, "CpuPeriod": 5000}, "Nano CPUs and CPU Period cannot both be set"),
        ({"NanoCpus": 10**15}, "range of CPUs is from 0.01 to"),
        ({"CpuQuota": 10}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        ({"CpusetCpus": "a"}, "Invalid value a for cpuset cpus"),
        ({"CpusetCpus": "4000"}, "Requested CPUs are not available - requested 4000"),
        ({"BlkioWeight": 5}, "Range of blkio weight is from 10 to 1000"),
        ({"MemorySwappiness": 101}, "valid memory swappiness range is 0-100"),
        ({"OomScoreAdj": 2000}, "Invalid value 2000, range for oom score adj is [-1000, 1000]"),
        ({"ShmSize": -1}, "SHM size can not be less than 0"),
        ({"IpcMode": "x"}, "invalid IPC mode: x"),
        ({"PidMode": "container:"}, "invalid PID mode: container:"),
        ({"ExtraHosts": ["x"]}, 'bad format for add-host: "x"'),
        ({"LogConfig": {"Type": "nothing"}}, 'plugin "nothing" not found'),
        (
            {"LogConfig": {"Type": "json-file", "Config": {"x": "y"}}},
            "unknown log opt 'x' for json-file log driver",
        ),
        ({"AutoRemove": True, "RestartPolicy": {"Name": "always"}}, "can't create 'AutoRemove'"),
        ({"RestartPolicy": {"Name": "x"}}, "invalid restart policy: unknown policy 'x'"),
        (
            {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 1}},
            "maximum retry count can only be used with 'on-failure'",
        ),
        (
            {"NetworkMode": "container:x", "PortBindings": {"80": [{"HostPort": "1"}]}},
            "conflicting options: port publishing and the container type network mode",
        ),
        ({"PortBindings": {"80": [{"HostPort": "x"}]}}, 'invalid port specification: "x"'),
    ],
)
def test_a_bad_host_config_is_refused(host: JsonObject, text: str) -> None:
    assert text in _refusal(HostConfig=host)


def test_a_wrong_type_is_told_as_go_tells_it() -> None:
    assert _refusal(HostConfig={"Memory": "1g"}) == (
        "invalid JSON: json: cannot unmarshal string into Go struct field .HostConfig.Memory of "
        "type int64"
    )
    assert "Go struct field .Tty of type bool" in _refusal(Tty="yes")


def test_an_empty_request_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="config cannot be empty in order to create"):
        read_request({})


def test_a_command_must_come_from_somewhere() -> None:
    with pytest.raises(InvalidArgument, match="no command specified"):
        complete(read_request({"Image": "busybox"}), ID, {}, FACTS)


def test_an_own_entrypoint_drops_the_images_command() -> None:
    config: JsonObject = {"Entrypoint": ["mine"], "Cmd": None}
    merge_image(config, {"Entrypoint": ["its"], "Cmd": ["arg"]})
    assert (config["Entrypoint"], config["Cmd"]) == (["mine"], None)


def test_an_own_command_keeps_the_images_entrypoint() -> None:
    config: JsonObject = {"Entrypoint": None, "Cmd": ["arg"]}
    merge_image(config, {"Entrypoint": ["its"], "Cmd": ["other"]})
    assert (config["Entrypoint"], config["Cmd"]) == (["its"], ["arg"])


def test_an_empty_entrypoint_resets_the_images() -> None:
    request = _completed({"Entrypoint": [""]}, {"Entrypoint": ["its"]})
    assert request.config["Entrypoint"] is None


def test_own_variables_come_first_and_win() -> None:
    config: JsonObject = {"Env": ["A=mine", "B=2"]}
    merge_image(config, {"Env": ["A=its", "C=3"]})
    assert config["Env"] == ["A=mine", "B=2", "C=3"]


def test_a_health_check_is_laid_over_the_images() -> None:
    config: JsonObject = {"Healthcheck": {"Retries": 9}}
    merge_image(config, {"Healthcheck": {"Test": ["CMD", "x"], "Interval": 5, "Retries": 1}})
    assert config["Healthcheck"] == {"Test": ["CMD", "x"], "Interval": 5, "Retries": 9}


def test_limits_that_the_host_lacks_are_dropped_with_a_warning() -> None:
    request = read_request(
        {
            "Cmd": ["true"],
            "HostConfig": {"MemorySwappiness": 5, "OomKillDisable": True, "BlkioWeight": 20},
        },
        frozenset({"MemorySwappiness", "OomKillDisable", "BlkioWeight"}),
    )
    host = request.host_config
    assert (host["MemorySwappiness"], host["OomKillDisable"], host["BlkioWeight"]) == (
        None,
        False,
        0,
    )
    assert len([text for text in request.warnings if text.endswith("discarded.")]) == 3


def test_the_throttling_of_each_processor_is_masked(tmp_path: Path) -> None:
    for name in ("cpu0", "cpu2", "cpu10", "cpufreq"):
        (tmp_path / name / "thermal_throttle").mkdir(parents=True)
    wanted = tuple(f"{tmp_path}/cpu{number}/thermal_throttle" for number in (0, 2, 10))
    assert masked_paths(str(tmp_path)) == MASKED_PATHS + wanted
