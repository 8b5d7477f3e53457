//! What is deployed while a participant runs is answered by what its schemas say then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringmaster_bus::clock::Now;
use ringmaster_bus::sim::{Faults, SimBroker};
use ringmaster_bus::{Bus, Specification};
use ringmaster_schemas::Millis;
use ringmaster_schemas::wire;

use super::{meta, read};
use crate::participant::{Participant, Scripts};

const AFTER: &str = "commands: { shipping.Ship: [ { refused: FULL } ] }";

/// A participant beside a log of its own, and how often it has looked whether something changed.
struct World {
    broker: SimBroker,
    participant: Participant,
    bus: ringmaster_bus::sim::SimBus,
    looks: Arc<AtomicUsize>,
    changed: Arc<AtomicUsize>,
}

impl World {
    fn new(before: &str) -> World {
        let broker = SimBroker::new(1, 1_769_817_600_000, Faults::none());
        for (name, partitions) in [("shipping.commands", 1), ("replies", 4)] {
            let what = Specification { name: name.to_owned(), partitions, replication: 1, settings: Vec::new() };
            broker.client().create(&what).expect("made");
        }
        let (looks, changed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, asked) = (looks.clone(), changed.clone());
        let look = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            (asked.swap(0, Ordering::SeqCst) > 0).then(|| read(AFTER).unwrap_or_else(|errors| panic!("{errors}")))
        };
        let script = Arc::new(read(before).unwrap_or_else(|errors| panic!("{errors}")));
        let mut participant = Participant::new(Scripts::new(script, Box::new(look)), "shipping", "ringmaster");
        let mut bus = broker.client();
        participant.start(&mut bus).unwrap_or_else(|stop| panic!("{stop}"));
        World { broker, participant, bus, looks, changed }
    }

    /// Sends a command and takes turns at this time until it is answered: its outcome.
    fn ask(&mut self, command: &str, order: &str, at: Millis) -> String {
        let mut value = Vec::new();
        wire::put_command_json(&meta(command, order, 1), b"{}", &mut value);
        self.broker.put("shipping.commands", 0, Some(order.as_bytes()), &value);
        let before = self.broker.log("replies", 3).len();
        for _ in 0..10_000 {
            let now = Now { wall: self.broker.now(), steady: at };
            self.participant.turn(&mut self.bus, now, Duration::from_millis(20)).unwrap_or_else(|stop| panic!("{stop}"));
            if let Some(record) = self.broker.log("replies", 3).get(before) {
                let schemas = ringmaster_schemas::registry::Schemas::builtin();
                let reply = wire::decode_reply(&record.value, &schemas).expect("a reply");
                return reply.meta.code.map_or_else(|| "succeeded".to_owned(), |code| code.into_owned());
            }
        }
        panic!("{command} is not answered");
    }
}

#[test]
fn a_command_that_is_new_is_looked_for_before_it_is_answered() {
    let mut world = World::new("participants: [ payment ]");
    assert_eq!(world.ask("shipping.Send", "o-1", 100), "succeeded", "nothing is known of it but that it came");
    let looks = world.looks.load(Ordering::SeqCst);
    // Deployed, and asked at once.
    world.changed.store(1, Ordering::SeqCst);
    assert_eq!(world.ask("shipping.Ship", "o-2", 100), "FULL");
    assert_eq!(world.looks.load(Ordering::SeqCst), looks + 1);
    // What nobody knows is looked for once, behind each change.
    assert_eq!([3, 4, 5].map(|order| world.ask("shipping.Send", &format!("o-{order}"), 100)), ["succeeded"; 3]);
    assert_eq!(world.looks.load(Ordering::SeqCst), looks + 2);
}

#[test]
fn what_changed_is_taken_within_a_second() {
    let mut world = World::new("participants: [ shipping ]");
    assert_eq!(world.ask("shipping.Ship", "o-1", 100), "succeeded");
    world.changed.store(1, Ordering::SeqCst);
    assert_eq!(world.ask("shipping.Ship", "o-2", 1_000), "succeeded", "it is known, and looked at once a second");
    assert_eq!(world.ask("shipping.Ship", "o-3", 1_100), "FULL");
}
