//! A partition, a journal that is a list, and inputs that say what the test says.

use std::collections::{BTreeMap, BTreeSet};

use ringmaster_core::definition::{Catalog, DefinitionRecord, Participant, Settings as Definitions};
use ringmaster_core::intake::InputRecord;
use ringmaster_core::partition::{
    BreakerSettings, Context, Counters, Happened, InputSettings, Limits, Partition, Role, Settings, StageName, StartAt, Tag, Why,
    Wish,
};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Encoding;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Batch, Checkpoint, RowKey};

pub(crate) use super::broken::without;
use super::stored::Stored;

/// When tests begin.
pub(crate) const BEGIN: Millis = 1_900_000_000_000;
/// Places of the inputs.
pub(crate) const REPLIES: usize = 0;
pub(crate) const ALPHAS: usize = 1;
pub(crate) const BETAS: usize = 2;

pub(crate) const DEFINITIONS: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest, timeout: 10s, within: 1m, retry: { first: 200ms, factor: 1, max: 200ms } }
---
saga: beta
start: { on: Asked, from: betas, key: event.id }
retain: 2h
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest, timeout: 10s, within: 1m, retry: { first: 200ms, factor: 1, max: 200ms } }
";

/// What the clocks say.
#[derive(Clone, Copy)]
pub(crate) struct Clocks {
    pub(crate) wall: Millis,
    pub(crate) steady: Millis,
}

pub(crate) struct Line {
    pub(crate) partition: Partition,
    pub(crate) clocks: Clocks,
    /// All wishes but appends, since they were last looked at.
    pub(crate) wishes: Vec<Wish>,
    pub(crate) journal: Vec<Vec<u8>>,
    /// The oldest offset that the journal says it holds.
    pub(crate) journal_start: i64,
    pub(crate) stored: Option<Checkpoint>,
    /// What is stored beside the checkpoint.
    pub(crate) rows: BTreeMap<RowKey, Vec<u8>>,
    pub(crate) found: BTreeSet<String>,
    pub(crate) catalog: Catalog,
    /// Offsets after which each input goes on.
    pub(crate) next: Vec<i64>,
    unacknowledged: Vec<(i64, Tag)>,
    schemas: Schemas,
    pub(crate) counters: Counters,
    settings: Settings,
    sender: u32,
}

pub(crate) fn settings() -> Settings {
    let input = |number: u8, name: &str, role| InputSettings {
        topic: [number; 16],
        name: name.into(),
        role,
        start_at: StartAt::Earliest,
        accept_new: false,
    };
    let events = || Role::Events { type_field: "type".into(), default_type: Some("Asked".into()) };
    Settings {
        number: 0,
        partitions: 1,
        owner: "test".into(),
        address: "".into(),
        journal: [9; 16],
        reply_topic: "replies".into(),
        quarantine_topic: "quarantine".into(),
        inputs: vec![input(0, "replies", Role::Replies), input(1, "alphas", events()), input(2, "betas", events())],
        limits: Limits {
            record_bytes_max: 512 << 10,
            record_turns_max: 100,
            in_flight_records_max: 16,
            in_flight_max: 1_000,
            memory_bytes_max: 16 << 20,
            unreleased_effects_max: 1_000,
            timers_per_poll_max: 100,
        },
        breaker: BreakerSettings::default(),
        tracing: None,
    }
}

pub(crate) fn deploy(catalog: &mut Catalog, schemas: &mut Schemas, text: &str) {
    let mut definitions = Definitions::new(schemas);
    let json = Participant { encoding: Encoding::Json, ..Participant::default() };
    for name in ["worker", "helper"] {
        definitions.participants.insert(name.to_owned(), json.clone());
    }
    let records = DefinitionRecord::of_file("test.yaml", text, BEGIN, &mut definitions).expect("it is right");
    for record in &records {
        catalog.add(record, catalog.loaded_to(), &mut definitions).expect("it is right");
    }
}

/// The one result that has a schema; the others may be anything.
const COUNTED_RESULT: &str =
    r#"{"type":"record","name":"CountedResult","namespace":"worker","fields":[{"name":"n","type":"long"}]}"#;

/// Two events that start one saga.
const OPENED: &str =
    r#"{"type":"record","name":"Opened","fields":[{"name":"number","type":"long"},{"name":"id","type":"string"}]}"#;
const REOPENED: &str = r#"{"type":"record","name":"Reopened","fields":[{"name":"case","type":"string"},{"name":"number","type":"long"},{"name":"why","type":"string"}]}"#;

impl Line {
    /// Owned, and every input is read from its beginning.
    pub(crate) fn owned() -> Line {
        let mut line = Line::idle(|_| {});
        line.own();
        line
    }

    /// Owned, with other definitions.
    pub(crate) fn of(definitions: &str, change: impl FnOnce(&mut Settings)) -> Line {
        let mut line = Line::by(definitions, change);
        line.own();
        line
    }

    /// Not claimed yet, with other settings.
    pub(crate) fn idle(change: impl FnOnce(&mut Settings)) -> Line {
        Line::by(DEFINITIONS, change)
    }

    fn by(definitions: &str, change: impl FnOnce(&mut Settings)) -> Line {
        let mut settings = settings();
        change(&mut settings);
        let (mut catalog, mut schemas) = (Catalog::default(), Schemas::builtin());
        [COUNTED_RESULT, OPENED, REOPENED].into_iter().for_each(|text| drop(schemas.add(text).expect("it is right")));
        deploy(&mut catalog, &mut schemas, definitions);
        Line {
            partition: Partition::new(settings.clone()),
            clocks: Clocks { wall: BEGIN, steady: 7_000 },
            wishes: Vec::new(),
            journal: Vec::new(),
            journal_start: 0,
            stored: None,
            rows: BTreeMap::new(),
            found: BTreeSet::new(),
            catalog,
            next: vec![0; settings.inputs.len().max(3)],
            unacknowledged: Vec::new(),
            schemas,
            counters: Counters::default(),
            settings,
            sender: 0,
        }
    }

    /// Another process on the same journal and store.
    pub(crate) fn restart(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.next.resize(self.settings.inputs.len().max(self.next.len()), 0);
        self.partition = Partition::new(self.settings.clone());
        self.unacknowledged.clear();
        self.wishes.clear();
    }

    /// More definitions are deployed.
    pub(crate) fn deploy(&mut self, text: &str) {
        deploy(&mut self.catalog, &mut self.schemas, text);
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, ms: Millis) {
        self.clocks.wall += ms;
        self.clocks.steady += ms;
    }

    /// Only the wall clock jumps.
    pub(crate) fn jump(&mut self, ms: Millis) {
        self.clocks.wall += ms;
    }

    /// Says what happened.
    pub(crate) fn happens(&mut self, what: Happened<'_>) {
        let mut out = Vec::new();
        let mut context = Context {
            now: self.clocks.wall,
            steady: self.clocks.steady,
            catalog: &self.catalog,
            schemas: &self.schemas,
            rows: &Stored(&self.stored, &self.rows),
            out: &mut out,
            counters: &mut self.counters,
        };
        self.partition.handle(what, &mut context);
        for wish in out {
            match wish {
                Wish::Append { bytes, tag } => {
                    self.unacknowledged.push((self.journal.len() as i64, tag));
                    self.journal.push(bytes);
                }
                other => {
                    if other == Wish::ClearStore {
                        self.rows.clear();
                    }
                    self.wishes.push(other);
                }
            }
        }
    }

    /// Everything appended is acknowledged.
    pub(crate) fn acknowledge(&mut self) {
        while !self.unacknowledged.is_empty() {
            let (offset, tag) = self.unacknowledged.remove(0);
            let sender = self.sender;
            self.happens(Happened::Acknowledged { sender, tag, offset: Some(offset) });
        }
    }

    /// Claims and replays; reads inputs, if nothing stands against it.
    pub(crate) fn own(&mut self) {
        self.own_without_answers();
        self.answer(0);
        self.acknowledge();
    }

    /// The same, but nobody says where inputs begin and end.
    pub(crate) fn own_without_answers(&mut self) {
        self.claim();
        self.read_journal();
    }

    /// Claims, and knows what the journal holds; nothing is replayed yet.
    pub(crate) fn claim(&mut self) {
        self.sender += 1;
        let sender = self.sender;
        self.happens(Happened::Claimed { id: [sender as u8; 16], sender });
        self.acknowledge();
        let (start, end) = (self.journal_start, self.journal.len() as i64);
        self.happens(Happened::JournalBounds { start, end });
    }

    /// Gives the partition what it asked of the journal.
    pub(crate) fn read_journal(&mut self) {
        while let Some(from) = self.asked_journal() {
            for offset in from..self.journal.len() as i64 {
                let value = self.journal[offset as usize].clone();
                self.happens(Happened::JournalRecord { offset, value: &value });
            }
        }
    }

    fn asked_journal(&mut self) -> Option<i64> {
        let place = self.wishes.iter().position(|wish| matches!(wish, Wish::ReadJournal(_)))?;
        match self.wishes.remove(place) {
            Wish::ReadJournal(from) => Some(from),
            _ => None,
        }
    }

    /// A poll ends, and what it appended is acknowledged.
    pub(crate) fn poll(&mut self) {
        self.happens(Happened::PollEnded);
        self.acknowledge();
    }

    /// A poll ends; every question for an input's end is answered (it ends at `more` records behind what was read), and another ends.
    pub(crate) fn look(&mut self) {
        self.poll();
        self.answer(0);
        self.poll();
    }

    /// Answers the questions for inputs' bounds; which were asked.
    pub(crate) fn answer(&mut self, more: i64) -> Vec<usize> {
        let mut asked = Vec::new();
        self.wishes.retain(|wish| match wish {
            Wish::AskInput(index) => {
                asked.push(*index);
                false
            }
            _ => true,
        });
        for &index in &asked {
            let end = self.next[index] + more;
            self.happens(Happened::InputBounds { index, start: 0, end });
        }
        asked
    }

    pub(crate) fn put(&mut self, index: usize, timestamp: Millis, key: Option<&str>, value: &str) {
        let offset = self.next[index];
        self.next[index] += 1;
        let record = InputRecord { offset, timestamp, key: key.map(str::as_bytes), value: Some(value.as_bytes()), headers: None };
        self.happens(Happened::Input { index, record });
    }

    /// A saga begins, and its command is out.
    pub(crate) fn start(&mut self, index: usize, id: &str) {
        self.start_at(index, id, self.clocks.wall);
    }

    pub(crate) fn start_at(&mut self, index: usize, id: &str, timestamp: Millis) {
        self.put(index, timestamp, Some(id), &format!(r#"{{"type":"Asked","id":"{id}"}}"#));
        self.poll();
    }

    /// A saga begins, and the broker says nothing of it.
    pub(crate) fn start_unacknowledged(&mut self, index: usize, id: &str) {
        let value = format!(r#"{{"type":"Asked","id":"{id}"}}"#);
        self.put(index, self.clocks.wall, Some(id), &value);
        self.happens(Happened::PollEnded);
    }

    /// What was not acknowledged is not in the journal, and inputs are read again from where it says.
    pub(crate) fn lose_unacknowledged(&mut self) {
        if let Some((first, _)) = self.unacknowledged.first() {
            self.journal.truncate(*first as usize);
        }
        self.unacknowledged.clear();
    }

    /// The broker takes every effect that was sent.
    pub(crate) fn deliver(&mut self) {
        for wish in std::mem::take(&mut self.wishes) {
            match wish {
                Wish::Send(tag) => {
                    let sender = self.sender;
                    self.happens(Happened::Acknowledged { sender, tag, offset: Some(0) });
                }
                other => self.wishes.push(other),
            }
        }
    }

    /// An answer to the only step of a saga.
    pub(crate) fn reply(&mut self, saga: &str, attempt: i32, outcome: &str, timestamp: Millis) {
        let reply = format!(
            r#"{{"meta":{{"idempotency_key":"{saga}/task/do","attempt":{attempt},"outcome":"{outcome}","code":"C","message":null,"retryable":true}},"body":null}}"#
        );
        self.put(REPLIES, timestamp, None, &reply);
        self.poll();
    }

    pub(crate) fn stage(&self) -> StageName {
        self.partition.stage()
    }

    /// By whom it is owned now.
    pub(crate) fn sender(&self) -> u32 {
        self.sender
    }

    /// Why it stopped.
    pub(crate) fn stopped(&self) -> Option<&Why> {
        self.wishes.iter().find_map(|wish| match wish {
            Wish::StepDown(why) => Some(why),
            _ => None,
        })
    }

    /// Stores all that is confirmed.
    pub(crate) fn checkpoint(&mut self) {
        let staged = self.partition.stage_checkpoint().expect("something is confirmed");
        self.store(staged);
    }

    /// Stores what was staged.
    pub(crate) fn store(&mut self, staged: Batch) {
        self.partition.stored(&staged);
        let expired = staged.checkpoint.expired_bucket;
        self.stored = Some(staged.checkpoint);
        for change in staged.rows {
            super::search::change(&mut self.found, &change);
            match change.value {
                Some(value) => drop(self.rows.insert(change.key, value)),
                None => drop(self.rows.remove(&change.key)),
            }
        }
        super::counted::add_up(&self.rows, expired);
        super::orphans::none(&self.rows, &self.catalog);
    }
}
