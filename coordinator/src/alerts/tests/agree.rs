//! The law: what the evaluator says of a time series Prometheus says of it, state by state and number by number.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::{Alert, Condition, Evaluator, How, Is, RULES, Rule, Sample, State, expression, rules_file};
use super::{examples, promtool};

/// How long it goes on, with a sample a second.
const SECONDS: i64 = 1_500;
/// So much of a number is compared: its last digit depends on the order in which others were added up.
const DIGITS: f64 = 1_000_000.0;
/// What is said is compared every so many seconds.
const COMPARED_S: i64 = 13;

/// A series: its samples, one a second; none where it is not told.
struct Series {
    metric: &'static str,
    labels: Vec<(&'static str, String)>,
    values: Vec<Option<f64>>,
}

/// Goes from good to bad and back, each for a random time around what the rule waits for; now and then it is not told at all.
fn level(of: &Condition, for_s: u32, random: &mut fastrand::Rng) -> Vec<Option<f64>> {
    let bad = |random: &mut fastrand::Rng| match of.is {
        Is::Above | Is::AtLeast => of.than + f64::from(random.u8(1..4)),
        Is::Below => of.than - f64::from(random.u8(1..4)) / 4.0,
    };
    let good = |random: &mut fastrand::Rng| match of.is {
        Is::Above => of.than - f64::from(random.u8(0..2)),
        Is::AtLeast => of.than - f64::from(random.u8(1..3)),
        Is::Below => of.than + f64::from(random.u8(0..2)),
    };
    let mut values = Vec::new();
    while values.len() < SECONDS as usize {
        let value = match random.u8(..8) {
            0 => None,
            1 => Some(f64::NAN),
            2..5 => Some(bad(random)),
            _ => Some(good(random)),
        };
        let lasts = random.u32(1..for_s * 5 / 2 + 20);
        values.extend((0..lasts).map(|_| value));
    }
    values
}

/// Grows now and then, rests for longer than the window, and begins anew once in a while.
fn counter(within_s: u32, random: &mut fastrand::Rng) -> Vec<Option<f64>> {
    let (mut values, mut value) = (Vec::new(), f64::from(random.u8(..3)));
    let starts = random.usize(..200);
    values.resize(starts, None);
    while values.len() < SECONDS as usize {
        let (lasts, every) = (random.u32(1..within_s * 2), random.u32(1..within_s / 2));
        match random.u8(..6) {
            0 => value = f64::from(random.u8(..2)),
            1..4 => {}
            _ => {
                for second in 0..lasts {
                    value += f64::from(u8::from(second % every == 0));
                    values.push(Some(value));
                }
                continue;
            }
        }
        values.extend((0..lasts).map(|_| Some(value)));
    }
    values
}

fn series(seed: u64) -> Vec<Series> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut all: BTreeMap<String, Series> = BTreeMap::new();
    for rule in &RULES {
        for of in rule.conditions() {
            // Two of each alert's own, and two alerts where a rule has several.
            for number in 0..4 {
                let own = |name: &&'static str| (*name, format!("{}{}", examples::label(name), number / 2));
                let only = of.only.map(|(name, values)| (name, random.choice(values).expect("it names some").to_string()));
                let instance = ("instance", number.to_string());
                let labels: Vec<_> = rule.by.iter().map(own).chain(only).chain([instance]).collect();
                let values = match of.how {
                    How::Now => level(of, rule.for_s, &mut random),
                    How::Grows(within_s) => counter(within_s, &mut random),
                };
                all.entry(format!("{}{labels:?}", of.metric)).or_insert(Series { metric: of.metric, labels, values });
            }
        }
    }
    all.into_values().collect()
}

impl Series {
    fn at(&self, second: usize) -> Option<Sample> {
        Some(Sample { metric: self.metric, labels: self.labels.clone(), value: self.values[second]? })
    }

    /// As the tool takes it. What is not told any more is stale, as after a scrape without it.
    fn told(&self) -> String {
        let labels: Vec<String> = self.labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let mut was_told = false;
        let mut word = |value: &Option<f64>| {
            let word = match value {
                Some(value) if value.is_nan() => "NaN".to_owned(),
                Some(value) => value.to_string(),
                None if was_told => "stale".to_owned(),
                None => "_".to_owned(),
            };
            was_told = value.is_some();
            word
        };
        let values: Vec<String> = self.values.iter().take(SECONDS as usize).map(&mut word).collect();
        format!("      - series: '{}{{{}}}'\n        values: '{}'\n", self.metric, labels.join(","), values.join(" "))
    }
}

/// What the evaluator says, in the words of a test of the tool.
fn expected(alerts: &[Alert], rule: &Rule, second: i64, (firing, holding): (&mut String, &mut String)) {
    let of: Vec<&Alert> = alerts.iter().filter(|alert| alert.rule.name == rule.name && alert.state != State::Resolved).collect();
    let _ = writeln!(firing, "      - eval_time: {second}s\n        alertname: {}", rule.name);
    let fire = of.iter().filter(|alert| alert.state == State::Firing);
    let fire: Vec<String> = fire.map(|alert| examples::expected(rule, &alert.labels().collect::<Vec<_>>(), None)).collect();
    if !fire.is_empty() {
        let _ = writeln!(firing, "        exp_alerts:\n{}", fire.join("\n"));
    }
    let _ = writeln!(holding, "      - expr: 'round(({}) * {DIGITS})'\n        eval_time: {second}s", expression(rule));
    if !of.is_empty() {
        holding.push_str("        exp_samples:\n");
    }
    for alert in of {
        let labels: Vec<String> = alert.labels().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let _ = writeln!(
            holding,
            "          - labels: '{{{}}}'\n            value: {}",
            labels.join(","),
            (alert.value * DIGITS).round()
        );
    }
}

/// What a seed gives: the file for the tool, and how often each rule fired.
fn play(seed: u64) -> (String, BTreeMap<&'static str, usize>) {
    let all = series(seed);
    let mut evaluator = Evaluator::new(&RULES);
    let (mut firing, mut holding) = (String::from("    alert_rule_test:\n"), String::from("    promql_expr_test:\n"));
    let mut fired = BTreeMap::new();
    for second in 0..SECONDS {
        let samples: Vec<Sample> = all.iter().filter_map(|series| series.at(second as usize)).collect();
        let changes = evaluator.turn(second * 1_000, &samples);
        changes
            .iter()
            .filter(|change| change.state == State::Firing)
            .for_each(|change| *fired.entry(change.rule.name).or_insert(0) += 1);
        if second % COMPARED_S == 0 {
            let alerts = evaluator.alerts();
            RULES.iter().for_each(|rule| expected(&alerts, rule, second, (&mut firing, &mut holding)));
        }
    }
    let series: String = all.iter().map(Series::told).collect();
    let head = "rule_files:\n  - rules.yml\nevaluation_interval: 1s\ntests:\n  - interval: 1s\n    input_series:\n";
    (format!("{head}{series}{firing}{holding}"), fired)
}

#[test]
fn the_evaluator_and_prometheus_say_the_same() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    std::fs::write(folder.join("rules.yml"), rules_file(&RULES)).expect("written");
    let mut fired: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 1..=2 {
        let (test, times) = play(seed);
        std::fs::write(folder.join("test.yml"), test).expect("written");
        promtool::run(folder, &["test", "rules", "test.yml"])
            .unwrap_or_else(|why| panic!("seed {seed}:\n{}", &why[..why.len().min(6_000)]));
        times.into_iter().for_each(|(name, count)| *fired.entry(name).or_insert(0) += count);
    }
    let never: Vec<&str> = RULES.iter().map(|rule| rule.name).filter(|name| !fired.contains_key(name)).collect();
    assert!(never.is_empty(), "what never fires is not compared: {never:?} of {fired:?}");
}
