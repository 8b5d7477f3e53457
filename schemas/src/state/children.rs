//! What a for_each knows of the rows of its items. It does not grow with them: those that have ended are a number. A run knows the same
//! of its sub-saga, the only one.

use super::{End, Entry, Saga, Status, Waits};
use crate::codec::{Avro, Cursor, Malformed};
use crate::journal::Place;
use crate::shared::Data;
use crate::{Millis, names, record};

record! {
    /// The rows below a for_each.
    pub struct Children {
        /// How many items there are.
        pub count: u16,
        /// So many may be open at once.
        pub at_once: u16,
        /// Items that began: those before this number.
        pub begun: u16,
        /// Where the next one lies in the list, in bytes.
        pub at: i32,
        /// Items whose rows are under way, in the order in which they came to be so.
        pub open: Vec<Child>,
        /// While they are undone: items before this number are still to be told.
        pub to_recall: u16,
        /// Something of an item has an undo.
        pub undoes: bool,
        /// It was done when its undo began.
        pub was_done: bool,
        /// It undoes, or has.
        pub recalls: bool,
        /// Rows before this number are gone.
        pub swept: u16,
        /// The items, each with its length in front, until all have begun.
        pub list: Option<Data>,
    }
}

/// An item whose row is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Which.
    pub index: u16,
    /// It was told to undo what it did, or to stop.
    pub recalled: bool,
    /// It needs a person, is parked, or is paused.
    pub held: bool,
    /// It was told that the row above it is paused.
    pub paused: bool,
}

impl Child {
    /// The row of an item that begins, or is under way again.
    pub fn new(index: u16, recalled: bool) -> Child {
        Child { index, recalled, held: false, paused: false }
    }
}

/// Whether it is held and whether it is paused share a byte: before items could be paused there was the one alone.
impl Avro for Child {
    fn put(&self, out: &mut Vec<u8>) {
        self.index.put(out);
        self.recalled.put(out);
        out.push(u8::from(self.held) | u8::from(self.paused) << 1);
    }

    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let (index, recalled) = (Avro::take(cursor)?, Avro::take(cursor)?);
        match cursor.take(1)?[0] {
            bits @ 0..4 => Ok(Child { index, recalled, held: bits & 1 != 0, paused: bits & 2 != 0 }),
            _ => Err(Malformed("how an item is held")),
        }
    }
}

/// What is to be done next about the rows below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildWork {
    /// This item begins.
    Begin(u16),
    /// All have ended well: their results are gathered.
    Gather,
    /// This item is to undo what it did.
    Recall(u16),
    /// This sub-saga is told of the stop that is remembered.
    Ask(u16),
    /// This item is told that the row above it is paused, or is so no more.
    Tell(u16),
}

impl Children {
    /// What is to be done next while it is open, or undone; none while something is waited for. While its row is paused no item begins.
    pub fn work(&self, is_paused: bool) -> Option<ChildWork> {
        let has_room = self.open.len() < usize::from(self.at_once);
        if self.recalls {
            let untold = self.open.iter().find(|child| !child.recalled).map(|child| child.index);
            return untold.or((has_room && self.to_recall > 0).then(|| self.to_recall - 1)).map(ChildWork::Recall);
        }
        if let Some(child) = self.open.iter().find(|child| child.paused != is_paused) {
            return Some(ChildWork::Tell(child.index));
        }
        if self.begun < self.count {
            return (has_room && !is_paused).then_some(ChildWork::Begin(self.begun));
        }
        self.open.is_empty().then_some(ChildWork::Gather)
    }

    /// True if nothing is left of what its items did.
    pub fn is_clean(&self) -> bool {
        self.open.is_empty() && self.to_recall == 0
    }

    /// The row of an item, if that is under way.
    pub fn child(&self, index: u16) -> Option<&Child> {
        self.open.iter().find(|child| child.index == index)
    }

    /// The bytes of the next item, and where the one behind it lies.
    pub fn next_item(&self) -> Option<(&[u8], i32)> {
        let list = self.list.as_ref()?.bytes();
        let mut cursor = Cursor::new(list.get(usize::try_from(self.at).ok()?..)?);
        let item = cursor.blob().ok()?;
        Some((item, (list.len() - cursor.rest.len()) as i32))
    }
}

impl Saga {
    /// True if it is the row of an item or of a sub-saga: below another one, by its id.
    pub fn is_below(&self) -> bool {
        names::is_below(&self.id)
    }

    /// The for_each whose item's row is to go next, once nothing is needed any more, and which item it is.
    pub fn to_sweep(&self) -> Option<(Place, u16)> {
        self.ended.as_ref().filter(|end| end.expires_at < Millis::MAX)?;
        self.unswept()
    }

    /// The first for_each with rows that are still there, and the first of them.
    pub fn unswept(&self) -> Option<(Place, u16)> {
        let mut entries = self.entries.iter().zip(0..);
        entries.find_map(|(entry, place)| {
            let children = entry.children()?;
            (children.swept < children.begun).then_some((place, children.swept))
        })
    }

    /// True if the row of an item stays below a saga that has ended, since something of it is still to be undone.
    pub fn has_lingering(&self) -> bool {
        self.ended() && self.entries.iter().any(|entry| entry.children().is_some_and(|rows| !rows.open.is_empty()))
    }

    /// What is to be done next about the rows below a live saga, and for which for_each or run.
    pub fn child_work(&self) -> Option<(Place, ChildWork)> {
        if let Some((place, index)) = self.to_ask() {
            return Some((place, ChildWork::Ask(index)));
        }
        let (mut entries, is_paused) = (self.with_rows(), self.paused().is_some());
        entries.find_map(|(entry, place)| Some((place, entry.children()?.work(is_paused)?)))
    }

    /// The sub-saga that does not know yet of the stop that is remembered: it holds the pivot, else nothing would be remembered.
    fn to_ask(&self) -> Option<(Place, u16)> {
        self.remembered_stop()?;
        self.with_rows().find_map(|(entry, place)| {
            let child = entry.children()?.open.iter().find(|child| !child.recalled)?;
            Some((place, child.index))
        })
    }

    fn with_rows(&self) -> impl Iterator<Item = (&Entry, Place)> {
        self.entries.iter().zip(0..).filter(|(entry, _)| entry.waits == Waits::Children)
    }

    /// True if it has something to do that waits for nothing: about the rows below it, or it is to go itself.
    pub fn has_work(&self) -> bool {
        let goes = |end: &End| {
            let is_free = self.open_stray().is_none() && !self.has_lingering();
            self.is_below() && end.expires_at < Millis::MAX && is_free
        };
        match &self.ended {
            Some(end) => self.status != Status::Swept && (self.to_sweep().is_some() || goes(end)),
            None => self.child_work().is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows from before items could be paused have no or one in the byte that says how an item is held.
    #[test]
    fn items_of_earlier_rows_are_read() {
        for (byte, held, paused) in [(0, false, false), (1, true, false), (2, false, true), (3, true, true)] {
            let (bytes, child) = ([14, 1, byte], Child { held, paused, ..Child::new(7, true) });
            assert_eq!(Child::take(&mut Cursor::new(&bytes)), Ok(child.clone()));
            let mut out = Vec::new();
            child.put(&mut out);
            assert_eq!(out, bytes);
        }
        assert!(Child::take(&mut Cursor::new(&[14, 1, 4])).is_err());
    }
}
