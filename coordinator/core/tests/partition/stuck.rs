//! What needs a person, and what fails by its definition's own mistake, is counted and told.

use ringmaster_core::partition::{Note, Wish};

use super::line::{ALPHAS, Line, REPLIES};

/// The undo of `trip` cannot be made, and neither can the event at the end of `end`.
const MISTAKEN: &str = "
saga: trip
start: { on: Asked, from: alphas, key: event.id }
steps:
  - { step: room, do: worker.Book, with: { id: key }, undo: { do: worker.Cancel, with: { each: 1 / size(start.none) } } }
  - { step: seat, do: worker.Seat, with: { each: 1 / size(start.none) }, undo: nothing }
---
saga: end
start: { on: Asked, from: betas, key: event.id }
steps:
  - { step: no, refuse: NO }
on_compensated: { emit: Ended, to: ends, with: { each: 1 / size(start.none) } }
";

impl Line {
    fn stuck(&self) -> (usize, u64, u64) {
        (self.partition.stuck_count(), self.counters.stuck, self.counters.errors)
    }

    fn begin(&mut self, index: usize, id: &str) {
        self.put(index, self.clocks.wall, Some(id), &format!(r#"{{"id":"{id}","none":[]}}"#));
        self.poll();
        self.acknowledge();
    }

    /// A participant answers the first attempt of a command; a failure is for good.
    pub(crate) fn reply_to(&mut self, key: &str, outcome: &str) {
        let reply =
            format!(r#"{{"meta":{{"idempotency_key":"{key}","attempt":1,"outcome":"{outcome}","code":"NO"}},"body":null}}"#);
        self.put(REPLIES, self.clocks.wall, None, &reply);
        self.poll();
        self.acknowledge();
    }

    fn mistakes(&self) -> Vec<String> {
        let told = self.wishes.iter().filter_map(|wish| match wish {
            Wish::Tell(Note::Mistaken { saga, step, code, .. }) => Some(format!("{saga} {step} {code}")),
            _ => None,
        });
        told.collect()
    }
}

/// One that is stuck stays counted when it leaves memory, over a restart with and without a store, and until it is settled.
#[test]
fn the_number_of_stuck_sagas_is_known_at_once() {
    let mut line = Line::owned();
    for id in ["one", "two", "three"] {
        line.start(ALPHAS, id);
    }
    line.acknowledge();
    for id in ["one", "two"] {
        line.reply(&format!("alpha/{id}"), 1, "failed", line.clocks.wall);
        line.acknowledge();
        for _ in 0..20 {
            line.pass(10_100);
            line.look();
        }
        line.acknowledge();
        line.reply_to(&format!("alpha/{id}/task/undo"), "refused");
    }
    assert_eq!(line.stuck(), (2, 2, 0), "a participant's no is no mistake of the definition");
    line.restart(|_| {});
    assert_eq!(line.partition.stuck_count(), 0, "nothing is known yet");
    line.own();
    assert_eq!(line.partition.stuck_count(), 2, "from the journal alone");
    line.checkpoint();
    assert_eq!(line.partition.stuck_count(), 2, "though the rows have left memory");
    line.restart(|_| {});
    line.own();
    assert_eq!(line.partition.stuck_count(), 2, "from the store");
    line.reply_to("alpha/one/task/undo", "succeeded");
    assert_eq!(line.partition.stuck_count(), 1, "it was undone after all");
    line.checkpoint();
    line.restart(|_| {});
    line.own();
    assert_eq!(line.partition.stuck_count(), 1);
}

#[test]
fn a_definition_that_fails_by_itself_is_told_with_the_saga() {
    let mut line = Line::of(MISTAKEN, |_| {});
    line.begin(ALPHAS, "t");
    line.reply_to("trip/t/room/do", "succeeded");
    // The second step's body cannot be made: all is undone; and then the undo's.
    assert_eq!(line.stuck(), (1, 1, 2));
    assert_eq!(line.mistakes(), ["trip/t seat DIVISION_BY_ZERO"]);
    line.begin(super::line::BETAS, "e");
    assert_eq!(line.stuck(), (2, 2, 3), "its end cannot be told");
    assert_eq!(line.mistakes().len(), 1, "what is stuck is told as that");
}
