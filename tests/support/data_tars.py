"""Tars for the cases of data, and what is seen of a tar that an engine wrote."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.support.talker import Value

MOMENT = 1_600_000_000
_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "hard",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}
_LONGEST_SHOWN = 64


class Member(NamedTuple):
    """One entry of a tar that a case sends."""

    name: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    link: str = ""
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)
    pax: tuple[tuple[str, str], ...] = ()
    mtime: int = MOMENT


def folder(name: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Member:
    """Return a directory."""
    return Member(name, kind=tarfile.DIRTYPE, mode=mode, uid=uid, gid=gid)


def symlink(name: str, target: str) -> Member:
    """Return a symbolic link."""
    return Member(name, kind=tarfile.SYMTYPE, mode=0o777, link=target)


def hardlink(name: str, target: str) -> Member:
    """Return a hard link."""
    return Member(name, kind=tarfile.LNKTYPE, link=target)


def tar_of(members: Iterable[Member]) -> bytes:
    """Return the members as a tar in PAX format."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type = member.kind
            info.mode = member.mode
            info.linkname = member.link
            info.uid, info.gid = member.uid, member.gid
            info.devmajor, info.devminor = member.device
            info.size = len(member.content)
            info.mtime = member.mtime
            info.pax_headers = dict(member.pax)
            tar.addfile(info, io.BytesIO(member.content))
    return file.getvalue()


def entries(data: bytes, prefix: str = "") -> list[Value]:
    """Return what is in a tar: a line an entry, in the order of the tar."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [_shown(tar, info) for info in tar if info.name.startswith(prefix)]


def names(data: bytes) -> list[str]:
    """Return the names of the entries of a tar, directories with a slash."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [info.name + ("/" if info.isdir() else "") for info in tar]


def _shown(tar: tarfile.TarFile, info: tarfile.TarInfo) -> str:
    words = [_KINDS.get(info.type, repr(info.type)), f"{info.mode:o}", f"{info.uid}:{info.gid}"]
    words.append(info.name + ("/" if info.isdir() else ""))
    if info.linkname:
        words.append(f"-> {info.linkname}")
    if info.type in {tarfile.CHRTYPE, tarfile.BLKTYPE}:
        words.append(f"{info.devmajor}:{info.devminor}")
    if info.isreg():
        file = tar.extractfile(info)
        content = file.read() if file is not None else b""
        words.append(repr(content) if len(content) <= _LONGEST_SHOWN else f"{len(content)} bytes")
    if int(info.mtime) == MOMENT:
        words.append("@")
    words += [f"{key}={value!r}" for key, value in _attributes(info.pax_headers).items()]
    return " ".join(words)


def _attributes(headers: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in sorted(headers.items()) if "xattr" in key.lower()}


def mode_words(number: int) -> str:
    """Return a mode of Go's ``os.FileMode`` in words."""
    bits = {31: "dir", 27: "link", 26: "device", 25: "pipe", 24: "socket"}
    bits.update({23: "setuid", 22: "setgid", 21: "char", 20: "sticky"})
    names = [name for bit, name in bits.items() if number & 1 << bit]
    return " ".join([*names, f"{number & 0o777:o}"])
