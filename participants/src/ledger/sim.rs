//! A ledger in memory for tests and the simulator: it survives the crash of its process as the real one does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use ringmaster_schemas::Millis;

use super::{Batch, Ledger, LedgerError, kind};
use crate::entry;

/// The disk of one simulated service. Clones are the same disk: keep one, give one to the participant, drop that participant in the
/// middle of whatever it does, and start another one on the disk: what was written is there, nothing else is.
#[derive(Debug, Clone, Default)]
pub struct SimLedger {
    rows: Rc<RefCell<BTreeMap<Vec<u8>, Vec<u8>>>>,
    failing: Rc<RefCell<bool>>,
}

impl SimLedger {
    /// What a crash of the process leaves: all that was written. (The WAL is written, though not synced, before a reply leaves.)
    #[must_use]
    pub fn crash(self) -> Self {
        SimLedger { rows: Rc::new(RefCell::new(self.rows.borrow().clone())), failing: Rc::default() }
    }

    /// From now on writes fail (a full disk), or do so no more.
    pub fn fail_writes(&self, failing: bool) {
        *self.failing.borrow_mut() = failing;
    }

    /// How many rows it has.
    pub fn row_count(&self) -> usize {
        self.rows.borrow().len()
    }
}

impl Ledger for SimLedger {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, LedgerError> {
        value.clear();
        let rows = self.rows.borrow();
        let found = rows.get(key);
        value.extend(found.into_iter().flatten());
        Ok(found.is_some())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), LedgerError> {
        if *self.failing.borrow() {
            return Err(LedgerError::Storage { path: "memory".into(), why: "no space left (scripted)".into() });
        }
        let mut rows = self.rows.borrow_mut();
        for (key, value) in batch.rows() {
            rows.insert(key.to_vec(), value.to_vec());
        }
        Ok(())
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), LedgerError> {
        let rows = self.rows.borrow();
        for (key, value) in rows.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix)) {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn forget(&mut self, before: Millis) {
        self.rows.borrow_mut().retain(|key, value| !(key.starts_with(&kind::ENTRY) && entry::first_time(value) < before));
    }
}
