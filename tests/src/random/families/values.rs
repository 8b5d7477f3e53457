//! Values in a hostile world: their rows, and letters that come late, in any order, and again. L20 is judged here.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_core::saga::{
    ClaimInput, ClaimNews, Effect, Input, Sender, ValueInput, apply, decide_value, goes_back, value_effects,
};
use ringmaster_schemas::Data;
use ringmaster_schemas::journal::{KeptEvent, Letter, SagaEvent, ValueName};
use ringmaster_schemas::state::{Saga, Waits};

use super::world::World;
use super::write::{TAGGED, TAGS};
use crate::stories::project;

/// The longest that an event waits for whoever looks at it.
const KEPT_MS: i64 = 20_000;

/// The rows of values, and what is on its way between them and those that wait.
#[derive(Default)]
pub(in crate::random) struct Values {
    pub(super) rows: BTreeMap<Arc<str>, Arc<Saga>>,
    pub(super) letters: Vec<Letter>,
    /// Those that came: any may come again.
    came: Vec<Letter>,
    /// Events that came from outside so far.
    events: u32,
    /// By an event's identity, who took it.
    pub(super) taken: BTreeMap<Arc<str>, Arc<str>>,
}

impl World<'_> {
    /// Letters of what was sent are on their way.
    pub(super) fn post(&mut self, sent: &[Effect]) {
        let letters = sent.iter().filter(|effect| Letter::is_one(effect.value()));
        self.values.letters.extend(letters.map(|effect| Letter::decode(effect.value()).expect("a letter can be read")));
    }

    /// A letter comes: any of them, and now and then one that came before.
    pub(super) fn deliver_letter(&mut self) {
        if self.random.u32(0..8) == 0
            && let Some(letter) = self.random.choice(&self.values.came).cloned()
        {
            self.count("letters that came twice");
            return self.open(letter);
        }
        if !self.values.letters.is_empty() {
            let at = self.random.usize(..self.values.letters.len());
            let letter = self.values.letters.swap_remove(at);
            self.values.came.push(letter.clone());
            self.open(letter);
        }
    }

    /// The first letter comes; false if none is on its way.
    pub(super) fn deliver_first_letter(&mut self) -> bool {
        if self.values.letters.is_empty() {
            return false;
        }
        let letter = self.values.letters.remove(0);
        self.open(letter);
        true
    }

    fn open(&mut self, letter: Letter) {
        match letter {
            Letter::Claim(claim) => {
                let id = claim.name.id().into();
                self.value(&id, &ValueInput::Claim(Arc::new(claim)));
            }
            Letter::Release(release) => {
                let id = release.name.id().into();
                self.value(&id, &ValueInput::Release(Arc::new(release)));
            }
            Letter::Given(claim) => {
                let input = ClaimInput { place: claim.place, at: claim.at, news: ClaimNews::Granted };
                if !self.hear_of_value(&claim.row, input) {
                    // What is given to nobody goes back.
                    let row = self.rows.get(&claim.row).cloned();
                    self.values.letters.push(Letter::Release(goes_back(claim, row.as_deref())));
                }
            }
            Letter::Answer(answer) => {
                let news = if answer.granted { ClaimNews::Granted } else { ClaimNews::Denied };
                let input = ClaimInput { place: answer.place, at: answer.at, news };
                self.hear_of_value(&answer.row, input);
            }
            Letter::Event(brought) => {
                let Some(saga) = self.rows.get(&brought.row) else { return };
                let definition = self.known.of_row(saga);
                let (_, listens) = definition.listener(TAGS, TAGGED).expect("what has claimed a value listens to its event");
                let text = String::from_utf8_lossy(brought.event.data.bytes()).into_owned();
                let data = Data::new(&project(&listens.reader, &listens.kept, &text).expect("an event can be read"));
                let news = ClaimNews::Event { source: brought.event.source.clone(), data };
                self.hear_of_value(&brought.row, ClaimInput { place: brought.place, at: brought.at, news });
            }
        }
    }

    /// Like the coordinator: what is for a claim that is no more comes to nobody, which is false.
    fn hear_of_value(&mut self, row: &Arc<str>, input: ClaimInput) -> bool {
        let is_there = self.rows.get(row).and_then(|saga| saga.claim_at(input.place)).is_some_and(|claim| claim.at == input.at);
        if is_there {
            let came = format!("its value's row writes: {:?}", input.news);
            self.turn(row, Input::Claim(input), &came);
        }
        is_there
    }

    /// An event comes from outside, with a value that somebody waits for, or with any.
    pub(super) fn arrive(&mut self) {
        let claimed: Vec<Arc<str>> =
            self.rows.values().flat_map(|saga| saga.claims().iter().map(|claim| claim.name.value.clone())).collect();
        let value = match self.random.choice(&claimed).filter(|_| !claimed.is_empty()).cloned() {
            Some(value) if self.random.u32(0..4) > 0 => value,
            _ => format!("t{}", self.random.u32(0..6)).into(),
        };
        let is_the_one = self.random.u32(0..3) > 0;
        self.arrive_with(&value, is_the_one);
    }

    fn arrive_with(&mut self, value: &Arc<str>, is_the_one: bool) {
        self.values.events += 1;
        let number = self.values.events;
        let text = serde_json::json!({ "tag": &**value, "ok": is_the_one, "n": number }).to_string();
        let name = ValueName { topic: TAGS.into(), kind: TAGGED.into(), field: "tag".into(), value: value.clone() };
        let event = KeptEvent {
            topic: name.topic.clone(),
            kind: name.kind.clone(),
            source: format!("{TAGS}/0/{number}").into(),
            until: self.now + KEPT_MS,
            schema: 0,
            data: Data::new(text.as_bytes()),
        };
        self.count("events that are known by a value");
        self.value(&name.id().into(), &ValueInput::Event(Arc::new(event)));
    }

    /// In a calm world whoever waits and has been given its value gets an event; false if nobody waits so.
    pub(super) fn arrive_for_who_waits(&mut self) -> bool {
        let waits = |saga: &Arc<Saga>| {
            let claim = saga.claims().iter().find(|claim| {
                let waits = saga.entry(claim.place).map(|entry| entry.waits);
                claim.granted && matches!(waits, Some(Waits::Event | Waits::Approval))
            });
            claim.map(|claim| claim.name.value.clone())
        };
        let Some(value) = self.rows.values().find_map(waits) else { return false };
        self.arrive_with(&value, true);
        true
    }

    /// A turn of a value's row: decided, applied, written down, sent.
    pub(super) fn value(&mut self, id: &Arc<str>, input: &ValueInput) {
        let before = self.values.rows.get(id).cloned();
        self.tell(|world| format!("+{} {id}: {input:?}", world.now - 1_900_000_000_000));
        let Ok(decided) = decide_value(id, before.as_ref(), input, self.now) else { return };
        #[cfg(test)]
        self.turns
            .push((self.now, vec![ringmaster_schemas::journal::SagaChange { saga: id.clone(), events: decided.events.clone() }]));
        let mut row = before;
        for event in decided.events {
            self.tell(|_| format!("    {id}: {event:?}"));
            self.report.count(match event {
                SagaEvent::ValueDenied { .. } => "values that were taken",
                SagaEvent::ValueFreed { .. } => "values that were given back",
                SagaEvent::EventsExpired { .. } => "events that nobody looked at",
                _ => "events",
            });
            if let Err(illegal) = apply(id, &mut row, &event, self.now) {
                return self.faults.push(format!("L12: {illegal}"));
            }
            let behind = row.clone().expect("it is there");
            let sender = Sender { id, head: &behind.head, at: self.now, reply_topic: "replies", partition: 0, tracing: None };
            self.post(&value_effects(sender, &behind, &event));
            self.journal.push((id.clone(), event, self.now));
        }
        let Some(row) = row else { return };
        if row != decided.saga {
            self.faults.push(format!("L12: apply makes another state of {id} than decide"));
        }
        match Saga::decode(id, &row.encode()) {
            Ok(read) if read == *row => {}
            _ => self.faults.push(format!("L12: the row of {id} does not survive encoding")),
        }
        self.values.rows.insert(id.clone(), row);
    }

    /// Events that nobody looked at go when their time is over.
    pub(super) fn forget(&mut self) {
        let due = self.values.rows.iter().find(|(_, row)| row.due_at() <= self.now).map(|(id, _)| id.clone());
        if let Some(id) = due {
            self.value(&id, &ValueInput::Due);
        }
    }

    /// L20: what takes an event is the only one that ever does.
    pub(super) fn takes(&mut self, row: &Arc<str>, event: &SagaEvent) {
        let source = match event {
            SagaEvent::EventTaken { event, .. } => &event.source,
            SagaEvent::Answered { answer, .. } => &answer.source,
            _ => return,
        };
        self.report.count("events that were taken by a value");
        if let Some(other) = self.values.taken.insert(source.clone(), row.clone()) {
            self.faults.push(format!("L20: {source} was taken by {other}, and by {row}"));
        }
    }

    /// L20, when no letter is on its way.
    pub(super) fn judge_values(&mut self) {
        let faults = unsettled(self.rows.values(), |id| self.rows.get(id), &self.values.rows);
        self.faults.extend(faults);
    }
}

/// L20, when no letter is on its way: each claim was answered, who waits has its value alone, and no event waits that it has not looked
/// at; what nobody claims nobody has. `rows`: all that claim; `row`: one of them.
pub(in crate::random) fn unsettled<'r>(
    rows: impl Iterator<Item = &'r Arc<Saga>>,
    row: impl Fn(&str) -> Option<&'r Arc<Saga>>,
    values: &BTreeMap<Arc<str>, Arc<Saga>>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for saga in rows {
        for claim in saga.claims() {
            let value = values.get(&*claim.name.id());
            let holder = value.and_then(|value| value.mailbox()).and_then(|mailbox| mailbox.holder.as_ref());
            let has = holder.is_some_and(|holder| holder.row == saga.id && holder.place == claim.place && holder.at == claim.at);
            if !claim.granted || !has {
                faults.push(format!("L20: {} waits for {}, and does not have it", saga.id, claim.name.value));
            }
        }
    }
    for (id, value) in values {
        let Some(holder) = value.mailbox().and_then(|mailbox| mailbox.holder.as_ref()) else { continue };
        let saga = row(&holder.row);
        let claim = saga.and_then(|saga| saga.claim_at(holder.place)).filter(|claim| claim.at == holder.at);
        let (Some(saga), Some(claim)) = (saga, claim) else {
            faults.push(format!("L20: {} has {id}, and waits no more", holder.row));
            continue;
        };
        if saga.ended() {
            faults.push(format!("L20: {} has ended, and has {id}", holder.row));
        }
        let missed = value.early().iter().find(|event| !claim.passed.contains(&event.source));
        let waits = saga.entry(holder.place).map(|entry| entry.waits);
        let waits = matches!(waits, Some(Waits::Event | Waits::Approval));
        faults.extend(missed.filter(|_| waits).map(|event| format!("L20: {} never came to {}", event.source, holder.row)));
    }
    faults
}
