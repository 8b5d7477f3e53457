//! Values that are claimed: what a saga knows of its claims, and a value's own row, which keeps events until somebody has them.

use std::sync::Arc;

use super::saga::take_priority;
use super::{Saga, SagaMore, expiry_bucket};
use crate::codec::{Avro, Cursor, Malformed, put_list, put_long};
use crate::journal::{KeptEvent, Place, ValueClaim, ValueName};
use crate::{Millis, record};

record! {
    /// A value that a wait has claimed.
    pub struct ClaimedValue {
        /// Whose.
        pub place: Place,
        /// Which value.
        pub name: ValueName,
        /// When it began to wait.
        pub at: Millis,
        /// The value's partition has said yes.
        pub granted: bool,
        /// Identities of events with this value that it has looked at and not taken, the oldest first.
        pub passed: Vec<Arc<str>>,
    }
}

record! {
    /// What a value's row knows beside the events that it keeps.
    pub struct Mailbox {
        /// Until when it is remembered, if nobody has the value and no event is kept.
        pub until: Millis,
        /// Who has the value: all of its events go there.
        pub holder: Option<Arc<ValueClaim>>,
        /// Whose claims are over, the oldest first: one that comes again means nothing.
        pub left: Vec<LeftClaim>,
    }
}

record! {
    /// A claim that is over.
    pub struct LeftClaim {
        /// Of which row.
        pub row: Arc<str>,
        /// And which entry.
        pub place: Place,
        /// When it had begun to wait.
        pub at: Millis,
        /// Until when this is remembered.
        pub until: Millis,
    }
}

record! {
    /// An event with a value that was looked at: if it comes again it is for nobody.
    pub struct SeenEvent {
        /// Its identity.
        pub source: Arc<str>,
        /// Until when this is remembered.
        pub until: Millis,
    }
}

impl Mailbox {
    /// The bucket in which a value's row goes; none while somebody has the value, or an event is kept that is to be reported when its time
    /// is over.
    pub fn expiry_bucket(&self, early: &[Arc<KeptEvent>]) -> Option<i64> {
        let is_needed = self.holder.is_some() || !early.is_empty();
        (!is_needed).then(|| expiry_bucket(self.until))
    }
}

impl Saga {
    /// The values that it has claimed.
    pub fn claims(&self) -> &[ClaimedValue] {
        self.more.as_ref().map_or(&[], |more| &more.claims)
    }

    /// The value that the entry at a place has claimed.
    pub fn claim_at(&self, place: Place) -> Option<&ClaimedValue> {
        self.claims().iter().find(|claim| claim.place == place)
    }

    /// Appends what few sagas have, of one that has claimed values, or of a value's row.
    pub(super) fn put_values(&self, more: &SagaMore, out: &mut Vec<u8>) {
        if let Some(mailbox) = &more.mailbox {
            out.push(if more.seen.is_empty() { 14 } else { 16 });
            more.early.put(out);
            mailbox.put(out);
            if let [first, others @ ..] = &more.seen[..] {
                first.put(out);
                put_list(others, out);
            }
            return;
        }
        out.push(12);
        put_long(out, i64::from(self.priority));
        self.failure.put(out);
        more.early.put(out);
        more.paused.put(out);
        more.stuck_told.put(out);
        more.claims[0].put(out);
        put_list(&more.claims[1..], out);
    }

    pub(super) fn take_values(&mut self, branch: i64, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        let mut more = SagaMore::default();
        if branch != 6 {
            (more.early, more.mailbox) = (Avro::take(cursor)?, Some(Avro::take(cursor)?));
            if branch == 8 {
                more.seen = vec![Avro::take(cursor)?];
                more.seen.append(&mut Avro::take(cursor)?);
            }
        } else {
            self.priority = take_priority(cursor)?;
            self.failure = Avro::take(cursor)?;
            (more.early, more.paused, more.stuck_told) = (Avro::take(cursor)?, Avro::take(cursor)?, Avro::take(cursor)?);
            more.claims = vec![Avro::take(cursor)?];
            more.claims.append(&mut Avro::take(cursor)?);
        }
        self.more = Some(Box::new(more));
        Ok(())
    }

    /// Of a value's row: the events with it that were looked at, the oldest first.
    pub fn seen(&self) -> &[SeenEvent] {
        self.more.as_ref().map_or(&[], |more| &more.seen)
    }

    /// What it knows as the row of a value; none for a saga.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        self.more.as_ref()?.mailbox.as_deref()
    }
}
