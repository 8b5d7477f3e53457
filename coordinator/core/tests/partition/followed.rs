//! A warm copy: what it takes, what it keeps from doing, and what a takeover goes on from.

use ringmaster_core::partition::{Happened, StageName, Wish};
use ringmaster_schemas::state::Checkpoint;

use super::line::{ALPHAS, Line};

/// Another instance that follows this one's journal, read to its end.
fn follower(owner: &Line) -> Line {
    let mut line = Line::idle(|settings| settings.owner = "the other".into());
    line.journal = owner.journal.clone();
    line.happens(Happened::Followed);
    bounds(&mut line);
    line.read_journal();
    let end = line.journal.len() as i64;
    // Of an earlier reading, which ended further on.
    line.happens(Happened::JournalRead { offset: end + 1 });
    assert!(!line.partition.is_warm());
    line.happens(Happened::JournalRead { offset: end });
    line
}

fn bounds(line: &mut Line) {
    assert!(line.wishes.contains(&Wish::AskJournal), "{:?}", line.wishes);
    line.wishes.retain(|wish| *wish != Wish::AskJournal);
    let (start, end) = (line.journal_start, line.journal.len() as i64);
    line.happens(Happened::JournalBounds { start, end });
}

/// The owner wrote more, and the follower reads it.
fn goes_on(owner: &Line, follower: &mut Line) {
    for offset in follower.journal.len()..owner.journal.len() {
        let value = owner.journal[offset].clone();
        follower.journal.push(value.clone());
        follower.happens(Happened::JournalRecord { offset: offset as i64, value: &value });
    }
}

/// What would be stored now.
fn checkpoint(line: &mut Line) -> Checkpoint {
    line.checkpoint();
    line.stored.clone().expect("something was stored")
}

#[test]
fn a_follower_knows_what_the_owner_knows_and_sends_nothing() {
    let mut owner = Line::owned();
    owner.start(ALPHAS, "a");
    let mut copy = follower(&owner);
    assert!(copy.partition.is_warm() && copy.partition.stage() == StageName::Following);
    for id in ["b", "c", "d"] {
        owner.start(ALPHAS, id);
        goes_on(&owner, &mut copy);
        let (stored, copied) = (checkpoint(&mut owner), checkpoint(&mut copy));
        assert_eq!(stored, copied, "{id}");
        assert_eq!(owner.rows, copy.rows, "{id}");
    }
    copy.poll();
    copy.happens(Happened::PollEndedInStop);
    let does = |wish: &Wish| !matches!(wish, Wish::ReadJournal(_) | Wish::StopJournal);
    assert!(!copy.wishes.iter().any(does) && copy.journal == owner.journal, "{:?}", copy.wishes);
    assert_eq!((copy.partition.term(), copy.partition.overlay_size().0), (None, 3 + 1), "rows that wait for an answer stay");
}

/// Its claim begins at the record before what it does not know: that one is the proof that this is its log.
#[test]
fn a_takeover_replays_only_what_came_since() {
    let mut owner = Line::owned();
    (0..50).for_each(|number| owner.start(ALPHAS, &format!("a{number}")));
    let mut copy = follower(&owner);
    owner.start(ALPHAS, "last");
    let known = copy.partition.journal_offset();
    copy.journal = owner.journal.clone();
    copy.wishes.clear();
    copy.claim();
    assert!(copy.wishes.contains(&Wish::StopJournal) && copy.wishes.contains(&Wish::ReadJournal(known - 1)), "{:?}", copy.wishes);
    let before = copy.counters.replayed;
    copy.read_journal();
    copy.answer(0);
    assert_eq!((copy.partition.stage(), copy.counters.replayed - before), (StageName::Owning, 1));
    let resent = copy.wishes.iter().filter(|wish| matches!(wish, Wish::Send(_))).count();
    assert!(resent > 0, "what the owner's records do not say to be delivered is sent again");
}

/// A claim before the proof was read, or before it is known what the journal holds, is as good as any.
#[test]
fn a_takeover_in_the_middle_of_beginning_is_as_good() {
    let mut owner = Line::owned();
    owner.start(ALPHAS, "a");
    for is_asked in [false, true] {
        let mut copy = Line::idle(|_| {});
        copy.journal = owner.journal.clone();
        copy.happens(Happened::Followed);
        if is_asked {
            bounds(&mut copy);
        }
        copy.wishes.clear();
        copy.own();
        assert_eq!((copy.partition.stage(), copy.stopped()), (StageName::Owning, None), "{is_asked}");
        assert_eq!(copy.partition.journal_offset(), copy.journal.len() as i64);
    }
}

/// What it read was lost by the broker, and other records are there now: neither its memory nor what it stored is believed.
#[test]
fn a_follower_of_what_was_lost_begins_anew() {
    let mut owner = Line::owned();
    owner.start(ALPHAS, "a");
    let kept = owner.journal.clone();
    owner.start(ALPHAS, "lost");
    let mut copy = follower(&owner);
    copy.checkpoint();
    // Another owner of the log without its tail, as long as before and longer.
    let mut other = Line::idle(|settings| settings.owner = "the third".into());
    other.journal = kept;
    other.own();
    (0..5).for_each(|number| other.start(ALPHAS, &format!("b{number}")));
    copy.journal = other.journal.clone();
    copy.wishes.clear();
    // The position is not in the log any more.
    copy.happens(Happened::Doubt);
    bounds(&mut copy);
    // What is given to it before it is read elsewhere is a gap.
    copy.read_journal();
    bounds(&mut copy);
    copy.read_journal();
    assert!(copy.wishes.contains(&Wish::ClearStore), "{:?}", copy.wishes);
    (copy.stored, owner.stored) = (None, None);
    assert_eq!(checkpoint(&mut copy), checkpoint(&mut other));
    assert_eq!(copy.rows, other.rows);
}

/// A record that was passed over is no doubt of a sender: others of the worker go on. It is read again.
#[test]
fn a_gap_is_read_again() {
    let mut owner = Line::owned();
    owner.start(ALPHAS, "a");
    let mut copy = follower(&owner);
    (0..3).for_each(|number| owner.start(ALPHAS, &format!("b{number}")));
    copy.wishes.clear();
    let offset = copy.journal.len() as i64 + 1;
    let value = owner.journal[offset as usize].clone();
    copy.happens(Happened::JournalRecord { offset, value: &value });
    assert!(!copy.wishes.iter().any(|wish| matches!(wish, Wish::Doubt(_))), "{:?}", copy.wishes);
    assert!(!copy.partition.is_warm());
    copy.journal = owner.journal.clone();
    bounds(&mut copy);
    copy.read_journal();
    assert_eq!(checkpoint(&mut copy), checkpoint(&mut owner));
}

/// What nobody waits for leaves its memory when it is stored, and what is too much of it too; what comes of them later is found there.
#[test]
fn what_is_stored_leaves_the_memory_of_a_follower() {
    let mut owner = Line::owned();
    (0..20).for_each(|number| owner.start(ALPHAS, &format!("a{number}")));
    let mut copy = Line::idle(|settings| settings.limits.memory_bytes_max = 4_096);
    copy.journal = owner.journal.clone();
    copy.happens(Happened::Followed);
    bounds(&mut copy);
    copy.read_journal();
    assert!(copy.partition.overlay_size().0 >= 20);
    copy.checkpoint();
    assert_eq!(copy.partition.overlay_size(), (0, 0));
    // Their replies never come: they are asked again.
    owner.pass(11_000);
    (0..5).for_each(|_| owner.look());
    goes_on(&owner, &mut copy);
    assert_eq!(checkpoint(&mut copy).digest, checkpoint(&mut owner).digest);
    assert_eq!(copy.rows, owner.rows);
}
