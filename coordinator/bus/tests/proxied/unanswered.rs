//! A broker that never answers a question to join, though the connection stays: as Kafka 4.3.1 does where it is fenced, and so gives up
//! its groups, while members wait in them. The member must ask again soon: until then it has nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::broker::{Broker, LIBS};
use ringmaster_bus::kafka::{Joining, KafkaSettings, Member};
use ringmaster_bus::{Granted, Membership};

use crate::proxy::{Answer, Proxy};

/// librdkafka's own 300 s would be too long.
const PATIENCE: Duration = Duration::from_secs(180);
const PARTITIONS: i32 = 4;
/// Kafka's number of the request.
const JOIN_GROUP: i16 = 11;

#[test]
fn a_question_to_join_that_is_never_answered_is_asked_again() {
    if !Broker::is_available() {
        println!("skipped: {LIBS} does not name a folder with the jars of Kafka");
        return;
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let theirs = asked.clone();
    let proxy = Proxy::start(move |asked, _| match asked.api {
        JOIN_GROUP if theirs.fetch_add(1, SeqCst) == 0 => Answer::Never,
        _ => Answer::AsItIs,
    });
    proxy.broker.create_topic("shared", PARTITIONS, &[]).expect("a topic");
    let joining = Joining {
        group: "members".to_owned(),
        topic: "shared".to_owned(),
        partitions: PARTITIONS,
        name: "one".to_owned(),
        address: String::new(),
        leaves: true,
    };
    let mut member = Member::join(KafkaSettings::new(proxy.address.clone()), joining).expect("it joins");
    let begun = Instant::now();
    let given = loop {
        assert!(begun.elapsed() < PATIENCE, "not within {} s: {} questions", PATIENCE.as_secs(), asked.load(SeqCst));
        match member.poll(Duration::from_millis(100)) {
            Some(Granted::Given(partitions)) if partitions.len() == PARTITIONS as usize => break partitions,
            Some(Granted::Refused(why)) => panic!("refused: {why}"),
            _ => {}
        }
    };
    println!("given {given:?} behind {:?}, by {} questions", begun.elapsed(), asked.load(SeqCst));
    assert!(asked.load(SeqCst) > 1, "the fault hit nothing");
    Box::new(member).leave();
}
