//! Which saga runs, and what its participants say.

use std::sync::Arc;

use anyhow::{Result, ensure};
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::codec::put_text;
use ringmaster_schemas::json;
use ringmaster_schemas::names::participant_of;
use ringmaster_schemas::wire::SINGLE_OBJECT;

/// A saga that always goes well.
#[derive(Debug)]
pub struct Course {
    /// Its definition, from the top of the repository.
    pub file: &'static str,
    /// Its schemas.
    pub schemas: &'static str,
    /// The type of the event that starts it.
    pub event: &'static str,
    /// The topic that it comes on.
    pub topic: &'static str,
    /// The event as JSON; `KEY` stands for the order's.
    pub body: &'static str,
    /// What each command gives, as JSON.
    pub results: &'static [(&'static str, &'static str)],
    /// From the start to the outcome.
    pub rounds: &'static [Round],
}

/// Participants answer all that they were asked, and others are asked then.
#[derive(Debug)]
pub struct Round {
    /// The topics of those that answer; none at the start.
    pub answer: &'static [&'static str],
    /// The topics that then have a record more of each saga.
    pub then: &'static [&'static str],
}

impl Course {
    /// Whether it is the simple order.
    pub fn is_simple(&self) -> bool {
        std::ptr::eq(self, &SIMPLE)
    }

    /// Names of its participants, each once.
    pub fn participants(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.results.iter().map(|(command, _)| participant_of(command)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Writes a course's event for many sagas: all alike but for the key, which is the event's first field.
#[derive(Debug)]
pub struct EventWriter {
    head: [u8; 10],
    behind_the_key: Vec<u8>,
}

impl EventWriter {
    /// Of events of this schema, the course's own.
    ///
    /// # Errors
    /// If the body does not fit the schema, or its key is not what it begins with.
    pub fn new(course: &Course, schema: &Arc<Schema>) -> Result<Self> {
        const KEY: &str = "KEY";
        let (mut head, mut body, mut key) = ([0; 10], Vec::new(), Vec::new());
        head[..2].copy_from_slice(&SINGLE_OBJECT);
        head[2..].copy_from_slice(&schema.fingerprint().to_le_bytes());
        json::transcode(schema, course.body.as_bytes(), &mut body)?;
        put_text(&mut key, KEY);
        ensure!(body.starts_with(&key), "the first field of {} is not its key", course.event);
        Ok(EventWriter { head, behind_the_key: body.split_off(key.len()) })
    }

    /// Appends the event of this key.
    pub fn put(&self, key: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        put_text(out, key);
        out.extend_from_slice(&self.behind_the_key);
    }
}

const INVENTORY: &str = "inventory.commands";
const PAYMENT: &str = "payment.commands";
const SHIPPING: &str = "shipping.commands";
const FRAUD: &str = "fraud.commands";
const OUTCOMES: &str = "order-outcomes";

/// Three steps, one behind the other, and one of them under a rule.
pub static SIMPLE: Course = Course {
    file: "sagas/order-fulfilment.yaml",
    schemas: "sagas/schemas",
    event: "OrderPlaced",
    topic: "orders",
    body: r#"{"order_id":"KEY","customer_id":"customer-0042","region":"EU","total":"19.99","currency":"EUR","items":[{"sku":"sku-17","qty":1},{"sku":"sku-99","qty":2}]}"#,
    results: &[
        ("inventory.ReserveStock", r#"{"reservation_id":"res-00000000"}"#),
        ("payment.Charge", r#"{"charge_id":"chg-00000000"}"#),
        ("shipping.Ship", r#"{"tracking":"trk-00000000"}"#),
    ],
    rounds: &[
        Round { answer: &[], then: &[INVENTORY] },
        Round { answer: &[INVENTORY], then: &[PAYMENT] },
        Round { answer: &[PAYMENT], then: &[SHIPPING] },
        Round { answer: &[SHIPPING], then: &[OUTCOMES] },
    ],
};

/// The whole order: five steps, two of them side by side, rules, a table, conditions, a priority.
pub static WHOLE: Course = Course {
    file: "sagas/library/order.yaml",
    schemas: "sagas/library/schemas",
    event: "OrderPlaced",
    topic: "orders",
    body: r#"{"order_id":"KEY","customer_id":"customer-0042","tier":"gold","region":"EU","total":"1999.00","currency":"EUR","items":[{"sku":"sku-17","qty":1},{"sku":"sku-99","qty":2}]}"#,
    results: &[
        ("inventory.ReserveStock", r#"{"reservation_id":"res-00000000"}"#),
        ("fraud.Score", r#"{"score":7}"#),
        ("shipping.HoldSlot", r#"{"slot":"s-00000000"}"#),
        ("payment.Charge", r#"{"charge_id":"chg-00000000"}"#),
        ("shipping.Ship", r#"{"tracking":"trk-00000000"}"#),
    ],
    rounds: &[
        Round { answer: &[], then: &[INVENTORY] },
        Round { answer: &[INVENTORY], then: &[FRAUD, SHIPPING] },
        Round { answer: &[FRAUD, SHIPPING], then: &[PAYMENT] },
        Round { answer: &[PAYMENT], then: &[SHIPPING] },
        Round { answer: &[SHIPPING], then: &[OUTCOMES] },
    ],
};

/// A bulk order: a step for each line before the pivot, and one behind it. Its lines are as many as somebody asks for, so that its
/// rounds are not known beforehand: see [`super::items`]. Texts are short, so that 5,000 lines fit into its row.
pub static LINES: Course = Course {
    file: "sagas/library/bulk-order.yaml",
    schemas: "sagas/library/schemas",
    event: "BulkOrderPlaced",
    topic: "bulk-orders",
    body: r#"{"order_id":"KEY","customer_id":"customer-0042","currency":"EUR","lines":[LINES]}"#,
    results: &[
        ("inventory.Reserve", r#"{"reservation_id":"r"}"#),
        ("payment.Charge", r#"{"charge_id":"c"}"#),
        ("shipping.ShipLine", r#"{"tracking":"t"}"#),
    ],
    rounds: &[],
};
