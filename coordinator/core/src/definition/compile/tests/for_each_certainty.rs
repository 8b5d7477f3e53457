//! What can be read, and what is certain, before, in, behind and beside the items of a for_each.

use super::errors::errors;
use super::*;

fn ask(name: &str, rest: &str) -> String {
    format!("{{ step: {name}, do: fraud.Score, undo: nothing, with: {{ order_id: key }}{rest} }}")
}

fn asks(name: &str) -> String {
    ask(name, "")
}

/// A step that reads this.
fn reads(expression: &str) -> String {
    let name = format!("read_{}", expression.chars().filter(char::is_ascii_lowercase).take(40).collect::<String>());
    format!("{{ step: {name}, if: \"{expression}\", refuse: NO }}")
}

/// A for_each of these steps.
fn each(name: &str, item: &str, rest: &str, steps: &[&str]) -> String {
    format!("{{ step: {name}, for_each: start.items, as: {item}, steps: [ {} ]{rest} }}", steps.join(", "))
}

const GIVES: &str = ", result: { score: steps.inner.score }";

/// The definition of these steps is told this, and nothing else: nothing at all where that is empty.
fn told(steps: &[&str], message: &str) {
    told_with("", steps, message);
}

fn told_with(rest: &str, steps: &[&str], message: &str) {
    let text = saga(&format!("{rest}steps:\n{}", steps.iter().map(|step| format!("  - {step}\n")).collect::<String>()));
    let found = errors(&text);
    let nobody = "nobody reads what the items give";
    let all: Vec<&str> = found.lines().filter(|line| line.starts_with("sagas/") && !line.contains(nobody)).collect();
    match all[..] {
        [] => assert_eq!(message, "", "{text}"),
        [one] => assert!(!message.is_empty() && one.contains(message), "{message}:\n{found}{text}"),
        _ => panic!("{message}:\n{found}{text}"),
    }
}

#[test]
fn what_items_read_of_before() {
    let (before, maybe) = (asks("before"), ask("maybe", ", if: start.total > 1"));
    let inside = |rest: &str, read: &str| each("lines", "line", rest, &[read]);
    told(&[&before, &inside("", &reads("steps.before.score > 1"))], "");
    told(&[&maybe, &inside("", &reads("steps.maybe.score > 1"))], "'maybe' may have been skipped");
    told(&[&maybe, &inside("", &reads("steps.?maybe.?score.orValue(0) > 1"))], "");
    told(&[&maybe, &inside(", if: has(steps.maybe)", &reads("steps.maybe.score > 1"))], "");
    told(&[&inside("", &reads("steps.before.score > 1")), &before], "'before' has not run here");
    let list = |rest: &str| each("lines", "line", rest, &[&asks("inner")]).replace("start.items,", "\"[steps.maybe.score]\",");
    told(&[&maybe, &list("")], "'maybe' may have been skipped");
    told(&[&maybe, &list(", if: has(steps.maybe)")], "");
    let bags = each("bags", "bag", "", &[&each("n", "b", ", if: has(bag.inside)", &[&reads("b.label == bag.label")])])
        .replace("start.items, as: bag", "start.bags, as: bag")
        .replace("start.items, as: b,", "bag.inside, as: b,");
    let text = parcel(&saga(&format!("steps:\n  - {bags}\n")));
    assert_eq!(errors(&text), "");
    assert!(
        errors(&text.replace("if: has(bag.inside), ", "").replace(", if: has(bag.inside)", "")).contains("the list may be absent")
    );
}

#[test]
fn what_an_item_reads_of_itself() {
    let (inner, skipped) = (asks("inner"), ask("skipped", ", if: line.qty > 1"));
    told(&[&each("lines", "line", "", &[&inner, &reads("steps.inner.score > index")])], "");
    told(&[&each("lines", "line", "", &[&reads("steps.inner.score > 1"), &inner])], "'inner' has not run here");
    told(&[&each("lines", "line", "", &[&skipped, &reads("steps.skipped.score > 1")])], "'skipped' may have been skipped");
    told(&[&each("lines", "line", ", result: steps.skipped.score", &[&skipped])], "'skipped' may have been skipped");
    told(&[&each("lines", "line", ", result: { a: steps.skipped.?score }", &[&skipped])], "'skipped' may have been skipped");
    told(&[&each("lines", "line", ", result: { a: steps.?skipped.?score }", &[&skipped])], "");
    let going_on = ask("inner", ", on_refused: go_on");
    told(&[&each("lines", "line", GIVES, &[&going_on])], "'inner' may have been skipped");
    let other = format!("{{ steps: [ {} ], next: go_on }}", ask("other", ", if: line.qty > 1, as: inner"));
    told(&[&each("lines", "line", GIVES, &[&ask("inner", &format!(", on_refused: {other}"))])], "'inner' may have been skipped");
    let other = other.replace(", if: line.qty > 1", "");
    told(&[&each("lines", "line", GIVES, &[&ask("inner", &format!(", on_refused: {other}"))])], "");
    // What is known by a rule about an item lasts as long as the item.
    let by_rule = [&ask("inner", ", if: rules.large")[..], &reads("rules.large && steps.inner.score > 1")];
    told_with("rules: { large: line.qty > 1 }\n", &[&each("lines", "line", "", &by_rule)], "");
    let by_index = "rules: { large: index > 1 }\n";
    told_with(by_index, &[&each("lines", "line", "", &by_rule)], "'inner' may have been skipped");
}

#[test]
fn what_is_read_behind() {
    let lines = |rest: &str| each("lines", "line", &format!("{GIVES}{rest}"), &[&asks("inner")]);
    let list = reads("steps.lines.all(s, s.score > 1)");
    told(&[&lines(""), &list], "");
    told(&[&list, &lines("")], "'lines' has not run here");
    told(&[&lines(""), &reads("steps.inner.score > 1")], "'inner' is done for each item of 'lines'");
    told(&[&lines(""), &reads("has(steps.inner)")], "'inner' is done for each item of 'lines'");
    told(&[&lines(", if: start.total > 1"), &list], "'lines' may have been skipped");
    told(&[&lines(", if: start.total > 1"), &reads("size(steps.?lines.orValue([])) > 1")], "");
    told(&[&lines(", if: start.total > 1"), &reads("has(steps.lines) && size(steps.lines) > 1")], "");
    let by_rule = reads("rules.large && size(steps.lines) > 1");
    told_with("rules: { large: start.total > 1 }\n", &[&lines(", if: rules.large"), &by_rule], "");
    told(&[&lines(", on_failed: go_on"), &list], "'lines' may have been skipped");
    let other = format!("{{ steps: [ {} ], next: go_on }}", asks("other"));
    told(&[&lines(&format!(", on_refused: {other}")), &list], "'lines' may have been skipped");
    told(&[&format!("{{ step: g, if: start.total > 1, steps: [ {} ] }}", lines("")), &list], "'lines' may have been skipped");
    told(&[&lines(""), &each("more", "line", "", &[&list])], "");
    let ends = |on: &str| {
        format!("{on}: {{ emit: OrderCancelled, to: t, with: {{ order_id: key, reason: string(size(steps.lines)) }} }}\n")
    };
    told_with(&ends("on_completed"), &[&lines("")], "");
    told_with(&ends("on_compensated"), &[&lines("")], "'lines' may not have succeeded here");
    let undone = "{ step: u, do: fraud.Score, undo: { do: fraud.Forget, with: { order_id: string(size(steps.lines)) } }, with: { order_id: key } }";
    told(&[&lines(""), undone], "");
}

#[test]
fn what_is_read_beside_and_in_reactions() {
    let lines = |rest: &str| each("lines", "line", &format!("{GIVES}{rest}"), &[&asks("inner")]);
    let list = reads("size(steps.lines) > 1");
    let two = |one: &str, two: &str| format!("{{ step: p, parallel: {{ one: [ {one} ], two: [ {two} ] }} }}");
    told(&[&two(&lines(""), &list)], "'lines' has not run here");
    told(&[&two(&lines(""), &asks("beside")), &list], "");
    let arms = |one: &str, two: &str| {
        format!("{{ step: s, switch: [ {{ if: start.total > 1, steps: [ {one} ] }}, {{ else: [ {two} ] }} ] }}")
    };
    told(&[&arms(&lines(""), &list)], "'lines' is in another arm");
    told(&[&arms(&lines(""), &reads("steps.inner.score > 1"))], "'inner' is done for each item of 'lines'");
    let inside = arms(&asks("inner"), &reads("steps.inner.score > 1"));
    told(&[&each("lines", "line", "", &[&inside])], "'inner' is in another arm");

    let reacting = |read: &str, next: &str| lines(&format!(", on_refused: {{ steps: [ {read}, {} ], {next} }}", asks("fix")));
    told(&[&asks("before"), &reacting(&reads("steps.before.score > 1 && failure.code == 'A'"), "next: undo")], "");
    told(&[&reacting(&reads("steps.inner.score > 1"), "next: undo")], "'inner' is done for each item of 'lines'");
    told(&[&reacting(&list, "next: go_on")], "'lines' may");
    // What the reaction did can be read when the items are done once more.
    let again = |read: &str| {
        reacting(&reads("round > 0"), "next: retry, at_most: 2")
            .replace("steps: [ { step: inner", &format!("steps: [ {read}, {{ step: inner"))
    };
    told(&[&again(&reads("steps.?fix.?score.orValue(0) > round"))], "");
    told(&[&again(&reads("steps.fix.score > round"))], "'fix' may have been skipped");
}

#[test]
fn what_is_read_of_items_inside_items() {
    let nested = |inner: &[&str], outer: &[&str], rest: &str| {
        let parts = each("parts", "part", GIVES, inner);
        each("lines", "line", rest, &[&[&asks("outer"), &parts[..]], outer].concat())
    };
    let inner = asks("inner");
    told(&[&nested(&[&inner, &reads("steps.outer.score + part.qty + index > line.qty")], &[], "")], "");
    told(&[&nested(&[&inner], &[&reads("size(steps.parts) > line.qty")], ", result: { parts: steps.parts, n: index }")], "");
    told(&[&nested(&[&inner], &[&reads("steps.inner.score > 1")], "")], "'inner' is done for each item of 'parts'");
    told(&[&nested(&[&inner], &[&reads("part.qty > 1")], "")], "unknown name 'part'");
    told(&[&nested(&[&inner], &[], ""), &reads("steps.inner.score > 1")], "'inner' is done for each item of 'lines'");
    told(&[&nested(&[&inner], &[], ""), &reads("size(steps.parts) > 1")], "'parts' is done for each item of 'lines'");
    let gives = ", result: { parts: steps.parts }";
    told(&[&nested(&[&inner], &[], gives), &reads("steps.lines.exists(l, l.parts.exists(p, p.score > 1))")], "");
}
