"""Records what the real ``docker compose config`` makes of the corpus of the loader's tests.

Run from the repository root with Docker's CLI installed (no engine is needed)::

    python -m tests.support.record_compose_config [CASE...]

Each case is a directory below ``tests/unit/compose/loader/corpus``: compose files, perhaps ``args``
(flags before the verb) and ``env`` (variables). The answer goes to ``answer.json`` beside them; the
directory in which the case ran is written as ``/project``.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "unit" / "compose" / "loader" / "corpus"
DIRECTORY = "/project"
HOME = "/home/user"


def arguments(case: Path) -> list[str]:
    """The flags of a case."""
    file = case / "args"
    return shlex.split(file.read_text()) if file.exists() else []


def variables(case: Path) -> dict[str, str]:
    """The environment of a case."""
    file = case / "env"
    lines = file.read_text().splitlines() if file.exists() else []
    return {"HOME": HOME, "PATH": "/usr/bin"} | dict(line.split("=", 1) for line in lines)


def record(case: Path) -> None:
    """Run Docker Compose on a copy of a case and store the answer."""
    with tempfile.TemporaryDirectory(prefix="shoal-corpus-") as scratch:
        project = Path(scratch) / "project"
        shutil.copytree(case, project)
        answer = {form: _run(project, case, form) for form in ("json", "yaml")}
    problem = answer["yaml"].get("error")
    document = {"error": problem} if problem else {"yaml": answer["yaml"]["text"]}
    if not problem and "text" in answer["json"]:
        document["json"] = json.loads(answer["json"]["text"].replace("$$", "$"))
    (case / "answer.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _run(project: Path, case: Path, form: str) -> dict[str, str]:
    docker = shutil.which("docker")
    if docker is None:
        raise SystemExit("docker is not installed")
    done = subprocess.run(
        [docker, "compose", *arguments(case), "config", "--format", form],
        cwd=project,
        env={"DOCKER_CONFIG": f"{Path.home()}/.docker"} | variables(case),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not line.startswith("time=")]
        return {"error": "\n".join(lines).replace(str(project), DIRECTORY)}
    return {"text": done.stdout.replace(str(project), DIRECTORY)}


def main() -> None:
    """Record the named cases, or all of them."""
    for name in sys.argv[1:] or sorted(path.name for path in CORPUS.iterdir()):
        record(CORPUS / name)


if __name__ == "__main__":
    main()
