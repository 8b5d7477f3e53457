//! No memory: for a service whose answers follow from its commands alone, of which any number of members may run.

use ringmaster_schemas::Millis;

use super::{Batch, Ledger, LedgerError};

/// Remembers nothing. A command that comes again is carried out again, with the same answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLedger;

impl Ledger for NoLedger {
    const REMEMBERS: bool = false;

    fn get(&self, _: &[u8], _: &mut Vec<u8>) -> Result<bool, LedgerError> {
        Ok(false)
    }

    fn write(&mut self, _: &Batch) -> Result<(), LedgerError> {
        Ok(())
    }

    fn scan(&self, _: &[u8], _: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), LedgerError> {
        Ok(())
    }

    fn forget(&mut self, _: Millis) {}
}
