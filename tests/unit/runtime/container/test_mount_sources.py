from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.container.mount_sources import check_propagation
from runtime.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

MOUNTINFO = """22 1 8:1 / / rw,relatime - ext4 /dev/sda rw
23 22 8:2 / /shared rw shared:5 - ext4 /dev/sdb rw
24 22 8:3 / /slave rw master:5 - ext4 /dev/sdc rw
25 23 8:4 / /shared/private\\040one rw - ext4 /dev/sdd rw
26 22 8:5 / /sharedness rw - ext4 /dev/sde rw
"""


@pytest.mark.parametrize(
    ("source", "propagation", "message"),
    [
        ("/x", "rprivate", ""),
        ("/x", "rshared", "path /x is mounted on / but it is not a shared mount"),
        ("/x", "slave", "path /x is mounted on / but it is not a shared or slave mount"),
        ("/shared", "rshared", ""),
        ("/shared/deep/er", "rslave", ""),
        ("/slave/x", "rslave", ""),
        ("/slave/x", "shared", "path /slave/x is mounted on /slave but it is not a shared mount"),
        (
            "/shared/private one/x",
            "shared",
            "path /shared/private one/x is mounted on /shared/private one but it is not a shared",
        ),
        ("/sharedness", "shared", "path /sharedness is mounted on /sharedness but it is not a"),
    ],
)
def test_only_a_shared_mount_is_shared_further(
    tmp_path: Path, source: str, propagation: str, message: str
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTINFO)
    if not message:
        check_propagation(source, propagation, str(table))
        return
    with pytest.raises(EngineError) as caught:
        check_propagation(source, propagation, str(table))
    assert str(caught.value).startswith(message)
