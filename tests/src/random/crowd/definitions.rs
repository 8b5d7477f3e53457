//! The definitions of a crowd: drawn, made quicker than they are in virtual time, and written where a coordinator reads them.

use std::path::Path;

use fastrand::Rng;
use ringmaster_core::definition::Definition;
use ringmaster_schemas::names::command_topic;
use ringmaster_schemas::registry::Schemas;

use super::super::known::Known;
use super::super::plan::Plan;
use super::super::{generate, write};

/// Times are so many times shorter: an hour of a test is dear.
const QUICKER: i64 = 4;

/// A definition, as it was drawn and as it was compiled.
pub(super) struct One {
    pub(super) name: String,
    pub(super) plan: Plan,
    /// As it is written.
    text: String,
    pub(super) known: Known,
}

/// Some definitions, all of which the same event starts.
pub struct Definitions(pub(super) Vec<One>);

impl Definitions {
    /// So many of this seed.
    pub fn draw(seed: u64, count: usize) -> Definitions {
        let mut random = Rng::with_seed(seed);
        let mut all = Vec::new();
        while all.len() < count {
            let mut plan = generate::plan(&mut random);
            plan.each_time(&|time| *time = *time / QUICKER + 1);
            let name = format!("{}-{}", write::SAGA, all.len() + 1);
            // Times that differed may be the same now, which the language may refuse.
            if let Ok(known) = Known::of(&name, &plan) {
                let text = write::text_as(&name, &plan);
                all.push(One { name, plan, text, known });
            }
        }
        Definitions(all)
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
        commands.chain(["wanted", "stops", "cames", "told", "ends"].map(str::to_owned)).collect()
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

    /// Which one a saga runs by.
    pub(super) fn of(&self, saga: &str) -> Option<&One> {
        let name = saga.split('/').next()?;
        self.0.iter().find(|one| one.name == name)
    }
}

impl One {
    pub(super) fn definition(&self) -> &Definition {
        self.known.definition()
    }

    pub(super) fn schemas(&self) -> &Schemas {
        self.known.schemas()
    }
}
