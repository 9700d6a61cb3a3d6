"""Records of containers that no engine has made."""

from __future__ import annotations

from runtime.container.config import HostFacts, complete, read_request
from runtime.container.container import Container
from runtime.container.document import texts


def make_container(name: str = "box", **body: object) -> Container:
    """Return the record that a create request would make."""
    identifier = "ab" * 32
    request = read_request({"Image": "busybox", "Cmd": ["true"], **body})
    complete(request, identifier, {}, HostFacts(private_cgroups=True))
    command = texts(request.config, "Cmd")
    return Container(
        id=identifier,
        name=name,
        created_ns=1,
        image="sha256:" + "0" * 64,
        layers=["sha256:" + "1" * 64],
        platform="linux",
        path=command[0],
        args=command[1:],
        config=request.config,
        host_config=request.host_config,
        endpoints=request.endpoints,
        mounts=request.mounts,
    )
