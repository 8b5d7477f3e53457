//! The accounts of a service: what all its entries sum up to, kept with them in one batch, so that an audit can hold one against
//! the other.
//!
//! An effect that was applied twice, or written without its entry, shows as a difference: entries count once per idempotency key,
//! flows count what was really moved.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use ringmaster_schemas::Millis;
use ringmaster_schemas::codec::{Cursor, Malformed};

use crate::entry::movements;
use crate::ledger::{Batch, Ledger, LedgerError, kind, readable};

const DAY_MS: Millis = 24 * 60 * 60 * 1_000;
const FLOW_BYTES: usize = 48;

/// The day of a time, counted from 1970-01-01.
pub fn day_of(time: Millis) -> i32 {
    time.div_euclid(DAY_MS).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// What one account's movements of one day (by `first_time` of the do) sum up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Movements that were done.
    pub done_count: u64,
    /// Movements that were undone again.
    pub undone_count: u64,
    /// Units that were done.
    pub done_units: i128,
    /// Units that were undone again.
    pub undone_units: i128,
}

impl Flow {
    /// Adds another day or account to this sum.
    pub fn add(&mut self, other: &Flow) {
        self.done_count += other.done_count;
        self.undone_count += other.undone_count;
        self.done_units += other.done_units;
        self.undone_units += other.undone_units;
    }

    /// What stands.
    pub fn net_units(&self) -> i128 {
        self.done_units - self.undone_units
    }

    /// Counts one movement.
    pub fn post(&mut self, way: Way, units: i64) {
        let (count, sum) = match way {
            Way::Do => (&mut self.done_count, &mut self.done_units),
            Way::Undo => (&mut self.undone_count, &mut self.undone_units),
        };
        *count += 1;
        *sum += i128::from(units);
    }

    fn encode(&self) -> [u8; FLOW_BYTES] {
        let mut bytes = [0; FLOW_BYTES];
        bytes[..8].copy_from_slice(&self.done_count.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.undone_count.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.done_units.to_le_bytes());
        bytes[32..].copy_from_slice(&self.undone_units.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let flow = Flow {
            done_count: u64::from_le_bytes(cursor.take(8)?.try_into().expect("8 bytes")),
            undone_count: u64::from_le_bytes(cursor.take(8)?.try_into().expect("8 bytes")),
            done_units: i128::from_le_bytes(cursor.take(16)?.try_into().expect("16 bytes")),
            undone_units: i128::from_le_bytes(cursor.take(16)?.try_into().expect("16 bytes")),
        };
        cursor.end()?;
        Ok(flow)
    }
}

/// Which way a movement goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Forward.
    Do,
    /// Back.
    Undo,
}

/// All accounts of a service, in memory, in step with the ledger's rows.
#[derive(Debug, Default)]
pub struct Books {
    accounts: Vec<Account>,
    places: HashMap<Box<str>, u32>,
    changed: Vec<(u32, i32)>,
    key: Vec<u8>,
}

#[derive(Debug)]
struct Account {
    name: Box<str>,
    net_units: i128,
    /// The last one is the one that moves now; few, see [`Books::forget`].
    days: Vec<Day>,
}

#[derive(Debug)]
struct Day {
    day: i32,
    flow: Flow,
    changed: bool,
}

impl Books {
    /// Reads them.
    pub fn load(ledger: &impl Ledger) -> Result<Self, LedgerError> {
        let mut books = Books::default();
        scan_flows(ledger, &mut |account, day, flow| {
            let place = books.place(account);
            let account = &mut books.accounts[place as usize];
            account.net_units += flow.net_units();
            account.days.push(Day { day, flow, changed: false });
        })?;
        Ok(books)
    }

    /// Units that stand on an account: done and not undone.
    pub fn net_units(&self, account: &str) -> i128 {
        self.places.get(account).map_or(0, |&place| self.accounts[place as usize].net_units)
    }

    /// The same of one day alone, the day of this time; of a day that is forgotten nothing.
    pub fn units_of_day(&self, account: &str, time: Millis) -> i128 {
        let day = day_of(time);
        let days = self.places.get(account).map_or(&[][..], |&place| &self.accounts[place as usize].days);
        days.iter().rfind(|known| known.day == day).map_or(0, |known| known.flow.net_units())
    }

    /// Counts the movements of an entry, done or undone, on the day of its do.
    pub fn post(&mut self, moved: &[u8], first_time: Millis, way: Way) -> Result<(), Malformed> {
        let day = day_of(first_time);
        for movement in movements(moved) {
            let (account, units) = movement?;
            let place = self.place(account);
            let account = &mut self.accounts[place as usize];
            account.net_units += match way {
                Way::Do => i128::from(units),
                Way::Undo => -i128::from(units),
            };
            let at = account.days.iter().rposition(|known| known.day == day).unwrap_or_else(|| {
                account.days.push(Day { day, flow: Flow::default(), changed: false });
                account.days.len() - 1
            });
            let known = &mut account.days[at];
            known.flow.post(way, units);
            if !std::mem::replace(&mut known.changed, true) {
                self.changed.push((place, day));
            }
        }
        Ok(())
    }

    /// Adds every row that changed since the last call to the batch.
    pub fn stage(&mut self, batch: &mut Batch) {
        for (place, day) in self.changed.drain(..) {
            let account = &mut self.accounts[place as usize];
            let known = account.days.iter_mut().rfind(|known| known.day == day).expect("a changed day is kept until it is staged");
            known.changed = false;
            flow_key(&account.name, day, &mut self.key);
            batch.put(&self.key, &known.flow.encode());
        }
    }

    /// Drops from memory the days before this time: nothing can move on them any more. Their rows stay.
    pub fn forget(&mut self, before: Millis) {
        assert!(self.changed.is_empty(), "what changed is staged before anything is forgotten");
        let before = day_of(before);
        for account in &mut self.accounts {
            account.days.retain(|known| known.day >= before);
        }
    }

    fn place(&mut self, name: &str) -> u32 {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = u32::try_from(self.accounts.len()).expect("fewer than four billion accounts");
        self.accounts.push(Account { name: name.into(), net_units: 0, days: Vec::new() });
        self.places.insert(name.into(), place);
        place
    }
}

/// Visits every flow row: account, day, sums.
pub fn scan_flows(ledger: &impl Ledger, visit: &mut dyn FnMut(&str, i32, Flow)) -> Result<(), LedgerError> {
    let mut damaged = None;
    ledger.scan(&kind::FLOW, &mut |key, value| {
        let read = parse_flow_key(key).and_then(|place| Ok((place, Flow::decode(value)?)));
        match read {
            Ok(((account, day), flow)) => visit(account, day, flow),
            Err(Malformed(why)) => damaged = Some(LedgerError::Damaged { key: readable(key), why }),
        }
        damaged.is_none()
    })?;
    damaged.map_or(Ok(()), Err)
}

/// Kind, account, four bytes of the day, sign flipped so that days sort.
fn flow_key(account: &str, day: i32, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&kind::FLOW);
    out.extend_from_slice(account.as_bytes());
    out.extend_from_slice(&(day as u32 ^ 0x8000_0000).to_be_bytes());
}

fn parse_flow_key(key: &[u8]) -> Result<(&str, i32), Malformed> {
    let rest = key.get(2..).ok_or(Malformed("flow key"))?;
    let (account, day) = rest.split_last_chunk::<4>().ok_or(Malformed("flow key"))?;
    let account = std::str::from_utf8(account).map_err(|_| Malformed("account is not UTF-8"))?;
    Ok((account, (u32::from_be_bytes(*day) ^ 0x8000_0000) as i32))
}

/// What accounts were given to start with: the ledger keeps it from its first day, settings only add accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endowment {
    /// Of an account that is not listed.
    pub default: i64,
    /// Of these.
    pub listed: BTreeMap<String, i64>,
}

/// Stands for [`Endowment::default`] in the ledger; no account is named so.
const DEFAULT_ACCOUNT: &str = "*";

impl Endowment {
    /// Units that this account was given.
    pub fn of(&self, account: &str) -> i64 {
        self.listed.get(account).copied().unwrap_or(self.default)
    }

    /// Takes over what the ledger has, and adds to `batch` what it has not yet.
    pub fn settle(&mut self, ledger: &impl Ledger, batch: &mut Batch) -> Result<(), LedgerError> {
        let kept = Self::load(ledger)?;
        let mut key = Vec::new();
        let mut add = |account: &str, units: i64| {
            key.clear();
            key.extend_from_slice(&kind::ENDOWMENT);
            key.extend_from_slice(account.as_bytes());
            batch.put(&key, &units.to_le_bytes());
        };
        match kept.listed.contains_key(DEFAULT_ACCOUNT) {
            true => self.default = kept.default,
            false => add(DEFAULT_ACCOUNT, self.default),
        }
        for (account, &units) in self.listed.iter().filter(|(account, _)| !kept.listed.contains_key(*account)) {
            add(account, units);
        }
        self.listed.extend(kept.listed);
        self.listed.remove(DEFAULT_ACCOUNT);
        Ok(())
    }

    /// What the ledger has; the default also stands among the listed, by the name `*`.
    pub fn load(ledger: &impl Ledger) -> Result<Self, LedgerError> {
        let mut kept = Endowment::default();
        let mut damaged = None;
        ledger.scan(&kind::ENDOWMENT, &mut |key, value| {
            match (std::str::from_utf8(&key[2..]), value.try_into()) {
                (Ok(account), Ok(units)) => {
                    kept.listed.insert(account.to_owned(), i64::from_le_bytes(units));
                }
                _ => damaged = Some(LedgerError::Damaged { key: readable(key), why: "endowment" }),
            }
            damaged.is_none()
        })?;
        kept.default = kept.listed.get(DEFAULT_ACCOUNT).copied().unwrap_or_default();
        damaged.map_or(Ok(kept), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Movements;
    use crate::ledger::SimLedger;

    #[test]
    fn books_read_again_are_those_that_were_written_also_across_days() {
        let mut ledger = SimLedger::default();
        let mut books = Books::default();
        let mut moved = Movements::default();
        moved.add("sku", 5);
        moved.add("other", 1);
        moved.add("sku", 2);
        books.post(moved.bytes(), 0, Way::Do).unwrap();
        books.post(moved.bytes(), 3 * DAY_MS, Way::Do).unwrap();
        books.post(moved.bytes(), 3 * DAY_MS, Way::Undo).unwrap();
        books.post(moved.bytes(), -1, Way::Do).unwrap();
        let mut batch = Batch::default();
        books.stage(&mut batch);
        ledger.write(&batch).unwrap();
        let again = Books::load(&ledger).unwrap();
        for books in [&books, &again] {
            assert_eq!((books.net_units("sku"), books.net_units("other"), books.net_units("none")), (14, 2, 0));
            let of_days = [-1, 0, DAY_MS - 1, DAY_MS, 3 * DAY_MS].map(|time| books.units_of_day("sku", time));
            assert_eq!((of_days, books.units_of_day("none", 0)), ([7, 7, 7, 0, 0], 0));
        }
        let mut days = Vec::new();
        scan_flows(&ledger, &mut |account, day, flow| {
            if account == "sku" {
                days.push((day, flow.done_count, flow.undone_units));
            }
        })
        .unwrap();
        assert_eq!(days, [(-1, 2, 0), (0, 2, 0), (3, 2, 7)]);
    }

    #[test]
    fn an_endowment_is_the_ledgers_and_settings_only_add_accounts() {
        let mut ledger = SimLedger::default();
        let settle = |ledger: &mut SimLedger, default, listed: &[(&str, i64)]| {
            let listed = listed.iter().map(|&(account, units)| (account.to_owned(), units)).collect();
            let mut endowment = Endowment { default, listed };
            let mut batch = Batch::default();
            endowment.settle(ledger, &mut batch).unwrap();
            ledger.write(&batch).unwrap();
            endowment
        };
        settle(&mut ledger, 100, &[("sold-out", 0)]);
        let again = settle(&mut ledger, 7, &[("sold-out", 50), ("new", 3)]);
        assert_eq!((again.of("sold-out"), again.of("new"), again.of("any")), (0, 3, 100));
        assert_eq!(again, settle(&mut ledger, 8, &[]));
    }
}
