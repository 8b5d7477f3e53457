//! Answers that are remembered by the keys of those who asked, in the memory of one instance.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::problem::{Problem, Refusal};
use super::ActAnswer;

/// So many.
pub(super) const REMEMBERED_MAX: usize = 1_000;

/// Answers by the keys of those who asked.
#[derive(Default)]
pub struct Remembered {
    pub(super) known: Mutex<Known>,
}

#[derive(Default)]
pub(super) struct Known {
    pub(super) by_key: HashMap<(String, String), Kept>,
    /// Oldest first.
    order: VecDeque<(String, String)>,
}

/// What was asked by a key (its SHA-256: it may be half a megabyte), and what came of it once that is known. Held while it is found out: who asks by it meanwhile waits.
pub(super) type Kept = Arc<([u8; 32], Mutex<Option<ActAnswer>>)>;

impl Remembered {
    /// What is kept of a key; an error if something else was asked by it.
    pub(super) fn kept(&self, key: (String, String), asked: [u8; 32]) -> Result<Kept, Refusal> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = known.by_key.get(&key) {
            return match kept.0 == asked {
                true => Ok(kept.clone()),
                false => {
                    Err(Problem::BadRequest
                        .because("something else was asked by this Idempotency-Key: each act has one of its own"))
                }
            };
        }
        if known.order.len() == REMEMBERED_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.by_key.remove(&oldest);
        }
        let kept: Kept = Arc::new((asked, Mutex::new(None)));
        known.by_key.insert(key.clone(), kept.clone());
        known.order.push_back(key);
        Ok(kept)
    }
}
