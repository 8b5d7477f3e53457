//! Which segments of a partition are kept.

use std::collections::VecDeque;
use std::time::Duration;

use super::segment::Segment;

/// What topic settings say of a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeping {
    /// `max.message.bytes`.
    pub(super) record_bytes_max: usize,
    /// `retention.ms`; none for unlimited: then nothing is ever deleted.
    pub(super) retention: Option<Duration>,
}

impl Keeping {
    /// Deletes the oldest segments that all groups and readers have passed; of a topic that no group reads, those that are older than
    /// its retention. `committed` is the lowest position of all groups that ever committed one, `reading` that of all readers.
    pub(super) fn trim(&self, segments: &mut VecDeque<Segment>, committed: Option<i64>, reading: Option<i64>) {
        let Some(retention) = self.retention else { return };
        while segments.len() > 1 {
            let oldest = &segments[0];
            let needed = match committed {
                Some(committed) => segments[1].base > committed.min(reading.unwrap_or(i64::MAX)),
                None => reading.is_some() || !is_older(oldest, retention),
            };
            if needed {
                return;
            }
            if let Err(error) = std::fs::remove_file(&oldest.path) {
                tracing::warn!(file = %oldest.path.display(), %error, "a segment that nobody needs could not be deleted");
                return;
            }
            segments.pop_front();
        }
    }
}

/// Whether nothing was appended to a segment for so long.
fn is_older(segment: &Segment, age: Duration) -> bool {
    let written = segment.path.metadata().and_then(|metadata| metadata.modified());
    written.is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed > age))
}
