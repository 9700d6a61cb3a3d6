"""Options of the bridge driver: values, defaults, and Docker's refusals."""

from __future__ import annotations

import pytest

from runtime.errors import EngineError, InvalidArgument
from runtime.network.bridge_options import BridgeOptions, check_modes, parse_options

BRIDGE = "com.docker.network.bridge."


def test_without_options_everything_is_as_docker_has_it() -> None:
    assert parse_options({}) == BridgeOptions()
    assert parse_options({"unknown.option": "x"}) == BridgeOptions()


def test_every_option_is_read() -> None:
    options = parse_options(
        {
            f"{BRIDGE}name": "br-mine",
            f"{BRIDGE}enable_icc": "false",
            f"{BRIDGE}enable_ip_masquerade": "0",
            f"{BRIDGE}host_binding_ipv4": "127.0.0.1",
            f"{BRIDGE}inhibit_ipv4": "T",
            f"{BRIDGE}trusted_host_interfaces": "vxlan.1:eth3:",
            f"{BRIDGE}gateway_mode_ipv4": "routed",
            f"{BRIDGE}gateway_mode_ipv6": "nat-unprotected",
            "com.docker.network.host_ipv4": "192.0.2.1",
            "com.docker.network.driver.mtu": "1400",
            "com.docker.network.container_iface_prefix": "net",
        }
    )
    assert options == BridgeOptions(
        name="br-mine",
        mtu=1400,
        icc=False,
        masquerade=False,
        host_binding="127.0.0.1",
        interface_prefix="net",
        mode4="routed",
        mode6="nat-unprotected",
        inhibit4=True,
        trusted=("vxlan.1", "eth3"),
        host4="192.0.2.1",
    )
    assert (options.mode(4), options.mode(6)) == ("routed", "nat-unprotected")


# Key, value and reason as Docker Engine 28.5 answered `POST /networks/create` with status 400.
@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (f"{BRIDGE}gateway_mode_ipv4", "bogus", "unknown gateway mode bogus"),
        (f"{BRIDGE}gateway_mode_ipv4", "", "unknown gateway mode "),
        (f"{BRIDGE}inhibit_ipv4", "maybe", 'strconv.ParseBool: parsing "maybe": invalid syntax'),
        (f"{BRIDGE}inhibit_ipv4", "", 'strconv.ParseBool: parsing "": invalid syntax'),
        (f"{BRIDGE}enable_icc", "maybe", 'strconv.ParseBool: parsing "maybe": invalid syntax'),
        (f"{BRIDGE}enable_ip_masquerade", "x", 'strconv.ParseBool: parsing "x": invalid syntax'),
        (f"{BRIDGE}host_binding_ipv4", "nope", "nil ip"),
        ("com.docker.network.host_ipv4", "1.2.3", "nil ip"),
        ("com.docker.network.driver.mtu", "1_0", 'strconv.Atoi: parsing "1_0": invalid syntax'),
    ],
)
def test_a_wrong_value_is_refused_with_dockers_words(key: str, value: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_options({key: value})
    assert caught.value.message == f"failed to parse {key} value: {value} ({reason})"


def test_a_negative_mtu_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="invalid MTU number: -1"):
        parse_options({"com.docker.network.driver.mtu": "-1"})


@pytest.mark.parametrize("name", ["a/b", ".", "sixteen-letters-"])
def test_a_name_that_no_link_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid bridge name"):
        parse_options({f"{BRIDGE}name": name})


def test_an_isolated_network_is_internal() -> None:
    options = BridgeOptions(mode4="isolated")
    check_modes(options, internal=True)
    with pytest.raises(EngineError, match="can only be used for an internal network"):
        check_modes(options, internal=False)
