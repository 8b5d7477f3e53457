//! One slip at a time: does a test that comes to it fail?

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::run::{End, Room};
use crate::suite::Suite;

/// Tests up to this long share a process; a longer one has its own, so that those behind it need not be waited for.
const QUICK: Duration = Duration::from_millis(300);
/// A run that takes so many times as long as without a slip, and the grace behind it, hangs.
const TIMES_LONGER_MAX: u32 = 10;

/// What became of a slip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Tests failed, or the process did.
    Caught(String),
    /// A test did not end.
    Hung,
    /// Every test that was tried passed; so many that come to it take longer than is allowed.
    Survived { untried: usize },
    /// No test comes to it.
    Unreached,
}

impl Fate {
    pub(crate) fn is_caught(&self) -> bool {
        matches!(self, Fate::Caught(_) | Fate::Hung)
    }
}

/// How much is tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For one slip, in time that its tests take without it.
    pub(crate) a_slip: Duration,
    pub(crate) grace: Duration,
}

/// Makes one slip and runs the tests that come to it, the quickest first, until one fails.
pub(crate) fn tried(number: u32, suite: &Suite, room: &Room, patience: Patience) -> Result<Fate> {
    let Some(reaching) = suite.reached.get(&number) else { return Ok(Fate::Unreached) };
    let mut spent = Duration::ZERO;
    let allowed = reaching.iter().take_while(|&&test| {
        spent += suite.tests[test].takes;
        spent <= patience.a_slip
    });
    // The first is tried however long it takes.
    let allowed = &reaching[..allowed.count().max(1)];
    let quick = allowed.iter().take_while(|&&test| suite.tests[test].takes <= QUICK).count();
    let together = suite.by_binary(&allowed[..quick]);
    let alone = allowed[quick..].iter().map(|&test| (suite.tests[test].binary, vec![test]));
    for (binary, tests) in together.into_iter().chain(alone) {
        let names: Vec<&str> = tests.iter().map(|&test| suite.tests[test].name.as_str()).collect();
        let within = suite.takes(&tests) * TIMES_LONGER_MAX + patience.grace;
        let binary = &suite.binaries[binary];
        match room.run(binary, &names, &number.to_string(), within)?.0 {
            End::Passed => {}
            End::TooLong => return Ok(Fate::Hung),
            End::Failed(failed) => {
                let by = failed.first().map_or("its process ended", String::as_str);
                return Ok(Fate::Caught(format!("{}: {by}", binary.name)));
            }
        }
    }
    Ok(Fate::Survived { untried: reaching.len() - allowed.len() })
}

/// Says how far it is.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    said: Instant,
    of: usize,
    pub(crate) done: usize,
    pub(crate) caught: usize,
}

impl Progress {
    pub(crate) fn new(of: usize) -> Progress {
        Progress { begun: Instant::now(), said: Instant::now(), of, done: 0, caught: 0 }
    }

    /// One more; says so now and then.
    pub(crate) fn count(&mut self, is_caught: bool) {
        self.done += 1;
        self.caught += usize::from(is_caught);
        if self.said.elapsed() >= Duration::from_secs(10) || self.done == self.of {
            self.said = Instant::now();
            let left = self.begun.elapsed().as_secs_f64() / self.done as f64 * (self.of - self.done) as f64;
            let (done, of, caught) = (self.done, self.of, self.caught);
            eprintln!("mutants: {done} of {of} slips tried, {caught} caught, about {:.0} min left", (left / 60.0).ceil());
        }
    }
}
