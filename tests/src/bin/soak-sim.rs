//! Plays random definitions on all cores: `soak-sim COUNT FIRST-SEED`. Ends with code 1 at the first law that does not hold.

#![allow(clippy::print_stdout, reason = "a program says what it did")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ringmaster_tests::random::{Failure, Report, SAGAS, families, run};

/// How often it tells where it is.
const TOLD_EVERY: u64 = 10_000;

/// Every so many seeds a definition with items, sub-sagas and values is played, too.
const FAMILY_EVERY: u64 = 4;

/// What all threads share.
struct Soak {
    first: u64,
    count: u64,
    next: AtomicU64,
    total: Mutex<Report>,
    failed: Mutex<Option<Box<Failure>>>,
    begin: Instant,
}

fn main() -> ExitCode {
    let numbers: Option<Vec<u64>> = std::env::args().skip(1).map(|text| text.parse().ok()).collect();
    let Some([count, first]) = numbers.as_deref() else {
        println!("usage: soak-sim COUNT FIRST-SEED, for example: soak-sim 1000000 0");
        return ExitCode::from(2);
    };
    let soak = Soak {
        first: *first,
        count: *count,
        next: AtomicU64::new(0),
        total: Mutex::default(),
        failed: Mutex::default(),
        begin: Instant::now(),
    };
    // A panic of the core is told with its story.
    std::panic::set_hook(Box::new(|_| {}));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| soak.work());
        }
    });
    let total = soak.total.lock().expect("nobody panicked");
    total.counts.iter().for_each(|(what, count)| println!("{count:>12} {what}"));
    soak.tell(&total);
    match &*soak.failed.lock().expect("nobody panicked") {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            println!("laws that do not hold: {}\n\n{}", failure.laws.join(", "), failure.story);
            ExitCode::FAILURE
        }
    }
}

impl Soak {
    fn work(&self) {
        let mut mine = Report::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return self.add(&mut mine);
            }
            let seed = self.first + number;
            let played = run(seed, true).and_then(|mut one| {
                if number.is_multiple_of(FAMILY_EVERY) {
                    one.add(&families::run(seed, SAGAS)?);
                }
                Ok(one)
            });
            match played {
                Ok(one) => mine.add(&one),
                Err(failure) => {
                    *self.failed.lock().expect("nobody panicked") = Some(failure);
                    self.next.store(self.count, Ordering::Relaxed);
                }
            }
            if number % TOLD_EVERY == TOLD_EVERY - 1 {
                self.add(&mut mine);
                self.tell(&self.total.lock().expect("nobody panicked"));
            }
        }
    }

    fn add(&self, mine: &mut Report) {
        self.total.lock().expect("nobody panicked").add(&std::mem::take(mine));
    }

    fn tell(&self, report: &Report) {
        let done = report.counts.get("definitions").copied().unwrap_or(0);
        let rate = done as f64 / self.begin.elapsed().as_secs_f64();
        println!("{done} of {} definitions from seed {} on, {rate:.0} a second", self.count, self.first);
    }
}
