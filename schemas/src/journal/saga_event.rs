//! What happens to one saga: past tense, self-contained, so that `apply` and `effects` need neither definition nor clock.
//!
//! An event names what it happens to by its *place*: the number of an entry in the saga's list. It carries no time of its own: the
//! `now` of its record is the turn's.

use std::sync::Arc;

use super::{
    ActKind, Emission, EventAnswer, FailureKind, Head, ItemEvent, KeptEvent, Next, Opens, Order, TakenEvent, ValueClaim,
    ValueRelease,
};
use crate::names::Direction;
use crate::shared::Data;
use crate::{Millis, record, variants};

/// The number of an entry in a saga's list.
pub type Place = u16;

variants! {
    /// One thing that happened.
    pub enum SagaEvent {
        /// It exists.
        Started {
            /// What never changes.
            head: Head,
            /// When its deadline is.
            deadline_at: Option<Millis>,
        } = 0,
        /// A node's `if` was false, or the pivot was passed by through another arm.
        Skipped {
            /// Its number in the definition.
            node: u16,
            /// It holds the pivot: the saga is behind it now.
            passes: bool,
        } = 1,
        /// A node was reached that asks nobody yet.
        Entered {
            /// Its place: the next one.
            place: Place,
            /// Its number in the definition; 0 is the saga as a whole, at its end.
            node: u16,
            /// Which entry of this node it is, from 1.
            round: u8,
            /// How it begins.
            opens: Opens,
        } = 2,
        /// A node was reached, and its command is to be sent.
        CommandIssued {
            /// Its place: the next one.
            place: Place,
            /// Its number in the definition.
            node: u16,
            /// Which entry of this node it is, from 1.
            round: u8,
            /// What is to be sent, the same in every attempt.
            order: Order,
            /// When this attempt runs out.
            due_at: Millis,
        } = 3,
        /// A command is to be sent once more.
        CommandRepeated {
            /// Whose.
            place: Place,
            /// The node's own, or its undo's.
            direction: Direction,
            /// From 2.
            attempt: u16,
            /// When this attempt runs out.
            due_at: Millis,
        } = 4,
        /// What was done, or may have been, is to be undone.
        UndoIssued {
            /// Whose.
            place: Place,
            /// What is to be sent, the same in every attempt.
            order: Order,
            /// When this attempt runs out.
            due_at: Millis,
        } = 5,
        /// An attempt failed or ran out; the next one is due later.
        RetryScheduled {
            /// Whose.
            place: Place,
            /// The node's own, or its undo's.
            direction: Direction,
            /// When the next attempt is issued.
            due_at: Millis,
            /// How this one ended.
            failure: Arc<Failure>,
        } = 6,
        /// Done; a scope: all that was entered in it ended well.
        Succeeded {
            /// What.
            place: Place,
            /// The result's fields that expressions of this version can read, as Avro; none if none are read.
            result: Option<Data>,
            /// It is the pivot: the saga is behind it now.
            passes: bool,
        } = 7,
        /// The participant refused, or a scope that was refused is undone: known not done.
        Refused {
            /// What.
            place: Place,
            /// Why.
            failure: Arc<Failure>,
        } = 8,
        /// Given up: whether it was done is not known. A scope that failed: undone.
        Failed {
            /// What.
            place: Place,
            /// Why.
            failure: Arc<Failure>,
        } = 9,
        /// From here on the saga undoes what was done or may have been done.
        CompensationBegan {
            /// Why.
            failure: Arc<Failure>,
        } = 10,
        /// A compensation is done.
        Undone {
            /// Whose.
            place: Place,
        } = 11,
        /// Given up with nothing done, or nobody waits for it any more.
        Closed {
            /// What.
            place: Place,
        } = 12,
        /// It needs a person.
        Stuck {
            /// What.
            place: Place,
            /// Why, and what would help.
            failure: Arc<Failure>,
        } = 13,
        /// What was known as not done was done after all.
        ContradictionFound {
            /// What.
            place: Place,
            /// Nothing ever counted on it, and the saga does not undo: it is undone by itself.
            stray: bool,
        } = 14,
        /// The deadline passed behind the pivot, or while the pivot was in flight: noted, nothing is undone.
        MarkedLate {
            /// The deadline.
            due_at: Millis,
        } = 15,
        /// Everything is done.
        Completed {
            /// Events for others.
            emissions: Vec<Emission>,
            /// When its row may go.
            expires_at: Millis,
        } = 16,
        /// Everything is undone.
        Compensated {
            /// Events for others.
            emissions: Vec<Emission>,
            /// When its row may go.
            expires_at: Millis,
        } = 17,
        /// An event for others is to be sent, on the way.
        Emitted {
            /// The node that says so.
            node: u16,
            /// The event; shared, so that it makes no other event large.
            emission: Arc<Emission>,
        } = 18,
        /// Something in a scope failed: nothing new starts in it, and what was done in it is undone. Then its own reaction is asked.
        ScopeStopped {
            /// The scope's.
            place: Place,
            /// It will be refused; else failed.
            refused: bool,
            /// Why.
            failure: Arc<Failure>,
        } = 19,
        /// The steps of a reaction begin.
        ReactionBegan {
            /// Of what was refused or failed.
            place: Place,
            /// Number of the reaction's list in the definition.
            list: u16,
        } = 20,
        /// It goes on behind what was refused or failed, as if that were not there.
        WentOn {
            /// Behind what.
            place: Place,
            /// It is the pivot: the saga is behind it now.
            passes: bool,
        } = 21,
        /// A cancel, or the deadline, while the pivot is in flight: it undoes if the pivot is refused.
        StopRemembered {
            /// Why it would undo.
            failure: Arc<Failure>,
        } = 22,
        /// The pivot succeeded: what was remembered came too late.
        StopForgotten {} = 23,
        /// A person acted; what follows from it stands behind this.
        Acted {
            /// What they did.
            act: ActKind,
            /// Who.
            by: Arc<str>,
            /// Why, in their words.
            why: Arc<str>,
        } = 24,
        /// What was stuck, or parked, is asked again: the same command under the same key, with a new budget, or what is left of the old.
        Retried {
            /// Whose.
            place: Place,
            /// The node's own, or its undo's.
            direction: Direction,
            /// One more than the last.
            attempt: u16,
            /// What is to be sent: the same, but for its time.
            order: Order,
            /// When this attempt runs out.
            due_at: Millis,
        } = 25,
        /// An approval was not answered for so long that others may answer it too.
        Escalated {
            /// Of which entry.
            place: Place,
            /// Who may answer now, beside those before.
            role: Arc<str>,
            /// When the next are asked, or nobody any more.
            due_at: Millis,
        } = 26,
        /// The event came that was waited for.
        EventTaken {
            /// By which entry.
            place: Place,
            /// Which event, and what is kept of it.
            event: Arc<TakenEvent>,
            /// It is the pivot: the saga is behind it now.
            passes: bool,
        } = 27,
        /// An event came before something waits for it, or before there is a saga.
        EventKept {
            /// The event.
            event: Arc<KeptEvent>,
        } = 28,
        /// Events that came early have waited for as long as they may.
        EventsExpired {
            /// How many.
            count: u16,
        } = 29,
        /// What would be asked now waits until its participant is asked again.
        Parked {
            /// Whose.
            place: Place,
            /// The node's own, or its undo's.
            direction: Direction,
            /// Whose breaker is open.
            participant: Arc<str>,
            /// How the last attempt ended, if one did.
            failure: Option<Arc<Failure>>,
        } = 30,
        /// Its priority is not the usual one.
        Prioritised {
            /// From 0 to 9; the larger goes first.
            priority: u8,
        } = 31,
        /// A person pauses it, or it is paused with a saga above it: nothing of it goes forward any more.
        Paused {
            /// Who; nobody where it is paused with a saga above it.
            by: Arc<str>,
            /// Why, in their words; or the id of the saga above.
            why: Arc<str>,
        } = 32,
        /// What comes next does not begin: the saga is paused.
        Postponed {
            /// What.
            next: Next,
        } = 33,
        /// What would be asked again is not: the saga is paused.
        Withheld {
            /// What.
            place: Place,
            /// How the last attempt ended, if that was just now.
            failure: Option<Arc<Failure>>,
        } = 34,
        /// It goes on: what was postponed begins, and what was withheld is asked again.
        Resumed {} = 35,
        /// An event answered to an approval.
        Answered {
            /// Of which entry.
            place: Place,
            /// Which event, and what it says.
            answer: Arc<EventAnswer>,
            /// It is the pivot: the saga is behind it now.
            passes: bool,
        } = 36,
        /// That something needs a person is told to others.
        StuckTold {
            /// What.
            place: Place,
            /// The event; none if it could not be made.
            emission: Option<Arc<Emission>>,
            /// Why not.
            failure: Option<Arc<Failure>>,
        } = 37,
        /// Something happened about the items of a for_each.
        Item {
            /// The for_each's.
            place: Place,
            /// What.
            event: ItemEvent,
        } = 38,
        /// The row of an item is gone: its saga has ended.
        Swept {
            /// It stays until what was found late, in it or below it, is undone.
            lingers: bool,
        } = 39,
        /// A wait claims the value by which its event is known.
        ValueClaimed {
            /// Whose: the place of the wait.
            place: Place,
            /// What is sent to the value's partition.
            claim: Arc<ValueClaim>,
        } = 40,
        /// The value's partition says that it has the value.
        ValueGranted {
            /// Whose.
            place: Place,
        } = 41,
        /// An event with the value came, and is not the one.
        EventPassed {
            /// Whose.
            place: Place,
            /// The event's identity.
            source: Arc<str>,
        } = 42,
        /// It waits no more: the value is free again.
        ValueReleased {
            /// Whose.
            place: Place,
            /// What is sent to the value's partition.
            release: Arc<ValueRelease>,
        } = 43,
        /// Of a value's row: a wait has the value now.
        ValueGiven {
            /// Which wait.
            claim: Arc<ValueClaim>,
        } = 44,
        /// Of a value's row: a wait does not get the value, since another one has it.
        ValueDenied {
            /// Which wait.
            claim: Arc<ValueClaim>,
        } = 45,
        /// Of a value's row: a wait is over.
        ValueFreed {
            /// Which one, and what it has seen.
            release: Arc<ValueRelease>,
        } = 46,
    }
}

record! {
    /// Why something failed.
    pub struct Failure {
        /// For programs: the participant's code, or TIMEOUT, EXPIRED, DATA_TOO_BIG...
        pub code: Arc<str>,
        /// The node's name.
        pub step: Arc<str>,
        /// What kind.
        pub kind: FailureKind,
        /// For people.
        pub message: Arc<str>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events wait in vectors and are copied into records: a large variant would make all of them large.
    #[test]
    fn an_event_is_small() {
        assert!(size_of::<SagaEvent>() <= 40, "{}", size_of::<SagaEvent>());
    }
}
