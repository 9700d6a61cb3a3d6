"""Limits of HostConfig as the ``linux.resources`` section of the OCI runtime specification."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, cast

from runtime.container.document import flag, number, sections, text, texts
from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.linux.resources import (
        BlockIo,
        CpuLimits,
        DeviceRule,
        MemoryLimits,
        Resources,
        ThrottleDevice,
        WeightDevice,
    )

_DEVICE_RULE = re.compile(r"([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})\Z")
_CPU_PERIOD = 100000
_DEVICE_RULE = re.compile(r"([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})\Z")
_THROTTLES = (
    ("BlkioDeviceReadBps", "throttleReadBpsDevice"),
    ("BlkioDeviceWriteBps", "throttleWriteBpsDevice"),
    ("BlkioDeviceReadIOps", "throttleReadIOPSDevice"),
    ("BlkioDeviceWriteIOps", "throttleWriteIOPSDevice"),
)


def build_resources(host: Mapping[str, object], devices: list[DeviceRule]) -> Resources:
    """Return the section; what is not set is left out.

    Args:
        host: HostConfig.
        devices: The device access list, in order.

    Raises:
        InvalidArgument: A limit names a device that is not there.
    """
    resources: Resources = {"devices": devices}
    memory = _memory(host)
    if memory:
        resources["memory"] = memory
    cpu = _cpu(host)
    if cpu:
        resources["cpu"] = cpu
    pids = number(host, "PidsLimit")
    if pids:
        resources["pids"] = {"limit": pids}
    block = _block(host)
    if block:
        resources["blockIO"] = block
    return resources


def update_resources(host: Mapping[str, object]) -> Resources:
    """Return the section for a live update (``POST /containers/{id}/update``): no devices."""
    resources = build_resources(host, [])
    del resources["devices"]
    cpu = resources.get("cpu")
    if cpu is not None:  # Docker keeps these for the next start
        cpu.pop("realtimePeriod", None)
        cpu.pop("realtimeRuntime", None)
    pids = host.get("PidsLimit")
    if isinstance(pids, int):
        resources["pids"] = {"limit": pids if pids > 0 else -1}
    return resources


def _memory(host: Mapping[str, object]) -> MemoryLimits:
    memory: MemoryLimits = {}
    if number(host, "Memory") > 0:
        memory["limit"] = number(host, "Memory")
    if number(host, "MemorySwap"):
        memory["swap"] = number(host, "MemorySwap")
    if number(host, "MemoryReservation") > 0:
        memory["reservation"] = number(host, "MemoryReservation")
    swappiness = number(host, "MemorySwappiness", -1)
    if swappiness >= 0:
        memory["swappiness"] = swappiness
    if flag(host, "OomKillDisable"):
        memory["disableOOMKiller"] = True
    return memory


def _cpu(host: Mapping[str, object]) -> CpuLimits:
    cpu: CpuLimits = {}
    shares = number(host, "CpuShares")
    if shares:
        cpu["shares"] = shares
    nano = number(host, "NanoCpus")
    if nano > 0:
        cpu["period"] = _CPU_PERIOD
        cpu["quota"] = nano * _CPU_PERIOD // 10**9
    if number(host, "CpuPeriod"):
        cpu["period"] = number(host, "CpuPeriod")
    if number(host, "CpuQuota"):
        cpu["quota"] = number(host, "CpuQuota")
    if number(host, "CpuRealtimePeriod"):
        cpu["realtimePeriod"] = number(host, "CpuRealtimePeriod")
    if number(host, "CpuRealtimeRuntime"):
        cpu["realtimeRuntime"] = number(host, "CpuRealtimeRuntime")
    if text(host, "CpusetCpus"):
        cpu["cpus"] = text(host, "CpusetCpus")
    if text(host, "CpusetMems"):
        cpu["mems"] = text(host, "CpusetMems")
    return cpu


def _block(host: Mapping[str, object]) -> BlockIo:
    block: BlockIo = {}
    if number(host, "BlkioWeight"):
        block["weight"] = number(host, "BlkioWeight")
    weights: list[WeightDevice] = []
    for entry in sections(host, "BlkioWeightDevice"):
        major, minor = _device_number(text(entry, "Path"))
        weights.append({"major": major, "minor": minor, "weight": number(entry, "Weight")})
    if weights:
        block["weightDevice"] = weights
    for field, key in _THROTTLES:
        limits: list[ThrottleDevice] = []
        for entry in sections(host, field):
            major, minor = _device_number(text(entry, "Path"))
            limits.append({"major": major, "minor": minor, "rate": number(entry, "Rate")})
        if limits:
            cast("dict[str, object]", block)[key] = limits
    return block


def _device_number(path: str) -> tuple[int, int]:
    try:
        device = os.stat(path).st_rdev
    except OSError as error:
        raise EngineError(f"stat {path}: {str(error.strerror).lower()}") from error
    return os.major(device), os.minor(device)


def parse_device_rule(rule: str) -> DeviceRule:
    """Parse an entry of ``DeviceCgroupRules``.

    Raises:
        EngineError: it has another form.
    """
    if not _DEVICE_RULE.match(rule):
        raise EngineError(f"invalid device cgroup rule format: '{rule}'")
    kind, numbers, access = rule.split(" ")
    major, minor = numbers.split(":")
    parsed: DeviceRule = {"allow": True, "type": kind, "access": access}
    if major != "*":
        parsed["major"] = int(major)
    if minor != "*":
        parsed["minor"] = int(minor)
    return parsed


def device_rules(host: Mapping[str, object]) -> list[DeviceRule]:
    """Return the rules of ``DeviceCgroupRules``."""
    return [parse_device_rule(rule) for rule in texts(host, "DeviceCgroupRules")]
