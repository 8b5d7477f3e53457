//! The accounting of a run: read from the store and from the ledgers, and held against what must have happened.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use ringmaster_participants::audit::Audit;
use ringmaster_schemas::names::{Direction, idempotency_key, saga_id};
use ringmaster_schemas::state::{RowKind, Saga, Status};
use ringmaster_store::Store;

use crate::orders::{self, Outcome, SAGA};
use crate::rig;

/// What the store and the ledgers say.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Accounting {
    /// Orders that were issued.
    pub issued: u64,
    /// Sagas that completed.
    pub completed: u64,
    /// Sagas that were undone.
    pub compensated: u64,
    /// Sagas with a leaf that needs a person.
    pub stuck: u64,
    /// Sagas that are still under way.
    pub running: u64,
    /// Effects by ledger: done, undone, refused.
    pub ledgers: Vec<LedgerSum>,
    /// Everything that is not as it must be; empty if all is exact.
    pub problems: Vec<String>,
}

/// The sums of one ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct LedgerSum {
    /// The service.
    pub service: String,
    /// Dos that were applied.
    pub done: u64,
    /// Those of them that were undone.
    pub undone: u64,
    /// Commands that were refused.
    pub refused: u64,
}

/// Problems that are listed one by one; behind that they are only counted.
const PROBLEMS_MAX: usize = 20;

/// Reads store and ledgers of orders `0..issued` of `run`, and compares each with what its number says.
pub fn account(store: &dyn Store, partitions: i32, folder: &Path, run: &str, issued: u64) -> Result<Accounting> {
    account_with(store, partitions, &rig::audits(folder)?, run, issued)
}

/// The same, of services that keep their ledgers elsewhere: what each says was done, in the order of [`rig::SERVICES`].
pub fn account_with(store: &dyn Store, partitions: i32, audits: &[Audit], run: &str, issued: u64) -> Result<Accounting> {
    let mut accounting = Accounting { issued, ..Accounting::default() };
    let mut sagas: BTreeMap<u64, (Status, Option<String>)> = BTreeMap::new();
    for partition in 0..partitions {
        let mut damaged = None;
        store.rows(partition, RowKind::Saga, &mut |key, row| {
            match Saga::decode(&key.to_string().into(), row) {
                Ok(saga) => accounting.take_saga(run, &saga, &mut sagas),
                Err(error) => damaged = Some(format!("{key}: {error}")),
            }
            damaged.is_none()
        })?;
        accounting.problems.extend(damaged);
    }
    let mut problems = Vec::new();
    compare_sagas(issued, &sagas, &mut problems);
    for (service, audit) in rig::SERVICES.iter().zip(audits) {
        problems.extend(audit.problems.iter().map(|problem| format!("{service}: {problem}")));
        accounting.ledgers.push(compare_ledger(service, audit, run, issued, &mut problems));
    }
    let more = problems.len().saturating_sub(PROBLEMS_MAX);
    accounting.problems.extend(problems.into_iter().take(PROBLEMS_MAX));
    if more > 0 {
        accounting.problems.push(format!("and {more} more"));
    }
    Ok(accounting)
}

impl Accounting {
    /// True if nothing is missing and nothing is too much.
    pub fn exact(&self) -> bool {
        self.problems.is_empty() && self.issued == self.completed + self.compensated && self.stuck == 0 && self.running == 0
    }

    fn take_saga(&mut self, run: &str, saga: &Saga, sagas: &mut BTreeMap<u64, (Status, Option<String>)>) {
        let Some(number) = orders::number_of(run, &saga.key()) else { return };
        match saga.status {
            Status::Completed => self.completed += 1,
            Status::Compensated => self.compensated += 1,
            Status::Running | Status::Compensating if saga.stuck() => self.stuck += 1,
            Status::Running | Status::Compensating => self.running += 1,
            Status::Expected | Status::Swept => {}
        }
        sagas.insert(number, (saga.status, saga.failure.as_ref().map(|failure| failure.code.to_string())));
    }
}

fn compare_sagas(issued: u64, sagas: &BTreeMap<u64, (Status, Option<String>)>, problems: &mut Vec<String>) {
    for number in 0..issued {
        let expected = match orders::outcome(number) {
            Outcome::Fulfilled => (Status::Completed, None),
            Outcome::OutOfStock => (Status::Compensated, Some("OUT_OF_STOCK")),
            Outcome::Declined => (Status::Compensated, Some("CARD_DECLINED")),
            Outcome::Refused => (Status::Compensated, Some("ADDRESS_REFUSED")),
        };
        match sagas.get(&number) {
            None => problems.push(format!("order {number}: no saga")),
            Some((status, code)) if (*status, code.as_deref()) != expected => {
                problems.push(format!("order {number}: {status} {code:?} instead of {} {:?}", expected.0, expected.1));
            }
            Some(_) => {}
        }
    }
    if sagas.keys().next_back().is_some_and(|last| *last >= issued) {
        problems.push("there are sagas of orders that were not issued".into());
    }
}

/// What a service must have done for an order: (asked, done, undone).
fn expected(service: &str, outcome: Outcome) -> (bool, bool, bool) {
    match (service, outcome) {
        ("inventory", Outcome::OutOfStock) => (true, false, false),
        ("inventory", Outcome::Fulfilled) => (true, true, false),
        ("inventory", Outcome::Declined | Outcome::Refused) => (true, true, true),
        ("payment", Outcome::Fulfilled) => (true, true, false),
        ("payment", Outcome::Refused) => (true, true, true),
        ("payment", Outcome::Declined) => (true, false, false),
        ("shipping", Outcome::Fulfilled) => (true, true, false),
        ("shipping", Outcome::Refused) => (true, false, false),
        _ => (false, false, false),
    }
}

fn step_of(service: &str) -> &'static str {
    match service {
        "inventory" => "reserve_stock",
        "payment" => "charge_payment",
        _ => "ship",
    }
}

fn compare_ledger(service: &str, audit: &Audit, run: &str, issued: u64, problems: &mut Vec<String>) -> LedgerSum {
    let mut sum = LedgerSum { service: service.to_owned(), ..LedgerSum::default() };
    let effects: BTreeMap<&str, _> = audit.effects.iter().map(|effect| (effect.idempotency_key.as_str(), effect)).collect();
    for number in 0..issued {
        let saga = saga_id(SAGA, &orders::key(run, number));
        let (asked, done, undone) = expected(service, orders::outcome(number));
        let effect = effects.get(idempotency_key(&saga, step_of(service), Direction::Do).as_str());
        let found = effect.map_or((false, 0, 0), |effect| (true, effect.done, effect.undone));
        sum.done += u64::from(found.1);
        sum.undone += u64::from(found.2);
        sum.refused += u64::from(effect.is_some_and(|effect| effect.outcome == "refused"));
        if found != (asked, u32::from(done), u32::from(undone)) {
            problems.push(format!(
                "{service}, order {number}: (asked, done, undone) is {found:?} instead of {:?}",
                (asked, u32::from(done), u32::from(undone))
            ));
        }
    }
    sum
}
