//! How sagas stand, and where those that live are listed.

use super::{Entry, Saga, Standing, Status, Waits};
use crate::Millis;
use crate::names::{is_item, murmur2, participant_of};

/// What sagas that live have alike, as their places in [`Index::Live`](super::Index::Live) say it: lists walk through the classes that
/// may be meant, and past all others.
///
/// A place has, from its highest bits: how the saga stands (3 bits), its version (9), why it waits (4) and for whom (5), and then when it
/// began (42). Versions and participants are hashed, so that several may share a class: what is whose, a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LiveClass(i64);

impl LiveClass {
    /// Bits of a place below its class: when a saga began, in milliseconds. Behind the year 2109 they no longer tell times apart.
    pub const BEGAN_BITS: u32 = 42;

    /// Of a saga; none of what has ended, or is no saga.
    pub fn of(saga: &Saga) -> Option<LiveClass> {
        let is_live = matches!(saga.status, Status::Running | Status::Compensating) && !is_item(&saga.id);
        let standing = saga.standing().filter(|_| is_live)?;
        let (why, whom) = waits(saga);
        let stands = i64::from(STANDINGS.iter().position(|known| *known == standing)? as u8);
        Some(LiveClass(((stands << VERSION_BITS | Self::version_of(&saga.head.version())) << WHY_BITS | why) << WHOM_BITS | whom))
    }

    /// The place of one that began then. Never 0.
    pub fn place(self, began: Millis) -> i64 {
        self.0 << Self::BEGAN_BITS | began.clamp(1, (1 << Self::BEGAN_BITS) - 1)
    }

    /// The one of this number, which is that of a place without its lower bits.
    pub fn numbered(number: i64) -> LiveClass {
        LiveClass(number)
    }

    /// How they stand; none of what no saga has.
    pub fn standing(self) -> Option<Standing> {
        STANDINGS.get((self.0 >> (VERSION_BITS + WHY_BITS + WHOM_BITS)) as usize).copied()
    }

    /// Their version, as [`version_of`](Self::version_of) tells it.
    pub fn version(self) -> i64 {
        self.0 >> (WHY_BITS + WHOM_BITS) & ((1 << VERSION_BITS) - 1)
    }

    /// Whether something of them may wait for this reason, whoever it is that is to do it.
    pub fn may_wait(self, waits: Waits) -> bool {
        [SEVERAL, why_of(waits)].contains(&self.why())
    }

    /// Whether something of them may wait for this participant.
    pub fn may_wait_for(self, participant: &str) -> bool {
        self.why() == SEVERAL || self.0 & ((1 << WHOM_BITS) - 1) == whom_of(Some(participant))
    }

    fn why(self) -> i64 {
        self.0 >> WHOM_BITS & ((1 << WHY_BITS) - 1)
    }

    /// What is told of a version in a class.
    pub fn version_of(hash: &[u8; 16]) -> i64 {
        i64::from(u16::from_be_bytes([hash[0], hash[1]])) & ((1 << VERSION_BITS) - 1)
    }
}

const VERSION_BITS: u32 = 9;
const WHY_BITS: u32 = 4;
const WHOM_BITS: u32 = 5;
/// As classes number them: frozen.
const STANDINGS: [Standing; 6] =
    [Standing::Stuck, Standing::Parked, Standing::Paused, Standing::Held, Standing::Compensating, Standing::Running];
/// Nothing is open, or more than one kind of thing.
const SEVERAL: i64 = 0;

/// Why it waits and for whom, where that is one answer.
fn waits(saga: &Saga) -> (i64, i64) {
    let several = (SEVERAL, 0);
    let mut open = saga.entries.iter().filter(|entry| entry.open()).map(|entry| (entry.waits, entry.participant()));
    let Some((waits, participant)) = open.next().filter(|_| saga.paused().is_none()) else { return several };
    if open.any(|other| other != (waits, participant)) {
        return several;
    }
    (why_of(waits), whom_of(participant))
}

/// [`SEVERAL`] is no reason.
fn why_of(waits: Waits) -> i64 {
    match waits {
        Waits::No => SEVERAL,
        Waits::Reply => 1,
        Waits::Retry => 2,
        Waits::Stuck => 3,
        Waits::Time => 4,
        Waits::Approval => 5,
        Waits::Event => 6,
        Waits::Parked => 7,
        Waits::Paused => 8,
        Waits::Children => 9,
    }
}

fn whom_of(participant: Option<&str>) -> i64 {
    participant.map_or(0, |name| i64::from(murmur2(name.as_bytes()) % ((1 << WHOM_BITS) - 1)) + 1)
}

impl Entry {
    /// The participant whose doing it waits for, if it does.
    pub fn participant(&self) -> Option<&str> {
        match self.waits {
            Waits::Parked => self.parked_for().map(|participant| &**participant),
            Waits::Reply | Waits::Retry | Waits::Stuck => self.order.as_ref().map(|order| participant_of(order.command())),
            _ => None,
        }
    }
}

impl Saga {
    /// How it stands, in the word by which it is counted. None of what is only expected, of a value, and of what is gone.
    pub fn standing(&self) -> Option<Standing> {
        let found = match self.status {
            Status::Expected | Status::Swept => return None,
            Status::Completed => Standing::Completed,
            Status::Compensated => Standing::Compensated,
            // Whatever stands still holds the saga's clock: most need not be looked at.
            Status::Running | Status::Compensating if self.held_since.is_some() => {
                let has = |waits| self.entries.iter().any(|entry| entry.waits == waits);
                match () {
                    () if has(Waits::Stuck) => Standing::Stuck,
                    () if has(Waits::Parked) => Standing::Parked,
                    () if self.paused().is_some() => Standing::Paused,
                    () => Standing::Held,
                }
            }
            Status::Running => Standing::Running,
            Status::Compensating => Standing::Compensating,
        };
        Some(found)
    }
}
