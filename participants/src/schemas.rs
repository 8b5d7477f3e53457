//! The schemas of the three services, built in, so that a binary runs without files beside it.

use ringmaster_schemas::registry::Schemas;

const TEXTS: &[&str] = &[
    r#"{"type":"record","name":"ReserveStock","namespace":"inventory","fields":[{"name":"order_id","type":"string"},{"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[{"name":"sku","type":"string"},{"name":"qty","type":"int"}]}}}]}"#,
    r#"{"type":"record","name":"ReserveStockResult","namespace":"inventory","fields":[{"name":"reservation_id","type":"string"}]}"#,
    r#"{"type":"record","name":"ReleaseStock","namespace":"inventory","fields":[{"name":"order_id","type":"string"},{"name":"items","type":{"type":"array","items":"inventory.Item"}}]}"#,
    r#"{"type":"record","name":"Charge","namespace":"payment","fields":[{"name":"order_id","type":"string"},{"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}},{"name":"currency","type":"string"}]}"#,
    r#"{"type":"record","name":"ChargeResult","namespace":"payment","fields":[{"name":"charge_id","type":"string"}]}"#,
    r#"{"type":"record","name":"Refund","namespace":"payment","fields":[{"name":"order_id","type":"string"},{"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}},{"name":"currency","type":"string"}]}"#,
    r#"{"type":"record","name":"Ship","namespace":"shipping","fields":[{"name":"order_id","type":"string"},{"name":"region","type":"string"},{"name":"items","type":{"type":"array","items":"inventory.Item"}}]}"#,
    r#"{"type":"record","name":"ShipResult","namespace":"shipping","fields":[{"name":"tracking","type":"string"}]}"#,
];

/// Commands and results of inventory, payment and shipping.
pub fn demo() -> Schemas {
    let mut schemas = Schemas::builtin();
    for text in TEXTS {
        schemas.add(text).unwrap_or_else(|e| panic!("a built-in schema: {e}"));
    }
    schemas
}
