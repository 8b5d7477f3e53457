//! What becomes known while a partition runs: inputs that are read from then on, and versions that it waits for.

use ringmaster_core::partition::{Happened, InputSettings, Note, StageName, StartAt, Wish};
use ringmaster_schemas::journal::{JournalRecord, Position};

use super::line::{ALPHAS, BETAS, Line, settings};

/// The topic of the betas, which is not known at first.
fn betas() -> InputSettings {
    settings().inputs.swap_remove(BETAS)
}

fn without_betas(change: impl FnOnce(&mut ringmaster_core::partition::Settings)) -> Line {
    Line::idle(|settings| {
        settings.inputs.pop();
        change(settings);
    })
}

fn learn(line: &mut Line, inputs: &[InputSettings]) {
    line.happens(Happened::Learned { inputs });
}

/// The positions that a record of the journal says.
fn positions(record: &[u8]) -> Vec<Position> {
    match JournalRecord::decode(record).expect("it is one") {
        JournalRecord::Positions(positions) => positions.positions,
        other => panic!("not a record of positions: {other:?}"),
    }
}

#[test]
fn a_new_input_is_journaled_and_read_behind_what_was_decided_before() {
    for start_at in [StartAt::Earliest, StartAt::Latest] {
        let mut line = without_betas(|_| {});
        line.own();
        // A turn is decided and in no record yet.
        line.put(ALPHAS, line.clocks.wall, Some("a"), r#"{"type":"Asked","id":"a"}"#);
        let before = line.journal.len();
        learn(&mut line, &[InputSettings { start_at, ..betas() }]);
        assert_eq!(line.journal.len(), before + 1, "what is open says of which inputs it is, and is closed");
        line.acknowledge();
        assert!(!line.wishes.iter().any(|wish| matches!(wish, Wish::ReadInput(BETAS, _))), "it is not known where it begins");
        line.happens(Happened::InputBounds { index: BETAS, start: 10, end: 30 });
        let first = if start_at == StartAt::Latest { 30 } else { 10 };
        let found = positions(line.journal.last().expect("it is journaled"));
        assert_eq!(found.iter().map(|position| (position.topic, position.next)).collect::<Vec<_>>(), [(betas().topic, first)]);
        line.acknowledge();
        assert!(line.wishes.contains(&Wish::ReadInput(BETAS, first)), "{:?}", line.wishes);
        line.next[BETAS] = first;
        line.start(BETAS, "b");
        assert_eq!(line.counters.started, 2);
        // Another process, which knows it from its start, goes on behind that.
        line.restart(|settings| settings.inputs.push(betas()));
        line.own();
        assert!(line.wishes.contains(&Wish::ReadInput(BETAS, first + 1)), "{:?}", line.wishes);
    }
}

/// Also whoever does not own the partition at that moment reads it when it does.
#[test]
fn a_new_input_is_read_whatever_the_partition_is_at() {
    let mut line = without_betas(|_| {});
    learn(&mut line, &[betas()]);
    line.own();
    assert!(line.wishes.contains(&Wish::ReadInput(BETAS, 0)), "known before the claim: {:?}", line.wishes);

    let mut line = without_betas(|_| {});
    line.claim();
    learn(&mut line, &[betas()]);
    line.read_journal();
    line.answer(0);
    line.acknowledge();
    assert!(line.wishes.contains(&Wish::ReadInput(BETAS, 0)), "known before the replay: {:?}", line.wishes);

    let mut line = without_betas(|_| {});
    line.own();
    line.start(ALPHAS, "a");
    line.happens(Happened::Doubt);
    learn(&mut line, &[betas()]);
    let end = line.journal.len() as i64;
    line.happens(Happened::JournalBounds { start: 0, end });
    line.wishes.clear();
    line.own();
    assert!(line.wishes.contains(&Wish::ReadInput(BETAS, 0)), "known in a doubt: {:?}", line.wishes);
}

/// A topic that was read once and was made again since needs a person; until then it is not read, and nothing else stands still for it.
#[test]
fn an_input_that_was_made_again_stops_nothing() {
    let mut line = Line::owned();
    line.start(BETAS, "b");
    line.restart(|settings| drop(settings.inputs.pop()));
    line.own();
    line.wishes.clear();
    learn(&mut line, &[InputSettings { topic: [77; 16], ..betas() }]);
    let said = line.wishes.iter().find_map(|wish| match wish {
        Wish::Tell(Note::Unread { why }) => Some(why.clone()),
        _ => None,
    });
    assert!(said.is_some_and(|why| why.contains("was deleted and made again") && why.contains("accept_new")), "{:?}", line.wishes);
    assert!(!line.wishes.iter().any(|wish| matches!(wish, Wish::AskInput(BETAS) | Wish::ReadInput(BETAS, _))));
    assert_eq!(line.stage(), StageName::Owning);
    // A beta waits for an answer in vain: its timer does not wait for what is not read.
    let retries = line.counters.retries;
    for _ in 0..10 {
        line.pass(2_000);
        line.look();
    }
    assert!(line.counters.retries > retries, "its timeout has come");
    line.start(ALPHAS, "a");
    assert_eq!(line.counters.started, 2);
}

/// A second process knows less than the one that it follows: it waits for what the topic of definitions has, and for nothing else.
#[test]
fn an_owner_waits_for_versions_that_are_to_come() {
    let begun = || {
        let mut line = Line::owned();
        line.start(ALPHAS, "a");
        line.start(BETAS, "b");
        line.restart(|_| {});
        let catalog = std::mem::take(&mut line.catalog);
        line.own_without_answers();
        assert_eq!(line.stage(), StageName::Waiting);
        assert!(line.wishes.contains(&Wish::AskDefinitions) && !line.wishes.contains(&Wish::Owned));
        (line, catalog)
    };
    // Both versions are there: it waits, says so once, and owns when they have come.
    let (mut line, catalog) = begun();
    line.happens(Happened::DefinitionsEnd { end: 2 });
    line.happens(Happened::DefinitionsEnd { end: 2 });
    let waits = |line: &Line| line.wishes.iter().filter(|wish| matches!(wish, Wish::Tell(Note::Waits { .. }))).count();
    assert_eq!((line.stage(), waits(&line)), (StageName::Waiting, 1));
    line.poll();
    learn(&mut line, &[]);
    assert_eq!(line.stage(), StageName::Waiting, "nothing has come yet");
    line.catalog = catalog;
    learn(&mut line, &[]);
    assert_eq!(line.stage(), StageName::Owning);
    assert!(line.wishes.contains(&Wish::Owned));

    // They come before it is known how far the topic reaches.
    let (mut line, catalog) = begun();
    line.catalog = catalog;
    learn(&mut line, &[]);
    assert_eq!(line.stage(), StageName::Owning);
    line.happens(Happened::DefinitionsEnd { end: 2 });
    assert_eq!(line.stage(), StageName::Owning);

    // The topic has lost them: waiting would be for ever. What meets a saga of theirs says so.
    let (mut line, _) = begun();
    line.happens(Happened::DefinitionsEnd { end: 0 });
    assert_eq!(line.stage(), StageName::Owning);
    assert_eq!(line.stopped(), None);

    // A doubt while it waits is a doubt like any other.
    let (mut line, catalog) = begun();
    line.happens(Happened::Doubt);
    assert_eq!(line.stage(), StageName::Idle);
    line.catalog = catalog;
    line.own();
    assert_eq!(line.stage(), StageName::Owning);
    line.reply("alpha/a", 1, "succeeded", line.clocks.wall);
    assert_eq!(line.counters.completed, 1);
}

/// What was replayed while it waits is written like all that is confirmed; whoever reads it has read the definitions before.
#[test]
fn what_waits_can_be_written() {
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    line.restart(|_| {});
    let catalog = std::mem::take(&mut line.catalog);
    line.own_without_answers();
    line.checkpoint();
    line.restart(|_| {});
    line.catalog = catalog;
    line.own();
    line.reply("alpha/a", 1, "succeeded", line.clocks.wall);
    assert_eq!((line.stage(), line.counters.completed), (StageName::Owning, 1));
}
