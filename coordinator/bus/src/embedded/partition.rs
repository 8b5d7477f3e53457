//! One partition of a topic: appended to by any client of the process, read by any.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ringmaster_schemas::Millis;

use super::format::{Batch, BatchBuilder, BatchHeader};
use super::keeping::Keeping;
use super::segment::{AppendError, Segment, bases_in, path_of, read_batches};
use super::{Settings, Sync};
use crate::SendError;
use crate::signal::Signal;

/// Written batches that are kept in memory for readers, per partition with readers: a tenth of a second of a busy one, and a
/// hundred partitions stay within 100 MiB. Readers further behind read the file.
const RECENT_BYTES_MAX: usize = 1 << 20;
/// Batches handed to a reader at once: few locks, and little is held by a reader that is slow.
const FETCH_BATCHES_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Partition {
    directory: PathBuf,
    settings: Settings,
    pub(super) keeping: Keeping,
    owned: bool,
    /// The next offset; written under the lock, read without it by readers that look for news.
    end: AtomicI64,
    deleted: AtomicBool,
    /// The lowest position of all groups that ever committed one; -1 if none did.
    committed: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Ascending, without gaps; none before the first append.
    segments: VecDeque<Segment>,
    timestamp: Millis,
    /// The last batches up to the end, without gaps.
    recent: VecDeque<Batch>,
    recent_bytes: usize,
    watchers: Arc<Vec<Watcher>>,
    /// Why nothing can be appended before the log is opened anew.
    torn: Option<String>,
}

/// A reader of this partition.
#[derive(Debug, Clone)]
pub(super) struct Watcher {
    pub(super) signal: Arc<Signal>,
    /// The next offset that it wants.
    pub(super) position: Arc<AtomicI64>,
}

/// Where a reader is, with where that was in a file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    /// The segment and byte where the offset `hint_for` begins.
    hint: Option<(i64, u64)>,
    hint_for: i64,
}

/// The answer to [`Partition::fetch`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    Batches,
    /// The position is the end.
    Nothing,
    OutOfRange,
}

impl Partition {
    /// Opens a partition's folder. Without `owned` nothing is changed on disk.
    pub(super) fn open(directory: &Path, settings: Settings, keeping: Keeping, owned: bool) -> Result<Self, String> {
        let what = |error: std::io::Error| format!("{}: {error}", directory.display());
        let (mut segments, mut end, mut timestamp) = (VecDeque::new(), 0, 0);
        let bases = bases_in(directory).map_err(what)?;
        if let Some((&last, before)) = bases.split_last() {
            for &base in before {
                segments.push_back(Segment::closed(directory, base).map_err(what)?);
            }
            let (segment, scanned) = Segment::last(directory, last, owned)?;
            segments.push_back(segment);
            (end, timestamp) = (scanned.next, scanned.timestamp.unwrap_or(0));
        }
        let state = State { segments, timestamp, recent: VecDeque::new(), recent_bytes: 0, watchers: Arc::default(), torn: None };
        Ok(Self {
            directory: directory.to_owned(),
            settings,
            keeping,
            owned,
            end: AtomicI64::new(end),
            deleted: AtomicBool::new(false),
            committed: AtomicI64::new(-1),
            state: Mutex::new(state),
        })
    }

    /// The offset that the next record will have.
    pub(super) fn end(&self) -> i64 {
        self.end.load(Ordering::Acquire)
    }

    /// The oldest offset that can be read, and the end.
    pub(super) fn bounds(&self) -> (i64, i64) {
        let state = self.lock();
        (state.start(), self.end())
    }

    /// Appends a batch and says at which offset; the builder is empty afterwards, whatever happened.
    pub(super) fn append(&self, batch: &mut BatchBuilder) -> Result<i64, SendError> {
        let mut state = self.lock();
        let appended = self.append_locked(&mut state, batch);
        let watchers = Arc::clone(&state.watchers);
        drop(state);
        if appended.is_err() {
            batch.clear();
        }
        for watcher in watchers.iter() {
            watcher.signal.raise();
        }
        appended
    }

    fn append_locked(&self, state: &mut State, batch: &mut BatchBuilder) -> Result<i64, SendError> {
        if self.is_deleted() {
            return Err(SendError::Refused("the topic was deleted".to_owned()));
        }
        if let Some(why) = &state.torn {
            return Err(SendError::Refused(why.clone()));
        }
        let base = self.end.load(Ordering::Relaxed);
        state.timestamp = now().max(state.timestamp);
        batch.seal(base, state.timestamp);
        self.roll(state, batch.bytes().len() as u64, base)
            .map_err(|error| SendError::Unknown(format!("{}: no new segment: {error}", self.directory.display())))?;
        let segment = state.segments.back_mut().expect("rolled");
        match segment.append(batch.bytes(), self.settings.sync == Sync::Always) {
            Ok(()) => {}
            Err(AppendError::Nothing(why)) => return Err(SendError::Unknown(why)),
            Err(AppendError::Torn(why)) => {
                state.torn = Some(why.clone());
                return Err(SendError::Unknown(why));
            }
        }
        self.end.store(base + i64::from(batch.count()), Ordering::Release);
        state.remember(batch);
        Ok(base)
    }

    /// Makes the last segment one that takes so many bytes more.
    fn roll(&self, state: &mut State, bytes: u64, base: i64) -> std::io::Result<()> {
        let full = |segment: &Segment| segment.bytes > 0 && segment.bytes + bytes > self.settings.segment_bytes_max;
        if state.segments.back().is_some_and(|last| !full(last)) {
            return Ok(());
        }
        let segment = Segment::create(&self.directory, base)?;
        if self.settings.sync == Sync::Always {
            std::fs::File::open(&self.directory)?.sync_all()?;
        }
        if let Some(last) = state.segments.back_mut() {
            last.close();
        }
        state.segments.push_back(segment);
        self.trim(state);
        Ok(())
    }

    /// Hands out batches from this offset on; the first may begin before it.
    pub(super) fn fetch(&self, position: i64, cursor: &mut Cursor, out: &mut VecDeque<Batch>) -> Result<Fetched, String> {
        let mut state = self.lock();
        let end = self.end();
        if position < state.start() || position > end {
            return Ok(Fetched::OutOfRange);
        }
        if position == end {
            return Ok(Fetched::Nothing);
        }
        if state.recent.front().is_some_and(|oldest| oldest.header.base <= position) {
            let first = state.recent.partition_point(|batch| batch.header.next() <= position);
            out.extend(state.recent.range(first..).take(FETCH_BATCHES_MAX).cloned());
            return Ok(Fetched::Batches);
        }
        let at = state.segments.partition_point(|segment| segment.base <= position) - 1;
        let segment = &mut state.segments[at];
        let from_hint = cursor.hint.filter(|hint| hint.0 == segment.base && cursor.hint_for == position);
        let mut byte = match from_hint {
            Some((_, byte)) => byte,
            None => segment.position_of(position)?,
        };
        let (base, bytes, damaged) = (segment.base, segment.bytes, segment.damaged(byte));
        let opened = segment.open();
        drop(state);
        let file = match opened {
            Ok(file) => file,
            // The owner of a log that is only read here has deleted it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.owned => {
                return Ok(Fetched::OutOfRange);
            }
            Err(error) => {
                return Err(format!("{}: {error}", path_of(&self.directory, base).display()));
            }
        };
        let mut next = None;
        while out.is_empty() && byte < bytes {
            let expected = match next {
                Some(next) => next,
                None => base_at(&file, byte).ok_or_else(|| damaged.clone())?,
            };
            let read = read_batches(&file, byte, bytes, expected, out).map_err(|error| error.to_string())?;
            next = out.back().map(|batch| batch.header.next());
            out.retain(|batch| batch.header.next() > position);
            byte = read.position;
            if read.damaged && out.is_empty() {
                return Err(damaged);
            }
        }
        match (out.front(), next) {
            (Some(first), Some(next)) if first.header.base <= position => {
                *cursor = Cursor { hint: Some((base, byte)), hint_for: next };
                Ok(Fetched::Batches)
            }
            _ => {
                out.clear();
                Err(damaged)
            }
        }
    }

    /// The first offset with this timestamp or a later one, or the end.
    pub(super) fn offset_at(&self, time: Millis) -> Result<i64, String> {
        let (mut position, end) = {
            let mut state = self.lock();
            let mut from = state.start();
            for at in (0..state.segments.len()).rev() {
                let segment = &mut state.segments[at];
                if at == 0 || segment.first_timestamp()?.is_some_and(|first| first < time) {
                    from = segment.offset_before(time)?;
                    break;
                }
            }
            (from, self.end())
        };
        let (mut cursor, mut batches) = (Cursor::default(), VecDeque::new());
        while position < end && self.fetch(position, &mut cursor, &mut batches)? == Fetched::Batches {
            for batch in batches.drain(..) {
                if batch.header.timestamp >= time {
                    return Ok(batch.header.base);
                }
                position = batch.header.next();
            }
        }
        Ok(end)
    }

    /// From now on this reader is woken when something is appended, and recent batches are kept for it.
    pub(super) fn watch(&self, watcher: Watcher) {
        let mut state = self.lock();
        Arc::make_mut(&mut state.watchers).push(watcher);
    }

    /// Ends [`Self::watch`].
    pub(super) fn unwatch(&self, watcher: &Watcher) {
        let mut state = self.lock();
        Arc::make_mut(&mut state.watchers).retain(|known| !Arc::ptr_eq(&known.position, &watcher.position));
        if state.watchers.is_empty() {
            state.forget();
        }
    }

    /// All groups that ever committed are at this offset or behind; segments that nobody needs are deleted.
    pub(super) fn passed(&self, lowest: i64) {
        if self.committed.swap(lowest, Ordering::Relaxed) != lowest {
            self.trim(&mut self.lock());
        }
    }

    /// Deletes whole segments whose records are all below this offset; the last one stays.
    pub(super) fn delete_before(&self, offset: i64) -> Result<(), String> {
        if !self.owned {
            return Err(format!("{}: another process has this log", self.directory.display()));
        }
        let mut state = self.lock();
        while state.segments.get(1).is_some_and(|second| second.base <= offset) {
            let oldest = &state.segments[0].path;
            std::fs::remove_file(oldest).map_err(|error| format!("{}: {error}", oldest.display()))?;
            state.segments.pop_front();
        }
        Ok(())
    }

    /// The topic is deleted: nothing is appended or read any more.
    pub(super) fn delete(&self) {
        let state = self.lock();
        self.deleted.store(true, Ordering::Release);
        for watcher in state.watchers.iter() {
            watcher.signal.raise();
        }
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// For a log that somebody else owns: takes in what was appended since.
    pub(super) fn refresh(&self) -> Result<(), String> {
        let mut state = self.lock();
        let mut next = self.end();
        loop {
            if let Some(last) = state.segments.back_mut() {
                next = last.extend(next)?.next;
            }
            let follows = path_of(&self.directory, next);
            let known = state.segments.back().is_some_and(|last| last.path == follows);
            if known || !follows.exists() {
                break;
            }
            let mut segment = Segment::closed(&self.directory, next).map_err(|error| format!("{}: {error}", follows.display()))?;
            segment.bytes = 0;
            state.segments.push_back(segment);
        }
        while state.segments.len() > 1 && !state.segments[0].path.exists() {
            state.segments.pop_front();
        }
        self.end.store(next, Ordering::Release);
        Ok(())
    }

    fn trim(&self, state: &mut State) {
        let committed = self.committed.load(Ordering::Relaxed);
        let reading = state.watchers.iter().map(|watcher| watcher.position.load(Ordering::Relaxed));
        self.keeping.trim(&mut state.segments, (committed >= 0).then_some(committed), reading.min());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn start(&self) -> i64 {
        self.segments.front().map_or(0, |first| first.base)
    }

    /// Keeps an appended batch for readers, if there are any, and empties the builder.
    fn remember(&mut self, batch: &mut BatchBuilder) {
        if self.watchers.is_empty() {
            batch.clear();
            return;
        }
        let header = BatchHeader::read(batch.bytes()).expect("it was sealed");
        self.recent.push_back(Batch::within(&Arc::new(batch.take()), 0, header));
        self.recent_bytes += header.bytes;
        while self.recent_bytes > RECENT_BYTES_MAX {
            let oldest = self.recent.pop_front().expect("there are bytes");
            self.recent_bytes -= oldest.header.bytes;
        }
    }

    fn forget(&mut self) {
        self.recent.clear();
        self.recent_bytes = 0;
    }
}

/// The wall clock.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// The base that the batch at this byte says it has.
fn base_at(file: &std::fs::File, byte: u64) -> Option<i64> {
    let mut header = [0; super::format::HEADER_BYTES];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut header, byte).ok()?;
    BatchHeader::read(&header).map(|header| header.base)
}

#[cfg(test)]
mod tests;
