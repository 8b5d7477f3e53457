//! The end of a round: all orders end, all processes end in order, and what is left of them is held against what must be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ringmaster::runtime::StoredRows;
use ringmaster_core::partition::recount_standing;
use ringmaster_demo::accounting::Accounting;
use ringmaster_demo::orders::{self, SAGA};
use ringmaster_demo::rig::{self, SERVICES};
use ringmaster_schemas::names::saga_id;
use ringmaster_schemas::state::{Counts, ParticipantCounts, RowKey, RowKind};
use ringmaster_store::Store as _;
use ringmaster_store::rocks::RocksStore;

use super::Halt;
use super::report::Random;
use super::stage::{PATIENCE, Seat, Stage};
use crate::live::{PARTITIONS, RUN, accounting, say_as};
use crate::random::crowd::{Crowd, Judged};

/// The coordinator that reads the journal anew, with an empty store.
const REBUILT: &str = "rebuilt";
/// Differences between stores that are told one by one.
const TOLD_MAX: usize = 10;

/// Sagas of random definitions have ended by then once everybody does as asked, unless something is wrong.
const SETTLED_WITHIN: Duration = Duration::from_secs(600);

/// How often it is said what is waited for.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// What a round was, once all is compared.
pub(super) struct Checked {
    /// Stores and ledgers.
    pub accounting: Accounting,
    /// Sagas of random definitions.
    pub random: Option<Random>,
    /// Rows of the store that are the same when they are made from the journal alone.
    pub rows: usize,
    /// All that is not as it must be.
    pub wrong: Vec<String>,
}

/// Ends the round and compares: outcomes, stores, ledgers, quarantine, and the store that the journal alone makes.
pub(super) fn close(stage: &mut Stage<'_>) -> Result<Checked, Halt> {
    drain(stage)?;
    settle(stage)?;
    let data = end_all(stage)?;
    let issued = stage.shop.halt();
    // Behind the last takeover: what came by it is seen, too.
    stage.wait("all outcomes are read", |stage| stage.shop.has_read_all())?;
    let mut wrong = stage.shop.wrong_outcomes();
    quarantine(stage, &mut wrong)?;
    let audits = rig::audits(stage.world.folder()).map_err(|error| Halt::Failed(format!("the ledgers: {error:#}")))?;
    let accounting = accounting(&data, &audits, RUN, issued);
    let there = rows(&data);
    let random = stage.crowd.take().map(|crowd| judged(crowd.end(), &there, &mut wrong));
    wrong.extend(accounting.problems.iter().cloned());
    if !accounting.exact() && accounting.problems.is_empty() {
        wrong.push(format!("the accounting does not close: {accounting:?}"));
    }
    let rows = rebuild(stage, &there, &mut wrong)?;
    Ok(Checked { accounting, random, rows, wrong })
}

/// Holds the sagas of random definitions against the laws.
fn judged(judged: Judged, rows: &BTreeMap<String, Vec<u8>>, wrong: &mut Vec<String>) -> Random {
    let all = judged.wrong(rows);
    if all.len() > TOLD_MAX {
        wrong.push(format!("{} things are wrong with sagas of random definitions; the first:", all.len()));
    }
    wrong.extend(all.into_iter().take(TOLD_MAX));
    let Judged { completed, compensated, stuck, .. } = judged;
    Random { definitions: judged.definitions(), sagas: judged.sagas(), completed, compensated, stuck }
}

/// No more orders; waits until all have ended, as long as any end.
fn drain(stage: &mut Stage<'_>) -> Result<(), Halt> {
    let wanted = stage.shop.halt();
    stage.crowd.iter().for_each(Crowd::calm);
    let mut last = (0, Instant::now());
    stage.wait_long(|stage| {
        let finished = stage.shop.finished();
        if finished != last.0 {
            last = (finished, Instant::now());
        }
        if finished >= wanted {
            return Ok(true);
        }
        if last.1.elapsed() < PATIENCE {
            return Ok(false);
        }
        let left = stage.shop.in_flight();
        let ids: Vec<String> = left.iter().take(5).map(|number| id_of(*number)).collect();
        let why =
            format!("{} of {wanted} orders do not end, {} of them in the log: {}", wanted - finished, left.len(), ids.join(", "));
        Err(Halt::Violated(why))
    })
}

/// Waits until sagas of random definitions have ended, or wait for a person who has tried.
fn settle(stage: &mut Stage<'_>) -> Result<(), Halt> {
    let (begun, mut said) = (Instant::now(), Instant::now());
    stage.wait_long(|stage| {
        let Some(crowd) = stage.crowd.as_ref().filter(|crowd| !crowd.rests()) else { return Ok(true) };
        if begun.elapsed() > SETTLED_WITHIN {
            return Err(Halt::Violated(format!("not within {} s: {}", SETTLED_WITHIN.as_secs(), crowd.left())));
        }
        if said.elapsed() > SAY_EVERY {
            said = Instant::now();
            say_as("chaos", &format!("behind {} s: {}", begun.elapsed().as_secs(), crowd.left()));
        }
        Ok(false)
    })
}

/// What was poisoned is in quarantine, and nothing else is.
fn quarantine(stage: &mut Stage<'_>, wrong: &mut Vec<String>) -> Result<(), Halt> {
    let listed = stage.world.ringmaster(&["quarantine", "list", "--json"]);
    let (said, error) = (String::from_utf8_lossy(&listed.stdout), String::from_utf8_lossy(&listed.stderr));
    if !listed.status.success() {
        return Err(Halt::Failed(format!("the quarantine cannot be listed: {error}")));
    }
    // An entry that was sent again behind a doubt stands there twice, as any effect does.
    let mut places = BTreeSet::new();
    for line in said.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).map_err(|error| Halt::Failed(format!("{error}: {line}")))?;
        places.insert((
            entry["topic"].as_str().unwrap_or_default().to_owned(),
            entry["partition"].as_i64(),
            entry["offset"].as_i64(),
        ));
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    places.into_iter().for_each(|(topic, ..)| *found.entry(topic).or_default() += 1);
    if found != stage.poisoned {
        wrong.push(format!("in quarantine are, by topic, {found:?} records, and must be {:?}", stage.poisoned));
    }
    Ok(())
}

/// The id of an order's saga.
fn id_of(number: u64) -> String {
    saga_id(SAGA, &orders::key(RUN, number)).to_string()
}

/// Ends all in order, coordinators first; the data directory of the one that had all partitions at the end.
fn end_all(stage: &mut Stage<'_>) -> Result<PathBuf, Halt> {
    for seat in 1..stage.seats.len() {
        stage.end_coordinator(seat)?;
    }
    stage.wait_shared("the last coordinator owns all partitions")?;
    let data = stage.end_coordinator(0)?;
    SERVICES.iter().try_for_each(|service| stage.end_service(service).map(drop))?;
    Ok(data)
}

/// Lets a coordinator make its store from the journal alone, and compares it with the one that is there.
fn rebuild(stage: &mut Stage<'_>, there: &BTreeMap<String, Vec<u8>>, wrong: &mut Vec<String>) -> Result<usize, Halt> {
    // A seat of its own: it is no other that is started again if it fails, and it has no excuse to.
    stage.seats = vec![Seat::empty(REBUILT)];
    stage.set_clock(0, 0)?;
    stage.start(0);
    stage.wait_shared("the journal is read anew")?;
    let rebuilt = stage.end_coordinator(0)?;
    assert!(rebuilt.ends_with(REBUILT), "{}", rebuilt.display());
    let made = rows(&rebuilt);
    // One that was made of a snapshot does not know what happened before.
    let is_known = |key: &String| !key.ends_with(HAPPENED) || there.contains_key(key) && made.contains_key(key);
    let differs = |(key, row): &(&String, &Vec<u8>)| made.get(*key) != Some(row);
    let mut differing: Vec<&String> = there.iter().filter(differs).map(|(key, _)| key).collect();
    differing.extend(made.keys().filter(|key| !there.contains_key(*key)));
    differing.retain(|key| is_known(key));
    let told = differing.iter().take(TOLD_MAX).map(|key| format!("the journal makes another row of {key} than the store has"));
    wrong.extend(told);
    if differing.len() > TOLD_MAX {
        wrong.push(format!("and {} more rows", differing.len() - TOLD_MAX));
    }
    Ok(there.len() - differing.len().min(there.len()))
}

/// All rows of a store, by partition, kind and key.
fn rows(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let store = RocksStore::open(&data.join("store"), PARTITIONS, 64 << 20).expect("the store can be opened").store;
    let mut rows = BTreeMap::new();
    for partition in 0..PARTITIONS {
        for kind in [RowKind::Saga, RowKind::Outbox, RowKind::Breaker] {
            let visit = &mut |key: RowKey, row: &[u8]| {
                rows.insert(format!("{partition}/{kind:?}/{key}"), row.to_vec());
                true
            };
            store.rows(partition, kind, visit).expect("it can be read");
        }
        if let Some(happened) = happened(&store, partition) {
            rows.insert(format!("{partition}{HAPPENED}"), happened);
        }
    }
    rows
}

/// Where what happened lies among the rows.
const HAPPENED: &str = "/what happened";

/// What has been counted of a partition since its journal began, which does not depend on when it is looked at; how its rows stand must be
/// what they add up to, too.
fn happened(store: &RocksStore, partition: i32) -> Option<Vec<u8>> {
    let row = store.row(partition, &RowKey::Counts).expect("it can be read").expect("a partition is counted");
    let counts = Counts::decode(&row).expect("counts can be read");
    let checkpoint = store.checkpoint(partition).expect("it can be read").expect("it was stored");
    let rows = recount_standing(&StoredRows { store, partition }, checkpoint.expired_bucket, &counts).expect("rows can be read");
    let adds_up = |of: &ParticipantCounts| of.attempts() == of.ended() + of.unanswered();
    if counts.of_rows() != rows || !counts.participants.iter().all(adds_up) {
        return Some(format!("counted are {counts:?}, the rows add up to {rows:?}").into_bytes());
    }
    let participants = counts.participants.iter().map(ParticipantCounts::sums).collect();
    (counts.since == 0).then(|| Counts { journal_offset: 0, horizon: 0, versions: Vec::new(), participants, ..counts }.encode())
}
