#!/usr/bin/env bash
# Makes a Python with a Kafka client, once, in ${RINGMASTER_CACHE:-~/.cache/ringmaster}/python, for the test of a participant in
# Python; prints the interpreter's path.
set -euo pipefail
here=${RINGMASTER_CACHE:-$HOME/.cache/ringmaster}/python
python=$here/bin/python

if ! "$python" -c 'import confluent_kafka' 2>/dev/null; then
    mkdir -p "$(dirname "$here")"
    exec 9>"$here.lock"
    flock 9
    if ! "$python" -c 'import confluent_kafka' 2>/dev/null; then
        echo "python: installing confluent-kafka into $here (10 s)" >&2
        { python3 -m venv --clear "$here" && "$python" -m pip install -q --disable-pip-version-check 'confluent-kafka==2.*'; } >&2 || {
            echo "python: no Python with a Kafka client could be made (Debian packages: python3 python3-venv; and pip must reach its index)" >&2
            exit 1
        }
    fi
fi
echo "$python"
