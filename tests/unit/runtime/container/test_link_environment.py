from __future__ import annotations

from runtime.container.link_environment import link_variables

# What Docker 28.5 gave a container with `--link donor:my-db.x`; the donor exposed these ports.
PORTS = ["81/udp", "80/tcp", "90/tcp", "82/tcp", "7/udp", "81/tcp"]
RECORDED = """MY_DB.X_PORT=tcp://172.17.0.3:80
MY_DB.X_PORT_80_TCP=tcp://172.17.0.3:80
MY_DB.X_PORT_80_TCP_ADDR=172.17.0.3
MY_DB.X_PORT_80_TCP_PORT=80
MY_DB.X_PORT_80_TCP_PROTO=tcp
MY_DB.X_PORT_81_TCP=tcp://172.17.0.3:81
MY_DB.X_PORT_81_TCP_ADDR=172.17.0.3
MY_DB.X_PORT_81_TCP_PORT=81
MY_DB.X_PORT_81_TCP_PROTO=tcp
MY_DB.X_PORT_82_TCP=tcp://172.17.0.3:82
MY_DB.X_PORT_82_TCP_ADDR=172.17.0.3
MY_DB.X_PORT_82_TCP_PORT=82
MY_DB.X_PORT_82_TCP_PROTO=tcp
MY_DB.X_PORT_90_TCP=tcp://172.17.0.3:90
MY_DB.X_PORT_90_TCP_ADDR=172.17.0.3
MY_DB.X_PORT_90_TCP_PORT=90
MY_DB.X_PORT_90_TCP_PROTO=tcp
MY_DB.X_PORT_80_TCP_START=tcp://172.17.0.3:80
MY_DB.X_PORT_80_TCP_PORT_START=80
MY_DB.X_PORT_80_TCP_END=tcp://172.17.0.3:82
MY_DB.X_PORT_80_TCP_PORT_END=82
MY_DB.X_PORT_7_UDP=udp://172.17.0.3:7
MY_DB.X_PORT_7_UDP_ADDR=172.17.0.3
MY_DB.X_PORT_7_UDP_PORT=7
MY_DB.X_PORT_7_UDP_PROTO=udp
MY_DB.X_PORT_81_UDP=udp://172.17.0.3:81
MY_DB.X_PORT_81_UDP_ADDR=172.17.0.3
MY_DB.X_PORT_81_UDP_PORT=81
MY_DB.X_PORT_81_UDP_PROTO=udp
MY_DB.X_NAME=/x/my-db.x
MY_DB.X_ENV_FOO=bar
MY_DB.X_ENV_E="""


def test_the_variables_are_those_of_docker_in_its_order() -> None:
    environment = ["FOO=bar", "HOME=/x", "E=", "PATH=/bin", "novalue"]
    found = link_variables("x", "my-db.x", "172.17.0.3", PORTS, environment)
    assert found == RECORDED.splitlines()


def test_without_ports_there_is_a_name_only() -> None:
    assert link_variables("x", "db", "172.17.0.3", [], []) == ["DB_NAME=/x/db"]


def test_a_range_that_ends_the_list() -> None:
    found = link_variables("x", "db", "1.2.3.4", ["80", "81"], [])
    assert found[-3:] == [
        "DB_PORT_80_TCP_END=tcp://1.2.3.4:81",
        "DB_PORT_80_TCP_PORT_END=81",
        "DB_NAME=/x/db",
    ]
