//! What sagas are searched by.

use std::sync::Arc;

use expect_test::expect;
use ringmaster_schemas::journal::{SearchKey, SearchValues};
use ringmaster_schemas::names::KEY_BYTES_MAX;

use super::errors::{check, errors};
use super::for_each::{compiled, shown_fields};
use super::*;
use crate::definition::{Budget, Catalog, Definition, DefinitionRecord, Environment, SearchKind, Settings, Verb};

const STEPS: &str = "steps:\n  - { step: one, do: fraud.Score, undo: nothing, with: { order_id: key } }\n";

fn searched(search: &str) -> String {
    saga(&format!("{search}\n{STEPS}"))
}

/// A saga that begins with everything that may be searched, and much that may not.
fn input(search: &str) -> String {
    let fields = "input: { text: string, whole: int, flag: bool, price: decimal(2), note: string?, at: timestamp }";
    format!("saga: x\n{fields}\n{search}\n{STEPS}")
}

#[test]
fn what_is_right_is_without_a_word() {
    let all = "search: { customer: start.customer_id, region: { value: start.region }, count: size(start.items), large: \"decimal(start.total) > 1000\", total: decimal(start.total), id: key }";
    assert_eq!(errors(&searched(all)), "");
    let (definition, _) = compiled(&searched(all));
    let kinds: Vec<_> = definition.search.iter().map(|search| (&*search.name, search.kind)).collect();
    use SearchKind::{Bool, Decimal, Int, Text};
    let known = [("customer", Text), ("region", Text), ("count", Int), ("large", Bool), ("total", Decimal), ("id", Text)];
    assert_eq!(kinds, known);
    assert_eq!(
        shown_fields(&definition.start_kept),
        ["order_id", "customer_id", "region", "total", "items"],
        "what it reads is kept"
    );
    assert_eq!(
        errors(&searched("search: { a: start.region, b: start.region, c: key, d: key, e: key, f: key, g: key, h: key }")),
        ""
    );
    assert_eq!(errors(&searched("rules: { big: size(start.items) > 3 }\nsearch: { big: rules.big }")), "");
    assert_eq!(compiled(&searched("")).0.search.len(), 0);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    check(
        &searched("search: { Customer: start.customer_id, key: key, d: {}, e: { values: key }, f: }"),
        expect![[r#"
            sagas/x.yaml:3:11: error: 'Customer' is not the name of a value
             3 | search: { Customer: start.customer_id, key: key, d: {}, e: { values: key }, f: }
               |           ^^^^^^^^ small letters, digits and _, at most 64, a letter first: 'customer'
            sagas/x.yaml:3:40: error: 'key' is reserved
             3 | search: { Customer: start.customer_id, key: key, d: {}, e: { values: key }, f: }
               |                                        ^^^ reserved are: start, steps, rules, key, event, failure, now, started, index, round, saga
            sagas/x.yaml:3:53: error: 'value' is missing
             3 | search: { Customer: start.customer_id, key: key, d: {}, e: { values: key }, f: }
               |                                                     ^^ value: an expression
            sagas/x.yaml:3:62: error: a value to search by has no 'values'
             3 | search: { Customer: start.customer_id, key: key, d: {}, e: { values: key }, f: }
               |                                                              ^^^^^^ did you mean 'value'?
            sagas/x.yaml:3:78: error: an expression is needed here
             3 | search: { Customer: start.customer_id, key: key, d: {}, e: { values: key }, f: }
               |                                                                              ^ an empty text is "''"
        "#]],
    );
    check(
        &searched("search: { a: start.custome_id, c: steps.one.score, d: failure.code, e: start.items }"),
        expect![[r#"
        sagas/x.yaml:3:20: error: OrderPlaced has no field 'custome_id'
         3 | search: { a: start.custome_id, c: steps.one.score, d: failure.code, e: start.items }
           |                    ^^^^^^^^^^ did you mean 'customer_id'?
        sagas/x.yaml:3:41: error: step 'one' has not run here
         3 | search: { a: start.custome_id, c: steps.one.score, d: failure.code, e: start.items }
           |                                         ^^^ only steps that stand before can be read
        sagas/x.yaml:3:55: error: nothing has failed here
         3 | search: { a: start.custome_id, c: steps.one.score, d: failure.code, e: start.items }
           |                                                       ^^^^^^^ failure can be read in an undo's with, in the steps of a reaction, in on_compensated and in on_stuck
        sagas/x.yaml:3:72: error: a value to search by is a string, an int, a bool or a decimal, and this is list of OrderItem
         3 | search: { a: start.custome_id, c: steps.one.score, d: failure.code, e: start.items }
           |                                                                        ^^^^^^^^^^^ name one of its values
    "#]],
    );
    check(
        &searched("search:"),
        expect![[r#"
        sagas/x.yaml:3:7: error: search is a map, not nothing
         3 | search:
           |       ^ search: { customer: start.customer_id }
    "#]],
    );
    check(
        &searched("search: [ key ]"),
        expect![[r#"
        sagas/x.yaml:3:9: error: search is a map, not a list
         3 | search: [ key ]
           |         ^^^^^^^ search: { customer: start.customer_id }
    "#]],
    );
    check(
        &searched("search: {}"),
        expect![[r#"
        sagas/x.yaml:3:9: error: 'search' is empty
         3 | search: {}
           |         ^^ search: { customer: start.customer_id }
    "#]],
    );
}

#[test]
fn what_is_no_value_is_told_with_its_place() {
    check(
        &searched("search: { a: { value: key, unique: yes }, b: { unique: true }, c: { value: key, unique: [] } }"),
        expect![[r#"
            sagas/x.yaml:3:36: error: unique is true or false
             3 | search: { a: { value: key, unique: yes }, b: { unique: true }, c: { value: key, unique: [] } }
               |                                    ^^^ unique: true
            sagas/x.yaml:3:48: error: 'value' is missing
             3 | search: { a: { value: key, unique: yes }, b: { unique: true }, c: { value: key, unique: [] } }
               |                                                ^^^^^^ value: an expression
            sagas/x.yaml:3:89: error: unique is true or false
             3 | search: { a: { value: key, unique: yes }, b: { unique: true }, c: { value: key, unique: [] } }
               |                                                                                         ^^ unique: true
        "#]],
    );
    check(
        &searched("search: { a: key, b: key, c: key, d: key, e: key, f: key, g: key, h: key, i: key }"),
        expect![[r#"
            sagas/x.yaml:3:75: error: more than 8 values to search by
             3 | search: { a: key, b: key, c: key, d: key, e: key, f: key, g: key, h: key, i: key }
               |                                                                           ^ keep those that people look for; what else a saga began with is shown with it
        "#]],
    );
    check(
        &searched("search: { a: key, a: key }"),
        expect![[r#"
        sagas/x.yaml:3:19: error: 'a' is defined twice
         3 | search: { a: key, a: key }
           |                   ^ it is first on line 3
    "#]],
    );
    check(
        &searched("search: { a: now, b: double(size(start.items)), c: duration('1h'), d: start, e: 'start.?region' }"),
        expect![[r#"
        sagas/x.yaml:3:14: error: a value to search by is a string, an int, a bool or a decimal, and this is timestamp
         3 | search: { a: now, b: double(size(start.items)), c: duration('1h'), d: start, e: 'start.?region' }
           |              ^^^ write string(x)
        sagas/x.yaml:3:22: error: a value to search by is a string, an int, a bool or a decimal, and this is double
         3 | search: { a: now, b: double(size(start.items)), c: duration('1h'), d: start, e: 'start.?region' }
           |                      ^^^^^^^^^^^^^^^^^^^^^^^^^ write string(x)
        sagas/x.yaml:3:52: error: a value to search by is a string, an int, a bool or a decimal, and this is duration
         3 | search: { a: now, b: double(size(start.items)), c: duration('1h'), d: start, e: 'start.?region' }
           |                                                    ^^^^^^^^^^^^^^ write string(x)
        sagas/x.yaml:3:71: error: a value to search by is a string, an int, a bool or a decimal, and this is OrderPlaced
         3 | search: { a: now, b: double(size(start.items)), c: duration('1h'), d: start, e: 'start.?region' }
           |                                                                       ^^^^^ name one of its values
    "#]],
    );
    check(
        &parcel(&searched("search: { a: \"start.cards[0].number\", b: \"start.cards[0].kind\" }")),
        expect![[r#"
        sagas/x.yaml:3:14: error: this is secret, and what is searched is not
         3 | search: { a: "start.cards[0].number", b: "start.cards[0].kind" }
           |              ^^^^^^^^^^^^^^^^^^^^^^^ what is searched is part of indexes and addresses: search by something that is not secret
    "#]],
    );
}

/// The values of a saga that begins with this.
fn values(definition: &Definition, json: &str) -> Result<Vec<String>, String> {
    let mut start = Vec::new();
    ringmaster_schemas::json::transcode(&definition.start_kept, json.as_bytes(), &mut start).expect("it fits");
    let budget = Budget::new();
    let environment = Environment { start: &start, ..Environment::without_saga("ord-1", 7, &budget) };
    let encoded = definition.search_values(&environment).map_err(|error| format!("{}: {}", error.code, error.message))?;
    let text = |SearchKey { definition, name, value }| format!("{definition}.{name}={value}");
    Ok(SearchValues::of(&encoded).keys().map(text).collect())
}

const ORDER: &str = r#"{"order_id":"o","customer_id":"CUSTOMER","region":"EU","total":"19.90","currency":"EUR","items":[]}"#;

#[test]
fn values_are_texts() {
    let search = "search: { customer: start.customer_id, none: \"size(start.items) > 0 ? key : null\", total: decimal(start.total), big: \"decimal(start.total) > 1000\", count: size(start.items), id: key }";
    let (definition, _) = compiled(&searched(search));
    let of = |customer: &str| values(&definition, &ORDER.replace("CUSTOMER", customer));
    let known = ["x.customer=c-7", "x.total=19.90", "x.big=false", "x.count=0", "x.id=ord-1"];
    assert_eq!(of("c-7").expect("values"), known, "what is absent is not there");
    assert_eq!(of("").expect("values")[0], "x.customer=", "an empty text is one");
    assert!(of(&"c".repeat(KEY_BYTES_MAX)).is_ok());
    let too_long = of(&"c".repeat(KEY_BYTES_MAX + 1)).expect_err("too long");
    assert_eq!(too_long, "OUT_OF_RANGE: a value to search by has at most 200 bytes, and this has 201");
    assert_eq!(values(&compiled(&searched("")).0, &ORDER.replace("CUSTOMER", "c-7")), Ok(Vec::new()));
    let (none, _) = compiled(&searched("search: { none: \"size(start.items) > 0 ? key : null\" }"));
    assert_eq!(values(&none, &ORDER.replace("CUSTOMER", "c-7")), Ok(Vec::new()));
}

#[test]
fn sagas_that_others_run_are_searched_by_their_input() {
    let (definition, _) = compiled(&input(
        "search: { text: start.text, whole: start.whole, flag: start.flag, price: start.price, note: start.?note }",
    ));
    let of = |json| values(&definition, json).expect("values");
    let json = r#"{"text":"t","whole":3,"flag":true,"price":"2.50","note":null}"#;
    assert_eq!(of(json), ["x.text=t", "x.whole=3", "x.flag=true", "x.price=2.50"]);
    assert_eq!(of(&json.replace("null", r#""n""#)).last().map(String::as_str), Some("x.note=n"));
}

#[test]
fn one_name_is_one_kind_in_all_versions_of_a_definition() {
    let mut schemas = schemas();
    let mut record =
        |text: &str| DefinitionRecord::of_file(FILE, text, 0, &mut Settings::new(&mut schemas)).expect("it compiles").remove(0);
    let (first, again) = (
        record(&searched("search: { customer: start.customer_id }")),
        record(&searched("search: { customer: key, region: start.region }")),
    );
    let other = record(&searched("search: { region: start.region, customer: { value: size(start.items) } }"));
    let elsewhere = record(&searched("search: { customer: size(start.items) }").replace("saga: x", "saga: y"));
    let mut catalog = Catalog::default();
    for (record, offset) in [(&first, 0), (&again, 1)] {
        catalog.add(record, offset, &mut Settings::new(&mut schemas)).expect("a version");
    }
    let mut told = |record: &DefinitionRecord| -> Vec<String> {
        let definition: Arc<Definition> = catalog.compiled(record, &mut Settings::new(&mut schemas)).expect("it compiles");
        catalog.searched_otherwise(&definition, record).iter().map(ToString::to_string).collect()
    };
    for right in [&first, &again, &elsewhere] {
        assert_eq!(told(right), [""; 0]);
    }
    expect![[r#"
        sagas/x.yaml:3:43: error: search.customer is int here, and string in version 2, which is deployed
         3 | search: { region: start.region, customer: { value: size(start.items) } }
           |                                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ sagas of both versions are found by one name: give it another name, or the same type"#]].assert_eq(&told(&other).join("\n"));
}

/// What a saga has alone is claimed before its steps, by nodes of their own that no step can be called like.
#[test]
fn what_is_unique_is_claimed_before_all_steps() {
    let text =
        "search: { a: { value: key, unique: true }, b: { value: key, unique: false }, one: { value: start.region, unique: true } }";
    assert_eq!(errors(&searched(text)), "");
    let (definition, _) = compiled(&searched(text));
    let nodes: Vec<_> = definition.nodes.iter().map(|node| (&*node.name, matches!(node.verb, Verb::Claim(_)))).collect();
    assert_eq!(nodes, [("", false), ("search.a", true), ("search.one", true), ("one", false)]);
    let alone: Vec<_> = definition.search.iter().map(|search| search.unique).collect();
    assert_eq!((alone, definition.has_claims), (vec![true, false, true], true));
    assert!(!compiled(&searched("search: { a: key }")).0.has_claims);
}

#[test]
fn a_key_and_a_role_are_not_secret() {
    let text = parcel(
        "saga: x\nstart: { on: OrderPlaced, from: orders, key: event.order_id }\nsteps:\n  - { step: a, approval: { role: \"start.cards[0].number\" }, within: 1h }\n  \
         - { step: b, emit: Told, to: told, key: \"start.cards[0].number\", with: { id: key } }\n",
    );
    check(
        &text,
        expect![[r#"
        sagas/x.yaml:4:34: error: this is secret, and a role is not
         4 |   - { step: a, approval: { role: "start.cards[0].number" }, within: 1h }
           |                                  ^^^^^^^^^^^^^^^^^^^^^^^ who may answer is shown to people: name a role that is not secret
        sagas/x.yaml:5:43: error: this is secret, and a key is not
         5 |   - { step: b, emit: Told, to: told, key: "start.cards[0].number", with: { id: key } }
           |                                           ^^^^^^^^^^^^^^^^^^^^^^^ keys are part of ids, logs and records: let it be known by something that is not secret
    "#]],
    );
}
