//! Steps for each item of a list: what they can read, what is kept of them, and what they give.

use std::sync::Arc;

use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::codec::Cursor;
use ringmaster_schemas::json::{render, render_masked, transcode};

use expect_test::expect_file;

use super::errors::errors;
use super::newcomer::told;
use super::*;
use crate::definition::{Budget, Definition, Environment, ForEach, Role, Settings, Verb, compile};
use ringmaster_schemas::journal::Phase;

/// A definition of these steps.
fn steps(steps: &[&str]) -> String {
    saga(&format!("steps:\n{}", steps.iter().map(|step| format!("  - {step}\n")).collect::<String>()))
}

/// A step for each line of the order, which ends so.
fn lines(rest: &str) -> String {
    format!("{{ step: lines, for_each: start.items, as: line, {rest} }}")
}

const SCORE: &str = "steps: [ { step: score, do: fraud.Score, undo: nothing, with: { order_id: line.sku } } ]";

pub(super) fn compiled(text: &str) -> (Definition, Schemas) {
    let mut schemas = schemas();
    let definition = compile(FILE, text, &mut Settings::new(&mut schemas)).unwrap_or_else(|errors| panic!("{errors:#?}")).remove(0);
    (definition, schemas)
}

fn each<'d>(definition: &'d Definition, name: &str) -> (u16, &'d ForEach) {
    let number = definition.names.find(name).unwrap();
    match &definition.nodes[usize::from(number)].verb {
        Verb::ForEach(each) => (number, each),
        other => panic!("{name} is {other:?}"),
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

/// What expressions see: the start event, results, the items around, the innermost's index.
struct Seen<'a> {
    start: &'a [u8],
    results: &'a [(u16, Vec<u8>)],
    items: &'a [(u16, Vec<u8>)],
    index: i64,
}

impl Seen<'_> {
    fn with<T>(&self, run: impl FnOnce(&Environment<'_>) -> T) -> T {
        fn of(all: &[(u16, Vec<u8>)], node: u16) -> Option<&[u8]> {
            all.iter().find(|(known, _)| *known == node).map(|(_, bytes)| &bytes[..])
        }
        run(&Environment {
            key: "ord-1",
            start: self.start,
            event: &[],
            results: &|node| of(self.results, node),
            item: &|each| of(self.items, each),
            index: self.index,
            failure: None,
            round: 1,
            now: 1_900_000_000_000,
            started: 1_800_000_000_000,
            budget: &Budget::new(),
        })
    }
}

/// The items of a list, as JSON.
fn items(each: &ForEach, seen: &Seen<'_>) -> Vec<String> {
    let mut bytes = b"before".to_vec();
    let count = seen.with(|environment| each.list.items(environment, &mut bytes)).unwrap();
    let mut cursor = Cursor::new(&bytes[6..]);
    let items: Vec<String> = (0..count).map(|_| shown(&each.item, cursor.blob().unwrap())).collect();
    cursor.end().unwrap();
    items
}

const PLACED: &str = r#"{"order_id":"ord-1","customer_id":"c1","region":"EU","total":"120.50","currency":"EUR","items":[{"sku":"a","qty":2},{"sku":"b","qty":1}]}"#;

fn start(definition: &Definition) -> Vec<u8> {
    started_by(definition, PLACED)
}

/// What is kept of a start event.
fn started_by(definition: &Definition, event: &str) -> Vec<u8> {
    let whole = avro(&definition.starts[0].reader, event);
    let resolver =
        ringmaster_schemas::avro::Resolver::new(definition.starts[0].reader.clone(), definition.start_kept.clone()).unwrap();
    let mut kept = Vec::new();
    resolver.resolve(&whole, &mut kept).unwrap();
    kept
}

#[test]
fn what_is_right_is_without_a_word() {
    let read = "{ step: all, if: \"size(steps.lines) > 1 && steps.lines.all(s, s.score < 50)\", refuse: TOO_RISKY }";
    let text = steps(&[
        &lines(&format!(
            "at_once: 3, {SCORE}, result: {{ sku: line.sku, at: index, score: steps.score.score, note: steps.score.?note }}"
        )),
        read,
    ]);
    assert_eq!(errors(&text), "");
    let (definition, schemas) = compiled(&text);
    let (number, lines) = each(&definition, "lines");
    assert_eq!((number, lines.at_once), (1, 3));
    let node = &definition.nodes[1];
    assert!(!node.is_scope && matches!(definition.nodes[2].verb, Verb::Sequence(Role::Item)));
    assert_eq!(definition.nodes[3].scope, 1, "what fails in an item fails the item");
    assert_eq!((definition.nodes[3].phase, node.within_ms), (Phase::Compensatable, None));
    assert_eq!(shown_fields(&lines.item), ["sku"], "qty is read by nothing");

    let start = start(&definition);
    let seen = Seen { start: &start, results: &[], items: &[], index: 0 };
    assert_eq!(items(lines, &seen), [r#"{"sku":"a"}"#, r#"{"sku":"b"}"#]);

    let result = lines.result.as_ref().unwrap();
    assert_eq!(shown_fields(&result.schema), ["sku", "at", "score", "note"]);
    let score = definition.nodes[3].kept().unwrap();
    let results = [(3, avro(score, r#"{"score":40,"note":null}"#))];
    let items = [(1, avro(&lines.item, r#"{"sku":"b"}"#))];
    let mut given = Vec::new();
    let seen = Seen { start: &start, results: &results, items: &items, index: 1 };
    seen.with(|environment| result.value.render(environment, &mut given)).unwrap();
    assert_eq!(shown(&result.schema, &given), r#"{"sku":"b","at":1,"score":40,"note":null}"#);

    let mut all = vec![4];
    all.extend([&given[..], &given[..], &[0]].concat());
    let kept = definition.nodes[1].kept().unwrap();
    kept.validate(&all).unwrap();
    for schema in [&lines.item, &result.schema, kept] {
        assert!(schemas.by_key(schema.key()).is_some_and(|known| schemas.is_part(known)), "stored bytes name their schema");
    }
    let condition = definition.nodes[4].condition.as_ref().unwrap();
    let seen = Seen { start: &start, results: &[(1, all)], items: &[], index: 0 };
    assert_eq!(seen.with(|environment| condition.truth(environment)), Ok(true));
}

pub(super) fn shown_fields(schema: &Arc<Schema>) -> Vec<&str> {
    schema.fields(schema.root()).iter().map(|field| &*field.name).collect()
}

#[test]
fn items_inside_items() {
    let inner = "{ step: parts, for_each: \"line.sku.split('-')\", as: part, if: index < 5, steps: [ { step: score, do: fraud.Score, undo: { do: fraud.Score, with: { order_id: part + line.sku } }, with: { order_id: part + string(index) } } ], result: steps.score.score }";
    let text = steps(&[
        &lines(&format!("steps: [ {inner} ], result: \"steps.?parts.orValue([])\"")),
        "{ step: no, if: 'size(steps.lines[0]) > 3', refuse: NO }",
    ]);
    assert_eq!(errors(&text), "");
    let (definition, _) = compiled(&text);
    let ((outer, lines), (number, parts)) = (each(&definition, "lines"), each(&definition, "parts"));
    let scope = |node: u16| definition.nodes[usize::from(node)].scope;
    assert_eq!((scope(outer), scope(number), scope(definition.names.find("score").unwrap())), (0, outer, number));
    let gives = &lines.result.as_ref().unwrap().schema;
    assert_eq!((parts.item.text(), gives.text()), (r#""string""#, r#"{"type":"array","items":"long"}"#));
    let line = [(outer, avro(&lines.item, r#"{"sku":"a-b"}"#))];
    let seen = Seen { start: &start(&definition), results: &[], items: &line, index: 4 };
    assert_eq!(items(parts, &seen), [r#""a""#, r#""b""#]);
    let condition = definition.nodes[usize::from(number)].condition.as_ref().unwrap();
    assert_eq!(seen.with(|environment| condition.truth(environment)), Ok(true), "index is the line's, where the part is not begun");
}

fn masked(schema: &Schema, json: &str) -> String {
    let mut out = String::new();
    render_masked(schema, schema.root(), &avro(schema, json), &mut out).unwrap();
    out
}

#[test]
fn what_is_secret_stays_secret() {
    let cards = "{ step: cards, for_each: \"start.cards.map(c, { 'number': c.number, 'kind': c.kind, 'is_long': size(c.number) > 9 })\", as: card, steps: [ { step: score, do: fraud.Score, undo: nothing, with: { order_id: card.number + card.kind + string(card.is_long) } } ], result: { whole: card, last: \"card.number.substring(1)\", safe: \"{ 'number': card.number, 'kind': [ card.kind ] }\", kind: \"card.number.startsWith('4') ? card.kind : 'none'\", inner: { n: rules.n }, first: \"start.cards.map(c, { 'n': c.number })[0].n\", either: \"index > 1 ? { 'n': 'none' } : { 'n': card.number }\" } }";
    let again = "{ step: again, for_each: steps.cards, as: it, steps: [ { step: rescore, do: fraud.Score, undo: nothing, with: { order_id: it.last + it.safe.number } } ], result: { a: it.last, b: it.kind, c: it.safe.number } }";
    let read = "{ step: no, if: \"steps.cards.exists(c, c.whole.kind + c.safe.kind[0] + c.inner.n == c.kind) || size(steps.again) > 9\", refuse: NO }";
    let text = parcel(&steps(&[cards, again, read]))
        .replace("steps:\n  - { step: cards", "rules: { n: card.number }\nsteps:\n  - { step: cards");
    assert_eq!(errors(&text), "");
    let (definition, _) = compiled(&text);
    let (_, cards) = each(&definition, "cards");
    let card = r#"{"number":"4711","kind":"gold","is_long":false}"#;
    assert_eq!(masked(&cards.item, card), r#"{"number":"***","kind":"gold","is_long":false}"#);
    let gives = &cards.result.as_ref().unwrap().schema;
    let given = format!(
        r#"{{"whole":{card},"last":"711","safe":{{"number":"4711","kind":["gold"]}},"kind":"gold","inner":{{"n":"4711"}},"first":"4711","either":{{"n":"4711"}}}}"#
    );
    assert_eq!(
        masked(gives, &given),
        r#"{"whole":{"number":"***","kind":"gold","is_long":false},"last":"***","safe":{"number":"***","kind":["gold"]},"kind":"gold","inner":{"n":"***"},"first":"***","either":{"n":"***"}}"#
    );
    let all = definition.nodes[usize::from(definition.names.find("cards").unwrap())].kept().unwrap();
    assert!(masked(all, &format!("[{given}]")).contains(r#""last":"***""#), "the list of them too");
    let gives = &each(&definition, "again").1.result.as_ref().unwrap().schema;
    assert_eq!(masked(gives, r#"{"a":"711","b":"gold","c":"4711"}"#), r#"{"a":"***","b":"gold","c":"***"}"#);
}

const BOXES: &str =
    r#"{"id":"p","places":{},"codes":[],"cards":[],"boxes":[{"label":"a","inside":[{"label":"b","inside":[]}]}],"lid":null}"#;

#[test]
fn records_that_hold_themselves() {
    let inner = |more: &str| {
        format!(
            "{{ step: each, for_each: box.inside, as: small, steps: [ {{ step: score, do: fraud.Score, undo: nothing, with: {{ order_id: small.label }} }} ]{more} }}"
        )
    };
    let boxes = format!("{{ step: boxes, for_each: start.boxes, as: box, steps: [ {} ] }}", inner(""));
    let text = parcel(&steps(&[&boxes]));
    assert_eq!(errors(&text), "");
    let (definition, _) = compiled(&text);
    let ((outer, boxes), (_, smaller)) = (each(&definition, "boxes"), each(&definition, "each"));
    let start = started_by(&definition, BOXES);
    let seen = Seen { start: &start, results: &[], items: &[], index: 0 };
    let a = r#"{"label":"a","inside":[{"label":"b","inside":[]}]}"#;
    assert_eq!(items(boxes, &seen), [a], "its label is read by nothing, and that of one in it is");
    let seen = Seen { start: &start, results: &[], items: &[(outer, avro(&boxes.item, a))], index: 0 };
    assert_eq!(items(smaller, &seen), [r#"{"label":"b"}"#]);

    let boxes = format!(
        "{{ step: boxes, for_each: start.boxes, as: box, steps: [ {} ], result: {{ box: box, smaller: steps.each, twice: [ box, \"start.boxes[0]\" ] }} }}",
        inner(", result: { whole: small, lid: start.lid }")
    );
    let read =
        "{ step: no, if: \"steps.boxes.exists(b, size(b.smaller) > 9 || b.box.label == b.twice[0].inside[0].label)\", refuse: NO }";
    let text = parcel(&steps(&[&boxes, read]));
    assert_eq!(errors(&text), "");
    let (definition, _) = compiled(&text);
    let (outer, boxes) = each(&definition, "boxes");
    let (number, smaller) = each(&definition, "each");
    let given = format!(r#"[{{"whole":{a},"lid":null}}]"#);
    let results = [(number, avro(definition.nodes[usize::from(number)].kept().unwrap(), &given))];
    let items = [(outer, avro(&boxes.item, a))];
    let seen = Seen { start: &started_by(&definition, BOXES), results: &results, items: &items, index: 0 };
    let (result, mut bytes) = (boxes.result.as_ref().unwrap(), Vec::new());
    seen.with(|environment| result.value.render(environment, &mut bytes)).unwrap();
    assert_eq!(shown(&result.schema, &bytes), format!(r#"{{"box":{a},"smaller":{given},"twice":[{a},{a}]}}"#));
    assert_eq!(shown_fields(&smaller.result.as_ref().unwrap().schema), ["whole", "lid"]);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    told(&expect_file!["for_each.txt"]);
}
