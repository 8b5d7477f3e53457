//! What reads the topic of batches on every instance, and carries out the shares of the partitions that the instance has.
//!
//! ```text
//! records -> Batches; what is ready, at its rate -> window announced, and read again -> acts sent -> journal read -> settled
//! ```
//!
//! It is a thread of its own with clients of its own: nothing here can hold up a saga, and what a broker that is away holds up is this.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringmaster_bus::clock::Now;
use ringmaster_bus::{Bus, BusError, BusEvent, TopicPartition};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{JournalRecord, TopicId};
use ringmaster_schemas::names::Topics;

use super::book::Book;
use super::flight::Flight;
use super::pace::Paces;
use super::record::{Record, Window, Written};
use super::shared::Batches;
use crate::blocking::{self, Read};
use crate::control;

/// One look waits so long for news.
const POLL: Duration = Duration::from_millis(100);
/// One look waits so long for its own records; behind it the thread looks whether it is to end.
const PATIENCE: Duration = Duration::from_secs(2);
/// And so long for answers to acts: a partition that answers late must not hold up the shares of others, which save a second's worth.
const ANSWERS_PATIENCE: Duration = Duration::from_millis(500);
/// What nobody answered for so long is sent again: it may never have been sent.
const RESEND_AFTER_MS: Millis = 60_000;
/// After a failure it waits so long.
const RETRY_AFTER_MS: Millis = 2_000;

/// A window, by its batch, its partition and its end.
type Key = (String, i32, usize);

/// Carries out batches.
pub struct Driver<B> {
    topics: Topics,
    partitions: i32,
    batches: Arc<Batches>,
    clients: Clients<B>,
    reader: Option<Reader<B>>,
    /// What sends acts and reads journals; none as long as there is nothing to do.
    hand: Option<Hand<B>>,
    paces: Paces,
    flights: BTreeMap<Key, Sent>,
    /// Nothing is tried before this, by the steady clock.
    rests_until: Millis,
    said: Option<String>,
}

/// How clients of the bus are made, as they are needed.
pub struct Clients<B> {
    /// One that reads the topic of batches, in which there is rarely anything new.
    pub reader: Box<dyn Fn() -> Result<B, BusError> + Send>,
    /// One that writes and reads while there is something to do.
    pub hand: Box<dyn Fn() -> Result<B, BusError> + Send>,
}

/// A flight, and when its acts were sent from here; none: they are not, or not all.
struct Sent {
    flight: Flight,
    at: Option<Millis>,
}

/// What sends acts and reads journals.
struct Hand<B> {
    bus: B,
    /// What journals call the topic of acts.
    control: TopicId,
}

struct Reader<B> {
    bus: B,
    at: TopicPartition,
}

impl<B: Bus> Driver<B> {
    /// For so many partitions.
    pub fn new(topics: Topics, partitions: i32, batches: Arc<Batches>, clients: Clients<B>) -> Self {
        Driver {
            topics,
            partitions,
            batches,
            clients,
            reader: None,
            hand: None,
            paces: Paces::default(),
            flights: BTreeMap::new(),
            rests_until: Millis::MIN,
            said: None,
        }
    }

    /// Reads what is new, and does what is to be done for these partitions. Waits for news, and for brokers.
    pub fn turn(&mut self, owned: &BTreeSet<i32>, now: Now) {
        if now.steady < self.rests_until {
            std::thread::sleep(POLL);
            return;
        }
        match self.read().and_then(|()| self.carry_out(owned, now)) {
            Ok(()) => self.said = None,
            Err(error) => {
                let why = error.to_string();
                if self.said.as_ref() != Some(&why) {
                    tracing::warn!(why, "batches are not carried out from here; it is tried again");
                }
                (self.said, self.hand, self.rests_until) = (Some(why), None, now.steady + RETRY_AFTER_MS);
                // Whether all was sent is not known.
                self.flights.clear();
            }
        }
    }

    /// Takes what is new in the topic.
    fn read(&mut self) -> Result<(), BusError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.open().inspect_err(|error| self.batches.begin(error.to_string()))?,
        };
        let Reader { mut bus, at } = reader;
        let (mut found, mut is_whole, mut lost) = (Vec::new(), false, None);
        bus.poll(POLL, &mut |event| match event {
            BusEvent::Record(record) if record.at == at => found.extend(record.value.map(<[u8]>::to_vec)),
            BusEvent::CaughtUp(caught, _) if caught == at => is_whole = true,
            BusEvent::OutOfRange { at: of, position } if of == at => lost = Some(format!("offset {position} is gone")),
            BusEvent::Unreadable(of, why) if of == at => lost = Some(why),
            _ => {}
        });
        for bytes in found {
            match serde_json::from_slice::<Written>(&bytes) {
                Ok(written) => self.batches.take(written),
                Err(error) => tracing::warn!(%error, "a record of the topic of batches cannot be read, and is passed over"),
            }
        }
        if let Some(why) = lost {
            let why = format!("{}: {why}", self.topics.batches);
            self.batches.begin(why.clone());
            return Err(BusError::Refused(why));
        }
        if is_whole {
            self.batches.is_read();
        }
        self.reader = Some(Reader { bus, at });
        Ok(())
    }

    /// Begins to read the topic.
    fn open(&self) -> Result<Reader<B>, BusError> {
        let (mut bus, name) = ((self.clients.reader)()?, &self.topics.batches);
        if bus.describe(&[name])?.into_iter().flatten().next().is_none() {
            return Err(BusError::Refused(format!("there is no topic {name}: run `ringmaster topics apply`")));
        }
        let at = TopicPartition { topic: bus.topic(name), partition: 0 };
        let (start, end) = blocking::bounds(&mut bus, at)?;
        self.batches.begin("the topic of batches is being read".to_owned());
        bus.read(at, start);
        if start == end {
            self.batches.is_read();
        }
        Ok(Reader { bus, at })
    }

    /// Does what is to be done now.
    fn carry_out(&mut self, owned: &BTreeSet<i32>, now: Now) -> Result<(), BusError> {
        let look = |book: &Book| {
            let windows: Vec<Window> = book.all().flat_map(|batch| batch.windows(owned)).cloned().collect();
            let ready: Vec<Ready> = book.all().flat_map(|batch| Ready::of(batch, owned)).collect();
            (windows, ready)
        };
        // What is not read to its end is no ground to act on.
        let Ok((windows, ready)) = self.batches.look(look) else { return Ok(()) };
        let key = |window: &Window| (window.batch.clone(), window.partition, window.to);
        let open: BTreeSet<Key> = windows.iter().map(key).collect();
        self.flights.retain(|key, _| open.contains(key));
        self.paces.keep(|batch, partition| {
            let is_its = |known: &Window| (&*known.batch, known.partition) == (batch, partition);
            windows.iter().any(is_its) || ready.iter().any(|ready| (&*ready.batch, ready.partition) == (batch, partition))
        });
        if windows.is_empty() && ready.is_empty() {
            self.hand = None;
            return Ok(());
        }
        let mut hand = self.hand.take().map_or_else(|| self.take_hand(), Ok)?;
        let announced = self.announce(&mut hand.bus, ready, now)?;
        self.begin_flights(&mut hand, (&windows, &announced))?;
        self.fly(&mut hand.bus, now)?;
        self.settle(&mut hand.bus, now)?;
        self.hand = Some(hand);
        Ok(())
    }

    fn take_hand(&self) -> Result<Hand<B>, BusError> {
        let mut bus = (self.clients.hand)()?;
        let control = control::topic_id(&mut bus, &self.topics)?;
        Ok(Hand { bus, control })
    }

    /// Announces what may be sent now; what was taken of that.
    fn announce(&mut self, hand: &mut B, ready: Vec<Ready>, now: Now) -> Result<Vec<Window>, BusError> {
        let mut next: Vec<(Ready, usize)> = Vec::new();
        for ready in ready {
            let count = self.paces.allowed(&ready.batch, ready.partition, ready.rate, now.steady).min(ready.left);
            if count > 0 {
                next.push((ready, count));
            }
        }
        if next.is_empty() {
            return Ok(Vec::new());
        }
        let ends = blocking::bounds_each(hand, &self.topics.journal, next.iter().map(|(ready, _)| ready.partition))?;
        let mut records = Vec::new();
        for (Ready { batch, partition, from, .. }, count) in next {
            self.paces.spend(&batch, partition, count);
            let journal = ends.get(&partition).map_or(0, |(_, end)| *end);
            let window = Window { batch, partition, from, to: from + count, journal };
            records.push(Written::new(now.wall, Record::Window(window)));
        }
        let taken = self.write(hand, &records)?;
        let window = |record: Written| if let Record::Window(window) = record.says { Some(window) } else { None };
        Ok(records.into_iter().filter(|record| taken.contains(&record.id)).filter_map(window).collect())
    }

    /// Writes records and reads the topic until they are there again: the ids of those that were taken.
    fn write(&mut self, hand: &mut B, records: &[Written]) -> Result<BTreeSet<String>, BusError> {
        let keyed: Vec<_> = records.iter().map(|record| (record.says.batch().as_bytes().to_vec(), record.bytes())).collect();
        blocking::append(hand, &self.topics.batches, 0, &keyed)?;
        let (since, mut open, mut taken) = (Instant::now(), records.iter().collect::<Vec<_>>(), BTreeSet::new());
        while !open.is_empty() && since.elapsed() < PATIENCE {
            self.read()?;
            open.retain(|record| match self.batches.became(&record.id) {
                None => true,
                Some(became) => {
                    if became.is_ok() {
                        taken.insert(record.id.clone());
                    }
                    false
                }
            });
        }
        Ok(taken)
    }

    /// Makes flights of windows that have none. Of those that others announced, or that were announced from here before a failure, the
    /// journal is read first: they may have been sent.
    fn begin_flights(&mut self, hand: &mut Hand<B>, (known, announced): (&[Window], &[Window])) -> Result<(), BusError> {
        // By partition: where reading begins.
        let mut from: BTreeMap<i32, i64> = BTreeMap::new();
        let mut begun: BTreeMap<Key, Flight> = BTreeMap::new();
        for (window, is_new) in known.iter().map(|window| (window, false)).chain(announced.iter().map(|window| (window, true))) {
            let key = (window.batch.clone(), window.partition, window.to);
            if self.flights.contains_key(&key) || begun.contains_key(&key) {
                continue;
            }
            let make = |book: &Book| book.batch(&window.batch).map(|batch| Flight::new(batch, window, hand.control));
            let Some(flight) = self.batches.look(make).ok().flatten() else { continue };
            if !is_new {
                let from = from.entry(window.partition).or_insert(window.journal);
                *from = window.journal.min(*from);
            }
            begun.insert(key, flight);
        }
        for (partition, from) in from {
            blocking::read_from(&mut hand.bus, &self.topics.journal, (partition, from), &mut |read| {
                tell(begun.values_mut(), &read);
                begun.values().any(|flight| flight.window.partition == partition && !flight.is_settled())
            })?;
        }
        self.flights.extend(begun.into_iter().map(|(key, flight)| (key, Sent { flight, at: None })));
        Ok(())
    }

    /// Sends what is not sent, and reads the journals until all of it is answered, or for a while.
    fn fly(&mut self, hand: &mut B, now: Now) -> Result<(), BusError> {
        let mut records = Vec::new();
        for sent in self.flights.values_mut() {
            if sent.at.is_none_or(|at| now.steady - at > RESEND_AFTER_MS) {
                records.extend(sent.flight.open(self.partitions));
                sent.at = Some(now.steady);
            }
        }
        let records: Vec<_> = records.into_iter().map(|record| (record.partition, record.key, record.bytes)).collect();
        blocking::append_each(hand, &self.topics.control, &records)?;
        let open = || self.flights.values().filter(|sent| !sent.flight.is_settled());
        let mut from: BTreeMap<i32, i64> = BTreeMap::new();
        for Sent { flight, .. } in open() {
            let next = from.entry(flight.window.partition).or_insert(flight.next);
            *next = flight.next.min(*next);
        }
        if from.is_empty() {
            return Ok(());
        }
        // What is forgotten meanwhile is read from where the journal begins.
        let bounds = blocking::bounds_each(hand, &self.topics.journal, from.keys().copied())?;
        let from: Vec<(i32, i64)> = from
            .into_iter()
            .map(|(partition, next)| (partition, bounds.get(&partition).map_or(next, |(start, _)| next.max(*start))))
            .collect();
        let flights = &mut self.flights;
        blocking::follow(hand, &self.topics.journal, &from, ANSWERS_PATIENCE, &mut |read| {
            tell(flights.values_mut().map(|sent| &mut sent.flight), &read);
            flights.values().any(|sent| !sent.flight.is_settled())
        })
    }

    /// Writes down what became of what is answered.
    fn settle(&mut self, hand: &mut B, now: Now) -> Result<(), BusError> {
        let settled = self.flights.values().filter(|sent| sent.flight.is_settled());
        let records: Vec<Written> = settled.map(|sent| Written::new(now.wall, Record::Settled(sent.flight.settled()))).collect();
        if !records.is_empty() {
            self.write(hand, &records)?;
        }
        Ok(())
    }
}

/// Tells flights what stands in the journal of their partition.
fn tell<'f>(flights: impl Iterator<Item = &'f mut Flight>, read: &Read) {
    let mut its = flights.filter(|flight| flight.window.partition == read.partition).peekable();
    if its.peek().is_some() {
        let record = JournalRecord::decode(read.value.as_deref().unwrap_or_default()).ok();
        its.for_each(|flight| flight.read(read.offset, record.as_ref()));
    }
}

/// A share of which more may be announced.
struct Ready {
    batch: String,
    partition: i32,
    from: usize,
    left: usize,
    /// Its part of the batch's rate.
    rate: f64,
}

impl Ready {
    fn of(batch: &super::Batch, owned: &BTreeSet<i32>) -> Vec<Ready> {
        let (id, all) = (&batch.made.batch, batch.made.matched().max(1) as f64);
        let ready = batch.ready(owned).map(|(partition, share)| Ready {
            batch: id.clone(),
            partition,
            from: share.settled,
            left: share.count - share.settled,
            rate: f64::from(batch.rate) * share.count as f64 / all,
        });
        ready.collect()
    }
}
