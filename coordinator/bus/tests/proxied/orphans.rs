//! A member dies between the two rounds in which partitions move to another, and is back by its name before its session is over: the
//! broker gives it what the first round left it, and there is no second one. What was to move must not stay nobody's.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::broker::{Broker, LIBS};
use ringmaster_bus::kafka::{Joining, KafkaSettings, Member};
use ringmaster_bus::{Granted, Membership};

const PATIENCE: Duration = Duration::from_secs(180);
const PARTITIONS: i32 = 8;

/// A member, and what it has.
struct Host {
    member: Member,
    held: BTreeSet<i32>,
    gives_back: bool,
}

impl Host {
    fn join(broker: &Broker, name: &str) -> Host {
        let joining = Joining {
            group: "members".to_owned(),
            topic: "shared".to_owned(),
            partitions: PARTITIONS,
            name: name.to_owned(),
            address: String::new(),
            leaves: true,
        };
        let member = Member::join(KafkaSettings::new(broker.address()), joining).expect("it joins");
        Host { member, held: BTreeSet::new(), gives_back: true }
    }

    /// True if it was told to give something up.
    fn poll(&mut self) -> bool {
        match self.member.poll(Duration::from_millis(20)) {
            Some(Granted::Given(partitions)) => self.held.extend(partitions),
            Some(Granted::Taken(partitions)) if self.gives_back => {
                self.held.retain(|partition| !partitions.contains(partition));
                self.member.give_back(&partitions);
            }
            Some(Granted::Taken(_)) => return true,
            Some(Granted::Lost(partitions)) => self.held.retain(|partition| !partitions.contains(partition)),
            Some(Granted::Refused(why)) => panic!("refused: {why}"),
            None => {}
        }
        false
    }
}

#[test]
fn what_was_to_move_when_its_owner_died_is_given_out_all_the_same() {
    if !Broker::is_available() {
        println!("skipped: {LIBS} does not name a folder with the jars of Kafka");
        return;
    }
    let broker = Broker::start().expect("a broker");
    broker.create_topic("shared", PARTITIONS, &[]).expect("a topic");
    let begun = Instant::now();
    let in_time = |what: &str| assert!(begun.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
    let mut blue = Host::join(&broker, "blue");
    while blue.held.len() < PARTITIONS as usize {
        in_time("one has all");
        blue.poll();
    }
    blue.gives_back = false;
    let mut green = Host::join(&broker, "green");
    while !blue.poll() {
        in_time("the first round comes");
        green.poll();
    }
    // It dies in the middle: nobody who has a name leaves the group by that.
    drop(blue);
    let mut blue = Host::join(&broker, "blue");
    let back = Instant::now();
    let all = |blue: &Host, green: &Host| blue.held.len() + green.held.len() == PARTITIONS as usize && !green.held.is_empty();
    while !all(&blue, &green) {
        in_time("all is given out");
        blue.poll();
        green.poll();
    }
    assert!(blue.held.is_disjoint(&green.held), "{:?} and {:?}", blue.held, green.held);
    println!("blue has {:?} and green {:?}, {:?} behind its return", blue.held, green.held, back.elapsed());
}
