//! The brokers of a cluster as one client reaches them: where they are, whom to ask, and when.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Registry;

use super::connection::Connection;
use super::link::{Link, Worked};
use super::requests::{self, Api, Metadata};
use super::security::Security;
use super::wire::Malformed;
use crate::signal::Signal;

/// Pauses between two questions for leaders, doubling while there is none.
const ASK_PAUSE: Range<Duration> = Duration::from_millis(50)..Duration::from_secs(1);
/// No cluster has more brokers; bounds what a wrong answer makes us keep.
const BROKERS_MAX: usize = 2_000;
/// When any broker will do, so many are tried at once.
const TRIED_MAX: usize = 4;

/// A cluster; `W` is what a client has on its way to a broker.
pub(super) struct Cluster<W> {
    signal: Arc<Signal>,
    registry: Registry,
    security: Security,
    /// No longer answer is read.
    answer_bytes_max: usize,
    /// Those to begin with, then those that the cluster told of.
    pub(super) links: Vec<Link<W>>,
    /// How many there were to begin with.
    first_count: usize,
    /// Brokers by their number: the place in `links`.
    brokers: HashMap<i32, usize>,
    /// Leaders are to be asked for, from this time on.
    pub(super) ask_at: Option<Instant>,
    /// When they were asked for last, and how long the next question waits behind that.
    pub(super) asked_at: Option<Instant>,
    ask_pause: Duration,
}

impl<W> Cluster<W> {
    /// That one of these brokers belongs to (`host:port` each). Its leaders are to be asked for.
    pub(super) fn new(
        bootstrap: &str,
        security: Security,
        answer_bytes_max: usize,
        registry: Registry,
        signal: Arc<Signal>,
        now: Instant,
    ) -> Result<Self, String> {
        let addresses = bootstrap.split(',').map(str::trim).filter(|address| !address.is_empty());
        let link = |address| Ok(Link::new(link_of(address)?, security.clone(), answer_bytes_max, now));
        let links = addresses.map(link).collect::<Result<Vec<_>, String>>()?;
        if links.is_empty() {
            return Err("no broker is named".to_owned());
        }
        Ok(Cluster {
            signal,
            registry,
            security,
            answer_bytes_max,
            first_count: links.len(),
            links,
            brokers: HashMap::new(),
            ask_at: Some(now),
            asked_at: None,
            ask_pause: ASK_PAUSE.start,
        })
    }

    /// Where the broker of this number is in `links`.
    pub(super) fn place_of(&self, broker: i32) -> Option<usize> {
        self.brokers.get(&broker).copied()
    }

    /// Moves what can be moved of one connection.
    pub(super) fn work(&mut self, place: usize, now: Instant) -> Worked {
        self.links[place].work(&self.registry, now)
    }

    /// Takes what a broker says of all of them.
    pub(super) fn take_brokers(&mut self, place: usize, found: &Metadata<'_>, now: Instant) -> Result<(), Malformed> {
        if found.brokers.len() > BROKERS_MAX {
            return Err(Malformed);
        }
        self.links[place].mute(found.throttle_ms, now);
        self.brokers.clear();
        for (number, host, port) in &found.brokers {
            let address = address(host, *port);
            let known = self.links.iter().position(|link| link.address == address);
            let place = known.unwrap_or_else(|| {
                self.links.push(Link::new(address, self.security.clone(), self.answer_bytes_max, now));
                self.links.len() - 1
            });
            self.brokers.insert(*number, place);
        }
        Ok(())
    }

    /// Drops links to where no broker is any more: each restart of a broker may give it another address.
    pub(super) fn forget_links(&mut self) {
        if self.links.len() <= 2 * (self.first_count + self.brokers.len()) {
            return;
        }
        let used: BTreeSet<usize> = self.brokers.values().copied().collect();
        let (mut places, mut moved) = (0.., HashMap::new());
        self.links.retain(|link| {
            let place = places.next().expect("it has no end");
            let stays = place < self.first_count || used.contains(&place) || !link.is_down();
            if stays {
                moved.insert(place, moved.len());
            }
            stays
        });
        self.brokers.values_mut().for_each(|place| *place = moved[place]);
    }

    /// Asks for leaders unless all that matter are known.
    pub(super) fn find_leaders(&mut self, are_known: bool, now: Instant) {
        if are_known {
            self.ask_pause = ASK_PAUSE.start;
        } else {
            self.ask_soon(now);
        }
    }

    pub(super) fn ask_soon(&mut self, now: Instant) {
        let earliest = self.asked_at.map_or(now, |asked| now.max(asked + self.ask_pause));
        self.ask_at.get_or_insert(earliest);
    }

    /// Connects to those that are needed, and to some of all if anyone will do and none answers. Returns those that failed, and why.
    pub(super) fn reach(&mut self, mut wanted: BTreeSet<usize>, anyone: bool, now: Instant) -> Vec<(usize, String)> {
        if anyone && self.links.iter().all(|link| link.owed(now).is_none()) {
            let trying =
                self.links.iter_mut().filter(|link| !link.is_down()).filter_map(|link| link.up().is_none().then_some(())).count();
            let due = (0..self.links.len()).filter(|place| self.links[*place].is_due(now));
            wanted.extend(due.take(TRIED_MAX.saturating_sub(trying)));
        }
        let mut lost = Vec::new();
        for place in wanted {
            if let Worked::Lost(why) = self.links[place].want(now, &self.registry, &self.signal) {
                lost.push((place, why));
            }
        }
        lost
    }

    /// True if an answer to this is waited for, and may come soon.
    pub(super) fn asks(&self, api: Api, now: Instant) -> bool {
        self.links.iter().any(|link| link.asks(api, now))
    }

    /// Whoever owes the least. A broker that is silent is not waited for: another may know.
    pub(super) fn anyone(&mut self, now: Instant) -> Option<&mut Connection> {
        let answering = self.links.iter_mut().filter_map(|link| Some((link.owed(now)?, link)));
        answering.min_by_key(|(owed, _)| *owed).and_then(|(_, link)| link.up())
    }

    /// True if leaders are to be asked for now.
    pub(super) fn is_ask_due(&self, now: Instant) -> bool {
        self.ask_at.is_some_and(|at| at <= now) && !self.asks(Api::Metadata, now)
    }

    /// Asks for the leaders of these topics.
    pub(super) fn ask(&mut self, topics: &[&str], now: Instant) {
        let Some(connection) = self.anyone(now) else { return };
        // An error shows when it is worked on next.
        let _ = connection.ask(Api::Metadata, now, |out| requests::put_metadata(out, topics.iter().copied()));
        (self.ask_at, self.asked_at) = (None, Some(now));
        self.ask_pause = (self.ask_pause * 2).min(ASK_PAUSE.end);
    }
}

/// `host:port`, of what a broker says.
pub(super) fn address(host: &str, port: impl std::fmt::Display) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// `host` alone means Kafka's usual port.
fn link_of(address: &str) -> Result<String, String> {
    let address = address.rsplit_once("://").map_or(address, |(_, rest)| rest);
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !host.ends_with(':') => match port.parse::<u16>() {
            Ok(_) => Ok(address.to_owned()),
            Err(_) => Err(format!("'{address}' has no port; brokers are host:port")),
        },
        _ => Ok(format!("{address}:9092")),
    }
}
