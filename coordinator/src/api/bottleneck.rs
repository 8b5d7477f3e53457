//! Which participant holds sagas up, and why, in words: whoever does not answer at all comes before whoever is merely busy.
//!
//! ```text
//! nothing waits for it                            -> it holds nobody up
//! paused, or its breaker open, in most partitions -> stopped
//! nothing answered for longer than its slo        -> stopped
//! none of these: the nearest to what it can answer
//! ```

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::scaling::{AllScaling, ParticipantScaling};

/// A participant is not called silent before it has been for so long, however soon it should answer.
const SILENT_MIN_S: f64 = 10.0;

/// Which participant holds sagas up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bottleneck {
    /// Its name.
    pub participant: String,
    /// Why, in words.
    pub why: String,
}

impl ParticipantScaling {
    /// What waits for it.
    fn waiting(&self) -> u64 {
        self.unanswered + self.parked + self.retrying
    }

    /// In more than half of the partitions.
    fn is_most(&self, partitions: usize) -> bool {
        partitions * 2 > self.partitions
    }

    fn is_paused(&self) -> bool {
        self.is_most(self.paused_in)
    }

    /// Why nothing comes back from it although something waits; none if nothing does, or it answers, or was only just asked.
    pub(super) fn why_stopped(&self) -> Option<String> {
        if self.waiting() == 0 {
            return None;
        }
        let silent = self.silent_s.filter(|silent_s| *silent_s > self.slo_s.max(SILENT_MIN_S));
        let silent = silent.map(|silent_s| format!("nothing was answered for {}", for_so_long(silent_s)));
        let why = match silent {
            _ if self.is_paused() => "a person paused it".to_owned(),
            Some(silent) if self.is_most(self.open_in + self.paused_in) => format!("its breaker is open, {silent}"),
            None if self.is_most(self.open_in + self.paused_in) => "its breaker is open".to_owned(),
            silent => silent?,
        };
        let counts = [(self.unanswered, "unanswered"), (self.retrying, "to be asked again"), (self.parked, "parked")];
        let counts: Vec<String> =
            counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let oldest_s = self.oldest_s.into_iter().chain(self.parked_oldest_s).reduce(f64::max);
        let oldest = oldest_s.map_or_else(String::new, |oldest_s| format!(", the oldest for {}", for_so_long(oldest_s)));
        Some(format!("{why}; {}{oldest}", counts.join(", ")))
    }
}

impl AllScaling {
    /// The one that holds sagas up: of those that do not answer at all the one for which most waits, what a person paused behind what
    /// nobody did; else the one that is nearest to what it can answer, if that is known of any.
    pub fn bottleneck(&self) -> Option<&ParticipantScaling> {
        let stopped = self.participants.iter().filter(|of| of.stopped.is_some());
        let most = stopped.max_by_key(|of| (!of.is_paused(), of.waiting()));
        most.or_else(|| {
            let known = self.participants.iter().filter_map(|of| Some((of.utilisation?, of)));
            known.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, of)| of)
        })
    }

    /// With what follows from all of them.
    pub(super) fn concluded(self) -> AllScaling {
        let bottleneck = self.bottleneck().map(|of| {
            let busy = || format!("used by {:.0} %", of.utilisation.unwrap_or(0.0) * 100.0);
            Bottleneck { participant: of.participant.clone(), why: of.stopped.clone().unwrap_or_else(busy) }
        });
        AllScaling { bottleneck, ..self }
    }
}

/// So many seconds, as people say it.
fn for_so_long(seconds: f64) -> String {
    match seconds {
        some if some < 120.0 => format!("{some:.0} s"),
        many if many < 7_200.0 => format!("{:.0} min", (many / 60.0).floor()),
        more => format!("{:.0} h", (more / 3_600.0).floor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> ParticipantScaling {
        ParticipantScaling {
            participant: name.to_owned(),
            slo_s: 5.0,
            partitions: 4,
            partitions_of: 4,
            ..ParticipantScaling::default()
        }
    }

    fn with_why(of: ParticipantScaling) -> ParticipantScaling {
        ParticipantScaling { stopped: of.why_stopped(), ..of }
    }

    /// Nothing was answered for four minutes.
    fn silent() -> ParticipantScaling {
        with_why(ParticipantScaling {
            unanswered: 300,
            oldest_s: Some(12.0),
            parked: 3_000,
            parked_oldest_s: Some(750.0),
            retrying: 20,
            silent_s: Some(245.0),
            ..of("shipping")
        })
    }

    fn busy() -> ParticipantScaling {
        with_why(ParticipantScaling {
            unanswered: 9_000,
            oldest_s: Some(60.0),
            utilisation: Some(1.24),
            answered_s: Some(0.1),
            ..of("payment")
        })
    }

    fn named(participants: Vec<ParticipantScaling>) -> Option<(String, String)> {
        let concluded = AllScaling { participants, ..AllScaling::default() }.concluded();
        concluded.bottleneck.map(|of| (of.participant, of.why))
    }

    #[test]
    fn whoever_is_silent_comes_before_whoever_is_busy() {
        let (name, why) = named(vec![busy(), silent()]).expect("there is one");
        assert_eq!(name, "shipping");
        assert_eq!(why, "nothing was answered for 4 min; 300 unanswered, 20 to be asked again, 3000 parked, the oldest for 12 min");
        assert_eq!(named(vec![busy(), of("mail")]), Some(("payment".to_owned(), "used by 124 %".to_owned())));
        assert_eq!(named(vec![of("mail")]), None);
        // Of several the one for which most waits.
        let less = with_why(ParticipantScaling { participant: "zero".to_owned(), parked: 0, ..silent() });
        assert_eq!(named(vec![silent(), less]).map(|(name, _)| name), Some("shipping".to_owned()));
    }

    #[test]
    fn who_was_only_just_asked_or_is_asked_nothing_is_not_silent() {
        for (silent_s, slo_s, is_silent) in
            [(1.0, 0.5, false), (10.0, 0.5, false), (11.0, 0.5, true), (600.0, 900.0, false), (901.0, 900.0, true)]
        {
            let of = ParticipantScaling { silent_s: Some(silent_s), slo_s, ..silent() };
            assert_eq!(of.why_stopped().is_some(), is_silent, "{silent_s} s, and it should answer in {slo_s} s");
        }
        let idle = ParticipantScaling { unanswered: 0, parked: 0, retrying: 0, paused_in: 4, ..silent() };
        assert_eq!(idle.why_stopped(), None, "nothing waits for it");
    }

    #[test]
    fn what_a_person_paused_is_said_as_such_and_comes_behind_what_is_down() {
        let paused = with_why(ParticipantScaling {
            participant: "mail".to_owned(),
            unanswered: 0,
            retrying: 0,
            parked: 90_000,
            paused_in: 3,
            ..silent()
        });
        assert_eq!(paused.stopped.as_deref(), Some("a person paused it; 90000 parked, the oldest for 12 min"));
        assert_eq!(named(vec![paused.clone(), silent()]).map(|(name, _)| name), Some("shipping".to_owned()));
        assert_eq!(named(vec![paused.clone(), busy()]).map(|(name, _)| name), Some("mail".to_owned()));
        let few = ParticipantScaling { paused_in: 2, silent_s: None, ..paused };
        assert_eq!(few.why_stopped(), None, "it is asked in half of the partitions, and answers there");
    }

    #[test]
    fn an_open_breaker_is_told_whether_it_fails_or_is_silent() {
        let open = |silent_s| ParticipantScaling {
            open_in: 2,
            paused_in: 1,
            unanswered: 1,
            retrying: 0,
            parked: 5,
            oldest_s: None,
            parked_oldest_s: Some(30.4),
            silent_s,
            ..silent()
        };
        assert_eq!(open(None).why_stopped().as_deref(), Some("its breaker is open; 1 unanswered, 5 parked, the oldest for 30 s"));
        let why = open(Some(7_300.0)).why_stopped();
        assert_eq!(
            why.as_deref(),
            Some("its breaker is open, nothing was answered for 2 h; 1 unanswered, 5 parked, the oldest for 30 s")
        );
    }
}
