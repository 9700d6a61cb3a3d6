"""Cases about what an image's configuration brings along."""

from __future__ import annotations

from tests.support.differential.case import Case
from tests.support.differential.image import DOCKERFILES

CASES = (*(Case(f"image-{name}", {}, image=name) for name in DOCKERFILES),)
