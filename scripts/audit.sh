#!/usr/bin/env bash
# Checks all dependencies for known vulnerabilities with cargo-deny (built once into the cache, some minutes).
# Exits 2, and says so, where the advisory database is not reachable: then nothing was checked.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${RINGMASTER_CACHE:-$HOME/.cache/ringmaster}
database=https://github.com/rustsec/advisory-db # the one that cargo-deny reads
reach_s=30

if ! GIT_TERMINAL_PROMPT=0 timeout "$reach_s" git ls-remote -q "$database" HEAD >/dev/null 2>&1; then
    cat >&2 <<BANNER
audit: ************************************************************************
audit: NOT CHECKED. The advisory database is not reachable from this machine:
audit:     $database (git, tried for up to $reach_s s)
audit: Known vulnerabilities of dependencies would go unnoticed here. Run
audit: 'make audit' where it can be reached.
audit: ************************************************************************
BANNER
    exit 2
fi
PATH=$PATH:$cache/tools/bin
if ! command -v cargo-deny >/dev/null; then
    echo "audit: building cargo-deny once into $cache/tools"
    cargo install --locked --root "$cache/tools" cargo-deny
fi
cargo deny --locked check advisories
