//! Where the time of sagas goes: how long steps took in all, each as a share of what all of them took.

use std::collections::BTreeMap;

use ringmaster_core::definition::Catalog;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::telemetry::StepSums;

/// So many are told, those with most of the time.
const STEPS_MAX: usize = 200;

/// How long a step took in all, with its undos, since the instances were started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepTime {
    /// The definition, all of its versions; `unknown` as long as this instance does not know the version.
    pub definition: String,
    /// The step.
    pub step: String,
    /// Whom it asks; null: nobody.
    pub participant: Option<String>,
    /// How many have ended.
    pub ended: u64,
    /// How long they took in all, with retries and parking.
    pub seconds: f64,
    /// That as a share of what all steps took, of all definitions: the largest is where time is to be won.
    pub share: f64,
}

/// Of these sums, the largest share first.
pub(super) fn step_times(sums: &StepSums, catalog: &Catalog) -> Vec<StepTime> {
    let mut all: BTreeMap<(&str, &str), StepTime> = BTreeMap::new();
    for ((version, node), (ended, ms)) in sums {
        let definition = catalog.by_hash(version);
        let name = definition.map_or("unknown", |definition| &*definition.name);
        let step = definition.and_then(|definition| definition.node(*node)).map_or("unknown", |node| &*node.name);
        let asks = definition.and_then(|definition| definition.step(*node));
        let of = all.entry((name, step)).or_default();
        of.participant = asks.map(|step| step.asks.call.participant.to_string()).or(of.participant.take());
        (of.ended, of.seconds) = (of.ended + ended, of.seconds + *ms as f64 / 1_000.0);
    }
    let named = |((definition, step), of): ((&str, &str), StepTime)| StepTime {
        definition: definition.to_owned(),
        step: step.to_owned(),
        ..of
    };
    shared(all.into_iter().map(named).collect())
}

/// What several instances say, as one.
pub(super) fn added(one: Vec<StepTime>, other: Vec<StepTime>) -> Vec<StepTime> {
    let mut all = one;
    for of in other {
        match all.iter_mut().find(|known| (&known.definition, &known.step) == (&of.definition, &of.step)) {
            Some(known) => (known.ended, known.seconds) = (known.ended + of.ended, known.seconds + of.seconds),
            None => all.push(of),
        }
    }
    shared(all)
}

fn shared(mut all: Vec<StepTime>) -> Vec<StepTime> {
    let sum: f64 = all.iter().map(|of| of.seconds).sum();
    all.iter_mut().for_each(|of| of.share = if sum > 0.0 { (of.seconds / sum * 10_000.0).round() / 10_000.0 } else { 0.0 });
    all.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    all
}

/// Those that are shown: the rest is in the sums all the same.
pub(super) fn first(mut all: Vec<StepTime>) -> Vec<StepTime> {
    all.truncate(STEPS_MAX);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::with_a_trip;

    #[test]
    fn shares_are_those_of_all_time_of_all_instances() {
        let (knowledge, saga) = with_a_trip();
        let sums = [((saga.head.version(), 1), (10, 30_000)), (([9; 16], 4), (1, 10_000))].into();
        let one = step_times(&sums, &knowledge.catalog);
        let told = |all: &[StepTime]| -> Vec<(String, u64, f64, f64)> {
            all.iter().map(|of| (format!("{}/{}", of.definition, of.step), of.ended, of.seconds, of.share)).collect()
        };
        assert_eq!(told(&one), [("trip/room".to_owned(), 10, 30.0, 0.75), ("unknown/unknown".to_owned(), 1, 10.0, 0.25)]);
        assert_eq!(one[0].participant.as_deref(), Some("hotel"));
        let other = vec![StepTime { definition: "b".to_owned(), step: "s".to_owned(), ended: 1, seconds: 60.0, ..one[1].clone() }];
        let both = added(one.clone(), other);
        assert_eq!(told(&both)[0], ("b/s".to_owned(), 1, 60.0, 0.6));
        assert_eq!(told(&added(both, one.clone()))[1], ("trip/room".to_owned(), 20, 60.0, 0.4286));
        assert_eq!(step_times(&StepSums::new(), &knowledge.catalog), []);
        let many = (0..STEPS_MAX + 1).map(|n| StepTime { step: format!("s{n}"), ended: 1, seconds: 1.0, ..one[0].clone() });
        let (all, sum) = (added(many.collect(), one.clone()), STEPS_MAX as f64 + 41.0);
        assert_eq!(all.iter().map(|of| of.seconds).sum::<f64>(), sum, "what is not shown is in the sums");
        assert_eq!(first(all).len(), STEPS_MAX);
    }
}
