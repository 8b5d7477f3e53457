//! Payment: charges and refunds, declined by rule. Money is exact: decimals on the wire, hundredths in the books.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::books::Books;
use crate::glob;
use crate::ledger::{Batch, Ledger, LedgerError};
use crate::service::{BodyError, Call, CommandName, Done, Service, Verdict};

/// Charges above this amount are declined, by default.
pub const DECLINE_ABOVE: i64 = 5_000;
/// Digits behind the point that money has.
const MONEY_SCALE: u32 = 2;

/// Above the limit, or an amount that money does not have.
const CARD_DECLINED: &str = "CARD_DECLINED";
/// By the rule on orders.
const INSUFFICIENT_FUNDS: &str = "INSUFFICIENT_FUNDS";

/// Charges an order, unless a rule declines it.
#[derive(Debug, Clone, PartialEq)]
pub struct Payment {
    /// A charge above this amount, in whatever currency, is refused with `CARD_DECLINED`.
    pub decline_above: Decimal,
    /// A charge of an order whose id matches one of these patterns is refused with `INSUFFICIENT_FUNDS`.
    pub no_funds: Vec<String>,
    id: String,
}

/// `payment.Charge`, and `payment.Refund`, which gives back what was charged.
#[derive(Debug, Deserialize)]
pub struct Charge<'a> {
    /// Which order.
    pub order_id: &'a str,
    /// How much; at most two digits behind the point.
    #[serde(with = "rust_decimal::serde::str")]
    pub amount: Decimal,
    /// ISO 4217.
    pub currency: &'a str,
}

#[derive(Serialize)]
struct ChargeResult<'a> {
    charge_id: &'a str,
}

impl Payment {
    /// With these rules.
    pub fn new(decline_above: Decimal, no_funds: Vec<String>) -> Self {
        Payment { decline_above, no_funds, id: String::new() }
    }

    /// The rules of the demo: charges above [`DECLINE_ABOVE`] are declined.
    pub fn demo() -> Self {
        Payment::new(Decimal::from(DECLINE_ABOVE), Vec::new())
    }

    /// The code by which a charge is declined, if it is: a function of the order and of the rules, and of nothing else.
    pub fn declines(&self, order_id: &str, amount: Decimal) -> Option<&'static str> {
        if amount > self.decline_above {
            return Some(CARD_DECLINED);
        }
        self.no_funds.iter().any(|pattern| glob::matches(pattern, order_id)).then_some(INSUFFICIENT_FUNDS)
    }
}

impl Service for Payment {
    const NAME: &'static str = "payment";
    const COMMANDS: &'static [CommandName] = &[CommandName { name: "payment.Charge", undo: Some("payment.Refund") }];

    fn settle(&mut self, _: &impl Ledger, _: &mut Batch) -> Result<(), LedgerError> {
        Ok(())
    }

    fn handle(&mut self, call: &Call<'_>, _: &Books, done: &mut Done<'_>) -> Result<Verdict, BodyError> {
        let charge: Charge<'_> = call.body()?;
        if let Some(code) = self.declines(charge.order_id, charge.amount) {
            return Ok(Verdict::refused(code, format!("{} {} for {}", charge.amount, charge.currency, charge.order_id)));
        }
        let Some(hundredths) = hundredths(charge.amount) else {
            return Ok(Verdict::refused(CARD_DECLINED, format!("{} {} cannot be charged", charge.amount, charge.currency)));
        };
        done.movements.add(charge.currency, hundredths);
        self.id.clear();
        self.id.push_str("chg-");
        self.id.push_str(charge.order_id);
        done.result(&ChargeResult { charge_id: &self.id })?;
        Ok(Verdict::Done)
    }
}

/// An amount that can be charged, in hundredths: not negative, nothing finer than a hundredth, and within 64 bits.
fn hundredths(amount: Decimal) -> Option<i64> {
    let mut exact = amount;
    exact.rescale(MONEY_SCALE);
    let fits = exact == amount && exact.scale() == MONEY_SCALE && !amount.is_sign_negative();
    fits.then(|| i64::try_from(exact.mantissa()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_or_refused() {
        let of = |text: &str| hundredths(text.parse().unwrap());
        assert_eq!(
            [of("0"), of("1"), of("1.5"), of("0.10"), of("99999999999999.99")],
            [0, 100, 150, 10, 9_999_999_999_999_999].map(Some)
        );
        assert_eq!([of("-1"), of("0.001"), of("1.999"), of("79228162514264337593543950335")], [None; 4]);
    }

    #[test]
    fn rules_decline_by_amount_then_by_order() {
        let rules = Payment::new("100.00".parse().unwrap(), vec!["*13".into()]);
        let of = |order, amount: &str| rules.declines(order, amount.parse().unwrap());
        assert_eq!(of("ord-1", "100.00"), None);
        assert_eq!(of("ord-1", "100.01"), Some("CARD_DECLINED"));
        assert_eq!(of("ord-13", "100.01"), Some("CARD_DECLINED"));
        assert_eq!(of("ord-13", "1"), Some("INSUFFICIENT_FUNDS"));
    }
}
