//! What [`crate::Bus::read`] reads by: librdkafka's consumer, or the fetcher that speaks to brokers itself.

use std::sync::Arc;
use std::time::Instant;

use ringmaster_schemas::journal::TopicId;

use super::direct;
use super::errors::no_broker;
use super::reader::Reader;
use super::settings::{Client, KafkaSettings};
use super::sockets::Sockets;
use crate::signal::Signal;
use crate::{BusError, BusEvent, Topic, TopicNames, TopicPartition};

/// Reads partitions, without being a member of a group.
pub(super) enum Inlet {
    Librdkafka(Box<Reader>),
    Direct(Box<direct::Fetcher>),
}

impl Inlet {
    /// Does not wait for a broker.
    pub(super) fn open(
        client: Client,
        security: &direct::Security,
        settings: &KafkaSettings,
        signal: &Arc<Signal>,
        sockets: &mut Option<Sockets>,
    ) -> Result<Self, BusError> {
        Ok(match client {
            Client::Librdkafka => Inlet::Librdkafka(Box::new(Reader::new(settings, &settings.group, signal)?)),
            Client::Direct => {
                let registry = Sockets::registry(sockets, signal)?;
                let (how, signal) = (settings.fetching(), Arc::clone(signal));
                let fetcher = direct::Fetcher::new(&settings.bootstrap, security.clone(), how, registry, signal, Instant::now());
                Inlet::Direct(Box::new(fetcher.map_err(no_broker)?))
            }
        })
    }

    /// True if nothing is read.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Inlet::Librdkafka(reader) => reader.is_idle(),
            Inlet::Direct(fetcher) => fetcher.is_idle(),
        }
    }

    /// What positions can be committed by, if it can.
    pub(super) fn committer(&self) -> Option<&Reader> {
        if let Inlet::Librdkafka(reader) = self { Some(reader) } else { None }
    }

    pub(super) fn read(&mut self, names: &TopicNames, at: TopicPartition, from: i64) {
        match self {
            Inlet::Librdkafka(reader) => reader.read(names, at, from),
            Inlet::Direct(fetcher) => fetcher.read(at, from),
        }
    }

    pub(super) fn stop(&mut self, names: &TopicNames, at: TopicPartition) {
        match self {
            Inlet::Librdkafka(reader) => reader.stop(names, at),
            Inlet::Direct(fetcher) => fetcher.stop(at),
        }
    }

    pub(super) fn pause(&mut self, names: &TopicNames, which: &[TopicPartition], paused: bool) {
        match self {
            Inlet::Librdkafka(reader) => reader.pause(names, which, paused),
            Inlet::Direct(fetcher) => fetcher.pause(which, paused),
        }
    }

    /// Reads nothing of this name from another topic than this.
    pub(super) fn expect(&mut self, topic: Topic, id: TopicId) {
        match self {
            Inlet::Librdkafka(reader) => reader.expect(topic, &id),
            Inlet::Direct(fetcher) => fetcher.expect(topic, id),
        }
    }

    /// Visits up to so many events; returns how many.
    pub(super) fn visit(&mut self, names: &mut TopicNames, count_max: usize, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        match self {
            Inlet::Librdkafka(reader) => reader.visit(names, count_max, visit),
            Inlet::Direct(fetcher) => fetcher.visit(names, count_max, Instant::now(), visit),
        }
    }

    /// When it is to be visited although nothing raised the signal.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Inlet::Librdkafka(reader) => reader.again_at(),
            Inlet::Direct(fetcher) => fetcher.due(Instant::now()),
        }
    }
}
