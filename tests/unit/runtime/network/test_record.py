from __future__ import annotations

import pytest

from runtime.errors import InvalidArgument, NotFound
from runtime.network.allocation import Attachment
from runtime.network.book import NetworkBook
from runtime.network.endpoint import endpoint_sysctls
from runtime.network.endpoint_settings import interface_name
from runtime.network.ipam import Subnet
from runtime.network.networks import parse_until
from runtime.network.record import Network, parse_create

ID = "0123456789abcdef" * 4


def test_a_network_survives_the_store() -> None:
    network = parse_create({"Name": "app", "Labels": {"a": "b"}, "Internal": True}, ID, "now")
    network.subnets = [Subnet("10.201.0.0/24", "10.201.0.1", reserved={"x": "10.201.0.9"})]
    assert Network.from_json(network.to_json()) == network


def test_a_network_is_shown_as_docker_shows_it() -> None:
    network = parse_create({"Name": "app", "IPAM": {"Options": {}}}, ID, "2026-01-01T00:00:00Z")
    network.subnets = [Subnet("10.201.0.0/24", "10.201.0.1")]
    assert network.describe({}) == {
        "Name": "app",
        "Id": ID,
        "Created": "2026-01-01T00:00:00Z",
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [{"Subnet": "10.201.0.0/24", "Gateway": "10.201.0.1"}],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": {},
    }


def test_the_link_is_named_by_id_or_option() -> None:
    assert parse_create({"Name": "app"}, ID, "").link == "sh-0123456789ab"
    options = {"com.docker.network.bridge.name": "mybridge"}
    assert parse_create({"Name": "app", "Options": options}, ID, "").link == "mybridge"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"com.docker.network.driver.mtu": "abc"},
            (
                "failed to parse com.docker.network.driver.mtu value: abc"
                ' (strconv.Atoi: parsing "abc": invalid syntax)'
            ),
        ),
        ({"com.docker.network.bridge.name": "x" * 16}, "at most 15 characters"),
    ],
)
def test_bad_options_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_create({"Name": "app", "Options": options}, ID, "")
    assert message in caught.value.message


def test_networks_are_found_by_id_name_and_prefix() -> None:
    book = NetworkBook()
    for identifier, name in (("ab1", "one"), ("ab2", "two")):
        book.add(Network(identifier, name, ""))
    assert book.find("ab1").name == book.find("one").name == "one"
    with pytest.raises(InvalidArgument, match=r"network ab is ambiguous \(2 matches found"):
        book.find("ab")
    with pytest.raises(NotFound, match="network abc not found"):
        book.find("abc")
    with pytest.raises(NotFound):
        book.find("")
    book.discard(book.find("one"))
    assert book.find("ab").name == "two"


def test_a_sysctl_reaches_only_its_own_interface() -> None:
    def parsed(text: str) -> list[tuple[str, str]]:
        settings = {"DriverOpts": {"com.docker.network.endpoint.sysctls": text}}
        return endpoint_sysctls(settings, "eth0")

    assert parsed("net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=2") == [
        ("net/ipv4/conf/eth0/log_martians", "1"),
        ("net/ipv6/conf/eth0/accept_ra", "2"),
    ]
    assert parsed("kernel.IFNAME.x=1,net.ipv4.ip_forward=1,net.IFNAME/../../x=1") == []


def test_interfaces_take_the_next_free_number() -> None:
    network = Network("n", "app", "")
    assert interface_name(network, {}, ["eth0", "eth2"]) == "eth1"
    network.options["com.docker.network.container_iface_prefix"] = "lan"
    assert interface_name(network, {}, ["eth0"]) == "lan0"


def test_files_in_a_container_are_edited_without_losing_its_own_lines() -> None:
    hosts = b"127.0.0.1\tlocalhost\n10.0.0.2\tweb\n1.2.3.4\tmine\n"
    added = Attachment("n", "app", hosts_added=["10.1.0.2\tweb"]).edit_hosts(hosts)
    assert added == hosts + b"10.1.0.2\tweb\n"
    assert Attachment("n", "app", hosts_dropped=["10.1.0.2\tweb"]).edit_hosts(added) == hosts


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1000", 1000.0), ("10m", 9400.0), ("1h30m", 4600.0), ("1970-01-01T00:00:05Z", 5.0)],
)
def test_until_is_a_time_or_a_duration(text: str, expected: float) -> None:
    assert parse_until(text, 10000.0) == expected


def test_a_bad_until_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="failed to parse value as time or duration"):
        parse_until("soon", 0.0)
