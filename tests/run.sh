#!/usr/bin/env bash
# Runs the whole suite: sets up .venv, installs what tests need (as root, by apt), tests, cleans up.
#   tests/run.sh [PYTEST ARGUMENTS]     only those tests, in one go
# Without root, or where namespaces are forbidden, the tests that need them are skipped with the reason.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# shellcheck source=samples/setup.sh
. samples/setup.sh
setup_venv "$root" dev

work=$(mktemp -d "${TMPDIR:-/tmp}/shoal-tests.XXXXXX")
trap 'rm -rf "$work"' EXIT
export SHOAL_TEST_WORK=$work
unset DOCKER_HOST DOCKER_CONTEXT SHOAL_DATA_ROOT SHOAL_RUN_ROOT COMPOSE_FILE COMPOSE_PROJECT_NAME

install_test_packages() { # static programs for root file systems, a redis for its sample, an OCI runtime
  local missing=()
  [ -x /bin/busybox ] || [ -x /usr/bin/busybox ] || missing+=(busybox-static)
  command -v redis-server >/dev/null || missing+=(redis-server)
  command -v runc >/dev/null || missing+=(runc)
  [ ${#missing[@]} = 0 ] && return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "Without ${missing[*]} some tests are skipped: install them by your package manager"
    return 0
  fi
  say "Installing ${missing[*]} with apt ..."
  apt-get update -qq >/dev/null 2>&1 || true
  # No service is started: the packages are wanted for their programs.
  printf '#!/bin/sh\nexit 101\n' >"$work/policy-rc.d"
  chmod +x "$work/policy-rc.d"
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then cp "$work/policy-rc.d" $policy; fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    say "apt could not install ${missing[*]}: some tests are skipped"
  if cmp -s "$work/policy-rc.d" $policy; then rm -f $policy; fi
}

fetch_docker() { # the docker command alone, from Debian's package, unpacked beside: no daemon is installed
  command -v docker >/dev/null && return 0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 0
  mkdir -p "$work/docker"
  (
    cd "$work/docker"
    apt-get download -qq docker-cli || apt-get download -qq docker.io
    dpkg-deb -x ./*.deb .
  ) >/dev/null 2>&1 || return 0
  [ ! -x "$work/docker/usr/bin/docker" ] || export SHOAL_TEST_DOCKER=$work/docker/usr/bin/docker
}

install_test_packages
fetch_docker
pytest=("$root/.venv/bin/python" -m pytest -q -p no:cacheprovider)
if [ $# -gt 0 ]; then
  "${pytest[@]}" "$@"
  exit
fi
status=0
say "== unit, contract and repository tests"
"${pytest[@]}" -n "$(nproc)" --dist loadfile tests || status=$?
if ! reason=$("$root/.venv/bin/python" -m tests.support.machine); then
  say "== integration and end-to-end tests are skipped: $reason"
  exit $status
fi
say "== integration and end-to-end tests (containers)"
"${pytest[@]}" -m "root and not benchmark and not slow and not vm and not peer" tests || status=$?
exit $status
