//! What others do for a crowd: they start sagas, tell them events, answer approvals, ask again, pause and cancel; in a calm crowd all that
//! anything waits for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use ringmaster_core::definition::Definition;
use ringmaster_core::intake::{ControlAct, ControlOutcome, ControlRecord};
use ringmaster_core::saga::name_of;
use ringmaster_schemas::journal::Place;
use ringmaster_schemas::names::{below, parse_saga_id, partition_of, root_of};
use ringmaster_schemas::state::{Entry, Saga, Waits, Work};
use serde_json::value::RawValue;

use super::super::behave::{Account, Participants};
use super::super::families::known::Known;
use super::super::families::write::{ITEMS_MAX, TAGGED, TAGS};
use super::super::generate::{EVENTS, STOP};
use super::super::value::FIELDS;
use super::super::write::START;
use super::definitions::Definitions;
use super::family::Family;
use super::judge::Start;
use crate::laws::is_undone_with;
use crate::live::{Letter, PARTITIONS};
use crate::stories::Said;

/// In a calm crowd people help what is stuck so often at most.
const PATIENCE: u32 = 5;
/// So often they ask again; behind that they look how it ended, and say so.
const ASKED_AGAIN: u32 = 2;
/// For what they did to come to something, beside the time that answers take.
const HELP_BEHIND: Duration = Duration::from_secs(3);

/// Whose hand it is in.
pub(super) struct People {
    pub(super) random: Rng,
    control: String,
    /// Events so far: each is another one.
    events: u64,
    /// How often a row that is stuck was helped in a calm crowd, and when that was last.
    helped: BTreeMap<Arc<str>, (u32, Instant)>,
    help_every: Duration,
}

impl People {
    pub(super) fn new(seed: u64, control: String, answer_within: Duration) -> People {
        let help_every = answer_within + HELP_BEHIND;
        People { random: Rng::with_seed(seed), control, events: 0, helped: BTreeMap::new(), help_every }
    }

    /// The event by which a saga of each definition starts, and what it says.
    pub(super) fn start(&mut self, key: &str) -> (Letter, Start) {
        let fields: [i64; FIELDS.len()] = std::array::from_fn(|_| self.random.i64(0..5));
        let mut list = |most: usize| (0..self.random.usize(..=most)).map(|_| self.random.i64(0..5)).collect::<Vec<i64>>();
        let (items, few) = (list(ITEMS_MAX), list(2));
        let mut event = serde_json::json!({ "id": key, "n": self.random.i64(0..5), "items": items, "few": few });
        FIELDS.iter().zip(fields).for_each(|(name, value)| event[*name] = value.into());
        (self.event("wanted", START, key, &event), Start { fields, event })
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
        let event = serde_json::json!({ "id": key, "n": self.random.i64(0..5) });
        self.event("cames", kind, key, &event)
    }

    /// The event by which sagas of this key are cancelled, where they listen to it.
    fn stop(&mut self, key: &str) -> Letter {
        self.event("stops", STOP, key, &serde_json::json!({ "id": key, "n": 0 }))
    }

    /// An event that is known by a value, which rows wait for that have claimed it.
    fn tagged(&mut self, value: &str, is_the_one: bool) -> Letter {
        let event = serde_json::json!({ "tag": value, "ok": is_the_one, "n": self.random.i64(0..5) });
        self.event(TAGS, TAGGED, value, &event)
    }

    fn event(&mut self, topic: &str, kind: &str, key: &str, event: &serde_json::Value) -> Letter {
        self.events += 1;
        Letter {
            topic: topic.to_owned(),
            partition: partition_of(key.as_bytes(), PARTITIONS),
            key: key.to_owned(),
            value: event.to_string().into_bytes(),
            headers: vec![
                ("ce_type", kind.to_owned()),
                ("ce_source", "crowd".to_owned()),
                ("ce_id", format!("event-{}", self.events)),
            ],
        }
    }

    /// What somebody does about a saga that is not over, if anything.
    pub(super) fn about(
        &mut self,
        definitions: &Definitions,
        definition: &Definition,
        (saga, participants): (&Saga, Option<&mut Participants>),
        calm: bool,
    ) -> Option<Letter> {
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
        if !calm && self.often(0.8) {
            return None;
        }
        let (_, place) = self.waiting([saga].into_iter(), calm)?;
        let entry = saga.entry(place)?;
        match entry.waits {
            Waits::Approval => Some(self.answer(definition, saga, entry)),
            Waits::Event => Some(self.came(&key)),
            _ => self.help(definition, (saga, place), participants, calm),
        }
    }

    /// A place of these rows at which somebody may do something now.
    fn waiting<'s>(&mut self, rows: impl Iterator<Item = &'s Saga>, calm: bool) -> Option<(&'s Saga, Place)> {
        let waits = |row: &'s Saga| {
            let entries = (0..).zip(&row.entries);
            let may = |entry: &Entry| match entry.waits {
                Waits::Approval | Waits::Event => true,
                Waits::Stuck => !calm || self.may_help(row),
                _ => false,
            };
            entries.filter(|(_, entry)| may(entry)).map(|(place, _)| (row, place)).collect::<Vec<_>>()
        };
        let waiting: Vec<(&Saga, Place)> = rows.flat_map(waits).collect();
        self.random.choice(waiting)
    }

    fn answer(&mut self, definition: &Definition, row: &Saga, entry: &Entry) -> Letter {
        let act = if self.random.u32(0..3) > 0 { ControlAct::Approve } else { ControlAct::Refuse };
        self.act(row, act, Some(name_of(definition, entry).into()))
    }

    /// What somebody does about a saga with items and sub-sagas that is not over, if anything.
    pub(super) fn about_family(
        &mut self,
        known: &Known,
        (family, participants): (&Family, Option<&mut Participants>),
        calm: bool,
    ) -> Option<Letter> {
        let is_item = |row: &Saga| below(&row.id).is_some_and(|below| below.item.is_some());
        let is_own = |row: &Saga| row.paused().is_some_and(|paused| !paused.is_with_above());
        let paused = family.rows.values().find(|row| is_own(row));
        if let Some(row) = paused.filter(|_| calm || self.often(0.3)) {
            return Some(self.act(row, ControlAct::Resume, None));
        }
        if !calm && self.often(0.013) {
            let whole: Vec<&Arc<Saga>> = family.rows.values().filter(|row| !is_item(row)).collect();
            let row = *self.random.choice(&whole)?;
            let is_root = below(&row.id).is_none();
            let act = if is_root && self.often(0.25) { ControlAct::Cancel } else { ControlAct::Pause };
            return Some(self.act(row, act, None));
        }
        if !calm && self.often(0.8) {
            return None;
        }
        let (row, place) = self.waiting(family.rows.values().map(|row| &**row), calm)?;
        let (entry, definition) = (row.entry(place)?, known.of_row(row));
        let value = row.claim_at(place).filter(|claim| claim.granted).map(|claim| claim.name.value.clone());
        match (entry.waits, value) {
            (Waits::Stuck, _) => self.help(definition, (row, place), participants, calm),
            (Waits::Event, value) => {
                let is_the_one = calm || self.random.u32(0..3) > 0;
                Some(self.tagged(&value?, is_the_one))
            }
            (_, Some(value)) if self.random.bool() => {
                let is_the_one = self.random.bool();
                Some(self.tagged(&value, is_the_one))
            }
            _ => Some(self.answer(definition, row, entry)),
        }
    }

    fn may_help(&self, row: &Saga) -> bool {
        let is_over = |(times, at): &(u32, Instant)| *times < PATIENCE && at.elapsed() >= self.help_every;
        self.helped.get(&row.id).is_none_or(is_over)
    }

    /// Asks again what is stuck; in a calm crowd, where that is of no use, asks its participant, and says what it says.
    fn help(
        &mut self,
        definition: &Definition,
        (row, place): (&Saga, Place),
        participants: Option<&mut Participants>,
        calm: bool,
    ) -> Option<Letter> {
        let entry = row.entry(place)?;
        let name: Cow<'static, str> = name_of(definition, entry).into();
        let is_unknown = entry.work == Work::Asked && is_undone_with(definition, row, usize::from(place));
        let times = self.helped.get(&row.id).map_or(0, |(times, _)| *times);
        if calm {
            self.helped.insert(row.id.clone(), (times + 1, Instant::now()));
        }
        let asked = entry.order.as_ref().filter(|_| matches!(entry.work, Work::Asked | Work::UndoAsked));
        match (asked, participants) {
            (Some(order), Some(participants)) if calm && (is_unknown || times >= ASKED_AGAIN) => {
                let below = row.id.strip_prefix(root_of(&row.id)).unwrap_or_default();
                let step = format!("{below}/{}", order.step());
                Some(self.resolve(row, name, (entry.work, &step[1..]), participants))
            }
            _ => Some(self.act(row, ControlAct::Retry, Some(name))),
        }
    }

    /// Says how something ended, as its participant has it; what was not done will not be.
    fn resolve(
        &mut self,
        row: &Saga,
        name: Cow<'static, str>,
        (work, step): (Work, &str),
        participants: &mut Participants,
    ) -> Letter {
        let done = participants.accounts.get(step).and_then(Account::result).filter(|_| work == Work::Asked);
        if done.is_none() {
            participants.close(step);
        }
        let value = match &done {
            Some(Said::Succeeded(Some(result))) => RawValue::from_string(result.clone()).ok(),
            _ => None,
        };
        let is_well = done.is_some() || work == Work::UndoAsked;
        let outcome = if is_well { ControlOutcome::Succeeded } else { ControlOutcome::Refused };
        let said =
            ControlRecord { outcome: Some(outcome), value: value.as_deref(), ..record(row, ControlAct::Resolve, Some(name)) };
        self.post(row, said)
    }

    /// Whether nobody does more for a row that is stuck.
    pub(super) fn is_left(&self, row: &Saga) -> bool {
        self.helped.get(&row.id).is_some_and(|(times, _)| *times >= PATIENCE)
    }

    /// Whether that is all that one of one row waits for.
    pub(super) fn leaves(&self, saga: &Saga) -> bool {
        let is_stuck = saga.entries.iter().any(|entry| entry.waits == Waits::Stuck);
        let waits = saga.entries.iter().any(|entry| matches!(entry.waits, Waits::Approval | Waits::Event));
        is_stuck && !waits && self.is_left(saga)
    }

    fn act(&mut self, row: &Saga, act: ControlAct, step: Option<Cow<'_, str>>) -> Letter {
        self.post(row, record(row, act, step))
    }

    fn post(&mut self, row: &Saga, said: ControlRecord<'_>) -> Letter {
        self.events += 1;
        let said = ControlRecord { id: Some(format!("act-{}", self.events).into()), ..said };
        let value = serde_json::to_vec(&said).expect("it can be written");
        let key = parse_saga_id(&row.id).1.into_owned();
        let partition = partition_of(key.as_bytes(), PARTITIONS);
        Letter { topic: self.control.clone(), partition, key, value, headers: Vec::new() }
    }

    pub(super) fn often(&mut self, share: f64) -> bool {
        self.random.f64() < share
    }
}

fn record<'a>(row: &'a Saga, act: ControlAct, step: Option<Cow<'a, str>>) -> ControlRecord<'a> {
    ControlRecord {
        id: None,
        saga: Cow::Borrowed(&row.id),
        act,
        step,
        by: "ann".into(),
        why: "looked at it".into(),
        if_turn: None,
        outcome: None,
        code: None,
        value: None,
    }
}

/// The ids of the sagas that an event starts.
pub(super) fn ids_of(definitions: &Definitions, key: &str) -> Vec<Arc<str>> {
    definitions.0.iter().map(|one| ringmaster_schemas::names::saga_id(&one.name, key).into()).collect()
}
