#!/usr/bin/env bash
# Brings samples/guestbook up on a machine that has only Python, and shows that it answers.
#   ./samples/demo.sh         set up, start, call the page
#   ./samples/demo.sh down    remove the stack, stop the engine
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=samples/setup.sh
. "$root/samples/setup.sh"
shoal=$root/.venv/bin/shoal
stack=$root/samples/guestbook
base=guestbook-python

case ${1:-up} in
  up) ;;
  down)
    if [ -x "$shoal" ] && "$shoal" engine status >/dev/null 2>&1; then
      "$shoal" --project-directory "$stack" down
      "$shoal" engine stop
    else
      say "Nothing to do: no engine is running."
    fi
    exit 0
    ;;
  *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

[ "$(uname -s)" = Linux ] || die "Shoal runs on Linux only."
[ "$(id -u)" = 0 ] || die "Containers need root: run 'sudo $0'."
setup_venv "$root"

if ! "$shoal" image inspect "$base" >/dev/null 2>&1; then
  say "Packing this machine's Python into the image $base ..."
  "$shoal" image pack "$base" "$root/.venv/bin/python" sh mkdir chown
fi
"$shoal" --project-directory "$stack" up -d --build --quiet-build --wait

address=$("$shoal" --project-directory "$stack" port web 8000)
url=http://127.0.0.1:${address##*:}/
say "" "GET $url"
"$root/.venv/bin/python" - "$url" <<'PYTHON'
import sys
import urllib.request

with urllib.request.urlopen(sys.argv[1], timeout=30) as answer:
    print(answer.read().decode())
PYTHON
"$shoal" --project-directory "$stack" ps
cat <<TEXT

The stack is up at $url
What to try next, in $stack with PATH=$root/.venv/bin:\$PATH
  shoal ui                 watch it, read logs, restart services
  shoal logs -f            follow the logs
  curl -d name=Ada -d text=hello $url
  $0 down    remove it, stop the engine
TEXT
