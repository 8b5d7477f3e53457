#!/usr/bin/env bash
# Looks for bytes that do harm: runs each fuzz target for some seconds, from what is kept in fuzz/corpus and what was found before.
#   scripts/fuzz.sh [--target NAME] [--seconds N] [--if-possible] [--keep]
# --if-possible: where the toolchain does not allow it, it says so in one line and passes. --keep: adds to fuzz/corpus what reaches code
# that nothing there reaches.
set -uo pipefail
cd "$(dirname "$0")/.."

say() { echo "fuzz: $*"; }

all=(event reply journal state snapshot definition control kafka store)
targets=("${all[@]}") seconds=60 if_possible='' keep=''
while (($# > 0)); do
    case $1 in
        --target) targets=("$2") && shift ;;
        --seconds) seconds=$2 && shift ;;
        --if-possible) if_possible=1 ;;
        --keep) keep=1 ;;
        *) say "unknown: $1" >&2 && exit 2 ;;
    esac
    shift
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { say "SECONDS is a number above 0, not '$seconds'" >&2; exit 2; }
for target in "${targets[@]}"; do
    [[ " ${all[*]} " == *" $target "* ]] || { say "no target '$target': there are ${all[*]}" >&2; exit 2; }
done

unable() {
    [[ -n $if_possible ]] || { say "$*" >&2; exit 1; }
    say "left out: $* (what is kept was replayed by \`make test\` all the same)"
    exit 0
}
rustc +nightly --version >/dev/null 2>&1 || unable "it needs a nightly toolchain: rustup toolchain install nightly"
cargo +nightly fuzz --version >/dev/null 2>&1 || unable "it needs cargo-fuzz: cargo install cargo-fuzz --locked"

# Beside all else that is built, so that the next clone starts warm.
if [[ -n ${CARGO_TARGET_DIR:-} ]]; then work=$CARGO_TARGET_DIR/fuzz; else work=${RINGMASTER_CACHE:-$HOME/.cache/ringmaster}/fuzz; fi
mkdir -p "$work"
log=$work/log
# No sanitizer: this project's code is safe Rust, and its targets measure memory themselves; without one it is built and run in half
# the time. Several code units, as fuzz/Cargo.toml has them: cargo-fuzz would take one.
say "building (some minutes when it is cold)"
begun=$SECONDS
CARGO_TARGET_DIR=$work cargo +nightly fuzz build --fuzz-dir fuzz --sanitizer none --release --debug-assertions \
    --codegen-units 16 --no-cfg-fuzzing >"$log" 2>&1 ||
    { tail -n 40 "$log" >&2; say "the targets do not build" >&2; exit 1; }
say "built in $((SECONDS - begun)) s"
built=$(find "$work" -maxdepth 3 -path '*/release/kafka' -type f -printf '%h\n' | head -n 1)

# A change must not fail by luck: the short run of CI begins with the same numbers each time.
more=()
[[ -n $if_possible ]] && more=(-seed=1)
table=() found=0
for target in "${targets[@]}"; do
    own=$work/corpus/$target harm=$work/harm/$target log=$work/log-$target
    mkdir -p "$own" "$harm"
    rm -f "$harm"/*
    begun=$SECONDS
    # Inputs as long as the usual record; a hundred times longer than the usual time is a loop.
    "$built/$target" -max_total_time="$seconds" "${more[@]}" -max_len=4096 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -dict=fuzz/dictionary -artifact_prefix="$harm/" "$own" "fuzz/corpus/$target" >"$log" 2>&1
    code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    kept=$(find "fuzz/corpus/$target" -type f | wc -l)
    verdict=nothing
    if ((code != 0)); then
        verdict="FOUND (exit code $code)"
        found=1
        grep -a -m 1 -A 2 'panicked at\|ERROR: libFuzzer' "$log" | sed 's/^/    /' >&2
        input=$(find "$harm" -type f | head -n 1)
        say "$target: ${input:-no input} does harm (all that was said: $log); repeat it by: $built/$target '$input'" >&2
        say "once it is mended, keep it as fuzz/corpus/$target/NAME: \`make test\` runs it from then on" >&2
    elif [[ -n $keep ]]; then
        # Only what is new, and short.
        "$built/$target" -merge=1 -max_len=2048 "fuzz/corpus/$target" "$own" >>"$log" 2>&1
    fi
    say "$target: ${runs:-0} inputs in $((SECONDS - begun)) s, $verdict"
    table+=("$(printf '  %-12s %12s %10s %6s %6s s  %s' "$target" "${runs:-0}" "${covered:-?}" "$kept" $((SECONDS - begun)) "$verdict")")
done

echo
printf '  %-12s %12s %10s %6s %8s  %s\n' target inputs edges kept time found
printf '%s\n' "${table[@]}"
exit "$found"
