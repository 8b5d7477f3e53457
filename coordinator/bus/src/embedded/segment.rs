//! One segment file: found, checked, appended to, read.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringmaster_schemas::Millis;

use super::format::{Batch, BatchHeader, HEADER_BYTES};

/// Read from a file at once: a few system calls a MiB, and little is read in vain by one who wants a single record.
const CHUNK_BYTES: usize = 256 << 10;
/// One index entry for so many bytes: 16 KiB of memory for a 64 MiB segment, and at most so much is read to find an offset.
const INDEX_BYTES: u64 = 64 << 10;

/// A file of whole batches; only the last of a partition grows.
#[derive(Debug)]
pub(super) struct Segment {
    /// The offset of its first record.
    pub(super) base: i64,
    pub(super) path: PathBuf,
    /// Whole batches end here.
    pub(super) bytes: u64,
    /// Open as long as it is appended to.
    file: Option<Arc<File>>,
    /// Sparse and ascending; none for a closed segment that was not read yet.
    index: Option<Vec<IndexEntry>>,
}

#[derive(Debug, Clone, Copy)]
struct IndexEntry {
    offset: i64,
    position: u64,
    timestamp: Millis,
}

/// Where a scan of a segment ended.
#[derive(Debug)]
pub(super) struct Scanned {
    /// The offset behind the last good batch.
    pub(super) next: i64,
    /// The timestamp of the last good batch, if there is any.
    pub(super) timestamp: Option<Millis>,
    /// Bytes that were no good batch were found at the end.
    pub(super) torn: bool,
}

impl Segment {
    pub(super) fn create(directory: &Path, base: i64) -> io::Result<Self> {
        let path = path_of(directory, base);
        // What may be there is the empty or torn file of a creation that did not come to its first batch.
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { base, path, bytes: 0, file: Some(Arc::new(file)), index: Some(Vec::new()) })
    }

    /// A segment that is not appended to.
    pub(super) fn closed(directory: &Path, base: i64) -> io::Result<Self> {
        let path = path_of(directory, base);
        let bytes = path.metadata()?.len();
        Ok(Self { base, path, bytes, file: None, index: None })
    }

    /// The last segment of a partition: checked whole. With `owned`, a torn tail is cut off and it can be appended to.
    pub(super) fn last(directory: &Path, base: i64, owned: bool) -> Result<(Self, Scanned), String> {
        let path = path_of(directory, base);
        let what = |error: io::Error| format!("{}: {error}", path.display());
        let file = Arc::new(OpenOptions::new().read(true).write(owned).open(&path).map_err(what)?);
        let mut segment = Self { base, path: path.clone(), bytes: 0, file: Some(file), index: Some(Vec::new()) };
        let scanned = segment.extend(base)?;
        if scanned.torn && owned {
            let file = segment.file.as_ref().expect("just opened");
            let whole = file.metadata().map_err(what)?.len();
            if good_batch_after(file, segment.bytes, whole, scanned.next).map_err(what)? {
                return Err(segment.damaged(segment.bytes));
            }
            file.set_len(segment.bytes).map_err(what)?;
            tracing::warn!(
                file = %path.display(),
                at = segment.bytes,
                bytes = whole - segment.bytes,
                "a torn tail was cut off: a write did not end when the process or the machine did"
            );
        }
        Ok((segment, scanned))
    }

    /// Takes in what the file has gained behind `self.bytes`; `next` is the offset expected there.
    pub(super) fn extend(&mut self, mut next: i64) -> Result<Scanned, String> {
        let what = |error: io::Error| format!("{}: {error}", self.path.display());
        let file = self.open().map_err(what)?;
        let end = file.metadata().map_err(what)?.len();
        let mut index = self.index.take().unwrap_or_default();
        let (mut batches, mut timestamp, mut torn) = (VecDeque::new(), None, false);
        while self.bytes < end && !torn {
            let read = read_batches(&file, self.bytes, end, next, &mut batches).map_err(what)?;
            let mut position = self.bytes;
            for batch in batches.drain(..) {
                note(&mut index, &batch.header, position);
                position += batch.header.bytes as u64;
                next = batch.header.next();
                timestamp = Some(batch.header.timestamp);
            }
            self.bytes = read.position;
            torn = read.damaged;
        }
        self.index = Some(index);
        Ok(Scanned { next, timestamp, torn })
    }

    /// Appends a sealed batch. After an error the file is as it was, or this says that it could not be made so.
    pub(super) fn append(&mut self, sealed: &[u8], sync: bool) -> Result<(), AppendError> {
        let file = self.file.as_ref().expect("only the last segment is appended to");
        let written = file.write_all_at(sealed, self.bytes).and_then(|()| if sync { file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            let text = format!("{}: {error}", self.path.display());
            return Err(match file.set_len(self.bytes) {
                Ok(()) => AppendError::Nothing(text),
                Err(second) => AppendError::Torn(format!("{text}; the torn tail could not be cut: {second}")),
            });
        }
        let header = BatchHeader::read(sealed).expect("a sealed batch has a header");
        note(self.index.get_or_insert_default(), &header, self.bytes);
        self.bytes += sealed.len() as u64;
        Ok(())
    }

    /// No more is appended.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// A file handle for reading.
    pub(super) fn open(&self) -> io::Result<Arc<File>> {
        match &self.file {
            Some(file) => Ok(Arc::clone(file)),
            None => Ok(Arc::new(File::open(&self.path)?)),
        }
    }

    /// A position in the file at or before the batch that holds this offset.
    pub(super) fn position_of(&mut self, offset: i64) -> Result<u64, String> {
        let index = self.index()?;
        let behind = index.partition_point(|entry| entry.offset <= offset);
        Ok(behind.checked_sub(1).map_or(0, |at| index[at].position))
    }

    /// An offset whose batch, or one behind it, is the first with this timestamp or a later one.
    pub(super) fn offset_before(&mut self, time: Millis) -> Result<i64, String> {
        let base = self.base;
        let index = self.index()?;
        let behind = index.partition_point(|entry| entry.timestamp < time);
        Ok(behind.checked_sub(1).map_or(base, |at| index[at].offset))
    }

    /// The timestamp of the first batch; none if there is none.
    pub(super) fn first_timestamp(&mut self) -> Result<Option<Millis>, String> {
        Ok(self.index()?.first().map(|entry| entry.timestamp))
    }

    /// What to say of bytes that are no batch.
    pub(super) fn damaged(&self, position: u64) -> String {
        format!(
            "{}: damaged at byte {position}: no whole batch with a right CRC, and it is not the end of the log. \
             Restore the file from a copy; nothing behind that byte can be read",
            self.path.display()
        )
    }

    fn index(&mut self) -> Result<&Vec<IndexEntry>, String> {
        if self.index.is_none() {
            self.bytes = 0;
            let scanned = self.extend(self.base)?;
            if scanned.torn {
                let position = self.bytes;
                self.index = None;
                return Err(self.damaged(position));
            }
        }
        Ok(self.index.as_ref().expect("just made"))
    }
}

/// Why nothing was appended.
#[derive(Debug)]
pub(super) enum AppendError {
    /// The file is as it was before.
    Nothing(String),
    /// A part of the batch may be at its end; nothing may be appended before the file is opened anew.
    Torn(String),
}

/// How far [`read_batches`] came.
#[derive(Debug)]
pub(super) struct ReadTo {
    /// Behind the last good batch.
    pub(super) position: u64,
    /// What is there is no good batch with the next offset.
    pub(super) damaged: bool,
}

/// Reads whole batches from `position`, at least one and about [`CHUNK_BYTES`], and checks them.
pub(super) fn read_batches(file: &File, position: u64, end: u64, mut next: i64, out: &mut VecDeque<Batch>) -> io::Result<ReadTo> {
    let left = usize::try_from(end - position).unwrap_or(usize::MAX);
    let mut chunk = read_chunk(file, position, CHUNK_BYTES.min(left))?;
    let first_bytes = BatchHeader::read(&chunk).map_or(0, |header| header.bytes);
    let whole_bytes = first_bytes.min(left);
    if whole_bytes > chunk.len() {
        chunk = read_chunk(file, position, whole_bytes)?;
    }
    let chunk = Arc::new(chunk);
    let mut at = 0;
    while at < chunk.len() {
        let rest = &chunk[at..];
        let header = BatchHeader::read(rest).filter(|header| header.base == next);
        let whole = header.filter(|header| header.fits(rest));
        let Some(header) = whole else {
            // A good batch that merely goes beyond this chunk comes with the next call.
            let cut_by_chunk = at > 0
                && chunk.len() < left
                && (rest.len() < HEADER_BYTES || header.is_some_and(|header| header.bytes > rest.len()));
            return Ok(ReadTo { position: position + at as u64, damaged: !cut_by_chunk });
        };
        out.push_back(Batch::within(&chunk, at, header));
        next = header.next();
        at += header.bytes;
    }
    Ok(ReadTo { position: position + at as u64, damaged: false })
}

/// The bases of the segment files in a partition's folder, ascending.
pub(super) fn bases_in(directory: &Path) -> io::Result<Vec<i64>> {
    let mut bases = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        if let Some(base) = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok()) {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

/// The file of the segment with this base.
pub(super) fn path_of(directory: &Path, base: i64) -> PathBuf {
    directory.join(format!("{base:020}.log"))
}

fn note(index: &mut Vec<IndexEntry>, header: &BatchHeader, position: u64) {
    if index.last().is_none_or(|last| position - last.position >= INDEX_BYTES) {
        index.push(IndexEntry { offset: header.base, position, timestamp: header.timestamp });
    }
}

fn read_chunk(file: &File, position: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut chunk = vec![0; bytes];
    let mut filled = 0;
    while filled < bytes {
        match file.read_at(&mut chunk[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    chunk.truncate(filled);
    Ok(chunk)
}

/// Whether a good batch of a later offset stands anywhere behind `position`: then what is there is damage, not a torn tail.
fn good_batch_after(file: &File, position: u64, end: u64, next: i64) -> io::Result<bool> {
    let rest = read_chunk(file, position, usize::try_from(end - position).unwrap_or(usize::MAX))?;
    Ok((1..rest.len()).any(|at| {
        let from = &rest[at..];
        BatchHeader::read(from).is_some_and(|header| header.base > next && header.fits(from))
    }))
}

#[cfg(test)]
mod tests;
