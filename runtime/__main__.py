"""``python -m runtime``: the engine."""

from __future__ import annotations

import sys

from runtime.daemon import main

sys.exit(main())
