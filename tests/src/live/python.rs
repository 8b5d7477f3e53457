//! The payment service in Python, and its ledger as the accounting reads ledgers.

use std::path::{Path, PathBuf};
use std::process::Command;

use ringmaster_participants::audit::{Audit, KeyEffects};

use super::repository;

/// A Python that has a Kafka client.
pub struct Python(PathBuf);

/// Prints every answer with what it did, as JSON.
const LEDGER: &str = "
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
charges = {key: (amount, refunded) for key, amount, refunded in db.execute('SELECT key, amount, refunded FROM charges')}
rows = []
for key, answer in db.execute('SELECT key, answer FROM answers'):
    amount, refunded = charges.pop(key, (0, 0))
    rows.append([key, json.loads(answer)[0]['outcome'], amount, refunded])
assert not charges, 'charges without an answer: %s' % charges
print(json.dumps(rows))
";

impl Python {
    /// Installed by scripts/python.sh, which `make test` calls; none, and why, if that could not.
    pub fn find() -> Result<Python, String> {
        let script = repository().join("scripts/python.sh");
        let output = Command::new(&script).output().map_err(|error| format!("{}: {error}", script.display()))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Ok(Python(String::from_utf8_lossy(&output.stdout).trim().into()))
    }

    /// The interpreter.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the ledger of payment.py holds.
    pub fn audit(&self, ledger: &Path) -> Audit {
        let output = Command::new(&self.0).args(["-c", LEDGER]).arg(ledger).output().expect("python runs");
        assert!(output.status.success(), "the ledger cannot be read: {}", String::from_utf8_lossy(&output.stderr));
        let rows: Vec<(String, String, i64, u32)> = serde_json::from_slice(&output.stdout).expect("JSON");
        let effects = rows
            .into_iter()
            .map(|(idempotency_key, outcome, amount, refunded)| KeyEffects {
                idempotency_key,
                command: "payment".into(),
                outcome: if outcome == "succeeded" { "succeeded" } else { "refused" },
                code: None,
                effect: "",
                done: u32::from(amount > 0),
                undone: refunded,
                moved: Vec::new(),
                first_time: 0,
            })
            .collect();
        Audit { service: "payment".into(), effects, accounts: Vec::new(), problems: Vec::new() }
    }
}
