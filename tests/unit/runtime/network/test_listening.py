"""Who listens, out of the kernel's tables of sockets."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from runtime.network.listening import Listener, listeners, parse

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue\n"


def test_only_those_who_wait_are_listed() -> None:
    if sys.byteorder != "little":
        pytest.skip("the table was written on a little-endian machine")
    table = (
        HEAD
        + "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n"
        + "   1: 00000000:0050 00000000:0000 0A 00000000:00000000\n"
        + "   2: 0100007F:1F90 0100007F:C000 01 00000000:00000000\n"
    )
    assert parse("tcp", "0A", table) == [
        Listener("tcp", "127.0.0.1", 8080),
        Listener("tcp", "0.0.0.0", 80),
    ]


def test_ipv6_is_read_in_the_order_of_the_machine() -> None:
    if sys.byteorder != "little":
        pytest.skip("the table was written on a little-endian machine")
    line = "   0: 00000000000000000000000001000000:0035 " + "0" * 32 + ":0000 07 0\n"
    assert parse("udp", "07", HEAD + line) == [Listener("udp", "::1", 53)]


def test_our_own_sockets_are_found() -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for one in (tcp, udp):
            one.bind(("127.0.0.1", 0))
        tcp.listen()
        found = listeners(os.getpid())
        assert Listener("tcp", "127.0.0.1", tcp.getsockname()[1]) in found
        assert Listener("udp", "127.0.0.1", udp.getsockname()[1]) in found


def test_a_process_that_is_gone_is_an_error() -> None:
    with pytest.raises(OSError, match="No such"):
        listeners(2**22 + 1)
