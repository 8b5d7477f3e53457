//! What waits by itself and asks no participant, a verb a file: how it is entered, and how it ends.

mod approval;
mod claim;
mod for_each;
mod run;
mod sleep;
mod unique;
mod wait;

use ringmaster_schemas::journal::{FailureKind, Place, SagaEvent};

use super::code;
use super::decide::Draft;
use super::flow::Way;

impl Draft<'_> {
    /// It waited for as long as it may.
    pub(super) fn expired(&mut self, place: Place, message: &str) -> Way {
        let failure = self.failure_at(place, FailureKind::Expired, code::EXPIRED, message);
        self.happen(SagaEvent::Refused { place, failure });
        Way::Settled(place)
    }
}
