"""Security settings that can be checked when a container is created (``HostConfig``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.container.capability_set import choose
from runtime.container.document import flag, texts
from runtime.container.security_options import parse_security_options
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
