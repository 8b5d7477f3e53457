//! Long runs of what the simulators play, on all cores: seeds in their order, until so many were played, something does not hold, or a
//! person ends it.
//!
//! ```text
//! seed -> definitions: one random definition, and its family every few seeds      both give counts, or what was violated
//!      -> protocol: one plan of the protocol's simulator, or one crash point
//! ```

mod play;
mod results;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

pub use play::{MOST_SAGAS, Mode, SAGAS};
pub use results::{Played, append, read, table};

/// How many times something happened, by name; `sagas` is among them.
pub type Counts = BTreeMap<String, u64>;

/// What must never happen, and did.
#[derive(Debug)]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// What does not hold, in a line.
    pub what: String,
    /// What was played, and what happened before.
    pub story: String,
}

/// What is to be played.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// By which simulator.
    pub mode: Mode,
    /// The first seed.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// Sagas on each definition, at most [`MOST_SAGAS`].
    pub sagas: u64,
    /// On so many threads.
    pub threads: usize,
    /// It tells where it is this often.
    pub tell_every: Duration,
}

struct Soak<'s> {
    options: Options,
    next: AtomicU64,
    end: AtomicBool,
    stop: &'s AtomicBool,
    state: Mutex<State>,
    begin: Instant,
    tell: &'s (dyn Fn(&Played) + Sync),
}

struct State {
    total: Counts,
    told_at: Instant,
    violation: Option<Violation>,
}

/// Plays them. Each seed that was begun is played to its end, also when it is asked to stop, so that what was played has no gaps.
pub fn run(options: Options, stop: &AtomicBool, tell: &(dyn Fn(&Played) + Sync)) -> (Played, Option<Violation>) {
    let begin = Instant::now();
    let state = Mutex::new(State { total: Counts::new(), told_at: begin, violation: None });
    let soak = Soak { options, next: AtomicU64::new(0), end: AtomicBool::new(false), stop, state, begin, tell };
    std::thread::scope(|scope| (0..options.threads).for_each(|_| drop(scope.spawn(|| soak.work()))));
    let played = soak.played(&soak.lock());
    (played, soak.state.into_inner().expect("nobody panicked").violation)
}

impl Soak<'_> {
    fn work(&self) {
        let mut mine = Counts::new();
        while !self.end.load(Ordering::Relaxed) && !self.stop.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.options.count {
                break;
            }
            match self.options.mode.play(self.options.first + number, self.options.sagas) {
                Ok(one) => add(&mut mine, &one),
                Err(violation) => {
                    self.end.store(true, Ordering::Relaxed);
                    // The first seed is the one to repeat.
                    let mut state = self.lock();
                    if state.violation.as_ref().is_none_or(|other| other.seed > violation.seed) {
                        state.violation = Some(violation);
                    }
                }
            }
            let mut state = self.lock();
            if state.told_at.elapsed() >= self.options.tell_every {
                state.told_at = Instant::now();
                add(&mut state.total, &std::mem::take(&mut mine));
                (self.tell)(&self.played(&state));
            }
        }
        add(&mut self.lock().total, &mine);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }

    fn played(&self, state: &State) -> Played {
        let count = self.next.load(Ordering::Relaxed).min(self.options.count);
        Played {
            mode: self.options.mode,
            from: self.options.first,
            to: self.options.first + count,
            sagas: state.total.get("sagas").copied().unwrap_or(0),
            seconds: self.begin.elapsed().as_secs_f64(),
            violations: state.violation.iter().map(|violation| format!("seed {}: {}", violation.seed, violation.what)).collect(),
            counts: state.total.clone(),
        }
    }
}

fn add(to: &mut Counts, other: &Counts) {
    for (what, count) in other {
        match to.get_mut(what) {
            Some(sum) => *sum += count,
            None => drop(to.insert(what.clone(), *count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(mode: Mode, count: u64) -> Options {
        Options { mode, first: 40, count, sagas: SAGAS, threads: 2, tell_every: Duration::ZERO }
    }

    #[test]
    fn each_seed_is_played_once_and_its_sagas_are_counted() {
        for (mode, count, least) in [(Mode::Definitions, 6, 96), (Mode::Protocol, 4, 60)] {
            let told = AtomicU64::new(0);
            let (played, violation) = run(options(mode, count), &AtomicBool::new(false), &|_| {
                told.fetch_add(1, Ordering::Relaxed);
            });
            assert!(violation.is_none(), "{violation:?}");
            assert_eq!((played.from, played.to, told.into_inner()), (40, 40 + count, count));
            let one_by_one: u64 = (40..40 + count).map(|seed| mode.play(seed, SAGAS).expect("it holds")["sagas"]).sum();
            assert_eq!(played.sagas, one_by_one);
            assert!(played.sagas >= least, "{mode}: {} sagas", played.sagas);
        }
    }

    #[test]
    fn as_many_sagas_are_played_on_a_definition_as_are_asked_for() {
        let sagas = |sagas| Mode::Definitions.play(41, sagas).expect("it holds")["sagas"];
        assert_eq!([sagas(1), sagas(SAGAS), sagas(50)], [1, SAGAS, 50]);
    }

    /// A point is reached while a coordinator is told to give up what it has.
    #[test]
    fn a_coordinator_may_stand_still_as_it_is_told_to_end() {
        assert!(Mode::Protocol.play(7_100_984, SAGAS).expect("it holds")["sagas"] > 0);
    }

    #[test]
    fn who_is_asked_to_stop_has_played_what_was_begun() {
        let (played, _) = run(options(Mode::Definitions, u64::MAX / 2), &AtomicBool::new(true), &|_| {});
        assert_eq!((played.from, played.to, played.sagas), (40, 40, 0));
    }
}
