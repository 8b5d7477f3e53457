//! Fraud: how suspicious an order looks, by its total and by how many orders its customer has placed that day.
//!
//! A question, and yet it carries state: what a customer asked for before counts. An order that is asked about again (a repeat of its
//! command) gets the score that it got, and counts once. Nothing undoes it: in a saga it stands with `undo: nothing`.
//!
//! Without a ledger it scores by the total alone (no orders are known of the day): then any number of members may answer.
//!
//! Every customer is an account of the [`Books`], in memory about a hundred bytes.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::{Deserialize, Serialize};

use crate::books::Books;
use crate::glob;
use crate::ledger::{Batch, Ledger, LedgerError};
use crate::service::{BodyError, Call, CommandName, Done, Service, Verdict};

/// A total of so much, or of more, is as suspicious as a total can be, by default.
pub const LARGE_TOTAL: i64 = 5_000;
/// So many orders of one customer on one day are as suspicious as a number of orders can be, by default.
pub const MANY_ORDERS: u32 = 10;
/// Points that the total makes at most, and the same that the orders of a day make.
const HALF: i64 = 50;

/// Nothing is sold to this customer.
const CUSTOMER_BLOCKED: &str = "CUSTOMER_BLOCKED";

/// Scores orders from 0 to 100.
#[derive(Debug, Clone)]
pub struct Fraud {
    large_total: Decimal,
    many_orders: u32,
    blocked: Vec<String>,
}

/// `fraud.Score`. The order's items are not looked at.
#[derive(Debug, Deserialize)]
pub struct Score<'a> {
    /// Which order.
    pub order_id: &'a str,
    /// Whose.
    pub customer_id: &'a str,
    /// What it costs, in whatever currency.
    #[serde(with = "rust_decimal::serde::str")]
    pub total: Decimal,
}

#[derive(Serialize)]
struct ScoreResult {
    score: i64,
}

impl Fraud {
    /// A total of `large_total` or more makes 50 points, and so do `many_orders` of the customer on the same day before this one;
    /// less makes fewer. Customers that match a pattern of `blocked` (`*` any text, `?` any character) are refused.
    pub fn new(large_total: Decimal, many_orders: u32, blocked: Vec<String>) -> Self {
        Fraud { large_total, many_orders, blocked }
    }

    /// The rules by default: nobody is blocked.
    pub fn demo() -> Self {
        Fraud::new(Decimal::from(LARGE_TOTAL), MANY_ORDERS, Vec::new())
    }

    /// Points of an order of this total, behind so many of the same customer on its day: 0 to 100.
    pub fn score(&self, total: Decimal, orders_before: i128) -> i64 {
        let by_total = match total.checked_mul(Decimal::from(HALF)) {
            _ if total >= self.large_total => HALF,
            // Below a large total, so that it overflows only where the large one is beyond all money.
            None => HALF,
            Some(points) => (points / self.large_total).trunc().to_i64().unwrap_or(HALF).clamp(0, HALF),
        };
        let many = i128::from(self.many_orders);
        let by_orders = if orders_before >= many { HALF } else { (orders_before * i128::from(HALF) / many) as i64 };
        by_total + by_orders
    }
}

impl Service for Fraud {
    const NAME: &'static str = "fraud";
    const COMMANDS: &'static [CommandName] = &[CommandName { name: "fraud.Score", undo: None }];
    const NEEDS_LEDGER: bool = false;

    fn settle(&mut self, _: &impl Ledger, _: &mut Batch) -> Result<(), LedgerError> {
        Ok(())
    }

    fn handle(&mut self, call: &Call<'_>, books: &Books, done: &mut Done<'_>) -> Result<Verdict, BodyError> {
        let order: Score<'_> = call.body()?;
        if self.blocked.iter().any(|pattern| glob::matches(pattern, order.customer_id)) {
            return Ok(Verdict::refused(CUSTOMER_BLOCKED, format!("nothing is sold to {}", order.customer_id)));
        }
        let before = books.units_of_day(order.customer_id, call.first_time);
        done.movements.add(order.customer_id, 1);
        done.result(&ScoreResult { score: self.score(order.total, before) })?;
        Ok(Verdict::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_grow_with_the_total_and_with_the_orders_of_the_day() {
        let rules = Fraud::new("1000.00".parse().unwrap(), 4, Vec::new());
        let of = |total: &str, before| rules.score(total.parse().unwrap(), before);
        assert_eq!(
            [of("0", 0), of("19.99", 0), of("500", 0), of("999.99", 0), of("1000", 0), of("9999999", 0)],
            [0, 0, 25, 49, 50, 50]
        );
        assert_eq!([of("0", 1), of("0", 3), of("0", 4), of("0", 400), of("1000", 9)], [12, 37, 50, 50, 100]);
        assert_eq!([of("-5", 0), of("79228162514264337593543950335", 0)], [0, 50]);
    }

    /// Rules that nobody would write divide by nothing all the same.
    #[test]
    fn rules_of_nothing_suspect_everything() {
        let rules = Fraud::new(Decimal::ZERO, 0, Vec::new());
        assert_eq!(rules.score(Decimal::ZERO, 0), 100);
        assert_eq!(Fraud::new(Decimal::from(-5), 1, Vec::new()).score(Decimal::from(-10), 0), HALF);
        assert_eq!(Fraud::new(Decimal::MAX, 1, Vec::new()).score(Decimal::MAX - Decimal::ONE, 0), 50);
    }
}
