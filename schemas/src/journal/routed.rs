//! The inbox: records of topics that are not read directly, as the router hands them on (PROTOCOL.md section 4).

use std::sync::Arc;

use bytes::Bytes;

use super::{Quarantined, TopicId, VERSION, known_version};
use crate::codec::{self, Avro, Cursor, Malformed, put_long};
use crate::{Millis, record};

record! {
    /// What a router brings one partition of one record. A record goes to a partition at most once, so that the source's offset
    /// says which it is.
    pub struct Routed {
        /// The topic that it was read on.
        pub source: TopicId,
        /// That topic's name.
        pub topic: Arc<str>,
        /// Where it was read.
        pub partition: i32,
        /// Where it was read.
        pub offset: i64,
        /// What this session of the router last sent to this partition of the inbox from that partition of the topic; none at first.
        pub prev: Option<i64>,
        /// Which sagas it starts here, where their definitions' `if` says so.
        pub starts: Vec<RoutedStart>,
        /// What could not be routed of it; only one partition is told.
        pub refused: Vec<Quarantined>,
        /// The record's timestamp; 0 if it has none.
        pub timestamp: Millis,
        /// The record's key.
        pub key: Option<Bytes>,
        /// The record's value; none where nothing of the record can be taken.
        pub value: Option<Bytes>,
        /// Those of its headers that are of use.
        pub headers: Vec<RoutedHeader>,
    }
}

record! {
    /// A saga that a record starts: by the key that was in force when it was routed, whatever is deployed meanwhile.
    pub struct RoutedStart {
        /// The definition's name.
        pub saga: Arc<str>,
        /// The saga's key.
        pub key: Arc<str>,
    }
}

record! {
    /// A header of a routed record.
    pub struct RoutedHeader {
        /// Its name.
        pub name: Arc<str>,
        /// Its value.
        pub value: Bytes,
    }
}

impl Routed {
    /// The value of a record of the inbox, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.value.as_ref().map_or(0, Bytes::len) + 256);
        put_long(&mut out, VERSION);
        self.put(&mut out);
        out
    }

    /// Reads a record of the inbox.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        known_version(&mut cursor)?;
        let record = <Routed as codec::Avro>::take(&mut cursor)?;
        cursor.end()?;
        Ok(record)
    }
}
