//! Settings: parsed once into types, from a file, the environment and flags.
//!
//! ```text
//! ringmaster.toml -> RINGMASTER_* -> flags -> Config, or all that is wrong with them, each with its place and a hint
//! ```

mod alerts;
mod api;
mod breaker;
mod convert;
mod layers;
mod limits;
mod memory;
mod scale;
mod scaling;
mod shown;
mod tracing;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringmaster_bus::kafka::owned_by_protocol;
use ringmaster_core::definition::{DEFAULTS, Mode};
use ringmaster_core::partition::StartAt;
use ringmaster_schemas::journal::Encoding;
use ringmaster_schemas::names::DEFAULT_PREFIX;

use crate::scaling::Configured;
use layers::Layers;

use crate::alerts::Webhook;
use crate::runtime::TYPE_FIELD;
use crate::traces::Endpoint;

pub use api::{Api, TlsFiles};
pub use breaker::Breaker;
pub use convert::group_of;
pub use memory::Shares;
pub use scale::Scale;
pub use shown::Setting;

/// All settings with their defaults and what they mean; `ringmaster config` prints it.
pub const DEFAULT: &str = include_str!("config/default.toml");

/// The file that is read if `--config` names no other and it exists.
pub const DEFAULT_FILE: &str = "ringmaster.toml";

/// What `log.level` may be, beside filters per module.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// All settings of an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where records are.
    pub bus: BusKind,
    /// Internal topics and the consumer group begin with this.
    pub prefix: String,
    /// P, fixed for life.
    pub partitions: i32,
    /// Threads that run sagas.
    pub workers: usize,
    /// Where the store and the embedded bus lie.
    pub data_dir: PathBuf,
    /// This instance's name, for people.
    pub instance: String,
    /// Folder of saga definitions.
    pub definitions: PathBuf,
    /// What changes there is deployed while a coordinator runs.
    pub definitions_watched: bool,
    /// Asked to stop, it gives its partitions to others at once.
    pub leave_on_stop: bool,
    /// So many other instances keep a warm copy of each partition.
    pub standby: usize,
    /// Records of the journal are kept so long at least, and deleted once snapshots stand for them; none for ever.
    pub journal_retention: Option<Duration>,
    /// Folder of Avro schemas.
    pub schemas: PathBuf,
    /// Where a topic that was never read begins.
    pub start_at: StartAt,
    /// Where HTTP listens, and who may ask there.
    pub api: Api,
    /// Where alerts are told; none for nowhere.
    pub alerts: Option<Webhook>,
    /// Where traces are sent; none for nowhere.
    pub tracing: Option<Endpoint>,
    /// Where Kafka is.
    pub kafka: Kafka,
    /// Settings of the embedded bus.
    pub embedded: Embedded,
    /// How logs look.
    pub log: Log,
    /// When a participant's breaker opens by itself, and how what was parked goes out again.
    pub breaker: Breaker,
    /// Bounds.
    pub limits: Limits,
    /// Topics with settings of their own.
    pub topics: BTreeMap<String, Topic>,
    /// Participants with settings of their own.
    pub participants: BTreeMap<String, Participant>,
    /// Participants whose members `ringmaster scale` starts and stops.
    pub scale: BTreeMap<String, Scale>,
}

/// Which bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusKind {
    /// A Kafka cluster.
    Kafka,
    /// Segment files of this process.
    Embedded,
}

/// Where Kafka is.
#[derive(Clone, PartialEq, Eq)]
pub struct Kafka {
    /// Brokers to begin with: `host:port,host:port`.
    pub bootstrap: String,
    /// Settings for librdkafka, by its own names.
    pub passthrough: BTreeMap<String, String>,
}

/// Without values: passwords and keys are among them.
impl std::fmt::Debug for Kafka {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Kafka({}, {:?})", self.bootstrap, self.passthrough.keys())
    }
}

/// Settings of the embedded bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// Where its files are.
    pub dir: PathBuf,
    /// Force every batch to the disk before it is acknowledged.
    pub sync_always: bool,
}

/// How logs look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// One JSON object a line, instead of text.
    pub json: bool,
    /// A level, or a filter per module.
    pub level: String,
}

/// A topic's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// The field of a JSON event that names its type.
    pub type_field: String,
    /// The type where nothing else tells it.
    pub default_type: Option<String>,
    /// How events are sent to it.
    pub mode: Mode,
    /// How events sent to it are encoded; none for Avro where the event has a schema, else JSON.
    pub encoding: Option<Encoding>,
    /// Take a topic that was deleted and made again as new.
    pub accept_new: bool,
    /// Its events go through the router, whatever their keys and partitions.
    pub routed: bool,
}

impl Default for Topic {
    fn default() -> Self {
        Topic {
            type_field: TYPE_FIELD.to_owned(),
            default_type: None,
            mode: Mode::CloudEvents,
            encoding: None,
            accept_new: false,
            routed: false,
        }
    }
}

/// A participant's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// How commands are written for it.
    pub encoding: Encoding,
    /// How long it recognises a repeated command.
    pub remembers: Duration,
    /// By what it is told whether it is about to be the bottleneck.
    pub scaling: Configured,
}

/// Bounds; the default file says what each is for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is described in the default file, which is what users read")]
pub struct Limits {
    pub in_flight_records_max: usize,
    pub memory: usize,
    pub in_flight_max: usize,
    pub unreleased_effects_max: usize,
    pub record_bytes_max: usize,
    pub record_turns_max: usize,
    pub timers_per_poll_max: usize,
    pub checkpoint_every: Duration,
    pub checkpoint_rows_max: usize,
    pub flush_every: Duration,
    pub scrub_every: Duration,
    pub claim_backoff_first: Duration,
    pub claim_backoff_max: Duration,
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads settings from `file` (or [`DEFAULT_FILE`], if it exists), this process's environment, and `KEY=VALUE` flags.
    pub fn load(file: Option<&Path>, flags: &[String]) -> Result<Config, ConfigError> {
        Ok(Config::load_shown(file, flags)?.0)
    }

    /// The same, and each setting as people see it.
    pub fn load_shown(file: Option<&Path>, flags: &[String]) -> Result<(Config, Vec<Setting>), ConfigError> {
        let mut layers = Layers::default();
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        if file.is_some() || path.exists() {
            let text = std::fs::read_to_string(path).map_err(|error| ConfigError(vec![format!("{}: {error}", path.display())]))?;
            layers = layers.file(path, &text);
        }
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Config::read(layers.environment(environment).flags(flags.iter().map(String::as_str)))
    }

    /// Reads settings from a text alone, as a file of this name would say them.
    pub fn parse(name: &str, text: &str) -> Result<Config, ConfigError> {
        Ok(Config::read(Layers::default().file(Path::new(name), text))?.0)
    }

    /// Where the store lies.
    pub fn store_dir(&self) -> PathBuf {
        self.data_dir.join("store")
    }

    fn read(mut layers: Layers) -> Result<(Config, Vec<Setting>), ConfigError> {
        let config = read_config(&mut layers);
        let said = layers.take_said();
        let problems = layers.finish();
        if problems.is_empty() { Ok((config, shown::shown(said, DEFAULT))) } else { Err(ConfigError(problems)) }
    }
}

fn read_config(layers: &mut Layers) -> Config {
    let data_dir = layers.read(&["data_dir"], "ringmaster-data".to_owned(), values::text);
    let data_dir = PathBuf::from(data_dir);
    let partitions = layers.read(&["partitions"], 8, values::count(1, 16_384));
    let workers =
        layers.read(&["workers"], None, values::auto(values::count(1, 1_024))).unwrap_or_else(worker_count).min(partitions);
    Config {
        bus: layers.read(&["bus"], BusKind::Kafka, values::choice(&[("kafka", BusKind::Kafka), ("embedded", BusKind::Embedded)])),
        prefix: layers.read(&["prefix"], DEFAULT_PREFIX.to_owned(), values::topic_prefix),
        partitions: partitions as i32,
        workers,
        instance: layers.read(&["instance"], None, values::auto(values::text)).unwrap_or_else(machine_name),
        definitions: layers.read(&["definitions"], "sagas".to_owned(), values::text).into(),
        definitions_watched: layers.read(&["definitions_watched"], false, values::truth),
        leave_on_stop: layers.read(&["leave_on_stop"], true, values::truth),
        standby: layers.read(&["standby"], 0, values::count(0, 16)),
        journal_retention: layers.read(&["journal_retention"], None, values::forever(values::duration_within("2s", "3650d"))),
        schemas: layers.read(&["schemas"], "sagas/schemas".to_owned(), values::text).into(),
        start_at: layers.read(&["start_at"], StartAt::Earliest, values::start_at),
        api: api::read(layers),
        alerts: alerts::read(layers),
        tracing: tracing::read(layers),
        kafka: read_kafka(layers),
        embedded: Embedded {
            dir: layers
                .read(&["embedded", "dir"], None, values::auto(values::text))
                .map_or_else(|| data_dir.join("bus"), PathBuf::from),
            sync_always: layers.read(&["embedded", "sync"], false, values::choice(&[("page-cache", false), ("always", true)])),
        },
        log: Log {
            json: layers.read(&["log", "format"], false, values::choice(&[("text", false), ("json", true)])),
            level: layers.read(&["log", "level"], "info".to_owned(), |text| {
                let filter = tracing_subscriber::EnvFilter::try_new(text);
                let filter = filter.map(|_| text.to_owned()).map_err(|error| format!("'{text}' is no level or filter: {error}"))?;
                // A word alone would be a module, of which all is logged, and of all others nothing.
                let is_known = |part: &&str| part.contains(['=', '[']) || LEVELS.contains(&part.to_ascii_lowercase().as_str());
                match text.split(',').map(str::trim).find(|part| !is_known(part)) {
                    None => Ok(filter),
                    Some(part) => Err(format!("'{part}' is not {}, or MODULE=LEVEL", LEVELS.join(", "))),
                }
            }),
        },
        breaker: breaker::read(layers),
        limits: limits::read(layers, partitions, workers),
        topics: layers.names_under("topics").into_iter().map(|name| (name.clone(), read_topic(layers, &name))).collect(),
        participants: layers
            .names_under("participants")
            .into_iter()
            .map(|name| (name.clone(), read_participant(layers, &name)))
            .collect(),
        scale: layers.names_under("scale").into_iter().map(|name| (name.clone(), scale::read(layers, &name))).collect(),
        data_dir,
    }
}

/// Where the brokers are is the bus's own setting; everything else is passed through.
const BOOTSTRAP: &str = "bootstrap.servers";

fn read_kafka(layers: &mut Layers) -> Kafka {
    let mut passthrough = layers.read_all_under("kafka", |key| match owned_by_protocol(key) {
        Some(why) if key != BOOTSTRAP => Err(format!("cannot be set: {why}")),
        _ => Ok(()),
    });
    let bootstrap = passthrough.remove(BOOTSTRAP).unwrap_or_else(|| "127.0.0.1:9092".to_owned());
    if bootstrap.split(',').any(|broker| broker.trim().is_empty()) {
        layers
            .problem(format!("kafka.{BOOTSTRAP}: '{bootstrap}' names no broker, or an empty one: host:port, several with commas"));
    }
    Kafka { bootstrap, passthrough }
}

const ENCODINGS: [(&str, Encoding); 2] = [("avro", Encoding::Avro), ("json", Encoding::Json)];

fn read_topic(layers: &mut Layers, name: &str) -> Topic {
    let default = Topic::default();
    Topic {
        type_field: layers.read(&["topics", name, "type_field"], default.type_field, values::text),
        default_type: layers.read(&["topics", name, "default_type"], None, |text| values::text(text).map(Some)),
        mode: layers.read(
            &["topics", name, "mode"],
            default.mode,
            values::choice(&[("plain", Mode::Plain), ("cloudevents", Mode::CloudEvents)]),
        ),
        encoding: layers.read(&["topics", name, "encoding"], None, |text| values::choice(&ENCODINGS)(text).map(Some)),
        accept_new: layers.read(&["topics", name, "accept_new"], false, values::truth),
        routed: layers.read(&["topics", name, "routed"], false, values::truth),
    }
}

fn read_participant(layers: &mut Layers, name: &str) -> Participant {
    Participant {
        encoding: layers.read(&["participants", name, "encoding"], Encoding::Avro, values::choice(&ENCODINGS)),
        remembers: layers.read(
            &["participants", name, "remembers"],
            Duration::from_millis(DEFAULTS.remembers_ms.unsigned_abs()),
            values::duration_within("1s", "36500d"),
        ),
        scaling: scaling::read(layers, name),
    }
}

/// One per two cores: broker and participants want the others.
fn worker_count() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "ringmaster".to_owned() } else { name.trim().to_owned() }
}

#[cfg(test)]
mod tests;
