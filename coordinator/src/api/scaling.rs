//! How much each participant is asked and can answer, when it will be late, and how many members it should have.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bottleneck::Bottleneck;
use super::everyone::{Others, Request};
use super::filter::there;
use super::openapi::Problems;
use super::overview::Missing;
use super::problem::Problem;
use super::saga::written;
use super::step_times::step_times;
use super::{OfPartitions, Sources, for_all};
use crate::scaling::{Backlog, Basis, Estimate, Told, combine, combine_backlogs};

/// All participants, by what the partitions of an instance have asked them, or of several instances.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AllScaling {
    /// By name.
    pub participants: Vec<ParticipantScaling>,
    /// Which of them holds sagas up: one that does not answer at all before one that is merely busy; null: none that is known. An instance
    /// of an earlier build does not say it, nor the fields of a participant from `parked` to `stopped`.
    #[serde(default)]
    pub bottleneck: Option<Bottleneck>,
    /// Which partitions are left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// One participant. Rates are those of the partitions that it is told by; what is not known is null, never a made-up number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ParticipantScaling {
    /// Its name.
    pub participant: String,
    /// Attempts that are sent a second, repeated ones too.
    pub arrive_per_s: f64,
    /// By how much that grows each second; 0 if it does not for sure.
    pub arrive_per_s2: f64,
    /// Attempts that it answers a second, whatever it says.
    pub answer_per_s: f64,
    /// Attempts that it has not answered, and whose time is not over.
    pub unanswered: u64,
    /// How long ago the oldest of those was sent.
    pub oldest_s: Option<f64>,
    /// Commands that wait until it is asked again.
    #[serde(default)]
    pub parked: u64,
    /// How long the oldest of those has waited.
    #[serde(default)]
    pub parked_oldest_s: Option<f64>,
    /// Commands that are to be repeated.
    #[serde(default)]
    pub retrying: u64,
    /// It has been asked for so long, and has answered nothing; null: it answers, or nothing was asked of it.
    #[serde(default)]
    pub silent_s: Option<f64>,
    /// How long ago it answered last; null: it has not since it is looked at.
    #[serde(default)]
    pub answered_s: Option<f64>,
    /// In so many of the partitions its breaker is open.
    #[serde(default)]
    pub open_in: usize,
    /// In so many of the partitions a person paused it.
    #[serde(default)]
    pub paused_in: usize,
    /// Why nothing comes back from it although something waits, in words; null: nothing waits for it, or it answers.
    #[serde(default)]
    pub stopped: Option<String>,
    /// What it can answer a second.
    pub capacity_per_s: Option<f64>,
    /// What each of its members can.
    pub member_per_s: Option<f64>,
    /// What arrives as a share of what it can answer.
    pub utilisation: Option<f64>,
    /// How its capacity is known: measured (there was a queue, and answers left as fast as they can), or estimate.
    pub basis: Option<String>,
    /// How soon it should answer.
    pub slo_s: f64,
    /// How long an answer takes where nothing queues.
    pub service_s: Option<f64>,
    /// How long an answer takes now.
    pub response_s: Option<f64>,
    /// When answers will take longer than they should: 0 is now; null: not in sight, or not known.
    pub breach_in_s: Option<f64>,
    /// That is near, and has been for long enough to be said aloud.
    pub warns: bool,
    /// Members of its consumer group.
    pub members: Option<u32>,
    /// More would have nothing to do, or are not to be.
    pub max_members: u32,
    /// So many it should have; never 0 while anything is unanswered or parked.
    pub wanted_members: Option<u32>,
    /// How long the steps that ask it took in all, since the instances were started. An instance of an earlier build does not say it.
    #[serde(default)]
    pub steps_s: f64,
    /// How long all steps took.
    #[serde(default)]
    pub all_steps_s: f64,
    /// What its steps took as a share of what all did; null: nothing has ended yet.
    pub share: Option<f64>,
    /// Something is asked of it, unanswered or parked.
    pub active: bool,
    /// Why it should have so many.
    pub reason: String,
    /// How long it has been looked at.
    pub seen_s: f64,
    /// By so many partitions this is told,
    pub partitions: usize,
    /// of so many.
    pub partitions_of: usize,
    /// When this was so, RFC 3339.
    pub as_of: Option<String>,
    /// Which partitions are left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// No more digits than anybody reads.
fn rounded(number: f64) -> f64 {
    // The sum of nothing is -0.0.
    (number * 1_000.0).round() / 1_000.0 + 0.0
}

impl ParticipantScaling {
    /// What is told here.
    pub(crate) fn of(told: &Told) -> ParticipantScaling {
        let empty = ParticipantScaling {
            participant: told.participant.to_string(),
            members: told.outside.members,
            max_members: told.outside.members_max,
            wanted_members: told.wanted.members,
            active: told.is_active,
            reason: told.wanted.reason.clone(),
            partitions: told.partitions.0,
            partitions_of: told.partitions.1,
            as_of: Some(written(told.at_ms)),
            ..ParticipantScaling::default()
        };
        empty.with(&told.estimate).with_backlog(&told.backlog)
    }

    /// With what follows from it, behind all else.
    fn with_backlog(self, backlog: &Backlog) -> ParticipantScaling {
        let Backlog { parked, parked_oldest_s, retrying, silent_s, answered_s, open_in, paused_in } = *backlog;
        let [parked_oldest_s, silent_s, answered_s] = [parked_oldest_s, silent_s, answered_s].map(|s| s.map(rounded));
        let of = ParticipantScaling { parked, parked_oldest_s, retrying, silent_s, answered_s, open_in, paused_in, ..self };
        ParticipantScaling { stopped: of.why_stopped(), ..of }
    }

    fn backlog(&self) -> Backlog {
        let &ParticipantScaling { parked, parked_oldest_s, retrying, silent_s, answered_s, open_in, paused_in, .. } = self;
        Backlog { parked, parked_oldest_s, retrying, silent_s, answered_s, open_in, paused_in }
    }

    fn with(self, estimate: &Estimate) -> ParticipantScaling {
        ParticipantScaling {
            arrive_per_s: rounded(estimate.arrive_per_s),
            arrive_per_s2: rounded(estimate.arrive_per_s2),
            answer_per_s: rounded(estimate.answer_per_s),
            unanswered: estimate.unanswered,
            oldest_s: estimate.oldest_s.map(rounded),
            capacity_per_s: estimate.capacity_per_s.map(rounded),
            member_per_s: estimate.one_per_s.map(rounded),
            utilisation: estimate.utilisation.map(rounded),
            basis: estimate.basis.map(|basis| basis.as_str().to_owned()),
            slo_s: estimate.slo_s,
            service_s: estimate.service_s.map(rounded),
            response_s: estimate.response_s.map(rounded),
            breach_in_s: estimate.breach_in_s.map(rounded),
            warns: estimate.warns,
            seen_s: rounded(estimate.seen_s),
            ..self
        }
    }

    fn with_steps(self, steps_s: f64, all_steps_s: f64) -> ParticipantScaling {
        let share = (all_steps_s > 0.0).then(|| rounded(steps_s / all_steps_s));
        ParticipantScaling { steps_s: rounded(steps_s), all_steps_s: rounded(all_steps_s), share, ..self }
    }

    /// As it can be added to what others say.
    fn estimate(&self) -> Estimate {
        let basis = |word: &String| if word == Basis::Measured.as_str() { Basis::Measured } else { Basis::Estimate };
        Estimate {
            arrive_per_s: self.arrive_per_s,
            lately_per_s: 0.0,
            arrive_per_s2: self.arrive_per_s2,
            answer_per_s: self.answer_per_s,
            unanswered: self.unanswered,
            oldest_s: self.oldest_s,
            capacity_per_s: self.capacity_per_s,
            one_per_s: self.member_per_s,
            basis: self.basis.as_ref().map(basis),
            utilisation: self.utilisation,
            slo_s: self.slo_s,
            service_s: self.service_s,
            response_s: self.response_s,
            breach_in_s: self.breach_in_s,
            warns: self.warns,
            seen_s: self.seen_s,
        }
    }

    /// What several instances say of their shares of one participant, as one. How many members it should have depends on what is asked as
    /// a share of what is done, which each can tell: the most that one wants counts.
    fn combined(shares: &[ParticipantScaling]) -> Option<ParticipantScaling> {
        let estimate = combine(&shares.iter().map(ParticipantScaling::estimate).collect::<Vec<_>>())?;
        let most = shares.iter().max_by_key(|one| (one.wanted_members, one.partitions))?;
        let partitions = shares.iter().map(|one| one.partitions).sum();
        let told = ParticipantScaling {
            members: shares.iter().filter_map(|one| one.members).max(),
            active: shares.iter().any(|one| one.active),
            as_of: shares.iter().filter_map(|one| one.as_of.clone()).min(),
            partitions,
            ..most.clone()
        };
        let sum = |of: fn(&ParticipantScaling) -> f64| shares.iter().map(of).sum();
        let backlog = combine_backlogs(&shares.iter().map(ParticipantScaling::backlog).collect::<Vec<_>>());
        let told = told.with(&estimate).with_backlog(&backlog);
        Some(told.with_steps(sum(|one| one.steps_s), sum(|one| one.all_steps_s)))
    }
}

impl AllScaling {
    /// What several instances say, as one.
    pub fn combined(answers: Vec<AllScaling>) -> AllScaling {
        let mut missing = Vec::new();
        let mut all: Vec<ParticipantScaling> = Vec::new();
        for answer in answers {
            missing.extend(answer.missing);
            all.extend(answer.participants);
        }
        all.sort_by(|one, other| one.participant.cmp(&other.participant));
        let each = all.chunk_by(|one, other| one.participant == other.participant);
        let participants = each.filter_map(ParticipantScaling::combined).collect();
        AllScaling { participants, bottleneck: None, missing }.concluded()
    }
}

/// All of them, each with its share of the time that steps take.
pub(super) fn told(sources: &Sources) -> Vec<ParticipantScaling> {
    let steps = step_times(&sources.metrics.step_sums(), &sources.knowledge.get().catalog);
    let all_steps_s = steps.iter().map(|step| step.seconds).sum();
    let of = |told: &Told| {
        let own = steps.iter().filter(|step| step.participant.as_deref() == Some(&*told.participant));
        ParticipantScaling::of(told).with_steps(own.map(|step| step.seconds).sum(), all_steps_s)
    };
    sources.scaling.told().iter().map(of).collect()
}

/// How much each participant is asked and can answer, when it will be late, and how many members it should have.
#[utoipa::path(
    get,
    path = "/api/v1/scaling",
    tag = "participants",
    params(OfPartitions),
    responses((status = 200, body = AllScaling), Problems)
)]
pub(super) async fn all(State(sources): State<Arc<Sources>>, request: Request, Query(of): Query<OfPartitions>) -> Response {
    let here = |_: &[i32]| Ok(AllScaling { participants: told(&sources), ..AllScaling::default() }.concluded());
    let add = |all: &mut AllScaling, others: Others<AllScaling>| {
        let answers = others.answers.into_iter().chain([std::mem::take(all)]).collect();
        *all = AllScaling::combined(answers);
        all.missing.extend(others.missing);
    };
    for_all(&sources, &request, of.partitions.as_deref(), here, add)
}

/// The same of one of them, as scalers of others read it.
#[utoipa::path(
    get,
    path = "/api/v1/participants/{name}/scaling",
    tag = "participants",
    params(("name" = String, Path, description = "The participant, such as payment"), OfPartitions),
    responses((status = 200, body = ParticipantScaling), Problems)
)]
pub(super) async fn one(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    request: Request,
    Query(of): Query<OfPartitions>,
) -> Response {
    let known = told(&sources);
    let Some(found) = known.iter().find(|of| of.participant == name) else {
        return Problem::NotFound.because(not_found(&name, &known)).into_response();
    };
    let add = |one: &mut ParticipantScaling, others: Others<ParticipantScaling>| {
        let shares: Vec<ParticipantScaling> = others.answers.into_iter().chain([one.clone()]).collect();
        *one = ParticipantScaling::combined(&shares).unwrap_or_else(|| one.clone());
        one.missing.extend(others.missing);
    };
    let here = |_: &[i32]| Ok(found.clone());
    for_all(&sources, &request, of.partitions.as_deref(), here, add)
}

/// There is none of this name, for people.
pub(crate) fn not_found(name: &str, all: &[ParticipantScaling]) -> String {
    format!("no saga that is deployed asks '{name}'; {}", there(all.iter().map(|of| &*of.participant).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(name: &str, arrive: f64, capacity: f64, wanted: Option<u32>) -> ParticipantScaling {
        ParticipantScaling {
            participant: name.to_owned(),
            arrive_per_s: arrive,
            answer_per_s: arrive,
            capacity_per_s: Some(capacity),
            member_per_s: Some(capacity / 2.0),
            basis: Some("measured".to_owned()),
            service_s: Some(0.1),
            slo_s: 5.0,
            steps_s: 10.0,
            all_steps_s: arrive,
            seen_s: 300.0,
            members: Some(2),
            wanted_members: wanted,
            partitions: 4,
            partitions_of: 8,
            as_of: Some(format!("2026-11-30T16:00:{arrive:02}Z")),
            ..ParticipantScaling::default()
        }
    }

    #[test]
    fn nothing_has_no_sign() {
        let steps = std::iter::empty::<f64>;
        assert!(rounded(steps().sum()).is_sign_positive());
        assert_eq!(rounded(-0.0005), -0.001);
    }

    #[test]
    fn what_instances_say_adds_up_by_participant() {
        let of = |participants| AllScaling { participants, ..AllScaling::default() };
        let one = of(vec![share("mail", 5.0, 50.0, None), share("payment", 90.0, 100.0, Some(3))]);
        let other = of(vec![share("payment", 10.0, 100.0, Some(2))]);
        let both = AllScaling::combined(vec![one, other]);
        let names: Vec<&str> = both.participants.iter().map(|of| &*of.participant).collect();
        assert_eq!(names, ["mail", "payment"]);
        let payment = &both.participants[1];
        assert_eq!((payment.arrive_per_s, payment.capacity_per_s, payment.utilisation), (100.0, Some(200.0), Some(0.5)));
        assert_eq!((payment.member_per_s, payment.members, payment.wanted_members), (Some(100.0), Some(2), Some(3)));
        assert_eq!((payment.steps_s, payment.all_steps_s, payment.share), (20.0, 100.0, Some(0.2)));
        assert_eq!((payment.partitions, payment.basis.as_deref()), (8, Some("measured")));
        assert_eq!(payment.as_of.as_deref(), Some("2026-11-30T16:00:10Z"), "no newer than the oldest of them");
        assert_eq!(both.bottleneck().map(|of| &*of.participant), Some("payment"));
        assert_eq!(both.bottleneck.map(|of| of.why).as_deref(), Some("used by 50 %"));
        assert_eq!(AllScaling::default().bottleneck(), None);
    }

    /// One that answers another instance is not silent, whatever this one sees.
    #[test]
    fn silence_is_that_of_all_instances() {
        let silent = |silent_s, answered_s| ParticipantScaling {
            unanswered: 40,
            parked: 10,
            silent_s: Some(silent_s),
            answered_s,
            ..share("payment", 5.0, 50.0, None)
        };
        let both = |one, other| {
            let all = [one, other].map(|of| AllScaling { participants: vec![of], ..AllScaling::default() });
            let mut both = AllScaling::combined(all.into());
            (both.bottleneck.map(|of| of.why), both.participants.remove(0).silent_s)
        };
        let (why, silent_s) = both(silent(600.0, None), silent(30.0, Some(900.0)));
        assert_eq!(why.as_deref(), Some("nothing was answered for 10 min; 80 unanswered, 20 parked"));
        assert_eq!(silent_s, Some(600.0));
        let (why, silent_s) = both(silent(600.0, None), silent(0.2, Some(0.3)));
        assert_eq!((why.as_deref(), silent_s), (Some("used by 10 %"), Some(0.3)));
    }
}
