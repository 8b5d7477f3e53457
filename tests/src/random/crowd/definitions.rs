//! The definitions of a crowd: drawn, made quicker than they are in virtual time, and written where a coordinator reads them.

use std::path::Path;

use fastrand::Rng;
use ringmaster_schemas::names::{command_topic, parse_saga_id};
use ringmaster_schemas::registry::Schemas;

use super::super::families::{self, write::TAGS};
use super::super::known::Known;
use super::super::plan::Plan;
use super::super::{generate, write};

/// Times are so many times shorter: an hour of a test is dear.
const QUICKER: i64 = 4;

/// A definition.
pub(super) struct One {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// As it is written.
    text: String,
}

/// What is known of a definition.
pub(super) enum Kind {
    /// Its sagas have one row each: as it was drawn, and as it was compiled.
    Single(Plan, Known),
    /// It has items, sub-sagas and values: the saga's own first, then those that it runs.
    Family(families::known::Known),
}

/// Some definitions, all of which the same event starts.
pub struct Definitions(pub(super) Vec<One>);

impl Definitions {
    /// So many of this seed, and so many with items, sub-sagas and values.
    pub fn draw(seed: u64, single: usize, families: usize) -> Definitions {
        let mut random = Rng::with_seed(seed);
        let mut all = Vec::new();
        while all.len() < single {
            let mut plan = generate::plan(&mut random);
            plan.each_time(&|time| *time = *time / QUICKER + 1);
            let name = format!("{}-{}", write::SAGA, all.len() + 1);
            // Times that differed may be the same now, which the language may refuse.
            if let Ok(known) = Known::of(&name, &plan) {
                let text = write::text_as(&name, &plan);
                all.push(One { name, kind: Kind::Single(plan, known), text });
            }
        }
        for number in 1..=families {
            let name = format!("{}-{number}", families::write::SAGA);
            let text = families::write::text_as(&mut random, &name, true);
            let known = families::known::Known::of(&text).expect("what is written compiles");
            all.push(One { name, kind: Kind::Family(known), text });
        }
        Definitions(all)
    }

    /// One with items, sub-sagas and values alone, by the name that it has where it is alone.
    #[cfg(test)]
    pub(super) fn of_family(text: String) -> Definitions {
        let known = families::known::Known::of(&text).expect("what is written compiles");
        Definitions(vec![One { name: families::write::SAGA.to_owned(), kind: Kind::Family(known), text }])
    }

    /// Writes a file for each to a folder.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        let write = |one: &One| std::fs::write(folder.join(format!("{}.yaml", one.name)), &one.text);
        self.0.iter().try_for_each(write)
    }

    /// What must stand in a coordinator's settings: its participants speak JSON.
    pub fn settings() -> String {
        write::PARTICIPANTS.iter().map(|name| format!("[participants.{name}]\nencoding = \"json\"\n")).collect()
    }

    /// Topics of theirs whose names do not begin with the coordinator's prefix.
    pub fn topics() -> Vec<String> {
        let commands = write::PARTICIPANTS.iter().map(|name| command_topic(name));
        commands.chain(["wanted", "stops", "cames", TAGS, "told", "ends"].map(str::to_owned)).collect()
    }

    /// Whether one of them sends to a topic of these, or reads it.
    pub(super) fn use_topic(&self, topic: &str) -> bool {
        let told = match topic.strip_suffix(".commands") {
            Some(participant) => format!(": {participant}."),
            None if ["told", "ends"].contains(&topic) => format!("to: {topic}"),
            None => format!("from: {topic}"),
        };
        self.0.iter().any(|one| one.text.contains(&told))
    }

    /// Which one a saga runs by, or the saga of a row.
    pub(super) fn of(&self, row: &str) -> Option<&One> {
        let (name, _) = parse_saga_id(row);
        self.0.iter().find(|one| one.name == name)
    }

    /// By which commands are read.
    pub(super) fn schemas(&self) -> &Schemas {
        match &self.0[0].kind {
            Kind::Single(_, known) => known.schemas(),
            Kind::Family(known) => &known.schemas,
        }
    }
}
