//! What is known of batches, for those who ask and those who act: one writes records, one reads all of them, and whoever wrote waits for what
//! became of his.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringmaster_bus::BusError;

use super::book::{Batch, Book, Void};
use super::record::Written;

/// What became of so many records is known yet: of those that somebody waits for.
const HEARD_MAX: usize = 4_096;

/// Appends records to the topic of batches, and waits until they are there.
type Append = dyn Fn(&[Written]) -> Result<(), BusError> + Send + Sync;

/// What is known of batches.
pub struct Batches {
    append: Box<Append>,
    known: Mutex<Known>,
    changed: Condvar,
}

struct Known {
    book: Book,
    heard: VecDeque<(String, Result<(), Void>)>,
    /// Why the topic is not read to its end; none: it is.
    unread: Option<String>,
}

impl Known {
    /// Whether a record was taken; none: it was not read yet.
    fn became(&self, id: &str) -> Option<&Result<(), Void>> {
        self.heard.iter().rev().find(|(known, _)| known == id).map(|(_, became)| became)
    }
}

/// Why a record was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unposted {
    /// By what stands before it in the topic it means nothing.
    Void(Void),
    /// Whether it was taken is not known, or it cannot be written now.
    Unknown(String),
}

impl Batches {
    /// By this way of appending.
    pub fn new(append: impl Fn(&[Written]) -> Result<(), BusError> + Send + Sync + 'static) -> Batches {
        let unread = Some("the topic of batches is being read: this instance has just started".to_owned());
        let known = Known { book: Book::default(), heard: VecDeque::new(), unread };
        Batches { append: Box::new(append), known: Mutex::new(known), changed: Condvar::new() }
    }

    /// Looks at all that is known; an error says why that is not all.
    pub fn look<T>(&self, what: impl FnOnce(&Book) -> T) -> Result<T, String> {
        let known = self.known();
        match &known.unread {
            None => Ok(what(&known.book)),
            Some(why) => Err(why.clone()),
        }
    }

    /// The same of one batch, which another instance may have written a moment ago: that is waited for, no longer than this.
    pub fn look_soon<T>(&self, id: &str, patience: Duration, what: impl Fn(&Batch) -> T) -> Result<Option<T>, String> {
        let (since, mut known) = (Instant::now(), self.known());
        loop {
            match (&known.unread, known.book.batch(id)) {
                (Some(why), _) => return Err(why.clone()),
                (None, Some(batch)) => return Ok(Some(what(batch))),
                (None, None) => {}
            }
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            known = self.changed.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes records, and waits until the last of them was read again: whether all were taken, and if not, why the first of those was not.
    /// No longer than this.
    pub fn post(&self, records: &[Written], patience: Duration) -> Result<(), Unposted> {
        let Some(last) = records.last() else { return Ok(()) };
        if let Some(why) = &self.known().unread {
            return Err(Unposted::Unknown(why.clone()));
        }
        (self.append)(records).map_err(|error| Unposted::Unknown(error.to_string()))?;
        let (since, mut known) = (Instant::now(), self.known());
        loop {
            if known.became(&last.id).is_some() {
                // What is void makes all that builds on it void: the first says why.
                let void = records.iter().find_map(|record| known.became(&record.id)?.as_ref().err());
                return void.map_or(Ok(()), |why| Err(Unposted::Void(why.clone())));
            }
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                let why = "it was written, and is not read yet: `GET /api/v1/batches` says in a moment what became of it";
                return Err(Unposted::Unknown(why.to_owned()));
            }
            known = self.changed.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the next record of the topic.
    pub(crate) fn take(&self, written: Written) {
        let mut known = self.known();
        let id = written.id.clone();
        let became = known.book.take(written);
        if known.heard.len() == HEARD_MAX {
            known.heard.pop_front();
        }
        known.heard.push_back((id, became));
        self.changed.notify_all();
    }

    /// Whether a record that was read again was taken; none: it was not read yet.
    pub(super) fn became(&self, id: &str) -> Option<Result<(), Void>> {
        self.known().became(id).cloned()
    }

    /// The topic was read to its end, as of this moment.
    pub(crate) fn is_read(&self) {
        self.known().unread = None;
    }

    /// It is read from its beginning again, and why.
    pub(super) fn begin(&self, why: String) {
        let mut known = self.known();
        (known.book, known.unread) = (Book::default(), Some(why));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
