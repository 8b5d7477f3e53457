#!/usr/bin/env bash
# Installs what building and testing needs on Debian (12 is tested), as root or with sudo. Where everything is there
# it does nothing, needs no rights and says nothing. `setup.sh build` leaves out what only tests and people need,
# `setup.sh callgrind` adds valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

has() { command -v "$1" >/dev/null; }
has_libclang() { [[ -n ${LIBCLANG_PATH:-} ]] || compgen -G '/usr/lib/llvm-*/lib/libclang.so' >/dev/null; }
has_header() { compgen -G "/usr/include/$1" >/dev/null || compgen -G "/usr/include/*-linux-gnu/$1" >/dev/null; }
has_java() {
    has java || return 1
    local major
    major=$(java -version 2>&1 | sed -n '1s/[^"]*"\([0-9]*\).*/\1/p')
    [[ -n $major ]] && ((major >= 17))
}
has_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }
has_python() { has python3 && python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; }

missing=()
{ has g++ && has make; } || missing+=(build-essential)
has pkg-config || missing+=(pkg-config)
has_libclang || missing+=(libclang-dev) # the bindings of RocksDB are generated
has_header openssl/ssl.h || missing+=(libssl-dev) # Kafka over TLS
has_header zlib.h || missing+=(zlib1g-dev)
if [[ ${1:-all} != build ]]; then
    has_java || missing+=(default-jre-headless) # a real Kafka broker for the live tests
    has mvn || missing+=(maven)                 # fetches the broker
    has_python || missing+=(python3)            # a participant in Python, the check of licences
    has_venv || missing+=(python3-venv)         # its Kafka client, in a folder of the cache
    has setpriv || missing+=(util-linux)        # live tests: no process outlives its test
    has curl || missing+=(curl ca-certificates)
fi
[[ ${1:-all} != callgrind ]] || has valgrind || missing+=(valgrind) # counts instructions

if ((${#missing[@]} > 0)); then
    has apt-get || fail "missing: ${missing[*]} (names of Debian packages). This system has no apt-get: install them its own way."
    as_root=()
    if ((EUID != 0)); then
        has sudo || fail "missing: ${missing[*]}. Run as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing ${missing[*]} (half a minute and more, by the network)"
    log=$(mktemp)
    { "${as_root[@]}" apt-get update -q && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"; } >"$log" 2>&1 ||
        fail "apt-get failed:"$'\n'"$(tail -n 20 "$log")"
    rm -f "$log"
    [[ " ${missing[*]} " != *" default-jre-headless "* ]] || has_java || fail "Java 17 or newer is needed, 'java -version' says otherwise; choose another with update-alternatives."
    say "installed"
fi

# Rust is not a package here: Debian's is too old.
if ! has cargo && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
    fail "cargo is installed but not in PATH; run: source ${CARGO_HOME:-$HOME/.cargo}/env"
fi
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
has cargo || fail "a Rust toolchain ($wanted or newer) is missing; see https://rustup.rs, or run:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
found=$(rustc --version | cut -d ' ' -f 2)
oldest=$(printf '%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1)
[[ $oldest == "$wanted" ]] || fail "Rust $wanted or newer is needed, this is $found; run: rustup update stable"
