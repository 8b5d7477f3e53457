#!/usr/bin/env bash
# Builds RocksDB once, as a unity build, and tells cargo where it is.
#
# The crate librocksdb-sys compiles 342 files one by one (20 minutes on 2 cores); the same sources included into a few
# big files take about 5. The result lies in ${RINGMASTER_CACHE:-~/.cache/ringmaster}/rocksdb-<crate version>/ and is
# found by make, IDEs and plain cargo through the checkout's .cargo/config.toml, which is ignored by git.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${RINGMASTER_CACHE:-$HOME/.cache/ringmaster}
say() { echo "rocksdb: $*"; }
fail() { echo "rocksdb: $*" >&2; exit 1; }

version=$(sed -n '/^name = "librocksdb-sys"$/{n;s/^version = "\(.*\)"$/\1/p}' Cargo.lock)
[[ -n $version ]] || fail "Cargo.lock has no package librocksdb-sys; run 'cargo generate-lockfile' and try again."
place=$cache/rocksdb-$version

if [[ $(uname -s) != Linux ]]; then
    say "the fast build is for Linux only; cargo will compile RocksDB by itself (about 20 minutes on 2 cores)."
    exit 0
fi

# The folder of a dependency's sources, wherever cargo keeps them (registry or vendored).
sources_of() {
    tr ',' '\n' <<<"$metadata" | sed -n "s|^\"manifest_path\":\"\(.*/$1[^/]*\)/Cargo.toml\".*|\1|p" | head -n 1
}

# The defines and flags of librocksdb-sys's build.rs for Linux, feature lz4.
flags_for() {
    local rocks=$1 lz4=$2
    flags=(-std=c++20 -O2 -DNDEBUG -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION -DOS_LINUX -DROCKSDB_PLATFORM_POSIX
        -DROCKSDB_LIB_IO_POSIX -DROCKSDB_SCHED_GETCPU_PRESENT -DROCKSDB_AUXV_GETAUXVAL_PRESENT
        -DROCKSDB_FALLOCATE_PRESENT -DROCKSDB_RANGESYNC_PRESENT -DROCKSDB_SUPPORT_THREAD_LOCAL -DLZ4=1
        -I "$rocks/rocksdb" -I "$rocks/rocksdb/include" -I "$lz4/liblz4/lib"
        -fPIC -fno-strict-aliasing -include cstdint -w)
    case $(uname -m) in # Without these RocksDB computes its checksums in software.
        x86_64) flags+=(-msse2 -msse4.1 -msse4.2 -mpclmul) ;;
        aarch64) flags+=(-march=armv8-a+crc+crypto) ;;
    esac
}

# Parts to compile side by side: one per core, but each takes up to 2 GiB of memory.
part_count() {
    local cores memory_gib
    cores=$(nproc)
    memory_gib=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
    local count=$((cores < memory_gib / 2 ? cores : memory_gib / 2))
    echo $((count < 2 ? 2 : count > 8 ? 8 : count))
}

# Compiles into the folder $work.
build() {
    local rocks lz4 metadata start=$SECONDS
    metadata=$(cargo metadata --format-version 1)
    rocks=$(sources_of librocksdb-sys)
    lz4=$(sources_of lz4-sys)
    [[ -f $rocks/rocksdb_lib_sources.txt ]] || fail "the sources of librocksdb-sys $version were not found ('cargo metadata' names no folder with rocksdb_lib_sources.txt)."
    [[ -f $lz4/liblz4/lib/lz4.h ]] || fail "the sources of lz4-sys were not found."
    flags_for "$rocks" "$lz4"

    local parts part
    jobs=()
    parts=$(part_count)
    grep -v -x 'util/build_version.cc' "$rocks/rocksdb_lib_sources.txt" | sed 's|.*|#include "&"|' >"$work/all"
    split -n "r/$parts" -d --additional-suffix=.cc "$work/all" "$work/part-"
    cp "$rocks/build_version.cc" "$work/part-version.cc"
    say "compiling RocksDB $version once, in $parts parts: 3 to 5 minutes on 2 cores. Later builds find it in $place"
    # Each in a process group of its own (-m), so that the compiler proper ends with its driver; none holds the lock.
    set -m
    trap 'kill -- "${jobs[@]/#/-}" 2>/dev/null || true; rm -rf "$work"' EXIT
    for part in "$work"/part-*.cc; do
        g++ "${flags[@]}" -c "$part" -o "${part%.cc}.o" 9>&- &
        jobs+=($!)
    done
    set +m

    local last=$SECONDS index
    while ((${#jobs[@]} > 0)); do
        sleep 1
        for index in "${!jobs[@]}"; do
            kill -0 "${jobs[index]}" 2>/dev/null && continue
            wait "${jobs[index]}" || fail "a part did not compile; the compiler's message is above."
            unset "jobs[index]"
        done
        if ((SECONDS - last >= 15)); then
            last=$SECONDS
            say "$((SECONDS - start)) s: ${#jobs[@]} of $((parts + 1)) parts still compiling"
        fi
    done
    ar crs "$work/librocksdb.a" "$work"/part-*.o
    rm -f "$work"/part-* "$work/all"
    say "compiled in $((SECONDS - start)) s"
}

if [[ ! -f $place/librocksdb.a ]]; then
    command -v g++ >/dev/null || fail "g++ is missing; run 'make setup' first."
    mkdir -p "$cache"
    exec 9>"$place.lock"
    if ! flock -n 9; then
        say "another build of it is running; waiting for that one"
        flock 9
    fi
    if [[ ! -f $place/librocksdb.a ]]; then
        # A killed build leaves only such a folder; the rename makes the result appear whole or not at all.
        rm -rf "$place".building.* "$place"
        work=$(mktemp -d "$place.building.XXXXXX")
        build
        chmod 755 "$work"
        mv "$work" "$place"
        trap - EXIT
    fi
    flock -u 9
fi

config=.cargo/config.toml
mark="# Written by scripts/rocksdb.sh: where the prebuilt RocksDB is."
wanted="$mark
[env]
ROCKSDB_LIB_DIR = \"$place\"
ROCKSDB_STATIC = \"1\""
if [[ -f $config && $(head -n 1 $config) != "$mark" ]]; then
    grep -q -F "\"$place\"" $config || fail "$config exists and is yours; add to it:
$wanted"
elif [[ $(cat $config 2>/dev/null) != "$wanted" ]]; then
    mkdir -p .cargo
    echo "$wanted" >$config.$$
    mv $config.$$ $config
    say "wrote $config"
fi
