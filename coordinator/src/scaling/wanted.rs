//! How many members a participant should have, and why, in words.

use super::Estimate;

/// What piled up is to be gone in so long.
const DRAIN_S: f64 = 300.0;
/// Members do this share of what they can.
const USED_SHARE: f64 = 0.75;
/// The busiest of them, which may have one partition more than another, does no more than this.
const BUSIEST_SHARE: f64 = 0.9;
/// One fewer is enough only if the busiest then does less than this.
const FEWER_BELOW: f64 = 0.6;
/// One fewer at a time, and not sooner than so long after any other change.
const FEWER_EVERY_MS: i64 = 60_000;
/// Less than this is nothing.
pub(super) const IDLE_PER_S: f64 = 0.01;

/// What else the number depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Members now; none if that is not known.
    pub members: Option<u32>,
    /// There cannot be more that do anything.
    pub members_max: u32,
    /// Partitions of its commands: some members may have one more than others.
    pub partitions: u32,
    /// Commands that are parked for it.
    pub parked: u64,
    /// Its breaker is closed: it is asked as usual.
    pub is_asked: bool,
    /// All that it is asked is asked from here: nobody else may wait for it.
    pub is_all: bool,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// So many members; none: that cannot be told.
    pub members: Option<u32>,
    /// Why.
    pub reason: String,
}

/// What was wanted last, and since when: it goes up at once, and down slowly.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// How many, and when that changed.
    last: Option<(u32, i64)>,
}

impl Wish {
    /// What is wanted now.
    pub fn next(&mut self, at_ms: i64, estimate: &Estimate, situation: &Situation) -> Wanted {
        let Situation { members, parked, is_asked, is_all, .. } = *situation;
        let Some(members) = members else {
            let reason = "how many members it has is not known, so that neither is how many it should have".to_owned();
            return Wanted { members: None, reason };
        };
        let waits = estimate.unanswered > 0 || parked > 0 || estimate.arrive_per_s >= IDLE_PER_S || !is_all;
        let least = u32::from(waits);
        let (before, changed_ms) = *self.last.get_or_insert((members.max(least), at_ms));
        let (wanted, reason) = if !is_asked {
            let why = "it is not asked as usual (its breaker is not closed, or a person paused it), which more members do not mend";
            (before.max(least), why.to_owned())
        } else if let Some(one) = estimate.one_per_s.filter(|one| *one > 0.0) {
            let since_ms = at_ms - changed_ms;
            Move { one, estimate, members, before, least, since_ms }.decide(situation)
        } else if before == 0 && least > 0 {
            (least, "something waits for it, and it has no members".to_owned())
        } else {
            let why = "what a member can answer is not known yet: there was never a queue, and `concurrency` is not set";
            (before.max(least), why.to_owned())
        };
        if wanted != before {
            self.last = Some((wanted, at_ms));
        }
        let reason = if is_all { reason } else { format!("by the partitions of this instance: {reason}") };
        Wanted { members: Some(wanted), reason }
    }
}

/// From how many to how many.
struct Move<'a> {
    /// What one member can answer a second.
    one: f64,
    estimate: &'a Estimate,
    members: u32,
    before: u32,
    least: u32,
    since_ms: i64,
}

impl Move<'_> {
    fn decide(&self, &Situation { members_max, partitions, .. }: &Situation) -> (u32, String) {
        let Move { one, estimate, members, before, least, since_ms } = *self;
        // A step upwards is in the smoothed rate only when all its queue is there.
        let arrive = estimate.arrive_per_s.max(estimate.lately_per_s);
        let to_do = arrive + estimate.unanswered as f64 / DRAIN_S;
        // Of 8 partitions one of 7 members has two, and is no faster than one of 4.
        let parts = partitions.max(1);
        let busiest = |per_s: f64, count: u32| per_s / one * f64::from(parts.div_ceil(count)) / f64::from(parts);
        let needs = ((to_do / (one * USED_SHARE)).ceil() as u32).max(least);
        let is_even = |count: &u32| *count == 0 || busiest(to_do, *count) <= BUSIEST_SHARE;
        let needed = (needs..=members_max).find(is_even).unwrap_or(needs.max(members_max));
        let all = format!("{arrive:.1}/s arrive, {} are unanswered, a member can answer {one:.1}/s", estimate.unanswered);
        let of_max = needed.min(members_max.max(1));
        if of_max > before {
            let most = members.max(1).saturating_mul(2).max(before);
            let wanted = of_max.min(most);
            let why = match () {
                () if wanted < of_max => format!("{all}: {of_max} are needed, at most double at once"),
                () if needed > of_max => format!("{all}: {needed} would be needed, {}", at_most(members_max)),
                () if wanted > needs => format!("{all}: {needs} would do it if {parts} partitions could be shared out evenly"),
                () => format!("{all}: so many do it at {:.0} % and are through in 5 min", USED_SHARE * 100.0),
            };
            return (wanted, why);
        }
        if needed > members_max {
            return (members_max.max(1), format!("{all}: {needed} would be needed, {}", at_most(members_max)));
        }
        if of_max == before {
            return (before, format!("{all}: so many are right"));
        }
        let fewer = before - 1;
        // Without any there is nobody to be too busy: then nothing arrives either.
        let would_do = if fewer > 0 { busiest(arrive, fewer) } else { 0.0 };
        if would_do >= FEWER_BELOW {
            return (before, format!("{all}: one of {fewer} would be at {:.0} %, which is too close", would_do * 100.0));
        }
        if since_ms < FEWER_EVERY_MS {
            return (before, format!("{all}: fewer are enough, one a minute"));
        }
        (fewer, format!("{all}: fewer are enough, one a minute"))
    }
}

/// What there is to be done where more members do nothing.
fn at_most(members_max: u32) -> String {
    format!("and more than {members_max} would have nothing to do: raise `concurrency` in the service, or use share groups")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::rates::{LATELY_MS, Rate};
    use crate::scaling::{Estimator, Known, Sample};

    fn estimate(arrive: f64, unanswered: u64, one: Option<f64>) -> Estimate {
        let known = Known { slo_s: 5.0, concurrency: None, members: None, share: 1.0 };
        Estimate { arrive_per_s: arrive, unanswered, one_per_s: one, ..Estimator::default().estimate(&known) }
    }

    const USUAL: Situation = Situation { members: Some(2), members_max: 8, partitions: 8, parked: 0, is_asked: true, is_all: true };

    fn from(before: u32, at_ms: i64, estimate: &Estimate, situation: Situation) -> (Option<u32>, String) {
        let wanted = Wish { last: Some((before, 0)) }.next(at_ms, estimate, &situation);
        (wanted.members, wanted.reason)
    }

    /// Each rule by itself: from so many, after so long, with so much to do, to so many, and what is said of it.
    #[test]
    fn it_goes_up_at_once_and_down_slowly() {
        for (before, after_s, arrive, unanswered, one, situation, wanted, says) in [
            (2, 0, 225.0, 0, 100.0, USUAL, 3, "so many do it at 75 %"),
            (2, 0, 150.0, 22_500, 100.0, USUAL, 3, "22500 are unanswered"),
            (2, 0, 900.0, 0, 100.0, USUAL, 4, "8 are needed"),
            (2, 0, 450.0, 0, 100.0, USUAL, 4, "8 are needed, at most double"),
            (4, 0, 500.0, 0, 100.0, Situation { members: Some(4), ..USUAL }, 8, "7 would do it if 8 partitions"),
            (4, 0, 350.0, 0, 100.0, Situation { members: Some(4), ..USUAL }, 5, "so many do it at 75 %"),
            (8, 600, 300.0, 0, 100.0, Situation { members: Some(8), ..USUAL }, 8, "one of 7 would be at 75 %"),
            (6, 0, 2_000.0, 0, 100.0, Situation { members: Some(6), ..USUAL }, 8, "share groups"),
            (8, 0, 2_000.0, 0, 100.0, Situation { members: Some(8), ..USUAL }, 8, "27 would be needed"),
            (2, 0, 130.0, 0, 100.0, USUAL, 2, "so many are right"),
            (4, 59, 100.0, 0, 100.0, USUAL, 4, "one a minute"),
            (4, 60, 100.0, 0, 100.0, USUAL, 3, "one a minute"),
            (3, 600, 130.0, 0, 100.0, USUAL, 3, "one of 2 would be at 65 %"),
            (1, 600, 0.0, 0, 100.0, USUAL, 0, "fewer are enough"),
            (1, 600, 0.0, 1, 100.0, USUAL, 1, "so many are right"),
            (1, 600, 0.0, 0, 100.0, Situation { parked: 1, ..USUAL }, 1, "so many are right"),
            (1, 600, 0.0, 0, 100.0, Situation { is_all: false, ..USUAL }, 1, "so many are right"),
            (0, 0, 0.0, 0, 100.0, Situation { parked: 1, members: Some(0), ..USUAL }, 1, "so many do it"),
            (4, 600, 0.0, 0, 100.0, Situation { is_asked: false, ..USUAL }, 4, "not asked as usual"),
            (2, 0, 900.0, 9_000, 100.0, Situation { is_asked: false, ..USUAL }, 2, "more members do not mend"),
        ] {
            let (found, reason) = from(before, after_s * 1_000, &estimate(arrive, unanswered, Some(one)), situation);
            let case = format!("from {before} after {after_s} s, {arrive}/s and {unanswered}: {found:?}, {reason}");
            assert!(found == Some(wanted) && reason.contains(says), "{case}");
        }
    }

    /// The scalers of others count what waits, and take away who works on it.
    #[test]
    fn it_is_never_0_while_anything_is_unanswered_or_parked() {
        for (unanswered, parked, is_asked, one) in [
            (1, 0, true, Some(100.0)),
            (0, 1, true, Some(100.0)),
            (0, 1, false, None),
            (1, 0, true, None),
            (1, 1, false, Some(1e9)),
        ] {
            for members in [0, 1, 3] {
                let situation = Situation { members: Some(members), parked, is_asked, ..USUAL };
                let mut wish = Wish::default();
                for minute in 0..100 {
                    let wanted = wish.next(minute * 60_000, &estimate(0.0, unanswered, one), &situation).members;
                    assert!(wanted >= Some(1), "{unanswered} unanswered, {parked} parked, {members} members: {wanted:?}");
                }
            }
        }
    }

    /// From 10 a second to 300, of which a member can do 50: when enough are wanted it is not too late, and chance alone wants none more.
    #[test]
    fn a_step_is_followed_within_seconds_and_chance_is_not() {
        let known = Known { slo_s: 5.0, concurrency: Some(1), members: Some(1), share: 1.0 };
        let wanted_after = |rate: u64, seconds: i64| {
            let (mut estimator, mut sample) = (Estimator::default(), Sample::default());
            let tenths = 0..(60 + seconds) * 10;
            for tenth in tenths {
                let rate = if tenth < 600 { 10 } else { rate };
                sample.at_ms = tenth * 100;
                sample.issued += rate / 10;
                sample.answered += 1;
                sample.responses += 1;
                sample.response_ms += 20;
                estimator.add(sample, &known);
            }
            let mut wish = Wish { last: Some((4, 0)) };
            wish.next(0, &estimator.estimate(&known), &Situation { members: Some(4), ..USUAL }).members
        };
        assert_eq!([5, 20].map(|seconds| wanted_after(300, seconds)), [Some(4), Some(8)]);
        let known = Known { slo_s: 5.0, concurrency: Some(1), members: Some(2), share: 1.0 };
        let (mut estimator, mut sample, mut lately) = (Estimator::default(), Sample::default(), Rate::<LATELY_MS>::default());
        let (mut most, mut lately_most, mut chance) = (0, 0.0_f64, fastrand::Rng::with_seed(1));
        for second in 0..3_600 {
            // 70 a second, by chance 62 or 78: two members do 75.
            sample.at_ms = second * 1_000;
            let issued = if chance.bool() { 62 } else { 78 };
            sample.issued += issued;
            lately.add(issued as f64, 1_000.0);
            lately_most = if second < 60 { 0.0 } else { lately_most.max(lately.per_s()) };
            sample.answered = sample.issued;
            sample.responses = sample.issued;
            sample.response_ms = sample.issued * 20;
            estimator.add(sample, &known);
            // The first seconds alone are no rate yet.
            if second >= 60 {
                most = most.max(from(2, 0, &estimator.estimate(&known), USUAL).0.unwrap_or(0));
            }
        }
        assert!(lately_most > 75.0, "chance went above what two members do: {lately_most}");
        assert_eq!(most, 2);
    }

    #[test]
    fn what_is_not_known_changes_nothing() {
        let (wanted, reason) = from(2, 600_000, &estimate(900.0, 90, None), USUAL);
        assert!(wanted == Some(2) && reason.contains("never a queue"), "{reason}");
        let (wanted, reason) = from(2, 0, &estimate(900.0, 90, Some(10.0)), Situation { members: None, ..USUAL });
        assert!(wanted.is_none() && reason.starts_with("how many members it has"), "{reason}");
        let idle = from(0, 0, &estimate(0.0, 0, None), Situation { members: Some(0), ..USUAL });
        assert_eq!(idle.0, Some(0));
    }
}
