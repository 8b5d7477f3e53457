//! Rows name the records of the journal that changed them: whoever makes a change true, live, in a replay, or of a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_core::partition::{Fence, Happened, Replica, Role, Rows as _, Verdict, recount};
use ringmaster_schemas::journal::{Change, JournalRecord, SagaEvent};
use ringmaster_schemas::names::is_value;
use ringmaster_schemas::state::{Batch, RowKey, Saga};

use super::acts::CONTROL;
use super::line::{ALPHAS, Line, settings, without};
use super::stored::Stored;

impl Line {
    /// Stores what is confirmed, if anything is.
    fn stores(&mut self) {
        if let Some(staged) = self.partition.stage_checkpoint() {
            self.store(staged);
        }
    }

    fn sagas(&self) -> impl Iterator<Item = Saga> + '_ {
        self.rows.iter().filter_map(|(key, row)| match key {
            RowKey::Saga(id) => Some(Saga::decode(id, row).expect("a stored row")),
            RowKey::Outbox(..) | RowKey::Breaker(_) | RowKey::Counts => None,
        })
    }

    /// The last turn of a saga, as its row says.
    pub(crate) fn last_turn(&mut self, id: &str) -> i64 {
        self.stores();
        self.sagas().find(|saga| *saga.id == *id).and_then(|saga| saga.turns.last()).expect("its row names one")
    }

    /// Makes of the stored rows what builds stored that did not remember turns; how many are others then.
    pub(crate) fn strip_turns(&mut self) -> usize {
        let stripped: Vec<_> = self.sagas().map(|saga| (RowKey::Saga(saga.id.clone()), saga.encode_state())).collect();
        stripped.into_iter().filter(|(key, row)| self.rows.insert(key.clone(), row.clone()).as_ref() != Some(row)).count()
    }

    fn replayed(&self) -> Batch {
        let mut replica = Replica::new(Arc::new(settings()));
        for (offset, value) in (0..).zip(&self.journal) {
            replica.read(offset, value, &Stored(&None, &BTreeMap::new())).expect("it can be read");
        }
        replica.stage().expect("something is there")
    }

    /// The stored rows are in the state that the journal makes, and add up to their digest.
    pub(crate) fn same_digest(&self) {
        let rows = Stored(&self.stored, &self.rows);
        let stored = rows.checkpoint().expect("it can be read").expect("it is there");
        assert_eq!(recount(&rows, stored.expired_bucket).expect("rows can be read").0, stored.digest);
        assert_eq!(self.replayed().checkpoint.digest, stored.digest);
    }

    /// What rows name of their turns, and what the journal says of that.
    fn named_and_journaled(&mut self) -> (BTreeMap<Arc<str>, String>, BTreeMap<Arc<str>, String>) {
        self.stores();
        let told = |(first, left_out, last): (Vec<i64>, i64, Vec<i64>)| format!("{first:?} {left_out} {last:?}");
        let named = self.sagas().map(|saga| (saga.id.clone(), told(saga.turns.told()))).collect();
        let (mut fence, mut turns) = (Fence::default(), BTreeMap::<Arc<str>, Vec<i64>>::new());
        for (offset, value) in (0..).zip(&self.journal) {
            let record = JournalRecord::decode(value).expect("a record");
            let (Verdict::Counts, JournalRecord::Decision(decision)) = (fence.judge(offset, &record), record) else { continue };
            for change in decision.turns.into_iter().flat_map(|turn| turn.changes) {
                let Change::Saga(change) = change else { continue };
                let turns = turns.entry(change.saga).or_default();
                if change.events.iter().any(|event| matches!(event, SagaEvent::Started { .. })) {
                    turns.clear();
                }
                turns.push(offset);
                turns.dedup();
            }
        }
        let known = |(id, mut first): (Arc<str>, Vec<i64>)| {
            let mut last = first.split_off(first.len().min(8));
            let left_out = last.len().saturating_sub(56);
            last.drain(..left_out);
            let all = if is_value(&id) { (vec![], 0, vec![]) } else { (first, left_out as i64, last) };
            (id, told(all))
        };
        (named, turns.into_iter().map(known).collect())
    }

    /// Rows name their turns, also when they are made anew of the journal, or of what is stored and the rest of it.
    fn names_its_turns(&mut self) {
        let (named, journal) = self.named_and_journaled();
        assert_eq!(named, journal);
        self.same_digest();
        let rows = self.rows.clone();
        let replayed = self.replayed().rows.into_iter().filter(|change| matches!(change.key, RowKey::Saga(_)));
        let replayed: BTreeMap<RowKey, Vec<u8>> = replayed.filter_map(|change| Some((change.key, change.value?))).collect();
        let sagas = rows.into_iter().filter(|(key, _)| matches!(key, RowKey::Saga(_))).collect();
        assert_eq!(replayed, sagas, "live and replayed rows are the same bytes");
    }
}

fn line(change: impl FnOnce(&mut ringmaster_core::partition::Settings)) -> Line {
    Line::of(
        "saga: alpha\nstart: { on: Asked, from: alphas, key: event.id }\nsteps:\n  - { step: task, do: worker.Work, undo: nothing, with: { id: key } }\n",
        |settings| {
            settings.inputs[CONTROL].role = Role::Control;
            change(settings);
        },
    )
}

fn pauses_and_resumes(line: &mut Line, times: usize) {
    for _ in 0..times {
        line.acted(r#""act":"pause""#);
        line.acted(r#""act":"resume""#);
    }
}

/// Two turns in one record, a record that is full, one behind another claim, and what was not confirmed and comes again elsewhere.
fn story() -> Line {
    let mut line = line(|settings| settings.limits.record_turns_max = 3);
    for id in ["one", "two", "three", "four"] {
        line.put(ALPHAS, line.clocks.wall, Some(id), &format!(r#"{{"type":"Asked","id":"{id}"}}"#));
    }
    line.reply("alpha/four", 1, "succeeded", line.clocks.wall);
    line.acknowledge();
    pauses_and_resumes(&mut line, 1);
    line
}

#[test]
fn a_row_names_each_record_that_changed_it_once() {
    let mut line = story();
    line.names_its_turns();
    let records = line.journal.len();
    line.put(CONTROL, line.clocks.wall, Some("one"), r#"{"saga":"alpha/one","by":"ann","why":"seen","act":"pause"}"#);
    line.put(CONTROL, line.clocks.wall, Some("one"), r#"{"saga":"alpha/one","by":"ann","why":"seen","act":"resume"}"#);
    line.poll();
    line.acknowledge();
    assert_eq!(line.journal.len(), records + 1, "two turns of one record");
    line.names_its_turns();
}

#[test]
fn of_many_turns_the_first_and_the_last_are_named() {
    let mut line = story();
    pauses_and_resumes(&mut line, 40);
    line.names_its_turns();
    let (named, _) = line.named_and_journaled();
    assert!(named["alpha/one"].contains("] 19 ["), "{named:?}");
}

/// What was lost on its way is journaled again behind another claim, and stands where it stands.
#[test]
fn what_is_decided_again_behind_another_claim_is_named_where_it_counts() {
    let mut line = story();
    line.stores();
    line.put(CONTROL, line.clocks.wall, Some("two"), r#"{"saga":"alpha/two","by":"ann","why":"seen","act":"pause"}"#);
    line.happens(Happened::PollEnded);
    line.lose_unacknowledged();
    line.next[CONTROL] -= 1;
    line.happens(Happened::Doubt);
    line.wishes.clear();
    let end = line.journal.len() as i64;
    line.happens(Happened::JournalBounds { start: 0, end });
    line.own();
    line.put(CONTROL, line.clocks.wall, Some("two"), r#"{"saga":"alpha/two","by":"ann","why":"seen","act":"pause"}"#);
    line.poll();
    line.acknowledge();
    line.names_its_turns();
    // Another process goes on from what is stored, and one from nothing.
    line.restart(|_| {});
    line.own();
    pauses_and_resumes(&mut line, 2);
    line.names_its_turns();
    (line.stored, line.rows) = (None, BTreeMap::new());
    line.restart(|_| {});
    line.own();
    pauses_and_resumes(&mut line, 2);
    line.names_its_turns();
}

/// Each rule is needed.
#[test]
fn a_turn_that_is_named_wrongly_is_seen() {
    for rule in ["turn_one_offset_late", "turn_forgotten_by_its_owner"] {
        without(rule, || {
            let (named, journal) = story().named_and_journaled();
            assert_ne!(named, journal, "{rule}");
        });
    }
    without("turn_forgotten_in_replay", || {
        let mut line = story();
        line.restart(|_| {});
        line.own();
        let (named, journal) = line.named_and_journaled();
        assert_ne!(named, journal);
    });
}
