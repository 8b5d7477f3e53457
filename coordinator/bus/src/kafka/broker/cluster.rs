//! Several real brokers as one cluster for tests: each is a controller too, and a topic's partitions are on all of them.

use std::io;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};

use super::request::{self, Copies};
use super::{Broker, CALL_TIMEOUT, PATIENCE, free_ports};
use crate::Specification;
use crate::kafka::KafkaSettings;
use crate::kafka::admin::create;

/// Each was killed, or ended.
const NONE_LEFT: &str = "no broker is left to ask";

/// Brokers that run as one.
#[derive(Debug)]
pub struct Cluster {
    /// By number, from 1 on.
    nodes: Vec<Broker>,
}

/// One partition, as its cluster sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Led {
    /// The number of the broker that leads it; none if none does.
    pub leader: Option<usize>,
    /// The broker that should: the first of its replicas.
    pub preferred: usize,
    /// Whether all of its replicas have all that is acknowledged.
    pub is_whole: bool,
}

impl Cluster {
    /// Starts so many brokers on free ports; returns when each answers. One that is silent for so long leads nothing any more.
    pub fn start(count: usize, silence_max: Duration) -> io::Result<Self> {
        Self::start_by(count, silence_max, |_, _, _| Vec::new())
    }

    /// As [`Self::start`], with more lines for each `server.properties`, by its number and its ports (for clients, for controllers).
    pub fn start_by(
        count: usize,
        silence_max: Duration,
        more: impl Fn(usize, u16, u16) -> Vec<(String, String)>,
    ) -> io::Result<Self> {
        let ports = free_ports(2 * count)?;
        let (for_clients, for_controllers) = ports.split_at(count);
        let voter = |(port, number): (&u16, usize)| format!("{number}@127.0.0.1:{port}");
        let voters = for_controllers.iter().zip(1..).map(voter).collect::<Vec<_>>().join(",");
        let (session, copies) = (silence_max.as_millis().to_string(), count.to_string());
        let jvm = ["-Xmx256m", "-XX:TieredStopAtLevel=1"].map(str::to_owned);
        let node = |number: usize| {
            let id = number.to_string();
            let mut properties = vec![
                ("node.id", &*id),
                ("controller.quorum.voters", &voters),
                ("broker.session.timeout.ms", &session),
                ("broker.heartbeat.interval.ms", "500"),
                ("offsets.topic.replication.factor", &copies),
                ("auto.leader.rebalance.enable", "false"),
            ];
            let ports = (for_clients[number - 1], for_controllers[number - 1]);
            let more = more(number, ports.0, ports.1);
            properties.extend(more.iter().map(|(key, value)| (&**key, &**value)));
            Broker::formatted(ports, &properties, &jvm, &[])
        };
        let mut nodes = (1..=count).map(node).collect::<io::Result<Vec<_>>>()?;
        nodes.iter_mut().try_for_each(Broker::launch)?;
        nodes.iter().try_for_each(Broker::wait_for_answers)?;
        Ok(Self { nodes })
    }

    /// Of all of them, for clients.
    pub fn bootstrap(&self) -> String {
        self.nodes.iter().map(Broker::address).collect::<Vec<_>>().join(",")
    }

    /// All of them, in the order of their numbers.
    pub fn nodes(&self) -> &[Broker] {
        &self.nodes
    }

    /// One of them, by its number.
    pub fn node(&mut self, number: usize) -> &mut Broker {
        &mut self.nodes[number - 1]
    }

    /// Makes a topic with a copy on each broker, of which all but one must have a record before it is acknowledged.
    pub fn create_topic(&self, name: &str, partitions: i32) -> io::Result<()> {
        let (copies, needed) = (self.nodes.len(), (self.nodes.len() - 1).to_string());
        let settings = vec![("min.insync.replicas".to_owned(), needed)];
        let what = Specification { name: name.to_owned(), partitions, replication: copies as i32, settings };
        match create(&KafkaSettings::new(self.bootstrap()), &what) {
            Ok(true) => Ok(()),
            other => Err(io::Error::other(format!("topic {name}: {other:?}"))),
        }
    }

    /// The partitions of a topic, as any broker but this one tells of them.
    pub fn partitions(&self, topic: &str, but: Option<usize>) -> io::Result<Vec<Led>> {
        let asked = self.running(but).next().ok_or_else(|| io::Error::other(NONE_LEFT))?;
        self.told_by(asked, Some(topic))
    }

    fn running(&self, but: Option<usize>) -> impl Iterator<Item = &Broker> {
        self.nodes.iter().zip(1..).filter(move |(node, number)| node.is_running() && but != Some(*number)).map(|(node, _)| node)
    }

    fn told_by(&self, asked: &Broker, topic: Option<&str>) -> io::Result<Vec<Led>> {
        let client: BaseConsumer = asked.config().create().map_err(io::Error::other)?;
        let found = client.fetch_metadata(topic, CALL_TIMEOUT).map_err(io::Error::other)?;
        let led = |partition: &MetadataPartition| Led {
            leader: usize::try_from(partition.leader()).ok(),
            preferred: partition.replicas()[0] as usize,
            is_whole: partition.isr().len() == self.nodes.len(),
        };
        Ok(found.topics().iter().flat_map(|topic| topic.partitions()).map(led).collect())
    }

    /// Waits until this holds of each of a topic's partitions, as every broker but this one tells: one that stood still tells for a
    /// while how it was before.
    pub fn until(&self, topic: &str, but: Option<usize>, holds: impl Fn(&Led) -> bool) -> io::Result<()> {
        self.until_of(Some(topic), but, holds)
    }

    /// The same of all partitions of all topics, as every broker tells.
    pub fn until_all(&self, holds: impl Fn(&Led) -> bool) -> io::Result<()> {
        self.until_of(None, None, holds)
    }

    fn until_of(&self, topic: Option<&str>, but: Option<usize>, holds: impl Fn(&Led) -> bool) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            let found: io::Result<Vec<_>> = self.running(but).map(|broker| self.told_by(broker, topic)).collect();
            let is_so = |found: &Vec<Led>| !found.is_empty() && found.iter().all(&holds);
            if found.as_ref().is_ok_and(|found| !found.is_empty() && found.iter().all(is_so)) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let topic = topic.unwrap_or("a topic");
                return Err(io::Error::other(format!("{topic} does not become what it should: {found:?}")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Lets each partition be led by the broker that should, where that has all of it.
    pub fn elect_preferred(&self) -> io::Result<()> {
        request::elect_preferred(self.any()?)
    }

    /// Makes the next broker in each list of copies the one that should lead, and lets it: all leaders move, no copy does. Answers when
    /// each broker tells so.
    pub fn move_leaders(&self) -> io::Result<()> {
        let mut copies = self.copies()?;
        copies.iter_mut().flat_map(|(_, partitions)| partitions).for_each(|(_, copies)| copies.rotate_left(1));
        request::reassign(self.any()?, &copies)?;
        self.elect_preferred()?;
        self.until_all(|led| led.leader == Some(led.preferred))?;
        if self.copies()? == copies { Ok(()) } else { Err(io::Error::other("not all leaders were moved")) }
    }

    /// The copies of each partition, the one that should lead first; all in order.
    fn copies(&self) -> io::Result<Vec<Copies>> {
        let client: BaseConsumer = self.any()?.config().create().map_err(io::Error::other)?;
        let found = client.fetch_metadata(None, CALL_TIMEOUT).map_err(io::Error::other)?;
        let of_partition = |partition: &MetadataPartition| (partition.id(), partition.replicas().to_vec());
        let of_topic = |topic: &MetadataTopic| {
            let mut partitions: Vec<_> = topic.partitions().iter().map(of_partition).collect();
            partitions.sort_unstable();
            (topic.name().to_owned(), partitions)
        };
        let mut topics: Vec<_> = found.topics().iter().map(of_topic).collect();
        topics.sort_unstable();
        Ok(topics)
    }

    /// The number of the broker that is the active controller.
    pub fn controller(&self) -> io::Result<usize> {
        request::controller(self.any()?)
    }

    fn any(&self) -> io::Result<&Broker> {
        self.running(None).next().ok_or_else(|| io::Error::other(NONE_LEFT))
    }
}
