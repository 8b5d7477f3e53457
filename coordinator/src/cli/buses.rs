//! Opening the bus that the settings name.

use std::path::Path;

use ringmaster_bus::embedded::{EmbeddedBus, Log};
use ringmaster_bus::kafka::KafkaBus;

use super::exit::{Exit, Failure};
use crate::config::{BusKind, Config};

/// What a command does to the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Only looks: also while a coordinator runs.
    Read,
    /// Makes topics, appends.
    Write,
}

/// A bus, whichever it is.
pub(super) enum AnyBus {
    /// Kafka.
    Kafka(Box<KafkaBus>),
    /// Files of this process.
    Embedded(Box<EmbeddedBus>),
}

/// Runs an expression with a mutable reference to whichever bus it is.
macro_rules! on_bus {
    ($any:expr, $bus:ident => $body:expr) => {
        match $any {
            $crate::cli::buses::AnyBus::Kafka($bus) => {
                let $bus = &mut **$bus;
                $body
            }
            $crate::cli::buses::AnyBus::Embedded($bus) => {
                let $bus = &mut **$bus;
                $body
            }
        }
    };
}
pub(super) use on_bus;

/// Whoever only looks makes no directory.
fn never_made(directory: &Path) -> Failure {
    let what = "`ringmaster topics apply` and `ringmaster run` make it. If it is elsewhere, set data_dir or embedded.dir";
    Failure::new(Exit::Refused, format_args!("there is no embedded bus in {}: {what}", directory.display()))
}

/// Opens one client of the configured bus.
pub(super) fn open(config: &Config, access: Access) -> Result<AnyBus, Failure> {
    Ok(match config.bus {
        BusKind::Kafka => AnyBus::Kafka(Box::new(KafkaBus::new(config.kafka_settings())?)),
        BusKind::Embedded => AnyBus::Embedded(Box::new(match access {
            Access::Read if !config.embedded.dir.exists() => return Err(never_made(&config.embedded.dir)),
            Access::Read => Log::open_read_only(&config.embedded.dir)?.client(),
            Access::Write => Log::open(&config.embedded.dir, config.log_settings())?.client(),
        })),
    })
}
