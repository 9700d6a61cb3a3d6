"""Certificates for tests, made by the openssl program."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: str
    key: str


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)


def make_authority(directory: Path) -> Identity:
    """Make a certificate that can sign others."""
    authority = Identity(f"{directory}/ca.pem", f"{directory}/ca-key.pem")
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", authority.key, "-out", authority.certificate, "-subj", "/CN=test authority"),
        *("-days", "2", "-addext", "keyUsage=critical,keyCertSign"),
    )
    return authority


def make_identity(directory: Path, name: str, authority: Identity) -> Identity:
    """Make a certificate for 127.0.0.1 and localhost, signed by an authority."""
    identity = Identity(f"{directory}/{name}.pem", f"{directory}/{name}-key.pem")
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", identity.key, "-out", identity.certificate, "-subj", f"/CN={name}"),
        *("-CA", authority.certificate, "-CAkey", authority.key, "-days", "2"),
        *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        *("-addext", "basicConstraints=CA:FALSE"),
    )
    return identity
