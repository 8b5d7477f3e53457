#!/usr/bin/env bash
# Puts what was built for release where a shell and man find it: install.sh PREFIX.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${1:?where to, for example /usr/local}
built=${CARGO_TARGET_DIR:-target}/release/ringmaster

install -D -m 0755 "$built" "$prefix/bin/ringmaster"
"$built" man --out "$prefix/share/man/man1"
complete() {
    mkdir -p "$(dirname "$prefix/share/$2")"
    "$built" completions "$1" >"$prefix/share/$2"
}
complete bash bash-completion/completions/ringmaster
complete zsh zsh/site-functions/_ringmaster
complete fish fish/vendor_completions.d/ringmaster.fish
echo "ringmaster is in $prefix/bin, its completions and pages are in $prefix/share"
