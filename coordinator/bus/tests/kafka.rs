//! The Kafka bus on a real broker: what every bus must do, and what a broker does to it. Skipped, saying so, where the broker's jars
//! are not there.

mod suite;

use std::time::Duration;

use ringmaster_bus::Bus;
use ringmaster_bus::kafka::broker::{Broker, LIBS};
use ringmaster_bus::kafka::{KafkaBus, KafkaSettings};

struct OnKafka {
    broker: Broker,
}

impl suite::Rig for OnKafka {
    fn name(&self) -> &str {
        "kafka"
    }

    fn client(&self) -> Box<dyn Bus + Send> {
        Box::new(KafkaBus::new(KafkaSettings::new(self.broker.address())).expect("a bus"))
    }

    fn delete(&self, topic: &str) {
        self.broker.delete_topic(topic).expect("deleted");
    }

    fn forget(&self, topic: &str, partition: i32, below: i64) -> bool {
        self.broker
            .delete_records(topic, partition, below)
            .expect("deleted");
        true
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(300)
    }
}

fn start() -> Option<Broker> {
    if !Broker::is_available() {
        println!("skipped: {LIBS} does not name a folder with the jars of Kafka");
        return None;
    }
    Some(Broker::start().expect("a broker"))
}

#[test]
fn conforms() {
    let Some(broker) = start() else { return };
    suite::run_all(&OnKafka { broker });
}
