//! What others do for a crowd: they start sagas, tell them events, answer approvals, ask again, pause and cancel; in a calm crowd all that
//! anything waits for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use ringmaster_core::intake::{ControlAct, ControlRecord};
use ringmaster_core::saga::name_of;
use ringmaster_schemas::names::{parse_saga_id, partition_of};
use ringmaster_schemas::state::{Entry, Saga, Waits};

use super::super::generate::{EVENTS, STOP};
use super::super::value::FIELDS;
use super::super::write::START;
use super::definitions::{Definitions, One};
use crate::live::{Letter, PARTITIONS};

/// What is stuck is asked again so often at most.
const PATIENCE: u32 = 3;

/// Whose hand it is in.
pub(super) struct People {
    pub(super) random: Rng,
    control: String,
    /// Events so far: each is another one.
    events: u64,
    /// How often what is stuck was asked again, in a calm crowd.
    helped: BTreeMap<Arc<str>, u32>,
}

impl People {
    pub(super) fn new(seed: u64, control: String) -> People {
        People { random: Rng::with_seed(seed), control, events: 0, helped: BTreeMap::new() }
    }

    /// The event by which a saga of each definition starts, and what it says.
    pub(super) fn start(&mut self, key: &str) -> (Letter, [i64; FIELDS.len()]) {
        let start: [i64; FIELDS.len()] = std::array::from_fn(|_| self.random.i64(0..5));
        let fields: Vec<String> = FIELDS.iter().zip(start).map(|(name, value)| format!(r#""{name}": {value}"#)).collect();
        (self.event("wanted", START, key, &fields.join(", ")), start)
    }

    /// An event that comes before its saga, if any of these listens to events.
    pub(super) fn early(&mut self, definitions: &Definitions, key: &str) -> Option<Letter> {
        if self.often(0.1) {
            return definitions.use_topic("stops").then(|| self.stop(key));
        }
        definitions.use_topic("cames").then(|| self.came(key))
    }

    /// An event that some sagas of this key may wait for.
    fn came(&mut self, key: &str) -> Letter {
        let kind = EVENTS[self.random.usize(..EVENTS.len())];
        let number = format!(r#""n": {}"#, self.random.i64(0..5));
        self.event("cames", kind, key, &number)
    }

    /// The event by which sagas of this key are cancelled, where they listen to it.
    fn stop(&mut self, key: &str) -> Letter {
        self.event("stops", STOP, key, r#""n": 0"#)
    }

    fn event(&mut self, topic: &str, kind: &str, key: &str, fields: &str) -> Letter {
        self.events += 1;
        Letter {
            topic: topic.to_owned(),
            partition: partition_of(key.as_bytes(), PARTITIONS),
            key: key.to_owned(),
            value: format!(r#"{{"id": "{key}", {fields}}}"#).into_bytes(),
            headers: vec![
                ("ce_type", kind.to_owned()),
                ("ce_source", "crowd".to_owned()),
                ("ce_id", format!("event-{}", self.events)),
            ],
        }
    }

    /// What somebody does about a saga that has not ended, if anything.
    pub(super) fn about(&mut self, definitions: &Definitions, one: &One, saga: &Saga, calm: bool) -> Option<Letter> {
        let key = parse_saga_id(&saga.id).1.into_owned();
        if saga.paused().is_some() && (calm || self.often(0.3)) {
            return Some(self.act(saga, ControlAct::Resume, None));
        }
        if !calm && self.often(0.01) {
            return Some(self.act(saga, ControlAct::Pause, None));
        }
        if !calm && self.often(0.003) {
            let by_event = self.random.bool() && definitions.use_topic("stops");
            return Some(if by_event { self.stop(&key) } else { self.act(saga, ControlAct::Cancel, None) });
        }
        let name = |entry: &Entry| name_of(one.definition(), entry);
        let entry = saga.entries.iter().find(|entry| matches!(entry.waits, Waits::Approval | Waits::Event | Waits::Stuck))?;
        if !calm && self.often(0.8) {
            return None;
        }
        match entry.waits {
            Waits::Approval => {
                let act = if self.random.u32(0..3) > 0 { ControlAct::Approve } else { ControlAct::Refuse };
                Some(self.act(saga, act, Some(name(entry).into())))
            }
            Waits::Event => Some(self.came(&key)),
            _ => self.help(one, saga),
        }
    }

    /// Asks again what is stuck, all of it after the other.
    fn help(&mut self, one: &One, saga: &Saga) -> Option<Letter> {
        let helped = self.helped.entry(saga.id.clone()).or_default();
        if *helped >= PATIENCE {
            return None;
        }
        *helped += 1;
        let stuck: Vec<&Entry> = saga.entries.iter().filter(|entry| entry.waits == Waits::Stuck).collect();
        let entry = stuck[self.random.usize(..stuck.len())];
        Some(self.act(saga, ControlAct::Retry, Some(name_of(one.definition(), entry).into())))
    }

    /// Whether nobody does more for it.
    pub(super) fn is_left(&self, saga: &Saga) -> bool {
        let is_stuck = saga.entries.iter().any(|entry| entry.waits == Waits::Stuck);
        let waits = saga.entries.iter().any(|entry| matches!(entry.waits, Waits::Approval | Waits::Event));
        is_stuck && !waits && self.helped.get(&saga.id).is_some_and(|helped| *helped >= PATIENCE)
    }

    fn act(&mut self, saga: &Saga, act: ControlAct, step: Option<Cow<'_, str>>) -> Letter {
        self.events += 1;
        let record = ControlRecord {
            id: Some(format!("act-{}", self.events).into()),
            saga: Cow::Borrowed(&saga.id),
            act,
            step,
            by: "ann".into(),
            why: "looked at it".into(),
            if_state: None,
            outcome: None,
            code: None,
            value: None,
        };
        let value = serde_json::to_vec(&record).expect("it can be written");
        let key = parse_saga_id(&saga.id).1.into_owned();
        let partition = partition_of(key.as_bytes(), PARTITIONS);
        Letter { topic: self.control.clone(), partition, key, value, headers: Vec::new() }
    }

    pub(super) fn often(&mut self, share: f64) -> bool {
        self.random.f64() < share
    }
}

/// The ids of the sagas that an event starts.
pub(super) fn ids_of(definitions: &Definitions, key: &str) -> Vec<Arc<str>> {
    definitions.0.iter().map(|one| ringmaster_schemas::names::saga_id(&one.name, key).into()).collect()
}
