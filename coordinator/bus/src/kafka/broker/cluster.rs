//! Several real brokers as one cluster for tests: each is a controller too, and a topic's partitions are on all of them.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::MetadataPartition;

use super::{Broker, CALL_TIMEOUT, PATIENCE};
use crate::Specification;
use crate::kafka::KafkaSettings;
use crate::kafka::admin::create;

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
        // All at once, so that none is given out twice.
        let held = (0..2 * count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<Vec<_>>>()?;
        let ports = held.iter().map(|held| Ok(held.local_addr()?.port())).collect::<io::Result<Vec<_>>>()?;
        drop(held);
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
        let asked = self.running(but).next().ok_or_else(|| io::Error::other("no broker is left to ask"))?;
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
        // ElectLeaders, version 2, of a client without a name: the preferred ones, of all topics, within so many milliseconds; no tags.
        let mut request = vec![0, 43, 0, 2, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0];
        request.extend_from_slice(&(CALL_TIMEOUT.as_millis() as i32).to_be_bytes());
        request.push(0);
        let mut socket = TcpStream::connect(self.nodes[0].address())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(&[&(request.len() as i32).to_be_bytes()[..], &request].concat())?;
        // Its length, correlation, no tags, throttling, an error.
        let mut answer = [0; 4 + 4 + 1 + 4 + 2];
        socket.read_exact(&mut answer)?;
        match answer {
            [.., 0, 0] => Ok(()),
            [.., high, low] => {
                Err(io::Error::other(format!("leaders were not elected: error {}", i16::from_be_bytes([high, low]))))
            }
        }
    }
}
