//! The log lines of sagas and records: each names its saga, and a flood of them is counted instead of written.

use ringmaster_core::partition::{Note, Restored};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::BreakerEvent;

/// Lines a second and worker: more help nobody, and cost more than what they tell of.
const LINES_PER_SECOND_MAX: u32 = 100;

/// What comes again within this time has not ended.
const HELD_AT_LEAST_MS: Millis = 10_000;

/// Writes notes to the log, at a bounded rate.
#[derive(Debug, Default)]
pub(super) struct Diary {
    second: Millis,
    written: u32,
    passed_over: u64,
    /// Since when there was no room for new sagas, and when that was seen last.
    held: Option<(Millis, Millis)>,
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

    /// Says that so many partitions hold inputs, when it begins and when it has ended: under load they come and go.
    pub(super) fn holding(&mut self, partitions: usize, now: Millis) {
        match &mut self.held {
            Some((_, last)) if partitions > 0 => *last = now,
            None if partitions > 0 => {
                self.held = Some((now, now));
                tracing::warn!(
                    partitions,
                    "there is no room for new sagas: events wait in their topics, and what was begun goes on; \
                     ringmaster_partition_held and limits.in_flight_max, limits.memory tell more"
                );
            }
            Some((since, last)) if now - *last >= HELD_AT_LEAST_MS => {
                tracing::info!(after_s = (*last - *since) / 1000, "there is room for new sagas again");
                self.held = None;
            }
            Some(_) | None => {}
        }
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
        Note::Mistaken { saga, step, code, message } => {
            tracing::warn!(
                partition,
                saga = &*saga,
                step = &*step,
                code = &*code,
                message = &*message,
                "failed by its definition's own mistake, and undoes: mend the definition and deploy it"
            );
        }
        Note::Rejected { saga, reason, detail } => {
            tracing::info!(partition, saga = &*saga, reason = reason.as_str(), detail = &*detail, "input rejected");
        }
        Note::Breaker { participant, event } => breaker(partition, &participant, &event),
        Note::Gap { topic, partition: source, offset } => {
            tracing::error!(
                partition,
                topic = &*topic,
                source,
                offset,
                "a record of the inbox is not taken, since what was routed before it is missing there: it comes again when its router begins anew"
            );
        }
        Note::Unrouted { topic, why } => {
            tracing::warn!(partition, topic = &*topic, why = &*why, "the inbox did not take what is routed: it is sent again");
        }
        Note::Waits { offset } => {
            tracing::info!(
                partition,
                definition_offset = offset,
                "sagas run by a version that was deployed behind what is known here: it is waited for, and owned then"
            );
        }
        Note::Unread { why } => {
            tracing::error!(partition, why, "an input that a new definition starts on is not read: nothing starts there");
        }
        Note::Foreign { offset } => {
            tracing::error!(
                partition,
                offset,
                "a record of the journal is not of this project, and is passed over: who writes there?"
            );
        }
        Note::Restored(restored) => made_anew(partition, restored),
        Note::Unfit { number, why } => {
            tracing::warn!(partition, snapshot = number, why, "a snapshot is of no use here, the one before it is tried");
        }
        Note::Quarantined { reason, detail, topic, offset } => {
            tracing::warn!(partition, topic = &*topic, offset, reason = reason.as_str(), detail = &*detail, "record quarantined");
        }
    }
}

fn made_anew(partition: i32, Restored { snapshot, since, until, rows, bytes, took_ms }: Restored) {
    match snapshot {
        Some(snapshot) => {
            tracing::info!(partition, snapshot, since, until, rows, bytes, took_ms, "restored from a snapshot and the journal");
        }
        None => tracing::info!(partition, until, took_ms, "made of the journal alone"),
    }
}

fn breaker(partition: i32, participant: &str, event: &BreakerEvent) {
    match event {
        BreakerEvent::Opened { by: None, why } => tracing::warn!(
            partition,
            participant,
            why = &**why,
            "a participant is asked no more: what would be asked is parked, and now and then one command goes out as a probe"
        ),
        BreakerEvent::Opened { by: Some(by), why } => {
            tracing::warn!(
                partition,
                participant,
                by = &**by,
                why = &**why,
                "a participant is paused: what would be asked is parked"
            );
        }
        BreakerEvent::Draining { by, why } => {
            let by = by.as_deref().unwrap_or("itself");
            tracing::info!(partition, participant, by, why = &**why, "a participant is asked again, little by little");
        }
        BreakerEvent::Closed { why } => {
            tracing::info!(partition, participant, why = &**why, "a participant is asked as usual");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_is_said_once() {
        let mut diary = Diary::default();
        for (now, partitions, held) in [
            (1_000, 0, None),
            (2_000, 3, Some((2_000, 2_000))),
            (3_000, 0, Some((2_000, 2_000))),
            (11_999, 1, Some((2_000, 11_999))),
            (21_998, 0, Some((2_000, 11_999))),
            (21_999, 0, None),
            (22_000, 1, Some((22_000, 22_000))),
        ] {
            diary.holding(partitions, now);
            assert_eq!(diary.held, held, "at {now}");
        }
    }

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
