#!/usr/bin/env python3
"""Adds to oracle.json what fastavro (pip install fastavro) reads: fingerprints of its schemas, values of its bytes.

The file is committed; the tests need neither Python nor fastavro. To make it anew, first let the test write schemas and bytes:
RINGMASTER_ORACLE=1 cargo test -p ringmaster-schemas oracle
"""

import decimal
import io
import json
import pathlib
import struct

import fastavro
import fastavro.read
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

# Instants and dates stay the numbers that they are on the wire: Python's own have fewer years.
for name in ["long-timestamp-millis", "long-timestamp-micros", "int-date"]:
    del fastavro.read.LOGICAL_READERS[name]


def plain(value):
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float):
        return {"double": struct.pack(">d", value).hex()}
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def main():
    path = pathlib.Path(__file__).with_name("oracle.json")
    cases = json.loads(path.read_text())
    for case in cases:
        schema = json.loads(case["schema"])
        case["fingerprint"] = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
        parsed = parse_schema(schema)
        for value in case["values"]:
            buffer = io.BytesIO(bytes.fromhex(value["avro"]))
            value["read"] = plain(fastavro.schemaless_reader(buffer, parsed, None))
            assert not buffer.read(), "bytes left over"
    path.write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False, sort_keys=True) for case in cases) + "\n]\n")


main()
