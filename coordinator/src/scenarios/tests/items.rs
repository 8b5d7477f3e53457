//! Scenarios of sagas with items: whose an answer is, and in which order things happen.

use super::World;

const BULK: &str = "
saga: trip
start: { on: TripBooked, from: trips, key: event.trip_id }
steps:
  - step: guests
    for_each: start.guests
    as: guest
    at_once: 20
    steps:
      - { step: check, if: guest.minor, approval: parent }
      - { step: bed, do: hotel.Bed, undo: hotel.NoBed, with: { number: index, name: guest.name } }
  - { step: pay, do: shop.Pay, undo: nothing, with: { trip_id: key } }
";

fn start(guests: usize, minor: bool) -> String {
    let guests: Vec<String> = (0..guests).map(|number| format!("{{ name: g{number}, minor: {minor} }}")).collect();
    format!("start: {{ trip_id: t-1, guests: [ {} ] }}\n", guests.join(", "))
}

fn beds(command: &str, numbers: impl Iterator<Item = usize>) -> String {
    numbers.map(|number| format!("  - {command}: {{ number: {number} }}\n")).collect()
}

/// A yes is for the first item that asks, by its number and not by the letters of its id.
#[test]
fn an_approval_of_items_is_answered_item_by_item() {
    let yes: Vec<String> = (1..=12).map(|hours| format!("{{ after: {hours}h, approve: check }}")).collect();
    World::of(&BULK.replace("approval: parent", "approval: parent, within: 2d")).passes(&format!(
        "{}answers: {{ hotel.Bed: succeeded, shop.Pay: succeeded }}\nat: [ {} ]\nthen:\n{}ends: completed\n",
        start(12, true),
        yes.join(", "),
        beds("hotel.Bed", 0..12)
    ));
}

/// A list of answers is used up over all items, and what is undone is undone from the last item back.
#[test]
fn answers_go_on_from_item_to_item() {
    let beds = beds("hotel.Bed", 0..12) + &beds("hotel.NoBed", (0..12).rev());
    World::of(BULK).passes(&format!(
        "{}answers: {{ hotel.Bed: succeeded, shop.Pay: {{ refused: NO_MONEY }} }}\nthen:\n{beds}ends: compensated\n",
        start(12, false)
    ));
    // The second item's attempt is awaited meanwhile.
    World::of(BULK).passes(&format!(
        "{}answers: {{ hotel.Bed: [ succeeded, timeout, {{ refused: FULL }} ] }}\nthen:\n  - hotel.NoBed: {{ number: 0 }}\n  \
         - hotel.NoBed: {{ number: 1 }}\nnever: [ hotel.NoBed: {{ number: 2 }}, shop.Pay ]\nends: compensated\ncode: FULL\n",
        start(3, false)
    ));
}
