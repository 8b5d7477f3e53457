//! What must be refused: expressions whose parts may be absent although something near them was asked, and whatever could lose a
//! definition without a word.

use super::errors::errors;
use super::*;

/// A definition of an order with rules, a first step under a rule, and a second one.
fn around(rules: &str, first: &str, second: &str) -> String {
    let rules = if rules.is_empty() { String::new() } else { format!("rules:\n{rules}") };
    saga(&format!(
        "{rules}steps:\n  - {{ step: one, do: fraud.Score, with: {{ order_id: key }}, {first} }}\n  - {{ step: two, do: fraud.Score, undo: nothing, with: {{ order_id: key }}, if: \"{second}\" }}\n"
    ))
}

#[test]
fn what_may_be_absent_is_refused() {
    let ends = "undo: nothing";
    let under = "undo: nothing, if: rules.big";
    let at = "start.placed_at.getHours() > 3";
    let table = |rows: &str| format!("  hours:\n{rows}    - {{ else: 0 }}\n");
    let hours = "start.placed_at.getHours()";
    let has = "has(start.placed_at)";
    let cases = [
        // What one side of an `or` says is not certain behind it.
        (String::new(), ends, format!("({has} || start.total > 5) && {at}")),
        (String::new(), ends, format!("(start.total > 5 || {has}) && {at}")),
        (String::new(), ends, format!("(start.placed_at == null || start.total > 5) && {at}")),
        (String::new(), ends, format!("(start.placed_at == null || start.total > 5) ? {at} : true")),
        (String::new(), ends, format!("!({has} && start.total > 5) && {at}")),
        (String::new(), ends, format!("!({has}) && {at}")),
        (String::new(), ends, format!("{has} || {at}")),
        (String::new(), ends, format!("{has} ? true : {at}")),
        (String::new(), ends, format!("{at} && {has}")),
        (String::new(), ends, format!("start.items.all(i, {has}) && {at}")),
        (String::new(), ends, format!("start.items.exists(i, {has}) && {at}")),
        // A row's condition is certain in its own value, and false in the rows behind it.
        (table(&format!("    - {{ if: {has}, then: 1 }}\n    - {{ if: true, then: {hours} }}\n")), ends, "rules.hours > 1".into()),
        (table(&format!("    - {{ if: {has}, then: 1 }}\n    - {{ if: {at}, then: 2 }}\n")), ends, "rules.hours > 1".into()),
        (format!("  hours:\n    - {{ if: {has}, then: 1 }}\n    - {{ else: {hours} }}\n"), ends, "rules.hours > 1".into()),
        (format!("  hours:\n    - {{ if: {has}, then: 1 }}\n    - {{ else: 0 }}\n"), ends, format!("rules.hours > 1 && {at}")),
        (format!("  there: {has}\n"), ends, format!("rules.there || {at}")),
        // Steps: under another rule, under its opposite, in the undo of the step itself.
        ("  big: start.total > 5\n  far: start.total > 6\n".into(), under, "rules.far && steps.one.score > 1".into()),
        ("  big: start.total > 5\n".into(), under, "!rules.big && steps.one.score > 1".into()),
        ("  big: start.total > 5\n".into(), under, "rules.big || steps.one.score > 1".into()),
        (
            "  big: start.total > 5\n".into(),
            "if: rules.big, undo: { do: fraud.Unscore, with: { order_id: key, why: steps.one.big } }",
            "true".into(),
        ),
        ("  big: has(start.placed_at) && now > started\n".into(), under, "rules.big && steps.one.score > 1".into()),
        ("  big: failure.code == ''\n".into(), ends, "rules.big".into()),
    ];
    for (rules, first, second) in cases {
        let text = around(&rules, first, &second);
        let found = errors(&text);
        let absent = ["may be absent", "may have been skipped", "may not have succeeded", "nothing has failed here"];
        assert!(absent.iter().any(|why| found.contains(why)), "{text}\n{found}");
    }
}

#[test]
fn what_is_asked_for_first_is_certain() {
    let at = "start.placed_at.getHours() > 3";
    for (rules, second) in [
        ("", format!("has(start.placed_at) && {at}")),
        ("", format!("!(start.placed_at == null || start.total > 5) && {at}")),
        ("", format!("start.placed_at == null || {at}")),
        ("  big: has(start.placed_at)\n", format!("rules.big && {at}")),
        ("  big: start.total > 5\n", "rules.big && steps.one.score > 1".into()),
        (
            "  big:\n    - { if: start.placed_at == null, then: 0 }\n    - { else: start.placed_at.getHours() }\n",
            "rules.big > 1".into(),
        ),
    ] {
        let under = if second.contains("steps") { "undo: nothing, if: rules.big" } else { "undo: nothing" };
        let text = around(rules, under, &second);
        assert!(!errors(&text).contains("error:"), "{text}\n{}", errors(&text));
    }
}

#[test]
fn a_number_that_does_not_fit_is_an_error_and_loses_nothing() {
    for (expression, message) in [
        ("-(-9223372036854775808) > 0", "the number does not fit 64 bits"),
        ("- -9223372036854775808 > 0", "this is not an expression"),
        ("--9223372036854775808 > 0", ""),
        ("[1, 2].exists(x, x > -(-9223372036854775808))", "the number does not fit 64 bits"),
        ("9223372036854775808 > 0", "this is not an expression"),
        ("-9223372036854775809 > 0", "this is not an expression"),
        ("0x8000000000000000 > 0", "this is not an expression"),
        ("99999999999999999999999999999999999 > 0", "this is not an expression"),
        ("1e999 > 0.0", ""),
        ("-1e999 > 0.0", ""),
        ("start.total > 1e999", ""),
        ("start.total > 1e29", "a number beside a decimal has at most"),
        ("now > started + duration('99999999999999999d')", "a hundred years"),
    ] {
        let rule = errors(&saga(&format!(
            "rules:\n  a: \"{expression}\"\nsteps:\n  - {{ step: one, if: rules.a, do: fraud.Score, with: {{ order_id: key }}, undo: nothing }}\n"
        )));
        let unused = errors(&saga(&format!(
            "rules:\n  a: \"{expression}\"\nsteps:\n  - {{ step: one, do: fraud.Score, with: {{ order_id: key }}, undo: nothing }}\n"
        )));
        let condition = errors(&saga(&format!(
            "steps:\n  - {{ step: one, if: \"{expression}\", do: fraud.Score, with: {{ order_id: key }}, undo: nothing }}\n"
        )));
        for found in [rule, unused, condition] {
            assert!(found.contains("error:") && found.contains(message), "{expression}: {found}");
        }
    }
    assert_eq!(errors(&around("", "undo: nothing", "start.total > -9223372036854775808")), "");
}

#[test]
fn an_error_behind_a_hundred_warnings_is_not_lost() {
    let step = |n: usize| format!("  - {{ step: s{n}, do: legacy.Call{n}, with: {{ id: key }}, undo: nothing }}\n");
    let steps: String = (0..120).map(step).collect();
    let text = saga(&format!(
        "steps:\n{steps}  - {{ step: last, if: steps.nope.x, do: fraud.Score, with: {{ order_id: key }}, undo: nothing }}\n"
    ));
    assert!(errors(&text).contains("there is no step 'nope'"), "{}", errors(&text));
}

#[test]
fn a_wrong_document_beside_a_right_one_is_told_alone() {
    let good = saga("steps:\n  - { step: one, do: fraud.Score, with: { order_id: key }, undo: nothing }\n");
    let bad = good.replace("saga: x", "saga: y").replace("event.order_id", "event.nope");
    let found = errors(&format!("{bad}---\n{good}"));
    assert_eq!(found.matches("error:").count(), 1, "{found}");
    assert!(found.contains("has no field 'nope'"), "{found}");
}
