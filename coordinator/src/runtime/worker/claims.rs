//! Claims, and the way out of a doubt.

use ringmaster_bus::Bus;
use ringmaster_core::faults::reached;
use ringmaster_core::partition::{Happened, Wish};
use ringmaster_schemas::Millis;

use super::{Inner, Stop};
use crate::runtime::clock::Now;

/// Owning so long without a doubt forgives earlier ones.
const CALM_MS: Millis = 30_000;

impl Inner {
    /// The one way out of any doubt (PROTOCOL.md rule 4): the sender goes, and every partition of it claims again after a pause.
    pub(super) fn give_up_sender(&mut self, bus: &mut impl Bus, why: &str, now: Now) {
        let Some(sender) = self.sender.take() else {
            return;
        };
        self.doubts += 1;
        let pause = (self.settings.claim_backoff_first_ms << (self.doubts - 1).min(16)).min(self.settings.claim_backoff_max_ms);
        self.claim_at = now.steady + pause;
        self.owned_since = Millis::MAX;
        tracing::warn!(why, pause_ms = pause, "in doubt: what is unconfirmed is dropped, and all partitions are claimed again");
        reached("producer_fatal");
        bus.close_sender(sender);
        reached("producer_replaced_callbacks_pending");
        self.unsent.clear();
        self.claimed.clear();
        self.watch.doubt();
        for place in 0..self.hosts.len() {
            let hosted = self.hosts.get_mut(self.hosts.number_at(place)).expect("it is hosted");
            hosted.wishes.retain(|wish| !matches!(wish, Wish::Append { .. } | Wish::Forward(_) | Wish::Send(_) | Wish::Doubt(_)));
        }
        self.each(now, || Happened::Doubt);
    }

    /// Claims what can be claimed, each by itself: after a doubt when its scan is over, or because it was just assigned.
    pub(super) fn claim_when_ready(&mut self, bus: &mut impl Bus, now: Now) {
        if now.steady.saturating_sub(self.owned_since) > CALM_MS {
            self.doubts = 0;
        }
        if now.steady < self.claim_at || !self.watch.is_sure() || self.hosts.iter().all(|hosted| !hosted.ready) {
            return;
        }
        let sender = match self.sender.map_or_else(|| bus.open_sender(), Ok) {
            Ok(sender) => sender,
            Err(error) => {
                self.stop.get_or_insert(Stop::Bus(error.to_string()));
                return;
            }
        };
        self.sender = Some(sender);
        for place in 0..self.hosts.len() {
            let number = self.hosts.number_at(place);
            let hosted = self.hosts.get_mut(number).expect("it is hosted");
            if std::mem::take(&mut hosted.ready) {
                let id = (self.ids)();
                self.tell(number, now, Happened::Claimed { id, sender: sender.0 });
            }
        }
        reached("reclaim_sent_old_on_wire");
        self.execute(bus, now);
    }
}
