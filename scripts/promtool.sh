#!/usr/bin/env bash
# Fetches promtool, by which the rules for Prometheus are tested, out of Debian's package `prometheus` into
# ${RINGMASTER_CACHE:-~/.cache/ringmaster}/promtool, once; nothing is installed, and no service started.
set -euo pipefail
tool=${RINGMASTER_CACHE:-$HOME/.cache/ringmaster}/promtool

if [[ ! -x $tool ]]; then
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
        echo "promtool: this system has no apt-get: put promtool of Prometheus 2.42 or newer at $tool (its releases have it)" >&2
        exit 1
    }
    mkdir -p "$(dirname "$tool")"
    exec 9>"$tool.lock"
    flock 9
    if [[ ! -x $tool ]]; then
        echo "promtool: fetching Debian's package prometheus (19 MB) for $tool" >&2
        folder=$(mktemp -d)
        trap 'rm -rf "$folder"' EXIT
        download() { (cd "$folder" && apt-get download -q -o APT::Sandbox::User=root prometheus); }
        # A machine that has never asked Debian for its lists knows no package, and one that asked long ago knows one that is gone.
        update() { if ((EUID == 0)); then apt-get update -q; else sudo apt-get update -q; fi; }
        download || { update && download; } || {
            echo "promtool: it could not be fetched; put promtool of Prometheus 2.42 or newer at $tool" >&2
            exit 1
        }
        dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -x -C "$folder" ./usr/bin/promtool
        mv "$folder/usr/bin/promtool" "$tool"
    fi
fi
"$tool" --version >/dev/null || { echo "promtool: $tool does not run; delete it, and try again" >&2; exit 1; }
