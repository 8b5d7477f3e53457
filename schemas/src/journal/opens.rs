//! How entries begin, and what is to begin.

use std::sync::Arc;

use super::{Failure, Items};
use crate::shared::Data;
use crate::{Millis, record, variants};

variants! {
    /// How an entry begins that asks nobody yet.
    pub enum Opens {
        /// It cannot begin: its command, or the event at the end, cannot be made. A person must look at it.
        Stuck {
            /// Why.
            failure: Arc<Failure>,
        } = 0,
        /// The definition itself refuses here: known not done.
        Refused {
            /// By which code.
            failure: Arc<Failure>,
        } = 1,
        /// A scope: what belongs to it is entered behind it, and undone with it.
        Scope {
            /// When its time is over; none: never.
            until: Option<Millis>,
        } = 2,
        /// It sleeps.
        Sleep {
            /// When it wakes.
            due_at: Millis,
            /// That is the end of its `within`, before the end of the sleep: it is refused then.
            expires: bool,
        } = 3,
        /// Somebody is asked, and answers yes or no.
        Approval {
            /// Who, and what they are shown.
            asked: Arc<Asked>,
            /// When others are asked too, or nobody any more.
            due_at: Millis,
        } = 4,
        /// It waits for an event.
        Wait {
            /// When it is over.
            until: Millis,
        } = 5,
        /// Its command is not even made yet: its participant is not asked now.
        Parked {
            /// Whose breaker is open.
            participant: Arc<str>,
        } = 6,
        /// A for_each or a run: its items, or its sub-saga, follow, each in a row of its own.
        Items {
            /// The list, as it is from here on.
            items: Arc<Items>,
            /// When its time is over; none: never.
            until: Option<Millis>,
        } = 7,
        /// An item, or a sub-saga, has ended well and gives this.
        Gave {
            /// Its result.
            result: Data,
        } = 8,
    }
}

record! {
    /// What would begin if its saga were not paused.
    pub struct Next {
        /// The node's number; 0 is the saga's end.
        pub node: u16,
        /// It is tried again, whatever its condition says by now.
        pub again: bool,
    }
}

record! {
    /// An approval that is asked for.
    pub struct Asked {
        /// Who may answer.
        pub role: Arc<str>,
        /// What they are shown, as JSON; none if nothing is.
        pub show: Option<Arc<str>>,
    }
}
