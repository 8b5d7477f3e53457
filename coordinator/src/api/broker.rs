//! What requests want of the bus itself, beside [acts](super::acts).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ringmaster_bus::{Bus, BusError};
use ringmaster_core::definition::Catalog;
use ringmaster_schemas::names::Topics;

use super::clients::Clients;
use crate::blocking::{self, Read};
use crate::redrive::{Entry, Hand, Inbox, Outcome, Told};
use crate::replay::{self, Missing, Range, Visited};
use crate::runtime::{DeployError, Deploying, KnowledgeError, Plan, Sent, SetupSettings, at_next_start, wall};
use crate::topics::{self, Looked};

/// Does at the bus what is asked for over HTTP.
pub trait Broker: Send + Sync {
    /// Deploys what somebody sends; with `dry_run` it is only looked at.
    fn deploy(&self, sent: &Sent, by: &str, dry_run: bool) -> Result<Published, NotPublished>;

    /// Looks at the topics that these definitions need.
    fn topics(&self, catalog: &Catalog) -> Result<Vec<Looked>, BusError>;

    /// Says of records in quarantine that they are not wanted any more.
    fn discard(&self, hand: Hand<'_>, entries: &[Entry]) -> Result<(), BusError>;

    /// Brings the first of these records from quarantine to the partitions, as many as have room on their way: also old ones or not. Waits so
    /// long for what becomes of them, and writes it down.
    fn redrive(&self, hand: Hand<'_>, entries: &[Entry], how: (bool, Duration)) -> Result<Vec<Outcome>, BusError>;

    /// Brings records of a topic that are missing to the partitions. Else as above.
    fn replay(&self, hand: Hand<'_>, topic: &str, missing: &[Missing], how: (bool, Duration)) -> Result<Vec<Told>, BusError>;

    /// Visits the records of a range, until the visitor does not want one.
    fn visit_range(&self, range: Range<'_>, wants: &mut dyn FnMut(&Read) -> bool) -> Result<Visited, BusError>;

    /// Visits the newest records of a topic, at most so many of all partitions together, each partition's oldest first; whether these
    /// are all.
    fn visit_newest(&self, topic: &str, most: usize, visit: &mut dyn FnMut(Read)) -> Result<bool, BusError>;

    /// Visits the record at this place, if it is there, and those behind it, at most so many; whether these are all.
    fn visit_from(&self, topic: &str, place: (i32, i64), most: usize, visit: &mut dyn FnMut(Read)) -> Result<bool, BusError>;
}

/// What was deployed.
#[derive(Debug)]
pub struct Published {
    /// What became of each definition.
    pub plan: Plan,
    /// Topics that are read directly until the next start, with the sagas that are in force from then on.
    pub later: Vec<(String, Vec<String>)>,
}

/// Why nothing was deployed.
#[derive(Debug, thiserror::Error)]
pub enum NotPublished {
    /// Files, what is deployed, topics, or the bus.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// A coordinator of another prefix starts the same sagas.
    #[error("{0}")]
    Rivals(String),
}

impl From<BusError> for NotPublished {
    fn from(error: BusError) -> Self {
        DeployError::from(KnowledgeError::from(error)).into()
    }
}

/// Why a plan may not be carried out, for people.
type Refuse = dyn Fn(&Plan) -> Result<(), String> + Send + Sync;

/// A broker that has clients of a bus.
pub struct BusBroker<B> {
    clients: Clients<B>,
    setup: SetupSettings,
    deploying: Deploying,
    /// Topics that are missing are made: nobody else can.
    makes_topics: bool,
    refuse: Box<Refuse>,
    /// Held while something is deployed: what is planned is planned on what is there.
    deploys: Mutex<()>,
}

impl<B: Bus + Send> BusBroker<B> {
    /// With clients that are made so; `refuse` says why a plan may not be carried out.
    pub fn new(
        (setup, deploying, makes_topics): (SetupSettings, Deploying, bool),
        refuse: impl Fn(&Plan) -> Result<(), String> + Send + Sync + 'static,
        make: impl Fn() -> Result<B, BusError> + Send + Sync + 'static,
    ) -> Self {
        let (clients, refuse, deploys) = (Clients::new(make), Box::new(refuse), Mutex::default());
        BusBroker { clients, setup, deploying, makes_topics, refuse, deploys }
    }

    /// Works with a client, which is kept if that goes well.
    fn with<T>(&self, work: impl FnOnce(&mut B) -> Result<T, BusError>) -> Result<T, BusError> {
        let mut client = self.clients.take()?;
        let done = work(&mut client)?;
        self.clients.give_back(client);
        Ok(done)
    }

    fn deploy_by(&self, bus: &mut B, (sent, by, dry_run): (&Sent, &str, bool)) -> Result<Published, NotPublished> {
        let mut plan = Plan::of_sent(bus, &self.deploying, sent, wall()).map_err(DeployError::from)?.by(Some(by));
        match dry_run {
            // What it would make is missing still.
            true if self.makes_topics => {}
            true => plan.check_topics(bus, &self.deploying).map_err(DeployError::from)?,
            false => (self.refuse)(&plan).map_err(NotPublished::Rivals)?,
        }
        // Before anything is written: what fails behind that would be told as a deploy that failed.
        let later = at_next_start(bus, &self.setup, &plan)?;
        if !dry_run {
            plan.carry_out(bus, &self.deploying, self.makes_topics)?;
        }
        Ok(Published { plan, later })
    }
}

impl<B: Bus + Send> Broker for BusBroker<B> {
    fn deploy(&self, sent: &Sent, by: &str, dry_run: bool) -> Result<Published, NotPublished> {
        let _one = self.deploys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = self.clients.take()?;
        let published = self.deploy_by(&mut client, (sent, by, dry_run))?;
        self.clients.give_back(client);
        Ok(published)
    }

    fn topics(&self, catalog: &Catalog) -> Result<Vec<Looked>, BusError> {
        self.with(|bus| topics::look(bus, catalog, &self.setup))
    }

    fn discard(&self, hand: Hand<'_>, entries: &[Entry]) -> Result<(), BusError> {
        let topics = Topics::new(&self.setup.prefix);
        self.with(|bus| hand.discard(bus, &topics, entries))
    }

    fn redrive(&self, hand: Hand<'_>, entries: &[Entry], how: (bool, Duration)) -> Result<Vec<Outcome>, BusError> {
        let topics = Topics::new(&self.setup.prefix);
        self.with(|bus| {
            let inbox = Inbox::find(bus, &self.setup.prefix)?;
            let room = inbox.room(entries.iter().map(|(_, record)| record.length as usize), entries.len());
            hand.bring(bus, (&inbox, &topics), &entries[..room.min(entries.len())], how)
        })
    }

    fn replay(&self, hand: Hand<'_>, topic: &str, missing: &[Missing], how: (bool, Duration)) -> Result<Vec<Told>, BusError> {
        self.with(|bus| {
            let inbox = Inbox::find(bus, &self.setup.prefix)?;
            hand.bring_missing(bus, (&inbox, &topic.into()), missing, how)
        })
    }

    fn visit_range(&self, range: Range<'_>, wants: &mut dyn FnMut(&Read) -> bool) -> Result<Visited, BusError> {
        self.with(|bus| replay::visit_range(bus, range, &mut |read, _| wants(read)))
    }

    fn visit_newest(&self, topic: &str, most: usize, visit: &mut dyn FnMut(Read)) -> Result<bool, BusError> {
        self.with(|bus| {
            let bounds = bounds_of(bus, topic)?;
            let filled = bounds.values().filter(|(start, end)| start < end).count();
            let share = (most / filled.max(1)).max(1) as i64;
            for (&partition, &(start, end)) in bounds.iter().filter(|(_, (start, end))| start < end) {
                let from = start.max(end - share);
                blocking::read_from(bus, topic, (partition, from), &mut |read| {
                    let more = read.offset + 1 < end;
                    visit(read);
                    more
                })?;
            }
            Ok(bounds.values().all(|(start, end)| end - start <= share))
        })
    }

    fn visit_from(&self, topic: &str, place: (i32, i64), most: usize, visit: &mut dyn FnMut(Read)) -> Result<bool, BusError> {
        let (partition, offset) = place;
        self.with(|bus| {
            let Some(&(start, end)) = bounds_of(bus, topic)?.get(&partition) else { return Ok(true) };
            if !(start..end).contains(&offset) {
                return Ok(true);
            }
            let last = end.min(offset + most as i64) - 1;
            blocking::read_from(bus, topic, place, &mut |read| {
                let at = read.offset;
                if at <= last {
                    visit(read);
                }
                at < last
            })?;
            Ok(last + 1 == end)
        })
    }
}

/// What each partition of a topic holds: its oldest offset, and the one that the next record gets. Nothing, where there is no such topic.
fn bounds_of(bus: &mut impl Bus, topic: &str) -> Result<BTreeMap<i32, (i64, i64)>, BusError> {
    let Some(described) = bus.describe(&[topic])?.into_iter().next().flatten() else { return Ok(BTreeMap::new()) };
    blocking::bounds_each(bus, topic, 0..described.partitions)
}
