"""Cases about networks: modes, endpoints, names, ports."""

from __future__ import annotations

from itertools import count

from tests.support.differential.case import Case, Step, container, host, network, started

_numbers = count(1)
_SYSCTLS = "com.docker.network.endpoint.sysctls"
_SERVER = {"Cmd": ["sleep", "100000"]}


def _net(name: str, prefix: str = "", **fields: object) -> tuple[Step, str]:
    """Make a network with a subnet of its own; returns the step and the subnet's beginning."""
    start = prefix or f"10.203.{next(_numbers)}"
    ipam = {"Config": [{"Subnet": f"{start}.0/24", "Gateway": f"{start}.1"}]}
    return network(name, Driver="bridge", IPAM=ipam, **fields), start


def _joined(name: str, settings: dict[str, object], more: object = None, **net: object) -> Case:
    """A container on a network of its own, with settings of its endpoint."""
    step, start = _net(name, **net)  # type: ignore[arg-type]
    filled: dict[str, object] = {
        key: value.replace("NET", start) if isinstance(value, str) else value
        for key, value in settings.items()
    }
    address = filled.pop("Address", None)
    if address:
        filled["IPAMConfig"] = {"IPv4Address": address}
    body: dict[str, object] = {
        "HostConfig": {"NetworkMode": f"diff-{name}", **(more if isinstance(more, dict) else {})},
        "NetworkingConfig": {"EndpointsConfig": {f"diff-{name}": filled}},
    }
    return Case(name, body, before=(step,))


def _refused(name: str, **fields: object) -> Case:
    return Case(name, {"HostConfig": fields})


def _endpoint(name: str, mode: str, settings: dict[str, object]) -> Case:
    body: dict[str, object] = {
        "HostConfig": {"NetworkMode": mode},
        "NetworkingConfig": {"EndpointsConfig": {mode: settings}},
    }
    return Case(name, body)


def _two_networks() -> Case:
    first, one = _net("net-first")
    second, two = _net("net-second")
    endpoints = {
        "diff-net-first": {"IPAMConfig": {"IPv4Address": f"{one}.10"}, "Aliases": ["a"]},
        "diff-net-second": {"IPAMConfig": {"IPv4Address": f"{two}.10"}, "GwPriority": 5},
    }
    body: dict[str, object] = {
        "HostConfig": {"NetworkMode": "diff-net-first"},
        "NetworkingConfig": {"EndpointsConfig": endpoints},
    }
    return Case("net-two", body, before=(first, second))


def _ports(name: str, bindings: dict[str, object]) -> Case:
    exposed: dict[str, object] = {port: {} for port in bindings}
    return Case(name, {"ExposedPorts": exposed, "HostConfig": {"PortBindings": bindings}})


CASES = (
    host("network-none", NetworkMode="none"),
    host("network-host", NetworkMode="host"),
    host("network-default", NetworkMode="default"),
    host("network-bridge", NetworkMode="bridge"),
    host(
        "network-container",
        container("net-lender", Hostname="lender", **_SERVER),
        started("net-lender"),
        NetworkMode="container:diff-net-lender",
    ),
    Case(
        "network-host-with-ports",
        {
            "ExposedPorts": {"80/tcp": {}},
            "HostConfig": {"NetworkMode": "host", "PortBindings": {"80/tcp": [{"HostPort": ""}]}},
        },
    ),
    Case("network-host-hostname", {"Hostname": "own", "HostConfig": {"NetworkMode": "host"}}),
    Case("network-none-hostname", {"Hostname": "own", "HostConfig": {"NetworkMode": "none"}}),
    host("dns", Dns=["9.9.9.9"], DnsSearch=["example.org"], DnsOptions=["ndots:3"]),
    host("dns-options", DnsOptions=["timeout:2", "rotate"]),
    host("dns-no-search", DnsSearch=["."]),
    host("extra-hosts", ExtraHosts=["other:10.9.8.7", "six:::1", "up:host-gateway"]),
    host(
        "links",
        container("linked", ExposedPorts={"99/tcp": {}}, Env=["COLOUR=red"], **_SERVER),
        started("linked"),
        Links=["diff-linked:other"],
    ),
    _joined("net-plain", {}),
    _joined("net-aliases", {"Aliases": ["one", "two"]}),
    _joined("net-address", {"Address": "NET.77"}),
    _joined("net-mac", {"MacAddress": "02:42:0a:cb:00:07"}),
    _joined("net-driver-opts", {"DriverOpts": {"com.docker.network.endpoint.ifname": "eth7"}}),
    _joined(
        "net-sysctl",
        {"DriverOpts": {_SYSCTLS: "net.ipv4.conf.IFNAME.log_martians=1"}},
    ),
    _joined("net-internal", {}, Internal=True),
    _joined("net-dns", {}, {"Dns": ["9.9.9.9"], "DnsSearch": ["example.org"]}),
    _joined("net-extra-hosts", {}, {"ExtraHosts": ["other:10.9.8.7"]}),
    _joined("net-mtu", {}, Options={"com.docker.network.driver.mtu": "1400"}),
    _two_networks(),
    Case(
        "net-of-the-mode-alone",
        {"HostConfig": {"NetworkMode": "diff-net-of-the-mode-alone"}},
        before=(_net("net-of-the-mode-alone")[0],),
    ),
    Case(
        "net-names",
        {
            "Hostname": "box",
            "Domainname": "example.org",
            "HostConfig": {"NetworkMode": "diff-net-names"},
        },
        before=(_net("net-names")[0],),
    ),
    _ports("port-any", {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}),
    _ports("port-zero", {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]}),
    _ports("port-fixed", {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "23411"}]}),
    _ports("port-range", {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "23420-23422"}]}),
    _ports("port-udp", {"53/udp": [{"HostIp": "127.0.0.1", "HostPort": "23412"}]}),
    _ports("port-no-protocol", {"80": [{"HostIp": "127.0.0.1", "HostPort": ""}]}),
    _ports("port-no-bindings", {"80/tcp": []}),
    _ports("port-null", {"80/tcp": None}),
    _ports(
        "port-twice",
        {
            "80/tcp": [
                {"HostIp": "127.0.0.1", "HostPort": "23413"},
                {"HostIp": "127.0.0.1", "HostPort": "23414"},
            ]
        },
    ),
    Case(
        "port-publish-all",
        {"ExposedPorts": {"80/tcp": {}, "9/udp": {}}, "HostConfig": {"PublishAllPorts": True}},
    ),
    Case(
        "port-exposed-and-published",
        {
            "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}},
        },
    ),
    host("port-not-exposed", PortBindings={"80/tcp": [{"HostIp": "127.0.0.1"}]}),
    _refused("network-unknown", NetworkMode="diff-nothing"),
    _refused("network-of-nobody", NetworkMode="container:diff-nobody"),
    _refused("links-nobody", Links=["diff-nobody"]),
    _refused("dns-wrong", Dns=["not-an-address"]),
    _refused("extra-hosts-wrong", ExtraHosts=["nonsense"]),
    _refused("extra-hosts-address-wrong", ExtraHosts=["name:1.2.3"]),
    _refused("port-wrong", PortBindings={"x/tcp": [{}]}),
    _refused("port-host-wrong", PortBindings={"80/tcp": [{"HostPort": "x"}]}),
    _refused("port-host-too-large", PortBindings={"80/tcp": [{"HostPort": "70000"}]}),
    _refused("uts-wrong", UTSMode="nonsense"),
    _refused("sysctl-host-net", NetworkMode="host", Sysctls={"net.core.somaxconn": "7"}),
    _endpoint("endpoint-address-on-bridge", "bridge", {"IPAMConfig": {"IPv4Address": "10.0.0.5"}}),
    _endpoint("endpoint-alias-on-bridge", "bridge", {"Aliases": ["x"]}),
    _endpoint("endpoint-wrong-address", "bridge", {"IPAMConfig": {"IPv4Address": "x"}}),
    _endpoint("endpoint-wrong-mac", "bridge", {"MacAddress": "nonsense"}),
    _endpoint("endpoint-mac-on-bridge", "bridge", {"MacAddress": "02:42:0a:cb:00:08"}),
)
