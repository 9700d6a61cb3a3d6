"""Generates COMPATIBILITY.md from the tests that ran.

SHOAL_TEST_RESULTS=results ./tests/run.sh
.venv/bin/python -m tests.support.compatibility results
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

from compose.commands.registry import VERBS
from runtime.api import field_table
from runtime.api.router import ROUTES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "COMPATIBILITY.md"
AREAS = {
    "tests/e2e/test_docker_cli.py": "The `docker` command on Shoal's socket",
    "tests/e2e/test_command_lines.py": "Command lines of `docker`, compared with a Docker Engine",
    "tests/e2e/test_up_down.py": "Stacks with `shoal`",
    "tests/e2e/test_samples.py": "Samples",
    "tests/integration/test_external_runtime.py": "External OCI runtimes",
    "tests/integration/test_spec_fields.py": "Fields of the OCI runtime specification",
    "tests/integration/test_doctor.py": "The doctor",
    "tests/e2e/test_shoal_docker.py": "`shoal docker`, `shoal why`, `shoal engine`",
    "tests/integration/test_conversations.py": "Conversations recorded with a Docker Engine",
    "tests/integration/test_differential.py": "Create requests, compared with a Docker Engine",
    "tests/contract/test_containers_api.py": "API: containers",
    "tests/contract/test_execs_api.py": "API: exec",
    "tests/contract/test_files_api.py": "API: files in containers",
    "tests/contract/test_images_api.py": "API: images",
    "tests/contract/test_builds_api.py": "API: builds",
    "tests/contract/test_networks_api.py": "API: networks",
    "tests/contract/test_volumes_api.py": "API: volumes",
    "tests/contract/test_system_api.py": "API: system and events",
    "tests/unit/compose/loader/test_corpus.py": "Compose files read as Docker Compose reads them",
}
NOT_YET = (
    ("registries", "`pull`, `push`, `login`, `search`: answered by an error that says so"),
    ("BuildKit", "`/grpc` and `/session` answer 501; build with `DOCKER_BUILDKIT=0`"),
    ("Dockerfile: `RUN --mount --security --device`", "refused by name"),
    ("Dockerfile: `COPY --parents --exclude`, `ADD` of URLs and git", "refused by name"),
    ("hooks of CDI devices with `userns-remap`", "refused by name without `UsernsMode: host`"),
    ("CDI devices with `intelRdt` or `netDevices`", "refused by name"),
    ("hooks of CDI devices with `userns-remap`", "refused by name"),
    ("two seccomp `NE` rules on one argument", "differ from libseccomp above 32 bits"),
    ("gateway modes", "all; when a connect makes one of another mode the way out, at a restart"),
    ("swarm", "answers as an engine outside of a swarm (503); `init` and `join` 501"),
    ("plugins", "none are listed; installing answers 501"),
    ("checkpoints", "501"),
    ("rootless", "the engine needs root and says so"),
    ("network drivers", "bridge, host, none, macvlan, ipvlan; overlay and others are refused"),
    ("`docker logs` of `journald`", "reads Shoal's own copy of the log, not the journal"),
    ("log drivers", "awslogs, fluentd, gcplogs, gelf and splunk are refused by name"),
    ("remote compose files", "`include`, `extends` and `-f` from git or OCI are refused"),
)
COMPOSE_COMMANDS = (
    "attach build commit config cp create down events exec export images kill logs ls pause port "
    "ps publish pull push restart rm run scale start stats stop top unpause up version volumes "
    "wait watch"
)


def outcomes(path: Path) -> dict[str, dict[str, list[str]]]:
    """Return, by file and rule, what its tests (one for each parameter) came to."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for line in path.read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        file, _, name = result["test"].partition("::")
        found[file][rule(name)].append(result["outcome"])
    return found


def rule(name: str) -> str:
    """Return a test's name as a sentence."""
    words = re.sub(r"\[.*", "", name).removeprefix("test_").replace("_", " ")
    return words[:1].upper() + words[1:]


def verdict(results: list[str]) -> str:
    """Say what the tests of one rule came to."""
    if "failed" in results:
        return "**fails**"
    passed = results.count("passed")
    if not passed:
        return "not run here"
    return "works" if passed == 1 else f"works ({passed} cases)"


def fate(entry: field_table.Entry) -> str:
    """Say what becomes of a field."""
    if entry.refusal:
        return f"refused: `{entry.refusal}`"
    if entry.reason:
        return f"without effect: {entry.reason}"
    return f"done: `{entry.handler.removeprefix('runtime.')}`"


def field_rows() -> list[str]:
    """Return the table of fields and of query parameters."""
    tables = (*field_table.BODIES.items(), *field_table.PARAMETERS.items())
    return [
        "## Fields and parameters of containers",
        "",
        "From `runtime/api/field_table.py`; a test proves that the API has no other ones.",
        "",
        "| of | field | what becomes of it |",
        "|---|---|---|",
        *(
            f"| `{name}` | `{entry.name}` | {fate(entry)} |"
            for name, entries in tables
            for entry in entries
        ),
        "",
    ]


def page(results: dict[str, dict[str, list[str]]]) -> str:
    """Return the page."""
    lines = [
        "# Compatibility",
        "",
        "Generated from the tests that ran (`tests/support/compatibility.py`); a row is the name",
        "of its test. The measure is Docker Engine 28.5 and Docker Compose 2.40.",
        "",
        "## Not done",
        "",
        "| what | how Shoal answers |",
        "|---|---|",
        *(f"| {what} | {how} |" for what, how in NOT_YET),
        "",
        "## Commands of `docker compose`",
        "",
        "| command | Shoal |",
        "|---|---|",
        *(
            f"| `{verb}` | {'yes' if verb in VERBS else 'not yet'} |"
            for verb in COMPOSE_COMMANDS.split()
        ),
        "",
        f"## Docker Engine API 1.51: {len(ROUTES)} routes",
        "",
        " · ".join(f"`{route.method} {route.path}`" for route in ROUTES),
        "",
        *field_rows(),
    ]
    for file, title in AREAS.items():
        rows = results.get(file, {})
        if rows:
            lines += [f"## {title}", "", "| rule | result |", "|---|---|"]
            lines += [f"| {name} | {verdict(rows[name])} |" for name in rows]
            lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Write the page from a file of results."""
    PAGE.write_text(page(outcomes(Path(sys.argv[1]))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
