//! A run: rounds, until the time is over, something is violated, or a person ends it.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::faults::{Companion, Made};
use super::report::{Fault, Report, Violation};
use super::site::Site;
use super::stage::Stage;
use super::ways::Ways;
use super::{Class, Halt, Options, check, faults, host};
use crate::lines;
use crate::live::{Brokers, Mark, World, say_as};

/// Carries a run out on brokers of its own. An error if it could not be: that says nothing of what is tested.
pub fn run(options: &Options, stop: &AtomicBool) -> Result<Report, String> {
    let options = &possible(options)?;
    tell(&format!("brokers start: {}; seed {}", options.brokers, options.seed));
    let failed = |error: std::io::Error| error.to_string();
    let ways = Ways::open(options.brokers).map_err(failed)?;
    let properties = |number, port, controllers| ways.properties(number, port, controllers);
    let brokers = Brokers::start(options.brokers, properties).map_err(failed)?;
    rounds(World::on("chaos", brokers), Some(&ways), options, stop)
}

/// Without the classes that cannot be made here, which are said; an error if nothing is left.
fn possible(options: &Options) -> Result<Options, String> {
    let mut possible = options.clone();
    let mut left_out = Vec::new();
    possible.classes.retain(|class| {
        let hindrance = host::hindrance(*class, options.brokers);
        left_out.extend(hindrance.map(|why| format!("{class} is left out: {why}")));
        hindrance.is_none()
    });
    if possible.classes.is_empty() {
        return Err(left_out.join("; "));
    }
    left_out.iter().for_each(|line| tell(line));
    Ok(possible)
}

fn rounds(mut world: World, ways: Option<&Ways>, options: &Options, stop: &AtomicBool) -> Result<Report, String> {
    let begun = Instant::now();
    let mut report = Report::default();
    let mut seed = options.seed;
    for round in 1..=options.rounds.unwrap_or(u64::MAX) {
        if begun.elapsed() >= options.time {
            break;
        }
        world.renew(&format!("round {round}"));
        let mut one = Round { options, ways, stop, number: round, seed, until: begun.checked_add(options.time), fault: None };
        let mut found = one.found(&mut world)?;
        if !found.violations.is_empty() {
            keep(&world, options, seed, &mut found);
        }
        if let Some(results) = options.results.as_deref().filter(|_| !found.was_ended) {
            lines::append(results, &found)?;
        }
        let is_last = found.was_ended || !found.violations.is_empty();
        report.add(found);
        if is_last {
            break;
        }
        seed = seed.wrapping_add(1);
    }
    Ok(report)
}

/// Something for whoever waits.
fn tell(line: &str) {
    say_as("chaos", line);
}

/// Keeps what is left of a round.
fn keep(world: &World, options: &Options, seed: u64, report: &mut Report) {
    let kept = world.keep("ringmaster-chaos");
    report.evidence = vec![format!("what is left of it is in {}", kept.display()), format!("again: {}", options.command(seed))];
}

struct Round<'a> {
    options: &'a Options,
    ways: Option<&'a Ways>,
    stop: &'a AtomicBool,
    number: u64,
    seed: u64,
    until: Option<Instant>,
    /// That is made, or recovered from.
    fault: Option<String>,
}

impl Round<'_> {
    /// Plays it; an error if it could not be carried out.
    fn found(&mut self, world: &mut World) -> Result<Report, String> {
        let (begun, mut report) = (Instant::now(), Report::default());
        match self.play(world, &mut report) {
            Ok(()) => {}
            // It was never compared: what was made in it proves nothing.
            Err(Halt::Asked) => report = Report { was_ended: true, ..Report::default() },
            Err(Halt::Failed(why)) => return Err(why),
            Err(Halt::Violated(what)) => report.violations.push(Violation { round: 1, fault: self.fault.take(), what }),
        }
        report.took = begun.elapsed();
        Ok(report)
    }

    fn play(&mut self, world: &mut World, report: &mut Report) -> Result<(), Halt> {
        let mut random = Rng::with_seed(self.seed);
        let site = Site::draw(self.options, &mut random);
        tell(&format!("round {}: {site}", self.number));
        let mut stage = Stage::open(world, self.options, self.ways, self.stop, self.seed, site)?;
        for class in self.plan(site, &mut random) {
            if self.until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            self.fault = Some(class.name().to_owned());
            let faults = self.strike(class, &mut stage, &mut random)?;
            report.faults.extend(faults);
        }
        self.fault = None;
        let checked = check::close(&mut stage)?;
        let (accounting, number) = (&checked.accounting, self.number);
        if stage.restarts > 0 {
            tell(&format!("round {number}: {} times a process that may end by itself did, and was started again", stage.restarts));
        }
        tell(&format!(
            "round {number}: issued {} = completed {} + compensated {}; {} rows as {} make them; {} violations",
            accounting.issued,
            accounting.completed,
            accounting.compensated,
            checked.rows,
            if site.forgets { "snapshots and what is left of the journal" } else { "the whole journal would" },
            checked.wrong.len()
        ));
        if let Some(random) = &checked.random {
            tell(&format!("round {number}: {random}"));
            report.random.add(random);
        }
        report.rounds += 1;
        report.issued += accounting.issued;
        report.completed += accounting.completed;
        report.compensated += accounting.compensated;
        report.rows += checked.rows;
        report.violations.extend(checked.wrong.into_iter().map(|what| Violation { round: 1, fault: None, what }));
        Ok(())
    }

    /// The faults of the round: from a deck in which each class is once, so that none is left out for long.
    fn plan(&self, site: Site, random: &mut Rng) -> Vec<Class> {
        if self.options.fixed {
            return self.options.classes.clone();
        }
        let mut plan = Vec::new();
        while plan.len() < self.options.faults_per_round {
            let mut deck = site.possible(&self.options.classes);
            random.shuffle(&mut deck);
            plan.extend(deck);
        }
        plan.truncate(self.options.faults_per_round);
        plan
    }

    /// Makes a fault, perhaps together with another, and waits until all goes on.
    fn strike(&self, class: Class, stage: &mut Stage<'_>, random: &mut Rng) -> Result<Vec<Fault>, Halt> {
        stage.companion = (random.f64() < self.options.together).then(|| Companion::of(class, random));
        let mut made = vec![(class, faults::make(class, stage, random)?)];
        let companion = stage.companion.take();
        made.extend(companion.and_then(|companion| Some((companion.class, companion.made?))));
        let partitions = made.iter().flat_map(|(_, made)| made.partitions.iter().copied()).collect();
        stage.wait_moved("orders that were placed behind the fault end", &partitions)?;
        stage.wait_shared("all partitions are owned behind the fault")?;
        let (mark, is_with_another) = (stage.shop.marked(), made.len() > 1);
        Ok(made.into_iter().map(|(class, made)| self.told(class, &made, &mark, is_with_another)).collect())
    }

    /// What came of a fault, which is said.
    fn told(&self, class: Class, made: &Made, mark: &Mark, is_with_another: bool) -> Fault {
        let all = mark.moved(&made.partitions).expect("it was waited for");
        let first = mark.first(&made.partitions).unwrap_or(all);
        let under_way = mark.under_way(&made.partitions);
        let is_proven = made.has_hit && under_way >= self.options.proven_from;
        let note = if is_proven { "" } else { ": TOO FEW, it does not count" };
        tell(&format!(
            "round {} {class:<20} {}: {under_way} under way{note}; the first ended behind {:.1} s, all moved behind {:.1} s",
            self.number,
            made.what,
            first.as_secs_f64(),
            all.as_secs_f64()
        ));
        let ms = |duration: Duration| duration.as_millis() as u64;
        Fault { round: 1, class, under_way, is_proven, first_ms: ms(first), all_ms: ms(all), is_with_another }
    }
}
