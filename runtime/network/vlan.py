"""The macvlan and ipvlan drivers: containers as machines on the network of a host's interface.

Source: Docker's macvlan and ipvlan drivers (options ``parent``, ``macvlan_mode``, ``ipvlan_mode``,
``ipvlan_flag``); ``linux/if_link.h``. The words of refusals are those of Docker Engine 28.5.

A parent ``eth0.50`` that is missing is made as VLAN 50 of ``eth0``; without a parent a dummy
interface joins the containers to each other alone. What the engine made is its network's `link` and
goes with the network. `ensure_parent` does kernel work and belongs to the network thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import EngineError
from runtime.network import fast_netlink as netlink

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.network.record import Network

DRIVERS = ("macvlan", "ipvlan")
_DEFAULT_MODE = {"macvlan": "bridge", "ipvlan": "l2"}
_MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
_IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
_IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}
_DUMMY = "dm-"
_LAST_VLAN = 4094


class VlanOptions(NamedTuple):
    """What a network of these drivers is like; `parent` is "" for a dummy of its own."""

    driver: str
    parent: str
    mode: str
    flag: str

    @property
    def routes_by_device(self) -> bool:
        """Whether containers have no gateway: the parent routes for them."""
        return self.driver == "ipvlan" and self.mode != "l2"


class Parent(NamedTuple):
    """The interface that an endpoint is made on, and the numbers of mode and flags."""

    link: int
    kind: str
    mode: int
    flag: int


def parse_vlan(driver: str, options: Mapping[str, str]) -> VlanOptions:
    """Read a network's options.

    Raises:
        EngineError: there is no such mode or flag.
    """
    default = _DEFAULT_MODE[driver]
    mode = options.get(f"{driver}_mode") or default
    if mode not in (_MACVLAN_MODES if driver == "macvlan" else _IPVLAN_MODES):
        raise EngineError(
            f"requested {driver} mode '{mode}' is not valid, '{default}' mode is the {driver}"
            " driver default"
        )
    flag = options.get("ipvlan_flag") or "bridge"
    if driver == "ipvlan" and flag not in _IPVLAN_FLAGS:
        raise EngineError(
            f"requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default"
        )
    return VlanOptions(driver, options.get("parent", ""), mode, flag)


def own_link(network: Network) -> str:
    """Return the link that the engine makes for a network, "" when its parent is there already.

    Raises:
        EngineError: its parent is missing and cannot be made, or can be no parent.
    """
    parent = parse_vlan(network.driver, network.options).parent
    if not parent:
        return f"{_DUMMY}{network.id[:12]}"
    if parent == "lo":
        raise EngineError(f"loopback interface is not a valid {network.driver} parent link")
    if netlink.index_of(parent) is not None:
        return ""
    _split(parent)
    return parent


def _split(parent: str) -> tuple[str, int]:
    """Return interface and VLAN of a name such as ``eth0.50``."""
    name, dot, number = parent.rpartition(".")
    if not dot or not number.isdecimal():
        text = f"invalid subinterface vlan name {parent}, example formatting is eth0.10"
        raise EngineError(text)
    if not 1 <= int(number) <= _LAST_VLAN:
        raise EngineError(f"vlan id must be between 1-4094, received: {number}")
    if netlink.index_of(name) is None:
        raise EngineError(f"failed to find master interface {name} of {parent} on this host")
    return name, int(number)


def check_parent_shared(network: Network, others: Iterable[Network]) -> None:
    """Check that a parent in mode *passthru* has one network only.

    Raises:
        EngineError: it has another one, or would get one.
    """
    ours = parse_vlan(network.driver, network.options)
    if not ours.parent:
        return
    for other in others:
        if other.driver != network.driver or other.config_only:
            continue
        theirs = parse_vlan(other.driver, other.options)
        if theirs.parent == ours.parent and "passthru" in {ours.mode, theirs.mode}:
            raise EngineError(
                f"cannot use mode {ours.mode}, {network.driver} network {other.name} is already"
                f" using parent interface {ours.parent}"
            )


def ensure_parent(route: netlink.RouteSocket, network: Network) -> Parent:
    """Return the parent of a network's endpoints, made if it is the engine's to make.

    Raises:
        EngineError: it is missing, or this kernel cannot make it.
    """
    options = parse_vlan(network.driver, network.options)
    name = network.link or options.parent
    index = netlink.index_of(name)
    if index is None and network.link:
        route.execute([_make(name, options)])
        index = netlink.index_of(name)
    if index is None:
        raise EngineError(f"parent interface {name} of network {network.name} is gone")
    modes = _MACVLAN_MODES if network.driver == "macvlan" else _IPVLAN_MODES
    return Parent(index, network.driver, modes[options.mode], _IPVLAN_FLAGS[options.flag])


def _make(name: str, options: VlanOptions) -> netlink.Request:
    if not options.parent:
        return netlink.dummy_add(name)
    master, number = _split(name)
    return netlink.vlan_add(name, netlink.index_of(master) or 0, number)
