//! What people are shown has nothing of what a schema calls secret.

use super::*;

pub(super) const GUEST: &str = r#"{"type": "record", "name": "GuestCame", "fields": [
    {"name": "trip_id", "type": "string"},
    {"name": "pin", "type": "string", "secret": true},
    {"name": "method", "default": null, "type": ["null", "string",
        {"type": "record", "name": "Voucher", "fields": [{"name": "code", "type": "string", "secret": true}]}]},
    {"name": "payer", "type": {"type": "record", "name": "Payer", "fields": [
        {"name": "name", "type": "string"},
        {"name": "cards", "type": {"type": "array", "items": {"type": "record", "name": "Card", "fields": [
            {"name": "number", "type": "string", "secret": true}, {"name": "kind", "type": "string"}
        ]}}}
    ]}}
]}"#;

pub(super) const KEEP: &str = r#"{"type": "record", "name": "Keep", "namespace": "shop", "fields": [
    {"name": "trip_id", "type": "string"}, {"name": "name", "type": "string"}, {"name": "card", "type": "string", "secret": true}
]}"#;

#[test]
fn an_approval_shows_no_secret() {
    let world = World::of(
        "
saga: trip
start: { on: GuestCame, from: trips, key: event.trip_id }
steps:
  - step: look
    approval: desk
    show:
      trip_id: key
      pin: start.pin
      begins: start.pin.substring(0, 1) + '..'
      name: start.payer.name
      payer: start.payer
      cards: \"start.payer.cards.map(c, c.number)\"
      kinds: \"start.payer.cards.map(c, c.kind)\"
      has_pin: start.pin != ''
      method: start.?method
    within: 1h
  - { step: confirm, do: hotel.Confirm, undo: nothing, with: { pin: start.pin } }
",
    );
    world.passes(
        "start: { trip_id: t-1, pin: '4711', method: { code: '0815' }, payer: { name: ann, cards: [ { number: '4111', kind: visa } ] } }\nanswers: { hotel.Confirm: succeeded }\n\
         at: { after: 1m, approve: { step: look, by: ann } }\nthen:\n  - approval look: { trip_id: t-1, pin: '***', begins: '***', name: ann, payer: '***', \
         cards: '***', kinds: [ visa ], has_pin: true, method: '***' }\n  - hotel.Confirm: { pin: '4711' }\nends: completed\n",
    );
}

#[test]
fn a_diff_shows_no_secret() {
    let world = World::of(
        "
saga: trip
start: { on: GuestCame, from: trips, key: event.trip_id }
steps:
  - { step: reserve, do: shop.Keep, undo: nothing, with: { trip_id: key, name: start.payer.name, card: \"start.payer.cards[0].number\" } }
",
    );
    let start = "start: { trip_id: t-1, pin: '4711', payer: { name: ann, cards: [ { number: '4111', kind: visa } ] } }\n";
    let rest = "answers: { shop.Keep: succeeded }\nthen: [ shop.Keep: { trip_id: t-2, card: '0' } ]\nends: completed";
    let verdict = world.play(&format!("{start}{rest}"));
    assert!(!verdict.passed(), "another trip was expected");
    let shown = format!("{:?} {} {:?}", verdict.misses, verdict.diff, verdict.story);
    assert!(shown.contains("ann") && shown.contains("***") && !shown.contains("4111"), "{shown}");
}
