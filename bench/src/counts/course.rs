//! Which saga runs, and what its participants say.

/// A saga that always goes well.
#[derive(Debug)]
pub(super) struct Course {
    /// Its definition, from the top of the repository.
    pub(super) file: &'static str,
    /// Its schemas.
    pub(super) schemas: &'static str,
    /// The type of the event that starts it, and the topic.
    pub(super) event: &'static str,
    pub(super) topic: &'static str,
    /// The event as JSON; `KEY` stands for the order's.
    pub(super) body: &'static str,
    /// What each command gives, as JSON.
    pub(super) results: &'static [(&'static str, &'static str)],
    /// From the start to the outcome.
    pub(super) rounds: &'static [Round],
}

/// Participants answer all that they were asked, and others are asked then.
#[derive(Debug)]
pub(super) struct Round {
    /// The topics of those that answer; none at the start.
    pub(super) answer: &'static [&'static str],
    /// The topics that then have a record more of each saga.
    pub(super) then: &'static [&'static str],
}

const INVENTORY: &str = "inventory.commands";
const PAYMENT: &str = "payment.commands";
const SHIPPING: &str = "shipping.commands";
const FRAUD: &str = "fraud.commands";
const OUTCOMES: &str = "order-outcomes";

/// Three steps, one behind the other, and one of them under a rule.
pub(super) static SIMPLE: Course = Course {
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
pub(super) static WHOLE: Course = Course {
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
pub(super) static LINES: Course = Course {
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
