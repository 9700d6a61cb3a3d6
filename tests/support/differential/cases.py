"""All cases, in the order of the recording; the first is the measure that others are told by."""

from __future__ import annotations

from tests.support.differential import (
    requests_config,
    requests_host,
    requests_image,
    requests_limits,
    requests_mounts,
    requests_network,
)
from tests.support.differential.case import Case

PLAIN = Case("plain", {})

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        PLAIN,
        *requests_config.CASES,
        *requests_host.CASES,
        *requests_limits.CASES,
        *requests_mounts.CASES,
        *requests_network.CASES,
        *requests_image.CASES,
    )
}
