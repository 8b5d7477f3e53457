//! Inventory: stock per SKU, reserved for orders and given back.

use serde::{Deserialize, Serialize};

use super::ITEMS_MAX;
use crate::books::{Books, Endowment};
use crate::ledger::{Batch, Ledger, LedgerError};
use crate::service::{BodyError, Call, CommandName, Done, Service, Verdict};

/// A SKU of which there is nothing, by default: orders of it are refused.
pub const SOLD_OUT_SKU: &str = "sku-sold-out";
/// Pieces of every other SKU, by default: more than any test orders.
pub const STOCK_DEFAULT: i64 = 1_000_000_000;

/// Too little of an item.
const OUT_OF_STOCK: &str = "OUT_OF_STOCK";
/// An item that does not exist, or a quantity that nobody can reserve.
const UNKNOWN_ITEM: &str = "UNKNOWN_ITEM";

/// Reserves all items of an order or none.
#[derive(Debug, Clone)]
pub struct Inventory {
    stock: Endowment,
    id: String,
}

/// `inventory.ReserveStock`, and `inventory.ReleaseStock`, which gives back what was reserved.
#[derive(Debug, Deserialize)]
pub struct ReserveStock<'a> {
    /// Which order.
    pub order_id: &'a str,
    /// What it needs.
    #[serde(borrow)]
    pub items: Vec<Item<'a>>,
}

/// One line of an order.
#[derive(Debug, Deserialize)]
pub struct Item<'a> {
    /// What.
    pub sku: &'a str,
    /// How many; at least one.
    pub qty: i64,
}

#[derive(Serialize)]
struct ReserveStockResult<'a> {
    reservation_id: &'a str,
}

impl Inventory {
    /// With this stock, unless the ledger says otherwise. SKUs that are not listed have `stock.default` pieces.
    pub fn new(stock: Endowment) -> Self {
        Inventory { stock, id: String::new() }
    }

    /// The stock of the demo: plenty of everything but [`SOLD_OUT_SKU`].
    pub fn demo_stock() -> Endowment {
        Endowment { default: STOCK_DEFAULT, listed: [(SOLD_OUT_SKU.to_owned(), 0)].into() }
    }

    /// Pieces of a SKU that can be reserved now.
    fn free(&self, sku: &str, books: &Books) -> i128 {
        i128::from(self.stock.of(sku)) - books.net_units(sku)
    }

    fn refusal(&self, order: &ReserveStock<'_>, books: &Books) -> Option<Verdict> {
        if order.items.is_empty() || order.items.len() > ITEMS_MAX {
            return Some(Verdict::refused(UNKNOWN_ITEM, format!("{} items, 1 to {ITEMS_MAX} are taken", order.items.len())));
        }
        for (n, item) in order.items.iter().enumerate() {
            if item.qty < 1 {
                return Some(Verdict::refused(UNKNOWN_ITEM, format!("{} pieces of {}", item.qty, item.sku)));
            }
            if self.stock.default == 0 && !self.stock.listed.contains_key(item.sku) {
                return Some(Verdict::refused(UNKNOWN_ITEM, format!("{} is not known here", item.sku)));
            }
            // A SKU may stand on several lines.
            let before = order.items[..n].iter().filter(|other| other.sku == item.sku).map(|other| i128::from(other.qty));
            let wanted = i128::from(item.qty) + before.sum::<i128>();
            let free = self.free(item.sku, books);
            if wanted > free {
                return Some(Verdict::refused(OUT_OF_STOCK, format!("{wanted} pieces of {} asked, {free} in stock", item.sku)));
            }
        }
        None
    }
}

impl Service for Inventory {
    const NAME: &'static str = "inventory";
    const COMMANDS: &'static [CommandName] =
        &[CommandName { name: "inventory.ReserveStock", undo: Some("inventory.ReleaseStock") }];

    fn settle(&mut self, ledger: &impl Ledger, batch: &mut Batch) -> Result<(), LedgerError> {
        self.stock.settle(ledger, batch)
    }

    fn handle(&mut self, call: &Call<'_>, books: &Books, done: &mut Done<'_>) -> Result<Verdict, BodyError> {
        let order: ReserveStock<'_> = call.body()?;
        if let Some(refusal) = self.refusal(&order, books) {
            return Ok(refusal);
        }
        for item in &order.items {
            done.movements.add(item.sku, item.qty);
        }
        self.id.clear();
        self.id.push_str("res-");
        self.id.push_str(order.order_id);
        done.result(&ReserveStockResult { reservation_id: &self.id })?;
        Ok(Verdict::Done)
    }
}
