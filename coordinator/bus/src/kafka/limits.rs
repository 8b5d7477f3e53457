//! How much topics take, as the broker said last: judged before anything is sent, and asked anew when something was refused.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::{Description, SendError, Topic};

/// What a record takes in a batch beside its key and value, at most: lengths, times, the batch's own header.
const RECORD_OVERHEAD_BYTES: usize = 128;
/// What a batch of several records may have, in bytes: librdkafka's own default.
const BATCH_BYTES: usize = 1_000_000;
/// Limits are asked for at most so often.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// `max.message.bytes` of topics that were described.
#[derive(Debug, Default)]
pub(super) struct Limits {
    known: HashMap<Topic, usize>,
    ask_at: Option<Instant>,
}

impl Limits {
    /// Takes what a description says of the topic with this handle.
    pub(super) fn note(&mut self, topic: Topic, description: &Description) {
        let limit = description.settings.iter().find(|(key, _)| key == "max.message.bytes");
        if let Some(limit) = limit.and_then(|(_, value)| value.parse().ok()) {
            self.known.insert(topic, limit);
        }
    }

    /// Refuses a record that its topic would refuse; `name` is that of the topic.
    pub(super) fn check(&self, topic: Topic, name: &str, bytes: usize) -> Result<(), SendError> {
        match self.known.get(&topic) {
            Some(limit) if bytes + RECORD_OVERHEAD_BYTES > *limit => {
                Err(SendError::TooBig(format!("{bytes} bytes; {name} takes {limit} (max.message.bytes)")))
            }
            _ => Ok(()),
        }
    }

    /// Whether a record of so many bytes fits by itself. Not known to which topic it went: the narrowest decides.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        self.known.values().min().is_some_and(|limit| bytes + RECORD_OVERHEAD_BYTES <= *limit)
    }

    /// The largest batch that every topic takes. One that takes less than a batch has would refuse it again and again.
    pub(super) fn batch_bytes(&self) -> usize {
        let narrowest = self.known.values().min().map_or(BATCH_BYTES, |limit| limit.saturating_sub(RECORD_OVERHEAD_BYTES));
        narrowest.clamp(1, BATCH_BYTES)
    }

    /// The topics to ask about, now that something was too large: limits may have been changed. None if they were asked just now.
    pub(super) fn ask(&mut self) -> Option<Vec<Topic>> {
        let now = Instant::now();
        if self.ask_at.is_some_and(|at| at > now) {
            return None;
        }
        self.ask_at = Some(now + ASK_EVERY);
        Some(self.known.keys().copied().collect())
    }
}
