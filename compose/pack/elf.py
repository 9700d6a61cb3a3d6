"""What an ELF file says of the libraries that it needs (System V ABI; ld.so(8))."""

from __future__ import annotations

from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

_MAGIC = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class Elf:
    """The dynamic facts of one ELF file.

    Attributes:
        kind: class and machine, such as ``64-EM_X86_64``; libraries must be of the same kind.
        interpreter: path of the dynamic loader, empty when there is none.
        needed: names of shared libraries (DT_NEEDED).
        rpath: search directories that are inherited (DT_RPATH), still with ``$ORIGIN``.
        runpath: search directories of this file alone (DT_RUNPATH).
    """

    kind: str
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()


def read_elf(path: str) -> Elf | None:
    """Read a file; None when it is not an ELF file.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        if file.read(4) != _MAGIC:
            return None
        file.seek(0)
        try:
            elf = ELFFile(file)
            return _facts(elf)
        except ELFError:
            return None


def _facts(elf: ELFFile) -> Elf:
    kind = f"{elf.elfclass}-{elf['e_machine']}"
    interpreter = ""
    needed: list[str] = []
    rpath: list[str] = []
    runpath: list[str] = []
    for segment in elf.iter_segments():
        if isinstance(segment, InterpSegment):
            interpreter = segment.get_interp_name()
        elif isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                # The library sets the text of a tag as an attribute that is named after it.
                if tag.entry.d_tag == "DT_NEEDED":
                    needed.append(_text(tag, "needed"))
                elif tag.entry.d_tag == "DT_RPATH":
                    rpath += _text(tag, "rpath").split(":")
                elif tag.entry.d_tag == "DT_RUNPATH":
                    runpath += _text(tag, "runpath").split(":")
    return Elf(kind, interpreter, tuple(needed), tuple(rpath), tuple(runpath))


def _text(tag: object, name: str) -> str:
    return str(getattr(tag, name))
