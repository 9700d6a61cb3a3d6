#!/usr/bin/env bash
# Other people's clients against an engine: docker-py, testcontainers-python, the docker command, docker
# compose, skopeo. They live in a virtual environment of their own.
#   tests/clients.sh [--host URL] [PYTEST ARGUMENTS]
# Without --host an engine of Shoal is started below a temporary directory and stopped again; with it any
# engine is asked, such as a Docker Engine, where all that is made is named shoal-clients-... and removed.
# Prints "N passed, N failed, N skipped", and why; the exit code says whether something failed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# shellcheck source=samples/setup.sh
. samples/setup.sh
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH COMPOSE_FILE COMPOSE_PROJECT_NAME
host=
if [ "${1:-}" = --host ]; then
  host=${2:?"--host needs a URL, such as unix:///var/run/docker.sock"}
  shift 2
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/shoal-clients.XXXXXX")
engine=
finish() {
  if [ -n "$engine" ]; then
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT

setup_clients() { # .venv-clients: once, and again when its list changed
  local wanted stamp=$root/.venv-clients/.setup
  local packages=(docker testcontainers pytest)
  wanted=${packages[*]}
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return 0
  say "Setting up $root/.venv-clients ..."
  [ -x "$root/.venv-clients/bin/python" ] || "$(find_python)" -m venv "$root/.venv-clients"
  "$root/.venv-clients/bin/python" -m pip install --quiet "${packages[@]}" 2>"$work/pip" ||
    { tail -n 5 "$work/pip" >&2; die "pip could not install ${packages[*]}: is a package index reachable?"; }
  echo "$wanted" >"$stamp"
}

fetch_programs() { # the docker command alone, unpacked beside, as no daemon is wanted; skopeo by apt
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 0
  if ! command -v docker >/dev/null; then
    mkdir -p "$work/docker"
    (
      cd "$work/docker"
      apt-get download -qq docker-cli || apt-get download -qq docker.io
      dpkg-deb -x ./*.deb .
    ) >/dev/null 2>&1 || true
    export PATH=$PATH:$work/docker/usr/bin
  fi
  command -v skopeo >/dev/null && return 0
  say "Installing skopeo with apt ..."
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends skopeo >/dev/null 2>&1 ||
    say "apt could not install skopeo: its test is skipped"
}

start_engine() {
  setup_venv "$root" dev
  PYTHONPATH=$root SHOAL_CONFIG=$work/daemon.json "$root/.venv/bin/python" -m runtime \
    --data-root "$work/data" --run-root "$work/run" \
    --default-address-pool base=10.221.0.0/16,size=24 >"$work/engine.log" 2>&1 &
  engine=$!
  host=unix://$work/run/shoal.sock
  local attempt
  for attempt in $(seq 300); do
    [ -S "$work/run/shoal.sock" ] && return 0
    kill -0 "$engine" 2>/dev/null || break
    sleep 0.2
  done
  cat "$work/engine.log" >&2
  die "The engine did not start after $attempt looks"
}

setup_clients
fetch_programs
[ -n "$host" ] || start_engine
status=0
DOCKER_HOST=$host TESTCONTAINERS_RYUK_DISABLED=true SHOAL_CLIENT_WORK=$work \
  "$root/.venv-clients/bin/python" -m pytest -q -c tests/clients/pytest.ini tests/clients "$@" || status=$?
if [ -n "$engine" ] && grep -q "ERROR\|Traceback" "$work/engine.log"; then
  say "The engine wrote errors:"
  grep -A20 "ERROR\|Traceback" "$work/engine.log" >&2
fi
exit $status
