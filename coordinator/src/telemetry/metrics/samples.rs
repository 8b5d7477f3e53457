//! Metrics as numbers, for who watches them here: what is scraped, without its text.

use std::sync::atomic::Ordering;

use super::Metrics;
use crate::alerts::{Sample, is_watched};
use crate::runtime::{PartitionStatus, TopicStatus};
use crate::telemetry::names::{self, Metric};

impl Metrics {
    /// What alerts are made of.
    pub(crate) fn samples(&self, partitions: &[PartitionStatus], topics: &[TopicStatus]) -> Vec<Sample> {
        let mut out = Vec::new();
        for ((metric, _), sum) in names::COUNTERS.iter().zip(&self.sums).filter(|((metric, _), _)| is_watched(metric)) {
            out.push(sample(metric, None, sum.load(Ordering::Relaxed) as f64));
        }
        for (metric, level) in names::PARTITION_GAUGES.iter().filter(|(metric, _)| is_watched(metric)) {
            out.extend(partitions.iter().map(|of| sample(metric, Some(of.partition.to_string()), level(of))));
        }
        for (metric, level) in names::TOPIC_GAUGES.iter().filter(|(metric, _)| is_watched(metric)) {
            out.extend(topics.iter().map(|of| sample(metric, Some(of.topic.to_string()), level(of))));
        }
        self.by_name.samples(&mut out);
        self.foretold.samples(&mut out);
        self.watched.samples(&mut out);
        self.by_row.samples(&mut out);
        self.took.samples(&mut out);
        out
    }
}

/// Of a metric with one label, or with none.
fn sample(metric: &Metric, label: Option<String>, value: f64) -> Sample {
    Sample { metric: metric.name, labels: metric.labels.iter().copied().zip(label).collect(), value }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use ringmaster_core::definition::Catalog;
    use ringmaster_core::partition::{Asked, Counters, StageName, Times};

    use super::super::tests::{counted, status, topic};
    use super::*;
    use crate::alerts::{RULES, Rule};
    use crate::api::AsOf;
    use crate::runtime::{Lag, Scrubbed};
    use crate::scaling::Told;

    /// A line of the text format, as a series and its value.
    fn line(text: &str) -> Option<(String, f64)> {
        let (series, value) = text.rsplit_once(' ')?;
        Some((series.to_owned(), value.parse().ok()?))
    }

    fn shown(sample: &Sample) -> (String, f64) {
        let labels: Vec<String> = sample.labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        (format!("{}{labels}", sample.metric), sample.value)
    }

    #[test]
    fn what_rules_are_given_is_what_is_scraped_and_all_that_they_ask_for_is_there() {
        let metrics = Metrics::new("test");
        let (overview, totals) = counted();
        metrics.add(&Counters { quarantined: 3, route_gaps: 2, errors: 4, ..Counters::default() });
        metrics.add(&Counters { quarantined: 4, ..Counters::default() });
        let payment = Asked { issued: 5, ended: [2, 1, 0, 1, 0], late: 1, ..Asked::default() };
        metrics.took(&Times { participants: [("payment".into(), payment)].into(), ..Times::default() });
        metrics.count(&overview, &totals, 100_000);
        metrics.watch(&[AsOf { partition: 1, journal_offset: 5, age_ms: 1_500 }], &[("hotel".into(), 3)].into());
        metrics.taken_over(&[(1, 4)].into());
        let lag = |partition, records, seconds| Lag { topic: "orders".into(), partition, records, seconds };
        metrics.lag(&[lag(0, Some(3), Some(8.5)), lag(1, Some(0), Some(0.0))]);
        let scrubbed = Scrubbed {
            orphans: 2,
            approvals: [("risk".into(), (2, 60_000))].into(),
            too_long: [(([7; 16], 1), 3)].into(),
            retention_used: 0.5,
            ..Scrubbed::default()
        };
        metrics.scrubbed(&[(1, scrubbed)].into(), &Catalog::default(), 100_000);
        metrics.scaling(&[Told::saturated("payment")]);
        let (partitions, topics) = ([status(0, StageName::Claiming), status(1, StageName::Owning)], [topic("orders", 2)]);
        let samples: BTreeMap<String, f64> = metrics.samples(&partitions, &topics).iter().map(shown).collect();
        let text = metrics.render(&partitions, &[], &topics, &Catalog::default());
        let scraped: BTreeMap<String, f64> = text.lines().filter_map(line).collect();
        let asked: BTreeSet<&str> = RULES.iter().flat_map(Rule::conditions).map(|condition| condition.metric).collect();
        let of = |series: &str| series.split('{').next().unwrap_or_default().to_owned();
        let watched = scraped.into_iter().filter(|(series, _)| asked.contains(&*of(series))).collect::<BTreeMap<_, _>>();
        assert_eq!(samples, watched);
        let there: BTreeSet<String> = samples.keys().map(|series| of(series)).collect();
        let missing: Vec<&&str> = asked.iter().filter(|name| !there.contains(**name)).collect();
        assert!(missing.is_empty(), "rules that never fire, since nobody tells {missing:?}");
    }

    #[test]
    fn rules_name_metrics_and_labels_that_there_are() {
        for rule in &RULES {
            for condition in rule.conditions() {
                let metric = names::all().find(|metric| metric.name == condition.metric).expect(condition.metric);
                let labels = rule.by.iter().copied().chain(condition.only.map(|(label, _)| label));
                let unknown: Vec<&str> = labels.filter(|label| !metric.labels.contains(label)).collect();
                assert!(unknown.is_empty(), "{}: {} has no {unknown:?}", rule.name, metric.name);
                let grows = matches!(condition.how, crate::alerts::How::Grows(_));
                assert_eq!(metric.kind == names::Kind::Counter, grows, "{}: of a counter it is asked how it grows", rule.name);
            }
        }
    }
}
