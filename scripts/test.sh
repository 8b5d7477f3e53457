#!/usr/bin/env bash
# All tests. A failing one hides no other; what failed stands at the end, and in the exit code. SEED=n repeats a run of the
# simulator.
set -uo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
say() { echo "test: $*"; }

say "compiling (what 'make demo' has compiled is not compiled again)"
# The live tests start the binaries.
cargo build --locked --workspace --bins || exit
cargo test --locked --workspace --tests --no-run || exit
say "compiled in $SECONDS s"

code=0
for kind in --tests --doc; do
    cargo test --locked --workspace --no-fail-fast "$kind" 2>&1 | tee -a "$log" || code=1
done

# libtest lists the names of what failed behind the second line "failures:", cargo the targets at its end.
awk -v seconds="$SECONDS" '
    /^ +Running / || /^ +Doc-tests / { target = $2 == "unittests" ? $4 : $2 }
    /^failures:$/ { count = 0; delete names; listing = 1; next }
    listing && /^    [^ ]/ { names[++count] = substr($0, 5); next }
    /^test result:/ {
        passed += $4
        ran++
        if (/FAILED/) for (n = 1; n <= count; n++) failed[++failures] = target ": " names[n]
        listing = 0; count = 0
    }
    /^    `-p / && !($0 in seen) { seen[$0] = 1; targets[++broken] = substr($0, 5) }
    END {
        print ""
        if (!failures && !broken) {
            printf "test: %d tests of %d targets passed, %d s with compiling\n", passed, ran, seconds
            exit
        }
        printf "test: %d tests passed; FAILED, after %d s:\n", passed, seconds
        for (n = 1; n <= failures; n++) print "  " failed[n]
        for (n = 1; n <= broken; n++) print "  a target: " targets[n]
    }' "$log"
exit "$code"
