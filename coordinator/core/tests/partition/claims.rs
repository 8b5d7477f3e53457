//! Claims and what they begin from.

use ringmaster_core::partition::{Happened, Tag, Why, Wish};

use super::line::{ALPHAS, Line, without};

/// The log does not reach back to where replay must begin: what is stored may be the only copy, and stays.
#[test]
fn a_store_is_not_cleared_when_the_journal_cannot_be_replayed() {
    // Cut in front of the checkpoint's record, cut so that only the record before it is gone, and another log of that length.
    let spoil: [fn(&mut Line); 3] = [
        |line| line.journal_start = line.journal.len() as i64 + 1,
        |line| line.stored.as_mut().expect("stored").journal_offset += 10,
        |line| line.stored.as_mut().expect("stored").identity.number += 1,
    ];
    for (case, spoil) in spoil.into_iter().enumerate() {
        let mut line = Line::owned();
        line.start(ALPHAS, "a");
        line.checkpoint();
        line.restart(|_| {});
        line.journal_start = 1;
        spoil(&mut line);
        line.own();
        assert!(line.wishes.contains(&Wish::AskSnapshots), "{case}: {:?}", line.wishes);
        line.happens(Happened::SnapshotBounds { start: 0, end: 0 });
        assert!(matches!(line.stopped(), Some(Why::JournalCut { needed: 0, .. })), "{case}: {:?}", line.stopped());
        assert!(!line.wishes.contains(&Wish::ClearStore), "{case}: {:?}", line.wishes);
    }
}

/// A store that is damaged is made anew by the next start, whoever comes upon it: nothing is wrong with the journal, and nobody must decide.
#[test]
fn a_damaged_store_is_told_as_that_also_while_the_journal_is_replayed() {
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    line.checkpoint();
    line.reply("alpha/a", 1, "succeeded", line.clocks.wall);
    line.restart(|_| {});
    line.rows.values_mut().for_each(|row| row.truncate(row.len() - 1));
    line.own();
    assert!(matches!(line.stopped(), Some(Why::Store { .. })), "{:?}", line.stopped());
}

/// An owner that has nothing to write finds another's claim within seconds, and stops by its name; its own records are no cause.
#[test]
fn an_idle_owner_notices_a_foreign_claim() {
    for foreign in [true, false] {
        let mut line = Line::owned();
        line.start(ALPHAS, "a");
        let mut other = Line::idle(|settings| settings.owner = "the other".into());
        other.happens(Happened::Claimed { id: [0xee; 16], sender: 9 });
        if foreign {
            line.journal.extend(other.journal);
        }
        line.pass(2_500);
        line.wishes.clear();
        line.poll();
        assert!(line.wishes.contains(&Wish::AskJournal), "{:?}", line.wishes);
        let end = line.journal.len() as i64;
        line.happens(Happened::JournalBounds { start: 0, end });
        let doubts = line.wishes.iter().any(|wish| matches!(wish, Wish::Doubt(_)));
        assert_eq!(doubts, foreign);
        if foreign {
            line.happens(Happened::Doubt);
            line.happens(Happened::JournalBounds { start: 0, end });
            line.read_journal();
            assert!(matches!(line.stopped(), Some(Why::Fenced { owner, .. }) if owner == "the other"), "{:?}", line.stopped());
        }
    }
}

/// With the whole log there, a store that is not of it goes, and everything is replayed.
#[test]
fn a_store_of_another_log_is_cleared() {
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    line.checkpoint();
    line.stored.as_mut().expect("stored").identity.number += 1;
    line.restart(|_| {});
    line.own();
    assert!(line.wishes.contains(&Wish::ClearStore), "{:?}", line.wishes);
    assert!(line.partition.term().is_some());
}

/// What somebody else wrote into the journal is void, and what follows it counts: the owner's next records are where it expects them.
#[test]
fn foreign_records_in_the_journal_are_passed() {
    for foreign in [&b""[..], b"hello", b"\x00\x01"] {
        let mut line = Line::owned();
        line.start(ALPHAS, "a");
        line.look();
        line.journal.push(foreign.to_vec());
        line.restart(|_| {});
        line.own();
        assert_eq!((line.stopped(), line.partition.journal_offset()), (None, line.journal.len() as i64), "{foreign:?}");
        line.start(ALPHAS, "b");
        line.look();
        assert_eq!((line.stopped(), line.partition.journal_offset()), (None, line.journal.len() as i64), "{foreign:?}");
    }
}

/// An owner in doubt looks through the journal for others' claims. What it asked may be lost with another doubt: it asks again, once
/// for each, and is ready when the answers are there.
#[test]
fn a_scan_in_doubt_asks_again() {
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    let end = line.journal.len() as i64;
    for _ in 0..3 {
        line.wishes.clear();
        line.happens(Happened::Doubt);
        let asked = |wish: &Wish| line.wishes.iter().filter(|other| *other == wish).count();
        assert_eq!((asked(&Wish::ReadJournal(end)), asked(&Wish::AskJournal)), (1, 1), "{:?}", line.wishes);
        assert!(!line.wishes.contains(&Wish::Ready));
    }
    line.happens(Happened::JournalBounds { start: 0, end });
    assert!(line.wishes.contains(&Wish::Ready), "{:?}", line.wishes);
}

/// Records that are gone are not waited for; what their loss means is judged by the replay of the next claim.
#[test]
fn a_scan_goes_on_behind_what_is_gone() {
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    let end = line.journal.len() as i64;
    line.happens(Happened::Doubt);
    line.wishes.clear();
    line.happens(Happened::JournalBounds { start: end + 1, end: end + 2 });
    assert_eq!(line.wishes, [Wish::ReadJournal(end + 1)]);
    line.happens(Happened::JournalRecord { offset: end + 1, value: b"" });
    assert!(line.wishes.contains(&Wish::Ready), "{:?}", line.wishes);
}

/// A record that does not follow on what was replayed is a doubt, and is not taken; one that was replayed before is passed over.
#[test]
fn replay_takes_one_record_after_the_other() {
    let mut line = Line::owned();
    ["a", "b"].into_iter().for_each(|id| line.start(ALPHAS, id));
    line.restart(|_| {});
    line.claim();
    for (offset, next, doubts) in [(0, 1, 0), (0, 1, 0), (2, 1, 1), (1, 2, 1), (0, 2, 1)] {
        let value = line.journal[offset].clone();
        line.happens(Happened::JournalRecord { offset: offset as i64, value: &value });
        let told = line.wishes.iter().filter(|wish| matches!(wish, Wish::Doubt(_))).count();
        assert_eq!((line.partition.journal_offset(), told), (next, doubts), "record {offset}");
    }
}

/// An owner's journal is written, and read no more.
#[test]
fn an_owner_stops_reading_its_journal() {
    let mut line = Line::idle(|_| {});
    line.claim();
    assert!(!line.wishes.contains(&Wish::StopJournal));
    line.read_journal();
    assert!(line.partition.term().is_some() && line.wishes.contains(&Wish::StopJournal), "{:?}", line.wishes);
    // One that was on its way is not looked at, whatever it is.
    line.wishes.clear();
    line.happens(Happened::JournalRecord { offset: 1, value: &[2, 0xff] });
    assert_eq!((line.stopped(), &line.wishes[..]), (None, &[][..]));
}

/// Whoever claims reads the journal for it; in doubt it stops, and claims again.
#[test]
fn a_claim_in_doubt_stops_reading() {
    for is_replaying in [false, true] {
        let mut line = Line::owned();
        line.start(ALPHAS, "a");
        line.restart(|_| {});
        match is_replaying {
            true => line.claim(),
            false => line.happens(Happened::Claimed { id: [7; 16], sender: 7 }),
        }
        line.wishes.clear();
        line.happens(Happened::Doubt);
        assert_eq!(line.wishes, [Wish::StopJournal, Wish::Ready], "replaying: {is_replaying}");
    }
}

/// Rule 2: the offset of a claim is the term's name. One that the broker did not tell is not guessed.
#[test]
fn a_claim_without_an_offset_is_in_doubt() {
    let claimed = || {
        let mut line = Line::idle(|_| {});
        line.happens(Happened::Claimed { id: [1; 16], sender: 1 });
        line.happens(Happened::Acknowledged { sender: 1, tag: Tag::Claim, offset: None });
        line.wishes
    };
    let wishes = claimed();
    assert!(matches!(wishes[..], [Wish::Doubt(_)]), "{wishes:?}");
    without("claim_offset_guessed", || assert!(claimed().contains(&Wish::AskJournal), "without the rule it goes on"));
}

/// Rule 2: owner only if the claim at that offset is its own. The log may have lost it, and have another's in its place.
#[test]
fn a_claim_whose_place_is_anothers_is_in_doubt() {
    let owned = || {
        let mut line = Line::owned();
        line.start(ALPHAS, "a");
        line.restart(|_| {});
        line.claim();
        let mut other = Line::idle(|settings| settings.owner = "the other".into());
        other.happens(Happened::Claimed { id: [0xee; 16], sender: 9 });
        *line.journal.last_mut().expect("the claim") = other.journal.remove(0);
        line.wishes.push(Wish::ReadJournal(0));
        line.read_journal();
        (line.partition.term().is_some(), line.wishes.iter().any(|wish| matches!(wish, Wish::Doubt(_))))
    };
    assert_eq!(owned(), (false, true));
    without("replay_past_claim_unverified", || assert_eq!(owned(), (true, false), "without the rule it owns what is not its own"));
}
