//! What becomes of an alert: pending, firing, over; and that all of it has bounds.

use super::super::{Alert, Condition, Evaluator, How, Is, Over, Rule, Sample, Severity, State};

const METRIC: &str = "ringmaster_participant_oldest_parked_seconds";
const COUNTER: &str = "ringmaster_inputs_quarantined_total";

static LEVEL: [Rule; 1] = [Rule {
    name: "ParkedOld",
    severity: Severity::Warn,
    when: Condition { metric: METRIC, only: None, how: How::Now, over: Over::Max, is: Is::Above, than: 900.0 },
    unless: None,
    by: &["participant"],
    for_s: 5,
    summary: "{participant} is {participant}",
    runbook: "",
}];

static COUNTED: [Rule; 1] = [Rule {
    when: Condition { metric: COUNTER, only: None, how: How::Grows(10), over: Over::Sum, is: Is::Above, than: 0.0 },
    by: &[],
    for_s: 0,
    ..LEVEL[0]
}];

fn parked(participant: &str, seconds: f64) -> Sample {
    Sample { metric: METRIC, labels: vec![("participant", participant.to_owned())], value: seconds }
}

/// `state participant since/value`, of each.
fn told(alerts: &[Alert]) -> Vec<String> {
    let each = alerts.iter();
    each.map(|of| format!("{} {} {}/{}", of.state.as_str(), of.labels.join(","), of.since, of.value)).collect()
}

#[test]
fn an_alert_is_pending_fires_once_and_is_over_once() {
    let mut evaluator = Evaluator::new(&LEVEL);
    let mut changes = Vec::new();
    let mut until = |second: i64, value: f64| {
        changes.extend(evaluator.turn(second * 1_000, &[parked("payment", value), parked("hotel", 3.0)]));
        told(&evaluator.alerts())
    };
    assert_eq!(until(0, 900.0), [""; 0], "at its bound it is none");
    assert_eq!(until(1, 901.0), ["pending payment 1000/901"]);
    assert_eq!(until(2, 900.0), [""; 0], "what was never told is not told to be over");
    assert_eq!(until(3, 902.0), ["pending payment 3000/902"]);
    assert_eq!(until(7, 906.0), ["pending payment 3000/906"]);
    assert_eq!(until(8, 907.0), ["firing payment 3000/907"]);
    assert_eq!(until(9, 908.0), ["firing payment 3000/908"]);
    assert_eq!(until(20, 0.0), ["resolved payment 20000/908"]);
    assert_eq!(until(21, 910.0), ["pending payment 21000/910", "resolved payment 20000/908"], "that it was is still told");
    assert_eq!(told(&changes), ["firing payment 3000/907", "resolved payment 20000/908"], "each change once");
    assert_eq!(changes[0].summary(), "payment is payment");
}

#[test]
fn what_is_not_told_any_more_is_over() {
    let mut evaluator = Evaluator::new(&LEVEL);
    (0..=5).for_each(|second| drop(evaluator.turn(second * 1_000, &[parked("payment", 1_000.0)])));
    assert_eq!(told(&evaluator.alerts()), ["firing payment 0/1000"]);
    assert_eq!(told(&evaluator.turn(6_000, &[])), ["resolved payment 6000/1000"]);
}

#[test]
fn what_grew_counts_as_long_as_its_window_also_when_its_samples_end() {
    let mut evaluator = Evaluator::new(&COUNTED);
    let counted = |value: f64| Sample { metric: COUNTER, labels: Vec::new(), value };
    let mut fires = |second: i64, samples: &[Sample]| {
        evaluator.turn(second * 1_000, samples);
        evaluator.alerts().iter().any(|alert| alert.state == State::Firing)
    };
    assert!(!fires(0, &[counted(7.0)]), "what was before is no growth");
    assert!(!fires(1, &[counted(7.0)]));
    assert!(fires(2, &[counted(8.0)]));
    assert!((3..=11).all(|second| fires(second, &[])), "it grew between 1 and 2");
    assert!(!fires(12, &[counted(8.0)]));
    assert!(!fires(13, &[counted(0.0)]), "a restart is no growth");
    assert!(fires(14, &[counted(1.0)]), "and what comes behind one is");
}

#[test]
fn a_rule_has_two_hundred_alerts_and_tells_the_rest_as_one() {
    let mut evaluator = Evaluator::new(&LEVEL);
    let some = |range: std::ops::Range<usize>| range.map(|number| parked(&format!("p{number:03}"), 1_000.0 + number as f64));
    let early: Vec<Sample> = some(200..300).collect();
    evaluator.turn(0, &early);
    let all: Vec<Sample> = some(0..300).collect();
    evaluator.turn(1_000, &all);
    let alerts = evaluator.alerts();
    assert_eq!(alerts.len(), 201);
    let named = |name: &str| alerts.iter().find(|alert| alert.labels == [name]);
    assert_eq!(named("other").map(|alert| alert.value), Some(1_199.0), "the worst of those that have no place");
    assert!((200..300).all(|number| named(&format!("p{number}")).is_some_and(|alert| alert.since == 0)), "who was first stays");
    let changes = evaluator.turn(6_000, &all);
    assert_eq!(changes.len(), 201);
    for second in 7..20 {
        assert!(evaluator.turn(second * 1_000, &all).is_empty(), "nothing is told twice");
    }
    assert_eq!(evaluator.turn(20_000, &[]).len(), 201);
    assert_eq!(evaluator.alerts().len(), 200, "of what is over so much is remembered");
}
