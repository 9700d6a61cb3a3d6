#!/usr/bin/env bash
# Tests on a stock Debian kernel with cgroup v2 alone, in a virtual machine (QEMU, no KVM needed).
#   tests/vm/run.sh [PYTEST ARGUMENTS]   default: tests/vm and the integration tests of the kernel's side
# Takes about ten minutes; the disk is made once, from Debian packages (SHOAL_VM_DIR: where it is kept;
# SHOAL_VM_SUITE: Debian's release, bookworm). Ends with `N passed, N failed`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
keep=${SHOAL_VM_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/shoal/vm}
suite=${SHOAL_VM_SUITE:-bookworm}
# No sources are put in here that the tests do not need; python3 is the one that Shoal runs on.
packages=python3,busybox-static,kmod,iproute2,mount,util-linux,hostname,linux-image-amd64
tests=(tests/vm tests/integration/test_overlay.py tests/integration/test_init.py
  tests/integration/test_rootfs.py tests/integration/test_task.py tests/integration/test_lifecycle.py
  tests/integration/test_recovery.py tests/integration/test_bridge.py)

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; echo "0 passed, 0 failed (not run)"; exit 2; }

check_programs() {
  local missing=() pair
  for pair in qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap mke2fs:e2fsprogs \
    busybox:busybox-static cpio:cpio; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} = 0 ] || die "Programs are missing: apt-get install ${missing[*]}"
  [ -x "$root/.venv/bin/python" ] || die "No $root/.venv: run tests/run.sh first"
  [ "$(id -u)" = 0 ] || die "Making the disk needs root"
}

make_disk() { # disk.img, kernel and initrd.gz in $keep, from Debian packages
  local work=$keep/work-$$
  mkdir -p "$work"
  say "Making a disk of Debian $suite in $keep (some minutes, once) ..."
  mmdebstrap --quiet --variant=minbase --include="$packages" "$suite" "$work/tree" ||
    die "mmdebstrap could not make a Debian $suite: is a mirror within reach?"
  cp "$work"/tree/boot/vmlinuz-* "$work/kernel"
  cp "$here/machine-init.sh" "$work/tree/init"
  chmod 755 "$work/tree/init"
  make_first_disk "$work"
  truncate -s 3G "$work/disk.img"
  mke2fs -q -t ext4 -d "$work/tree" "$work/disk.img"
  mv "$work/kernel" "$work/initrd.gz" "$work/disk.img" "$keep/"
  rm -rf "$work"
}

make_first_disk() { # an initial RAM disk with busybox and the modules of the disk
  local work=$1 first=$1/tree/first release name line
  release=$(ls "$work/tree/lib/modules")
  mkdir -p "$first"/{bin,proc,sys,dev,root}
  cp "$(command -v busybox)" "$first/bin/busybox"
  for name in sh mount modprobe switch_root; do ln -s busybox "$first/bin/$name"; done
  cp "$here/first-init.sh" "$first/init"
  chmod 755 "$first/init"
  for name in virtio_pci virtio_blk crc32c_generic ext4; do
    chroot "$work/tree" modprobe -S "$release" --show-depends "$name"
  done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | while read -r line; do
    mkdir -p "$first$(dirname "$line")"
    cp "$work/tree$line" "$first$line"
  done
  cp "$work/tree/lib/modules/$release"/modules.{order,builtin} "$first/lib/modules/$release/"
  chroot "$work/tree" depmod -b /first "$release"
  (cd "$first" && find . | cpio -o -H newc --quiet | gzip) >"$work/initrd.gz"
  rm -rf "$first"
}

make_packages() { # packages.img: what pyproject.toml asks for, for the machine's Python
  local work=$keep/packages-$$ wanted
  wanted=$(sha256sum <"$root/pyproject.toml")
  [ "$(cat "$keep/packages.stamp" 2>/dev/null)" = "$wanted" ] && return 0
  say "Fetching Python packages for the machine ..."
  "$root/.venv/bin/python" - "$root/pyproject.toml" >"$keep/requirements.txt" <<'PYTHON'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    print(*tomllib.load(file)["project"]["dependencies"], sep="\n")
print("pytest", "pytest-timeout", "pytest-asyncio", "hypothesis", sep="\n")
PYTHON
  "$root/.venv/bin/python" -m pip install --quiet --target "$work" --python-version 3.11 \
    --implementation cp --only-binary=:all: -r "$keep/requirements.txt" 2>"$keep/pip.log" ||
    die "pip could not fetch the packages: $(tail -3 "$keep/pip.log")"
  rm -f "$keep/packages.img"
  truncate -s 512M "$keep/packages.img"
  mke2fs -q -t ext4 -d "$work" "$keep/packages.img"
  rm -rf "$work"
  printf '%s' "$wanted" >"$keep/packages.stamp"
}

make_project() { # project.img: the sources of now, and the command
  local work=$1
  mkdir -p "$work/tree"
  (cd "$root" && tar -cf - --exclude=__pycache__ compose runtime schemas samples tests pyproject.toml) |
    tar -xf - -C "$work/tree"
  printf 'exec timeout 3000 python3 -m pytest -q --color=no -p no:cacheprovider --timeout 300 -m "root or vm" %s\n' \
    "$(printf '%q ' "${tests[@]}")" >"$work/tree/command.sh"
  truncate -s 256M "$work/project.img"
  mke2fs -q -t ext4 -d "$work/tree" "$work/project.img"
}

run_machine() {
  local work=$1 disk drives=()
  for disk in "$keep/disk.img" "$keep/packages.img" "$work/project.img"; do
    drives+=(-drive "file=$disk,if=virtio,format=raw,snapshot=on")
  done
  TMPDIR=$work timeout 3600 qemu-system-x86_64 -M q35 -cpu max -m 3072 -smp 2 -nographic -no-reboot \
    -kernel "$keep/kernel" -initrd "$keep/initrd.gz" -append "console=ttyS0 quiet panic=-1" \
    "${drives[@]}" -nic none </dev/null | sed -u 's/\r$//' | tee "$work/console"
}

main() {
  [ $# = 0 ] || tests=("$@")
  check_programs
  mkdir -p "$keep"
  [ -f "$keep/disk.img" ] || make_disk
  make_packages
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/shoal-vm.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  make_project "$work"
  run_machine "$work" || true
  local summary passed failed
  summary=$(grep -E '(passed|failed|error).* in [0-9.]+s' "$work/console" | tail -1) || true
  passed=$(awk '{for (i = 2; i <= NF; i++) if ($i ~ /^passed/) n = $(i - 1)} END {print n + 0}' <<<"$summary")
  failed=$(awk '{for (i = 2; i <= NF; i++) if ($i ~ /^(failed|error)/) n += $(i - 1)} END {print n + 0}' <<<"$summary")
  echo "$passed passed, $failed failed"
  [ "$passed" != 0 ] && [ "$failed" = 0 ] && grep -q '^== exit 0' "$work/console"
}

main "$@"
