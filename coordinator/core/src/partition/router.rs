//! The router: records of topics that are not read directly are handed on to the partitions that their sagas live in, by the inbox
//! (PROTOCOL.md section 4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{QuarantineReason, Quarantined, Routed, RoutedHeader, RoutedStart};
use ringmaster_schemas::names;

use super::owner::Owner;
use super::route::{Closed, Route};
use super::taken::Taken;
use super::{Context, Forward, Note, Refusal, Role, Tag, Wish, law};
use crate::definition::{Definition, Starting};
use crate::faults::{mutated, reached};
use crate::intake::{Event, InputRecord, Origin, Refused, Typing};

/// Behind a failure it is sent again after this time.
const AGAIN_AFTER_MS: Millis = 100;

/// What routes of a partition have on their way.
#[derive(Debug, Default)]
pub(super) struct Router {
    /// Number of the next record.
    next: u64,
    on_their_way: HashMap<u64, OnItsWay>,
    bytes: usize,
    /// Some input is routed.
    pub(super) has_routes: bool,
}

#[derive(Debug)]
struct OnItsWay {
    index: usize,
    offset: i64,
    bytes: usize,
}

impl Router {
    /// True if nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.on_their_way.is_empty()
    }

    /// How many records are.
    pub(super) fn len(&self) -> usize {
        self.on_their_way.len()
    }

    /// And how many bytes of them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self, number: u64) -> Option<OnItsWay> {
        let found = self.on_their_way.remove(&number)?;
        self.bytes -= found.bytes;
        Some(found)
    }

    pub(super) fn forget(&mut self, index: usize) {
        self.on_their_way.retain(|_, one| one.index != index);
        self.bytes = self.on_their_way.values().map(|one| one.bytes).sum();
    }
}

/// Where a record goes.
#[derive(Default)]
struct Destinations {
    starts: BTreeMap<i32, Vec<RoutedStart>>,
    others: BTreeSet<i32>,
    refused: Vec<Quarantined>,
    /// Nothing of it can be taken.
    as_a_whole: bool,
}

impl Owner {
    /// Hands a record of a topic that is routed on, once it is known that it is the next.
    #[inline(never)]
    pub(super) fn route(&mut self, index: usize, record: &InputRecord<'_>, cx: &mut Context<'_>) {
        let next = record.offset + 1;
        if self.inputs[index].route.as_ref().is_none_or(|route| route.closed.is_some()) {
            return;
        }
        cx.counters.inputs += 1;
        let mut to = self.destinations(index, record, cx);
        let mut refused = std::mem::take(&mut to.refused);
        // It is one record, whatever is wrong with it: its bytes are said once.
        for again in refused.iter_mut().skip(1) {
            (again.key, again.raw) = (None, Bytes::new());
        }
        let targets: BTreeSet<i32> = to.starts.keys().chain(&to.others).copied().collect();
        // One is told what could not be routed: the router's own.
        let told = (!refused.is_empty()).then_some(self.settings.number);
        let all: BTreeSet<i32> = targets.iter().copied().chain(told).collect();
        cx.counters.skipped += u64::from(all.is_empty());
        for &target in &all {
            let starts = to.starts.remove(&target).unwrap_or_default();
            let refused = if told == Some(target) { refused.clone() } else { Vec::new() };
            let has_value = !to.as_a_whole && targets.contains(&target);
            self.forward(index, target, record, (starts, refused, has_value), cx);
        }
        let Some(route) = &mut self.inputs[index].route else { return };
        route.sent(record.offset, all.len());
        route.seal(next);
        self.ahead.reads[index].position = Some(next);
        self.ahead.skipped += usize::from(all.is_empty());
        self.inputs[index].read(next);
        reached("router_sent_unacked");
    }

    /// Which partitions a record is for, by the keys that are in force.
    fn destinations(&mut self, index: usize, record: &InputRecord<'_>, cx: &Context<'_>) -> Destinations {
        let (settings, mut to) = (self.settings.clone(), Destinations::default());
        let taken = Taken::read(index, record);
        let Role::Source { type_field, default_type, .. } = &settings.inputs[index].role else { return to };
        let topic = &settings.inputs[index].name;
        let origin = taken.origin(&settings);
        let default = default_type.as_deref().or(cx.catalog.default_type(topic));
        let recognised = Event::recognise(record, Typing { field: type_field, default }, cx.schemas)
            .and_then(|known| self.fits(&settings, record).map(|()| known));
        let (kind, event) = match recognised {
            Ok(known) => known,
            Err(refused) => {
                to.as_a_whole = true;
                to.refused.push(self.quarantined(&taken, &refused, cx));
                return to;
            }
        };
        let home = |key: &str| names::partition_of(key.as_bytes(), settings.partitions);
        for Starting { definition: newest, start } in cx.catalog.starting_on(topic, &kind) {
            match self.start_key(index, (newest, *start), &event, origin, cx) {
                Ok(Some(key)) => {
                    let start = RoutedStart { saga: newest.name.clone(), key: key.as_str().into() };
                    to.starts.entry(home(&key)).or_default().push(start);
                }
                Ok(None) => {}
                Err(refused) => to.refused.push(self.quarantined(&taken, &refused, cx)),
            }
        }
        let now = self.turn_time(cx);
        for one in cx.catalog.listening_on(topic, &kind) {
            match self.projections.listened(&one.definition, one.listener, &event, now) {
                Ok((key, _)) => drop(to.others.insert(home(&key))),
                Err(refused) => to.refused.push(self.quarantined(&taken, &refused, cx)),
            }
        }
        let (values, refused) = self.values_of((topic, &kind), &event, cx);
        to.others.extend(values.iter().filter(|_| !mutated("matched_event_not_routed")).map(|one| home(&one.value)));
        to.refused.extend(refused.iter().map(|refused| self.quarantined(&taken, refused, cx)));
        to
    }

    /// The key of the saga that an event starts; none if it starts none, or none of this definition can be yet.
    fn start_key(
        &mut self,
        index: usize,
        (newest, start): (&Arc<Definition>, u16),
        event: &Event<'_>,
        origin: Origin<'_>,
        cx: &Context<'_>,
    ) -> Result<Option<String>, Refused> {
        let route = self.inputs[index].route.as_ref().filter(|route| route.pins.contains_key(&newest.name));
        let Some(route) = route else { return Ok(None) };
        let older = route.older.get(&newest.name).filter(|_| !mutated("key_changed_in_place"));
        // An event that started nothing before was never routed by another key.
        let kind = &newest.starts[usize::from(start)].event;
        let older = older.and_then(|older| older.started_on(origin.topic, kind).map(|(number, _)| (older.clone(), number)));
        let (definition, number) = older.unwrap_or_else(|| (newest.clone(), start));
        let now = self.turn_time(cx);
        let Some(mut start) = self.projections.start((&definition, number), 0, event, origin, now)? else { return Ok(None) };
        let key = std::mem::take(&mut start.key);
        self.projections.give_back(start);
        Ok(Some(key))
    }

    /// A record that would fit into no journal record is not handed on either.
    fn fits(&self, settings: &super::Settings, record: &InputRecord<'_>) -> Result<(), Refused> {
        let of_header = |name: &&str| record.headers.and_then(|headers| headers.find(name)).map_or(0, <[u8]>::len);
        // The key stands in what is handed on, and beside it.
        let key = 2 * record.key.map_or(0, <[u8]>::len);
        let bytes = record.value.map_or(0, <[u8]>::len) + key + names::EVENT_HEADERS.iter().map(of_header).sum::<usize>();
        match settings.inbox() {
            Some(limit) if bytes <= limit => Ok(()),
            limit => {
                let limit = limit.unwrap_or(0);
                let detail = format!("the record of {bytes} bytes does not go by the inbox, which takes {limit} bytes of one");
                Err(Refused::new(QuarantineReason::TooBig, detail, None))
            }
        }
    }

    fn forward(
        &mut self,
        index: usize,
        to: i32,
        record: &InputRecord<'_>,
        (starts, refused, has_value): (Vec<RoutedStart>, Vec<Quarantined>, bool),
        cx: &mut Context<'_>,
    ) {
        let partition = self.settings.partition_of(index).expect("it is read");
        let topic = self.settings.inputs[index].name.clone();
        let Some(route) = &mut self.inputs[index].route else { return };
        let header = |name: &&str| {
            let value = record.headers?.find(name)?;
            Some(RoutedHeader { name: Arc::from(*name), value: Bytes::copy_from_slice(value) })
        };
        let key = record.key.map(Bytes::copy_from_slice);
        let routed = Routed {
            source: route.source,
            topic,
            partition,
            offset: record.offset,
            prev: route.last.insert(to, record.offset),
            starts,
            refused,
            timestamp: record.timestamp,
            key: key.clone(),
            value: record.value.filter(|_| has_value).map(Bytes::copy_from_slice),
            headers: if has_value { names::EVENT_HEADERS.iter().filter_map(header).collect() } else { Vec::new() },
        };
        let (bytes, number) = (routed.encode(), self.router.next);
        self.router.next += 1;
        self.router.bytes += bytes.len();
        self.router.on_their_way.insert(number, OnItsWay { index, offset: record.offset, bytes: bytes.len() });
        cx.counters.routed += 1;
        cx.out.push(Wish::Forward(Box::new(Forward { to, key, bytes, tag: Tag::Forward(number) })));
    }

    /// The inbox has a record.
    #[inline(never)]
    pub(super) fn forwarded(&mut self, number: u64) {
        let Some(OnItsWay { index, offset, .. }) = self.router.take(number) else { return };
        let Some(route) = &mut self.inputs[index].route else { return };
        let before = route.commit;
        route.acknowledged(offset);
        self.ahead.skipped += usize::from(route.commit > before);
        reached("router_acked_uncommitted");
    }

    /// The inbox does not have a record, or nobody knows: all behind the commit is sent again, by another session.
    #[inline(never)]
    pub(super) fn not_forwarded(&mut self, number: u64, why: &Refusal, cx: &mut Context<'_>) {
        if !law::goes_back_to_commit() {
            return self.forwarded(number);
        }
        let Some(OnItsWay { index, .. }) = self.router.take(number) else { return };
        self.router.forget(index);
        let Some(route) = &mut self.inputs[index].route else { return };
        route.fail(cx.steady.saturating_add(AGAIN_AFTER_MS));
        self.ahead.reads[index].position = Some(route.commit);
        cx.counters.route_sessions += 1;
        let (Refusal::Permanent(said) | Refusal::Passing(said)) = why;
        cx.out.push(Wish::Tell(Note::Unrouted { topic: self.settings.inputs[index].name.clone(), why: said.as_str().into() }));
        reached("router_first_refused_second_lands");
    }

    /// The route of an input, if it is one: with the keys that the journal says are in force.
    pub(super) fn route_of(&self, index: usize) -> Option<Box<Route>> {
        let input = &self.settings.inputs[index];
        let is_source = matches!(input.role, Role::Source { .. }) && self.settings.partition_of(index).is_some();
        is_source.then(|| Box::new(Route::new(input.topic, self.settings.place_of(index), &self.replica.positions)))
    }

    /// Definitions are known that were not: their keys may be others.
    pub(super) fn look_at_keys(&mut self, cx: &Context<'_>) {
        for (index, input) in self.inputs.iter_mut().enumerate() {
            if let (Some(route), Some(position)) = (&mut input.route, self.ahead.reads[index].position) {
                route.look_at_keys(&self.settings.inputs[index].name, cx.catalog);
                route.seal(position);
            }
        }
    }

    /// What routes do by time: another session, other keys.
    #[inline(never)]
    pub(super) fn tend_routes(&mut self, cx: &mut Context<'_>) {
        let mut pins = false;
        for index in 0..self.inputs.len() {
            let Some(position) = self.ahead.reads[index].position.filter(|_| self.inputs[index].reading) else { continue };
            let Some(route) = &mut self.inputs[index].route else { continue };
            match route.closed {
                None if route.asks_end() => {
                    if self.inputs[index].may_ask() {
                        self.inputs[index].asked_at = Some(self.ahead.now);
                        cx.out.push(Wish::AskInput(index));
                    }
                }
                None => route.seal(position),
                Some(Closed::Sealed) if route.is_drained() => {
                    route.pin();
                    pins = true;
                }
                Some(Closed::Pinning) if !route.unsaid && route.said().all(|pin| self.replica.says(&pin)) => self.reopen(index, cx),
                Some(Closed::Failed(at)) if cx.steady >= at => self.reopen(index, cx),
                Some(Closed::Sealed | Closed::Pinning | Closed::Failed(_)) => {}
            }
        }
        if pins {
            self.close_record(cx);
            self.append_positions(cx);
        }
    }

    /// Reads on where records were passed over. Other keys may be wanted by now.
    fn reopen(&mut self, index: usize, cx: &mut Context<'_>) {
        let settings = self.settings.clone();
        let Some(route) = &mut self.inputs[index].route else { return };
        route.closed = None;
        route.look_at_keys(&settings.inputs[index].name, cx.catalog);
        if let (None, Some(position)) = (route.closed, self.ahead.reads[index].position) {
            self.begin_to_read(index, position, cx);
        }
    }

    /// Where the log of a topic that is routed ended when that was asked: nothing beyond was sent before.
    pub(super) fn source_ends(&mut self, index: usize, end: i64) {
        if let Some(route) = &mut self.inputs[index].route {
            let position = self.ahead.reads[index].position.unwrap_or(end);
            route.high.get_or_insert(end.max(position));
        }
    }

    /// How far a topic that is routed was taken, as far as it can be journaled; of others as they were read.
    pub(super) fn is_done_to(&self, index: usize) -> Option<i64> {
        let position = self.ahead.reads[index].position?;
        Some(self.inputs[index].route.as_ref().map_or(position, |route| route.commit))
    }

    /// By what name the journal keeps where an input went on when it was read in the other way, directly or by the router.
    pub(super) fn place_otherwise(&self, index: usize) -> Option<Arc<str>> {
        let (input, number) = (&self.settings.inputs[index], self.settings.number);
        match input.role {
            Role::Source { slot: 0, .. } => Some(input.name.clone()),
            Role::Events { .. } => Some(format!("{}/{number}", input.name).into()),
            Role::Source { .. } | Role::Replies | Role::Control | Role::Inbox { .. } => None,
        }
    }
}
