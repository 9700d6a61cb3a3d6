"""The short forms ``SOURCE:TARGET:OPTIONS`` of volumes and devices.

Rules: Compose specification, "volumes", short syntax; the options that are known there. Unlike
Docker Compose, a one-letter volume name is not taken for a Windows drive but refused.
"""

from __future__ import annotations

from compose.model.record import record

PROPAGATIONS = frozenset(("private", "rprivate", "shared", "rshared", "slave", "rslave"))
_IGNORED = frozenset(("cached", "consistent", "delegated"))


class MalformedMount(ValueError):
    """A short form that cannot be read."""


@record
class MountText:
    """The parts of a short volume; ``unknown`` lists options without meaning."""

    target: str
    source: str = ""
    options: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def is_bind(self) -> bool:
        """Whether the source is a path of the host rather than a volume's name."""
        return self.source.startswith((".", "/", "~", "\\\\")) or _is_drive(self.source)


def split_mount(text: str) -> MountText:
    """Take a short volume apart.

    Raises:
        MalformedMount: an empty or superfluous part, or a one-letter volume name.
    """
    if not text:
        raise MalformedMount("an empty volume")
    parts = _parts(text)
    if len(parts) == 1:
        return MountText(target=text)
    if not all(parts):
        raise MalformedMount(f"{text!r}: empty section between colons")
    if len(parts) > 3:
        raise MalformedMount(f"{text!r}: too many colons")
    options = tuple(parts[2].split(",")) if len(parts) == 3 else ()
    known = PROPAGATIONS | _IGNORED | {"ro", "rw", "nocopy", "z", "Z"}
    unknown = tuple(option for option in options if option not in known)
    return MountText(source=parts[0], target=parts[1], options=options, unknown=unknown)


def split_device(text: str) -> tuple[str, str, str]:
    """Take a short device apart: path on the host, in the container, permissions.

    Raises:
        ValueError: more than three parts.
    """
    parts = text.split(":")
    if len(parts) > 3:
        raise ValueError(f"{text!r}: confusing device mapping, use the long syntax")
    target = parts[1] if len(parts) > 1 else parts[0]
    return parts[0], target, parts[2] if len(parts) == 3 else "rwm"


def _parts(text: str) -> list[str]:
    """Split at colons outside ``${...}``; a Windows drive keeps its colon."""
    parts, start, depth = [], 0, 0
    for position, character in enumerate(text):
        if text.startswith("${", position):
            depth += 1
        elif character == "}" and depth:
            depth -= 1
        elif character == ":" and not depth:
            if position == start + 1 and text[start].isalpha():
                if text[position + 1 : position + 2] == "\\":
                    continue
                name = text[start]
                raise MalformedMount(
                    f"{text!r}: {name!r} is too short for a volume name"
                    " (a single letter stands for a Windows drive)"
                )
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _is_drive(source: str) -> bool:
    return len(source) > 2 and source[0].isalpha() and source[1:3] == ":\\"
