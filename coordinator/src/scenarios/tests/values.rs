//! Scenarios of waits by values: in the saga itself, in items, and in what is run.

use super::World;

/// Two branches that may wait for one parcel, and then a step that waits for the same once more.
const TWICE: &str = "
saga: trip
start: { on: TripBooked, from: trips, key: event.trip_id }
steps:
  - step: bags
    parallel:
      one:
        - { step: first, wait: BagsArrived, from: belts, match: tag == start.one, within: 1d }
      two:
        - step: second
          wait: BagsArrived
          from: belts
          match: tag == start.two
          within: 1d
          on_refused: { VALUE_TAKEN: { steps: [ { step: told, do: mail.Thank, undo: nothing, with: { code: failure.code } } ], next: go_on } }
  - { step: again, wait: BagsArrived, from: belts, match: tag == start.one, within: 1d, on_refused: { EXPIRED: go_on } }
  - { step: pay, do: shop.Pay, undo: nothing, with: { weight: steps.?again.?weight.orValue(0) } }
";

fn event(hours: u32, tag: &str, weight: u32) -> String {
    format!("{{ after: {hours}h, event: {{ BagsArrived: {{ tag: {tag}, weight: {weight} }} }} }}")
}

/// Of two waits of one saga with one value the second is refused, also by a scenario; one behind the first has it again.
#[test]
fn two_waits_with_one_value() {
    let world = World::of(TWICE);
    let answers = "answers: { mail.Thank: succeeded, shop.Pay: succeeded }\n";
    let start = |one: &str, two: &str| format!("start: {{ trip_id: t-1, one: {one}, two: {two} }}\n");
    let at = |events: &[String]| format!("at: [ {} ]\n", events.join(", "));
    world.passes(&format!(
        "{}{answers}{}then: [ mail.Thank: {{ code: VALUE_TAKEN }}, shop.Pay: {{ weight: 4 }} ]\nends: completed\n",
        start("t", "t"),
        at(&[event(1, "t", 3), event(2, "t", 4)])
    ));
    world.passes(&format!(
        "{}{answers}{}then: [ shop.Pay: {{ weight: 5 }} ]\nnever: [ mail.Thank ]\nends: completed\n",
        start("t", "u"),
        at(&[event(1, "u", 3), event(2, "t", 4), event(3, "t", 5)])
    ));
    world.passes(&format!(
        "{}{answers}{}then: [ shop.Pay: {{ weight: 0 }} ]\nends: completed\n",
        start("t", "u"),
        at(&[event(1, "u", 3), event(2, "t", 4)])
    ));
}

const ITEMS: &str = "
saga: trip
start: { on: TripBooked, from: trips, key: event.trip_id }
steps:
  - step: bags
    for_each: start.tags
    as: tag
    at_once: 5
    steps: [ { step: bag, wait: BagsArrived, from: belts, match: tag == string(tag), within: 1d } ]
    result: { weight: steps.bag.weight }
  - { step: pay, do: shop.Pay, undo: nothing, with: { all: steps.bags } }
";

#[test]
fn items_with_values_of_their_own_and_with_one_that_another_has() {
    let world = World::of(ITEMS);
    let at = format!("at: [ {}, {} ]\n", event(1, "b", 2), event(2, "a", 1));
    world.passes(&format!(
        "start: {{ trip_id: t-1, tags: [ a, b ] }}\nanswers: {{ shop.Pay: succeeded }}\n{at}then: [ shop.Pay: {{ all: [ {{ weight: 1 }}, {{ weight: 2 }} ] }} ]\nends: completed\n"
    ));
    world.passes("start: { trip_id: t-1, tags: [ a, a ] }\nnever: [ shop.Pay ]\nends: compensated\ncode: VALUE_TAKEN\n");
}

const RUNS: &str = "
saga: bag
input: { tag: string }
steps:
  - { step: come, wait: BagsArrived, from: belts, match: tag == start.tag, if: event.weight > 0, within: 1d }
result: { weight: int(steps.come.weight) }
---
saga: trip
start: { on: TripBooked, from: trips, key: event.trip_id }
steps:
  - { step: one, run: bag, with: { tag: string(start.one) } }
  - { step: two, run: bag, with: { tag: string(start.two) } }
  - { step: pay, do: shop.Pay, undo: nothing, with: { weight: steps.one.weight + steps.two.weight } }
";

/// An event comes to the sub-saga that waits for its value, also one that came before the saga.
#[test]
fn what_is_run_gets_its_own_events() {
    let world = World::of(RUNS);
    world.passes(&format!(
        "start: {{ trip_id: t-1, one: a, two: b }}\nbefore: {{ BagsArrived: {{ tag: b, weight: 2 }} }}\nanswers: {{ shop.Pay: succeeded }}\nat: [ {}, {} ]\nthen: [ shop.Pay: {{ weight: 5 }} ]\nends: completed\n",
        event(1, "a", 0),
        event(2, "a", 3)
    ));
    world.passes(&format!(
        "start: {{ trip_id: t-1, one: a, two: b }}\nat: [ {} ]\nnever: [ shop.Pay ]\nends: compensated\ncode: EXPIRED\n",
        event(1, "a", 3)
    ));
}
