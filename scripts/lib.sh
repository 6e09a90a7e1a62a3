# shellcheck shell=sh
# What the set-up scripts share. The working directory is the project's root.

step() { printf 'set-up: %s\n' "$1" >&2; }

fail() {
  printf 'error: %s   [setup.failed]\n' "$1" >&2
  [ -z "${2:-}" ] || printf '  try: %s\n' "$2" >&2
  exit 1
}

# Runs a command; shows what it printed only when it fails.
logged() {
  if "$@" >.setup/log 2>&1; then return; fi
  tail -n 20 .setup/log >&2
  fail "$1 failed; its output is in $PWD/.setup/log" "check the network, then repeat the command"
}

# changed NAME FILE…: is anything else in these files than when `done_with` said the same?
changed() { [ "$(cat ".setup/$1.sum" 2>/dev/null)" != "$(digest "$@")" ]; }
done_with() { digest "$@" >".setup/$1.sum"; }
digest() {
  shift
  find "$@" -type f ! -name '*_test.go' -exec sha256sum {} + | LC_ALL=C sort -k 2 | sha256sum
}
