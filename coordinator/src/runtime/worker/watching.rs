//! What a worker does about the topics that it watches.

use ringmaster_bus::{Description, Sender, Topic};
use ringmaster_core::partition::Happened;

use super::{Inner, Stop};
use crate::runtime::clock::Now;

impl Inner {
    /// A claim is in the log that has the journal's name. It counts when the broker says, after this, that it still is the journal.
    pub(super) fn hold_claim(&mut self, tag: u64, sender: Sender, offset: Option<i64>) {
        self.watch.doubt();
        self.claimed.push((tag, sender, offset));
    }

    pub(super) fn described(&mut self, question: u64, topics: &[(Topic, Option<Description>)], now: Now) {
        if let Err(lost) = self.watch.described(question, topics, now.steady) {
            tracing::error!(%lost, "stopped");
            self.stop.get_or_insert(Stop::Topic(lost));
        } else if self.watch.is_sure() {
            for (tag, sender, offset) in std::mem::take(&mut self.claimed) {
                if let Some((number, tag)) = self.addressee(tag) {
                    self.tell(number, now, Happened::Acknowledged { sender: sender.0, tag, offset });
                }
            }
        }
    }
}
