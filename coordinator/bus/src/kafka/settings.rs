//! How the clients of librdkafka are set up, and which of its settings belong to the protocol.

use std::fmt;
use std::sync::Once;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use super::direct::{Compression, Fetching, Security};
use super::errors::told;
use super::security;
use crate::BusError;

/// How a bus reaches Kafka.
#[derive(Clone)]
pub struct KafkaSettings {
    /// Brokers to begin with: `host:port,host:port`.
    pub bootstrap: String,
    /// Settings of librdkafka by its own names, without the `kafka.` that they have in the configuration: SASL, TLS, and so on. One is
    /// ours: [`Client::SETTING`].
    pub passthrough: Vec<(String, String)>,
    /// Most bytes that are fetched and not visited yet; 16 MiB by default.
    pub fetched_bytes_max: usize,
    /// The group under whose name positions are committed, if the bus does not join one.
    pub group: String,
    /// How long a producer of librdkafka waits for more records before it sends; [`LINGER`] by default. Ours never waits.
    pub linger: Duration,
}

/// Without the values of what was passed through: passwords and keys are among them.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passthrough: Vec<_> = self.passthrough.iter().map(|(key, _)| key).collect();
        let Self { bootstrap, group, .. } = self;
        to.debug_struct("KafkaSettings")
            .field("bootstrap", bootstrap)
            .field("passthrough", &passthrough)
            .field("group", group)
            .finish()
    }
}

/// What a bus sends and reads by; groups, questions and administration are librdkafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// librdkafka: a request a partition.
    Librdkafka,
    /// Our own: one request a broker and turn.
    Direct,
}

impl Client {
    /// Its name among the settings.
    pub const SETTING: &str = "client";
}

impl KafkaSettings {
    /// The defaults for these brokers.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            passthrough: Vec::new(),
            fetched_bytes_max: FETCHED_BYTES_MAX,
            group: "ringmaster".to_owned(),
            linger: LINGER,
        }
    }

    /// Refuses settings that the protocol owns, and those that librdkafka does not know or take.
    ///
    /// Errors: [`BusError::Refused`], naming the setting.
    pub fn check(&self) -> Result<(), BusError> {
        self.checked().map(drop)
    }

    /// The same, and what they come to: see [`Self::client`].
    pub(super) fn checked(&self) -> Result<(Client, Security), BusError> {
        for (key, _) in &self.passthrough {
            if let Some(why) = owned_by_protocol(key) {
                return Err(BusError::Refused(format!("kafka.{key} cannot be set: {why}")));
            }
        }
        // What nobody knows is a mistake, whichever client is asked for.
        for config in [self.producer(1), self.consumer(&self.group)] {
            config.create_native_config().map_err(|error| BusError::Refused(format!("kafka.*: {}", told(&error))))?;
        }
        self.client()
    }

    /// What sends and reads: `librdkafka`, `direct`, or `auto` (if nothing is said), which is direct where it can do what is asked; and
    /// what keeps others out of connections of our own.
    pub(super) fn client(&self) -> Result<(Client, Security), BusError> {
        // The last counts, as with librdkafka's settings.
        let named = self.passthrough.iter().rfind(|(key, _)| key == Client::SETTING).map(|(_, value)| value.as_str());
        let direct = match named {
            Some("librdkafka") => return Ok((Client::Librdkafka, Security::default())),
            None | Some("direct" | "auto") => self.directly(),
            Some(other) => {
                return Err(BusError::Refused(format!("kafka.client: '{other}' is not 'auto' or 'librdkafka' or 'direct'")));
            }
        };
        match direct {
            Ok(security) => Ok((Client::Direct, security)),
            Err(why) if named != Some("direct") => {
                static SAID: Once = Once::new();
                SAID.call_once(|| tracing::info!("records are sent and read by librdkafka, not by our own client: kafka.{why}"));
                Ok((Client::Librdkafka, Security::default()))
            }
            Err(why) => Err(BusError::Refused(format!("kafka.{why}"))),
        }
    }

    /// What our own client makes of the settings; or which of them it cannot take, and why.
    fn directly(&self) -> Result<Security, String> {
        let is_beyond = |(key, value): &(&str, &str)| *key != Client::SETTING && !is_taken_directly(key, value);
        let passed = self.passthrough.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        match passed.chain(security::silent_mechanism(&self.passthrough)).find(is_beyond) {
            None => security::security(&self.passthrough).map_err(|why| format!("{why} (kafka.client = direct)")),
            Some((key, value)) => {
                Err(format!("{}: kafka.client = direct does not know it; librdkafka does", named_setting(key, value)))
            }
        }
    }

    /// What keeps others out of connections of our own, whichever client records go by; or which setting we cannot take, and why.
    pub(super) fn own_security(&self) -> Result<Security, String> {
        let passed = self.passthrough.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut all = passed.chain(security::silent_mechanism(&self.passthrough));
        match all.find(|(key, value)| security::is_taken(key, value) == Some(false)) {
            None => security::security(&self.passthrough),
            Some((key, value)) => Err(format!("{} is known to librdkafka only", named_setting(key, value))),
        }
    }

    /// How our own producer compresses.
    pub(super) fn compression(&self) -> Compression {
        let set = self.passthrough.iter().rfind(|(key, _)| key == "compression.type" || key == "compression.codec");
        if set.is_some_and(|(_, value)| value == "none") { Compression::None } else { Compression::Lz4 }
    }

    /// How our own reader fetches.
    pub(super) fn fetching(&self) -> Fetching {
        let set = |names: &[&str], default: i32| {
            let set = self.passthrough.iter().rfind(|(key, _)| names.contains(&key.as_str()));
            // What is no number, librdkafka refuses.
            set.and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
        };
        Fetching {
            wait_ms: set(&["fetch.wait.max.ms"], FETCH_WAIT_MS),
            bytes_min: set(&["fetch.min.bytes"], 1),
            ahead_bytes_max: self.fetched_bytes_max,
            partition_bytes_max: set(&["fetch.message.max.bytes", "max.partition.fetch.bytes"], PARTITION_BYTES_MAX),
        }
    }

    /// For a client that only asks.
    pub(super) fn common(&self) -> ClientConfig {
        self.with(&[])
    }

    /// With batches of at most so many bytes, where they have several records.
    pub(super) fn producer(&self, batch_bytes: usize) -> ClientConfig {
        let linger_ms = format!("{}", self.linger.as_secs_f64() * 1e3);
        let mut config = self.with(PRODUCER);
        if config.get("linger.ms").is_none() {
            config.set("linger.ms", linger_ms);
        }
        let theirs = config.get("batch.size").and_then(|bytes| bytes.parse().ok()).unwrap_or(usize::MAX);
        config.set("batch.size", batch_bytes.min(theirs).to_string());
        config
    }

    pub(super) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.with(CONSUMER);
        config.set("group.id", group);
        // Fetched ahead, for all partitions.
        config.set("queued.max.messages.kbytes", (self.fetched_bytes_max >> 10).max(1).to_string());
        config.set("fetch.max.bytes", self.fetched_bytes_max.to_string());
        // The log of topics is how librdkafka tells that a name belongs to another topic now (native/consumer.rs).
        let more = config.get("debug").map_or_else(String::new, |theirs| format!(",{theirs}"));
        config.set("debug", format!("topic{more}"));
        config.set_log_level(RDKafkaLogLevel::Debug);
        config
    }

    /// Ours, then what was passed through: it may change what the protocol does not own.
    fn with(&self, ours: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.set("bootstrap.servers", &self.bootstrap);
        for (key, value) in COMMON.iter().chain(ours) {
            config.set(*key, *value);
        }
        for (key, value) in self.passthrough.iter().filter(|(key, _)| key != Client::SETTING) {
            config.set(key, value);
        }
        config
    }
}

/// Measured (examples/kafka-cost.rs): 0 ms makes an idle hop of 2 - 3 ms, 1 ms one of 4, 5 ms one of 8, and under load none is better: a
/// poll's burst fills the batches.
pub const LINGER: Duration = Duration::ZERO;

/// Enough for a second and more of any load that was measured.
const FETCHED_BYTES_MAX: usize = 16 << 20;

/// A fetch that finds nothing waits for records at the broker and returns when there are some; what begins to be read meanwhile waits
/// for it.
const FETCH_WAIT_MS: i32 = 100;
/// As librdkafka's default.
const PARTITION_BYTES_MAX: i32 = 1 << 20;

/// Whether our own client does what this setting asks for, or it is about what stays with librdkafka.
fn is_taken_directly(key: &str, value: &str) -> bool {
    if let Some(is_taken) = security::is_taken(key, value) {
        return is_taken;
    }
    match key {
        "compression.type" | "compression.codec" => matches!(value, "none" | "lz4"),
        "linger.ms" | "queue.buffering.max.ms" => value.parse() == Ok(0.0),
        "session.timeout.ms" | "heartbeat.interval.ms" | "max.poll.interval.ms" | "group.instance.id" | "debug" => true,
        "fetch.wait.max.ms" | "fetch.min.bytes" | "fetch.message.max.bytes" | "max.partition.fetch.bytes" => true,
        _ => false,
    }
}

/// A setting for people, with its value where that is no secret.
fn named_setting(key: &str, value: &str) -> String {
    match key {
        "compression.type" | "compression.codec" | "linger.ms" => format!("{key} = {value}"),
        "security.protocol" | "sasl.mechanism" | "sasl.mechanisms" => format!("{key} = {value}"),
        _ => key.to_owned(),
    }
}

const COMMON: &[(&str, &str)] = &[
    ("client.id", "ringmaster"),
    ("socket.nagle.disable", "true"),
    // A broker that restarts is found again soon; the default waits up to 10 s.
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "1000"),
    ("retry.backoff.ms", "50"),
    // A topic that is not there is an error after so long, not after 30 s: it may have been made just now.
    ("topic.metadata.propagation.max.ms", "3000"),
];

const PRODUCER: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    // A broker serves the requests of a connection one after the other: more of them at once only wait there instead of here, where
    // they would still become larger.
    ("max.in.flight.requests.per.connection", "1"),
    ("compression.type", "lz4"),
    // What is in flight is bounded by the partitions; these bound memory if they are not (the default is 1 GiB).
    ("queue.buffering.max.kbytes", "65536"),
    ("queue.buffering.max.messages", "500000"),
    // How large a record may be is its topic's decision, and the coordinator's; the client's own limit (1 MB) would refuse what both
    // take. Batches stay as small as they are by default.
    ("message.max.bytes", "67108864"),
    ("batch.size", "1000000"),
    // A record that is not confirmed for so long is given back, and its owner decides.
    ("message.timeout.ms", "30000"),
];

const CONSUMER: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    // A batch that was damaged on its way or on a disk is an error, not records.
    ("check.crcs", "true"),
    // A member that died without a word holds its partitions so long; 6 s is the least that brokers allow by default.
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "2000"),
    // A fetch that finds nothing waits for data at the broker and returns when there is some; what begins to be read meanwhile
    // waits for it.
    ("fetch.wait.max.ms", "100"),
    // When the queue is full, look again soon; the default is 1,000.
    ("fetch.queue.backoff.ms", "2"),
    ("fetch.error.backoff.ms", "100"),
];

/// Why nobody else may set this setting of librdkafka; none if it may be passed through.
pub fn owned_by_protocol(key: &str) -> Option<&'static str> {
    let owned = OWNED.iter().find(|(owned, _)| owned.split(' ').any(|owned| owned == key));
    owned.map(|(_, why)| *why)
}

/// Settings that the protocol owns, and why.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers metadata.broker.list", "the setting is called `bootstrap`"),
    ("group.id", "groups are named after `prefix` and participants"),
    ("enable.idempotence", "the protocol needs records of a producer once and in order"),
    ("enable.gapless.guarantee", "gaps are found by their offsets, and a producer that had one goes on"),
    ("acks request.required.acks", "an effect may leave only when its record is on all replicas"),
    ("transactional.id transaction.timeout.ms", "the journal fences itself; there are no transactions"),
    ("max.in.flight max.in.flight.requests.per.connection", "a broker serves a connection's requests one by one, so there is one"),
    ("retries message.send.max.retries", "an idempotent producer repeats until its time is over"),
    ("message.timeout.ms delivery.timeout.ms", "how long a record may be in doubt is the protocol's decision"),
    ("message.max.bytes", "how large a record may be is said by `limits.record_bytes_max` and by its topic"),
    ("queue.buffering.max.kbytes queue.buffering.max.messages", "it bounds the memory of the coordinator"),
    ("queued.max.messages.kbytes fetch.max.bytes", "it bounds the memory of the coordinator"),
    ("partitioner", "a record's partition is murmur2 of its key, or given"),
    ("auto.offset.reset", "a position that is gone must be an error, never a jump"),
    ("check.crcs", "a damaged batch must be an error, not records"),
    ("isolation.level", "what a transaction took back must not start a saga"),
    ("enable.auto.commit enable.auto.offset.store auto.commit.enable auto.commit.interval.ms", "positions are in the journal"),
    ("enable.partition.eof", "timers need to know the ends"),
    ("allow.auto.create.topics", "topics are made by `ringmaster topics apply` only"),
    ("partition.assignment.strategy group.protocol", "the protocol decides how partitions are given out"),
    ("log.queue", "logs come through the event queue"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> Result<(), BusError> {
        let passthrough = vec![(key.to_owned(), value.to_owned())];
        KafkaSettings { passthrough, ..KafkaSettings::new("127.0.0.1:1") }.check()
    }

    #[test]
    fn owned_settings_are_refused_with_their_reason() {
        for key in OWNED.iter().flat_map(|(keys, _)| keys.split(' ')) {
            let Err(BusError::Refused(why)) = with(key, "1") else { panic!("{key} was taken") };
            assert!(why.starts_with(&format!("kafka.{key} cannot be set: ")) && why.len() > 40, "{why}");
        }
    }

    #[test]
    fn a_client_is_what_it_is_said_to_be() {
        let client = |settings: &[(&str, &str)]| {
            let passthrough = settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
            KafkaSettings { passthrough, ..KafkaSettings::new("127.0.0.1:1") }.client().map(|(client, _)| client)
        };
        assert_eq!(client(&[]), Ok(Client::Direct));
        assert_eq!(client(&[("client", "librdkafka"), ("sasl.username", "x")]), Ok(Client::Librdkafka));
        for named in ["direct", "auto"] {
            assert_eq!(client(&[("client", named), ("compression.type", "none"), ("fetch.wait.max.ms", "5")]), Ok(Client::Direct));
        }
        let others = [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanisms", "GSSAPI"),
            ("sasl.oauthbearer.config", "hidden"),
            ("ssl.key.password", "hidden"),
            ("ssl.crl.location", "/nowhere"),
            ("compression.type", "zstd"),
            ("linger.ms", "5"),
            ("batch.num.messages", "7"),
            ("fetch.queue.backoff.ms", "7"),
            ("queued.min.messages", "7"),
        ];
        for other in others {
            assert_eq!(client(&[("client", "auto"), other]), Ok(Client::Librdkafka), "{other:?}");
            assert_eq!(client(&[other]), Ok(Client::Librdkafka), "{other:?}");
            let Err(BusError::Refused(why)) = client(&[("client", "direct"), other]) else { panic!("{other:?} was taken") };
            let named = if other.0 == "security.protocol" { "kafka.sasl.mechanism = GSSAPI" } else { other.0 };
            assert!(why.contains(named) && why.contains("librdkafka does") && !why.contains("hidden"), "{why}");
        }
        assert_eq!(client(&[("client", "direct"), ("client", "librdkafka")]), Ok(Client::Librdkafka), "the last counts");
        assert!(matches!(client(&[("client", "java")]), Err(BusError::Refused(why)) if why.contains("'java' is not 'auto'")));
        assert_eq!(with("client", "direct"), Ok(()), "librdkafka is not given what is ours");
    }

    #[test]
    fn others_pass_and_mistakes_are_said() {
        assert_eq!(with("socket.keepalive.enable", "true"), Ok(()));
        assert_eq!(with("linger.ms", "5"), Ok(()));
        assert!(matches!(with("compresion.type", "lz4"), Err(BusError::Refused(why)) if why.contains("compresion.type")));
        for (key, value) in [("compresion.type", "lz4"), ("security.protocol", "foo")] {
            let passthrough = [("client", "direct"), (key, value)].map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
            let Err(BusError::Refused(why)) = (KafkaSettings { passthrough, ..KafkaSettings::new("127.0.0.1:1") }).check() else {
                panic!("{key} was taken");
            };
            assert!(why.contains(key) && !why.contains("librdkafka does"), "nobody knows it: {why}");
        }
        assert!(matches!(with("linger.ms", "soon"), Err(BusError::Refused(why)) if why.contains("linger.ms")));
    }

    /// A batch that the client cannot decompress stops its partition for good, so every codec that producers use is built in.
    #[test]
    fn every_codec_is_built_in() {
        let native = ClientConfig::new().create_native_config().expect("an empty configuration is one");
        let features = native.get("builtin.features").expect("librdkafka says what it was built with");
        for codec in ["gzip", "snappy", "lz4", "zstd"] {
            assert!(features.split(',').any(|feature| feature == codec), "{codec} is not in {features}");
        }
    }
}
