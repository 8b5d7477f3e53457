//! How many sagas stand where, and what participants were asked: counted as rows change, so that nobody need look at them.

use std::sync::Arc;

use super::{VERSION, Waits, versioned};
use crate::codec::{Avro, Malformed, put_long};
use crate::journal::DefinitionHash;
use crate::{Millis, record, symbols};

symbols! {
    /// How a saga stands, in the one word by which people look for it: the first of these that is true of it.
    pub enum Standing {
        /// A step of it, or its end, needs a person.
        Stuck = 0 "stuck",
        /// A command of it waits until its participant is asked again.
        Parked = 1 "parked",
        /// A person paused it, or the saga above it.
        Paused = 2 "paused",
        /// An item or a sub-saga of it is one of these.
        Held = 3 "held",
        /// It goes forward.
        Running = 4 "running",
        /// It undoes.
        Compensating = 5 "compensating",
        /// Everything is done.
        Completed = 6 "completed",
        /// Everything is undone.
        Compensated = 7 "compensated",
    }
}

record! {
    /// The counts of a partition at the offset of its checkpoint.
    #[derive(Default)]
    pub struct Counts {
        /// That offset: counts of another one are not those of the rows beside them.
        pub journal_offset: i64,
        /// What happened is counted since this time of the journal; 0: since its beginning. How rows stand is counted of all rows.
        pub since: Millis,
        /// What is older than this second is counted by hours.
        pub horizon: i64,
        /// Sagas that began.
        pub started: i64,
        /// Sagas that did everything.
        pub completed: i64,
        /// Sagas that undid everything.
        pub compensated: i64,
        /// By the version that rows run by.
        pub versions: Vec<VersionCounts>,
        /// By name.
        pub participants: Vec<ParticipantCounts>,
    }
}

record! {
    /// The rows that run by a version.
    pub struct VersionCounts {
        /// Which version.
        pub version: DefinitionHash,
        /// Those that are needed.
        pub cells: Vec<CellCount>,
        /// Those that have ended, by the bucket in which they go.
        pub ended: Vec<EndedCount>,
    }
}

record! {
    /// Rows that stand alike.
    pub struct CellCount {
        /// How the row stands.
        pub standing: Standing,
        /// The node that waits; 0: the saga as a whole.
        pub node: u16,
        /// For what.
        pub waits: Waits,
        /// Sagas of which this is what they wait for most: each saga is in one cell. An item is no saga.
        pub sagas: i64,
        /// Open entries, those of items too: a saga may have several, in several cells.
        pub open: i64,
    }
}

record! {
    /// Sagas that have ended, and are remembered until a bucket expires.
    pub struct EndedCount {
        /// Time of expiry divided by the bucket's width.
        pub bucket: i64,
        /// Those that did everything.
        pub completed: i64,
        /// Those that undid everything.
        pub compensated: i64,
    }
}

record! {
    /// What a participant was asked, and what has become of that. At any time asked + repeated = succeeded + refused + failed +
    /// timed out + dropped + those that are not answered.
    pub struct ParticipantCounts {
        /// Its name.
        pub name: Arc<str>,
        /// First attempts of commands and undos.
        pub asked: i64,
        /// Further attempts.
        pub repeated: i64,
        /// Attempts that it answered with success.
        pub succeeded: i64,
        /// Attempts that it refused.
        pub refused: i64,
        /// Attempts that it could not carry out, as it says.
        pub failed: i64,
        /// Attempts that it did not answer in time.
        pub timed_out: i64,
        /// Attempts of which the end is not waited for any more, or was said by a person.
        pub dropped: i64,
        /// Answers that came when their attempt had ended.
        pub late: i64,
        /// Times that something was parked for it.
        pub parkings: i64,
        /// Commands that are to be repeated.
        pub retrying: i64,
        /// Attempts that are not answered, by when they were sent.
        pub unanswered: Vec<AgeCount>,
        /// Commands that are parked, by when they were.
        pub parked: Vec<AgeCount>,
        /// Commands that need a person, by since when.
        pub stuck: Vec<AgeCount>,
    }
}

record! {
    /// So many of one age.
    pub struct AgeCount {
        /// The second, since 1970, or the first second of an hour.
        pub from: i64,
        /// How many began in that second, or hour.
        pub count: i64,
    }
}

impl Counts {
    /// The row's bytes, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        put_long(&mut out, VERSION);
        self.put(&mut out);
        out
    }

    /// What is counted of the rows as they stand: all that a look at them would count anew.
    pub fn of_rows(&self) -> Counts {
        let bare = |of: &ParticipantCounts| {
            let ParticipantCounts { name, retrying, unanswered, parked, stuck, .. } = of.clone();
            ParticipantCounts { retrying, unanswered, parked, stuck, ..ParticipantCounts::new(name) }
        };
        let mut participants: Vec<_> = self.participants.iter().map(bare).collect();
        participants.retain(|of| *of != ParticipantCounts::new(of.name.clone()));
        let versions = self.versions.clone();
        Counts { horizon: self.horizon, versions, participants, ..Counts::default() }
    }

    /// Reads a row.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        versioned(bytes, "row of counts of an unknown version")
    }
}

impl ParticipantCounts {
    /// Of one that was asked nothing yet.
    pub fn new(name: Arc<str>) -> Self {
        ParticipantCounts {
            name,
            asked: 0,
            repeated: 0,
            succeeded: 0,
            refused: 0,
            failed: 0,
            timed_out: 0,
            dropped: 0,
            late: 0,
            parkings: 0,
            retrying: 0,
            unanswered: Vec::new(),
            parked: Vec::new(),
            stuck: Vec::new(),
        }
    }

    /// Adds what happened elsewhere, and what is to be repeated there; its lists stay as they are.
    pub fn add_sums(&mut self, other: &ParticipantCounts) {
        self.asked += other.asked;
        self.repeated += other.repeated;
        self.succeeded += other.succeeded;
        self.refused += other.refused;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.dropped += other.dropped;
        self.late += other.late;
        self.parkings += other.parkings;
        self.retrying += other.retrying;
    }

    /// Attempts that were made.
    pub fn attempts(&self) -> i64 {
        self.asked + self.repeated
    }

    /// Attempts that ended.
    pub fn ended(&self) -> i64 {
        self.succeeded + self.refused + self.failed + self.timed_out + self.dropped
    }

    /// Attempts that are not answered.
    pub fn unanswered(&self) -> i64 {
        self.unanswered.iter().map(|age| age.count).sum()
    }

    /// What happened, without what the rows say as they stand.
    pub fn sums(&self) -> ParticipantCounts {
        let none = Vec::new;
        ParticipantCounts { retrying: 0, unanswered: none(), parked: none(), stuck: none(), ..self.clone() }
    }
}
