//! The owner of a partition: what counts, what is ahead of it, and what is known of inputs and timers.

use std::collections::VecDeque;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{RowKey, Saga, Status};

use super::admission::Held;
use super::ahead::{Ahead, Read};
use super::book::Book;
use super::clock::Clock;
use super::drain::Drains;
use super::replica::{Replica, is_remembered};
use super::table::Slot;
use super::wheel::Timers;
use super::{Context, Happened, Note, Settings, StartAt, Tag, Why, Wish, law};
use crate::intake::Projections;
use crate::saga::Scratch;

/// While nothing is on its way, an owner looks this often whether its journal ends with its own records: another's claim would be found
/// out only by the next record otherwise.
const LOOK_EVERY_MS: Millis = 2_000;

/// One term of owning, from replay to the next doubt.
pub(super) struct Owner {
    pub(super) settings: Arc<Settings>,
    /// What counts.
    pub(super) replica: Replica,
    /// What is ahead of that.
    pub(super) ahead: Ahead,
    pub(super) inputs: Vec<Input>,
    pub(super) timers: Timers,
    /// Which inputs are held.
    pub(super) held: Held,
    /// By input, whether definitions start on it, and by what of the topic of definitions that is known.
    pub(super) starts: Vec<bool>,
    pub(super) starts_known_to: i64,
    /// Events that nobody waited for, since they were counted last.
    pub(super) unexpected: u64,
    /// Rows that have something to do which waits for nothing.
    pub(super) ready: VecDeque<(Slot, u32)>,
    /// How participants answer.
    pub(super) book: Book,
    /// What goes out of what is parked.
    pub(super) drains: Drains,
    /// Sagas of rows in memory that wait for an answer, with all that is ahead.
    pub(super) asking: usize,
    /// The process is short of memory.
    pub(super) short: bool,
    /// More comes in than the worker takes.
    pub(super) behind: bool,
    /// When rows that may leave memory are looked for next, by the steady clock.
    pub(super) evict_at: Millis,
    pub(super) clock: Clock,
    pub(super) projections: Projections,
    pub(super) scratch: Scratch,
    /// Events of any other sender are of the past.
    sender: u32,
    /// When the journal's end is looked at next, by the steady clock.
    look_at: Millis,
}

/// What the owner knows of the reader of an input.
#[derive(Debug, Clone, Default)]
pub(super) struct Input {
    /// Where it begins, until a confirmed record says so.
    pub(super) begins: Option<i64>,
    /// It is being read.
    pub(super) reading: bool,
    /// It became known while the partition was owned, cannot be read, and is not waited for.
    pub(super) unread: bool,
    /// The reader has been given everything below.
    pub(super) read_to: i64,
    /// No reply or event that was in the log at this time can be unread (PROTOCOL.md rule 11).
    pub(super) clear_to: Millis,
    /// A question for the log's end is out: since when.
    pub(super) asked_at: Option<Millis>,
    /// The answer: when the reader gets to this offset, it is clear up to that time.
    target: Option<(i64, Millis)>,
}

impl Input {
    /// The reader has been given everything below `offset`.
    pub(super) fn read(&mut self, offset: i64) {
        self.read_to = self.read_to.max(offset);
        if let Some((end, asked_at)) = self.target
            && self.read_to >= end
        {
            self.clear_to = self.clear_to.max(asked_at);
            self.target = None;
        }
    }

    /// True if a question for its end may be asked.
    pub(super) fn may_ask(&self) -> bool {
        self.reading && self.asked_at.is_none() && self.target.is_none()
    }
}

impl Owner {
    /// Replay is done: sends again what `released` does not cover, then reads inputs.
    pub(super) fn begin(replica: Replica, sender: u32, mut clock: Clock, cx: &mut Context<'_>) -> Result<Box<Owner>, Why> {
        let settings = replica.settings.clone();
        clock.restart(replica.now, cx.clocks());
        let mut owner = Box::new(Owner {
            ahead: Ahead::of(&replica, cx.steady),
            inputs: vec![Input::default(); settings.inputs.len()],
            timers: Timers::new(settings.inputs.len()),
            held: Held::Nothing,
            starts: Vec::new(),
            starts_known_to: -1,
            unexpected: 0,
            ready: VecDeque::new(),
            book: Book::default(),
            drains: Drains::default(),
            asking: 0,
            short: false,
            behind: false,
            evict_at: Millis::MIN,
            clock,
            projections: Projections::default(),
            scratch: Scratch::default(),
            sender,
            look_at: cx.steady.saturating_add(LOOK_EVERY_MS),
            replica,
            settings,
        });
        owner.asking = owner.recount_asking();
        let probe_at = cx.steady.saturating_add(owner.settings.breaker.probe_ms);
        for (participant, breaker) in owner.replica.breakers.iter() {
            owner.drains.begin(participant, breaker.state, false, probe_at);
        }
        for number in law::to_send_again(&mut owner.replica.outbox) {
            cx.counters.resent += 1;
            cx.out.push(Wish::Send(Tag::Effect(number)));
        }
        crate::faults::reached("resend_done_before_read");
        owner.start_timers(cx)?;
        (0..owner.inputs.len()).try_for_each(|index| owner.read_input(index, cx))?;
        cx.out.push(Wish::Owned);
        Ok(owner)
    }

    fn read_input(&mut self, index: usize, cx: &mut Context<'_>) -> Result<(), Why> {
        let settings = &self.settings.inputs[index];
        let position = self.ahead.reads[index].position;
        let of_that_name = |position: &ringmaster_schemas::journal::Position| position.name == settings.name;
        if position.is_none() && !settings.accept_new && self.replica.positions.iter().any(of_that_name) {
            return Err(Why::TopicMadeAgain { partition: self.settings.number, topic: settings.name.to_string() });
        }
        match (position, settings.start_at) {
            (Some(position), _) => {
                (self.inputs[index].read_to, self.inputs[index].reading) = (position, true);
                self.begin_to_read(index, position, cx);
            }
            (None, StartAt::Earliest | StartAt::Latest) => cx.out.push(Wish::AskInput(index)),
            (None, StartAt::Time(time)) => cx.out.push(Wish::AskInputAt(index, time)),
        }
        Ok(())
    }

    /// Inputs were added to what it is told. One that cannot be read stops nothing: what it would start is not begun, and that is said.
    pub(super) fn learn_inputs(&mut self, settings: Arc<Settings>, cx: &mut Context<'_>) {
        // A record says of which inputs it is: it must not be open across this.
        self.close_record(cx);
        let (known, count) = (self.inputs.len(), settings.inputs.len());
        (self.replica.settings, self.settings) = (settings.clone(), settings);
        self.ahead.learn_inputs(&self.replica);
        self.timers.learn_inputs(count);
        self.inputs.resize(count, Input::default());
        for index in known..count {
            if let Err(why) = self.read_input(index, cx) {
                self.inputs[index].unread = true;
                cx.out.push(Wish::Tell(Note::Unread { why: why.to_string() }));
            }
        }
    }

    pub(super) fn handle(&mut self, what: Happened<'_>, cx: &mut Context<'_>) -> Result<(), Why> {
        match what {
            Happened::Acknowledged { sender, tag, offset } if law::is_of(sender, self.sender) => {
                self.acknowledged(tag, offset, cx);
                Ok(())
            }
            Happened::Failed { sender, tag, why } if sender == self.sender => {
                self.failed(tag, why, cx);
                Ok(())
            }
            Happened::Input { index, record } => self.input(index, &record, cx),
            Happened::InputBounds { index, start, end } => {
                self.input_bounds(index, start, end, cx);
                Ok(())
            }
            Happened::InputBegins { index, offset } => {
                self.begins(index, offset, cx);
                Ok(())
            }
            Happened::CaughtUp { index, offset } => {
                if self.inputs[index].reading {
                    self.inputs[index].read(offset);
                }
                Ok(())
            }
            Happened::OutOfRange { index, position } => self.out_of_range(index, position, cx),
            Happened::Short(short) => {
                self.short = short;
                Ok(())
            }
            Happened::Behind(behind) => {
                self.behind = behind;
                Ok(())
            }
            Happened::PollEnded => self.poll_ended(cx),
            Happened::PollEndedInStop => {
                self.close_record(cx);
                Ok(())
            }
            Happened::Drained => {
                if self.ahead.open.is_none() {
                    self.append_bare(cx);
                }
                Ok(())
            }
            Happened::Acknowledged { .. }
            | Happened::Failed { .. }
            | Happened::Claimed { .. }
            | Happened::JournalBounds { .. }
            | Happened::JournalRecord { .. }
            | Happened::Learned { .. }
            | Happened::DefinitionsEnd { .. }
            | Happened::Doubt => Ok(()),
        }
    }

    /// The answer to a question for an input's bounds: where it begins, or how far it reached when it was asked.
    fn input_bounds(&mut self, index: usize, start: i64, end: i64, cx: &mut Context<'_>) {
        if self.ahead.reads[index].position.is_none() {
            let first = if self.settings.inputs[index].start_at == StartAt::Latest { end } else { start };
            return self.begins(index, first, cx);
        }
        let input = &mut self.inputs[index];
        if let Some(asked_at) = input.asked_at.take() {
            input.target = Some((end, asked_at));
            input.read(input.read_to);
        }
    }

    /// Where an input that is new to the journal begins: journaled before anything of it is read (PROTOCOL.md rule 7).
    fn begins(&mut self, index: usize, first: i64, cx: &mut Context<'_>) {
        if self.ahead.reads[index].position.is_some() {
            return;
        }
        self.close_record(cx);
        self.ahead.reads[index].position = Some(first);
        (self.inputs[index].read_to, self.inputs[index].begins) = (first, Some(first));
        self.append_positions(cx);
    }

    /// The position of an input is not in its log.
    fn out_of_range(&mut self, index: usize, position: i64, cx: &mut Context<'_>) -> Result<(), Why> {
        let settings = &self.settings.inputs[index];
        if !settings.accept_new {
            let topic = settings.name.to_string();
            return Err(Why::InputLost { partition: self.settings.number, topic, position });
        }
        self.inputs[index] = Input::default();
        self.ahead.reads[index] = Read::default();
        cx.out.push(Wish::AskInput(index));
        Ok(())
    }

    /// A poll ended: timers, the record of its turns, and what nothing else carries.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        self.fire_timers(cx)?;
        self.do_work(cx)?;
        self.trip(cx);
        self.drain(cx)?;
        self.expire(cx);
        self.retry_undeliverable(cx);
        self.close_record(cx);
        self.quiet_records(cx);
        self.look_at_journal(cx);
        self.admit(cx);
        Ok(())
    }

    fn look_at_journal(&mut self, cx: &mut Context<'_>) {
        if cx.steady >= self.look_at && self.ahead.is_empty() {
            self.look_at = cx.steady.saturating_add(LOOK_EVERY_MS);
            cx.out.push(Wish::AskJournal);
        }
    }

    /// Where the journal ends. Behind all own records stands a foreign one: that is a doubt, and the scan says whose it is.
    pub(super) fn journal_ends(&mut self, end: i64, cx: &mut Context<'_>) {
        let next = self.replica.fence.next_offset;
        if self.ahead.is_empty() && end > next {
            cx.out.push(Wish::doubt(self.settings.number, &format!("the journal ends at offset {end}, own records at {next}")));
        }
    }

    /// The row at a place with all turns that were decided; none if it does not exist.
    pub(super) fn current(&self, slot: Slot) -> Option<&Arc<Saga>> {
        match self.ahead.rows.get(&slot) {
            Some(current) => Some(&current.saga),
            None => self.replica.table.row(slot).saga.as_ref(),
        }
    }

    /// The saga that a place means now: none if it never was, has not begun, or was forgotten.
    pub(super) fn visible(&self, slot: Slot) -> Option<&Arc<Saga>> {
        self.remembered(slot).filter(|saga| saga.began())
    }

    /// The same, or what came before it.
    pub(super) fn remembered(&self, slot: Slot) -> Option<&Arc<Saga>> {
        let is_there = |saga: &&Arc<Saga>| saga.status != Status::Swept && is_remembered(saga, self.ahead.expired);
        self.current(slot).filter(is_there)
    }

    /// When something of the row at a place is due.
    pub(super) fn due_at(&self, slot: Slot) -> Millis {
        self.visible(slot).map_or(Millis::MAX, |saga| saga.due_at())
    }

    /// The place of a saga's row in memory.
    pub(super) fn slot_of(&self, key: &RowKey) -> Option<Slot> {
        match key {
            RowKey::Saga(id) => self.replica.table.place(id),
            RowKey::Outbox(..) | RowKey::Breaker(_) => None,
        }
    }

    /// The end of the term: what counts is left.
    pub(super) fn give_up(mut self) -> Replica {
        let touched: Vec<Slot> = self.ahead.rows.keys().copied().collect();
        law::drop_ahead(self.ahead, &mut self.replica);
        for slot in touched {
            // A row that no confirmed record made never was.
            if self.replica.table.row(slot).saga.is_none() {
                self.replica.table.evict(slot);
            }
        }
        crate::faults::reached("overlay_dropped_before_reclaim");
        self.replica
    }
}
