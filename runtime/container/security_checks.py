"""Security settings that can be checked when a container is created (``HostConfig``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.container.capability_set import choose
from runtime.container.document import flag, text, texts
from runtime.container.security_options import parse_security_options
from runtime.errors import InvalidArgument
from runtime.linux import capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_security(host_config: Mapping[str, object]) -> None:
    """Refuse unknown capabilities and security options.

    Raises:
        InvalidArgument: one is unknown, or not available here.
    """
    parse_security_options(texts(host_config, "SecurityOpt"))
    choose(
        texts(host_config, "CapAdd"),
        texts(host_config, "CapDrop"),
        capabilities.bounding(),
        privileged=flag(host_config, "Privileged"),
    )


def check_user_namespace(host_config: Mapping[str, object]) -> None:
    """Refuse what a container in a user namespace of its own cannot have.

    Raises:
        InvalidArgument: in Docker's words.
    """
    if flag(host_config, "Privileged"):
        raise InvalidArgument(
            "privileged mode is incompatible with user namespaces.  You must run the container in "
            "the host namespace when running privileged mode"
        )
    if text(host_config, "NetworkMode") == "host":
        raise InvalidArgument(
            "cannot share the host's network namespace when user namespaces are enabled"
        )
    if text(host_config, "PidMode") == "host":
        raise InvalidArgument(
            "cannot share the host PID namespace when user namespaces are enabled"
        )
