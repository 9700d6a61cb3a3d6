#!/usr/bin/env bash
# Tests on a stock Debian with cgroup v2 alone and systemd, in a virtual machine (QEMU, no KVM needed).
#   tests/vm.sh [inside|outside] [PYTEST ARGUMENTS]
# inside: tests/vm/inside and integration tests run in the machine; outside: tests/vm/outside boots,
# reboots and cuts its power. Default: both, the first about half an hour, the second ten minutes.
# The disk is made once, from Debian packages (SHOAL_VM_DIR: where it is kept; SHOAL_VM_SUITE:
# Debian's release, bookworm; SHOAL_VM_ACCEL: QEMU's accelerator, tcg). Ends with `N passed, N failed`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# shellcheck source=samples/setup.sh
. samples/setup.sh
# shellcheck source=tests/vm/disk/make.sh
. tests/vm/disk/make.sh
suite=${SHOAL_VM_SUITE:-bookworm}
keep=${SHOAL_VM_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/shoal/vm}/$suite
inside=(tests/vm/inside)
for name in bridge init lifecycle oom overlay recovery rootfs task vlan_networks; do
  inside+=("tests/integration/test_$name.py")
done
outside=(tests/vm/outside)

die() { say "$*"; echo "0 passed, 0 failed (not run)"; exit 2; }

install_programs() {
  local missing=() pair
  for pair in qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils mmdebstrap:mmdebstrap \
    mke2fs:e2fsprogs busybox:busybox-static cpio:cpio; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ "$(id -u)" = 0 ] || die "Making the disk needs root"
  [ ${#missing[@]} != 0 ] || return 0
  command -v apt-get >/dev/null || die "Programs are missing: ${missing[*]}"
  say "Installing ${missing[*]} with apt ..."
  apt-get update -qq >/dev/null 2>&1 || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt could not install ${missing[*]}"
}

make_packages() { # packages.img: what pyproject.toml asks for, for the machine's Python
  local work=$keep/packages-$$ wanted
  wanted=$(sha256sum <pyproject.toml)
  [ "$(cat "$keep/packages.stamp" 2>/dev/null)" = "$wanted" ] && return 0
  say "Fetching Python packages for the machine ..."
  .venv/bin/python - pyproject.toml >"$keep/requirements.txt" <<'PYTHON'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    print(*tomllib.load(file)["project"]["dependencies"], sep="\n")
print("pytest", "pytest-timeout", "pytest-asyncio", "hypothesis", sep="\n")
PYTHON
  .venv/bin/python -m pip install --quiet --target "$work" --python-version "$python" \
    --implementation cp --only-binary=:all: -r "$keep/requirements.txt" 2>"$keep/pip.log" ||
    die "pip could not fetch the packages: $(tail -3 "$keep/pip.log")"
  rm -f "$keep/packages.img"
  truncate -s 512M "$keep/packages.img"
  mke2fs -q -t ext4 -d "$work" "$keep/packages.img"
  rm -rf "$work"
  printf '%s' "$wanted" >"$keep/packages.stamp"
}

make_project() { # project.img: the sources of now
  mkdir -p "$work/tree"
  tar -cf - --exclude=__pycache__ compose runtime schemas samples tests docs pyproject.toml |
    tar -xf - -C "$work/tree"
  truncate -s 256M "$work/project.img"
  mke2fs -q -t ext4 -d "$work/tree" "$work/project.img"
  rm -rf "$work/tree"
}

count() { # how many of the words given the last summary of pytest names
  grep -E '(passed|failed|error).* in [0-9.]+s' "$work/output" | awk -v words="$1" \
    '{for (i = 2; i <= NF; i++) if ($i ~ "^(" words ")") n += $(i - 1)} END {print n + 0}'
}

main() {
  local part=both status=0
  case ${1:-} in inside | outside) part=$1; shift ;; esac
  if [ $# != 0 ]; then
    [ $part != outside ] || outside=("$@")
    [ $part = outside ] || { part=inside; inside=("$@"); }
  fi
  case $suite in bookworm) python=3.11 ;; trixie) python=3.13 ;; *) die "unknown suite $suite" ;; esac
  install_programs
  setup_venv "$root" dev
  mkdir -p "$keep"
  make_disk
  make_packages
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/shoal-vm.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  make_project
  : >"$work/output"
  if [ $part != outside ]; then
    say "== inside the machine"
    .venv/bin/python -m tests.vm.run_inside "$keep" "$work/project.img" -m "root or vm" "${inside[@]}" |
      tee -a "$work/output" || status=1
  fi
  if [ $part != inside ]; then
    say "== boots, reboots and power cuts"
    SHOAL_VM_IMAGES=$keep SHOAL_VM_PROJECT=$work/project.img .venv/bin/python -m pytest -q \
      -p no:cacheprovider -m vm "${outside[@]}" | tee -a "$work/output" || status=1
  fi
  local passed failed
  passed=$(count passed)
  failed=$(count "failed|error")
  echo "$passed passed, $failed failed"
  [ "$passed" != 0 ] && [ "$failed" = 0 ] && [ $status = 0 ]
}

main "$@"
