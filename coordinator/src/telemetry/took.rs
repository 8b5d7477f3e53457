//! How long things took: histograms, and what participants were asked, by names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use ringmaster_core::definition::Catalog;
use ringmaster_core::partition::{End, Histogram, StepKey, Times};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::DefinitionHash;
use ringmaster_schemas::names::Direction;

use super::began::Began;
use super::codes::Codes;
use super::family::{Family, OTHER};
use super::names::{self, Kind, Metric};
use crate::alerts::Sample;
use crate::runtime::Usual;

/// How many of each step have ended, with their undos, and how long they took in all, in milliseconds: by version and node.
pub type StepSums = BTreeMap<(DefinitionHash, u16), (u64, u64)>;

/// What is known of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepSeen {
    /// How long those took that have ended.
    pub durations: Histogram,
    /// How long they took in all, with their undos, in milliseconds.
    pub took_ms: u64,
    /// How many were refused.
    pub refused: u64,
    /// How many failed.
    pub failed: u64,
    /// How many began lately.
    pub began: u64,
}

/// What is known of the steps of a version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepsSeen {
    /// By node.
    pub steps: BTreeMap<u16, StepSeen>,
    /// How long all steps of all versions took, in milliseconds.
    pub all_ms: u64,
    /// In how many seconds that began which began lately; none as long as that is too short.
    pub window_s: Option<f64>,
}

/// All that took its time since the process started.
#[derive(Default)]
pub(super) struct Took(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// But for what failed, and what began.
    times: Times,
    began: Began,
    codes: Codes,
    /// Steps that failed, by codes that have a series of their own.
    failed: BTreeMap<(StepKey, Arc<str>), u64>,
}

impl Kept {
    fn add(&mut self, times: &Times) {
        self.times.merge(times);
        self.times.failed.clear();
        self.times.began.clear();
        let age = self.began.age();
        self.began.add(&times.began, age);
        for ((step, code), count) in &times.failed {
            let told = self.codes.add(code, *count);
            if let Some(rare) = told.gives_way {
                let mut of_it = Vec::new();
                self.failed.retain(|(step, code), count| {
                    let is_it = *code == rare;
                    of_it.extend(is_it.then_some((*step, *count)));
                    !is_it
                });
                of_it.into_iter().for_each(|(step, count)| self.fail(step, OTHER.into(), count));
            }
            self.fail(*step, if told.by_name { code.clone() } else { OTHER.into() }, *count);
        }
    }

    fn fail(&mut self, step: StepKey, code: Arc<str>, count: u64) {
        *self.failed.entry((step, code)).or_default() += count;
    }
}

impl Took {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("no panic while metrics were rendered")
    }

    pub(super) fn add(&self, times: &Times) {
        self.kept().add(times);
    }

    /// Writes all of it; definitions and steps by their names.
    pub(super) fn render(&self, catalog: &Catalog, out: &mut String) {
        let kept = self.kept();
        let times = &kept.times;
        let name = |version| catalog.by_hash(version).map_or("unknown", |definition| &*definition.name);
        let mut sagas = Family::<Histogram>::new(&names::SAGA_SECONDS);
        for ((version, did_all), of) in &times.sagas {
            let outcome = if *did_all { "completed" } else { "compensated" };
            sagas.of(&[name(version), outcome]).merge(of);
        }
        let mut steps = Family::<Histogram>::new(&names::STEP_SECONDS);
        let step = |(version, node, _): &StepKey| {
            let node = catalog.by_hash(version).and_then(|definition| definition.node(*node));
            node.map_or("unknown", |node| &*node.name)
        };
        for (key, of) in &times.steps {
            steps.of(&[name(&key.0), step(key), key.2.as_str()]).merge(of);
        }
        let mut refused = Family::<u64>::new(&names::STEP_REFUSED);
        for (key, count) in &times.refused {
            *refused.of(&[name(&key.0), step(key), key.2.as_str()]) += count;
        }
        let mut failed = Family::<u64>::new(&names::STEP_FAILED);
        for ((key, code), count) in &kept.failed {
            *failed.of(&[name(&key.0), step(key), key.2.as_str(), code]) += count;
        }
        let mut appends = Family::<Histogram>::new(&names::APPEND_SECONDS);
        *appends.of(&[]) = times.appends;
        let mut releases = Family::<Histogram>::new(&names::RELEASE_SECONDS);
        *releases.of(&[]) = times.releases;
        [sagas, steps, appends, releases].iter().for_each(|family| family.render(out));
        [refused, failed].iter().for_each(|family| family.render_numbers(out));
        let (response, counts) = participants(times);
        response.render(out);
        counts.iter().for_each(|family| family.render_numbers(out));
    }

    /// What 99 of 100 of each step took, and of its undo; of those of which so much is known.
    pub(super) fn usual(&self) -> Usual {
        let times = &self.kept().times;
        times.steps.iter().filter_map(|(key, of)| Some((*key, Millis::from(of.p99_ms()?)))).collect()
    }

    /// How long sagas took that have ended, whatever they are and however they ended.
    pub(super) fn sagas(&self) -> Histogram {
        let mut all = Histogram::default();
        self.0.lock().expect("no panic while metrics were rendered").times.sagas.values().for_each(|of| all.merge(of));
        all
    }

    /// How long steps took in all.
    pub(super) fn step_sums(&self) -> StepSums {
        let mut sums = StepSums::new();
        for ((version, node, _), of) in &self.kept().times.steps {
            let known = sums.entry((*version, *node)).or_default();
            *known = (known.0 + of.count(), known.1 + of.sum_ms);
        }
        sums
    }

    /// How the steps of a version do.
    pub(super) fn steps_seen(&self, version: &DefinitionHash) -> StepsSeen {
        let kept = self.kept();
        let (began, window_s) = kept.began.lately(version, kept.began.age());
        let all_ms = kept.times.steps.values().map(|of| of.sum_ms).sum();
        let mut seen = StepsSeen { steps: BTreeMap::new(), all_ms, window_s };
        let is_of_it = |key: &StepKey| key.0 == *version;
        began.into_iter().for_each(|(node, count)| seen.of(node).began = count);
        for ((_, node, direction), of) in kept.times.steps.iter().filter(|(key, _)| is_of_it(key)) {
            let step = seen.of(*node);
            step.took_ms += of.sum_ms;
            if *direction == Direction::Do {
                step.durations = *of;
            }
        }
        let of_do = |key: &StepKey| is_of_it(key) && key.2 == Direction::Do;
        kept.times.refused.iter().filter(|(key, _)| of_do(key)).for_each(|(key, count)| seen.of(key.1).refused += count);
        kept.failed.iter().filter(|((key, _), _)| of_do(key)).for_each(|((key, _), count)| seen.of(key.1).failed += count);
        seen
    }

    /// What is watched of it, as numbers.
    pub(super) fn samples(&self, out: &mut Vec<Sample>) {
        let (_, counts) = participants(&self.kept().times);
        counts.iter().for_each(|family| family.samples(out));
    }
}

impl StepsSeen {
    fn of(&mut self, node: u16) -> &mut StepSeen {
        self.steps.entry(node).or_default()
    }
}

fn participants(times: &Times) -> (Family<Histogram>, [Family<u64>; 3]) {
    let mut response = Family::<Histogram>::new(&names::RESPONSE_SECONDS);
    let mut issued = Family::<u64>::new(&names::ISSUED);
    let mut ended = Family::<u64>::new(&names::ENDED);
    let mut parkings = Family::<u64>::new(&names::PARKINGS);
    for (name, of) in &times.participants {
        response.of(&[name]).merge(&of.response);
        *issued.of(&[name]) += of.issued;
        *parkings.of(&[name]) += of.parkings;
        for (end, count) in End::ALL.iter().zip(of.ended) {
            *ended.of(&[name, end.as_str()]) += count;
        }
        *ended.of(&[name, "late"]) += of.late;
    }
    (response, [issued, ended, parkings])
}

/// All metrics that are told here.
pub(super) const ALL: [&Metric; 10] = [
    &names::SAGA_SECONDS,
    &names::STEP_SECONDS,
    &names::STEP_REFUSED,
    &names::STEP_FAILED,
    &names::APPEND_SECONDS,
    &names::RELEASE_SECONDS,
    &names::RESPONSE_SECONDS,
    &names::ISSUED,
    &names::ENDED,
    &names::PARKINGS,
];

const _: () = {
    let mut place = 0;
    while place < ALL.len() {
        assert!(!matches!(ALL[place].kind, Kind::Gauge), "what is told here only grows");
        place += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::super::family::SERIES_MAX;
    use super::*;
    use ringmaster_core::partition::Asked;

    fn took(ms: &[u32]) -> Histogram {
        let mut histogram = Histogram::default();
        ms.iter().for_each(|ms| histogram.add(*ms));
        histogram
    }

    #[test]
    fn what_took_long_is_told_as_prometheus_reads_it() {
        let payment = Asked { issued: 5, ended: [2, 1, 0, 1, 0], late: 1, parkings: 3, response: took(&[3, 3, 7_000]) };
        let times = Times {
            sagas: [(([7; 16], true), took(&[40]))].into(),
            steps: [(([7; 16], 1, Direction::Undo), took(&[2]))].into(),
            participants: [("pay\"ment".into(), payment)].into(),
            appends: took(&[1, 4_000_000]),
            releases: took(&[4]),
            refused: [(([7; 16], 1, Direction::Do), 3)].into(),
            failed: [((([7; 16], 1, Direction::Do), "TIMEOUT".into()), 2)].into(),
            ..Times::default()
        };
        let all = Took::default();
        [&times, &times].into_iter().for_each(|times| all.add(times));
        let mut text = String::new();
        all.render(&Catalog::default(), &mut text);
        for line in [
            "# TYPE ringmaster_participant_response_seconds histogram",
            r#"ringmaster_participant_response_seconds_bucket{participant="pay\"ment",le="0.002"} 0"#,
            r#"ringmaster_participant_response_seconds_bucket{participant="pay\"ment",le="0.005"} 4"#,
            r#"ringmaster_participant_response_seconds_bucket{participant="pay\"ment",le="10"} 6"#,
            r#"ringmaster_participant_response_seconds_bucket{participant="pay\"ment",le="+Inf"} 6"#,
            r#"ringmaster_participant_response_seconds_sum{participant="pay\"ment"} 14.012"#,
            r#"ringmaster_participant_response_seconds_count{participant="pay\"ment"} 6"#,
            r#"ringmaster_participant_issued_total{participant="pay\"ment"} 10"#,
            r#"ringmaster_participant_ended_total{participant="pay\"ment",outcome="refused"} 2"#,
            r#"ringmaster_participant_ended_total{participant="pay\"ment",outcome="timed_out"} 2"#,
            r#"ringmaster_participant_ended_total{participant="pay\"ment",outcome="late"} 2"#,
            r#"ringmaster_participant_parkings_total{participant="pay\"ment"} 6"#,
            r#"ringmaster_saga_duration_seconds_count{definition="unknown",outcome="completed"} 2"#,
            r#"ringmaster_step_duration_seconds_count{definition="unknown",step="unknown",direction="undo"} 2"#,
            r#"ringmaster_step_refused_total{definition="unknown",step="unknown",direction="do"} 6"#,
            r#"ringmaster_step_failed_total{definition="unknown",step="unknown",direction="do",code="TIMEOUT"} 4"#,
            r#"ringmaster_journal_append_seconds_bucket{le="3600"} 2"#,
            r#"ringmaster_journal_append_seconds_bucket{le="+Inf"} 4"#,
            "ringmaster_journal_append_seconds_count 4",
            r#"ringmaster_decide_to_release_seconds_bucket{le="0.005"} 2"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn beyond_so_many_series_all_others_are_one() {
        let participants =
            (0..SERIES_MAX + 10).map(|number| (format!("p{number:03}").into(), Asked { issued: 1, ..Asked::default() }));
        let all = Took::default();
        all.add(&Times { participants: participants.collect(), ..Times::default() });
        let mut text = String::new();
        all.render(&Catalog::default(), &mut text);
        assert!(text.contains("ringmaster_participant_issued_total{participant=\"other\"} 10\n"), "{text}");
    }

    /// Beyond 50 of them codes are one, and what is told of one is told of it for good, or among the others.
    #[test]
    fn rare_codes_are_told_as_other() {
        let (key, all) = (([7; 16], 1, Direction::Do), Took::default());
        let failed = |codes: Vec<(String, u64)>| {
            let of = |(code, count): (String, u64)| ((key, code.into()), count);
            all.add(&Times { failed: codes.into_iter().map(of).collect(), ..Times::default() });
            let mut text = String::new();
            all.render(&Catalog::default(), &mut text);
            let lines = text.lines().filter_map(|line| line.strip_prefix("ringmaster_step_failed_total{")?.split_once("code="));
            lines.map(|(_, line)| line.to_owned()).collect::<Vec<_>>()
        };
        let told = failed((0..60).map(|code| (format!("C{code:02}"), 1)).collect());
        assert_eq!((told.len(), told.last()), (51, Some(&r#""other"} 10"#.to_owned())));
        let told = failed(vec![("C55".to_owned(), 11)]);
        assert!(told.len() == 51 && told.contains(&r#""C55"} 11"#.to_owned()), "its first is among the others: {told:?}");
        assert_eq!(told.last(), Some(&r#""other"} 11"#.to_owned()), "with that of the one that gave way");
    }
}
