//! The books of a running instance: fed by what its workers say, its definitions, its settings and its broker; read by the API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ringmaster_core::definition::{Catalog, Undo};
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::command_topic;

use super::{Books, Outside, Told};
use crate::runtime::{Knowledge, Newest, Now, Status};

/// How many members groups have, in their order; or why that is not known, for people. It waits for the broker.
pub type AskMembers = dyn Fn(&[String]) -> Result<Vec<u32>, String> + Send + Sync;

/// How many members a group has is known for so long.
const MEMBERS_KEPT_MS: i64 = 30_000;

/// What settings say of a participant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configured {
    /// How soon it should answer; none: in half the shortest timeout of what asks it.
    pub slo_ms: Option<Millis>,
    /// How many commands one member carries out at once.
    pub concurrency: Option<u32>,
    /// Its consumer group; none: the one that services of this repository use.
    pub group: Option<String>,
    /// It is not to have more members.
    pub max_members: Option<u32>,
}

/// All that tells which participant is about to be the bottleneck.
#[derive(Default)]
pub struct Scaling {
    prefix: String,
    /// Of what is asked.
    partitions: usize,
    configured: BTreeMap<String, Configured>,
    /// Partition counts of topics, where they are known.
    topics: BTreeMap<String, i32>,
    ask: Option<Box<AskMembers>>,
    books: Mutex<Books>,
    asking: Mutex<Asking>,
    /// When that was asked, by the steady clock, and how many there were.
    members: Mutex<BTreeMap<Arc<str>, (i64, u32)>>,
}

/// Who is asked, and how soon each should answer, as these definitions say.
#[derive(Default)]
struct Asking {
    by: Option<Arc<Knowledge>>,
    slo_ms: BTreeMap<Arc<str>, Millis>,
}

impl Scaling {
    /// Of an instance of this prefix. `topics`: partition counts of those that participants read, as far as known; `ask`: none where
    /// members are not known.
    pub fn new(
        prefix: &str,
        partitions: i32,
        configured: BTreeMap<String, Configured>,
        topics: BTreeMap<String, i32>,
        ask: Option<Box<AskMembers>>,
    ) -> Scaling {
        let (prefix, partitions) = (prefix.to_owned(), usize::try_from(partitions).unwrap_or(1));
        Scaling { prefix, partitions, configured, topics, ask, ..Scaling::default() }
    }

    /// Takes what workers said last.
    pub fn sample(&self, now: Now, status: &Status, knowledge: &Newest) {
        let outside = self.outside(now, &knowledge.get());
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.take(now, &status.asked.all(), self.partitions, &outside);
    }

    /// Asks the broker who is there; it may take its time.
    pub fn ask_members(&self, now: &dyn Fn() -> Now, knowledge: &Newest) {
        let Some(ask) = &self.ask else { return };
        let names = knowledge.get().catalog.participants();
        let groups: Vec<String> = names.iter().map(|name| self.group_of(name)).collect();
        match ask(&groups) {
            Ok(counts) => {
                let at = now().steady;
                let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
                *members = names.into_iter().zip(counts.into_iter().map(|count| (at, count))).collect();
            }
            Err(why) => tracing::debug!(why, "how many members participants have is not known"),
        }
    }

    /// What is told of all participants, by name.
    pub fn told(&self) -> Vec<Told> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).told().to_vec()
    }

    fn group_of(&self, participant: &str) -> String {
        let group = self.configured.get(participant).and_then(|of| of.group.clone());
        group.unwrap_or_else(|| format!("{}.participant.{participant}", self.prefix))
    }

    fn outside(&self, now: Now, knowledge: &Arc<Knowledge>) -> BTreeMap<Arc<str>, Outside> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if asking.by.as_ref().is_none_or(|by| !Arc::ptr_eq(by, knowledge)) {
            *asking = Asking { by: Some(knowledge.clone()), slo_ms: slos(&knowledge.catalog) };
        }
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(name, by_timeouts): (&Arc<str>, &Millis)| {
            let configured = self.configured.get(&**name).cloned().unwrap_or_default();
            let partitions = self.topics.get(&command_topic(name)).map_or(self.partitions as u32, |count| *count as u32);
            let found = members.get(name).filter(|(at, _)| now.steady - at < MEMBERS_KEPT_MS);
            let outside = Outside {
                slo_s: configured.slo_ms.unwrap_or(*by_timeouts) as f64 / 1_000.0,
                concurrency: configured.concurrency,
                members: found.map(|(_, count)| *count),
                members_max: configured.max_members.map_or(partitions, |most| most.min(partitions)).max(1),
                partitions,
            };
            (name.clone(), outside)
        };
        asking.slo_ms.iter().map(of).collect()
    }
}

/// Half the shortest timeout of what asks each participant: of the versions that new sagas get, and of older ones where those ask it
/// nothing.
fn slos(catalog: &Catalog) -> BTreeMap<Arc<str>, Millis> {
    let mut shortest: BTreeMap<Arc<str>, Millis> = BTreeMap::new();
    for definition in catalog.newest_versions().chain(catalog.versions().into_iter().map(|(older, _)| older)) {
        let mut of_this: BTreeMap<Arc<str>, Millis> = BTreeMap::new();
        for step in definition.steps() {
            let undo = match &step.asks.undo {
                Undo::Command { call, timeout_ms, .. } => Some((call, *timeout_ms)),
                Undo::Nothing | Undo::Never => None,
            };
            for (call, timeout_ms) in [(&step.asks.call, step.asks.timeout_ms)].into_iter().chain(undo) {
                let known = of_this.entry(call.participant.clone()).or_insert(timeout_ms);
                *known = (*known).min(timeout_ms);
            }
        }
        let is_newest = catalog.newest(&definition.name).is_some_and(|newest| newest.hash == definition.hash);
        for (name, timeout_ms) in of_this {
            let known = shortest.entry(name).or_insert(timeout_ms);
            *known = if is_newest { (*known).min(timeout_ms) } else { *known };
        }
    }
    shortest.values_mut().for_each(|timeout_ms| *timeout_ms /= 2);
    shortest
}
