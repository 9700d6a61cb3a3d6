#!/bin/sh
# Assembles init-x86_64 and init-aarch64 with binutils, as far as they are installed.
#   build.sh [DIRECTORY]    where the programs go, by default beside the sources
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for machine in x86_64 aarch64; do
  tools="$machine-linux-gnu-"
  if ! command -v "${tools}as" >/dev/null || ! command -v "${tools}ld" >/dev/null; then
    echo "skipped $machine: no ${tools}as and ${tools}ld (package binutils-$machine-linux-gnu)" >&2
    continue
  fi
  "${tools}as" -o "$work/init.o" "$here/$machine.s"
  "${tools}ld" -static -s -z noseparate-code -z max-page-size=65536 --build-id=none -o "$work/init" "$work/init.o"
  install -m 755 "$work/init" "$out/init-$machine"
done
