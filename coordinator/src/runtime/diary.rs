//! The log lines of sagas and records: each names its saga, and a flood of them is counted instead of written.

use ringmaster_core::partition::Note;
use ringmaster_schemas::Millis;

/// Lines a second and worker: more help nobody, and cost more than what they tell of.
const LINES_PER_SECOND_MAX: u32 = 100;

/// Writes notes to the log, at a bounded rate.
#[derive(Debug, Default)]
pub(super) struct Diary {
    second: Millis,
    written: u32,
    passed_over: u64,
}

impl Diary {
    /// Writes a note of a partition, unless this second is full.
    pub(super) fn tell(&mut self, partition: i32, note: Note, now: Millis) {
        // One saga in ten may undo on a normal day: that is for debugging only, and must not fill the second.
        if matches!(note, Note::Compensating { .. }) && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        if now / 1000 != self.second {
            if self.passed_over > 0 {
                tracing::warn!(count = self.passed_over, "notes on sagas and records were passed over: too many in a second");
            }
            (self.second, self.written, self.passed_over) = (now / 1000, 0, 0);
        }
        if self.written >= LINES_PER_SECOND_MAX {
            self.passed_over += 1;
            return;
        }
        self.written += 1;
        write(partition, note);
    }
}

fn write(partition: i32, note: Note) {
    match note {
        Note::Stuck { saga, step, code, message } => {
            tracing::warn!(
                partition,
                saga = &*saga,
                step = &*step,
                code = &*code,
                message = &*message,
                "stuck: a person is needed"
            );
        }
        Note::Compensating { saga, step, code } => {
            tracing::debug!(partition, saga = &*saga, step = &*step, code = &*code, "undoing");
        }
        Note::Rejected { saga, reason, detail } => {
            tracing::info!(partition, saga = &*saga, reason = reason.as_str(), detail = &*detail, "input rejected");
        }
        Note::Foreign { offset } => {
            tracing::error!(
                partition,
                offset,
                "a record of the journal is not of this project, and is passed over: who writes there?"
            );
        }
        Note::Quarantined { reason, detail, topic, offset } => {
            tracing::warn!(partition, topic = &*topic, offset, reason = reason.as_str(), detail = &*detail, "record quarantined");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_instead_of_written() {
        let mut diary = Diary::default();
        let note = || Note::Stuck { saga: "s/1".into(), step: "a".into(), code: "X".into(), message: "y".into() };
        for _ in 0..250 {
            diary.tell(0, note(), 5_000);
        }
        assert_eq!((diary.written, diary.passed_over), (100, 150));
        diary.tell(0, note(), 6_000);
        assert_eq!((diary.written, diary.passed_over), (1, 0));
    }
}
