//! Where windows take place: one broker for all runs of a call, with its counters; or none, on the embedded log.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use ringmaster_bus::kafka::broker::{Broker, free_ports};

use crate::machine::{self, Used};
use crate::traffic::{Counters, Traffic};

/// The broker, if there is one.
pub(crate) struct Site {
    broker: Option<Broker>,
    counters: OnceLock<Counters>,
    jmx_port: u16,
}

impl Site {
    /// On the embedded log.
    pub(crate) fn embedded() -> Site {
        Site { broker: None, counters: OnceLock::new(), jmx_port: 0 }
    }

    /// Starts a broker.
    pub(crate) fn kafka() -> Result<Site> {
        let jmx_port = free_port()?;
        let jvm = [
            "-Dcom.sun.management.jmxremote=true".to_owned(),
            "-Dcom.sun.management.jmxremote.host=127.0.0.1".to_owned(),
            "-Djava.rmi.server.hostname=127.0.0.1".to_owned(),
            "-Dcom.sun.management.jmxremote.authenticate=false".to_owned(),
            "-Dcom.sun.management.jmxremote.ssl=false".to_owned(),
            format!("-Dcom.sun.management.jmxremote.port={jmx_port}"),
            format!("-Dcom.sun.management.jmxremote.rmi.port={jmx_port}"),
        ];
        Ok(Site { broker: Some(Broker::start_with_jvm(&[], &jvm)?), counters: OnceLock::new(), jmx_port })
    }

    /// `host:port` of the broker; none on the embedded log.
    pub(crate) fn address(&self) -> Option<&str> {
        self.broker.as_ref().map(Broker::address)
    }

    /// From now on the broker's counters are read. Every kind of request must have been made once.
    pub(crate) fn count(&self) -> Result<()> {
        if let Some(broker) = &self.broker {
            let counters = Counters::start(broker.libs(), self.jmx_port)?;
            self.counters.get_or_init(|| counters);
        }
        Ok(())
    }

    pub(crate) fn broker_used(&self) -> Used {
        self.broker.as_ref().map_or_else(Used::default, |broker| machine::used(&broker.pid().to_string()))
    }

    /// What the broker was asked between two moments; none before [`Self::count`].
    pub(crate) fn traffic(&self, from_ms: f64, to_ms: f64) -> Result<Option<Traffic>> {
        self.counters.get().map(|counters| counters.between(from_ms, to_ms)).transpose()
    }
}

/// Milliseconds since 1970.
pub(crate) fn wall_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}

/// A port that is free now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(free_ports(1)?[0])
}
