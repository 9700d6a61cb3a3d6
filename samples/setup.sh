# Sourced by samples/demo.sh and tests/run.sh: makes .venv with Shoal in it, once and again when
# pyproject.toml changed. Needs python3 (3.11 or later); python3-venv comes by apt where it is missing.
# Usage: setup_venv ROOT [GROUP]   - GROUP: a dependency group of pyproject.toml to install as well

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

find_python() { # the first Python that is new enough
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return 0
    fi
  done
  die "Python 3.11 or later is missing: install it (apt-get install python3) or name it: PYTHON=/path $0"
}

ensure_venv_module() { # Debian keeps ensurepip in a package of its own
  "$1" -c 'import ensurepip, venv' 2>/dev/null && return 0
  local package
  package=$("$1" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
    die "Python's venv module is missing: run 'apt-get install $package' as root, then $0 again"
  say "Installing $package with apt ..."
  apt-get update -qq >/dev/null 2>&1 || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
    die "apt-get install $package failed: run it by hand to see why"
}

setup_venv() {
  local root=$1 group=${2:-} python stamp wanted log
  stamp=$root/.venv/.shoal-setup
  wanted=$( (cat "$root/pyproject.toml"; echo "$root") | sha256sum | cut -c1-16)
  if [ -f "$stamp" ] && grep -qx "$wanted ${group:-base}" "$stamp"; then return 0; fi
  python=$(find_python)
  ensure_venv_module "$python"
  log=$(mktemp)
  say "Setting up $root/.venv ..."
  [ -x "$root/.venv/bin/python" ] || "$python" -m venv "$root/.venv" >"$log" 2>&1 || { tail -n 5 "$log" >&2; die "python -m venv failed"; }
  {
    "$root/.venv/bin/python" -m pip install --quiet --upgrade 'pip>=25.1' &&
      "$root/.venv/bin/python" -m pip install --quiet -e "$root" ${group:+--group "$root/pyproject.toml:$group"}
  } >"$log" 2>&1 || { tail -n 5 "$log" >&2; die "pip could not install Shoal's packages: is a package index reachable? (pip config list)"; }
  rm -f "$log"
  { echo "$wanted base"; [ -z "$group" ] || echo "$wanted $group"; } >"$stamp"
}
