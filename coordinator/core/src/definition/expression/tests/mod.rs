//! What expressions give: tables, errors with their reasons, the budget, and cel's own interpreter as an oracle.

mod alone;
mod certainty;
mod dynamic;
mod oracle;
mod wrong;

use std::sync::Arc;

use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::journal::FailureKind;
use ringmaster_schemas::json::transcode;

use super::lower::Lowerer;
use super::scope::{Known, Names, NodeName, Spot, Uses};
use super::*;
use crate::definition::yaml::{Kind, Node as Yaml, Style};

const ORDER: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"order_id","type":"string"},
    {"name":"total","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}},
    {"name":"weight","type":"double"},
    {"name":"count","type":"int"},
    {"name":"paid","type":"boolean"},
    {"name":"note","type":["null","string"],"default":null},
    {"name":"limit","type":["null",{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}],"default":null},
    {"name":"customer","type":["null",{"type":"record","name":"Customer","fields":[
        {"name":"tier","type":"string"},{"name":"since","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"nick","type":["null","string"]}]}]},
    {"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[
        {"name":"sku","type":"string"},{"name":"qty","type":"int"},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}}]}}},
    {"name":"tags","type":{"type":"map","values":"string"}},
    {"name":"placed_at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"status","type":{"type":"enum","name":"Status","symbols":["NEW","OLD"]}},
    {"name":"free","type":"ringmaster.Json"}]}"#;
const RESULT: &str =
    r#"{"type":"record","name":"Score","fields":[{"name":"score","type":"int"},{"name":"by","type":["null","string"]}]}"#;
const VALUE: &str = r#"{"order_id":"ord-1","total":"120.50","weight":2.5,"count":7,"paid":true,"note":null,"limit":"99.90",
    "customer":{"tier":"gold","since":"2024-02-29T23:30:15.250Z","nick":null},
    "items":[{"sku":"a","qty":2,"price":"19.99"},{"sku":"b","qty":1,"price":"5.00"}],
    "tags":{"gift":"yes","lane":"4"},"placed_at":"2030-01-31T12:00:00Z","status":"NEW",
    "free":{"total":120.5,"name":"x","n":3,"money":"19.99","deep":{"list":[1,2,3],"nothing":null,"holes":[1,null,3]},"nothing":null}}"#;

struct World {
    order: Arc<Schema>,
    score: Arc<Schema>,
    start: Vec<u8>,
    pay: Vec<u8>,
}

impl World {
    fn new() -> World {
        let mut schemas = ringmaster_schemas::registry::Schemas::builtin();
        let (order, score) = (schemas.add(ORDER).unwrap(), schemas.add(RESULT).unwrap());
        let (mut start, mut pay) = (Vec::new(), Vec::new());
        transcode(&order, VALUE.as_bytes(), &mut start).unwrap();
        transcode(&score, br#"{"score":80,"by":"me"}"#, &mut pay).unwrap();
        World { order, score, start, pay }
    }

    fn names(&self) -> Names<'static> {
        let step = |name, node| NodeName { name, node, result: Some(self.score.clone()), rule: None };
        let nodes = vec![step("pay", 1), step("score", 2), step("later", 3)];
        Names { nodes, silent: vec![("told", None)], ..super::alone::names(&self.order) }
    }

    fn lower(&self, text: &str) -> Result<lower::Typed, String> {
        self.lower_at(text, Spot { failure: true, ..behind_two() })
    }

    fn lower_at(&self, text: &str, spot: Spot) -> Result<lower::Typed, String> {
        let names = self.names();
        let mut report = Report::new("f", text, 1);
        let node = Yaml { kind: Kind::Scalar(text.into(), Style::Plain), span: 0..text.len() };
        let parsed = Parsed::new(&node, &mut report);
        let typed = Lowerer::lower(&names, &mut report, &mut Uses::default(), spot, &parsed);
        let errors = report.finish().0;
        assert_eq!(typed.is_none(), !errors.is_empty(), "{text}: nothing and no error, or both: {errors:?}");
        let words = |error: &crate::definition::CompileError| match error.hint.as_str() {
            "" => error.message.clone(),
            hint => format!("{} ({hint})", error.message),
        };
        typed.ok_or_else(|| errors.iter().map(words).collect::<Vec<_>>().join("; "))
    }

    /// The value of an expression as text with its type, or why there is none.
    fn show(&self, text: &str) -> String {
        let typed = match self.lower(text) {
            Ok(typed) => typed,
            Err(errors) => return format!("! {errors}"),
        };
        let failure =
            Failure { code: "NO_STOCK".into(), step: "pay".into(), kind: FailureKind::Refused, message: "none left".into() };
        let results = |node: u16| (node == 1).then_some(&*self.pay);
        let budget = Budget::new();
        let environment = Environment {
            key: "ord-1",
            start: &self.start,
            event: &[],
            results: &results,
            item: &|_| None,
            index: 0,
            failure: Some(&failure),
            round: 1,
            now: 1_900_000_000_000,
            started: 1_800_000_000_000,
            budget: &budget,
        };
        let mut machine = Machine::new(&environment);
        let value = machine.eval(&typed.node).map(print);
        machine.settle();
        match value {
            Ok(value) => value,
            Err(fault) => format!("!! {}: {}", fault.code(), fault.message()),
        }
    }

    fn check(&self, table: &[(&str, &str)]) {
        let wrong: Vec<_> = table
            .iter()
            .map(|(text, expected)| (text, self.show(text), expected))
            .filter(|(_, shown, expected)| shown != *expected)
            .collect();
        assert!(wrong.is_empty(), "expression, what it gives, what it should: {wrong:#?}");
    }
}

/// Behind a certain step and one with an `if`.
fn behind_two() -> Spot {
    Spot::at(Known::default().with(1, true).with(2, false))
}

fn print(value: Value<'_>) -> String {
    match value {
        Value::Null => "null".into(),
        Value::List(_) => {
            let mut items = Vec::new();
            value
                .each(&mut |item| {
                    items.push(print(item));
                    Ok(true)
                })
                .unwrap();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => format!(
            "{{{}}}",
            fields.into_iter().map(|(name, value)| format!("{name}: {}", print(value))).collect::<Vec<_>>().join(", ")
        ),
        Value::Raw(raw) => format!("{raw:?}"),
        Value::Double(x) => format!("{x:?}"),
        other => functions::text(&other).unwrap(),
    }
}

#[test]
fn names_and_fields() {
    World::new().check(&[
        ("key", "ord-1"),
        ("start.order_id", "ord-1"),
        ("start.total", "120.50"),
        ("start.status", "NEW"),
        ("start.?customer.?tier.orValue('none')", "gold"),
        ("start.?customer.tier.orValue('none')", "gold"),
        ("start.?customer.?nick.orValue('none')", "none"),
        ("start.?note.orValue('none')", "none"),
        ("start.?limit.orValue(0)", "99.90"),
        ("has(start.note)", "false"),
        ("has(start.customer.tier)", "true"),
        ("has(start.customer) && start.customer.tier == 'gold'", "true"),
        ("has(start.customer) ? start.customer.tier : '-'", "gold"),
        ("!has(start.customer) || start.customer.tier == 'gold'", "true"),
        ("start.customer != null && start.customer.tier == 'gold'", "true"),
        ("start.note == null", "true"),
        ("start.note == 'x'", "false"),
        ("start.?customer.hasValue()", "true"),
        ("steps.pay.score", "80"),
        ("steps.?score.?score.orValue(-1)", "-1"),
        ("has(steps.score)", "false"),
        ("has(steps.pay)", "true"),
        ("has(steps.score) ? steps.score.score : 0", "0"),
        ("has(steps.score.by)", "false"),
        ("failure.code + ' ' + failure.kind", "NO_STOCK refused"),
        ("start.tags.gift", "yes"),
        ("start.tags['lane']", "4"),
        ("start.?tags.?nope.orValue('-')", "-"),
        ("start.tags[?'nope'].orValue('-')", "-"),
        ("start.items[1].sku", "b"),
        ("start.items[?5].?sku.orValue('-')", "-"),
        ("start.free.n * 2", "6"),
        ("start.free.total > 100.5", "true"),
        ("start.free.deep.list[2]", "3"),
        ("start.?free.?nope.orValue(4)", "4"),
        ("has(start.free.nothing)", "false"),
        ("start.free.name + '!'", "x!"),
        ("{'a': start.count, 'b': [1, 2]}.a", "7"),
        ("now - started > duration('14d')", "true"),
        ("start.`count`", "7"),
    ]);
}

#[test]
fn operators() {
    World::new().check(&[
        ("1 + 2 * 3 - 4 / 2", "5"),
        ("7 % 4", "3"),
        ("-start.count", "-7"),
        ("start.total * 2", "241.00"),
        ("start.total + 0.1", "120.60"),
        ("start.total > 120.4 && start.total < 120.6", "true"),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("decimal('0.1') + 0.2", "0.3"),
        ("start.weight * 2", "5.0"),
        ("start.count + 0.5", "7.5"),
        ("start.paid ? 1 : 2", "1"),
        ("start.paid ? 1 : start.total", "1"),
        ("start.paid ? 1.5 : start.total", "1.5"),
        ("start.total == 120.5 && start.total != -1.205e2 && start.total == 1205.0e-1", "true"),
        ("start.total - .5", "120.00"),
        ("start.total-0.5-0.25", "119.75"),
        ("start.total - 5e-1 - 0.25", "119.75"),
        ("'a' < 'b'", "true"),
        ("'a' in ['a', 'b']", "true"),
        ("'gift' in start.tags", "true"),
        ("8 in start.items.map(i, i.qty)", "false"),
        ("[1, 2] + [3]", "[1, 2, 3]"),
        ("[1, 2] == [1, 2]", "true"),
        ("{'a': 1} == {'a': 1}", "true"),
        ("start.items == start.items", "true"),
        ("start.items == start.items.filter(i, true)", "true"),
        ("start.items == start.items.filter(i, i.qty > 1)", "false"),
        ("timestamp('2030-01-31T12:00:00Z') == start.placed_at", "true"),
        ("start.placed_at + duration('1d')", "2030-02-01T12:00:00Z"),
        ("duration('1h30m')", "5400s"),
        ("started < now", "true"),
        // What decides alone decides, even beside an error.
        ("1 / 0 == 1 || true", "true"),
        ("false && 1 / 0 == 1", "false"),
        ("1 / 0 == 1 && false", "false"),
    ]);
}

#[test]
fn loops_and_functions() {
    World::new().check(&[
        ("start.items.exists(i, i.sku == 'b')", "true"),
        ("start.items.all(i, i.qty > 1)", "false"),
        ("start.items.exists_one(i, i.qty == 1)", "true"),
        ("start.items.map(i, i.qty * 2)", "[4, 2]"),
        ("start.items.map(i, i.qty > 1, i.sku)", "[a]"),
        ("start.items.filter(i, i.qty == 1).map(i, i.sku)", "[b]"),
        ("sum(start.items.map(i, i.qty * i.price))", "44.98"),
        ("min(start.items.map(i, i.price)) + max(1, 2)", "7.00"),
        ("max(start.total, 200)", "200"),
        ("start.items.map(i, {'sku': i.sku, 'n': i.qty})", "[{sku: a, n: 2}, {sku: b, n: 1}]"),
        ("[1, 2].map(x, [3, 4].map(y, x * y))", "[[3, 4], [6, 8]]"),
        ("start.tags.exists(t, t == 'gift')", "true"),
        ("[1, 2].exists(x, x / 0 == 1 || x == 2)", "true"),
        ("size(start.items) + size('äöü') + start.order_id.size()", "10"),
        ("start.order_id.startsWith('ord') && start.order_id.endsWith('1') && start.order_id.contains('-')", "true"),
        (
            "round(start.total / 1 == start.total ? 1 : 2, 0)",
            "! a quotient of decimals is rarely exact (say how many digits: div(a, b, 2))",
        ),
        ("div(start.total, 3, 2)", "40.17"),
        ("round(decimal('2.345'), 2)", "2.34"),
        ("decimal('10') * decimal(start.weight)", "25.0"),
        ("int('42') + int(3.9) + int(decimal('1.9'))", "46"),
        ("double(3) / 2.0", "1.5"),
        ("string(start.total) + string(1) + string(true) + string(start.placed_at)", "120.501true2030-01-31T12:00:00Z"),
        ("bucket('customer-7', 100) == bucket('customer-7', 100)", "true"),
        ("' Ab '.trim().upperAscii() + 'X'.lowerAscii()", "ABx"),
        ("'a-b-c'.replace('-', '+')", "a+b+c"),
        ("'a,b'.split(',').join('|')", "a|b"),
        ("'hello'.substring(1, 3) + 'hello'.substring(4)", "elo"),
        ("'hello'.indexOf('l')", "2"),
        ("'hello'.lastIndexOf('l') + 'hello'.lastIndexOf('x')", "2"),
        ("'h\u{e9}llo'.charAt(1) + 'hello'.charAt(5)", "\u{e9}"),
        ("'h\u{e9}llo'.reverse()", "oll\u{e9}h"),
        ("string(bytes('abc')) + string(bytes('abc') == bytes('abc'))", "abctrue"),
        ("'DE-77'.matches('^[A-Z]{2}-[0-9]+$') && !'DE-7a'.matches('^[A-Z]{2}-[0-9]+$')", "true"),
        ("start.free.name.matches('^.')", "true"),
        ("start.placed_at + duration(string(start.count) + 'd') - start.placed_at == duration('7d')", "true"),
        ("start.placed_at.getDayOfWeek()", "4"),
        ("start.placed_at.getHours('+02:00')", "14"),
        ("timestamp('2024-02-29T23:30:00Z').getMonth('+01:00')", "2"),
    ]);
}

#[test]
fn what_fails_at_run_time_says_why() {
    World::new().check(&[
        ("9223372036854775807 + start.count", "!! OVERFLOW: the result does not fit 64 bits"),
        ("start.count / 0", "!! DIVISION_BY_ZERO: divided by zero"),
        ("start.count % (start.count - 7)", "!! DIVISION_BY_ZERO: divided by zero"),
        ("start.total * decimal('9999999999999999999999999999')", "!! OVERFLOW: the product has more than 28 digits"),
        ("start.tags.nope", "!! ABSENT: there is no 'nope'"),
        ("start.free.nope", "!! ABSENT: there is no 'nope'"),
        ("start.free.name.x", "!! TYPE: 'x' is asked of something that is a string"),
        ("start.free.name + 1", "!! TYPE: cannot calculate: the left side is a string, the right side is an int"),
        ("start.free.name > 1", "!! TYPE: cannot compare: the left side is a string, the right side is an int"),
        ("start.items[2].sku", "!! OUT_OF_RANGE: there is no item 2"),
        ("int('x')", "!! TYPE: a text of 1 character is not an int"),
        ("decimal('1,5')", "!! TYPE: a text of 3 characters is not a decimal of at most 28 digits"),
        ("min(start.items.filter(i, false).map(i, i.qty))", "!! ABSENT: the smallest or largest of no items"),
        ("bucket('x', 0)", "!! OUT_OF_RANGE: bucket() needs at least one bucket"),
        ("'abc'.substring(2, 9)", "!! OUT_OF_RANGE: substring() beyond the ends of its text"),
        ("'abc'.charAt(4)", "!! OUT_OF_RANGE: charAt() beyond the ends of its text"),
        ("start.items[start.count].sku", "!! OUT_OF_RANGE: there is no item at this index"),
        ("now + duration(start.free.name) > now", "!! TYPE: a text of 1 character is not a duration, such as 14d or 1h30m"),
        ("start.free.n.matches('x')", "!! TYPE: a string is needed here and it is an int"),
        ("1 / 0 == 1 || false", "!! DIVISION_BY_ZERO: divided by zero"),
    ]);
}

#[test]
fn texts_and_turns_are_bounded() {
    let world = World::new();
    let ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
    let hundred = format!("{ten}.map(a, {ten}.map(b, a * b).size()).size()");
    assert_eq!(world.show(&hundred), "10");
    // Three loops over a list that is itself doubled six times: more than a million nodes.
    let wide = format!("({ten} + {ten} + {ten} + {ten} + {ten} + {ten} + {ten} + {ten} + {ten} + {ten} + {ten})");
    let hostile = format!("{wide}.all(a, {wide}.all(b, {wide}.all(c, a + b + c > 0)))");
    assert_eq!(world.show(&hostile), "!! TOO_EXPENSIVE: the expressions of this turn cost more than 1000000 nodes");
    // A large regular expression looks at many states for each byte: a short text is cheap, and a long one is not looked through.
    let large = |text: &str| format!("{text}.matches('(a?b?c?d?e?f?){{40}}x')");
    assert_eq!(world.show(&large("'abc'")), "false");
    let long = "'0123456789abcdef'.replace('', '0123456789abcdef').replace('', '0123456789abcdef')";
    assert_eq!(world.show(&large(long)), "!! TOO_EXPENSIVE: the expressions of this turn cost more than 1000000 nodes");
    assert_eq!(world.show(&format!("{long}.matches('x$')")), "false");
    let text = "'0123456789abcdef'";
    let grow = |text: &str| format!("{text}.replace('', {text})");
    assert!(world.show(&grow(&grow(&grow(&grow(text))))).starts_with("!! DATA_TOO_BIG"), "a text grows to 64 KiB at most");
    assert_eq!(
        world.show(&format!("'{}' == ''", "x".repeat(2100))),
        "! the expression has 2108 bytes, more than 2048 (divide it into rules)"
    );
}

#[test]
fn deep_expressions_are_refused_and_do_not_overflow_the_stack() {
    std::thread::Builder::new()
        .stack_size(16 * 1024 * 1024)
        .spawn(|| {
            let world = World::new();
            for deep in [
                format!("{}1{}", "(".repeat(900), ")".repeat(900)),
                format!("1{}", "+1".repeat(1000)),
                format!("{}true{}", "!(".repeat(600), ")".repeat(600)),
                format!("start{}", ".a".repeat(900)),
                format!("{}1{}", "[".repeat(900), "]".repeat(900)),
                format!("{}1", "true?1:".repeat(250)),
            ] {
                assert!(world.lower(&deep).is_err(), "{}", &deep[..20]);
            }
        })
        .unwrap()
        .join()
        .unwrap();
}
