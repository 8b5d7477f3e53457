//! What a saga keeps, and the bodies that are made of it.

use ringmaster_schemas::avro::{Resolver, Schema};
use ringmaster_schemas::journal::{Encoding, Failure, FailureKind, Phase};
use ringmaster_schemas::json::{render, transcode};

use expect_test::expect;

use super::errors::check;
use super::*;
use crate::definition::{Budget, Definition, Do, Environment, Participant, Settings, Template, Undo, compile};

fn environment_of<'a>(
    start: &'a [u8],
    results: &'a dyn Fn(u16) -> Option<&'a [u8]>,
    failure: Option<&'a Failure>,
    budget: &'a Budget,
) -> Environment<'a> {
    Environment {
        key: "ord-1",
        start,
        event: &[],
        results,
        item: &|_| None,
        index: 0,
        failure,
        round: 1,
        now: 1_900_000_000_000,
        started: 1_800_000_000_000,
        budget,
    }
}

fn avro(schema: &Schema, json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    transcode(schema, json.as_bytes(), &mut out).unwrap();
    out
}

fn shown(schema: &Schema, bytes: &[u8]) -> String {
    schema.validate(bytes).unwrap();
    let mut json = String::new();
    render(schema, schema.root(), bytes, &mut json).unwrap();
    json
}

/// The start event's bytes as the state keeps them.
fn kept(definition: &Definition, json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let resolver = Resolver::new(definition.starts[0].reader.clone(), definition.start_kept.clone()).unwrap();
    resolver.resolve(&avro(&definition.starts[0].reader, json), &mut out).unwrap();
    out
}

const PLACED: &str = r#"{"order_id":"ord-1","customer_id":"c1","region":"EU","total":"120.50","currency":"EUR","items":[{"sku":"a","qty":2},{"sku":"b","qty":1}]}"#;

#[test]
fn a_saga_keeps_only_what_its_expressions_read() {
    let mut schemas = schemas();
    let definition = compile(FILE, &order(), &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let start = &definition.starts[0];
    let names: Vec<&str> = start.kept.fields(start.kept.root()).iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["order_id", "region", "total", "currency", "items"], "customer_id and placed_at are read by nothing");
    assert!(definition.nodes[1].kept().is_none() && definition.nodes[2].kept().is_none() && definition.nodes[3].kept().is_some());
    assert_eq!(schemas.by_key(start.kept.key()).map(|known| known.name()), Some("OrderPlaced"), "stored bytes name their schema");

    let text = step(
        "    with: { order_id: key }\n    undo: nothing\n  - { step: two, if: steps.one.score > 3, do: fraud.Score, with: { order_id: key }, undo: nothing }\n",
    );
    let mut schemas = self::schemas();
    let definition = compile(FILE, &text, &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let result = definition.nodes[1].kept().unwrap();
    let bytes = avro(result, r#"{"score":4}"#);
    assert_eq!(bytes, [8], "one int and nothing else");
    let start = kept(&definition, PLACED);
    let budget = Budget::new();
    let results = |node: u16| (node == 1).then_some(&bytes[..]);
    let condition = definition.nodes[2].condition.as_ref().unwrap();
    assert_eq!(condition.truth(&environment_of(&start, &results, None, &budget)), Ok(true));
    let nothing = |_| None;
    let error = condition.truth(&environment_of(&start, &nothing, None, &budget)).unwrap_err();
    assert_eq!((error.code, error.place.as_str()), ("TYPE", "sagas/x.yaml:8:22"));
}

fn asks(definition: &Definition, node: u16) -> &Do {
    definition.step(node).unwrap().asks
}

fn rendered(template: &Template, environment: &Environment<'_>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    template.render(environment, &mut out).unwrap();
    out.split_off(6)
}

#[test]
fn bodies_are_rendered_in_their_final_encoding() {
    let mut schemas = schemas();
    let definition = compile(FILE, &order(), &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let start = kept(&definition, PLACED);
    let ship = avro(definition.nodes[3].kept().unwrap(), r#"{"tracking":"T1"}"#);
    let results = |node: u16| (node == 3).then_some(&ship[..]);
    let failure = Failure { code: "NO_SLOT".into(), step: "ship".into(), kind: FailureKind::Refused, message: "".into() };
    let budget = Budget::new();
    let environment = environment_of(&start, &results, Some(&failure), &budget);
    let body = |name: &str, template: &Template| shown(schemas.named(name).unwrap(), &rendered(template, &environment));
    let step = |index: u16| asks(&definition, index + 1).call.body.as_ref().unwrap();
    assert_eq!(
        body("inventory.ReserveStock", step(0)),
        r#"{"order_id":"ord-1","items":[{"sku":"a","qty":2},{"sku":"b","qty":1}]}"#
    );
    assert_eq!(body("payment.Charge", step(1)), r#"{"order_id":"ord-1","amount":"120.50","currency":"EUR"}"#);
    assert_eq!(
        body("shipping.Ship", step(2)),
        r#"{"order_id":"ord-1","region":"EU","items":[{"sku":"a","qty":2},{"sku":"b","qty":1}]}"#
    );
    assert_eq!(body("OrderFulfilled", &definition.on_completed[0].body), r#"{"order_id":"ord-1","tracking":"T1"}"#);
    assert_eq!(body("OrderCancelled", &definition.on_compensated[0].body), r#"{"order_id":"ord-1","reason":"NO_SLOT"}"#);
    assert!(
        matches!(&asks(&definition, 1).undo, Undo::Command { call, .. } if call.body.is_none()),
        "the do's body, byte for byte"
    );
    assert_eq!(
        definition.steps().map(|step| step.node.phase).collect::<Vec<_>>(),
        [Phase::Compensatable, Phase::Compensatable, Phase::Pivot]
    );
    assert!(budget.left() < 1_000_000 && budget.left() > 999_900, "a turn's expressions share one budget");
}

#[test]
fn json_participants_get_json_and_money_stays_text() {
    let text = saga(
        "steps:\n  - step: typed\n    do: payment.Charge\n    with: { order_id: key, amount: start.total, currency: start.currency }\n    undo: fraud.Forget\n  - step: free\n    do: legacy.Call\n    with: { id: key, total: start.total, twice: start.total * 2, first: \"start.items[0]\", tags: [ key, 1 ], none: start.placed_at, deep: { n: 3 }, got: steps.typed.charge_id }\n    undo: nothing\n",
    );
    let mut schemas = schemas();
    let mut settings = Settings::new(&mut schemas);
    for name in ["payment", "legacy"] {
        settings.participants.insert(name.into(), Participant { encoding: Encoding::Json, ..Participant::default() });
    }
    let definition = compile(FILE, &text, &mut settings).unwrap().remove(0);
    let start = kept(&definition, PLACED);
    let charged = avro(definition.nodes[1].kept().unwrap(), r#"{"charge_id":"c-7"}"#);
    let results = |node: u16| (node == 1).then_some(&charged[..]);
    let budget = Budget::new();
    let environment = environment_of(&start, &results, None, &budget);
    let body =
        |index: u16| String::from_utf8(rendered(asks(&definition, index + 1).call.body.as_ref().unwrap(), &environment)).unwrap();
    assert_eq!(body(0), r#"{"order_id":"ord-1","amount":"120.50","currency":"EUR"}"#);
    assert_eq!(
        body(1),
        r#"{"id":"ord-1","total":"120.50","twice":"241.00","first":{"sku":"a","qty":2},"tags":["ord-1",1],"none":null,"deep":{"n":3},"got":"c-7"}"#
    );
    // The undo's participant takes Avro and has fewer fields: its body is made of the do's.
    let Undo::Command { call, .. } = &asks(&definition, 1).undo else { panic!() };
    assert_eq!(
        shown(schemas.named("fraud.Forget").unwrap(), &rendered(call.body.as_ref().unwrap(), &environment)),
        r#"{"order_id":"ord-1"}"#
    );
}

#[test]
fn an_event_without_a_schema_is_read_as_it_comes() {
    let text = "saga: x\nstart: { on: Unheard, from: in, key: event.id, if: event.total > 99.5 }\nsteps:\n  - { step: pay, do: payment.Charge, with: { order_id: string(start.id), amount: start.total, currency: start.?currency.orValue('EUR') }, undo: payment.Refund }\n";
    let mut schemas = schemas();
    let definition = compile(FILE, text, &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let event = |json: &str| avro(&definition.starts[0].reader, json);
    let nothing = |_| None;
    let budget = Budget::new();
    let good = event(r#"{"id":17,"total":100.25,"more":[1]}"#);
    let environment = environment_of(&good, &nothing, None, &budget);
    assert_eq!(definition.starts[0].key.as_ref().unwrap().text(&environment).unwrap(), "17");
    assert!(definition.starts[0].condition.as_ref().unwrap().truth(&environment).unwrap());
    let body = rendered(asks(&definition, 1).call.body.as_ref().unwrap(), &environment);
    assert_eq!(shown(schemas.named("payment.Charge").unwrap(), &body), r#"{"order_id":"17","amount":"100.25","currency":"EUR"}"#);
    for (bad, code) in [(r#"{"id":1,"total":"x"}"#, "TYPE"), (r#"{"id":1}"#, "ABSENT"), (r#"{"id":1,"total":1.005}"#, "TYPE")] {
        let (bad, nothing) = (event(bad), |_| None);
        let environment = environment_of(&bad, &nothing, None, &budget);
        let mut out = vec![1, 2, 3];
        let error = asks(&definition, 1).call.body.as_ref().unwrap().render(&environment, &mut out).unwrap_err();
        assert_eq!((error.code, &out[..]), (code, &[1, 2, 3][..]), "{error}");
    }
}

#[test]
fn rules_inside_loops_have_items_of_their_own() {
    let text = saga(
        "rules:\n  pieces: sum(start.items.map(x, x.qty))\n  most: start.items.filter(x, x.qty == max(start.items.map(y, y.qty)))\nsteps:\n  - step: a\n    do: inventory.ReserveStock\n    with: { order_id: key, items: \"start.items.filter(i, i.qty < rules.pieces && rules.most.exists(m, m.sku != i.sku))\" }\n    undo: nothing\n",
    );
    let mut schemas = schemas();
    let definition = compile(FILE, &text, &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let (start, nothing, budget) = (kept(&definition, PLACED), |_| None, Budget::new());
    let body = rendered(asks(&definition, 1).call.body.as_ref().unwrap(), &environment_of(&start, &nothing, None, &budget));
    let shown = shown(schemas.named("inventory.ReserveStock").unwrap(), &body);
    assert_eq!(shown, r#"{"order_id":"ord-1","items":[{"sku":"b","qty":1}]}"#);
}

/// A table gives one type: a whole number beside money is money, and stays text in JSON, whichever row it comes from.
#[test]
fn a_tables_numbers_are_of_one_type() {
    let text = saga(
        "rules:\n  fee:\n    - { if: start.total > 5, then: 7 }\n    - { else: start.total }\nsteps:\n  - { step: a, do: legacy.Call, with: { fee: rules.fee }, undo: nothing }\n",
    );
    let mut schemas = schemas();
    let mut settings = Settings::new(&mut schemas);
    settings.participants.insert("legacy".into(), Participant { encoding: Encoding::Json, ..Participant::default() });
    let definition = compile(FILE, &text, &mut settings).unwrap().remove(0);
    let (start, nothing, budget) = (kept(&definition, PLACED), |_| None, Budget::new());
    let body = rendered(asks(&definition, 1).call.body.as_ref().unwrap(), &environment_of(&start, &nothing, None, &budget));
    assert_eq!(String::from_utf8(body).unwrap(), r#"{"fee":"7"}"#);
}

/// An undo gets the do's body byte for byte only where these bytes mean the same there.
#[test]
fn an_undo_in_another_encoding_has_a_body_of_its_own() {
    let text = saga("steps:\n  - step: a\n    do: fraud.Forget\n    with: { order_id: key }\n    undo: memo.Forget\n");
    for (encoding, body) in [(Encoding::Avro, None), (Encoding::Json, Some(r#"{"order_id":"ord-1"}"#))] {
        let mut schemas = schemas();
        let memo = r#"{"type":"record","name":"Forget","namespace":"memo","fields":[{"name":"order_id","type":"string"}]}"#;
        schemas.add(memo).unwrap();
        let mut settings = Settings::new(&mut schemas);
        settings.participants.insert("memo".into(), Participant { encoding, ..Participant::default() });
        let definition = compile(FILE, &text, &mut settings).unwrap().remove(0);
        let (start, nothing, budget) = (kept(&definition, PLACED), |_| None, Budget::new());
        let environment = environment_of(&start, &nothing, None, &budget);
        let Undo::Command { call, .. } = &asks(&definition, 1).undo else { panic!() };
        let own = call.body.as_ref().map(|body| String::from_utf8(rendered(body, &environment)).unwrap());
        assert_eq!(own.as_deref(), body, "{encoding:?}");
    }
}

#[test]
fn a_record_that_holds_itself_is_given_to_another_one() {
    let pack = |what: &str| {
        parcel(&saga(&format!("steps:\n  - {{ step: pack, do: fraud.Bundle, undo: nothing, with: {{ crates: {what} }} }}\n")))
    };
    check(&pack("start.boxes"), expect![[""]]);
    check(
        &pack("start.bags"),
        expect![[r#"
            sagas/x.yaml:4:68: error: crates: items: inside: this may be absent, and the field needs a value
             4 |   - { step: pack, do: fraud.Bundle, undo: nothing, with: { crates: start.bags } }
               |                                                                    ^^^^^^^^^^ make each item what is wanted: x.map(y, { 'FIELD': y.FIELD })
        "#]],
    );
}
