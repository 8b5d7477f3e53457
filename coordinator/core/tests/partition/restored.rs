//! States that are made of a snapshot and what is left of the journal.

use ringmaster_core::partition::{Happened, Role, Snapshots, StageName, Stream, Why, Wish, is_in_snapshot};
use ringmaster_schemas::snapshot::{Manifest, Piece, SnapshotRecord, SnapshotRow};
use ringmaster_schemas::state::{Checkpoint, RowKey, Saga};

use super::line::{ALPHAS, BEGIN, BETAS, Line, without};

/// One saga works, another waits for an event, and events come before what they are for.
const TRIPS: &str = "
saga: trip
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
steps:
  - { step: hold, do: worker.Hold, undo: worker.Drop, with: { id: key }, timeout: 1h, within: 5h }
  - { step: paid, wait: Paid, from: betas, key: event.trip, within: 20h, keep: 30h }
";

fn trips() -> Line {
    Line::of(TRIPS, |settings| settings.inputs[BETAS].role = Role::Events { type_field: "type".into(), default_type: None })
}

fn begins(line: &mut Line, id: &str) {
    line.put(ALPHAS, line.clocks.wall, Some(id), &format!(r#"{{"type":"Asked","id":"{id}"}}"#));
    line.look();
}

fn paid(line: &mut Line, id: &str) {
    line.put(BETAS, line.clocks.wall, None, &format!(r#"{{"type":"Paid","trip":"{id}"}}"#));
    line.look();
}

fn held(line: &mut Line, id: &str) {
    line.reply_to(&format!("trip/{id}/hold/do"), "succeeded");
}

/// What a partition's topic of snapshots holds.
#[derive(Default)]
struct Topic(Vec<Vec<u8>>);

impl Topic {
    /// A snapshot of all that is stored, in small pieces.
    fn take(&mut self, line: &mut Line, number: i64, since: Option<Checkpoint>) -> Checkpoint {
        line.checkpoint();
        let until = line.stored.clone().expect("it was stored");
        let (id, first) = ([number as u8; 16], self.0.len() as i64);
        let (mut bytes, mut rows, mut stream) = (Vec::new(), 0, Stream::default());
        for (key, row) in &line.rows {
            let is_in = match key {
                RowKey::Saga(id) => is_in_snapshot(&Saga::decode(id, row).expect("a row"), since.as_ref(), until.expired_bucket),
                RowKey::Outbox(..) | RowKey::Breaker(_) => true,
                RowKey::Counts => false,
            };
            if is_in {
                SnapshotRow::new(key, row).put_framed(&mut bytes);
                rows += 1;
            }
        }
        for (index, bytes) in (0..).zip(bytes.chunks(50)) {
            let piece = Piece { id, index, bytes: bytes.to_vec().into() };
            stream.add(&piece);
            self.0.push(SnapshotRecord::Piece(piece).encode());
        }
        self.0.push(
            SnapshotRecord::Manifest(Box::new(Manifest {
                id,
                number,
                journal: [9; 16],
                since,
                until: until.clone(),
                first,
                pieces: stream.pieces,
                rows,
                bytes: stream.bytes,
                hash: stream.hash(),
                taken_at: BEGIN,
                owner: "test".into(),
            }))
            .encode(),
        );
        until
    }

    fn read(&self) -> Snapshots {
        let mut snapshots = Snapshots::default();
        self.0.iter().for_each(|record| snapshots.take(record));
        snapshots
    }
}

/// The disk is lost, and the journal up to `start`: what is asked for is given, until nothing more is.
fn restores(line: &mut Line, start: i64, topic: &Topic) {
    (line.stored, line.journal_start) = (None, start);
    line.rows.clear();
    line.restart(|_| {});
    line.claim();
    let end = topic.0.len() as i64;
    for _ in 0..100 {
        line.happens(Happened::PollEnded);
        if line.partition.wants_checkpoint() || line.partition.dirty_count() > 1 {
            line.checkpoint();
        }
        let wanted = |wish: &Wish| matches!(wish, Wish::AskSnapshots | Wish::ReadSnapshots(_) | Wish::ReadJournal(_));
        let Some(place) = line.wishes.iter().position(wanted) else { continue };
        match line.wishes.remove(place) {
            Wish::AskSnapshots => line.happens(Happened::SnapshotBounds { start: 0, end }),
            Wish::ReadSnapshots(from) => {
                for offset in from..end {
                    line.happens(Happened::SnapshotRecord { offset, value: &topic.0[offset as usize] });
                    if line.partition.dirty_count() > 1 {
                        line.checkpoint();
                    }
                }
                line.happens(Happened::SnapshotsRead { offset: end });
            }
            Wish::ReadJournal(from) => {
                assert!(from >= start, "what is deleted is not asked for");
                for offset in from..line.journal.len() as i64 {
                    let value = line.journal[offset as usize].clone();
                    line.happens(Happened::JournalRecord { offset, value: &value });
                }
            }
            _ => unreachable!("it was looked for"),
        }
    }
    line.answer(0);
    line.acknowledge();
    if let Some(staged) = line.partition.stage_checkpoint() {
        line.store(staged);
    }
}

/// Sagas that begin before and behind each snapshot, end, expire, and wait for a start; what is true then.
fn story(topic: &mut Topic) -> (Line, Vec<Checkpoint>) {
    let mut line = trips();
    let mut taken = Vec::new();
    for turn in 0..4 {
        let id = |name: &str| format!("{name}{turn}");
        begins(&mut line, &id("works"));
        begins(&mut line, &id("waits"));
        held(&mut line, &id("waits"));
        paid(&mut line, &id("early"));
        begins(&mut line, &id("ends"));
        held(&mut line, &id("ends"));
        paid(&mut line, &id("ends"));
        if turn > 0 {
            // What began before the last snapshot goes on, and what waited for its start has it.
            held(&mut line, &format!("works{}", turn - 1));
            begins(&mut line, &format!("early{}", turn - 1));
        }
        line.pass(90 * 60_000);
        line.look();
        if turn < 3 {
            let since = taken.last().cloned();
            taken.push(topic.take(&mut line, turn + 1, since));
        }
    }
    line.checkpoint();
    (line, taken)
}

#[test]
fn a_lost_disk_is_made_of_a_snapshot_and_what_is_left_of_the_journal() {
    let mut topic = Topic::default();
    let (mut line, taken) = story(&mut topic);
    let (rows, before) = (line.rows.clone(), line.stored.clone().expect("stored"));
    assert!(rows.len() > 6 && before.expired_bucket > 0, "much is there, and something has expired: {}", rows.len());
    restores(&mut line, taken[1].journal_offset, &topic);
    assert_eq!((line.stopped(), line.stage()), (None, StageName::Owning));
    let restored = line.partition.restored().expect("it was made anew");
    assert_eq!((restored.snapshot, restored.since), (Some(3), taken[1].journal_offset));
    assert!(restored.rows > 3 && restored.bytes > 100, "{restored:?}");
    let sagas = |rows: &std::collections::BTreeMap<RowKey, Vec<u8>>| -> Vec<String> {
        rows.iter().filter(|(key, _)| matches!(key, RowKey::Saga(_))).map(|(key, row)| format!("{key} {row:?}")).collect()
    };
    let visible: Vec<String> = sagas(&line.rows);
    // Rows that are expired may lie about in a store; a state that is made anew has none.
    assert!(visible.iter().all(|row| sagas(&rows).contains(row)), "{visible:#?}");
    assert_eq!(line.stored.as_ref().expect("stored").digest, before.digest);
    assert!(line.stored.as_ref().expect("stored").positions == before.positions);
}

/// Snapshots of rows that an earlier build stored, of which the journal says more turns than they do, are of the same state.
#[test]
fn a_snapshot_of_rows_without_turns_is_restored() {
    let (mut topic, mut line, mut taken) = (Topic::default(), trips(), Vec::new());
    for turn in 0..3 {
        begins(&mut line, &format!("a{turn}"));
        begins(&mut line, &format!("b{turn}"));
        held(&mut line, &format!("b{turn}"));
        line.checkpoint();
        assert!(line.strip_turns() > 0, "they had turns");
        line.restart(|_| {});
        line.own();
        held(&mut line, &format!("a{turn}"));
        // Of some both are known, of some the first turns are not, of some none.
        begins(&mut line, &format!("c{turn}"));
        let since = taken.last().cloned();
        taken.push(topic.take(&mut line, turn + 1, since));
    }
    let before = line.stored.clone().expect("stored");
    restores(&mut line, taken[1].journal_offset, &topic);
    assert_eq!((line.stopped(), line.stage()), (None, StageName::Owning));
    assert_eq!(line.partition.restored().and_then(|made| made.snapshot), Some(3));
    assert_eq!(line.stored.as_ref().expect("stored").digest, before.digest);
    // What is in no row of the snapshot is as the journal says.
    let last = line.last_turn("trip/c2");
    assert!(last < line.journal.len() as i64 && last >= taken[1].journal_offset, "{last}");
}

/// It must be the state that it was taken of, to the last bit; what was stored stays until one is found that is whole.
#[test]
fn what_does_not_fit_is_not_used() {
    type Spoil = fn(&mut Topic);
    let spoil: [(&str, Spoil); 5] = [
        ("a bit of its last piece", |topic| *topic.0.iter_mut().rev().nth(1).expect("a piece").last_mut().expect("a byte") ^= 1),
        ("a piece is missing", |topic| drop(topic.0.remove(topic.0.len() - 2))),
        ("no manifest", |topic| drop(topic.0.pop())),
        ("of another journal", |topic| change_last(topic, |manifest| manifest.journal = [8; 16])),
        ("of a state that never was", |topic| change_last(topic, |manifest| manifest.until.identity.number += 1)),
    ];
    for (case, spoil) in spoil {
        let mut topic = Topic::default();
        let (mut line, taken) = story(&mut topic);
        let digest = line.stored.clone().expect("stored").digest;
        spoil(&mut topic);
        restores(&mut line, taken[0].journal_offset, &topic);
        assert_eq!((line.stopped(), line.stage()), (None, StageName::Owning), "{case}");
        assert_eq!(line.partition.restored().and_then(|made| made.snapshot), Some(2), "{case}: the one before it is used");
        assert_eq!(line.stored.clone().expect("stored").digest, digest, "{case}");
        // Where the journal does not reach back so far, there is none.
        restores(&mut line, taken[1].journal_offset, &topic);
        assert!(matches!(line.stopped(), Some(Why::JournalCut { .. })), "{case}: {:?}", line.stopped());
        let tried = case == "of a state that never was";
        assert!(!line.wishes.contains(&Wish::ClearStore), "{case}: nothing is cleared in vain");
        assert_eq!(line.stopped().expect("it stopped").to_string().contains("the snapshot 3 of it does not fit"), tried, "{case}");
    }
}

fn change_last(topic: &mut Topic, change: impl FnOnce(&mut Manifest)) {
    let SnapshotRecord::Manifest(mut manifest) = SnapshotRecord::decode(&topic.0.pop().expect("a record")).expect("it is ours")
    else {
        panic!("the last is a manifest")
    };
    change(&mut manifest);
    topic.0.push(SnapshotRecord::Manifest(manifest).encode());
}

/// Rows that are made of the journal name their turns like those that are not.
#[test]
fn rows_that_are_made_anew_name_their_turns() {
    let attack = || {
        let (mut topic, mut line, mut taken) = (Topic::default(), trips(), Vec::new());
        for turn in 0..3 {
            begins(&mut line, &format!("a{turn}"));
            held(&mut line, &format!("a{turn}"));
            let since = taken.last().cloned();
            taken.push(topic.take(&mut line, turn + 1, since));
            // What begins at the moment of a snapshot may be in it.
            line.pass(1_000);
        }
        let before = line.rows.clone();
        restores(&mut line, taken[1].journal_offset, &topic);
        assert_eq!((line.stopped(), line.stage()), (None, StageName::Owning));
        let restored = |id: &str| {
            let key = RowKey::saga(&format!("trip/{id}"));
            (line.rows[&key].clone(), before[&key].clone())
        };
        ["a1", "a2"].map(restored)
    };
    let [old, new] = attack();
    assert!(old.0 == old.1 && new.0 == new.1, "the same bytes");
    without("turn_forgotten_in_restore", || {
        let [old, new] = attack();
        assert!(old.0 == old.1, "it is in the snapshot");
        assert_ne!(new.0, new.1, "it is made of the journal");
    });
}

/// Whatever waits for its start tells no time: without it the state is another one, and is refused.
#[test]
fn what_waits_for_its_start_is_in_every_snapshot() {
    without("snapshot_without_what_waits", || {
        let mut topic = Topic::default();
        let (mut line, taken) = story(&mut topic);
        restores(&mut line, taken[1].journal_offset, &topic);
        let stopped = line.stopped().expect("it is no state").to_string();
        assert!(stopped.contains("it does not make the state that it was taken of"), "{stopped}");
    });
}

/// Of two that took one number the log's order says which is first; what is not whole does not count.
#[test]
fn one_number_is_one_snapshot() {
    let counted = |changes: fn(&mut Topic)| {
        let mut topic = Topic::default();
        story(&mut topic);
        changes(&mut topic);
        topic.read().whole().iter().map(|manifest| (manifest.number, manifest.id[0])).collect::<Vec<_>>()
    };
    let twice: fn(&mut Topic) = |topic| {
        let mut line = trips();
        begins(&mut line, "z");
        topic.take(&mut line, 3, None);
        change_last(topic, |manifest| manifest.id = [3; 16]);
    };
    assert_eq!(counted(twice), [(1, 1), (2, 2), (3, 3)]);
    without("snapshot_number_ignored", || assert_eq!(counted(twice).len(), 4, "without the rule there are two"));
    let torn: fn(&mut Topic) = |topic| drop(topic.0.remove(topic.0.len() - 2));
    assert_eq!(counted(torn), [(1, 1), (2, 2)]);
    without("snapshot_pieces_unchecked", || assert_eq!(counted(torn).len(), 3, "without the rule it counts"));
}

/// The journal goes only as far as both that are kept need it, and only when it is old enough.
#[test]
fn what_is_deleted_is_what_two_snapshots_stand_for() {
    let mut topic = Topic::default();
    let (_, taken) = story(&mut topic);
    let all = topic.read();
    let first = all.whole()[1].first;
    let (old, all_fit) = (taken[0].journal_offset, |_: &Manifest| true);
    assert_eq!(all.done_with(i64::MAX, all_fit), Some((old, first)));
    assert_eq!(all.done_with(taken[0].now, all_fit), Some((0, first)), "what the older one began from is not old enough");
    assert_eq!(all.done_with(taken[0].now + 1, all_fit), Some((old, first)), "it is, whatever the newer one began from");
    for wrong in [2, 3] {
        assert_eq!(all.done_with(i64::MAX, |manifest| manifest.number != wrong), None, "one of both is of another history");
    }
    let mut one = Topic::default();
    let mut line = trips();
    begins(&mut line, "a");
    one.take(&mut line, 1, None);
    assert_eq!(one.read().done_with(i64::MAX, all_fit), None, "one alone stands for nothing");
}
