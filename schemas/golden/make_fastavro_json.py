#!/usr/bin/env python3
"""Writes fastavro.json: schemas with their fingerprints, and values with their bytes, as fastavro (pip install fastavro) has them;
and resolved.json: values of one schema read by another one.

The files are committed; the tests need neither Python nor fastavro. Run it again only to add cases.
"""

import base64
import datetime
import decimal
import io
import json
import pathlib
import random

import fastavro
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


def decimals(precision, scale, **more):
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale, **more}


def record(name, *fields, **more):
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields], **more}


D = decimal.Decimal
T = datetime.datetime
# Schema, then values as fastavro takes them, each with the JSON that stands for it.
CASES = [
    ("null", [(None, None)]),
    ("boolean", [(True, True), (False, False)]),
    ("int", [(v, v) for v in (0, -1, 1, 63, 64, -64, -65, 2**31 - 1, -(2**31))]),
    ("long", [(v, v) for v in (0, 2**62, -(2**62), 2**63 - 1, -(2**63))]),
    ("double", [(v, v) for v in (0.0, -1.5, 1e300, 5e-324)]),
    ("float", [(v, v) for v in (0.0, -1.5, 2.0**100)]),
    ("string", [(v, v) for v in ("", "a", "Grüße 🎪", "x" * 200)]),
    ("bytes", [(b"", ""), (b"\x00\xff", "AP8="), (bytes(range(200)), base64.b64encode(bytes(range(200))).decode())]),
    (decimals(18, 2), [(D(v), v) for v in ("0.00", "120.50", "-0.01", "1.27", "1.28", "-1.28", "-1.29", "9999999999999999.99")]),
    (decimals(28, 28), [(D(v), v) for v in ("0.0000000000000000000000000001", "-0.9999999999999999999999999999")]),
    (decimals(28, 0), [(D(v), v) for v in ("9999999999999999999999999999", "-9999999999999999999999999999")]),
    (
        {"type": "fixed", "name": "Amount", "namespace": "money", "size": 9, "logicalType": "decimal", "precision": 20, "scale": 4},
        [(D(v), v) for v in ("0.0000", "-1.0000", "1234567890123456.7891")],
    ),
    (
        {"type": "long", "logicalType": "timestamp-millis"},
        [(T(2026, 11, 27, 9, 30, 0, 250000, UTC), "2026-11-27T09:30:00.250Z"), (T(1969, 12, 31, 23, 59, 59, 0, UTC), "1969-12-31T23:59:59Z")],
    ),
    ({"type": "long", "logicalType": "timestamp-micros"}, [(T(2026, 11, 27, 9, 30, 0, 250001, UTC), "2026-11-27T09:30:00.250001Z")]),
    ({"type": "int", "logicalType": "date"}, [(datetime.date(2026, 11, 27), "2026-11-27"), (datetime.date(1900, 3, 1), "1900-03-01")]),
    ({"type": "enum", "name": "Colour", "namespace": "a.b", "symbols": ["RED", "GREEN"]}, [("RED", "RED"), ("GREEN", "GREEN")]),
    ({"type": "fixed", "name": "Id", "size": 4}, [(b"\x01\x02\x03\x04", "AQIDBA==")]),
    ({"type": "array", "items": "int"}, [([], []), ([1, -2, 3], [1, -2, 3]), (list(range(100)), list(range(100)))]),
    ({"type": "map", "values": ["null", "string"]}, [({}, {}), ({"a": None, "b": "x"}, {"a": None, "b": "x"})]),
    (["null", "string", decimals(4, 1)], [(None, None), ("a", "a")]),
    (
        record("Node", ("value", "int"), ("next", ["null", "Node"]), namespace="list"),
        [({"value": 1, "next": {"value": 2, "next": None}}, {"value": 1, "next": {"value": 2, "next": None}})],
    ),
    (
        record(
            "Order",
            ("id", "string"),
            ("total", decimals(18, 2)),
            ("lines", {"type": "array", "items": record("Line", ("sku", "string"), ("qty", "int"), ("price", ["null", decimals(9, 3)]))}),
            ("placed_at", ["null", {"type": "long", "logicalType": "timestamp-millis"}]),
            ("kind", {"type": "enum", "name": "Kind", "symbols": ["NEW", "OLD"], "doc": "left out"}),
            ("other", {"type": "map", "values": "Line"}),
            namespace="shop.v1",
            doc="left out",
        ),
        [
            (
                {
                    "id": "o-1",
                    "total": D("120.50"),
                    "lines": [{"sku": "a", "qty": 2, "price": D("1.125")}, {"sku": "b", "qty": -1, "price": None}],
                    "placed_at": T(2026, 11, 27, tzinfo=UTC),
                    "kind": "OLD",
                    "other": {"k": {"sku": "", "qty": 0, "price": D("-0.001")}},
                },
                {
                    "id": "o-1",
                    "total": "120.50",
                    "lines": [{"sku": "a", "qty": 2, "price": "1.125"}, {"sku": "b", "qty": -1, "price": None}],
                    "placed_at": "2026-11-27T00:00:00Z",
                    "kind": "OLD",
                    "other": {"k": {"sku": "", "qty": 0, "price": "-0.001"}},
                },
            )
        ],
    ),
    # Only fingerprints: names, namespaces, attributes that canonical form leaves out.
    (record("a.b.Full", ("x", "long"), namespace="ignored", aliases=["Old"]), []),
    (record("Spaces", ("inner", {"type": "record", "name": "c.Inner", "fields": [{"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A"]}}]}), ("again", "c.E"), namespace="a.b"), []),
    (record("Plain", ("x", {"type": "string"}), ("y", {"type": "int", "doc": "left out"})), []),
    (record("Bytes18_2", ("x", decimals(18, 2))), []),
    ({"type": "record", "name": "Defaults", "fields": [{"name": "x", "type": "int", "default": 7, "order": "ignore"}]}, []),
    ({"type": "string", "logicalType": "uuid"}, []),
    ({"type": "int", "logicalType": "time-millis"}, []),
    ({"type": "long", "logicalType": "local-timestamp-micros"}, []),
]


def named(kind, name, **more):
    extra = {"record": {"fields": []}, "enum": {"symbols": ["A", "B"]}, "fixed": {"size": 2}}[kind]
    return {"type": kind, "name": name, **extra, **more}


def fields(*fields, name="R", **more):
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t, **m} for n, t, m in fields], **more}


def holder(ty):
    return fields(("v", ty, {}))


A, B = fields(("n", "int", {}), name="A"), fields(("n", "int", {}), name="B")
# Writer's schema, reader's schema, the writer's value as fastavro takes it, and what the reader sees.
RESOLVED = [
    # A field that was renamed, with a default that must not be taken.
    (fields(("x", "string", {})), fields(("y", "string", {"aliases": ["x"], "default": "US"})), {"x": "EU"}, {"y": "EU"}),
    (fields(("z", "string", {})), fields(("y", "string", {"aliases": ["x"], "default": "US"})), {"z": "EU"}, {"y": "US"}),
    # The second of several aliases, in another order, widened, between others.
    (
        fields(("a", "int", {}), ("b", "string", {}), ("c", "long", {})),
        fields(("third", "double", {"aliases": ["q", "c"]}), ("first", "long", {"aliases": ["a"]})),
        {"a": 1, "b": "x", "c": 3},
        {"third": 3.0, "first": 1},
    ),
    # Inside lists, maps, unions and records of records.
    (
        holder({"type": "array", "items": fields(("x", "int", {}), name="I")}),
        holder({"type": "array", "items": fields(("y", "int", {"aliases": ["x"], "default": 9}), name="I")}),
        {"v": [{"x": 1}, {"x": 2}]},
        {"v": [{"y": 1}, {"y": 2}]},
    ),
    (
        holder({"type": "map", "values": ["null", fields(("x", "int", {}), name="I")]}),
        holder({"type": "map", "values": ["null", fields(("y", "int", {"aliases": ["x"], "default": 9}), name="I")]}),
        {"v": {"k": {"x": 1}, "l": None}},
        {"v": {"k": {"y": 1}, "l": None}},
    ),
    (
        holder(fields(("inner", fields(("x", "int", {}), name="I"), {}), name="M")),
        holder(fields(("within", fields(("y", "int", {"aliases": ["x"], "default": 9}), name="I"), {"aliases": ["inner"]}), name="M")),
        {"v": {"inner": {"x": 1}}},
        {"v": {"within": {"y": 1}}},
    ),
    # A record inside itself.
    (
        fields(("x", "int", {}), ("next", ["null", "R"], {})),
        fields(("y", "int", {"aliases": ["x"], "default": 9}), ("rest", ["null", "R"], {"aliases": ["next"], "default": None})),
        {"x": 1, "next": {"x": 2, "next": None}},
        {"y": 1, "rest": {"y": 2, "rest": None}},
    ),
    # Branches of a union by name, also where another has the same shape: each is told by a field more.
    (
        holder(["null", A]),
        holder(["null", fields(("n", "int", {}), ("b", "int", {"default": 1}), name="B"), fields(("n", "int", {}), ("a", "int", {"default": 2}), name="A")]),
        {"v": {"n": 7}},
        {"v": {"n": 7, "a": 2}},
    ),
    (
        holder([A, B]),
        holder([B, A]),
        {"v": ("B", {"n": 7})},
        {"v": {"n": 7}},
    ),
    # Branches by an alias: in the namespace of the type, in another one; records, enums and fixed types.
    (
        holder(["null", fields(("n", "int", {}), name="Old", namespace="p.q")]),
        holder(
            [
                "null",
                fields(("n", "int", {}), ("b", "int", {"default": 1}), name="Other", namespace="p.q"),
                fields(("n", "int", {}), ("a", "int", {"default": 2}), name="New", namespace="p.q", aliases=["Old"]),
            ]
        ),
        {"v": {"n": 7}},
        {"v": {"n": 7, "a": 2}},
    ),
    (
        holder(["null", fields(("n", "int", {}), name="Old", namespace="p.q")]),
        holder(
            [
                "null",
                fields(("n", "int", {}), ("b", "int", {"default": 1}), name="Other", namespace="r"),
                fields(("n", "int", {}), ("a", "int", {"default": 2}), name="New", namespace="r", aliases=["p.q.Old"]),
            ]
        ),
        {"v": {"n": 7}},
        {"v": {"n": 7, "a": 2}},
    ),
    (holder(["null", named("enum", "Old")]), holder(["null", named("enum", "New", aliases=["Old"], symbols=["B", "A"])]), {"v": "A"}, {"v": "A"}),
    (holder(["null", named("fixed", "Old")]), holder(["null", named("fixed", "New", aliases=["Old"])]), {"v": b"ab"}, {"v": "YWI="}),
    # Renamed outside of unions.
    (fields(("n", "int", {}), name="Old"), fields(("n", "long", {}), name="New", aliases=["Old"]), {"n": 7}, {"n": 7}),
    (
        holder(fields(("x", "int", {}), name="Old", namespace="p")),
        holder(fields(("y", "int", {"aliases": ["x"], "default": 9}), name="New", namespace="p", aliases=["Old"])),
        {"v": {"x": 1}},
        {"v": {"y": 1}},
    ),
]


def resolved(writer, reader, value, shown):
    """What fastavro reads, as JSON; it must be what the case says."""
    copy = lambda schema: parse_schema(json.loads(json.dumps(schema)))
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, copy(writer), value)
    data = buffer.getvalue()
    read = fastavro.schemaless_reader(io.BytesIO(data), copy(writer), copy(reader))
    plain = json.loads(json.dumps(read, default=lambda raw: base64.b64encode(raw).decode()))
    assert plain == shown, (writer, reader, plain, shown)
    return {"writer": writer, "reader": reader, "avro": data.hex(), "json": shown}


def random_case(rng, number):
    """A record of random fields; its values are random too."""
    kinds = {
        "boolean": lambda: (lambda v: (v, v))(rng.random() < 0.5),
        "long": lambda: (lambda v: (v, v))(rng.randint(-(2 ** rng.randint(1, 63)), 2 ** rng.randint(1, 63) - 1)),
        "string": lambda: (lambda v: (v, v))("".join(rng.choice("aé🎪\"\\\n") for _ in range(rng.randint(0, 9)))),
    }

    def build(depth):
        kind = rng.choice(["boolean", "long", "string", "decimal", "list", "map", "optional", "record"] if depth < 3 else ["long", "string", "decimal"])
        if kind in kinds:
            return kind, kinds[kind]
        if kind == "decimal":
            precision = rng.randint(1, 28)
            scale = rng.randint(0, precision)

            def value():
                v = D(rng.randint(-(10**precision) + 1, 10**precision - 1)).scaleb(-scale, decimal.Context(prec=60))
                return v, f"{v:f}"

            return decimals(precision, scale), value
        if kind in ("list", "map"):
            inner, value = build(depth + 1)
            if kind == "list":

                def values():
                    pairs = [value() for _ in range(rng.randint(0, 4))]
                    return [p[0] for p in pairs], [p[1] for p in pairs]

                return {"type": "array", "items": inner}, values

            def entries():
                pairs = {f"k{i}": value() for i in range(rng.randint(0, 4))}
                return {k: p[0] for k, p in pairs.items()}, {k: p[1] for k, p in pairs.items()}

            return {"type": "map", "values": inner}, entries
        if kind == "optional":
            inner, value = build(depth + 1)
            if isinstance(inner, list):
                return inner, value
            return ["null", inner], lambda: (None, None) if rng.random() < 0.3 else value()
        build.count += 1
        name = f"R{number}_{build.count}"
        fields = [(f"f{i}", *build(depth + 1)) for i in range(rng.randint(1, 4))]

        def fields_value():
            pairs = {n: v() for n, _, v in fields}
            return {n: p[0] for n, p in pairs.items()}, {n: p[1] for n, p in pairs.items()}

        return record(name, *((n, t) for n, t, _ in fields)), fields_value

    build.count = 0
    fields = [(f"f{i}", *build(1)) for i in range(rng.randint(1, 5))]
    schema = record(f"Random{number}", *((n, t) for n, t, _ in fields), namespace=rng.choice(["", "x.y"]))
    values = []
    for _ in range(3):
        pairs = {n: v() for n, _, v in fields}
        values.append(({n: p[0] for n, p in pairs.items()}, {n: p[1] for n, p in pairs.items()}))
    return schema, values


def main():
    rng = random.Random(7)
    out = []
    for schema, values in CASES + [random_case(rng, n) for n in range(60)]:
        parsed = parse_schema(json.loads(json.dumps(schema)))
        canonical = to_parsing_canonical_form(json.loads(json.dumps(schema)))
        case = {"schema": schema, "canonical": canonical, "fingerprint": fingerprint(canonical, "CRC-64-AVRO"), "values": []}
        for value, shown in values:
            buffer = io.BytesIO()
            fastavro.schemaless_writer(buffer, parsed, value)
            case["values"].append({"avro": buffer.getvalue().hex(), "json": shown})
        out.append(case)
    path = pathlib.Path(__file__).with_name("fastavro.json")
    path.write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in out) + "\n]\n")
    lines = [json.dumps(resolved(*case), ensure_ascii=False) for case in RESOLVED]
    path.with_name("resolved.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


main()
