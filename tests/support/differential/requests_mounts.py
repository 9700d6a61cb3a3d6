"""Cases about mounts."""

from __future__ import annotations

from tests.support.differential.case import host, volume

CASES = (
    host("bind", Binds=["{dir}/things:/mnt/bind"]),
    host("bind-read-only", Binds=["{dir}/things:/mnt/bind:ro"]),
    host("bind-made", Binds=["{dir}/made:/mnt/bind"]),
    host("volume", volume("volume"), Binds=["diff-volume:/data"]),
    host("tmpfs", Tmpfs={"/mnt/t": "size=1m,mode=1770", "/run": ""}),
)
