//! Shipping: slots per region, shipments. It is the pivot of the demo's saga: nothing undoes it.

use serde::{Deserialize, Serialize};

use super::{ITEMS_MAX, Item};
use crate::books::{Books, Endowment};
use crate::ledger::{Batch, Ledger, LedgerError};
use crate::service::{BodyError, Call, CommandName, Done, Service, Verdict};

/// A region that is not delivered to, by default.
pub const REFUSED_REGION: &str = "ATLANTIS";
/// Shipments that every region takes, by default: more than any test sends.
pub const SLOTS_DEFAULT: i64 = 1_000_000_000;

/// The carrier does not go there, or takes no such parcel.
const ADDRESS_REFUSED: &str = "ADDRESS_REFUSED";
/// The region is full.
const NO_SLOT: &str = "NO_SLOT";

/// Ships an order, one slot of its region each.
#[derive(Debug, Clone)]
pub struct Shipping {
    slots: Endowment,
    refused_regions: Vec<String>,
    id: String,
}

/// `shipping.Ship`.
#[derive(Debug, Deserialize)]
pub struct Ship<'a> {
    /// Which order.
    pub order_id: &'a str,
    /// Where to.
    pub region: &'a str,
    /// What.
    #[serde(borrow)]
    pub items: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct ShipResult<'a> {
    tracking: &'a str,
}

impl Shipping {
    /// With these slots (unless the ledger says otherwise); addresses in `refused_regions` are refused with `ADDRESS_REFUSED`.
    pub fn new(slots: Endowment, refused_regions: Vec<String>) -> Self {
        Shipping { slots, refused_regions, id: String::new() }
    }

    /// The rules of the demo: everywhere but [`REFUSED_REGION`].
    pub fn demo() -> Self {
        let slots = Endowment { default: SLOTS_DEFAULT, ..Endowment::default() };
        Shipping::new(slots, vec![REFUSED_REGION.to_owned()])
    }
}

impl Service for Shipping {
    const NAME: &'static str = "shipping";
    const COMMANDS: &'static [CommandName] = &[CommandName { name: "shipping.Ship", undo: None }];

    fn settle(&mut self, ledger: &impl Ledger, batch: &mut Batch) -> Result<(), LedgerError> {
        self.slots.settle(ledger, batch)
    }

    fn handle(&mut self, call: &Call<'_>, books: &Books, done: &mut Done<'_>) -> Result<Verdict, BodyError> {
        let order: Ship<'_> = call.body()?;
        if self.refused_regions.iter().any(|refused| refused == order.region) {
            return Ok(Verdict::refused(ADDRESS_REFUSED, format!("nothing is delivered to {}", order.region)));
        }
        if order.items.is_empty() || order.items.len() > ITEMS_MAX {
            return Ok(Verdict::refused(ADDRESS_REFUSED, format!("{} items, 1 to {ITEMS_MAX} are taken", order.items.len())));
        }
        if i128::from(self.slots.of(order.region)) <= books.net_units(order.region) {
            return Ok(Verdict::refused(NO_SLOT, format!("no slot is left for {}", order.region)));
        }
        done.movements.add(order.region, 1);
        self.id.clear();
        self.id.push_str("trk-");
        self.id.push_str(order.order_id);
        done.result(&ShipResult { tracking: &self.id })?;
        Ok(Verdict::Done)
    }
}
