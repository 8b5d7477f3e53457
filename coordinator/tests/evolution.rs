//! Schemas that change under deployed definitions: what is compatible goes, what is deployed stays as it is, mistakes are the file's.

use std::collections::BTreeSet;
use std::path::Path;

use ringmaster::cli::exit::{Exit, Failure};
use ringmaster::runtime::{CompileOptions, Deploying, Knowledge, Plan, load_knowledge, read_knowledge};
use ringmaster::{blocking, topics};
use ringmaster_bus::embedded::{Log, Settings};
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::registry::{SchemaRecord, Schemas};

/// A folder with a definition, its schemas, and a log.
struct Site {
    folder: tempfile::TempDir,
    log: Log,
}

const SAGA: &str = "saga: pay\nstart: { on: Asked, from: asked, key: event.id }\nsteps:\n  - { step: charge, do: till.Charge, with: { total: start.total }, pivot: true }\n";

fn asked(total: &str) -> String {
    format!(
        r#"{{"type":"record","name":"Asked","fields":[{{"name":"id","type":"string"}},{{"name":"total","type":{total}}},{{"name":"place","type":"Place"}}]}}"#
    )
}

const PLACE: &str = r#"{"type":"enum","name":"Place","symbols":["HERE","THERE"]}"#;
const DECIMAL_9: &str = r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#;
const DECIMAL_18: &str = r#"{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}"#;
const DECIMAL_4: &str = r#"{"type":"bytes","logicalType":"decimal","precision":18,"scale":4}"#;
const MILLIS: &str = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
const MICROS: &str = r#"{"type":"long","logicalType":"timestamp-micros"}"#;

impl Site {
    fn new(total: &str) -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Log::open(&folder.path().join("log"), Settings::default()).expect("a log");
        topics::apply(&mut log.client(), &topics::needed(&Topics::new("ringmaster"), 1, &[], &[], &[]), 1).expect("topics");
        std::fs::create_dir(folder.path().join("schemas")).expect("a folder");
        let site = Site { folder, log };
        site.write("pay.yaml", SAGA);
        site.write("schemas/Asked.avsc", &asked(total));
        site.write("schemas/Place.avsc", PLACE);
        site.write("schemas/Charge.avsc", &charge(total));
        site
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("written");
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).expect("it was there");
    }

    fn evolve(&self, total: &str) {
        self.write("schemas/Asked.avsc", &asked(total));
        self.write("schemas/Charge.avsc", &charge(total));
    }

    /// What a start knows; every second look is as tools look.
    fn load(&self) -> Result<Knowledge, Failure> {
        let (files, folder) = ([self.folder.path().join("pay.yaml")], self.folder.path().join("schemas"));
        let options = CompileOptions::default();
        let loaded = load_knowledge(&mut self.log.client(), "ringmaster", &folder, &files, &options, 1)?;
        let read = read_knowledge(&mut self.log.client(), "ringmaster", &folder, &options)?;
        assert_eq!(hash(&loaded), hash(&read));
        Ok(loaded)
    }

    /// What a start will know; nothing is written.
    fn planned(&self) -> Knowledge {
        let (files, folder) = ([self.folder.path().join("pay.yaml")], self.folder.path().join("schemas"));
        let options = CompileOptions::default();
        let deploying =
            Deploying { prefix: "ringmaster".to_owned(), partitions: 1, schemas: folder, options, typed: Default::default() };
        Plan::make(&mut self.log.client(), &deploying, &files, 1).unwrap_or_else(|error| panic!("{error}")).knowledge
    }

    fn loaded(&self) -> Knowledge {
        self.load().unwrap_or_else(|failure| panic!("{}", failure.message))
    }

    fn versions(&self) -> usize {
        let mut count = 0;
        let mut visit = |_| {
            count += 1;
            true
        };
        blocking::read_to_end(&mut self.log.client(), "ringmaster.definitions", 0, &mut visit).expect("it can be read");
        count
    }
}

fn charge(total: &str) -> String {
    format!(r#"{{"type":"record","namespace":"till","name":"Charge","fields":[{{"name":"total","type":{total}}}]}}"#)
}

fn hash(knowledge: &Knowledge) -> [u8; 16] {
    knowledge.catalog.newest("pay").expect("it is deployed").hash
}

#[test]
fn compatible_schemas_go_in_both_directions() {
    for (one, other) in [(DECIMAL_9, DECIMAL_18), ("\"long\"", MILLIS), ("\"long\"", MICROS), (DECIMAL_18, r#"["null","string"]"#)]
    {
        for (before, after) in [(one, other), (other, one)] {
            let site = Site::new(before);
            let first = hash(&site.loaded());
            site.evolve(after);
            let second = hash(&site.loaded());
            assert_ne!(first, second, "{before} -> {after}: it is deployed");
            site.evolve(before);
            let third = site.loaded();
            assert_eq!(hash(&third), first, "{after} -> {before}: back again");
            assert!(third.catalog.by_hash(&second).is_some(), "what ran meanwhile is known");
        }
    }
}

#[test]
fn what_is_planned_is_what_is_loaded_and_writes_nothing() {
    let site = Site::new(DECIMAL_9);
    assert_eq!((hash(&site.planned()), site.versions()), (hash(&site.planned()), 0), "nothing is deployed by looking");
    let planned = hash(&site.planned());
    assert_eq!(hash(&site.loaded()), planned);
    site.evolve(DECIMAL_18);
    let planned = hash(&site.planned());
    assert_eq!(site.versions(), 1);
    assert_eq!((hash(&site.loaded()), site.versions()), (planned, 2));
    assert_eq!(hash(&site.planned()), planned, "nothing new is planned");
}

/// A service finds every schema in the topic that a coordinator reads or writes by, from the first load on: also those of envelopes.
#[test]
fn every_schema_that_is_needed_is_in_its_topic() {
    let site = Site::new(DECIMAL_9);
    let loaded = site.loaded();
    let needed: BTreeSet<i64> = loaded.schemas.iter().map(|schema| schema.key()).collect();
    let mut kept = BTreeSet::new();
    blocking::read_to_end(&mut site.log.client(), "ringmaster.schemas", 0, &mut |read| {
        let record = SchemaRecord::decode(&read.value.expect("a schema")).expect("a schema");
        let mut schemas = Schemas::builtin();
        let added = if record.part { schemas.add_part(&record.text) } else { schemas.add_version(&record.text) };
        kept.insert(added.expect("a schema").key());
        true
    })
    .expect("it can be read");
    let missing: Vec<&str> =
        loaded.schemas.iter().filter(|schema| !kept.contains(&schema.key())).map(|schema| schema.name()).collect();
    assert!(needed.len() > 3 && missing.is_empty(), "{missing:?}");
}

#[test]
fn what_means_something_else_is_the_files_mistake() {
    for (before, after) in [(DECIMAL_18, DECIMAL_4), (DECIMAL_18, "\"bytes\""), (MILLIS, MICROS)] {
        let site = Site::new(before);
        site.loaded();
        site.write("schemas/Asked.avsc", &asked(after));
        for _ in 0..2 {
            let failure = site.load().expect_err("it is refused");
            assert_eq!(failure.exit, Exit::Definition, "{}", failure.message);
            let file = Path::new("schemas").join("Asked.avsc").display().to_string();
            assert!(failure.message.contains(&file) && failure.message.contains("means something else"), "{}", failure.message);
            assert!(!failure.message.contains("ringmaster.schemas"), "no record is to blame: {}", failure.message);
        }
        assert_eq!(site.versions(), 1, "nothing was deployed");
        // What the message says helps, although state keeps the same fields of both.
        let more = asked(after).replace(r#""fields":["#, r#""fields":[{"name":"more","type":["null","int"],"default":null},"#);
        site.write("schemas/Asked.avsc", &more);
        site.write("schemas/Charge.avsc", &charge(after).replace("total\",\"type\"", "amount\",\"type\""));
        site.write("pay.yaml", &SAGA.replace("{ total:", "{ amount:"));
        site.loaded();
        assert_eq!(site.versions(), 2);
    }
}

#[test]
fn a_missing_file_does_not_make_a_definition_weaker() {
    for missing in [&["Asked"][..], &["Place"], &["Asked", "Place"], &["Charge"], &["Asked", "Place", "Charge"]] {
        let site = Site::new(DECIMAL_9);
        let before = site.loaded();
        let fingerprint = before.schemas.named("Asked").expect("known").fingerprint();
        if missing == ["Place"] {
            // Another file needs it: that one says so.
            site.remove("schemas/Place.avsc");
            let failure = site.load().expect_err("it is refused");
            assert!(failure.exit == Exit::Definition && failure.message.contains("unknown type `Place`"), "{}", failure.message);
            continue;
        }
        missing.iter().for_each(|name| site.remove(&format!("schemas/{name}.avsc")));
        let after = site.loaded();
        assert_eq!((hash(&after), site.versions()), (hash(&before), 1), "{missing:?}: nothing is deployed");
        assert!(after.schemas.by_fingerprint(fingerprint).is_some(), "{missing:?}: its events can be read");
        assert_eq!(hash(&site.loaded()), hash(&before), "{missing:?}: and again");
        // A changed definition has it too.
        site.write("pay.yaml", &(SAGA.to_owned() + "retain: 2d\n"));
        let changed = site.loaded();
        let start = &changed.catalog.newest("pay").expect("it is deployed").starts[0];
        assert_eq!(start.kept.name(), "Asked", "{missing:?}");
        assert_eq!(start.kept.fields(start.kept.root()).len(), 2, "{missing:?}: by its schema");
    }
    // What is deployed does not depend on what another file says now.
    let site = Site::new(DECIMAL_9);
    let before = hash(&site.loaded());
    site.remove("schemas/Asked.avsc");
    site.write("schemas/Place.avsc", &PLACE.replace("HERE", "NOWHERE"));
    assert_eq!(hash(&site.loaded()), before);
}

#[test]
fn garbage_in_the_topic_of_schemas() {
    let site = Site::new(DECIMAL_9);
    let append = |values: &[&str]| {
        let records: Vec<_> = values.iter().map(|value| (b"x".to_vec(), value.as_bytes().to_vec())).collect();
        blocking::append(&mut site.log.client(), "ringmaster.schemas", 0, &records).expect("appended");
    };
    append(&["", "hello", "[1]"]);
    site.loaded();
    append(&[r#"{"key":"00","name":"A","text":"\"int\""}"#]);
    let failure = site.load().expect_err("it is damaged");
    assert!(
        failure.exit == Exit::Journal && failure.message.contains("ringmaster.schemas: the record at offset"),
        "{}",
        failure.message
    );
}
