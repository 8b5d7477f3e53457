//! Why a saga waits for an event that is known by a value.

use ringmaster_schemas::state::ClaimedValue;

use super::Leaf;
use crate::definition::Verb;

impl Leaf<'_> {
    /// The value that it has claimed.
    fn claim(&self) -> Option<&ClaimedValue> {
        self.saga.claim_at(self.place)
    }

    /// The event that is waited for, with its value where it is known by one.
    pub(super) fn awaited(&self) -> String {
        let (event, topic) = self.listener();
        format!("{event} on {topic}{}", self.with_value())
    }

    /// It is the saga that claims a value, before anything of it begins.
    pub(super) fn is_claimed_alone(&self) -> bool {
        self.node.is_some_and(|node| matches!(node.verb, Verb::Claim(_)))
    }

    /// Which value that is.
    pub(super) fn claim_alone(&self) -> String {
        let value = self.claim().map(|claim| format!(" of {}={}", claim.name.field, claim.name.value));
        format!("its claim{}", value.unwrap_or_default())
    }

    /// What follows on the answer.
    pub(super) fn alone(&self) -> String {
        format!(
            "the value's partition: if no other saga has the value this one begins, else it is refused with VALUE_TAKEN; {}, it is refused with EXPIRED",
            self.when_over()
        )
    }

    /// The value, and whether it is the wait's own yet.
    pub(super) fn with_value(&self) -> String {
        match self.claim() {
            None => String::new(),
            Some(claim) if claim.granted => format!(" with {} = {}", claim.name.field, claim.name.value),
            Some(claim) => {
                format!(" with {} = {}, which is claimed and not granted yet", claim.name.field, claim.name.value)
            }
        }
    }

    /// By what the event is known.
    pub(super) fn known_by(&self) -> &'static str {
        match self.claim() {
            None => "with this saga's key",
            Some(_) => "with this value",
        }
    }

    /// What happens where another one has the value.
    pub(super) fn may_be_taken(&self) -> &'static str {
        match self.claim() {
            Some(claim) if !claim.granted => "; if another wait has the value, it is refused with VALUE_TAKEN",
            _ => "",
        }
    }
}
