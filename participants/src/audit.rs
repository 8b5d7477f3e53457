//! What a ledger says was done: each effect by idempotency key, and whether the books close.
//!
//! Entries say what every key did; the books say what was really moved. Both are written in one batch, and no repeat moves anything,
//! so their sums are equal; an effect that was applied twice makes them differ.

use std::collections::BTreeMap;
use std::fmt;

use ringmaster_schemas::wire::Outcome;
use ringmaster_schemas::{Millis, codec::Malformed};
use serde::Serialize;

use crate::books::{Endowment, Flow, Way, day_of, scan_flows};
use crate::entry::{Effect, Entry, movements};
use crate::ledger::{Ledger, LedgerError, kind, readable};

/// What a ledger holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The service.
    pub service: String,
    /// Every command that was answered for good, by idempotency key.
    pub effects: Vec<KeyEffects>,
    /// Every account.
    pub accounts: Vec<Account>,
    /// What is wrong; empty if the books close.
    pub problems: Vec<String>,
}

/// What one idempotency key did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyEffects {
    /// `saga/step/do` or `saga/step/undo`.
    pub idempotency_key: String,
    /// For example `payment.Charge`.
    pub command: String,
    /// succeeded or refused.
    pub outcome: &'static str,
    /// A refusal's code.
    pub code: Option<String>,
    /// In a word; see [`Effect`].
    pub effect: &'static str,
    /// How often its do was applied: 0 or 1.
    pub done: u32,
    /// How often an undo was applied: on a do, to it; on an undo, by it. 0 or 1.
    pub undone: u32,
    /// What it moved: units by account (pieces, hundredths, slots).
    pub moved: Vec<(String, i64)>,
    /// When its key was first journaled.
    pub first_time: Millis,
}

/// One account: a SKU, a currency, a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its name.
    pub account: String,
    /// Units that it was given; none where nothing limits it.
    pub given: Option<i64>,
    /// Movements done.
    pub done_count: u64,
    /// Movements undone.
    pub undone_count: u64,
    /// Units done.
    pub done_units: i128,
    /// Units undone.
    pub undone_units: i128,
    /// Units left, where something limits it.
    pub left: Option<i128>,
}

impl Audit {
    /// Reads a whole ledger. Days on which entries were forgotten (before `forgotten_before`) are summed, but not held against
    /// their entries.
    pub fn of(ledger: &impl Ledger, forgotten_before: Millis) -> Result<Self, LedgerError> {
        let service = service_of(ledger)?;
        let mut problems = Vec::new();
        let mut by_entries: BTreeMap<(String, i32), Flow> = BTreeMap::new();
        let effects = read_entries(ledger, &mut by_entries)?;
        let mut by_account: BTreeMap<String, Flow> = BTreeMap::new();
        scan_flows(ledger, &mut |account, day, flow| {
            by_account.entry(account.to_owned()).or_default().add(&flow);
            let expected = by_entries.remove(&(account.to_owned(), day)).unwrap_or_default();
            if flow != expected && day > day_of(forgotten_before) {
                problems.push(format!("account {account}, day {day}: the books say {flow:?}, the entries sum up to {expected:?}"));
            }
        })?;
        for ((account, day), flow) in by_entries {
            problems.push(format!("account {account}, day {day}: the entries sum up to {flow:?}, the books have nothing"));
        }
        let given = Endowment::load(ledger)?;
        let limited = !given.listed.is_empty();
        let accounts: Vec<Account> = by_account
            .into_iter()
            .map(|(account, flow)| {
                let given = limited.then(|| given.of(&account));
                let left = given.map(|given| i128::from(given) - flow.net_units());
                Account {
                    given,
                    left,
                    done_count: flow.done_count,
                    undone_count: flow.undone_count,
                    done_units: flow.done_units,
                    undone_units: flow.undone_units,
                    account,
                }
            })
            .collect();
        for account in &accounts {
            if account.left.is_some_and(|left| left < 0) || account.undone_units > account.done_units {
                problems.push(format!("account {}: more went out than there was: {account:?}", account.account));
            }
        }
        Ok(Audit { service, effects, accounts, problems })
    }

    /// True if nothing is wrong.
    pub fn closes(&self) -> bool {
        self.problems.is_empty()
    }

    /// What stands: dos that were done and not undone.
    pub fn standing(&self) -> usize {
        self.effects.iter().filter(|of| of.effect == Effect::Done.as_str()).count()
    }
}

/// Tables for people: accounts, then every key, then what is wrong.
impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} keys, {} standing", self.service, self.effects.len(), self.standing())?;
        writeln!(
            f,
            "\n{:<24} {:>12} {:>10} {:>16} {:>10} {:>16} {:>16}",
            "account", "given", "done", "units", "undone", "units", "left"
        )?;
        let or_none = |number: Option<i128>| number.map_or("-".to_owned(), |number| number.to_string());
        for of in &self.accounts {
            let (given, left) = (or_none(of.given.map(i128::from)), or_none(of.left));
            writeln!(
                f,
                "{:<24} {given:>12} {:>10} {:>16} {:>10} {:>16} {left:>16}",
                of.account, of.done_count, of.done_units, of.undone_count, of.undone_units
            )?;
        }
        writeln!(f, "\n{:<13} {:>4} {:>6}  {:<22} {:<22} idempotency key, moved", "effect", "done", "undone", "command", "code")?;
        for of in &self.effects {
            let code = of.code.as_deref().unwrap_or("-");
            write!(f, "{:<13} {:>4} {:>6}  {:<22} {code:<22} {}", of.effect, of.done, of.undone, of.command, of.idempotency_key)?;
            for (account, units) in &of.moved {
                write!(f, " {account}:{units}")?;
            }
            writeln!(f)?;
        }
        for problem in &self.problems {
            writeln!(f, "\nPROBLEM {problem}")?;
        }
        writeln!(f, "\n{}", if self.closes() { "the books close" } else { "THE BOOKS DO NOT CLOSE" })
    }
}

fn service_of(ledger: &impl Ledger) -> Result<String, LedgerError> {
    let mut identity = Vec::new();
    ledger.get(&kind::IDENTITY, &mut identity)?;
    let text = String::from_utf8_lossy(&identity).into_owned();
    match text.split_once('\n') {
        Some((_, service)) => Ok(service.to_owned()),
        None => Err(LedgerError::Foreign { path: readable(&kind::IDENTITY), why: "it is no participant's ledger".to_owned() }),
    }
}

fn read_entries(ledger: &impl Ledger, sums: &mut BTreeMap<(String, i32), Flow>) -> Result<Vec<KeyEffects>, LedgerError> {
    let (mut effects, mut damaged) = (Vec::new(), None);
    ledger.scan(&kind::ENTRY, &mut |key, value| {
        let read = Entry::read(value).and_then(|entry| Ok((entry, key_effects(&key[2..], &entry)?)));
        match read {
            Ok((entry, of)) => {
                sum(&entry, &of, sums);
                effects.push(of);
            }
            Err(Malformed(why)) => damaged = Some(LedgerError::Damaged { key: readable(key), why }),
        }
        damaged.is_none()
    })?;
    damaged.map_or(Ok(effects), Err)
}

fn key_effects(key: &[u8], entry: &Entry<'_>) -> Result<KeyEffects, Malformed> {
    let moved: Result<Vec<_>, _> =
        movements(entry.movements).map(|moved| moved.map(|(account, units)| (account.to_owned(), units))).collect();
    let (done, undone) = match entry.effect {
        Effect::Nothing | Effect::UndoneBefore => (0, 0),
        Effect::Done => (1, 0),
        Effect::Undone => (1, 1),
        Effect::Reversal => (0, 1),
    };
    Ok(KeyEffects {
        idempotency_key: String::from_utf8_lossy(key).into_owned(),
        command: entry.command.to_owned(),
        outcome: match entry.outcome {
            Outcome::Succeeded => "succeeded",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
        },
        code: entry.code.map(str::to_owned),
        effect: entry.effect.as_str(),
        done,
        undone,
        moved: moved?,
        first_time: entry.first_time,
    })
}

/// Adds what an entry says to the sums that the books must have. A do counts what was done to it and taken from it; its undo's
/// entry is only the receipt.
fn sum(entry: &Entry<'_>, of: &KeyEffects, sums: &mut BTreeMap<(String, i32), Flow>) {
    if !matches!(entry.effect, Effect::Done | Effect::Undone) {
        return;
    }
    for (account, units) in &of.moved {
        let flow = sums.entry((account.clone(), day_of(entry.first_time))).or_default();
        flow.post(Way::Do, *units);
        if entry.effect == Effect::Undone {
            flow.post(Way::Undo, *units);
        }
    }
}
