//! What is told of sagas that are traced: once it counts, of those that were chosen, and of those that were undone.

use ringmaster_core::partition::{Tag, TracedWhat, Wish};
use ringmaster_core::saga::{Tracing, attempt_span, given};

use super::line::{ALPHAS, DEFINITIONS, Line};

fn line(ratio: f64) -> Line {
    Line::of(DEFINITIONS, |settings| settings.tracing = Some(Tracing::new("test", ratio)))
}

/// What was told since the last time: offset, saga, and whether it ended.
fn told(line: &mut Line) -> Vec<(i64, String, bool)> {
    let traced = line.partition.take_traced();
    let ended = |what: &TracedWhat| matches!(what, TracedWhat::Ended { .. });
    traced.iter().map(|traced| (traced.offset, traced.saga.to_string(), ended(&traced.what))).collect()
}

#[test]
fn a_saga_is_told_of_when_it_counts_that_it_began_and_ended() {
    let mut line = line(1.0);
    assert_eq!(told(&mut line), []);
    line.start_unacknowledged(ALPHAS, "one");
    assert_eq!(told(&mut line), [], "it does not count yet");
    line.acknowledge();
    let first = line.journal.len() as i64 - 1;
    assert_eq!(told(&mut line), [(first, "alpha/one".to_owned(), false)]);
    line.reply("alpha/one", 1, "succeeded", line.clocks.wall);
    line.acknowledge();
    let last = line.journal.len() as i64 - 1;
    let traced = line.partition.take_traced();
    let TracedWhat::Ended { turns, spans } = &traced[0].what else { panic!("it ended: {traced:?}") };
    assert_eq!((traced.len(), traced[0].offset, turns.told().0), (1, last, vec![first, last]), "by all its records");
    assert_eq!(*spans, 3, "itself, its step, an attempt");
    // Whoever reads it from the journal is not told: the tracer looks there itself.
    line.restart(|_| {});
    line.own();
    assert_eq!(told(&mut line), []);
}

#[test]
fn of_those_that_were_not_chosen_what_was_undone_is_told() {
    let mut line = line(0.0);
    for (id, outcome) in [("one", "succeeded"), ("two", "refused")] {
        line.start(ALPHAS, id);
        line.reply(&format!("alpha/{id}"), 1, outcome, line.clocks.wall);
        line.acknowledge();
    }
    let last = line.journal.len() as i64 - 1;
    assert_eq!(told(&mut line), [(last, "alpha/two".to_owned(), true)]);
}

/// The participant goes on in the span of the attempt, which is known before anything else is of it.
#[test]
fn a_command_names_its_attempt() {
    for (ratio, is_traced) in [(1.0, true), (0.0, false)] {
        let mut line = line(ratio);
        line.wishes.clear();
        line.start(ALPHAS, "one");
        line.acknowledge();
        let sent = |wish: &Wish| if let Wish::Send(tag) = wish { Some(*tag) } else { None };
        let tag: Tag = line.wishes.iter().find_map(sent).expect("a command");
        let value = String::from_utf8_lossy(line.partition.effect(tag).expect("it is there").value()).into_owned();
        let named = value.split('"').find(|text| text.starts_with("00-")).and_then(given);
        assert_eq!(named.is_some(), is_traced, "{value}");
        if let Some((trace, span)) = named {
            assert_eq!(span, attempt_span(&trace, "alpha/one/task/do", 1));
        }
    }
}
