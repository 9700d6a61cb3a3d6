#!/usr/bin/env bash
# Two clients start, stop and remove the same container at once: tests/races.sh [ROUNDS]  (a thousand)
set -euo pipefail
cd "$(dirname "$0")/.."
export SHOAL_RACE_ROUNDS=${1:-1000}
exec ./tests/run.sh -m root tests/integration/test_races.py
