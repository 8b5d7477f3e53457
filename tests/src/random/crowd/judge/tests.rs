//! What is right is right, and what somebody meddles with is found: sagas that were played on the core alone, as if they had been seen
//! on brokers.

use ringmaster_schemas::journal::{Change, Claim, JournalRecord};

use super::super::super::families;
use super::super::super::run::{World, played};
use super::*;

/// A saga as it was played on the core alone, as if it had been seen on brokers; and its row.
fn seen(seed: u64) -> (Seen, BTreeMap<String, Vec<u8>>) {
    let mut seen = Seen::new(Definitions::draw(seed, 1, 0), "ringmaster.replies".to_owned());
    let Kind::Single(plan, known) = &seen.definitions.0[0].kind else { unreachable!("none other was drawn") };
    let mut report = crate::random::Report::default();
    let World { start, told, stage, participants, journal, .. } = played(plan, known, seed, &mut report);
    let saga = stage.saga.expect("it has started");
    let partition = partition_of(parse_saga_id(&saga.id).1.as_bytes(), PARTITIONS);
    let claim = Claim { id: [7; 16], owner: "blue".into(), address: "".into(), partitions: PARTITIONS, now: 0 };
    let records = std::iter::once(JournalRecord::Claim(claim).encode()).chain(journal);
    for (offset, record) in (0..).zip(records) {
        seen.stories.take(&seen.definitions, (partition, offset), &record).expect("it is read");
    }
    let rows = BTreeMap::from([(format!("{partition}/Saga/{}", saga.id), saga.encode())]);
    let start = Start { fields: start, event: serde_json::Value::Null };
    seen.starts.insert(parse_saga_id(&saga.id).1.into_owned(), start);
    seen.told.insert(saga.id.clone(), told);
    seen.participants.insert(saga.id.clone(), participants);
    seen.arrived = seen.stories.sent.clone();
    (seen, rows)
}

/// What is wrong where somebody meddles with what was seen; none if there is nothing to meddle with.
fn wrong(seed: u64, meddle: impl FnOnce(&mut Seen, &mut BTreeMap<String, Vec<u8>>) -> Option<()>) -> Option<Vec<String>> {
    let (mut seen, mut rows) = seen(seed);
    meddle(&mut seen, &mut rows)?;
    Some(Judged::of(seen).wrong(&rows))
}

#[test]
fn what_is_right_is_right_and_each_slip_is_found() {
    let mut found = [0; 5];
    for seed in 0..40 {
        assert_eq!(wrong(seed, |_, _| Some(())).expect("meddled"), Vec::<String>::new(), "seed {seed}");
        let slips = [
            wrong(seed, |_, rows| rows.values_mut().next()?.pop().map(drop)),
            wrong(seed, |seen, _| seen.arrived.pop_first().map(drop)),
            wrong(seed, |seen, _| {
                let mut strange = seen.arrived.first()?.clone();
                strange.value.push(b' ');
                seen.arrived.insert(strange).then_some(())
            }),
            wrong(seed, |seen, _| {
                let accounts = seen.participants.values_mut().flat_map(|all| all.accounts.values_mut());
                let mut done = accounts.filter(|account| account.effect && !account.left);
                done.next().map(|account| account.effect = false)
            }),
            wrong(seed, |seen, _| {
                let (key, start) = seen.starts.pop_first()?;
                seen.starts.insert(format!("{key}0"), start);
                Some(())
            }),
        ];
        for (number, slip) in slips.into_iter().enumerate() {
            let Some(wrong) = slip else { continue };
            // What is done and cannot be undone may be there or not.
            assert!(!wrong.is_empty() || number == 3, "seed {seed}: slip {number} is not found");
            found[number] += usize::from(!wrong.is_empty());
        }
    }
    assert!(found.iter().all(|found| *found >= 5), "{found:?}");
}

/// The same of a saga with items, sub-sagas and values; none if a person stood for some of it, which nobody does in a crowd.
fn seen_family(seed: u64) -> Option<(Seen, BTreeMap<String, Vec<u8>>)> {
    let text = families::definition(seed);
    let mut seen = Seen::new(Definitions::of_family(text.clone()), "ringmaster.replies".to_owned());
    let known = families::known::Known::of(&text).expect("it compiles");
    let mut report = crate::random::Report::default();
    let mut world = families::world::World::new(&known, seed, &mut report);
    world.run();
    assert_eq!(world.faults, Vec::<String>::new(), "seed {seed}");
    if !world.stood_for.is_empty() {
        return None;
    }
    let id: Arc<str> = format!("{}/k", families::write::SAGA).into();
    let partition = partition_of(b"k", PARTITIONS);
    for (at, changes) in world.turns {
        let changes = changes.into_iter().map(Change::Saga).collect();
        seen.stories.turn(&seen.definitions, partition, changes, at).expect("it is taken");
    }
    let row = |row: &Arc<Saga>| (format!("{partition}/Saga/{}", row.id), row.encode());
    let rows = world.rows.values().map(row).collect();
    seen.starts.insert("k".to_owned(), Start { fields: [0; FIELDS.len()], event: world.start.clone() });
    let mut participants = world.participants;
    let below = |(step, account): (String, Account)| (step[id.len() + 1..].to_owned(), account);
    participants.accounts = std::mem::take(&mut participants.accounts).into_iter().map(below).collect();
    seen.participants.insert(id, participants);
    seen.arrived = seen.stories.sent.clone();
    Some((seen, rows))
}

type Slip = fn(&mut Seen, &mut BTreeMap<String, Vec<u8>>) -> Option<()>;

#[test]
fn of_a_family_what_is_right_is_right_and_each_slip_is_found() {
    let slips: [Slip; 5] = [
        |_, rows| rows.values_mut().next()?.pop().map(drop),
        |_, rows| {
            let (key, row) = rows.first_key_value()?;
            let (key, row) = (format!("{key}/e1.0"), row.clone());
            rows.insert(key, row).is_none().then_some(())
        },
        |seen, _| seen.arrived.pop_first().map(drop),
        |seen, _| {
            let accounts = seen.participants.values_mut().flat_map(|all| all.accounts.values_mut());
            let mut done = accounts.filter(|account| account.effect && !account.left);
            done.next().map(|account| account.effect = false)
        },
        |seen, _| {
            let family = seen.stories.families.values_mut().next()?;
            let root = family.rows.values().next()?.clone();
            let id: Arc<str> = format!("{}/e1.0", root.id).into();
            family.rows.insert(id, root).is_none().then_some(())
        },
    ];
    let (mut found, mut played) = ([0; 5], 0);
    for seed in 0..60 {
        let Some((seen, rows)) = seen_family(seed) else { continue };
        assert_eq!(Judged::of(seen).wrong(&rows), Vec::<String>::new(), "seed {seed}");
        played += 1;
        for (number, slip) in slips.iter().enumerate() {
            let Some((mut seen, mut rows)) = seen_family(seed) else { continue };
            if slip(&mut seen, &mut rows).is_none() {
                continue;
            }
            let wrong = Judged::of(seen).wrong(&rows);
            // What is done and cannot be undone may be there or not.
            assert!(!wrong.is_empty() || number == 3, "seed {seed}: slip {number} is not found");
            found[number] += usize::from(!wrong.is_empty());
        }
    }
    assert!(played >= 30 && found.iter().all(|found| *found >= 3), "{played} played, found {found:?}");
}
