//! A sender: librdkafka's producer, or the one that speaks to brokers itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::direct;
use super::errors::{bus_error, is_doubt, is_size, no_broker, send_error};
use super::limits::Limits;
use super::native::{Delivery, Producer};
use super::outgoing::Outgoing;
use super::settings::{Client, KafkaSettings};
use super::sockets::Sockets;
use crate::signal::Signal;
use crate::{BusError, BusEvent, Message, Sender, TopicNames};

/// A producer of librdkafka that waits for the broker is looked at so often (`revival.rs`).
const SIGN_EVERY: Duration = Duration::from_secs(1);

/// What a sender is made of.
pub(super) struct Outlet {
    /// The largest batch that it makes of several records; a topic that takes less would refuse all of them, again and again.
    pub(super) batch_bytes: usize,
    by: By,
}

enum By {
    Librdkafka(Box<Outgoing>),
    Direct(Box<direct::Producer>),
}

impl Outlet {
    /// Does not wait for a broker.
    pub(super) fn open(
        client: Client,
        security: &direct::Security,
        settings: &KafkaSettings,
        batch_bytes: usize,
        signal: &Arc<Signal>,
        sockets: &mut Option<Sockets>,
    ) -> Result<Self, BusError> {
        let bootstrap = &settings.bootstrap;
        let by = match client {
            Client::Librdkafka => {
                let producer = Producer::new(&settings.producer(batch_bytes), Arc::clone(signal));
                By::Librdkafka(Box::new(Outgoing::new(producer.map_err(|error| bus_error(&error))?, bootstrap.clone())))
            }
            Client::Direct => {
                let registry = Sockets::registry(sockets, signal)?;
                let (compression, signal) = (settings.compression(), Arc::clone(signal));
                let producer = direct::Producer::new(bootstrap, security.clone(), compression, registry, signal, Instant::now());
                By::Direct(Box::new(producer.map_err(no_broker)?))
            }
        };
        Ok(Self { batch_bytes, by })
    }

    /// Collects a copy of a record.
    pub(super) fn send(&mut self, names: &TopicNames, message: &Message<'_>, tag: u64) -> Result<(), Code> {
        match &mut self.by {
            By::Librdkafka(outgoing) => outgoing.send(names, message, tag),
            By::Direct(producer) => producer.send(message, tag, self.batch_bytes, Instant::now()),
        }
    }

    /// Sends what is collected, as far as it can be sent.
    pub(super) fn flush(&mut self, names: &TopicNames) {
        match &mut self.by {
            By::Librdkafka(outgoing) => outgoing.flush(names),
            By::Direct(producer) => producer.flush(names, Instant::now()),
        }
    }

    /// Visits what happened as events of this sender, about so many records at most; returns how many. `refused` becomes true if something
    /// was too large.
    pub(super) fn visit(
        &mut self,
        sender: Sender,
        names: &TopicNames,
        limits: &Limits,
        count_max: usize,
        refused: &mut bool,
        visit: &mut dyn FnMut(BusEvent<'_>),
    ) -> usize {
        let mut count = 0;
        self.visit_deliveries(names, count_max, &mut |delivery| {
            visit(match delivery {
                Delivery::Done { tag, offset } => BusEvent::Acknowledged { sender, tag, offset },
                Delivery::Failed { tag, code, bytes } => {
                    *refused |= is_size(code);
                    BusEvent::Failed { sender, tag, why: send_error(code, limits.fits(bytes)) }
                }
                Delivery::Error { code, text, fatal } if is_doubt(code, fatal) => {
                    BusEvent::Doubt { sender, why: format!("{code}: {text}") }
                }
                Delivery::Error { code, text, .. } => {
                    tracing::warn!(%code, text, "producer");
                    return;
                }
            });
            count += 1;
        });
        count
    }

    fn visit_deliveries(&mut self, names: &TopicNames, count_max: usize, visit: &mut dyn FnMut(Delivery)) {
        match &mut self.by {
            By::Librdkafka(outgoing) => outgoing.visit(count_max, visit),
            By::Direct(producer) => producer.visit(names, count_max, Instant::now(), visit),
        };
    }

    /// When it is to be visited although nothing raised the signal.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.by {
            By::Librdkafka(outgoing) => outgoing.is_owed().then(|| Instant::now() + SIGN_EVERY),
            By::Direct(producer) => producer.due(Instant::now()),
        }
    }
}
