//! Orders for demo, bench and tests: what each is and how it must end follow from its number alone, so that an accounting can be
//! computed without looking at any run.

use std::sync::Arc;

use ringmaster_participants::services::{REFUSED_REGION, SOLD_OUT_SKU};
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::codec::{put_blob, put_long, put_text};
use ringmaster_schemas::wire::SINGLE_OBJECT;

/// The topic that orders come on.
pub const ORDERS: &str = "orders";
/// The topic that outcomes go to.
pub const OUTCOMES: &str = "order-outcomes";
/// The definition that runs orders.
pub const SAGA: &str = "order-fulfilment";

/// How an order ends, and by which service's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Reserved, charged, shipped.
    Fulfilled,
    /// There is no stock: nothing was done, nothing is undone.
    OutOfStock,
    /// The card is declined: the stock goes back.
    Declined,
    /// Shipping refuses the address: the money and the stock go back.
    Refused,
}

/// How the order of this number ends: of 100, 4 without stock, 5 declined, 2 refused by shipping.
pub fn outcome(number: u64) -> Outcome {
    match number % 100 {
        3 | 28 | 53 | 78 => Outcome::OutOfStock,
        7 | 27 | 47 | 67 | 87 => Outcome::Declined,
        11 | 61 => Outcome::Refused,
        _ => Outcome::Fulfilled,
    }
}

/// The key of the order of this number. `run` tells runs on one log apart.
pub fn key(run: &str, number: u64) -> String {
    format!("{run}{number:08}")
}

/// The number in a key.
pub fn number_of(run: &str, key: &str) -> Option<u64> {
    key.strip_prefix(run)?.parse().ok()
}

/// Writes orders as Avro single-object values.
pub struct OrderWriter {
    header: [u8; 10],
}

impl OrderWriter {
    /// With the schema of `OrderPlaced`; its fields must be those of sagas/schemas/OrderPlaced.avsc.
    pub fn new(schema: &Arc<Schema>) -> Self {
        let mut header = [0; 10];
        header[..2].copy_from_slice(&SINGLE_OBJECT);
        header[2..].copy_from_slice(&schema.fingerprint().to_le_bytes());
        OrderWriter { header }
    }

    /// Appends the order of this number.
    pub fn put(&self, key: &str, number: u64, out: &mut Vec<u8>) {
        let outcome = outcome(number);
        out.extend_from_slice(&self.header);
        put_text(out, key);
        put_text(out, "customer-0042");
        put_text(out, if outcome == Outcome::Refused { REFUSED_REGION } else { "EU" });
        let cents: i32 = if outcome == Outcome::Declined { 999_900 } else { 1_999 + (number % 9_000) as i32 };
        put_blob(out, &cents.to_be_bytes());
        put_text(out, "EUR");
        put_long(out, 2);
        put_text(out, if outcome == Outcome::OutOfStock { SOLD_OUT_SKU } else { "sku-17" });
        put_long(out, 1);
        put_text(out, "sku-99");
        put_long(out, 2);
        put_long(out, 0);
        put_long(out, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_orders_are_valid_by_their_schema() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/schemas");
        let schemas = ringmaster_schemas::registry::Schemas::load_folder(&folder).expect("the example schemas are right");
        let schema = schemas.named("OrderPlaced").expect("it is there");
        let writer = OrderWriter::new(schema);
        for number in 0..200 {
            let mut out = Vec::new();
            writer.put(&key("ord-", number), number, &mut out);
            schema.validate(&out[10..]).expect("valid");
        }
    }
}
