//! A log with every failure that one can have, and processes that end anywhere: every command is answered, and always in the same way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringmaster_bus::clock::Now;
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_bus::{Bus, Specification};
use ringmaster_schemas::wire;

use super::{meta, read};
use crate::participant::{Participant, Script, Scripts};

const SCRIPT: &str = "
commands:
  shipping.Ship:
    - { share: 0.3, delay: 300ms, refused: NO_SLOT }
    - { share: 0.2, failed: BUSY }
    - { result: { tracking: \"'trk-' + key\" } }
";
const COMMANDS: usize = 120;
const TURNS_MAX: usize = 200_000;

fn open(broker: &SimBroker, script: &Arc<Script>) -> (Participant, SimBus) {
    let mut bus = broker.client();
    let mut participant = Participant::new(Scripts::fixed(script.clone()), "shipping", "ringmaster");
    participant.start(&mut bus).unwrap_or_else(|stop| panic!("{stop}"));
    (participant, bus)
}

fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let broker = SimBroker::new(seed, 1_769_817_600_000, Faults::none());
    for (name, partitions) in [("shipping.commands", 2), ("replies", 4)] {
        let what = Specification { name: name.to_owned(), partitions, replication: 1, settings: Vec::new() };
        broker.client().create(&what).expect("made");
    }
    let script = Arc::new(read(SCRIPT).unwrap_or_else(|errors| panic!("{errors}")));
    broker.set_faults(Faults::swarm(&mut random));
    let (mut participant, mut bus) = open(&broker, &script);
    let mut ends = [0, 0];
    for number in 0..COMMANDS {
        let (order, mut value) = (format!("ord-{number}"), Vec::new());
        wire::put_command_json(&meta("shipping.Ship", &order, 1), b"{}", &mut value);
        broker.put("shipping.commands", (number % 2) as i32, Some(order.as_bytes()), &value);
        ends[number % 2] += 1;
    }
    let mut crashes = random.usize(0..4);
    let committed = |partition| broker.committed("ringmaster.participant.shipping", "shipping.commands", partition);
    for turn in 0.. {
        assert!(turn < TURNS_MAX, "seed {seed}: {:?} of {ends:?} are committed", [committed(0), committed(1)]);
        let now = Now { wall: broker.now(), steady: broker.now() };
        participant.turn(&mut bus, now, Duration::from_millis(20)).unwrap_or_else(|stop| panic!("seed {seed}: {stop}"));
        if crashes > 0 && random.u32(0..40) == 0 {
            crashes -= 1;
            drop((participant, bus));
            (participant, bus) = open(&broker, &script);
        }
        if [0, 1].map(committed) == ends.map(Some) {
            break;
        }
    }
    let mut answers: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    // `meta` wants all replies there.
    for record in broker.log("replies", 3) {
        let value = record.value.clone();
        let reply = wire::decode_reply(&value, script.schemas()).expect("a reply");
        let key = reply.meta.idempotency_key.into_owned();
        let first = answers.entry(key).or_insert_with(|| value.clone());
        assert_eq!(*first, value, "seed {seed}: another answer");
    }
    assert_eq!(answers.len(), COMMANDS, "seed {seed}: what is committed is answered");
}

#[test]
fn every_command_is_answered_whatever_happens_to_the_log() {
    let seeds = std::env::var("SEED").map_or_else(|_| (0..40).collect(), |seed| vec![seed.parse().expect("SEED is a number")]);
    seeds.into_iter().for_each(run);
}
