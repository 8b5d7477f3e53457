//! A store that has nothing, and a journal that does not reach back to its beginning: the state is made of a snapshot.
//!
//! ```text
//! ask and read the topic of snapshots -> the newest that fits -> journal since .. until -> its rows -> stored -> read on like anybody
//!                                              ^ one that turns out not to fit gives way to the one before it
//! ```

use ringmaster_schemas::journal::JournalRecord;
use ringmaster_schemas::snapshot::Manifest;
use ringmaster_schemas::state::Batch;

use super::replica::{Replica, Untaken};
use super::restoring::Restoring;
use super::snapshots::Snapshots;
use super::{Context, Note, Partition, Restored, Stage, Why, Wish, law};
use crate::faults::reached;

/// On the way to a state.
pub(super) struct Restore {
    /// The store has something of the partition, which goes before anything else is put there.
    clear: bool,
    phase: Phase,
    /// Snapshots that were not tried, the best last.
    left: Vec<Manifest>,
    /// What is wrong with those that were tried.
    why: String,
    /// What is to be read was said in this poll: whatever else this poll brings is of what was read before.
    turned: bool,
}

enum Phase {
    /// The topic of snapshots is read to this end, once it is known.
    Looking {
        end: Option<i64>,
        found: Snapshots,
    },
    Making(Box<Restoring>),
}

impl Restore {
    pub(super) fn new(clear: bool) -> Restore {
        let phase = Phase::Looking { end: None, found: Snapshots::default() };
        Restore { clear, phase, left: Vec::new(), why: "there is no whole snapshot of it that fits".to_owned(), turned: false }
    }

    fn making(&mut self) -> Option<&mut Restoring> {
        match &mut self.phase {
            Phase::Making(making) => Some(making),
            Phase::Looking { .. } => None,
        }
    }

    /// The rows that are being made.
    pub(super) fn replica(&self) -> Option<&Replica> {
        match &self.phase {
            Phase::Making(making) => Some(making.replica()),
            Phase::Looking { .. } => None,
        }
    }

    /// All is there, and waits to be stored.
    pub(super) fn is_made(&self) -> bool {
        matches!(&self.phase, Phase::Making(making) if making.is_made())
    }

    pub(super) fn stage(&mut self) -> Option<Batch> {
        self.making()?.stage()
    }

    pub(super) fn stored(&mut self, batch: &Batch) {
        self.clear = true;
        if let Some(making) = self.making() {
            making.stored(batch);
        }
    }
}

impl Partition {
    fn restore(&mut self) -> Option<&mut Restore> {
        self.reading()?.restore()
    }

    /// What the topic of snapshots holds.
    pub(super) fn snapshot_bounds(&mut self, start: i64, end: i64, cx: &mut Context<'_>) -> Result<(), Why> {
        let Some(Restore { phase: Phase::Looking { end: known @ None, .. }, .. }) = self.restore() else { return Ok(()) };
        *known = Some(end);
        if start < end {
            self.read(Wish::ReadSnapshots(start), cx);
            return Ok(());
        }
        self.choose(cx)
    }

    /// A record of the topic of snapshots: to find what is there, or to have the rows of the chosen one.
    pub(super) fn snapshot_record(&mut self, offset: i64, value: &[u8], cx: &mut Context<'_>) -> Result<(), Why> {
        let Some(restore) = self.restore().filter(|restore| !restore.turned) else { return Ok(()) };
        match &mut restore.phase {
            Phase::Looking { end: Some(end), found } => {
                found.take(value);
                if offset + 1 >= *end { self.choose(cx) } else { Ok(()) }
            }
            Phase::Looking { end: None, .. } => Ok(()),
            Phase::Making(making) if making.is_replayed() => {
                let taken = making.piece(value, cx.rows);
                reached("restore_rows_half");
                if making.is_made() {
                    cx.out.push(Wish::StopSnapshots);
                }
                taken.or_else(|why| self.untaken(why, cx))
            }
            Phase::Making(_) => Ok(()),
        }
    }

    /// There is no more in the topic of snapshots.
    pub(super) fn snapshots_read(&mut self, offset: i64, cx: &mut Context<'_>) -> Result<(), Why> {
        match self.restore().filter(|restore| !restore.turned).map(|restore| &restore.phase) {
            Some(Phase::Looking { end: Some(end), .. }) if offset >= *end => self.choose(cx),
            Some(Phase::Making(making)) if making.is_replayed() && !making.is_made() && !making.is_stored() => {
                self.unfit("its rows are not there any more", cx)
            }
            _ => Ok(()),
        }
    }

    /// Older ones were deleted meanwhile: it is looked again.
    pub(super) fn snapshots_lost(&mut self, cx: &mut Context<'_>) {
        if let Some(restore) = self.restore() {
            *restore = Restore::new(restore.clear);
            cx.out.push(Wish::StopJournal);
            cx.out.push(Wish::AskSnapshots);
        }
    }

    /// All that is there is known.
    fn choose(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        cx.out.push(Wish::StopSnapshots);
        let (number, journal) = (self.settings.number, self.settings.journal);
        // One that is beyond one's own claim is of somebody who has claimed since.
        let claim = match &self.stage {
            Stage::Replaying(replaying) => replaying.at,
            _ => i64::MAX,
        };
        let Some(reading) = self.reading() else { return Ok(()) };
        let (start, end) = reading.log();
        if let Some(Restore { phase: Phase::Looking { found, .. }, left, .. }) = reading.restore() {
            *left = found.usable(journal, (start, end.min(claim)));
            if left.is_empty() && !found.usable(journal, (start, end)).is_empty() {
                cx.out.push(Wish::doubt(number, "all snapshots that are left are of an owner that came later"));
                return Ok(());
            }
        }
        self.try_next(cx)
    }

    /// The best of those that are left.
    fn try_next(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        let settings = self.settings.clone();
        let Some(reading) = self.reading() else { return Ok(()) };
        let start = reading.log().0;
        let Some(restore) = reading.restore() else { return Ok(()) };
        let Some(manifest) = restore.left.pop() else {
            return Err(Why::JournalCut { partition: settings.number, start, needed: 0, snapshots: restore.why.clone() });
        };
        if std::mem::take(&mut restore.clear) {
            cx.out.push(Wish::ClearStore);
        }
        reached("restore_half");
        let making = Restoring::new(settings, manifest);
        let proof = law::proof(&making.replica().fence, start);
        let (first, is_proven) = (making.next_offset() - i64::from(proof.is_some()), proof.is_none());
        let needs_journal = !is_proven || !making.is_replayed();
        restore.phase = Phase::Making(Box::new(making));
        reading.set_proof(proof);
        if needs_journal {
            self.read(Wish::ReadJournal(first), cx);
            return Ok(());
        }
        self.read_rows(cx)
    }

    /// Of the chosen one, once the journal is read as far as it reaches.
    pub(super) fn read_rows(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        let Some(making) = self.restore().and_then(Restore::making).filter(|making| making.is_replayed()) else { return Ok(()) };
        if let Err(why) = making.make_last() {
            return self.untaken(why, cx);
        }
        let (is_made, first) = (making.is_made(), making.manifest().first);
        cx.out.push(Wish::StopJournal);
        if !is_made {
            self.read(Wish::ReadSnapshots(first), cx);
        }
        Ok(())
    }

    /// Something else is read from now on.
    fn read(&mut self, wish: Wish, cx: &mut Context<'_>) {
        cx.out.push(wish);
        if let Some(restore) = self.restore() {
            restore.turned = true;
        }
    }

    /// True if records of the journal are not what is waited for: they are of what was read before.
    pub(super) fn journal_is_passed(&mut self) -> bool {
        let Some(reading) = self.reading() else { return false };
        let is_proven = reading.is_proven();
        let done = |making: &mut Restoring| is_proven && making.is_replayed();
        reading.restore().is_some_and(|restore| restore.turned || restore.making().is_none_or(done))
    }

    /// A snapshot that does not fit gives way to another; a store that cannot be read does not.
    fn untaken(&mut self, why: Untaken, cx: &mut Context<'_>) -> Result<(), Why> {
        match why {
            Untaken::Store(detail) => Err(Why::Store { partition: self.settings.number, detail }),
            Untaken::Wrong(why) => self.unfit(&why, cx),
        }
    }

    /// The chosen one turned out to be of no use here.
    pub(super) fn unfit(&mut self, why: &str, cx: &mut Context<'_>) -> Result<(), Why> {
        cx.out.push(Wish::StopJournal);
        cx.out.push(Wish::StopSnapshots);
        if let Some(restore) = self.restore()
            && let Some(making) = restore.making()
        {
            let number = making.manifest().number;
            restore.why = format!("the snapshot {number} of it does not fit: {why}");
            cx.out.push(Wish::Tell(Note::Unfit { number, why: why.to_owned() }));
        }
        self.try_next(cx)
    }

    /// Takes a record of the journal, if it is read for a snapshot's sake: false if not.
    pub(super) fn restore_takes(&mut self, offset: i64, record: Option<&JournalRecord>, cx: &mut Context<'_>) -> Result<bool, Why> {
        let Some(restore) = self.restore() else { return Ok(false) };
        let Some(making) = restore.making() else { return Ok(true) };
        if let Err(why) = making.take(offset, record, cx.rows) {
            return self.untaken(why, cx).map(|()| true);
        }
        self.read_rows(cx).map(|()| true)
    }

    /// A poll ended. If what was made is stored, it is read on from there, as from any store.
    pub(super) fn go_on_from_store(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        let Some(reading) = self.reading() else { return Ok(()) };
        let log = reading.log();
        let Some(restore) = reading.restore() else { return Ok(()) };
        restore.turned = false;
        let Some(making) = restore.making().filter(|making| making.is_stored()) else { return Ok(()) };
        let manifest = making.manifest();
        let made = Restored {
            snapshot: Some(manifest.number),
            since: manifest.since_offset(),
            rows: manifest.rows,
            bytes: manifest.bytes,
            ..Restored::default()
        };
        let versions = making.versions();
        let began = reading.made.map_or(cx.steady, |(_, began)| began);
        let mut restored = self.reading_of_store(log, cx)?;
        restored.made = Some((made, began));
        restored.replica.versions.extend(versions);
        restored.begin(cx);
        if let Some(reading) = self.reading() {
            *reading = restored;
        }
        Ok(())
    }

    /// Nothing of a snapshot is read any more.
    pub(super) fn stop_restore(&mut self, cx: &mut Context<'_>) {
        if matches!(self.stage, Stage::Replaying(_) | Stage::Following(_)) && self.restore().is_some() {
            cx.out.push(Wish::StopSnapshots);
        }
    }
}
