//! Versions from history, and the catalog of all.

use std::sync::Arc;

use super::for_each::compiled;
use super::*;
use ringmaster_schemas::journal::Encoding;

use crate::definition::compile::Participant;
use crate::definition::{Catalog, DefinitionRecord, RecordError, Settings, defined_twice};

#[test]
fn an_edited_schema_never_changes_a_version() {
    let mut schemas = schemas();
    let record = DefinitionRecord::of_file(FILE, &order(), 7, &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let record = DefinitionRecord::decode(&record.encode()).unwrap();
    assert!(
        record.schemas.contains_key("OrderPlaced") && record.schemas.contains_key("payment.ChargeCommand"),
        "{:?}",
        record.schemas
    );
    let first = record.compile(&mut Settings::new(&mut schemas)).unwrap();

    // A new process, where the file of payment.Charge has changed: history brings the old schemas by their keys.
    let changed = r#"{"type":"record","name":"Charge","namespace":"payment","fields":[{"name":"order","type":"string"}]}"#;
    let mut edited = Schemas::builtin();
    for schema in schemas.iter() {
        if record.schemas.values().any(|key| *key == format!("{:016x}", schema.key())) {
            edited.add_version(schema.text()).unwrap();
        }
    }
    edited.add(changed).unwrap();
    let again = record.compile(&mut Settings::new(&mut edited)).unwrap();
    assert_eq!((again.hash, again.start_kept.key()), (first.hash, first.start_kept.key()));
    assert_eq!(again.step(2).unwrap().asks.call.envelope, first.step(2).unwrap().asks.call.envelope);
    assert_ne!(edited.named("payment.Charge").unwrap().key(), schemas.named("payment.Charge").unwrap().key());

    let mut catalog = Catalog::default();
    catalog.add(&record, 0, &mut Settings::new(&mut edited)).unwrap();
    assert!(catalog.is_newest(&record));
    let mut unknown = Schemas::builtin();
    let lost = record.compile(&mut Settings::new(&mut unknown)).unwrap_err();
    assert!(matches!(&lost, RecordError::Damaged(why) if why.starts_with("it needs OrderCancelled with key")), "{lost:?}");
}

/// A schema's file that is missing must not make a weaker version of an unchanged text.
#[test]
fn what_is_deployed_keeps_its_schemas_when_a_file_is_missing() {
    let mut schemas = schemas();
    let text = format!("{}---\n{}", order(), order().replace("saga: order-fulfilment", "saga: new"));
    let record = DefinitionRecord::of_file(FILE, &order(), 7, &mut Settings::new(&mut schemas)).unwrap().remove(0);
    for missing in
        [&["payment.Charge"][..], &["OrderPlaced"], &["payment.ChargeResult", "shipping.ShipResult"], &["OrderFulfilled"]]
    {
        // Only what the topic of schemas holds, and the files that are left.
        let mut left = Schemas::builtin();
        for (name, key) in &record.schemas {
            let schema = schemas.by_key(u64::from_str_radix(key, 16).unwrap() as i64).unwrap();
            left.add_version(schema.text()).unwrap();
            if !missing.contains(&name.as_str()) && !name.ends_with("Command") {
                left.add(schema.text()).unwrap();
            }
        }
        let mut settings = Settings::new(&mut left);
        settings.deployed.insert(record.name.clone(), record.schemas.clone());
        let again = DefinitionRecord::of_file(FILE, &order(), 8, &mut settings).unwrap().remove(0);
        assert_eq!((&again.hash, &again.schemas), (&record.hash, &record.schemas), "{missing:?}");
        let read: Vec<&str> = missing.iter().copied().filter(|name| record.schemas.contains_key(*name)).collect();
        let warned = settings.warnings.iter().find(|warning| warning.message.contains("missing here"));
        assert!(warned.is_some_and(|warned| read.iter().all(|name| warned.message.contains(name))), "{missing:?}: {warned:?}");
        // A saga that was never deployed under its name keeps nothing.
        let anew = DefinitionRecord::of_file(FILE, &text, 8, &mut settings);
        assert!(anew.is_err() || anew.unwrap()[1].schemas != record.schemas, "{missing:?}");
    }
}

#[test]
fn a_damaged_record_is_told_from_one_that_the_settings_refuse() {
    let mut schemas = schemas();
    let record = DefinitionRecord::of_file(FILE, &order(), 7, &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let mut keys = record.schemas.clone();
    keys.insert("payment.Charge".into(), "0000000000000000".into());
    for damaged in [
        DefinitionRecord { text: record.text.replace("3d", "4d"), ..record.clone() },
        DefinitionRecord { text: String::new(), ..record.clone() },
        DefinitionRecord { text: record.text.replace("steps:", "stops:"), ..record.clone() },
        DefinitionRecord { hash: record.hash.replace(['0', '1'], "2"), ..record.clone() },
        DefinitionRecord { name: "other".into(), ..record.clone() },
        DefinitionRecord { schemas: keys, ..record.clone() },
        DefinitionRecord { schemas: Default::default(), ..record.clone() },
    ] {
        let found = damaged.compile(&mut Settings::new(&mut schemas)).unwrap_err();
        assert!(matches!(&found, RecordError::Damaged(_)), "{found:?}");
    }
    let mut settings = Settings::new(&mut schemas);
    settings.participants.insert("payment".to_owned(), Participant { remembers_ms: 1_000, ..Participant::default() });
    let found = record.compile(&mut settings).unwrap_err();
    assert!(matches!(&found, RecordError::Refused(errors) if errors[0].message.contains("payment remembers")), "{found:?}");
}

#[test]
fn one_name_in_two_files_is_an_error() {
    let mut schemas = schemas();
    let mut of = |file: &str, text: &str| DefinitionRecord::of_file(file, text, 7, &mut Settings::new(&mut schemas)).unwrap();
    let (a, b) = (of("a.yaml", &order()), of("b.yaml", &format!("# Another\n{}", order())));
    let other = of("c.yaml", &order().replace("saga: order-fulfilment", "saga: other"));
    let all: Vec<DefinitionRecord> = [&a[..], &b, &other, &a].concat();
    let errors = defined_twice(&all);
    assert_eq!(errors.len(), 2, "{errors:?}");
    let first = &errors[0];
    assert_eq!((first.file.as_str(), first.line, first.column), ("b.yaml", 4, 7), "{first}");
    assert_eq!(
        (first.message.as_str(), first.hint.as_str()),
        ("saga 'order-fulfilment' is defined twice", "it is first in a.yaml, line 3")
    );
    assert!(defined_twice(&[&a[..], &other, &a].concat()).is_empty(), "the same twice is one");
}

#[test]
fn how_commands_are_written_is_no_part_of_a_version() {
    let mut schemas = schemas();
    let record = DefinitionRecord::of_file(FILE, &order(), 7, &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let mut settings = Settings::new(&mut schemas);
    let json = Participant { encoding: Encoding::Json, ..Participant::default() };
    settings.participants.insert("payment".to_owned(), json);
    let again = record.compile(&mut settings).expect("an encoding may change behind a deploy");
    assert_eq!(
        (again.step(1).unwrap().asks.call.encoding, again.step(2).unwrap().asks.call.encoding),
        (Encoding::Avro, Encoding::Json)
    );
    let anew = DefinitionRecord::of_file(FILE, &order(), 8, &mut settings).unwrap().remove(0);
    assert_eq!(anew.hash, record.hash);
}

#[test]
fn the_catalog_knows_every_version() {
    let mut schemas = schemas();
    let mut settings = Settings::new(&mut schemas);
    let mut record = |text: &str| DefinitionRecord::of_file(FILE, text, 0, &mut settings).unwrap();
    let first = record(&order()).remove(0);
    let second = record(&order().replace("deadline: 3d", "deadline: 2d")).remove(0);
    let other = record(
        "saga: other\nstart: { on: OrderPlaced, from: orders }\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: fraud.Forget }\n---\nsaga: third\nstart: { on: OrderCancelled, from: outcomes }\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }\n",
    );
    let mut catalog = Catalog::default();
    let mut add = |record: &DefinitionRecord, offset| catalog.add(record, offset, &mut settings).unwrap();
    let (one, two) = (add(&first, 0), add(&second, 1));
    let (others, back) = (add(&other[0], 2), add(&first, 3));
    add(&other[1], 4);
    assert_eq!(other[1].line, 5);
    assert!(std::sync::Arc::ptr_eq(&one, &back));
    assert_eq!(
        (catalog.number_of(&one.hash), catalog.number_of(&two.hash), catalog.number_of(&others.hash)),
        (Some(1), Some(2), Some(1))
    );
    assert_eq!((catalog.offset_of(&one.hash), catalog.offset_of(&two.hash), catalog.loaded_to()), (Some(0), Some(1), 5));
    assert_eq!(catalog.newest("order-fulfilment").unwrap().hash, one.hash, "the edit was taken back");
    let starting: Vec<&str> =
        catalog.starting_on("orders", "OrderPlaced").iter().map(|starting| &*starting.definition.name).collect();
    assert_eq!(starting, ["order-fulfilment", "other"]);
    assert!(catalog.starting_on("orders", "OrderCancelled").is_empty() && catalog.starting_on("x", "OrderPlaced").is_empty());
    assert_eq!((catalog.default_type("orders"), catalog.default_type("nope")), (Some("OrderPlaced"), None));
    assert_eq!(catalog.input_topics().iter().map(|topic| &**topic).collect::<Vec<_>>(), ["orders", "outcomes"]);
    assert_eq!(catalog.emit_topics().iter().map(|topic| &**topic).collect::<Vec<_>>(), ["order-outcomes"]);
    assert_eq!(
        catalog.participants().iter().map(|name| &**name).collect::<Vec<_>>(),
        ["fraud", "inventory", "payment", "shipping"]
    );
    // What is taken in another order is known as if it had come in the log's.
    let mut late = Catalog::default();
    for (definition, offset) in [(&others, 2), (&one, 3), (&two, 1), (&one, 0)] {
        late.insert(definition.clone(), offset);
    }
    assert_eq!((late.newest("order-fulfilment").unwrap().hash, late.newest_since("order-fulfilment")), (one.hash, Some(3)));
    assert_eq!((late.number_of(&one.hash), late.number_of(&two.hash)), (Some(1), Some(2)));
    assert_eq!((late.offset_of(&one.hash), late.loaded_to()), (Some(0), 4));
    assert_eq!(late.versions().iter().map(|(_, number)| *number).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!(catalog.by_hash(&two.hash).unwrap().deadline_ms, Some(2 * 86_400_000));
    assert_eq!(catalog.versions().len(), 4);
}

/// A typeless event is of the one type that sagas start on there, whatever listens to others.
#[test]
fn what_is_listened_to_takes_no_type_from_starts() {
    let saga = |name: &str, on: &str, steps: &str| {
        let start = format!("saga: {name}\nstart: {{ on: {on}, from: orders, key: event.order_id }}\nsteps:\n");
        compiled(&format!("{start}{steps}  - {{ step: end, sleep: 1h }}\n")).0
    };
    let mut catalog = Catalog::default();
    let nothing = catalog.clone();
    let wait = "  - { step: a, wait: OrderFulfilled, from: orders, key: event.order_id, within: 1h }\n";
    let other = "  - { step: b, wait: OrderFulfilled, from: outcomes, key: event.order_id, within: 1h }\n";
    catalog.insert(Arc::new(saga("first", "OrderPlaced", "")), 0);
    let alone = catalog.clone();
    catalog.insert(Arc::new(saga("second", "OrderPlaced", &format!("{wait}{other}"))), 1);
    assert_eq!(catalog.default_type("orders"), Some("OrderPlaced"), "a wait comes beside the start");
    assert_eq!(catalog.default_type("outcomes"), Some("OrderFulfilled"), "nothing starts there");
    assert!(alone.types_lost_in(&catalog).is_empty() && nothing.types_lost_in(&catalog).is_empty());
    let before = catalog.clone();
    catalog.insert(Arc::new(saga("third", "OrderFulfilled", "")), 2);
    assert_eq!(catalog.default_type("orders"), None, "two types start there");
    assert_eq!(before.types_lost_in(&catalog), [("orders".into(), "OrderPlaced".into())]);
}
