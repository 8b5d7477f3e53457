//! What a world stands on: the broker that all tests of a binary share, or brokers of its own.

use std::io;
use std::sync::MutexGuard;
use std::time::Duration;

use ringmaster_bus::kafka::broker::{Broker, Cluster};

/// Sessions may end soon, so that a killed service is back soon.
pub(super) const SHORT_SESSIONS: (&str, &str) = ("group.min.session.timeout.ms", "500");
/// A broker of several that is silent for so long leads nothing any more.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// Where a world's brokers come from.
pub(super) enum Ground {
    /// One for all tests, which run one at a time.
    Shared(MutexGuard<'static, Option<Broker>>),
    /// They end with the world.
    Own(Brokers),
}

impl Ground {
    /// All brokers.
    pub(super) fn nodes(&self) -> &[Broker] {
        match self {
            Ground::Shared(broker) => broker.as_slice(),
            Ground::Own(brokers) => brokers.nodes(),
        }
    }

    /// One that runs, if any does.
    pub(super) fn any(&self) -> &Broker {
        let nodes = self.nodes();
        nodes.iter().find(|broker| broker.is_running()).or(nodes.first()).expect("there is one at least")
    }

    /// One of them, by its number, from 1 on.
    pub(super) fn node(&mut self, number: usize) -> &mut Broker {
        match self {
            Ground::Shared(broker) => broker.as_mut().expect("it was started"),
            Ground::Own(Brokers::One(broker)) => broker,
            Ground::Own(Brokers::Cluster(cluster)) => cluster.node(number),
        }
    }

    /// Of all of them, for clients.
    pub(super) fn address(&self) -> String {
        self.nodes().iter().map(Broker::address).collect::<Vec<_>>().join(",")
    }

    /// Waits until every copy of every partition has all, and lets those lead that should. Of one broker nothing is waited for.
    pub(super) fn mend(&self) -> io::Result<()> {
        let Some(cluster) = self.cluster() else { return Ok(()) };
        cluster.until_all(|led| led.is_whole && led.leader.is_some())?;
        cluster.elect_preferred()?;
        cluster.until_all(|led| led.leader == Some(led.preferred))
    }

    /// Several brokers, if there are.
    pub(super) fn cluster(&self) -> Option<&Cluster> {
        match self {
            Ground::Own(Brokers::Cluster(cluster)) => Some(cluster),
            _ => None,
        }
    }
}

/// Brokers of one's own.
pub enum Brokers {
    /// One, with the only copy of each topic.
    One(Box<Broker>),
    /// Several, with a copy of each topic on each, of which all but one must have a record before it is acknowledged.
    Cluster(Cluster),
}

impl Brokers {
    /// Starts one broker, or so many as a cluster, with more lines for their properties, by each one's number and its ports (for
    /// clients, for controllers).
    pub fn start(count: usize, more: impl Fn(usize, u16, u16) -> Vec<(String, String)>) -> io::Result<Brokers> {
        let line = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let sessions = line(SHORT_SESSIONS.0, SHORT_SESSIONS.1);
        if count == 1 {
            let with = |port, controllers| [more(1, port, controllers), vec![sessions]].concat();
            return Ok(Brokers::One(Box::new(Broker::start_by(with)?)));
        }
        let copies = line("default.replication.factor", &count.to_string());
        let needed = line("min.insync.replicas", &(count - 1).to_string());
        let ours = vec![sessions, copies, needed];
        let with = |number, port, controllers| [more(number, port, controllers), ours.clone()].concat();
        Ok(Brokers::Cluster(Cluster::start_by(count, SILENCE_MAX, with)?))
    }

    fn nodes(&self) -> &[Broker] {
        match self {
            Brokers::One(broker) => std::slice::from_ref(&**broker),
            Brokers::Cluster(cluster) => cluster.nodes(),
        }
    }
}
