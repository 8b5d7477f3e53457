//! Expressions that stand by themselves, over one record.

use std::sync::Arc;

use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::json;

use crate::definition::compile::Report;
use crate::definition::expression::{Budget, Environment, condition_over, record_over};
use crate::definition::yaml::{self, Node};

fn schema(text: &str) -> Arc<Schema> {
    Schema::parse(text).expect("a schema")
}

fn charge() -> Arc<Schema> {
    schema(
        r#"{"type": "record", "name": "Charge", "fields": [{"name": "amount", "type": "long"},
            {"name": "card", "type": ["null", "string"], "default": null}]}"#,
    )
}

fn node(text: &str) -> Node {
    yaml::load(text).expect("it is YAML").remove(0).root
}

/// Does something with what expressions read over a body.
fn over<T>(body: &str, run: impl FnOnce(&Environment<'_>) -> T) -> T {
    let mut start = Vec::new();
    json::transcode(&charge(), body.as_bytes(), &mut start).expect("a body");
    let budget = Budget::new();
    run(&Environment {
        key: "ord-1",
        start: &start,
        event: &[],
        results: &|_| None,
        item: &|_| None,
        index: 0,
        failure: None,
        round: 1,
        now: 0,
        started: 0,
        budget: &budget,
    })
}

#[test]
fn they_read_the_record_the_key_and_the_time() {
    for (text, is_true) in [
        ("body.amount > 5", true),
        ("body.amount > 7", false),
        ("key == 'ord-1' && now < timestamp('2000-01-01T00:00:00Z')", true),
        ("has(body.card) && body.card == 'x'", false),
        ("\"[1, 7].exists(x, x == body.amount)\"", true),
    ] {
        let mut report = Report::new("f", text, 1);
        let condition = condition_over(&charge(), &node(text), &mut report).unwrap_or_else(|| panic!("{:?}", report.finish().0));
        assert_eq!(over(r#"{"amount": 7}"#, |environment| condition.truth(environment)), Ok(is_true), "{text}");
    }
}

#[test]
fn records_are_made_of_them() {
    let target = schema(r#"{"type": "record", "name": "R", "fields": [{"name": "id", "type": "string"}]}"#);
    let text = "{ id: \"'chg-' + key + '-' + string(body.amount)\" }";
    let mut report = Report::new("f", text, 1);
    let record = record_over(&charge(), &target, &node(text), &mut report).unwrap_or_else(|| panic!("{:?}", report.finish().0));
    let (mut out, mut shown) = (Vec::new(), String::new());
    over(r#"{"amount": 7}"#, |environment| record.render(environment, &mut out)).expect("it is rendered");
    json::render(&target, target.root(), &out, &mut shown).expect("it is valid");
    assert_eq!(shown, r#"{"id":"chg-ord-1-7"}"#);
}

#[test]
fn nothing_of_a_saga_can_be_named() {
    for (text, told) in [
        ("start.amount > 5", "unknown name 'start'"),
        ("event.amount > 5", "unknown name 'event'"),
        ("failure.code == 'X'", "unknown name 'failure'"),
        ("started < now", "unknown name 'started'"),
        ("steps.a.b > 5", "there is no step 'a'"),
        ("rules.a", "there is no rule 'a'"),
        ("body.amont > 5", "Charge has no field 'amont' (did you mean 'amount'?)"),
        ("boddy.amount > 5", "unknown name 'boddy' (did you mean 'body'?)"),
        ("body.amount", "a condition is a bool"),
    ] {
        let mut report = Report::new("f", text, 1);
        assert!(condition_over(&charge(), &node(text), &mut report).is_none(), "{text}");
        let error = report.finish().0.remove(0);
        let found = format!("{} ({})", error.message, error.hint);
        assert!(found.contains(told), "{text}: {found}");
    }
}
