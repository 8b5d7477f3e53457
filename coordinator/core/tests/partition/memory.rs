//! What stays in memory when it is stored.

use ringmaster_core::partition::{Limits, Replica};
use ringmaster_schemas::journal::SagaEvent;

use super::line::{ALPHAS, Line, REPLIES, settings};

/// A saga that waits for an answer or a time stays; one that ended, or needs a person, is found in the store when it is asked for.
#[test]
fn what_waits_for_nothing_leaves_memory_at_the_checkpoint() {
    let mut line = Line::owned();
    line.start(ALPHAS, "waits");
    line.start(ALPHAS, "ends");
    line.acknowledge();
    line.checkpoint();
    assert_eq!(line.partition.overlay_size().0, 2);
    line.reply("alpha/ends", 1, "succeeded", line.clocks.wall);
    line.acknowledge();
    assert_eq!((line.counters.started, line.counters.completed), (2, 1));
    assert_eq!(line.partition.overlay_size().0, 2, "what is not stored stays");
    line.checkpoint();
    assert_eq!(line.partition.overlay_size().0, 1, "it ended");

    let undoes = |line: &Line| line.timed_events().iter().any(|(_, event)| matches!(event, SagaEvent::UndoIssued { .. }));
    for _ in 0..20 {
        if undoes(&line) {
            break;
        }
        line.pass(10_100);
        line.look();
    }
    assert!(undoes(&line), "its time is over");
    let refused = r#"{"meta":{"idempotency_key":"alpha/waits/task/undo","attempt":1,"outcome":"refused","code":"NO","message":null,"retryable":false},"body":null}"#;
    line.put(REPLIES, line.clocks.wall, None, refused);
    line.poll();
    line.acknowledge();
    line.checkpoint();
    assert_eq!(line.partition.overlay_size().0, 0, "it needs a person");
}

/// A checkpoint is of records; where there is none, or none that is new, there is nothing to write.
#[test]
fn a_journal_that_has_not_moved_makes_no_checkpoint() {
    assert!(Replica::new(settings().into()).stage().is_none());
    let mut line = Line::owned();
    for id in ["one", "two"] {
        line.start(ALPHAS, id);
        line.checkpoint();
        assert!(line.partition.stage_checkpoint().is_none());
    }
}

/// Looking at what is stored reads it into memory, and writes nothing: at the bound that leaves again, without a checkpoint.
#[test]
fn what_was_only_looked_at_leaves_memory() {
    const SAGAS: usize = 2_000;
    let bound = Limits::MEMORY_BYTES_MIN;
    let mut line = Line::idle(|settings| settings.limits.memory_bytes_max = bound);
    line.own();
    for number in 0..SAGAS {
        line.start(ALPHAS, &number.to_string());
        line.reply(&format!("alpha/{number}"), 1, "succeeded", line.clocks.wall);
        line.deliver();
        line.checkpoint();
    }
    assert_eq!((line.counters.completed, line.partition.overlay_size()), (SAGAS as u64, (0, 0)));
    let mut most = 0;
    for number in 0..SAGAS {
        line.start(ALPHAS, &number.to_string());
        line.deliver();
        most = most.max(line.partition.overlay_size().1);
    }
    assert_eq!(line.rejected().len(), SAGAS, "each began before");
    assert!(most > bound / 8 * 3 && most < bound, "{most}");
}
