//! Four real services: their rules, what they move, and what they answer.
//!
//! All rules are functions of the order and of settings, so that what a run must come to can be computed without it. Stock and slots
//! are the exception that real life is: where they run out, who comes first decides.

mod fraud;
mod inventory;
mod payment;
mod shipping;

pub use fraud::{Fraud, LARGE_TOTAL, MANY_ORDERS, Score};
pub use inventory::{Inventory, Item, ReserveStock, SOLD_OUT_SKU, STOCK_DEFAULT};
pub use payment::{Charge, DECLINE_ABOVE, Payment};
pub use shipping::{REFUSED_REGION, SLOTS_DEFAULT, Ship, Shipping};

/// Lines of one order; more are refused, so that one order costs a bounded time.
pub const ITEMS_MAX: usize = 1_000;
