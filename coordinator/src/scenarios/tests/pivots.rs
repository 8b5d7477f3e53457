//! A pivot in each arm of a choice: each way has its own, and behind the choice all are behind it.

use super::*;

const PAID: &str = "
saga: trip
start: { on: TripBooked, from: trips, key: event.trip_id }
steps:
  - { step: reserve_room, do: hotel.Hold, with: { trip_id: key }, undo: hotel.Drop }
  - step: how_it_is_paid
    switch:
      - if: start.nights > 5
        steps:
          - { step: check_card, do: shop.Check, with: { trip_id: key }, undo: nothing }
          - { step: card, do: shop.Charge, with: { trip_id: key }, pivot: true }
          - { step: receipt, do: mail.Receipt, with: { trip_id: key } }
      - if: start.nights > 1
        steps: [ { step: bill, do: shop.Bill, with: { trip_id: key }, pivot: true } ]
      - else: [ { step: free, do: shop.Free, with: { trip_id: key }, undo: nothing } ]
  - { step: confirm, do: hotel.Confirm, with: { trip_id: key } }
on_stuck: { emit: TripStuck, to: help, with: { at: failure.step } }
";

/// A scenario of so many nights.
fn of(nights: i32, rest: &str) -> String {
    format!("start: {{ trip_id: t-1, nights: {nights} }}\n{rest}")
}

const HELD: &str = "hotel.Hold: succeeded, shop.Check: succeeded, mail.Receipt: succeeded";

#[test]
fn each_arm_undoes_before_its_own_pivot() {
    let world = World::of(PAID);
    for (nights, pivot) in [(9, "shop.Charge"), (2, "shop.Bill")] {
        let answers = format!("answers: {{ {HELD}, {pivot}: {{ refused: NO }} }}\n");
        world.passes(&of(nights, &format!("{answers}then: [ {pivot}, hotel.Drop ]\nnever: [ hotel.Confirm ]\nends: compensated")));
    }
}

#[test]
fn each_arm_is_behind_its_own_pivot() {
    let world = World::of(PAID);
    for (nights, pivot) in [(9, "shop.Charge"), (2, "shop.Bill"), (1, "shop.Free")] {
        let answers = format!("answers: {{ {HELD}, {pivot}: succeeded, hotel.Confirm: {{ refused: NO }} }}\n");
        let then =
            "then: [ emit TripStuck: { at: confirm }, rejected BEHIND_PIVOT ]\nnever: [ hotel.Drop ]\nends: stuck\nstuck: confirm";
        world.passes(&of(nights, &format!("{answers}at: {{ after: 1m, cancel: {{}} }}\n{then}")));
    }
    // What stands behind a pivot in its own arm cannot be undone either.
    let answers =
        "answers: { hotel.Hold: succeeded, shop.Check: succeeded, shop.Charge: succeeded, mail.Receipt: { refused: NO } }\n";
    world.passes(&of(9, &format!("{answers}ends: stuck\nstuck: receipt")));
}

#[test]
fn a_cancel_is_remembered_while_either_pivot_is_asked() {
    let world = World::of(PAID);
    for (nights, pivot) in [(9, "shop.Charge"), (2, "shop.Bill")] {
        let cancel = "at: { after: 5s, cancel: {} }\n";
        let answers =
            |says: &str| format!("answers: {{ {HELD}, {pivot}: [ timeout, {says} ], hotel.Confirm: succeeded }}\n{cancel}");
        let late = format!("then: [ {pivot}, {pivot}, rejected BEHIND_PIVOT, hotel.Confirm ]\nends: completed");
        world.passes(&of(nights, &format!("{}{late}", answers("succeeded"))));
        let back = "then: [ hotel.Drop ]\nnever: [ rejected BEHIND_PIVOT ]\nends: compensated\ncode: CANCELLED";
        world.passes(&of(nights, &format!("{}{back}", answers("{ refused: NO }"))));
    }
}
