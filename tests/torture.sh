#!/usr/bin/env bash
# Random operations by several clients while engine, launcher, shims and programs are killed.
#   tests/torture.sh [--minutes N | --rounds N] [--seed N] [--clients N] [--work DIR]
#   tests/torture.sh sweep [--stride N] [--only OPERATION]    kill at every N-th system call
#   tests/torture.sh endurance [--cycles N]                   what must not grow or wake up
# Minutes to hours; tests/run.sh plays SHOAL_TORTURE_MINUTES (3) of it. Each round ends in the invariants of
# tests/support/invariants.py. The last line is `N passed, N failed`, with the seed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# shellcheck source=samples/setup.sh
. samples/setup.sh
if [ "$(id -u)" != 0 ]; then
  say "needs root: run tests/torture.sh as root"
  exit 1
fi
setup_venv "$root" dev
unset DOCKER_HOST DOCKER_CONTEXT SHOAL_DATA_ROOT SHOAL_RUN_ROOT
what=run
if [ "${1:-}" = sweep ] || [ "${1:-}" = endurance ]; then
  what=$1
  shift
fi
exec "$root/.venv/bin/python" -m "tests.torture.$what" "$@"
