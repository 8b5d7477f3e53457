//! The books of all partitions that are owned here, by participant: sums of what moved, so that partitions may come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_core::partition::AskedSoFar;

use super::backlog::Silence;
use super::{Backlog, Estimate, Estimator, Known, Sample, Situation, Wanted, Wish};
use crate::runtime::{Now, PartitionAsked};

/// So many participants are looked at; of more than that the rest is not.
const PARTICIPANTS_MAX: usize = 200;
/// How many members are wanted is thought of this often.
const WISH_EVERY_MS: i64 = 1_000;

/// What is known of a participant that no partition knows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Outside {
    /// How soon it should answer.
    pub slo_s: f64,
    /// How many commands one member carries out at once.
    pub concurrency: Option<u32>,
    /// How many members it has; none if that is not known.
    pub members: Option<u32>,
    /// More members than this would have nothing to do, or are not to be.
    pub members_max: u32,
    /// Partitions of its commands, which its members share.
    pub partitions: u32,
}

/// What is told of a participant.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its name.
    pub participant: Arc<str>,
    /// What follows from the books here.
    pub estimate: Estimate,
    /// What waits for it, and whether anything comes back.
    pub backlog: Backlog,
    /// What is known from elsewhere.
    pub outside: Outside,
    /// How many members it should have, and why.
    pub wanted: Wanted,
    /// Something is asked of it, waits for its answer, or is parked.
    pub is_active: bool,
    /// When this was so, by the wall clock.
    pub at_ms: i64,
    /// Of so many partitions, of all that there are, this is.
    pub partitions: (usize, usize),
}

#[cfg(test)]
impl Told {
    /// Of one that has nearly as much to do as it can, and will soon be late.
    pub(crate) fn saturated(name: &str) -> Told {
        let (capacity_per_s, utilisation, breach_in_s) = (Some(10.0), Some(0.95), Some(200.0));
        Told {
            participant: name.into(),
            estimate: Estimate { capacity_per_s, utilisation, breach_in_s, ..Estimate::default() },
            backlog: Backlog::default(),
            outside: Outside::default(),
            wanted: Wanted::default(),
            is_active: true,
            at_ms: 0,
            partitions: (1, 1),
        }
    }
}

#[derive(Debug, Default)]
struct OfParticipant {
    sample: Sample,
    estimator: Estimator,
    wish: Wish,
    /// What was wanted when that was thought of last.
    wanted: Option<(i64, Wanted)>,
    silence: Silence,
    /// What waits, of all partitions; of how long nothing came back there is nothing in here.
    backlog: Backlog,
    /// What it was asked and had answered at the last look.
    before: (u64, u64),
}

/// All books.
#[derive(Debug, Default)]
pub struct Books {
    /// What each partition had asked so far, and in which term it said so.
    partitions: BTreeMap<i32, (i64, BTreeMap<Arc<str>, AskedSoFar>)>,
    participants: BTreeMap<Arc<str>, OfParticipant>,
    told: Vec<Told>,
}

impl Books {
    /// Takes what partitions have asked so far. `all`: how many partitions there are; `outside`: all participants.
    pub fn take(&mut self, now: Now, asked: &[PartitionAsked], all: usize, outside: &BTreeMap<Arc<str>, Outside>) {
        let (before, here) = (self.partitions.len(), asked.len());
        if here == 0 {
            // Whoever has no part in it knows nothing of it.
            *self = Books::default();
        } else if before > 0 && before != here {
            self.participants.values_mut().for_each(|of| of.estimator.rescale(here as f64 / before as f64));
        }
        for of in self.participants.values_mut() {
            let Sample { unanswered, oldest_ms, at_ms, issued, answered, .. } = &mut of.sample;
            (*unanswered, *oldest_ms, *at_ms, of.before) = (0, None, now.steady, (*issued, *answered));
            of.backlog = Backlog::default();
        }
        self.partitions.retain(|number, _| asked.iter().any(|of| of.partition == *number));
        for name in outside.keys().chain(asked.iter().flat_map(|of| of.participants.iter().map(|(name, _)| name))) {
            self.open(name, now);
        }
        asked.iter().for_each(|of| self.take_partition(of, now));
        self.participants.retain(|name, _| outside.contains_key(name));
        let partitions = (here, all);
        let told = |(name, of): (&Arc<str>, &mut OfParticipant)| {
            let outside = outside.get(name)?;
            Some(of.tell(name, outside, now, partitions))
        };
        self.told = self.participants.iter_mut().filter_map(told).collect();
    }

    fn open(&mut self, name: &Arc<str>, now: Now) {
        if self.participants.len() < PARTICIPANTS_MAX && !self.participants.contains_key(name) {
            let sample = Sample { at_ms: now.steady, ..Sample::default() };
            self.participants.insert(name.clone(), OfParticipant { sample, ..OfParticipant::default() });
        }
    }

    fn take_partition(&mut self, asked: &PartitionAsked, now: Now) {
        let PartitionAsked { partition, term, participants } = asked;
        // Of a partition that has just come, or that somebody else may have had meanwhile, it is not known what was asked when.
        let is_known = self.partitions.get(partition).is_some_and(|(known, _)| known == term);
        let (known_term, known) = self.partitions.entry(*partition).or_default();
        *known_term = *term;
        for (name, asked) in participants {
            let before = known.insert(name.clone(), *asked);
            let Some(of) = self.participants.get_mut(name) else { continue };
            let before = if is_known { before.unwrap_or_default() } else { *asked };
            let more = |of: fn(&AskedSoFar) -> u64| of(asked).saturating_sub(of(&before));
            let answered = more(|of| of.answered);
            let sample = &mut of.sample;
            sample.issued += more(|of| of.issued);
            sample.answered += answered + more(|of| of.late);
            sample.timed_out += more(|of| of.timed_out);
            sample.responses += answered;
            sample.response_ms += more(|of| of.response_ms);
            sample.unanswered += asked.unanswered;
            let age_ms = |second: i64| (now.wall - second * 1_000).max(0);
            if asked.unanswered > 0 {
                sample.oldest_ms = sample.oldest_ms.into_iter().chain(asked.oldest_s.map(age_ms)).max();
            }
            let backlog = &mut of.backlog;
            backlog.parked += asked.parked;
            let parked_s = asked.parked_s.map(|second| age_ms(second) as f64 / 1_000.0);
            backlog.parked_oldest_s = backlog.parked_oldest_s.into_iter().chain(parked_s).reduce(f64::max);
            backlog.retrying += asked.retrying;
            backlog.paused_in += usize::from(asked.is_paused);
            backlog.open_in += usize::from(asked.is_out && !asked.is_paused);
        }
    }

    /// What is told of each participant, by name.
    pub fn told(&self) -> &[Told] {
        &self.told
    }
}

impl OfParticipant {
    fn tell(&mut self, name: &Arc<str>, outside: &Outside, now: Now, (here, all): (usize, usize)) -> Told {
        let Outside { slo_s, concurrency, members, members_max, partitions } = *outside;
        let known = Known { slo_s, concurrency, members, share: here as f64 / all.max(1) as f64 };
        self.estimator.add(self.sample, &known);
        let estimate = self.estimator.estimate(&known);
        let parked = self.backlog.parked;
        let waits = estimate.unanswered > 0 || parked > 0 || self.backlog.retrying > 0;
        let Sample { issued, answered, .. } = self.sample;
        self.silence.add(now.steady, answered > self.before.1, waits || issued > self.before.0);
        let (silent_s, answered_s) = self.silence.told(now.steady);
        let backlog = Backlog { silent_s, answered_s, ..self.backlog };
        let is_due = self.wanted.as_ref().is_none_or(|(at_ms, _)| now.steady - at_ms >= WISH_EVERY_MS);
        if is_due {
            // Partitions have breakers of their own: it counts what most of them do.
            let is_asked = (backlog.open_in + backlog.paused_in) * 2 <= here;
            let situation = Situation { members, members_max, partitions, parked, is_asked, is_all: here >= all };
            self.wanted = Some((now.steady, self.wish.next(now.steady, &estimate, &situation)));
        }
        let (_, wanted) = self.wanted.clone().expect("it was just thought of");
        let is_active = estimate.unanswered > 0 || parked > 0 || estimate.arrive_per_s >= super::IDLE_PER_S;
        let (participant, at_ms, partitions) = (name.clone(), now.wall, (here, all));
        Told { participant, estimate, backlog, outside: *outside, wanted, is_active, at_ms, partitions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYMENT: &str = "payment";

    /// An instance's partitions, each of which is asked 25 a second and answers after 200 ms: five are unanswered at any time.
    struct Running {
        books: Books,
        now_ms: i64,
        /// What each had asked before this instance had it, how much has piled up in it since, and its term.
        partitions: BTreeMap<i32, (u64, u64, i64)>,
    }

    fn outside() -> BTreeMap<Arc<str>, Outside> {
        let outside = Outside { slo_s: 5.0, concurrency: Some(20), members: Some(2), members_max: 8, partitions: 8 };
        [(PAYMENT.into(), outside)].into()
    }

    impl Running {
        fn new(partitions: std::ops::Range<i32>) -> Running {
            let of = |number| (number, (1_000_000 * number as u64, 0, 7));
            Running { books: Books::default(), now_ms: 0, partitions: partitions.map(of).collect() }
        }

        fn asked(&self, before: u64, piled: u64) -> AskedSoFar {
            let issued = before + 1_000 + piled + self.now_ms as u64 / 40;
            let answered = before + 995 + self.now_ms as u64 / 40;
            let response_ms = answered * 200;
            AskedSoFar { issued, answered, response_ms, unanswered: issued - answered, ..AskedSoFar::default() }
        }

        /// Runs for so long.
        fn run(&mut self, ms: i64) -> Told {
            for _ in 0..ms / 100 {
                self.now_ms += 100;
                let of = |(&partition, &(before, piled, term)): (&i32, &(u64, u64, i64))| {
                    let participants = vec![(Arc::from(PAYMENT), self.asked(before, piled))];
                    PartitionAsked { partition, term, participants }
                };
                let asked: Vec<_> = self.partitions.iter().map(of).collect();
                self.books.take(Now { wall: self.now_ms, steady: self.now_ms }, &asked, 8, &outside());
            }
            self.told()
        }

        fn told(&self) -> Told {
            self.books.told().first().cloned().expect("it is told of")
        }
    }

    fn is_about(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= expected * 0.02
    }

    #[test]
    fn rates_are_those_of_all_partitions_here() {
        let told = Running::new(0..4).run(60_000);
        let of = told.estimate;
        assert!(is_about(of.arrive_per_s, 100.0) && is_about(of.answer_per_s, 100.0), "{of:?}");
        assert_eq!((of.unanswered, told.partitions, told.is_active), (20, (4, 8), true));
        assert!(of.service_s.is_some_and(|service_s| is_about(service_s, 0.2)), "{of:?}");
        // Two members, twenty at once each, 200 ms: and half of what they do is asked from here.
        assert!(of.capacity_per_s.is_some_and(|capacity| is_about(capacity, 100.0)), "{of:?}");
        assert!(of.one_per_s.is_some_and(|one| is_about(one, 50.0)), "{of:?}");
    }

    /// What partitions that come have asked in their lives was not asked now; and what they ask is added at once.
    #[test]
    fn a_takeover_does_not_make_a_rate_jump() {
        let (mut one, mut other) = (Running::new(0..4), Running::new(4..8));
        one.run(120_000);
        other.run(120_000);
        let both = super::super::combine(&[one.told().estimate, other.told().estimate]).expect("there are two");
        assert!(is_about(both.arrive_per_s, 200.0), "{both:?}");
        // One dies; the other has all of it, and what had piled up there meanwhile.
        let piled = |(number, (before, _, term))| (number, (before, 1_000, term + 1));
        other.partitions.extend(std::mem::take(&mut one.partitions).into_iter().map(piled));
        for ms in [100, 100, 1_000, 10_000, 30_000, 60_000] {
            let of = other.run(ms).estimate;
            assert!(is_about(of.arrive_per_s, 200.0) && is_about(of.answer_per_s, 200.0), "after {ms} ms: {of:?}");
            assert_eq!((of.unanswered, of.arrive_per_s2), (4_040, 0.0), "after {ms} ms");
        }
        // They go again, and what is unanswered in them with them.
        other.partitions.retain(|number, _| *number >= 4);
        for ms in [100, 1_000, 30_000] {
            let of = other.run(ms).estimate;
            assert!(is_about(of.arrive_per_s, 100.0) && is_about(of.answer_per_s, 100.0), "after {ms} ms: {of:?}");
        }
        // One comes back that somebody else had for a while, between two looks.
        other.partitions.insert(4, (9_000_000, 0, 8));
        let of = other.run(100).estimate;
        assert!(is_about(of.arrive_per_s, 100.0), "{of:?}");
    }

    #[test]
    fn whoever_has_no_partition_tells_nothing_and_begins_anew() {
        let mut running = Running::new(0..8);
        running.run(60_000);
        let had = std::mem::take(&mut running.partitions);
        running.now_ms += 100;
        running.books.take(Now { wall: running.now_ms, steady: running.now_ms }, &[], 8, &outside());
        let told = running.told();
        assert_eq!((told.estimate.arrive_per_s, told.estimate.capacity_per_s, told.partitions), (0.0, None, (0, 8)));
        assert!(told.wanted.members >= Some(1), "others may have work for it: {told:?}");
        running.partitions = had;
        let told = running.run(10_000);
        assert!(is_about(told.estimate.arrive_per_s, 200.0), "{told:?}");
    }

    #[test]
    fn what_is_parked_or_not_asked_is_told_by_most_partitions() {
        let wanted = |out: usize, parked: bool| {
            let mut books = Books::default();
            for second in 0..200 {
                let of = |partition: i32| {
                    let (is_out, parked) = ((partition as usize) < out, u64::from(parked));
                    let asked = AskedSoFar { is_out, parked, ..AskedSoFar::default() };
                    PartitionAsked { partition, term: 1, participants: vec![(PAYMENT.into(), asked)] }
                };
                let asked: Vec<_> = (0..8).map(of).collect();
                books.take(Now { wall: second * 1_000, steady: second * 1_000 }, &asked, 8, &outside());
            }
            books.told()[0].clone()
        };
        let idle = wanted(0, false);
        assert_eq!((idle.is_active, idle.estimate.unanswered), (false, 0));
        let parked = wanted(0, true);
        assert!(parked.is_active && parked.wanted.members >= Some(1), "{parked:?}");
        assert!(wanted(5, true).wanted.reason.contains("not asked as usual"));
        assert!(!wanted(4, true).wanted.reason.contains("not asked as usual"));
    }

    /// What waits is added up over partitions, and silence is of all of them.
    #[test]
    fn who_answers_nothing_is_told_by_what_waits_and_for_how_long() {
        let mut books = Books::default();
        let mut told_at = |second: i64, answered: [u64; 2], is_paused: bool| {
            let of = |(partition, answered): (i32, u64)| {
                let (issued, wall_s) = (10 + second as u64, 1_000_000 + second);
                let asked = AskedSoFar {
                    issued,
                    answered,
                    unanswered: issued - answered,
                    parked: 3,
                    parked_s: Some(1_000_000 + i64::from(partition)),
                    retrying: 2,
                    is_out: partition == 0 || is_paused,
                    is_paused,
                    oldest_s: Some(wall_s),
                    ..AskedSoFar::default()
                };
                PartitionAsked { partition, term: 1, participants: vec![(PAYMENT.into(), asked)] }
            };
            let asked: Vec<_> = (0..).zip(answered).map(of).collect();
            let now = Now { wall: (1_000_000 + second) * 1_000, steady: second * 1_000 };
            books.take(now, &asked, 2, &outside());
            books.told()[0].backlog
        };
        told_at(0, [0, 0], false);
        let silent = told_at(240, [0, 0], false);
        assert_eq!((silent.silent_s, silent.answered_s), (Some(240.0), None));
        assert_eq!((silent.parked, silent.parked_oldest_s, silent.retrying), (6, Some(240.0), 4));
        assert_eq!((silent.open_in, silent.paused_in), (1, 0));
        let answers = told_at(250, [0, 1], true);
        assert_eq!((answers.silent_s, answers.answered_s, answers.open_in, answers.paused_in), (None, Some(0.0), 0, 2));
        let again = told_at(251, [0, 1], true);
        assert_eq!((again.silent_s, again.answered_s), (Some(0.0), Some(1.0)));
    }

    #[test]
    fn there_is_room_for_so_many() {
        let of = |number: usize| (format!("p{number:04}").into(), outside()[PAYMENT]);
        let many: BTreeMap<Arc<str>, Outside> = (0..PARTICIPANTS_MAX + 50).map(of).collect();
        let mut books = Books::default();
        books.take(Now { wall: 0, steady: 0 }, &[], 8, &many);
        assert_eq!(books.told().len(), PARTICIPANTS_MAX);
    }
}
