//! Who looks at all rows now and then: a thread of its own, which takes a small part of a core, and reads the store as it was flushed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringmaster_core::partition::StageName;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::DefinitionHash;
use ringmaster_schemas::names::Direction;

use super::{Judge, Scrubbed, scrub};
use crate::runtime::{Knowledge, PartitionStatus, Status, View};

/// Behind so many rows it rests,
const ROWS: u32 = 256;
/// so many times as long as those took, so that it takes a fifth of a core;
const RESTS: u32 = 4;
/// but no longer than this.
const REST_MAX: Duration = Duration::from_millis(100);

/// What 99 of 100 of each step took, or of its undo, in milliseconds: by version and node.
pub type Usual = BTreeMap<(DefinitionHash, u16, Direction), Millis>;

/// Looks at all rows of what an instance owns.
pub struct Scrubber {
    /// The store as it was at one moment.
    view: Box<View>,
    /// How long participants remember what they did, by name.
    remembers_ms: BTreeMap<String, Millis>,
    /// All others.
    others_remember_ms: Millis,
    /// What was found last, by partition.
    found: BTreeMap<i32, Scrubbed>,
}

impl Scrubber {
    /// Of the store of this view.
    pub fn new(view: Box<View>, remembers_ms: BTreeMap<String, Millis>, others_remember_ms: Millis) -> Scrubber {
        Scrubber { view, remembers_ms, others_remember_ms, found: BTreeMap::new() }
    }

    /// Looks at all that is owned now, as long as nobody says that it ends; what is known then, by partition. What could not be read is as
    /// it was known before.
    pub fn turn(
        &mut self,
        status: &Status,
        knowledge: &Knowledge,
        usual: &Usual,
        (now, ends): (Millis, &dyn Fn() -> bool),
    ) -> &BTreeMap<i32, Scrubbed> {
        let owns = |one: PartitionStatus| (one.phase == StageName::Owning).then_some(one.partition);
        let owned: Vec<i32> = status.partitions().into_iter().filter_map(owns).collect();
        self.found.retain(|partition, _| owned.contains(partition));
        if owned.is_empty() {
            return &self.found;
        }
        let store = match (self.view)() {
            Ok(store) => store,
            Err(why) => {
                tracing::warn!(why, "the store cannot be looked at; it is tried again");
                return &self.found;
            }
        };
        let judge = Judge {
            now,
            catalog: &knowledge.catalog,
            usual_ms: &|version, node, direction| usual.get(&(*version, node, direction)).copied(),
            remembers_ms: &|participant| self.remembers_ms.get(participant).copied().unwrap_or(self.others_remember_ms),
        };
        let mut pace = Pace::new();
        for partition in owned {
            match scrub(&*store, partition, &judge, &mut || pace.goes_on(ends)) {
                Ok(Some(found)) => {
                    say(partition, &found);
                    self.found.insert(partition, found);
                }
                Ok(None) => break,
                Err(why) => tracing::warn!(partition, why, "rows could not be looked at; it is tried again"),
            }
        }
        &self.found
    }
}

fn say(partition: i32, found: &Scrubbed) {
    if found.orphans > 0 {
        let (orphans, told) = (found.orphans, found.told.join("; "));
        tracing::error!(
            partition,
            orphans,
            told,
            "there are rows that nothing will ever wake, or find: `ringmaster alerts` says what to do"
        );
    }
}

/// Rests now and then.
struct Pace {
    rows: u32,
    since: Instant,
}

impl Pace {
    fn new() -> Pace {
        Pace { rows: 0, since: Instant::now() }
    }

    fn goes_on(&mut self, ends: &dyn Fn() -> bool) -> bool {
        self.rows += 1;
        if self.rows < ROWS {
            return true;
        }
        std::thread::sleep((self.since.elapsed() * RESTS).min(REST_MAX));
        *self = Pace::new();
        !ends()
    }
}
