"""Names of images: ``[domain[:port]/]path[:tag][@digest]`` (distribution reference grammar).

A name as people write it is *familiar* (``busybox``); normalised it names its registry and tag
(``docker.io/library/busybox:latest``). The wording of errors is Docker's.
"""

from __future__ import annotations

import re

from runtime.errors import InvalidArgument
from runtime.record import record, replace

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"
_LONGEST_PATH = 255
_LONGEST_TEXT = 4096

_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)"
_DOMAIN = re.compile(
    rf"(?:{_HOST}(?:\.{_HOST})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?",
)
_PATH = re.compile(
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


@record
class Reference:
    """A normalised name; `tag` and `digest` are empty when they were not written."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """The name without tag and digest, in full."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_repository(self) -> str:
        """The name without tag and digest, as people write it."""
        if self.domain != DEFAULT_DOMAIN:
            return self.repository
        rest = self.path.removeprefix(_OFFICIAL)
        short = rest if "/" not in rest else self.path
        # A path such as 0.0/x would be taken for a registry without its own.
        return short if _split_domain(short)[0] == DEFAULT_DOMAIN else self.repository

    @property
    def familiar(self) -> str:
        """The whole reference as people write it."""
        return self.familiar_repository + self._suffix()

    def __str__(self) -> str:
        return self.repository + self._suffix()

    def tagged(self) -> Reference:
        """Return the reference with the tag ``latest`` if it has neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return tag + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Parse and normalise a name.

    Raises:
        InvalidArgument: it is not a name; 64 hexadecimal digits are an id, not a name.
    """
    if len(text) > _LONGEST_TEXT:
        raise InvalidArgument("invalid reference format")
    if _IDENTIFIER.fullmatch(text):
        raise InvalidArgument(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    domain, rest = _split_domain(text)
    name, at, digest = rest.partition("@")
    path, colon, tag = name.partition(":")
    if path != path.lower():
        raise InvalidArgument(
            f"invalid reference format: repository name ({path}) must be lowercase"
        )
    _check_parts(domain, path, tag if colon else None, digest if at else None)
    return Reference(domain, path, tag, digest)


def check_tag(tag: str) -> str:
    """Return a tag that has the right form.

    Raises:
        InvalidArgument: it has not.
    """
    if not _TAG.fullmatch(tag):
        raise InvalidArgument("invalid tag format")
    return tag


def is_digest(text: str) -> bool:
    """Tell whether a text is a whole digest of a known algorithm, such as ``sha256:<64 hex>``."""
    algorithm, _, value = text.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    return length == len(value) and re.fullmatch(r"[0-9a-f]+", value) is not None


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    named = bool(slash) and (
        "." in first or ":" in first or first == "localhost" or first != first.lower()
    )
    domain, remainder = (first, rest) if named else (DEFAULT_DOMAIN, text)
    if domain == _LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = _OFFICIAL + remainder
    return domain, remainder


def _check_parts(domain: str, path: str, tag: str | None, digest: str | None) -> None:
    well_formed = (
        _DOMAIN.fullmatch(domain)
        and _PATH.fullmatch(path)
        and (tag is None or _TAG.fullmatch(tag))
        and (digest is None or _DIGEST.fullmatch(digest))
    )
    if not well_formed:
        raise InvalidArgument("invalid reference format")
    if len(path) > _LONGEST_PATH:
        raise InvalidArgument("repository name must not be more than 255 characters")
    if digest is not None and not is_digest(digest):
        algorithm = digest.partition(":")[0]
        known = algorithm in _DIGEST_LENGTHS
        problem = "invalid checksum digest length" if known else "unsupported digest algorithm"
        raise InvalidArgument(problem)
