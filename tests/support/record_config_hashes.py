"""Records the configuration hashes that the real Docker Compose computes for the loader's corpus.

Run from the repository root, as root (the cases are copied to ``/project``, so that paths in them
are the same everywhere), with Docker's CLI installed; no engine is needed::

    python -m tests.support.record_config_hashes

The answers go to ``tests/unit/compose/reconciler/config_hashes.json``. Services with an
``env_file`` or ``label_file`` are left out: ``config --hash`` hashes the file's name, ``up`` does
not.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.support.record_compose_config import CORPUS, DIRECTORY, arguments, variables

HASHES = Path(__file__).parent.parent / "unit" / "compose" / "reconciler" / "config_hashes.json"


def record(case: Path) -> dict[str, str]:
    """Hash by service of one case; empty when Docker Compose refuses it."""
    project = Path(DIRECTORY)
    shutil.copytree(case, project)
    docker = shutil.which("docker") or "docker"
    try:
        done = subprocess.run(
            [docker, "compose", *arguments(case), "config", "--hash", "*"],
            cwd=project,
            env={"DOCKER_CONFIG": f"{Path.home()}/.docker"} | variables(case),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(project)
    if done.returncode:
        return {}
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def wanted(case: Path) -> bool:
    """Whether Shoal loads the case too, and hashes what ``config --hash`` hashes."""
    texts = [path.read_text() for path in case.rglob("*.y*ml")]
    return not case.name.startswith(("bad-", "stricter-")) and not any(
        key in text for text in texts for key in ("env_file:", "label_file:")
    )


def main() -> None:
    """Record all cases that Shoal loads too."""
    hashes = {case.name: record(case) for case in sorted(CORPUS.iterdir()) if wanted(case)}
    kept = {name: answer for name, answer in hashes.items() if answer}
    HASHES.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
