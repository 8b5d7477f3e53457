//! The table of nodes, and the numbers of expressions.

use ringmaster_schemas::journal::Phase;

use super::*;
use crate::definition::Next;
use crate::definition::{Definition, ROOT, Role, Settings, SiteId, Undo, Verb, compile};

fn compiled(text: &str) -> Definition {
    compile(FILE, text, &mut Settings::new(&mut schemas())).unwrap().remove(0)
}

#[test]
fn the_steps_of_a_saga_are_a_sequence_below_the_root() {
    let definition = compiled(&order());
    let root = &definition.nodes[usize::from(ROOT)];
    assert!(matches!(root.verb, Verb::Sequence(Role::Root)));
    assert_eq!((&*root.name, root.end, root.parent, root.scope), ("", 4, ROOT, ROOT));
    assert!(root.undoes && !root.passes && root.given_by.is_empty());
    let table: Vec<_> =
        definition.nodes[1..].iter().map(|node| (&*node.name, node.end, node.phase, node.passes, node.undoes)).collect();
    assert_eq!(
        table,
        [
            ("reserve_stock", 2, Phase::Compensatable, false, true),
            ("charge_payment", 3, Phase::Compensatable, false, true),
            ("ship", 4, Phase::Pivot, true, false),
        ]
    );
    for (node, number) in definition.nodes.iter().zip(0..).skip(1) {
        assert_eq!((node.parent, node.scope), (ROOT, ROOT));
        assert_eq!((&node.given_by[..], definition.names.find(&node.name)), (&[number][..], Some(number)));
        assert_eq!(definition.step(number).unwrap().number, number);
        assert_eq!(definition.step_named(&node.name).unwrap().node.name, node.name);
    }
    assert!(definition.step(ROOT).is_none() && definition.step(4).is_none());
    assert!(definition.has_pivot && definition.names.find("nope").is_none() && definition.names.find("").is_none());
}

#[test]
fn behind_the_pivot_all_is_retriable_and_without_one_nothing_is() {
    let step = |name: &str, rest: &str| format!("  - {{ step: {name}, do: fraud.Score, with: {{ order_id: key }}, {rest} }}\n");
    let phases = |definition: &Definition| definition.nodes.iter().map(|node| node.phase).collect::<Vec<_>>();
    let with =
        compiled(&saga(&format!("steps:\n{}{}{}", step("a", "undo: nothing"), step("b", "pivot: true"), step("c", "timeout: 5s"))));
    assert_eq!(phases(&with), [Phase::Pivot, Phase::Compensatable, Phase::Pivot, Phase::Retriable], "the root holds the pivot");
    assert!(!with.nodes[0].undoes, "nothing has to be undone");
    let without = compiled(&saga(&format!("steps:\n{}{}", step("a", "undo: nothing"), step("b", "undo: fraud.Forget"))));
    assert_eq!(phases(&without), [Phase::Compensatable; 3]);
    assert!(!without.has_pivot && without.nodes.iter().all(|node| !node.passes));
    assert_eq!(without.nodes.iter().map(|node| node.undoes).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn every_expression_has_a_number_of_its_own() {
    let text = "saga: x
start: { on: OrderPlaced, from: orders, key: event.order_id, if: event.total > 1 }
steps:
  - { step: a, if: start.total > 2, do: fraud.Score, with: { order_id: key }, undo: { do: fraud.Unscore, with: { order_id: key, why: failure.code } } }
  - { step: b, do: fraud.Score, with: { order_id: key }, undo: fraud.Forget }
on_completed: [ { emit: OrderCancelled, to: out, key: start.region, with: { order_id: key, reason: \"'x'\" } }, { emit: OrderCancelled, to: out, with: { order_id: key, reason: \"'y'\" } } ]
on_compensated: { emit: OrderCancelled, to: out, with: { order_id: key, reason: failure.code } }
";
    let definition = compiled(text);
    let mut sites: Vec<Option<SiteId>> = vec![
        definition.starts[0].key.as_ref().map(|key| key.site()),
        definition.starts[0].condition.as_ref().map(|condition| condition.site()),
    ];
    for step in definition.steps() {
        sites.push(step.node.condition.as_ref().map(|condition| condition.site()));
        sites.push(step.asks.call.body.as_ref().map(|body| body.site()));
        if let Undo::Command { call, .. } = &step.asks.undo {
            sites.push(call.body.as_ref().map(|body| body.site()));
        }
    }
    for emit in definition.on_completed.iter().chain(&definition.on_compensated) {
        sites.extend([emit.key.as_ref().map(|key| key.site()), Some(emit.body.site())]);
    }
    let sites: Vec<SiteId> = sites.into_iter().flatten().collect();
    assert_eq!(sites, (0..11).map(SiteId).collect::<Vec<_>>(), "in the order of the file, without a gap");
}

/// The pivot stands in an arm: what stands behind the choice is behind the pivot on every way, the other arms are not.
#[test]
fn groups_and_choices_are_ranges() {
    let step = |name: &str, rest: &str| format!("{{ step: {name}, do: fraud.Score, with: {{ order_id: key }}, {rest} }}");
    let (a, b, c, d) =
        (step("a", "undo: nothing"), step("b", "pivot: true"), step("c", "undo: fraud.Forget"), step("d", "timeout: 5s"));
    let definition = compiled(&saga(&format!(
        "steps:\n  - {{ step: g, if: start.total > 1, steps: [ {a} ] }}\n  - step: s\n    switch:\n      - {{ if: start.total > 2, steps: [ {b} ] }}\n      - else: [ {c} ]\n  - {d}\n"
    )));
    let table: Vec<_> =
        definition.nodes.iter().map(|node| (&*node.name, node.end, node.parent, node.scope, node.phase, node.passes)).collect();
    use Phase::{Compensatable, Pivot, Retriable};
    assert_eq!(
        table,
        [
            ("", 10, 0, 0, Pivot, false),
            ("g", 4, 0, 0, Compensatable, false),
            ("", 4, 1, 0, Compensatable, false),
            ("a", 4, 2, 0, Compensatable, false),
            ("s", 9, 0, 0, Pivot, true),
            ("", 7, 4, 0, Pivot, false),
            ("b", 7, 5, 0, Pivot, true),
            ("", 9, 4, 0, Compensatable, false),
            ("c", 9, 7, 0, Compensatable, false),
            ("d", 10, 0, 0, Retriable, false),
        ]
    );
    assert!(matches!(&definition.nodes[4].verb, Verb::Choice(arms) if arms.iter().map(|arm| arm.list).eq([5, 7])));
}

/// What leaves an entry is the scope of what stands in it; a reaction stands beside its node. Its steps belong to the pivot whose they
/// are, and the last one is the pivot in its stead.
#[test]
fn parallels_and_reactions_are_ranges() {
    let step = |name: &str, rest: &str| format!("{{ step: {name}, do: fraud.Score, with: {{ order_id: key }}, {rest} }}");
    let reaction = format!("{{ steps: [ {}, {} ], next: go_on }}", step("x", "undo: nothing"), step("y", "timeout: 5s"));
    let (a, b, c) = (
        step("a", "undo: nothing"),
        step(
            "b",
            "undo: nothing, on_refused: { NO: { steps: [ { step: e, emit: Told, to: t } ], next: retry, at_most: 2 }, else: go_on }",
        ),
        step("c", &format!("pivot: true, on_refused: {reaction}")),
    );
    let definition = compiled(&saga(&format!(
        "steps:\n  - {{ step: p, within: 5m, parallel: {{ one: [ {a} ], two: [ {b} ] }} }}\n  - {c}\n  - {}\n",
        step("d", "timeout: 5s")
    )));
    let table: Vec<_> =
        definition.nodes.iter().map(|node| (&*node.name, node.end, node.parent, node.scope, node.phase, node.is_scope)).collect();
    use Phase::{Compensatable, Pivot, Retriable};
    assert_eq!(
        table,
        [
            ("", 13, 0, 0, Pivot, false),
            ("p", 8, 0, 0, Compensatable, true),
            ("", 4, 1, 1, Compensatable, false),
            ("a", 4, 2, 1, Compensatable, false),
            ("", 8, 1, 1, Compensatable, false),
            ("b", 8, 4, 1, Compensatable, false),
            ("", 8, 5, 1, Compensatable, false),
            ("e", 8, 6, 1, Compensatable, false),
            ("c", 12, 0, 0, Pivot, false),
            ("", 12, 8, 0, Compensatable, false),
            ("x", 11, 9, 0, Compensatable, false),
            ("y", 12, 9, 0, Pivot, false),
            ("d", 13, 0, 0, Retriable, false),
        ]
    );
    assert!(definition.nodes[5].is_retried() && definition.nodes[5].next_of(6) == Some(Next::Retry));
    assert!(definition.nodes[11].passes && definition.nodes[8].next_of(9) == Some(Next::GoOn));
}
