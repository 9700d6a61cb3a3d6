from __future__ import annotations

import ipaddress
from itertools import islice

import pytest
from hypothesis import given, strategies as st

from runtime.config import AddressPool
from runtime.errors import Forbidden, InvalidArgument
from runtime.network import ipam

POOLS = (AddressPool("10.201.0.0/22", 24), AddressPool("10.202.0.0/24", 25))


def test_the_lowest_free_subnet_is_chosen() -> None:
    assert ipam.choose_subnet(POOLS, []) == "10.201.0.0/24"
    assert ipam.choose_subnet(POOLS, ["10.201.0.0/24", "10.201.2.0/24"]) == "10.201.1.0/24"


def test_a_small_foreign_route_makes_its_whole_subnet_taken() -> None:
    assert ipam.choose_subnet(POOLS, ["10.201.0.77/32"]) == "10.201.1.0/24"


def test_the_next_pool_is_used_when_one_is_full() -> None:
    assert ipam.choose_subnet(POOLS, ["10.201.0.0/16"]) == "10.202.0.0/25"


def test_no_free_subnet_is_docker_s_error() -> None:
    with pytest.raises(Forbidden, match="all predefined address pools have been fully subnetted"):
        ipam.choose_subnet(POOLS, ["10.0.0.0/8"])


subnets = st.builds(
    lambda number, prefix: str(ipaddress.ip_network((0x0AC90000 + (number << 4), prefix), False)),
    st.integers(0, 127),
    st.integers(22, 30),
)


@given(st.lists(subnets, max_size=12))
def test_a_chosen_subnet_never_overlaps_what_is_taken(taken: list[str]) -> None:
    try:
        chosen = ipam.choose_subnet(POOLS, taken)
    except Forbidden:
        return
    assert not ipam.overlaps(chosen, taken)


def test_an_ipv6_subnet_is_a_unique_local_one() -> None:
    chosen = ipaddress.ip_network(ipam.choose_subnet6(POOLS, []))
    assert chosen.prefixlen == 64
    assert chosen.subnet_of(ipaddress.ip_network("fd00::/8"))  # type: ignore[arg-type]


def test_addresses_follow_the_last_one_given_and_go_round() -> None:
    subnet = ipam.Subnet("10.201.0.0/29", "10.201.0.1", reserved={"x": "10.201.0.3"})
    assert list(ipam.addresses(subnet, "")) == [f"10.201.0.{n}" for n in (2, 4, 5, 6)]
    assert list(ipam.addresses(subnet, "10.201.0.4")) == [f"10.201.0.{n}" for n in (5, 6, 2, 4)]
    assert list(ipam.addresses(subnet, "10.201.0.6")) == [f"10.201.0.{n}" for n in (2, 4, 5, 6)]


def test_a_range_limits_the_addresses_given() -> None:
    (subnet,) = ipam.parse_config([{"Subnet": "10.201.0.0/24", "IPRange": "10.201.0.128/30"}])
    assert subnet.gateway == "10.201.0.128"
    assert list(ipam.addresses(subnet, "")) == ["10.201.0.129", "10.201.0.130", "10.201.0.131"]


def test_the_first_addresses_of_a_large_ipv6_subnet_are_cheap() -> None:
    subnet = ipam.Subnet("fd00:1::/64", "fd00:1::1")
    assert list(islice(ipam.addresses(subnet, ""), 2)) == ["fd00:1::2", "fd00:1::3"]


def test_a_chosen_gateway_is_not_shown_but_a_given_one_is() -> None:
    chosen, given_one = ipam.parse_config(
        [
            {"Subnet": "10.201.0.0/24"},
            {"Subnet": "10.201.1.0/24", "Gateway": "10.201.1.254", "AuxiliaryAddresses": None},
        ]
    )
    assert (chosen.gateway, chosen.to_json()) == ("10.201.0.1", {"Subnet": "10.201.0.0/24"})
    assert given_one.to_json() == {"Subnet": "10.201.1.0/24", "Gateway": "10.201.1.254"}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"Subnet": "bogus"}, "invalid subnet bogus: invalid CIDR block notation"),
        ({"Gateway": "10.9.9.1"}, "invalid subnet : invalid CIDR block notation"),
        ({"Subnet": "10.1.0.5/24"}, "invalid subnet 10.1.0.5/24: it should be 10.1.0.0/24"),
        (
            {"Subnet": "10.1.0.0/24", "Gateway": "10.9.9.1"},
            "invalid gateway 10.9.9.1: parent subnet 10.1.0.0/24 doesn't contain this address",
        ),
    ],
)
def test_bad_configurations_are_named_in_docker_s_words(
    entry: dict[str, object], problem: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        ipam.parse_config([entry])
    assert caught.value.message == f"invalid network config:\n{problem}"


def test_the_subnet_of_a_bridge_address() -> None:
    assert ipam.network_of("172.30.1.1", "24") == "172.30.1.0/24"
    with pytest.raises(InvalidArgument):
        ipam.network_of("172.30.1.1", "")
