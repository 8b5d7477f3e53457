//! Two owners, the log, and what is on its way between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use ringmaster_core::definition::Catalog;
use ringmaster_core::intake::InputRecord;
use ringmaster_core::partition::{Context, Counters, Happened, Partition, Refusal, StageName, Tag, Wish};
use ringmaster_schemas::Millis;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Checkpoint, RowKey};

use super::action::{Action, Bounds};
use crate::line::{ALPHAS, BEGIN, DEFINITIONS, deploy, settings};
use crate::stored::Stored;

/// Definitions and schemas: the same in every state.
pub(super) struct Known {
    catalog: Catalog,
    schemas: Schemas,
}

impl Known {
    pub(super) fn new() -> Known {
        let (mut catalog, mut schemas) = (Catalog::default(), Schemas::builtin());
        deploy(&mut catalog, &mut schemas, DEFINITIONS);
        Known { catalog, schemas }
    }
}

/// One owner, as it believes.
pub(super) struct Owner {
    pub(super) partition: Partition,
    pub(super) sender: u32,
    /// It may claim.
    pub(super) ready: bool,
    /// On their way, oldest first.
    pub(super) wire: VecDeque<(Tag, Vec<u8>)>,
    /// In the log, and not heard of.
    pub(super) unheard: VecDeque<(Tag, i64)>,
    /// Given up, and perhaps still on their way.
    pub(super) late: VecDeque<Vec<u8>>,
    /// What it sent for others, and is on its way, oldest first.
    pub(super) post: VecDeque<(Tag, String)>,
    pub(super) reads: Option<i64>,
    pub(super) input: Option<i64>,
    pub(super) stored: Option<Checkpoint>,
    pub(super) rows: BTreeMap<RowKey, Vec<u8>>,
    /// Over all that it was told.
    pub(super) told: DefaultHasher,
    /// It has stopped for good.
    pub(super) ended: bool,
}

/// All of it.
pub(super) struct Site<'a> {
    known: &'a Known,
    pub(super) bounds: Bounds,
    pub(super) log: Vec<Vec<u8>>,
    pub(super) owners: [Owner; 2],
    claims: u8,
    /// What is sent arrives by an action of its own.
    has_post: bool,
    /// What arrived elsewhere.
    pub(super) sent: BTreeSet<String>,
    pub(super) broken: Option<String>,
}

impl Owner {
    pub(super) fn new() -> Owner {
        Owner {
            partition: Partition::new(settings()),
            sender: 0,
            ready: true,
            wire: VecDeque::new(),
            unheard: VecDeque::new(),
            late: VecDeque::new(),
            post: VecDeque::new(),
            reads: None,
            input: None,
            stored: None,
            rows: BTreeMap::new(),
            told: DefaultHasher::new(),
            ended: false,
        }
    }
}

impl<'a> Site<'a> {
    /// What these actions come to; an error says which law is broken behind the last.
    pub(super) fn along(known: &'a Known, bounds: &Bounds, path: &[Action]) -> Result<Site<'a>, String> {
        let (log, owners) = (Vec::new(), [Owner::new(), Owner::new()]);
        let (sent, has_post) = (BTreeSet::new(), bounds.drains > 0);
        let mut site = Site { known, bounds: *bounds, log, owners, claims: 0, has_post, sent, broken: None };
        path.iter().for_each(|action| site.act(*action));
        site.laws()?;
        Ok(site)
    }

    /// What two paths have in common that come to the same.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut all = DefaultHasher::new();
        (&self.log, &self.sent, self.claims).hash(&mut all);
        for (owner, number) in self.owners.iter().zip(0..) {
            (number, owner.told.finish(), &owner.wire, &owner.unheard, &owner.late, &owner.post).hash(&mut all);
            (owner.reads, owner.input, owner.ready, owner.ended).hash(&mut all);
        }
        let Bounds { claims, inputs, lost, late, blind, crashes, checkpoints, drains } = self.bounds;
        (claims, inputs, lost, late, blind, crashes, checkpoints, drains).hash(&mut all);
        all.finish()
    }

    /// All that can happen now.
    pub(super) fn possible(&self) -> Vec<Action> {
        let mut all = Vec::new();
        for (number, owner) in self.owners.iter().enumerate() {
            let Bounds { claims, inputs, lost, late, blind, crashes, checkpoints, drains } = self.bounds;
            let mut may = |is_possible: bool, action: Action| {
                if is_possible {
                    all.push(action);
                }
            };
            // Both are alike until one has claimed.
            let is_first = self.claims > 0 || number == 0;
            may(!owner.ended && owner.ready && claims > 0 && is_first, Action::Claim(number));
            may(!owner.wire.is_empty(), Action::Append(number));
            may(!owner.unheard.is_empty(), Action::Acknowledge(number));
            may(!owner.unheard.is_empty() && blind > 0, Action::AcknowledgeBlindly(number));
            may(!owner.unheard.is_empty() && lost > 0, Action::Lose(number));
            may(!owner.wire.is_empty() && late > 0, Action::GiveUp(number));
            may(!owner.late.is_empty(), Action::Late(number));
            may(owner.reads.is_some_and(|at| at < self.log.len() as i64), Action::Read(number));
            may(owner.input.is_some_and(|at| at < inputs), Action::Input(number));
            may(checkpoints > 0 && owner.partition.journal_offset() > 0, Action::Store(number));
            // Where what is sent arrives by an action of its own, only while it is on its way: nothing of it can be lost else.
            let is_worth_it = !self.has_post || !owner.post.is_empty();
            may(crashes > 0 && owner.sender > 0 && is_worth_it, Action::Crash(number));
            may(!owner.post.is_empty(), Action::Deliver(number));
            may(drains > 0 && owner.partition.stage() == StageName::Owning && is_worth_it, Action::Drain(number));
        }
        all
    }

    fn spend(bound: &mut usize) {
        *bound = bound.saturating_sub(1);
    }

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Claim(number) => self.claim(number),
            Action::Append(number) => {
                if let Some((tag, bytes)) = self.owners[number].wire.pop_front() {
                    let offset = self.append(bytes);
                    self.owners[number].unheard.push_back((tag, offset));
                }
            }
            Action::Acknowledge(number) => self.acknowledge(number, true),
            Action::AcknowledgeBlindly(number) => {
                Self::spend(&mut self.bounds.blind);
                self.acknowledge(number, false);
            }
            Action::Lose(number) => {
                Self::spend(&mut self.bounds.lost);
                let lost = self.owners[number].unheard.pop_front();
                self.fail(number, lost.map(|(tag, _)| tag));
            }
            Action::GiveUp(number) => {
                Self::spend(&mut self.bounds.late);
                if let Some((tag, bytes)) = self.owners[number].wire.pop_front() {
                    self.owners[number].late.push_back(bytes);
                    self.fail(number, Some(tag));
                }
            }
            Action::Late(number) => {
                if let Some(bytes) = self.owners[number].late.pop_front() {
                    self.append(bytes);
                }
            }
            Action::Read(number) => self.read(number),
            Action::Input(number) => self.input(number),
            Action::Store(number) => {
                Self::spend(&mut self.bounds.checkpoints);
                self.store(number);
            }
            Action::Crash(number) => {
                Self::spend(&mut self.bounds.crashes);
                let before = std::mem::replace(&mut self.owners[number], Owner::new());
                let after = &mut self.owners[number];
                // What it had sent may be on its way for a while.
                after.late = before.late.into_iter().chain(before.wire.into_iter().map(|(_, bytes)| bytes)).collect();
                (after.sender, after.stored, after.rows) = (before.sender, before.stored, before.rows);
                ("crash", before.told.finish()).hash(&mut after.told);
            }
            Action::Deliver(number) => {
                if let Some((tag, effect)) = self.owners[number].post.pop_front() {
                    self.arrives(&effect);
                    let sender = self.owners[number].sender;
                    self.tell(number, &("delivered", tag), Happened::Acknowledged { sender, tag, offset: None });
                }
            }
            Action::Drain(number) => {
                Self::spend(&mut self.bounds.drains);
                self.tell(number, &"drained", Happened::Drained);
            }
        }
    }

    fn append(&mut self, bytes: Vec<u8>) -> i64 {
        self.log.push(bytes);
        self.log.len() as i64 - 1
    }

    fn claim(&mut self, number: usize) {
        Self::spend(&mut self.bounds.claims);
        self.claims += 1;
        let id = [self.claims; 16];
        let owner = &mut self.owners[number];
        owner.sender += 1;
        owner.ready = false;
        let sender = owner.sender;
        self.tell(number, &("claims", id), Happened::Claimed { id, sender });
    }

    fn acknowledge(&mut self, number: usize, knows: bool) {
        if let Some((tag, offset)) = self.owners[number].unheard.pop_front() {
            let (sender, offset) = (self.owners[number].sender, knows.then_some(offset));
            self.tell(number, &("acknowledged", tag, offset), Happened::Acknowledged { sender, tag, offset });
        }
    }

    fn fail(&mut self, number: usize, tag: Option<Tag>) {
        let Some(tag) = tag else { return };
        let (sender, why) = (self.owners[number].sender, Refusal::Passing("no answer".to_owned()));
        self.tell(number, &("failed", tag), Happened::Failed { sender, tag, why: &why });
    }

    fn read(&mut self, number: usize) {
        let Some(offset) = self.owners[number].reads else { return };
        let Some(value) = self.log.get(offset as usize).cloned() else { return };
        self.owners[number].reads = Some(offset + 1);
        self.tell(number, &("read", offset), Happened::JournalRecord { offset, value: &value });
        self.read(number);
    }

    fn input(&mut self, number: usize) {
        let Some(offset) = self.owners[number].input else { return };
        self.owners[number].input = Some(offset + 1);
        let id = format!("s{offset}");
        let value = format!(r#"{{"type":"Asked","id":"{id}"}}"#);
        let record =
            InputRecord { offset, timestamp: BEGIN, key: Some(id.as_bytes()), value: Some(value.as_bytes()), headers: None };
        self.tell(number, &("input", offset), Happened::Input { index: ALPHAS, record });
        self.tell(number, &"poll", Happened::PollEnded);
    }

    fn store(&mut self, number: usize) {
        let owner = &mut self.owners[number];
        "store".hash(&mut owner.told);
        let Some(batch) = owner.partition.stage_checkpoint() else { return };
        owner.partition.stored(&batch);
        for change in batch.rows {
            match change.value {
                Some(row) => drop(owner.rows.insert(change.key, row)),
                None => drop(owner.rows.remove(&change.key)),
            }
        }
        owner.stored = Some(batch.checkpoint);
    }

    /// Tells an owner what happened, and does what it wishes.
    fn tell(&mut self, number: usize, what: &impl Hash, happened: Happened<'_>) {
        let owner = &mut self.owners[number];
        what.hash(&mut owner.told);
        let (mut out, mut counters) = (Vec::new(), Counters::default());
        let now: Millis = BEGIN;
        let mut context = Context {
            now,
            steady: 7_000,
            catalog: &self.known.catalog,
            schemas: &self.known.schemas,
            rows: &Stored(&owner.stored, &owner.rows),
            out: &mut out,
            counters: &mut counters,
        };
        owner.partition.handle(happened, &mut context);
        out.into_iter().for_each(|wish| self.grant(number, wish));
    }

    fn grant(&mut self, number: usize, wish: Wish) {
        let owner = &mut self.owners[number];
        match wish {
            Wish::Append { bytes, tag } => owner.wire.push_back((tag, bytes)),
            Wish::Send(tag) => {
                let effect = owner.partition.effect(tag).map(|effect| String::from_utf8_lossy(effect.value()).into_owned());
                if let Some(effect) = effect {
                    self.leaves(&effect);
                    if self.has_post {
                        self.owners[number].post.push_back((tag, effect));
                    } else {
                        self.arrives(&effect);
                    }
                }
            }
            Wish::ReadJournal(from) => owner.reads = Some(from),
            Wish::StopJournal => owner.reads = None,
            Wish::AskJournal => {
                let end = self.log.len() as i64;
                self.tell(number, &("bounds", end), Happened::JournalBounds { start: 0, end });
            }
            Wish::ReadInput(ALPHAS, from) => owner.input = Some(from),
            Wish::StopInputs => owner.input = None,
            Wish::AskInput(index) => {
                let end = if index == ALPHAS { self.bounds.inputs } else { 0 };
                self.tell(number, &("input bounds", index), Happened::InputBounds { index, start: 0, end });
            }
            Wish::Doubt(_) => {
                // Its sender is given up: what is on its way may come or not, and nobody hears of it.
                owner.late.extend(owner.wire.drain(..).map(|(_, bytes)| bytes));
                owner.unheard.clear();
                owner.post.clear();
                self.tell(number, &"doubt", Happened::Doubt);
            }
            Wish::Ready => owner.ready = true,
            Wish::ClearStore => {
                owner.stored = None;
                owner.rows.clear();
            }
            Wish::StepDown(_) => owner.ended = true,
            _ => {}
        }
    }
}
