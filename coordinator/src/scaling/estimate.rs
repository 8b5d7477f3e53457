//! What follows from the books, of a whole participant or of the share of one instance; shares add up.

use super::breach::Standing;

/// What the books say at one moment. Counts only grow, from wherever they began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// When.
    pub at_ms: i64,
    /// Attempts that were sent.
    pub issued: u64,
    /// Attempts that ended by an answer, whatever it says, and answers that came late.
    pub answered: u64,
    /// Attempts whose time was over.
    pub timed_out: u64,
    /// Attempts that are not answered now.
    pub unanswered: u64,
    /// Answers of which it is known how long they took.
    pub responses: u64,
    /// How long those took together.
    pub response_ms: u64,
    /// How old the oldest one is that is not answered; none if there is none.
    pub oldest_ms: Option<i64>,
}

/// What is known of a participant from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// How soon it should answer.
    pub slo_s: f64,
    /// How many commands one member carries out at once.
    pub concurrency: Option<u32>,
    /// How many members it has.
    pub members: Option<u32>,
    /// Which share of what it is asked is asked from here.
    pub share: f64,
}

/// How a capacity is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// There was a queue, and answers left as fast as they can.
    Measured,
    /// By its members, their concurrency, and how long an answer takes; or by what another instance has measured.
    Estimate,
}

impl Basis {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Measured => "measured",
            Basis::Estimate => "estimate",
        }
    }
}

/// What follows from the books.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// Attempts that are sent a second.
    pub arrive_per_s: f64,
    /// The same of the last seconds alone, less what may be chance: after a step it is the larger one. Known to who counts, and not told.
    pub lately_per_s: f64,
    /// By how much that grows each second; 0 if it does not for sure.
    pub arrive_per_s2: f64,
    /// Attempts that are answered a second.
    pub answer_per_s: f64,
    /// Attempts that are not answered now.
    pub unanswered: u64,
    /// How old the oldest of those is.
    pub oldest_s: Option<f64>,
    /// What it can answer a second; none: not known yet.
    pub capacity_per_s: Option<f64>,
    /// What one member can, where members are known.
    pub one_per_s: Option<f64>,
    /// How that is known.
    pub basis: Option<Basis>,
    /// What arrives as a share of what it can answer.
    pub utilisation: Option<f64>,
    /// How soon it should answer.
    pub slo_s: f64,
    /// How long an answer takes where nothing queues.
    pub service_s: Option<f64>,
    /// How long an answer takes now, by what is not answered and how fast it is.
    pub response_s: Option<f64>,
    /// When answers will take longer than they should: 0 = now; none: not in sight, or not known.
    pub breach_in_s: Option<f64>,
    /// That is near, and has been for long enough to be said aloud.
    pub warns: bool,
    /// How long it was looked at.
    pub seen_s: f64,
}

impl Estimate {
    /// What follows at once; how fast it answers is filled in by who knows.
    pub(super) fn of(standing: &Standing) -> Estimate {
        let Standing { arrive, growth, unanswered, oldest_s, capacity, service_s, slo_s, seen_s } = *standing;
        Estimate {
            arrive_per_s: arrive,
            lately_per_s: 0.0,
            arrive_per_s2: growth,
            answer_per_s: 0.0,
            unanswered,
            oldest_s,
            capacity_per_s: capacity,
            one_per_s: None,
            basis: None,
            utilisation: capacity.filter(|capacity| *capacity > 0.0).map(|capacity| arrive / capacity),
            slo_s,
            service_s,
            response_s: None,
            breach_in_s: standing.breach_in_s(),
            warns: false,
            seen_s,
        }
    }

    /// How long an answer takes now, by Little's law.
    pub(super) fn with_response(self) -> Estimate {
        Estimate { response_s: (self.answer_per_s > 0.0).then(|| self.unanswered as f64 / self.answer_per_s), ..self }
    }
}

/// What several instances say of their shares of one participant, as one; none of nobody. Where some do not know yet what it can answer
/// them, it is taken to be as much, for what they ask, as it is for the others.
pub fn combine(shares: &[Estimate]) -> Option<Estimate> {
    let first = shares.first()?;
    let sum = |of: fn(&Estimate) -> f64| shares.iter().map(of).sum::<f64>();
    let (arrive, answer_per_s) = (sum(|one| one.arrive_per_s), sum(|one| one.answer_per_s));
    let known = shares.iter().filter_map(|one| Some((one.capacity_per_s?, one)));
    let (mut capacity, mut one, mut asked, mut all_measured) = (0.0, 0.0, 0.0, true);
    for (of_share, share) in known {
        (capacity, one, asked) = (capacity + of_share, one + share.one_per_s.unwrap_or(0.0), asked + share.arrive_per_s);
        all_measured &= share.basis == Some(Basis::Measured);
    }
    let missing = shares.iter().filter(|one| one.capacity_per_s.is_none() && one.arrive_per_s > 0.0).count();
    let is_known = shares.iter().any(|one| one.capacity_per_s.is_some()) && (missing == 0 || asked > 0.0);
    let by = if missing > 0 { arrive / asked } else { 1.0 };
    let weight = |one: &Estimate| one.service_s.map(|service_s| (service_s, one.answer_per_s.max(f64::MIN_POSITIVE)));
    let (took, of) = shares.iter().filter_map(weight).fold((0.0, 0.0), |(took, of), (s, w)| (took + s * w, of + w));
    let standing = Standing {
        arrive,
        growth: sum(|one| one.arrive_per_s2),
        unanswered: shares.iter().map(|one| one.unanswered).sum(),
        oldest_s: shares.iter().filter_map(|one| one.oldest_s).reduce(f64::max),
        capacity: is_known.then_some(capacity * by),
        service_s: (of > 0.0).then(|| took / of),
        slo_s: shares.iter().map(|one| one.slo_s).fold(first.slo_s, f64::min),
        // Whoever has just come has seen nothing, and the others all that they did.
        seen_s: shares.iter().map(|one| one.seen_s).fold(0.0, f64::max),
    };
    let basis = if all_measured && missing == 0 { Basis::Measured } else { Basis::Estimate };
    let combined = Estimate {
        answer_per_s,
        one_per_s: is_known.then_some(one * by),
        basis: is_known.then_some(basis),
        warns: shares.iter().any(|one| one.warns),
        ..Estimate::of(&standing)
    };
    Some(combined.with_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(arrive: f64, capacity: Option<f64>, unanswered: u64, service_s: f64) -> Estimate {
        let standing = Standing {
            arrive,
            growth: 0.0,
            unanswered,
            oldest_s: (unanswered > 0).then_some(unanswered as f64 / 100.0),
            capacity,
            service_s: Some(service_s),
            slo_s: 5.0,
            seen_s: 200.0,
        };
        let basis = capacity.map(|_| Basis::Measured);
        Estimate { answer_per_s: arrive, one_per_s: capacity, basis, ..Estimate::of(&standing) }.with_response()
    }

    #[test]
    fn shares_add_up_and_what_follows_is_computed_anew() {
        let (one, other) = (share(110.0, Some(100.0), 50, 0.1), share(330.0, Some(300.0), 350, 0.3));
        let both = combine(&[one, other]).expect("there are some");
        assert_eq!((both.arrive_per_s, both.answer_per_s, both.unanswered), (440.0, 440.0, 400));
        assert_eq!((both.capacity_per_s, both.basis), (Some(400.0), Some(Basis::Measured)));
        assert_eq!((both.utilisation, both.oldest_s), (Some(1.1), Some(3.5)));
        let service_s = both.service_s.expect("both know");
        assert!((service_s - 0.25).abs() < 1e-9, "by how much each answers: {service_s}");
        let excess = 40.0 - 2.0 * (440.0_f64 / 60.0).sqrt();
        let breach = both.breach_in_s.expect("in sight");
        assert!((breach - (400.0 * 4.75 - 400.0) / excess).abs() < 1e-6, "{breach}");
        assert_eq!(combine(&[one]).map(|alone| (alone.breach_in_s, alone.response_s)), Some((one.breach_in_s, one.response_s)));
        assert_eq!(combine(&[]), None);
    }

    #[test]
    fn who_does_not_know_yet_is_taken_to_be_like_the_others() {
        let both = combine(&[share(100.0, Some(200.0), 0, 0.1), share(50.0, None, 0, 0.1)]).expect("there are some");
        assert_eq!((both.capacity_per_s, both.basis, both.utilisation), (Some(300.0), Some(Basis::Estimate), Some(0.5)));
        let idle = combine(&[share(100.0, Some(200.0), 0, 0.1), share(0.0, None, 0, 0.1)]).expect("there are some");
        assert_eq!((idle.capacity_per_s, idle.basis), (Some(200.0), Some(Basis::Measured)), "nothing is asked there");
        let none = combine(&[share(100.0, None, 0, 0.1), share(50.0, None, 0, 0.1)]).expect("there are some");
        assert_eq!((none.capacity_per_s, none.basis, none.breach_in_s), (None, None, None));
    }
}
