//! The schemas of the four services, built in, so that a binary runs without files beside it.

use ringmaster_schemas::registry::Schemas;

/// What each may refer to stands before it.
const TEXTS: &[&str] = &[
    include_str!("../../sagas/library/schemas/fraud.Score.avsc"),
    include_str!("../../sagas/library/schemas/fraud.ScoreResult.avsc"),
    include_str!("../../sagas/schemas/inventory/ReserveStock.avsc"),
    include_str!("../../sagas/schemas/inventory/ReserveStockResult.avsc"),
    include_str!("../../sagas/schemas/inventory/ReleaseStock.avsc"),
    include_str!("../../sagas/schemas/payment/Charge.avsc"),
    include_str!("../../sagas/schemas/payment/ChargeResult.avsc"),
    include_str!("../../sagas/schemas/payment/Refund.avsc"),
    include_str!("../../sagas/schemas/shipping/Ship.avsc"),
    include_str!("../../sagas/schemas/shipping/ShipResult.avsc"),
];

/// Commands and results of fraud, inventory, payment and shipping.
pub fn demo() -> Schemas {
    let mut schemas = Schemas::builtin();
    for text in TEXTS {
        schemas.add(text).unwrap_or_else(|e| panic!("a built-in schema: {e}"));
    }
    schemas
}
