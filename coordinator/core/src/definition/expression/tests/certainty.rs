//! What the checker accepts is there: random expressions of everything that makes something certain, evaluated on records with each
//! optional field absent in turn, and with steps that were skipped.

use fastrand::Rng;

use super::super::scope::{Rule, RuleBody, facts, lasting_rule};
use super::*;

const ORDER: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"string"},
    {"name":"note","type":["null","string"],"default":null},
    {"name":"customer","type":["null",{"type":"record","name":"Customer","fields":[
        {"name":"tier","type":"string"},
        {"name":"nick","type":["null","string"],"default":null},
        {"name":"home","type":["null",{"type":"record","name":"Address","fields":[
            {"name":"city","type":"string"},{"name":"street","type":["null","string"],"default":null}]}],"default":null}]}],"default":null},
    {"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[
        {"name":"sku","type":"string"},{"name":"gift","type":["null","string"],"default":null}]}}}]}"#;
const RESULT: &str = r#"{"type":"record","name":"Result","fields":[
    {"name":"by","type":"string"},{"name":"why","type":["null","string"],"default":null}]}"#;

/// Records with everything, and with each optional field absent.
const ORDERS: [&str; 8] = [
    r#"{"id":"a","note":"n","customer":{"tier":"t","nick":"k","home":{"city":"c","street":"s"}},"items":[{"sku":"x","gift":"g"},{"sku":"y"}]}"#,
    r#"{"id":"a","customer":{"tier":"t","nick":"k","home":{"city":"c","street":"s"}},"items":[{"sku":"x","gift":"g"}]}"#,
    r#"{"id":"a","note":"n","items":[{"sku":"x","gift":"g"}]}"#,
    r#"{"id":"a","note":"n","customer":{"tier":"t","home":{"city":"c","street":"s"}},"items":[{"sku":"x","gift":"g"}]}"#,
    r#"{"id":"a","note":"n","customer":{"tier":"t","nick":"k"},"items":[{"sku":"x","gift":"g"}]}"#,
    r#"{"id":"a","note":"n","customer":{"tier":"t","nick":"k","home":{"city":"c"}},"items":[{"sku":"x"}]}"#,
    r#"{"id":"a","note":"n","customer":{"tier":"t","nick":"k","home":{"city":"c","street":"s"}},"items":[]}"#,
    r#"{"id":"a","items":[{"sku":"x"},{"sku":"y","gift":"g"}]}"#,
];
const RESULTS: [&str; 2] = [r#"{"by":"b","why":"w"}"#, r#"{"by":"b"}"#];

/// Paths to texts; inside a loop also the item's.
const PATHS: [&[&str]; 12] = [
    &["start", "id"],
    &["start", "note"],
    &["start", "customer", "tier"],
    &["start", "customer", "nick"],
    &["start", "customer", "home", "city"],
    &["start", "customer", "home", "street"],
    &["steps", "pay", "by"],
    &["steps", "pay", "why"],
    &["steps", "score", "by"],
    &["steps", "score", "why"],
    &["i", "sku"],
    &["i", "gift"],
];

struct Maker {
    random: Rng,
    /// Rules that may be named: only earlier ones, so that none needs itself.
    rules: usize,
    looping: bool,
}

impl Maker {
    fn path(&mut self) -> &'static [&'static str] {
        let count = if self.looping { PATHS.len() } else { PATHS.len() - 2 };
        PATHS[self.random.usize(..count)]
    }

    /// A path, some of its dots with a question mark.
    fn reached(&mut self, path: &[&str]) -> String {
        let mut text = path[0].to_owned();
        for name in &path[1..] {
            text += if self.random.u32(0..5) == 0 { ".?" } else { "." };
            text += name;
        }
        text
    }

    fn text(&mut self, depth: u32) -> String {
        let kind = if depth == 0 { self.random.u32(0..4) } else { self.random.u32(0..9) };
        let d = depth.saturating_sub(1);
        match kind {
            0..=2 => {
                let path = self.path();
                self.reached(path)
            }
            3 => {
                let path = self.path();
                format!("{}.orValue('-')", self.reached(path))
            }
            4 => format!("({} + {})", self.text(d), self.text(d)),
            5 if self.rules > 1 => format!("rules.r{}", 1 + 2 * self.random.usize(..self.rules / 2)),
            _ => format!("({} ? {} : {})", self.truth(d), self.text(d), self.text(d)),
        }
    }

    fn truth(&mut self, depth: u32) -> String {
        let d = depth.saturating_sub(1);
        match if depth == 0 { self.random.u32(0..4) } else { self.random.u32(0..11) } {
            0 => {
                let path = self.path();
                format!("has({})", path[..self.random.usize(2..=path.len())].join("."))
            }
            kind @ (1 | 2) => {
                let path = self.path();
                let part = path[..self.random.usize(if path[0] == "steps" { 3 } else { 2 }..=path.len())].to_vec();
                let whole = self.reached(&part);
                if kind == 1 { format!("{whole} != null") } else { format!("{whole} == null") }
            }
            3 => {
                let path = self.path();
                format!("{}.hasValue()", self.reached(path))
            }
            4 | 5 => format!("({} && {})", self.truth(d), self.truth(d)),
            6 => format!("({} || {})", self.truth(d), self.truth(d)),
            7 => format!("!({})", self.truth(d)),
            8 if self.rules > 0 => format!("rules.r{}", 2 * self.random.usize(..self.rules.div_ceil(2))),
            9 if !self.looping => {
                self.looping = true;
                let inner = self.truth(d);
                self.looping = false;
                format!("start.items.{}(i, {inner})", ["exists", "all"][self.random.usize(..2)])
            }
            _ => format!("({} == {})", self.text(d), self.text(d)),
        }
    }

    /// Conditions and tables by turns.
    fn rules(&mut self) -> Vec<Vec<String>> {
        (0..4)
            .map(|n| {
                self.rules = n;
                if n % 2 == 0 {
                    vec![self.truth(2)]
                } else {
                    (0..5).map(|part| [self.truth(1), self.text(1)][part % 2].clone()).collect()
                }
            })
            .collect()
    }
}

fn parsed(text: &str) -> Parsed {
    let node = Yaml { kind: Kind::Scalar(text.into(), Style::Plain), span: 0..text.len() };
    let parsed = Parsed::new(&node, &mut Report::new("f", text, 1));
    assert!(!parsed.is_unreadable(), "{text}");
    parsed
}

fn rule((index, parts): (usize, &Vec<String>)) -> Rule {
    let parts: Vec<Parsed> = parts.iter().map(|part| parsed(part)).collect();
    let mut parts = parts.into_iter();
    let mut rows = Vec::new();
    let body = loop {
        match (parts.next(), parts.next()) {
            (Some(condition), Some(then)) => rows.push((condition, then)),
            (Some(last), None) if rows.is_empty() => break RuleBody::One(last),
            (Some(last), None) => break RuleBody::Table(rows, last),
            (None, _) => unreachable!("an odd number of parts"),
        }
    };
    Rule { name: format!("r{index}"), body }
}

/// Whether a value is of a type: nothing is absent that may not be.
fn is_of(value: &Value<'_>, ty: &Type) -> bool {
    match (value, ty) {
        (Value::Null, ty) => matches!(ty, Type::Optional(_) | Type::Null),
        (Value::Text(_), ty) => matches!(ty.required().0, Type::Text),
        (Value::Bool(_), ty) => matches!(ty, Type::Bool),
        _ => false,
    }
}

#[test]
fn what_the_checker_accepts_is_never_absent() {
    let mut schemas = ringmaster_schemas::registry::Schemas::builtin();
    let (order, result) = (schemas.add(ORDER).unwrap(), schemas.add(RESULT).unwrap());
    let bytes = |schema: &Schema, json: &str| {
        let mut out = Vec::new();
        transcode(schema, json.as_bytes(), &mut out).unwrap();
        out
    };
    let orders = ORDERS.map(|json| bytes(&order, json));
    let results = RESULTS.map(|json| bytes(&result, json));
    let mut maker = Maker { random: Rng::with_seed(0xab5e), rules: 0, looping: false };
    let (mut accepted, mut refused, mut absences) = (0, 0, 0);
    for round in 0..6_000 {
        let texts = maker.rules();
        let rules: Vec<Rule> = texts.iter().enumerate().map(rule).collect();
        maker.rules = 4;
        let depth = 1 + round % 3;
        let text = if round % 2 == 0 { maker.text(depth) } else { maker.truth(depth) };
        let (condition, source) = (parsed("rules.r0"), parsed(&text));
        let lasting = lasting_rule(&condition, &rules);
        let step = |name, node, rule: Option<&'static str>| NodeName { name, node, result: Some(result.clone()), rule };
        let nodes = vec![step("pay", 1, None), step("score", 2, lasting.map(|_| "r0"))];
        let names = Names { nodes, rules: &rules, ..super::super::alone::names(&order) };
        let mut report = Report::new("f", &text, 1);
        let lower = |parsed, report: &mut Report<'_>| Lowerer::lower(&names, report, &mut Uses::default(), behind_two(), parsed);
        let Some(typed) = lower(&source, &mut report) else {
            refused += 1;
            continue;
        };
        accepted += 1;
        let entered = lasting.and_then(|_| lower(&condition, &mut report));
        for start in &orders {
            for (score, pay) in [(Some(0), 0), (Some(1), 1), (None, 0), (None, 1)] {
                let given =
                    |node: u16| if node == 1 { Some(&results[pay][..]) } else { score.map(|score: usize| &results[score][..]) };
                let budget = Budget::new();
                let nowhere = Environment::without_saga("k", 2, &budget);
                let environment = Environment { start, results: &given, started: 1, ..nowhere };
                // Where the condition of a step is true, that step was not skipped.
                let asked = entered.as_ref().is_some_and(|typed| Machine::new(&environment).truth(&typed.node) == Ok(true));
                if asked && score.is_none() {
                    continue;
                }
                absences += usize::from(score.is_none());
                let value = Machine::new(&environment).eval(&typed.node);
                let of = value.as_ref().is_ok_and(|value| is_of(value, &typed.ty));
                assert!(of, "{text}\n is {} and gives {value:?}\n rules: {texts:#?}\n order: {start:?}", typed.ty);
            }
        }
    }
    assert!(
        accepted > 800 && refused > 800 && absences > 5_000,
        "{accepted} accepted, {refused} refused: too few to mean anything"
    );
}

/// Who writes much knows no more than what is looked for in a moment; what is known twice is noted once.
#[test]
fn facts_are_bounded() {
    let known = |text: &str| {
        let mut out = Vec::new();
        facts(&parsed(text).root, true, &[], &mut out);
        out
    };
    assert_eq!(known("has(start.a.b) && start.a.c != null && has(start.a.b)"), ["start.a.b", "start", "start.a", "start.a.c"]);
    let path = |number: usize| format!("start.p{number}{} != null", ".x".repeat(30));
    let many: Vec<String> = (0..20).map(path).collect();
    assert_eq!(known(&many.join(" && ")).len(), 200);
    assert!(known(&format!("start.{} != null", "long".repeat(60))).is_empty(), "nobody looks for it");
    assert!(known(&format!("start{} != null", ".x".repeat(60))).is_empty(), "a path this deep is refused");
}
