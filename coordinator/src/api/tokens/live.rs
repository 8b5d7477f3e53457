//! The tokens that a running coordinator takes, as its file says them now.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use subtle::ConstantTimeEq as _;

use super::{Hash, Known, State, TokenFile, hash, split};
use crate::api::who::Principal;

/// The tokens of a file, and when each was last used: that is kept in memory, since a request must not wait for a disk.
pub struct Tokens {
    file: TokenFile,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The file's text, or what was wrong with it, when it was last looked at.
    seen: Option<Result<Option<String>, String>>,
    known: BTreeMap<String, Known>,
    used: BTreeMap<String, i64>,
}

impl Tokens {
    /// Reads a file, which must be there and be right.
    pub fn open(path: &Path) -> Result<Tokens, String> {
        let tokens = Tokens { file: TokenFile::new(path), held: Mutex::default() };
        match tokens.file.text()? {
            None => Err(format!(
                "{}: there is no such file; `ringmaster token create --file {0} --name NAME --role ROLE --expires 30d` makes it",
                path.display()
            )),
            Some(text) => {
                let mut held = tokens.held();
                held.take(tokens.file.parse(&text)?);
                held.seen = Some(Ok(Some(text)));
                drop(held);
                Ok(tokens)
            }
        }
    }

    /// Looks whether the file has changed, and takes what it says now. Of one that is gone nothing is good any more; of one that cannot
    /// be read the tokens of before stay, since somebody may be at work on it, and the log says so, once.
    pub(in crate::api) fn look(&self) {
        let now = self.file.text();
        let mut held = self.held();
        if held.seen.as_ref() == Some(&now) {
            return;
        }
        let read = match &now {
            Ok(Some(text)) => self.file.parse(text),
            Ok(None) => {
                tracing::warn!(file = ?self.file.path(), "the file of tokens is gone: no token is good any more");
                Ok(Vec::new())
            }
            Err(why) => Err(why.clone()),
        };
        match read {
            Ok(known) => {
                held.take(known);
                tracing::info!(file = ?self.file.path(), tokens = held.known.len(), "tokens were read again");
            }
            Err(why) => tracing::error!("tokens stay as they were, until the file is right: {why}"),
        }
        held.seen = Some(now);
    }

    /// Who has this token, if it is good at this time. All others are told apart by nothing, not even by how long it takes.
    pub(in crate::api) fn who(&self, token: &str, now: i64) -> Option<Principal> {
        let (id, secret) = split(token).unwrap_or_default();
        let hashed = hash(secret);
        let mut held = self.held();
        let known = held.known.get(id);
        let expected: Hash = known.map_or([0; 32], |known| known.hash);
        let is_it = bool::from(hashed.ct_eq(&expected));
        let known = known.filter(|known| is_it && known.state(now) == State::Good)?;
        let principal = Principal { name: known.name.clone(), roles: known.roles.clone(), is_known: true };
        held.used.insert(id.to_owned(), now);
        Some(principal)
    }

    /// All that are known, and when each was last used here since this process started.
    pub(in crate::api) fn list(&self) -> Vec<(Known, Option<i64>)> {
        let held = self.held();
        held.known.values().map(|known| (known.clone(), held.used.get(&known.id).copied())).collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn take(&mut self, known: Vec<Known>) {
        self.known = known.into_iter().map(|known| (known.id.clone(), known)).collect();
        self.used.retain(|id, _| self.known.contains_key(id));
    }
}
