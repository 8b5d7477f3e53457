//! What stands in rows of its own below a row: the items of a for_each, each of a list; and a sub-saga, the only item of its run.

use std::sync::Arc;

use super::Failure;
use crate::shared::Data;
use crate::{record, variants};

record! {
    /// A list that is gone through; of a run its input, as the only item.
    pub struct Items {
        /// How many items.
        pub count: u16,
        /// So many at once at most.
        pub at_once: u16,
        /// Something of an item has an undo.
        pub undoes: bool,
        /// Each with its length in front, as Avro.
        pub list: Data,
    }
}

variants! {
    /// What happens about the items of a for_each, or the sub-saga of a run: that is item 0.
    pub enum ItemEvent {
        /// The row of an item begins.
        Began {
            /// Which, from 0.
            index: u16,
            /// Where the next one lies in the list.
            next_at: i32,
        } = 0,
        /// The row of an item has ended.
        Ended {
            /// Which.
            index: u16,
            /// It is done; else it left nothing behind.
            well: bool,
        } = 1,
        /// The row of an item is to undo what it did, or to stop.
        Recalled {
            /// Which.
            index: u16,
        } = 2,
        /// An item needs a person, or is parked, so that clocks above it stand; or not any more.
        Held {
            /// Which.
            index: u16,
            /// It is held now.
            held: bool,
        } = 3,
        /// What was done by all of them is to be undone.
        UndoBegan {
            /// Why.
            failure: Arc<Failure>,
        } = 4,
        /// The row of an item is needed no more.
        Swept {
            /// Which.
            index: u16,
        } = 5,
        /// It does not go yet: something of it, or below it, is still to be undone.
        Lingers {
            /// Which.
            index: u16,
        } = 6,
        /// A sub-saga is behind its pivot: so is the row above it.
        Passed {
            /// Which.
            index: u16,
        } = 7,
        /// A sub-saga that holds the pivot is told of a stop that is remembered above: it stops if it still can.
        StopAsked {
            /// Which.
            index: u16,
        } = 8,
        /// An item is told that the row above it is paused, or is so no more.
        Told {
            /// Which.
            index: u16,
            /// It is paused.
            paused: bool,
        } = 9,
    }
}
