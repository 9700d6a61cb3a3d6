"""Tar, read and written: the standard library's module is the judge."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, strategies as st

from runtime.image import tar_reader, tar_writer
from runtime.image.tar_reader import BadArchive, TarEntry, TarReader, is_tar
from tests.support.images import Member, file, hardlink, symlink, tar

FORMS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def entries_of(data: bytes) -> list[tuple[TarEntry, bytes]]:
    reader = TarReader(io.BytesIO(data))
    found = []
    while (entry := reader.next()) is not None:
        content = b""
        while piece := reader.read():
            content += piece
        found.append((entry, content))
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form: int) -> None:
    long_name = "d" * 90 + "/" + "n" * 60
    data = tar(
        Member("dir", mode=0o750, uid=5, gid=6),
        file(long_name, b"x" * 700, mode=0o4755),
        symlink("link", "../target"),
        hardlink("hard", "dir/a"),
        Member("null", kind=tarfile.CHRTYPE, device=(1, 3)),
        Member("pipe", kind=tarfile.FIFOTYPE),
        form=form,
    )
    found = entries_of(data)
    assert [(e.name.rstrip("/"), e.kind) for e, _ in found] == [
        ("dir", tar_reader.DIRECTORY), (long_name, tar_reader.FILE), ("link", tar_reader.SYMLINK),
        ("hard", tar_reader.HARDLINK), ("null", tar_reader.CHAR), ("pipe", tar_reader.FIFO),
    ]  # fmt: skip
    assert found[0][0].mode == 0o750
    assert (found[0][0].uid, found[0][0].gid) == (5, 6)
    assert found[1][1] == b"x" * 700
    assert found[1][0].mode == 0o4755
    assert (found[2][0].link, found[3][0].link) == ("../target", "dir/a")
    assert found[4][0].device == (1, 3)


def test_pax_records_say_what_headers_cannot() -> None:
    pax = {"mtime": "1.25", "SCHILY.xattr.user.a": "b", "uid": "3000000"}
    entry, _ = entries_of(tar(file("ä", b"1", pax=pax)))[0]
    assert (entry.name, entry.mtime_ns, entry.uid) == ("ä", 1_250_000_000, 3_000_000)
    assert entry.xattrs == {"user.a": b"b"}


def test_the_tap_and_the_contents_together_are_the_archive() -> None:
    data = tar(file("a", b"x" * 1000), symlink("b", "a"), file("ü" * 120, b"yy"))
    pieces: list[bytes] = []
    reader = TarReader(io.BytesIO(data), pieces.append)
    while reader.next() is not None:
        while piece := reader.read(100):
            pieces.append(piece)
    reader.drain()
    assert b"".join(pieces) == data


def test_content_that_is_not_read_goes_to_the_tap() -> None:
    data = tar(file("a", b"x" * 1000), file("b", b"y"))
    pieces: list[bytes] = []
    reader = TarReader(io.BytesIO(data), pieces.append)
    while reader.next() is not None:
        pass
    reader.drain()
    assert b"".join(pieces) == data


def _bad_checksum() -> bytes:
    data = bytearray(tar(file("a", b"x")))
    data[0] ^= 1
    return bytes(data)


def _patched(offset: int, field: bytes) -> bytes:
    """Return an archive with one header field replaced and a right checksum."""
    data = bytearray(tar(file("a", b"x"), form=tarfile.USTAR_FORMAT))
    data[offset : offset + len(field)] = field
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def _extended(records: bytes) -> bytes:
    """Return an archive whose PAX header holds these bytes."""
    extension = TarEntry("x", size=len(records))
    head = bytearray(tar_writer.header(extension))
    head[156:157] = b"x"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + records + tar_writer.padding(len(records)) + tar(file("a"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_bad_checksum(), "archive/tar: invalid tar header"),
        (tar(file("a", b"x" * 5000))[:1024], "unexpected EOF"),
        (tar(file("a", b"x"))[:300], "unexpected EOF"),
        (_patched(156, b"Z"), "unhandled tar header type 90"),
        (_patched(124, b"zzzzzzzzzzz\0"), "archive/tar: invalid tar header"),
        (_patched(124, b"\xff" * 12), "archive/tar: invalid tar header"),
        (_patched(124, b"\x80" + b"\xff" * 11), "archive/tar: invalid tar header"),
        (tar(file("a", pax={"path": "x\0y"})), "archive/tar: invalid tar header"),
        (tar(file("a", pax={"size": "-5"})), "archive/tar: invalid tar header"),
        (tar(file("a", pax={"mtime": "soon"})), "archive/tar: invalid tar header"),
        (tar(file("a", pax={"comment": "x" * (1 << 20)})), "archive/tar: header field too long"),
        (bytes(512) + b"x" * 512, "archive/tar: invalid tar header"),
        (_extended(b"6 a=b\nx=y\n"), "archive/tar: invalid tar header"),
        (_extended(b"6 a=b\n0 x=y\n"), "archive/tar: invalid tar header"),
        (_extended(b"6 a=b\n9 x=y\n"), "archive/tar: invalid tar header"),
        (_extended(b" 6 a=b\n"), "archive/tar: invalid tar header"),
    ],
    ids=range(16),
)
def test_a_broken_archive_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadArchive) as caught:
        entries_of(data)
    assert caught.value.message == message


@given(st.binary(max_size=2048))
def test_noise_is_read_to_its_end_or_refused(data: bytes) -> None:
    try:
        entries_of(data)
    except BadArchive:
        return


@given(st.binary(min_size=1, max_size=40), st.integers(min_value=0, max_value=2047))
def test_a_damaged_archive_is_read_or_refused(noise: bytes, where: int) -> None:
    data = bytearray(tar(file("a" * 120, b"x" * 10, pax={"mtime": "1.5"}), symlink("b", "c")))
    data[where : where + len(noise)] = noise
    try:
        entries_of(bytes(data))
    except BadArchive:
        return


@pytest.mark.parametrize(
    ("pieces", "size"),
    [([(0, 5), (3, 2)], 7), ([(0, 5)], 4), ([(90, 20)], 20)],
    ids=["overlap", "content too short", "beyond the end"],
)
def test_a_bad_sparse_map_is_refused(pieces: list[tuple[int, int]], size: int) -> None:
    numbers = ",".join(str(number) for piece in pieces for number in piece)
    pax = {"GNU.sparse.map": numbers, "GNU.sparse.size": "100", "GNU.sparse.major": "0"}
    with pytest.raises(BadArchive, match="sparse"):
        entries_of(tar(file("a", b"x" * size, pax=pax)))


def test_a_sparse_map_in_front_of_the_content_is_read() -> None:
    head = b"1\n10\n3\n".ljust(512, b"\0")
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "real",
           "GNU.sparse.realsize": "20"}  # fmt: skip
    entry, content = entries_of(tar(file("GNUSparseFile.0/real", head + b"abc", pax=pax)))[0]
    assert (entry.name, entry.sparse, entry.real_size, content) == ("real", [(10, 3)], 20, b"abc")


_names = st.text(
    st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=130
).filter(lambda name: name not in {".", ".."})


@given(
    name=_names, link=_names, size=st.integers(0, 1 << 40), mtime_ns=st.integers(-(10**18), 10**19),
    uid=st.integers(0, 1 << 31), xattr=st.binary(max_size=20),
)  # fmt: skip
def test_what_is_written_is_read_back(
    name: str, link: str, size: int, mtime_ns: int, uid: int, xattr: bytes
) -> None:
    entry = TarEntry(name, tar_reader.SYMLINK, 0o644, uid, 7, 0, mtime_ns, link)
    entry.xattrs = {"user.x": xattr}
    big = TarEntry(name, tar_reader.FILE, size=size)
    first, _ = entries_of(tar_writer.header(entry) + tar_writer.END)[0]
    again = TarReader(io.BytesIO(tar_writer.header(big))).next()
    assert first == entry
    assert again is not None
    assert again.size == size
    assert len(tar_writer.header(entry)) % 512 == 0


def test_the_standard_library_reads_what_is_written() -> None:
    long = "n" * 150
    data = (
        tar_writer.header(TarEntry(long, size=3, mtime_ns=1_500_000_000))
        + b"abc" + tar_writer.padding(3) + tar_writer.END
    )  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        info = archive.getmembers()[0]
        content = archive.extractfile(info)
        assert content is not None
        assert (info.name, info.mtime, content.read()) == (long, 1.5, b"abc")


def test_a_tar_is_recognised() -> None:
    assert is_tar(tar(file("a")))
    assert is_tar(bytes(1024))
    assert not is_tar(b"{" * 512)
    assert not is_tar(b"x")
