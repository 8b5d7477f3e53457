//! Known schemas: the real folder, envelopes, and everything that is refused.

use std::path::{Path, PathBuf};

use ringmaster_schemas::avro::{Node, Resolver, Schema};
use ringmaster_schemas::registry::{SchemaRecord, Schemas};

fn real_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/schemas")
}

#[test]
fn the_order_sagas_schemas() {
    let mut schemas = Schemas::load_folder(&real_folder()).expect("the order saga's schemas");
    for name in [
        "OrderPlaced",
        "OrderItem",
        "OrderFulfilled",
        "OrderCancelled",
        "inventory.ReserveStock",
        "inventory.Item",
        "inventory.ReserveStockResult",
        "inventory.ReserveStockRefusal",
        "inventory.ReleaseStock",
        "payment.Charge",
        "payment.ChargeResult",
        "payment.ChargeRefusal",
        "payment.Refund",
        "shipping.Ship",
        "shipping.ShipResult",
        "shipping.ShipRefusal",
        "ringmaster.Json",
        "ringmaster.CommandMeta",
        "ringmaster.ReplyMeta",
    ] {
        let schema = schemas.named(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(schema.name(), name);
        assert_eq!(schemas.by_fingerprint(schema.fingerprint()), Some(schema));
        assert_eq!(schemas.by_key(schema.key()), Some(schema));
        // Its text stands alone.
        let alone = Schema::parse(schema.text()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((alone.key(), alone.fingerprint()), (schema.key(), schema.fingerprint()), "{name}");
    }
    // An undo takes the do's body as it is.
    for (to_do, undo) in [("inventory.ReserveStock", "inventory.ReleaseStock"), ("payment.Charge", "payment.Refund")] {
        let (to_do, undo) = (schemas.named(to_do).expect("known"), schemas.named(undo).expect("known"));
        assert!(to_do.same_shape(to_do.root(), undo, undo.root()));
    }
    let Node::Enum(codes) = schemas
        .named("payment.ChargeRefusal")
        .expect("known")
        .node(schemas.named("payment.ChargeRefusal").expect("known").root())
        .clone()
    else {
        panic!()
    };
    assert_eq!(codes.iter().map(|code| &**code).collect::<Vec<_>>(), ["CARD_DECLINED", "INSUFFICIENT_FUNDS"]);

    let command = schemas.command_envelope("payment.Charge").expect("an envelope");
    assert_eq!(command.name(), "payment.ChargeCommand");
    assert_eq!(command.fields(command.root()).iter().map(|field| &*field.name).collect::<Vec<_>>(), ["meta", "body"]);
    assert_eq!(command.name_of(command.fields(command.root())[1].ty), Some("payment.Charge"));
    assert_eq!(schemas.command_envelope("payment.Charge").expect("again").key(), command.key());
    assert_eq!(schemas.named("payment.ChargeCommand"), Some(&command));
    let reply = schemas.reply_envelope("payment.Charge").expect("an envelope");
    assert_eq!(reply.name_of(reply.unwrap_optional(reply.fields(reply.root())[1].ty)), Some("payment.ChargeResult"));
    // A command that nobody described: any JSON.
    let reply = schemas.reply_envelope("fraud.Score").expect("an envelope");
    assert_eq!(*reply.node(reply.unwrap_optional(reply.fields(reply.root())[1].ty)), Node::Dynamic);
    let command = schemas.command_envelope("fraud.Score").expect("an envelope");
    assert_eq!(*command.node(command.fields(command.root())[1].ty), Node::Dynamic);
    assert_eq!(Schema::parse(reply.text()).expect("plain Avro").fingerprint(), reply.fingerprint());
    assert!(schemas.iter().count() >= 24);
}

#[test]
fn a_folder_in_any_order_with_every_mistake_named() {
    let folder = std::env::temp_dir().join(format!("ringmaster-schemas-{}", std::process::id()));
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("temporary folder");
        std::fs::write(path, text).expect("temporary file");
    };
    write(
        "a.avsc",
        r#"{"type":"record","name":"A","fields":[{"name":"b","type":"x.B"},{"name":"bs","type":{"type":"array","items":"x.B"}}]}"#,
    );
    write("z/b.avsc", r#"{"type":"record","name":"B","namespace":"x","fields":[{"name":"a","type":["null","C"]}]}"#);
    write("c.avsc", r#"{"type":"enum","name":"x.C","symbols":["ONE"]}"#);
    write("notes.txt", "not a schema");
    let schemas = Schemas::load_folder(&folder).expect("references in any order");
    let a = schemas.named("A").expect("known");
    assert_eq!(Schema::parse(a.text()).expect("self-contained").key(), a.key());

    write("bad1.avsc", "{");
    write("bad2.avsc", r#"{"type":"enum","name":"x.C","symbols":["TWO"]}"#);
    write("bad3.avsc", r#""string""#);
    let errors = Schemas::load_folder(&folder).expect_err("three mistakes");
    let shown: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown[0].contains("bad1.avsc: not JSON"), "{shown:?}");
    assert!(shown[1].contains("bad3.avsc: a schema file defines a record"), "{shown:?}");
    assert!(shown[2].contains("c.avsc: type x.C is defined differently in") && shown[2].contains("bad2.avsc"), "{shown:?}");
    for bad in ["bad1.avsc", "bad2.avsc", "bad3.avsc"] {
        std::fs::remove_file(folder.join(bad)).expect("written above");
    }
    write("d.avsc", r#"{"type":"record","name":"D","fields":[{"name":"x","type":"Nowhere"}]}"#);
    let errors = Schemas::load_folder(&folder).expect_err("an unknown type");
    assert!(
        errors.len() == 1 && errors[0].place.ends_with("d.avsc") && errors[0].why.contains("unknown type `Nowhere`"),
        "{errors:?}"
    );
    std::fs::remove_dir_all(&folder).expect("written above");
    let errors = Schemas::load_folder(&folder).expect_err("no folder");
    assert!(errors[0].why.contains("cannot read the folder"), "{errors:?}");
}

#[test]
fn schemas_that_cannot_be_used() {
    let field = |ty: &str| format!(r#"{{"type":"record","name":"A","fields":[{{"name":"x","type":{ty}}}]}}"#);
    let deep = |levels: usize| format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(levels), "}".repeat(levels));
    for (text, part) in [
        (field(r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":5}"#), "the scale is larger than the precision"),
        (field(r#"{"type":"bytes","logicalType":"decimal","precision":29,"scale":2}"#), "from 1 to 28 digits"),
        (field(r#"{"type":"bytes","logicalType":"decimal","precision":0}"#), "from 1 to 28 digits"),
        (field(r#"{"type":"bytes","logicalType":"decimal"}"#), "needs `precision`"),
        (field(r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":-1}"#), "`scale` is a number of digits"),
        (field(r#"{"type":"fixed","name":"F","size":17,"logicalType":"decimal","precision":4}"#), "fixed of 17 bytes"),
        (field(r#"["int","int"]"#), "two branches of type int"),
        (field(r#"["int",["null"]]"#), "a union directly inside a union"),
        (field("[]"), "a union without branches"),
        (field("7"), "7 is not a schema"),
        (field(r#"{"items":"int"}"#), "without `type`"),
        (field(r#"{"type":"array"}"#), "without `items`"),
        (field(r#"{"type":"enum","name":"E","symbols":["a-b"]}"#), "is not a symbol"),
        (field(r#"{"type":"enum","name":"E","symbols":["A","A"]}"#), "symbol A is given twice"),
        (field(r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#), "none of its symbols"),
        (field(r#"{"type":"fixed","name":"F"}"#), "`size` is a number of bytes"),
        (field(r#"{"type":"record","name":"1x","fields":[]}"#), "is not a name"),
        (field(r#"{"type":"record","name":"A","fields":[]}"#), "defined twice"),
        (field(&deep(9)), "directly inside one another"),
        (field(&deep(90)), "directly inside one another"),
        (r#"{"type":"record","name":"A"}"#.into(), "without `fields`"),
        (
            r#"{"type":"record","name":"A","fields":[{"name":"x","type":"int"},{"name":"x","type":"int"}]}"#.into(),
            "two fields are called x",
        ),
        (
            r#"{"type":"record","name":"A","fields":[{"name":"x","type":"int","default":"a"}]}"#.into(),
            "A.x: its default \"a\" does not fit: it is not an int",
        ),
        (r#"{"type":"record","name":"A","fields":[{"name":"x","type":"A","default":{}}]}"#.into(), "contains itself"),
        (r#"{"type":"record","name":"ringmaster.Json","fields":[]}"#.into(), "ringmaster.Json is"),
        (r#"{"type":"record","name":"A","aliases":"B","fields":[]}"#.into(), "A: its `aliases` are a list of names, not \"B\""),
        (r#"{"type":"enum","name":"A","aliases":["1"],"symbols":["X"]}"#.into(), "A: its `aliases` are a list of names"),
        (
            r#"{"type":"record","name":"A","fields":[{"name":"x","type":"int","aliases":["n.y"]}]}"#.into(),
            "A.x: its `aliases` are a list of names",
        ),
        (
            r#"{"type":"record","name":"A","fields":[{"name":"x","type":"int","aliases":["y"]},{"name":"y","type":"int"}]}"#.into(),
            "A.x: its alias y means the field y too: remove it from one",
        ),
        (
            r#"{"type":"record","name":"A","fields":[{"name":"x","type":"int","aliases":["z"]},{"name":"y","type":"int","aliases":["z"]}]}"#
                .into(),
            "A.y: its alias z means the field x too",
        ),
    ] {
        let error = Schemas::builtin().add(&text).expect_err(&text).to_string();
        assert!(error.contains(part) || part == "contains itself" && error.contains("nothing but null"), "{text}: {error}");
    }
}

#[test]
fn defaults_of_every_type_are_bytes() {
    let schema = crate::schema(
        r#"{"type":"record","name":"A","fields":[
            {"name":"n","type":["null","int"],"default":null}, {"name":"u","type":["int","null"],"default":7},
            {"name":"later","type":["null","string"],"default":"second branch"},
            {"name":"s","type":"string","default":"ü"}, {"name":"b","type":"bytes","default":"\u0000ÿ"},
            {"name":"m","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2},"default":"\u0004Ò"},
            {"name":"l","type":{"type":"array","items":"int"},"default":[1,2]}, {"name":"o","type":{"type":"map","values":"boolean"},"default":{"k":true}},
            {"name":"e","type":{"type":"enum","name":"E","symbols":["X","Y"]},"default":"Y"},
            {"name":"f","type":{"type":"fixed","name":"F","size":2},"default":"ab"}, {"name":"d","type":"double","default":1},
            {"name":"r","type":{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","default":5}]},"default":{"a":4}}]}"#,
    );
    assert_eq!(
        crate::shown(&schema, &crate::avro(&schema, "{}")),
        r#"{"n":null,"u":7,"later":"second branch","s":"ü","b":"AP8=","m":"12.34","l":[1,2],"o":{"k":true},"e":"Y","f":"YWI=","d":1.0,"r":{"a":4,"b":5}}"#
    );
}

#[test]
fn history_and_its_conflicts() {
    let decimal = |scale: u32, more: &str| {
        format!(
            r#"{{"type":"record","name":"Paid","fields":[{{"name":"x","type":{{"type":"bytes","logicalType":"decimal","precision":18,"scale":{scale}}}{more}}}]}}"#
        )
    };
    let mut schemas = Schemas::builtin();
    let paid = schemas.add(&decimal(2, "")).expect("the first");
    assert_eq!(schemas.add(&decimal(2, "")).expect("the same").key(), paid.key());
    // Another meaning under one fingerprint: its bytes could not be told apart. As a part it is never on the wire.
    let error = schemas.add_version(&decimal(4, "")).expect_err("another scale");
    assert!(error.why.contains("it means something else than the version of Paid that is deployed"), "{error}");
    let part = schemas.add_part(&decimal(4, "")).expect("a part");
    assert!(schemas.is_part(&part) && schemas.by_key(part.key()) == Some(&part));
    assert!(schemas.add_version(&decimal(4, "")).is_err(), "which does not make it a version");
    assert_eq!(schemas.by_fingerprint(paid.fingerprint()), Some(&paid));
    let known = schemas.add_part(&decimal(2, "")).expect("known");
    assert!(!schemas.is_part(&known), "a version stays one");
    let bytes = r#"{"type":"record","name":"Paid","fields":[{"name":"x","type":"bytes"}]}"#;
    assert!(schemas.add_version(bytes).is_err());
    // A default more is another schema for readers, and the same for bytes.
    let version = schemas.add_version(&decimal(2, r#","default":"\u0000""#)).expect("a default");
    assert!(version.key() != paid.key() && version.fingerprint() == paid.fingerprint());
    assert_eq!(schemas.by_key(version.key()), Some(&version));
    assert_eq!(schemas.named("Paid"), Some(&paid), "versions are not known by name");
    // So is an alias more, of a field or of a type that is a branch beside others.
    let version = schemas.add_version(&decimal(2, r#","aliases":["y"]"#)).expect("an alias");
    assert!(version.key() != paid.key() && version.fingerprint() == paid.fingerprint());
    let either = |more: &str| {
        let branch = |name: &str, more: &str| format!(r#"{{"type":"fixed","name":"{name}","size":2{more}}}"#);
        let branches = [branch("One", more), branch("Other", "")].join(",");
        format!(r#"{{"type":"record","name":"Either","fields":[{{"name":"x","type":[{branches}]}}]}}"#)
    };
    schemas.add_version(&either("")).expect("the first");
    schemas.add_version(&either(r#","aliases":["Old"]"#)).expect("an alias");
    // The name twice.
    let other = r#"{"type":"record","name":"Paid","fields":[{"name":"y","type":"int"}]}"#;
    let error = schemas.add(other).expect_err("the name is taken");
    assert!(error.why.contains("type Paid is defined differently"), "{error}");
    assert!(schemas.by_fingerprint(crate::schema(other).fingerprint()).is_none(), "all or nothing");
    let version = schemas.add_version(other).expect("history");
    assert_eq!(schemas.by_fingerprint(version.fingerprint()), Some(&version));
    // A name that an envelope needs.
    schemas.add(r#"{"type":"record","name":"a.DoCommand","fields":[]}"#).expect("any name");
    let error = schemas.command_envelope("a.Do").expect_err("the name is taken");
    assert!(error.why.contains("a.DoCommand is kept for"), "{error}");
}

fn decimal(precision: u32, scale: u32) -> String {
    format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":{scale}}}"#)
}

fn fixed(precision: u32, scale: u32) -> String {
    format!(r#"{{"type":"fixed","name":"F","size":9,"logicalType":"decimal","precision":{precision},"scale":{scale}}}"#)
}

fn logical(base: &str, logical: &str) -> String {
    format!(r#"{{"type":"{base}","logicalType":"{logical}"}}"#)
}

/// A record with a field of a type.
fn paid(ty: &str) -> String {
    format!(r#"{{"type":"record","name":"Paid","fields":[{{"name":"id","type":"string"}},{{"name":"x","type":{ty}}}]}}"#)
}

/// Versions that share a fingerprint: what is compatible goes, in both directions, and bytes are read by the widest.
#[test]
fn versions_of_one_fingerprint() {
    let record = paid;
    let plain = |base: &str| format!("\"{base}\"");
    let list = |ty: &str| format!(r#"["null",{{"type":"array","items":{ty}}}]"#);
    let (millis, micros, date) = (logical("long", "timestamp-millis"), logical("long", "timestamp-micros"), logical("int", "date"));
    // The narrow one, the wide one, a value of both.
    for (narrow, wide, value) in [
        (decimal(9, 2), decimal(18, 2), "\"12.50\""),
        (fixed(9, 2), fixed(18, 2), "\"-12.50\""),
        (millis.clone(), plain("long"), "1795771800250"),
        (micros.clone(), plain("long"), "1795771800250"),
        (date.clone(), plain("int"), "20784"),
        (list(&decimal(9, 2)), list(&decimal(18, 2)), "[\"12.50\"]"),
        (list(&millis), list("\"long\""), "[1,2]"),
    ] {
        for (first, second) in [(&narrow, &wide), (&wide, &narrow)] {
            let mut schemas = Schemas::builtin();
            schemas.add_version(&record(first)).unwrap_or_else(|error| panic!("{error}"));
            let other = schemas.add(&record(second)).unwrap_or_else(|error| panic!("{first} -> {second}: {error}"));
            assert_eq!(schemas.named("Paid"), Some(&other));
            let read_by = schemas.by_fingerprint(other.fingerprint()).expect("known");
            assert_eq!(read_by.key(), crate::schema(&record(&wide)).key(), "{first} -> {second}");
            // Whatever wrote it, every reader gets the same value.
            for (writer, reader) in [(first, second), (second, first), (first, first), (second, second)] {
                let bytes = crate::avro(&crate::schema(&record(writer)), &format!(r#"{{"id":"p","x":{value}}}"#));
                let way = Resolver::new(read_by.clone(), crate::schema(&record(reader))).unwrap_or_else(|error| panic!("{error}"));
                let mut out = Vec::new();
                way.resolve(&bytes, &mut out).unwrap_or_else(|error| panic!("{writer} -> {reader}: {error}"));
                assert_eq!(out, bytes, "{writer} -> {reader}");
            }
        }
    }
    // What the narrow one cannot hold is an error when it comes, not another value.
    let way = Resolver::new(crate::schema(&record(&decimal(18, 2))), crate::schema(&record(&decimal(4, 2)))).expect("a way");
    let bytes = crate::avro(way.writer(), r#"{"id":"p","x":"123.45"}"#);
    assert!(way.resolve(&bytes, &mut Vec::new()).is_err_and(|error| error.why.contains("more digits")));
}

/// What means something else is refused, whichever came first, also if a third one lies between.
#[test]
fn versions_that_mean_something_else() {
    let record = paid;
    let (millis, micros) = (logical("long", "timestamp-millis"), logical("long", "timestamp-micros"));
    for versions in [
        vec![decimal(9, 2), decimal(9, 4)],
        vec![millis.clone(), micros.clone()],
        vec![millis.clone(), "\"long\"".to_owned(), micros.clone()],
        vec![decimal(9, 2), "\"bytes\"".to_owned()],
        vec![fixed(9, 2), fixed(9, 3)],
    ] {
        for reversed in [false, true] {
            let mut versions = versions.clone();
            if reversed {
                versions.reverse();
            }
            let last = versions.pop().expect("several");
            let mut schemas = Schemas::builtin();
            for version in &versions {
                schemas.add_version(&record(version)).unwrap_or_else(|error| panic!("{error}"));
            }
            let error = schemas.add(&record(&last)).expect_err(&last);
            assert!(error.why.contains("means something else"), "{versions:?} {last}: {error}");
        }
    }
    // Neither holds all of the other.
    let two = |a: u32, b: u32| {
        format!(
            r#"{{"type":"record","name":"Two","fields":[{{"name":"a","type":{}}},{{"name":"b","type":{}}}]}}"#,
            decimal(a, 2),
            decimal(b, 2)
        )
    };
    let mut schemas = Schemas::builtin();
    schemas.add_version(&two(9, 18)).expect("the first");
    assert!(schemas.add_version(&two(18, 9)).is_err());
    schemas.add_version(&two(18, 18)).expect("wider in both");
}

#[test]
fn records_of_the_schemas_topic() {
    let schemas = Schemas::load_folder(&real_folder()).expect("the order saga's schemas");
    for schema in schemas.iter() {
        let record = SchemaRecord::new(schema, false);
        let read = SchemaRecord::decode(&record.encode()).expect("as written");
        assert_eq!(read, record);
        assert_eq!(Schema::parse(&read.text).expect("self-contained").key(), schema.key());
    }
    let mut record = SchemaRecord::new(schemas.named("OrderPlaced").expect("known"), true);
    record.text = record.text.replace("\"scale\":2", "\"scale\":4");
    assert!(SchemaRecord::decode(&record.encode()).is_err_and(|error| error.why.contains("claims the key")));
    assert!(SchemaRecord::decode(b"{}").is_err());
}
