//! Sagas of the library on a real broker: everything in JSON, and participants by a script.

use std::collections::BTreeMap;
use std::process::Output;

use ringmaster_schemas::names::command_topic;
use ringmaster_schemas::state::{RowKey, RowKind};
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;
use serde_json::Value;

use super::{PARTITIONS, Process, World, binary};

impl World {
    /// A world with these files of the library alone, its topics made.
    pub fn of_library(name: &'static str, files: &[&str], participants: &[&str], settings: &str) -> World {
        let world = World::bare(name);
        let (sagas, library) = (world.folder().join("sagas"), world.folder().join("library"));
        std::fs::rename(sagas.join("library"), &library).expect("the library is there");
        std::fs::remove_dir_all(&sagas).expect("it was copied");
        std::fs::create_dir(&sagas).expect("a folder can be made");
        for part in files.iter().chain(&["schemas"]) {
            std::fs::rename(library.join(part), sagas.join(part)).expect("it is in the library");
        }
        let json: String = participants.iter().map(|name| format!("[participants.{name}]\nencoding = \"json\"\n")).collect();
        world.configure(&format!("[breaker]\nenabled = false\n{settings}\n{json}"));
        world.apply_topics();
        world
    }

    /// Participants that answer by this script. They keep nothing, so that what was done follows from the keys that they were asked by.
    pub fn participants(&self, script: &str) -> Process {
        std::fs::write(self.folder().join("script.yaml"), script).expect("a file can be written");
        said(&self.ringmaster(&["participant", "script.yaml", "--check"]), 0, &[]);
        Process::start("participants", &binary("ringmaster"), &["participant", "script.yaml"], self.folder())
    }

    /// How often each idempotency key was asked, and for what. The same key always asks for the same.
    pub fn asked(&self, participant: &str) -> BTreeMap<String, (usize, Value)> {
        let mut asked: BTreeMap<String, (usize, Value)> = BTreeMap::new();
        for record in self.records(&command_topic(participant)) {
            let key = record["meta"]["idempotency_key"].as_str().expect("a key").to_owned();
            let (count, body) = asked.entry(key).or_insert_with(|| (0, record["body"].clone()));
            *count += 1;
            assert_eq!(*body, record["body"], "a repeat asks for the same");
        }
        asked
    }

    /// Ids of the sagas' rows in a store.
    pub fn rows(&self, data: &std::path::Path) -> Vec<String> {
        let store = RocksStore::open(&data.join("store"), PARTITIONS, 64 << 20).expect("the store can be opened").store;
        let mut ids = Vec::new();
        for partition in 0..PARTITIONS {
            let visit = &mut |key: RowKey, _: &[u8]| {
                if let RowKey::Saga(id) = key {
                    ids.push(id.to_string());
                }
                true
            };
            store.rows(partition, RowKind::Saga, visit).expect("it can be read");
        }
        ids
    }
}

/// What a command said, and how it ended.
pub fn said(output: &Output, code: i32, words: &[&str]) {
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{all}");
    words.iter().for_each(|words| assert!(all.contains(words), "'{words}' is not said:\n{all}"));
}
