//! The load: orders whose outcome is known from the order, repeats of them, and records that nobody can take.

use std::collections::BTreeMap;

use ringmaster_bus::sim::SimBroker;
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::partition_of;

use super::plan::Plan;

/// What is placed, and what must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything is done.
    Good,
    /// `reserve_stock` is refused.
    SoldOut,
    /// `charge_payment` is refused.
    Declined,
    /// `ship` is refused.
    NoDelivery,
    /// The definition refuses, behind two steps that were done.
    NoService,
}

impl Kind {
    /// The code that its compensation must have; none if it must complete.
    pub fn code(self) -> Option<&'static str> {
        match self {
            Kind::Good => None,
            Kind::SoldOut => Some("OUT_OF_STOCK"),
            Kind::Declined => Some("CARD_DECLINED"),
            Kind::NoDelivery => Some("ADDRESS_REFUSED"),
            Kind::NoService => Some("NO_SERVICE"),
        }
    }
}

/// One record to be put.
#[derive(Debug, Clone)]
enum Placed {
    Order(String, Kind),
    Garbage,
    UnknownType,
    WrongPartition(String),
    /// Of an order that may have begun, ended, or never been: nobody waits for it.
    Praise(String),
    StrayReply(String),
}

/// All of a run's load.
#[derive(Debug)]
pub struct Orders {
    partitions: i32,
    /// Partitions of the topic of orders, where records have no keys and lie anywhere.
    routed: Option<i32>,
    due: Vec<(Millis, Placed)>,
    /// What was placed, by order id.
    pub placed: BTreeMap<String, Kind>,
    /// Repeats of orders.
    pub repeated: usize,
    /// Records that must be in quarantine.
    pub bad: usize,
}

impl Orders {
    /// Draws a plan's orders, from `start` on.
    pub fn draw(rng: &mut fastrand::Rng, plan: &Plan, start: Millis) -> Orders {
        let Plan { partitions, routed, orders: count, load_ms, .. } = *plan;
        let mut due = Vec::new();
        for number in 0..count {
            let at = start + rng.i64(0..load_ms);
            let id = format!("ord-{number}");
            let kind = match rng.u8(..10) {
                0 => Kind::SoldOut,
                1 => Kind::Declined,
                2 => Kind::NoDelivery,
                3 => Kind::NoService,
                _ => Kind::Good,
            };
            if rng.u8(..10) == 0 {
                due.push((at + rng.i64(0..2_000), Placed::Order(id.clone(), kind)));
            }
            due.push((at, Placed::Order(id, kind)));
        }
        for _ in 0..rng.usize(0..4) {
            let at = start + rng.i64(0..load_ms);
            let number = rng.u32(..);
            due.push(match rng.u8(..4) {
                0 => (at, Placed::Garbage),
                1 => (at, Placed::UnknownType),
                2 if partitions > 1 && routed.is_none() => (at, Placed::WrongPartition(format!("wrong-{number}"))),
                _ => (at, Placed::StrayReply(format!("stray-{number}"))),
            });
        }
        for _ in 0..if routed.is_some() { count / 2 } else { 0 } {
            let id = format!("ord-{}", rng.usize(0..count));
            due.push((start + rng.i64(0..load_ms), Placed::Praise(id)));
        }
        due.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Orders { partitions, routed, due, placed: BTreeMap::new(), repeated: 0, bad: 0 }
    }

    /// Puts what is due by now.
    pub fn put_due(&mut self, broker: &SimBroker, rng: &mut fastrand::Rng) {
        while let Some((at, _)) = self.due.last()
            && *at <= broker.now()
        {
            let (_, placed) = self.due.pop().expect("it was looked at");
            self.put(placed, broker, rng);
        }
    }

    /// True if nothing is left to be put.
    pub fn all_put(&self) -> bool {
        self.due.is_empty()
    }

    fn put(&mut self, placed: Placed, broker: &SimBroker, rng: &mut fastrand::Rng) {
        match placed {
            Placed::Order(id, kind) => {
                let home = partition_of(id.as_bytes(), self.partitions);
                match self.routed {
                    Some(count) => broker.put("orders", rng.i32(0..count), None, order(&id, kind).as_bytes()),
                    None => broker.put("orders", home, Some(id.as_bytes()), order(&id, kind).as_bytes()),
                };
                if self.placed.insert(id, kind).is_some() {
                    self.repeated += 1;
                }
            }
            Placed::Garbage => {
                let topic = if rng.bool() { "orders" } else { "ringmaster.replies" };
                broker.put(topic, rng.i32(0..broker.partitions(topic)), Some(b"k"), b"neither Avro nor JSON");
                self.bad += 1;
            }
            Placed::UnknownType => {
                let partition = rng.i32(0..broker.partitions("orders"));
                broker.put("orders", partition, Some(b"k"), br#"{"type":"OrderForgotten","order_id":"x"}"#);
            }
            Placed::Praise(id) => {
                let praise = format!(r#"{{"type":"OrderPraised","order_id":"{id}"}}"#);
                broker.put("orders", rng.i32(0..broker.partitions("orders")), None, praise.as_bytes());
            }
            Placed::WrongPartition(id) => {
                let wrong = (partition_of(id.as_bytes(), self.partitions) + 1) % self.partitions;
                broker.put("orders", wrong, Some(id.as_bytes()), order(&id, Kind::Good).as_bytes());
                self.bad += 1;
            }
            Placed::StrayReply(id) => {
                let home = partition_of(id.as_bytes(), self.partitions);
                let key = format!("order-fulfilment/{id}/charge_payment/do");
                let reply = format!(
                    r#"{{"meta":{{"idempotency_key":"{key}","attempt":1,"outcome":"refused","code":"NO","message":null,"retryable":false}},"body":null}}"#
                );
                broker.put("ringmaster.replies", home, Some(id.as_bytes()), reply.as_bytes());
            }
        }
    }
}

fn order(id: &str, kind: Kind) -> String {
    let sku = if kind == Kind::SoldOut { "sku-sold-out" } else { "sku-1" };
    let total = if kind == Kind::Declined { "9000.00" } else { "120.50" };
    let region = match kind {
        Kind::NoDelivery => "ATLANTIS",
        Kind::NoService => "MOON",
        Kind::Good | Kind::SoldOut | Kind::Declined => "EU",
    };
    format!(
        r#"{{"type":"OrderPlaced","order_id":"{id}","customer_id":"c-1","region":"{region}","total":"{total}","currency":"EUR","items":[{{"sku":"{sku}","qty":2}}]}}"#
    )
}
