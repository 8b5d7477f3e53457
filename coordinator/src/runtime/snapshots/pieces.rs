//! The rows of a snapshot, cut into records.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ringmaster_bus::{Bus, BusEvent, Message, SendError, Sender, TopicPartition};
use ringmaster_core::partition::{Stream, is_in_snapshot};
use ringmaster_schemas::snapshot::{Piece, SnapshotId, SnapshotRecord, SnapshotRow};
use ringmaster_schemas::state::{Checkpoint, RowKey, RowKind, Saga};
use ringmaster_store::Store;

/// Bytes of a piece, about: few records, and little for whoever takes one in.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces on their way at once.
const OPEN_MAX: usize = 64;
/// A broker that takes none for so long does not answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends the pieces of one snapshot, in order.
pub(super) struct Pieces<'a, B: Bus> {
    bus: &'a mut B,
    sender: Sender,
    to: TopicPartition,
    id: SnapshotId,
    epoch: u32,
    stream: Stream,
    buffer: Vec<u8>,
    rows: i64,
    open: usize,
    failed: Option<String>,
}

impl<'a, B: Bus> Pieces<'a, B> {
    pub(super) fn new(bus: &'a mut B, sender: Sender, to: TopicPartition, (id, epoch): (SnapshotId, u32)) -> Self {
        let (stream, buffer) = (Stream::default(), Vec::with_capacity(PIECE_BYTES));
        Pieces { bus, sender, to, id, epoch, stream, buffer, rows: 0, open: 0, failed: None }
    }

    /// Sends all rows of a partition that a snapshot has which begins at `since`.
    pub(super) fn write(
        &mut self,
        store: &dyn Store,
        partition: i32,
        since: Option<&Checkpoint>,
        expired_bucket: i64,
    ) -> Result<(), String> {
        for kind in [RowKind::Saga, RowKind::Outbox, RowKind::Breaker] {
            let mut visit = |key: RowKey, row: &[u8]| {
                let is_in = match &key {
                    RowKey::Saga(id) => match Saga::decode(id, row) {
                        Ok(saga) => is_in_snapshot(&saga, since, expired_bucket),
                        Err(error) => {
                            self.failed = Some(format!("the row of {id}: {error}"));
                            false
                        }
                    },
                    RowKey::Outbox(..) | RowKey::Breaker(_) => true,
                    RowKey::Counts => false,
                };
                if is_in {
                    self.add(&key, row);
                }
                self.failed.is_none()
            };
            store.rows(partition, kind, &mut visit).map_err(|error| error.to_string())?;
            if let Some(why) = self.failed.take() {
                return Err(why);
            }
        }
        if !self.buffer.is_empty() {
            self.send();
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    /// What was sent: bytes, rows, and how many pieces are not acknowledged.
    pub(super) fn finish(self) -> (Stream, i64, usize) {
        (self.stream, self.rows, self.open)
    }

    fn add(&mut self, key: &RowKey, row: &[u8]) {
        SnapshotRow::new(key, row).put_framed(&mut self.buffer);
        self.rows += 1;
        while self.buffer.len() >= PIECE_BYTES && self.failed.is_none() {
            self.send();
        }
    }

    fn send(&mut self) {
        let bytes = Bytes::copy_from_slice(&self.buffer[..self.buffer.len().min(PIECE_BYTES)]);
        self.buffer.drain(..bytes.len());
        let piece = Piece { id: self.id, index: self.stream.pieces, bytes };
        let tag = u64::from(self.epoch) << 32 | piece.index as u64;
        self.stream.add(&piece);
        let record = SnapshotRecord::Piece(piece).encode();
        let begun = Instant::now();
        while self.failed.is_none() {
            if self.open >= OPEN_MAX {
                self.poll();
            } else {
                match self.bus.send(self.sender, Message { to: self.to, key: None, value: &record, headers: &[] }, tag) {
                    Ok(()) => {
                        self.open += 1;
                        return;
                    }
                    Err(SendError::Full) => self.poll(),
                    Err(why) => self.failed = Some(why.to_string()),
                }
            }
            if begun.elapsed() > PATIENCE {
                self.failed.get_or_insert_with(|| "the broker does not answer".to_owned());
            }
        }
    }

    fn poll(&mut self) {
        let Pieces { bus, sender, epoch, open, failed, .. } = self;
        bus.poll(Duration::from_millis(10), &mut |event| match event {
            BusEvent::Acknowledged { sender: by, tag, .. } if by == *sender && tag >> 32 == u64::from(*epoch) => {
                *open = open.saturating_sub(1);
            }
            BusEvent::Failed { sender: by, why, .. } if by == *sender => *failed = Some(why.to_string()),
            BusEvent::Doubt { sender: by, why } if by == *sender => *failed = Some(why),
            _ => {}
        });
    }
}
