from __future__ import annotations

import grp
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from runtime.errors import Conflict, InvalidArgument
from runtime.http_server.listeners import TlsFiles, open_listener, tls_context

if TYPE_CHECKING:
    from pathlib import Path


def test_unix_socket_is_for_owner_and_group_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "shoal.sock"
    with open_listener(f"unix://{path}"):
        mode = os.stat(path).st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o660
        assert os.listdir(path.parent) == ["shoal.sock"]


@pytest.mark.skipif(os.geteuid() != 0, reason="changing a group needs root")
@pytest.mark.parametrize("name", [True, False])
def test_group_gets_the_unix_socket(tmp_path: Path, name: bool) -> None:
    group = next(entry for entry in grp.getgrall() if entry.gr_gid != 0)
    wanted = group.gr_name if name else str(group.gr_gid)
    with open_listener(f"unix://{tmp_path}/s", wanted):
        assert os.stat(tmp_path / "s").st_gid == group.gr_gid


def test_unknown_group_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="group 'nobody-at-all': no such group"):
        open_listener(f"unix://{tmp_path}/s", "nobody-at-all")


def test_socket_of_a_dead_engine_is_replaced(tmp_path: Path) -> None:
    open_listener(f"unix://{tmp_path}/s").close()
    with open_listener(f"unix://{tmp_path}/s") as sock:
        sock.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{tmp_path}/s")


def test_socket_of_a_living_engine_is_kept(tmp_path: Path) -> None:
    with open_listener(f"unix://{tmp_path}/s") as sock:
        sock.listen()
        with pytest.raises(Conflict, match="an engine already listens there"):
            open_listener(f"unix://{tmp_path}/s")


@pytest.mark.parametrize(("url", "family"), [("127.0.0.1:0", "AF_INET"), ("[::1]:0", "AF_INET6")])
def test_tcp_address_is_bound(url: str, family: str) -> None:
    with open_listener(f"tcp://{url}") as sock:
        assert sock.family.name == family
        assert sock.getsockname()[1] > 0
        assert not sock.getblocking()


@pytest.mark.parametrize(
    "url", ["", "/run/s", "unix://", "npipe://x", "tcp://127.0.0.1:x", "tcp://127.0.0.1:70000"]
)
def test_unusable_host_is_quoted(url: str) -> None:
    with pytest.raises(InvalidArgument, match="host "):
        open_listener(url)


def test_missing_tls_file_is_named(tmp_path: Path) -> None:
    files = TlsFiles(f"{tmp_path}/ca.pem", f"{tmp_path}/cert.pem", f"{tmp_path}/key.pem")
    with pytest.raises(InvalidArgument, match=r"cert\.pem"):
        tls_context(files)
