//! The owner of a partition: what counts, what is ahead of it, and what is known of inputs and timers.

use std::collections::VecDeque;
use std::sync::Arc;

use ringmaster_schemas::Millis;

use super::admission::Held;
use super::ahead::{Ahead, Read};
use super::book::Book;
use super::clock::Clock;
use super::drain::Drains;
use super::late::LookedAt;
use super::replica::Replica;
use super::route::Route;
use super::router::Router;
use super::table::Slot;
use super::wheel::Timers;
use super::{Context, Happened, InputSettings, Note, Settings, StartAt, Tag, Why, Wish, law};
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
    /// What is on its way to the inbox.
    pub(super) router: Router,
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
#[derive(Debug, Default)]
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
    /// Of a topic that is routed.
    pub(super) route: Option<Box<Route>>,
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

    /// By what name the journal keeps where it goes on.
    pub(super) fn place(&self, settings: &InputSettings) -> Arc<str> {
        self.route.as_ref().map_or_else(|| settings.name.clone(), |route| route.place.clone())
    }

    /// True if a question for its end may be asked.
    pub(super) fn may_ask(&self) -> bool {
        self.reading && self.asked_at.is_none() && self.target.is_none()
    }
}

impl Owner {
    /// Replay is done: sends again what `released` does not cover, then reads inputs.
    pub(super) fn begin(mut replica: Replica, sender: u32, mut clock: Clock, cx: &mut Context<'_>) -> Result<Box<Owner>, Why> {
        let settings = replica.settings.clone();
        clock.restart(replica.now, cx.clocks());
        replica.make_late_effects(LookedAt::Sent);
        let mut owner = Box::new(Owner {
            ahead: Ahead::of(&replica, cx.steady),
            inputs: settings.inputs.iter().map(|_| Input::default()).collect(),
            router: Router::default(),
            timers: Timers::new(&settings.inputs),
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
            owner.drains.begin(participant, breaker, false, probe_at);
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
        let settings = self.settings.clone();
        let (input, place) = (&settings.inputs[index], settings.place_of(index));
        if settings.partition_of(index).is_none() {
            // The topic has no such partition: nothing is to be read, and nothing waits for it.
            self.inputs[index].unread = true;
            return Ok(());
        }
        self.inputs[index].route = self.route_of(index);
        self.router.has_routes |= self.inputs[index].route.is_some();
        let position = self.ahead.reads[index].position;
        let other_place = self.place_otherwise(index);
        let otherwise = other_place.as_deref().and_then(|place| self.replica.position(input.topic, place));
        let first = position.max(otherwise);
        let is_known = |name: &Arc<str>| *name == place || Some(name) == other_place.as_ref();
        if first.is_none() && !input.accept_new && self.replica.positions.iter().any(|position| is_known(&position.name)) {
            return Err(Why::TopicMadeAgain { partition: settings.number, topic: input.name.to_string() });
        }
        match (first, input.start_at) {
            (Some(first), _) if position.is_none() => self.begins(index, first, cx),
            (Some(first), _) => self.go_on_at(index, first, cx),
            // A topic that has more partitions than before was known then.
            (None, _) if self.knows_another_of(index) => cx.out.push(Wish::AskInput(index)),
            (None, StartAt::Earliest | StartAt::Latest) => cx.out.push(Wish::AskInput(index)),
            (None, StartAt::Time(time)) => cx.out.push(Wish::AskInputAt(index, time)),
        }
        Ok(())
    }

    fn go_on_at(&mut self, index: usize, first: i64, cx: &mut Context<'_>) {
        self.ahead.skipped += usize::from(self.ahead.reads[index].journaled != Some(first));
        self.ahead.reads[index].position = Some(first);
        (self.inputs[index].read_to, self.inputs[index].reading) = (first, true);
        if let Some(route) = &mut self.inputs[index].route {
            route.commit = first;
            route.look_at_keys(&self.settings.inputs[index].name, cx.catalog);
        }
        if self.inputs[index].route.as_ref().is_none_or(|route| route.closed.is_none()) {
            self.begin_to_read(index, first, cx);
        }
    }

    /// Another partition of the same topic is routed already.
    fn knows_another_of(&self, index: usize) -> bool {
        let topic = self.settings.inputs[index].topic;
        self.inputs[index].route.is_some() && self.replica.positions.iter().any(|position| position.topic == topic)
    }

    /// Inputs were added to what it is told. One that cannot be read stops nothing: what it would start is not begun, and that is said.
    pub(super) fn learn_inputs(&mut self, settings: Arc<Settings>, cx: &mut Context<'_>) {
        // A record says of which inputs it is: it must not be open across this.
        self.close_record(cx);
        let (known, count) = (self.inputs.len(), settings.inputs.len());
        (self.replica.settings, self.settings) = (settings.clone(), settings);
        self.ahead.learn_inputs(&self.replica);
        self.timers.learn_inputs(&self.settings.inputs);
        self.inputs.resize_with(count, Input::default);
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
            Happened::SnapshotBounds { .. }
            | Happened::SnapshotRecord { .. }
            | Happened::SnapshotsRead { .. }
            | Happened::SnapshotsLost => Ok(()),
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
                match &self.ahead.open {
                    None if self.ahead.skipped > 0 => self.append_positions(cx),
                    None => self.append_bare(cx),
                    Some(_) => {}
                }
                Ok(())
            }
            Happened::Acknowledged { .. }
            | Happened::Failed { .. }
            | Happened::Claimed { .. }
            | Happened::Followed
            | Happened::JournalRead { .. }
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
            let is_late = law::begins_at_end(self.settings.inputs[index].start_at, self.inputs[index].route.is_some())
                && !self.knows_another_of(index);
            return self.begins(index, if is_late { end } else { start }, cx);
        }
        self.source_ends(index, end);
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
        if let Some(route) = &mut self.inputs[index].route {
            route.begins(first);
            route.look_at_keys(&self.settings.inputs[index].name, cx.catalog);
            if route.closed.is_some() {
                route.pin();
            }
        }
        self.append_positions(cx);
    }

    /// Inputs that are to be read, and of which no confirmed record says where they begin.
    pub(super) fn unbegun(&self) -> impl Iterator<Item = &InputSettings> {
        let is_begun = |input: &Input, read: &Read| input.unread || read.position.is_some() && input.begins.is_none();
        let all = self.settings.inputs.iter().zip(&self.inputs).zip(&self.ahead.reads);
        all.filter_map(move |((settings, input), read)| (!is_begun(input, read)).then_some(settings))
    }

    /// Where inputs are read on: each with its partition of the topic, and the next offset that was not taken.
    pub(super) fn reads(&self) -> impl Iterator<Item = (&InputSettings, i32, i64)> {
        let all = self.settings.inputs.iter().zip(&self.ahead.reads).enumerate();
        all.filter_map(|(index, (input, read))| Some((input, self.settings.partition_of(index)?, read.position?)))
    }

    /// The position of an input is not in its log.
    fn out_of_range(&mut self, index: usize, position: i64, cx: &mut Context<'_>) -> Result<(), Why> {
        let settings = &self.settings.inputs[index];
        if !settings.accept_new {
            let topic = settings.name.to_string();
            return Err(Why::InputLost { partition: self.settings.number, topic, position });
        }
        let route = self.route_of(index);
        self.router.forget(index);
        self.inputs[index] = Input { route, ..Input::default() };
        self.ahead.reads[index] = Read::default();
        cx.out.push(Wish::AskInput(index));
        Ok(())
    }

    /// A poll ended: timers, the record of its turns, and what nothing else carries.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        self.fire_timers(cx)?;
        self.do_work(cx)?;
        if self.router.has_routes {
            self.tend_routes(cx);
        }
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
