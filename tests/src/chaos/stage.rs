//! What a round plays on: brokers, coordinators, services and a shop; and the waits for what must happen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringmaster::cli::exit::Exit;
use ringmaster_demo::orders::OUTCOMES;
use ringmaster_demo::rig::SERVICES;

use super::faults::Companion;
use super::host::Clock;
use super::site::Site;
use super::ways::{SERVICES as SERVICES_WAY, Ways};
use super::{Class, Halt, Options};
use crate::live::{Coordinator, PARTITIONS, Process, Shop, World};
use crate::random::crowd::{Crowd, Definitions, Settings};

/// Names of coordinators.
const NAMES: [&str; 3] = ["blue", "green", "red"];
/// Whoever hears nothing of a coordinator for so long gives its partitions to others.
pub(super) const SESSION: Duration = Duration::from_secs(3);
/// How long something may take that must happen, on a machine that is busy with other things.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);
/// So long is waited until nothing is queued up any more: a slow machine may never get there.
const CALM_WITHIN: Duration = Duration::from_secs(60);
/// What an order takes beside the answers, where nothing is queued up.
const CALM_BESIDES: Duration = Duration::from_secs(1);
/// Random definitions of a round, and further ones with items, sub-sagas and values.
const DEFINITIONS: usize = 6;
const FAMILIES: usize = 2;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// A coordinator ends with it where no broker answers at its start: whoever watches over it starts it again.
const UNREACHABLE: i32 = Exit::Unreachable as i32;
/// A service ends with it for the same reason.
const SERVICE_UNREACHABLE: i32 = 6;
/// It ends with it where its store fails.
const STORE_FAILED: i32 = Exit::Store as i32;
/// A coordinator, or a service, says so once it has found all that it needs: whoever is asked to end behind that does so in order.
const HAS_BEGUN: [&str; 2] = ["started instance=", "serving service="];
/// SIGTERM came before it listened to it.
const UNHEARD: i32 = -libc::SIGTERM;

/// A place for a coordinator.
pub(super) struct Seat {
    /// Its name, and its data directory's.
    pub(super) name: &'static str,
    /// What runs there.
    pub(super) running: Option<Coordinator>,
    /// It stands still, or is cut off: what it says does not count.
    pub(super) is_apart: bool,
    /// Its files were damaged, or its disk is full: it may end by itself, and is started again.
    pub(super) may_end: bool,
    /// How often it was started.
    pub(super) starts: usize,
    /// So far its clock is away from the machine's.
    pub(super) away_s: i64,
}

impl Seat {
    /// One on which nobody sits.
    pub(super) fn empty(name: &'static str) -> Seat {
        Seat { name, running: None, is_apart: false, may_end: false, starts: 0, away_s: 0 }
    }
}

/// One round's stage.
pub(super) struct Stage<'a> {
    /// Brokers, services and the folder.
    pub(super) world: &'a mut World,
    /// One for each coordinator.
    pub(super) seats: Vec<Seat>,
    /// Orders and outcomes.
    pub(super) shop: Shop,
    /// What was asked for.
    pub(super) options: &'a Options,
    /// Sagas of random definitions, if there are some.
    pub(super) crowd: Option<Crowd>,
    /// How many ended by themselves where they may, and were started again.
    pub(super) restarts: usize,
    /// With which further flags each service was started last.
    flags: BTreeMap<String, Vec<String>>,
    /// Records that must be in quarantine, by topic.
    pub(super) poisoned: BTreeMap<String, usize>,
    /// The network between the processes and the brokers, if there is one.
    pub(super) ways: Option<&'a Ways>,
    /// A second fault, which hits when the next one does.
    pub(super) companion: Option<Companion>,
    /// Moves the clocks of coordinators, where that is asked for.
    clock: Option<Clock>,
    stop: &'a AtomicBool,
}

impl<'a> Stage<'a> {
    /// Topics, services, coordinators, and orders and random sagas at their rates, as this round is.
    pub(super) fn open(
        world: &'a mut World,
        options: &'a Options,
        ways: Option<&'a Ways>,
        stop: &'a AtomicBool,
        seed: u64,
        site: Site,
    ) -> Result<Stage<'a>, Halt> {
        let definitions = (options.random_rate > 0.0 && !site.loses).then(|| Definitions::draw(seed, DEFINITIONS, FAMILIES));
        if let Some(definitions) = &definitions {
            definitions.write(&world.folder().join("sagas"))?;
        }
        world.edit_steps(&format!("    timeout: {}ms\n", options.answer_within().as_millis()));
        let session = format!("\"session.timeout.ms\" = \"{}\"\n", SESSION.as_millis());
        let (lines, tables) = site.settings();
        world.configure(&(session + &Definitions::settings() + &tables));
        world.edit("ringmaster.toml", "partitions =", &format!("{lines}partitions ="));
        world.apply_topics();
        // When an outcome was written is told by the broker: clocks of coordinators step.
        world.broker().alter_topic(OUTCOMES, "message.timestamp.type", "LogAppendTime")?;
        let shop = world.silent_shop();
        let seats = NAMES.iter().take(options.coordinators).map(|name| Seat::empty(name)).collect();
        let (crowd, companion, poisoned) = (None, None, BTreeMap::new());
        let mut stage = Stage {
            world,
            seats,
            shop,
            crowd,
            options,
            poisoned,
            ways,
            companion,
            clock: None,
            flags: BTreeMap::new(),
            restarts: 0,
            stop,
        };
        SERVICES.iter().for_each(|service| stage.start_service(service, &[]));
        if options.classes.contains(&Class::ClockStep) {
            stage.clock = Some(Clock::build(stage.world.folder())?);
            (0..stage.seats.len()).try_for_each(|seat| stage.set_clock(seat, 0))?;
        }
        (0..stage.seats.len()).for_each(|seat| stage.start(seat));
        stage.wait_shared("the coordinators own all partitions")?;
        stage.shop.order(u64::MAX / 2, options.rate);
        stage.crowd = definitions.map(|definitions| Crowd::open(definitions, stage.for_crowd(seed)));
        stage.wait("the first orders end", |stage| stage.shop.finished() > 0)?;
        Ok(stage)
    }

    fn for_crowd(&self, seed: u64) -> Settings {
        let Options { random_rate: rate, answer_after: answer_within, .. } = *self.options;
        Settings { address: self.world.address(), topics: self.world.topics(), seed, rate, answer_within }
    }

    /// Starts a service that keeps back its answers, with further flags.
    pub(super) fn start_service(&mut self, service: &str, flags: &[&str]) {
        let delay = format!("delay={}ms", self.options.answer_after.as_millis());
        let address = self.ways.map_or_else(|| self.world.address(), |ways| ways.address(SERVICES_WAY));
        self.world.start_service_by(&address, service, &[&["--fault", &delay], flags].concat());
        self.flags.insert(service.to_owned(), flags.iter().map(|flag| (*flag).to_owned()).collect());
    }

    /// Starts the coordinator of a seat.
    pub(super) fn start(&mut self, seat: usize) {
        let name = self.seats[seat].name;
        let environment: Vec<_> = self.clock.iter().flat_map(|clock| clock.environment(&self.clock_file(seat))).collect();
        self.seats[seat].running = Some(self.world.coordinator_with(name, name, &self.settings(name), &environment));
        self.seats[seat].starts += 1;
    }

    /// The same for one that has ended by itself, and may: as by whoever watches over it.
    fn start_again(&mut self, seat: usize) {
        self.restarts += 1;
        self.start(seat);
    }

    /// Lets the clock of a seat be so many seconds away from the machine's.
    pub(super) fn set_clock(&self, seat: usize, away_s: i64) -> Result<(), Halt> {
        Ok(Clock::set(&self.clock_file(seat), away_s)?)
    }

    /// What the clock of a seat goes by.
    fn clock_file(&self, seat: usize) -> PathBuf {
        self.world.folder().join(self.seats[seat].name).with_extension("clock")
    }

    /// What a coordinator of this name needs beside the settings of all.
    fn settings(&self, name: &str) -> Vec<String> {
        // One that is there for a look only has no way of its own.
        let ways = self.ways.filter(|_| NAMES.contains(&name));
        ways.map(|ways| format!("kafka.\"bootstrap.servers\"={}", ways.address(name))).into_iter().collect()
    }

    /// The coordinator of a seat, which runs.
    pub(super) fn coordinator(&self, seat: usize) -> &Coordinator {
        self.seats[seat].running.as_ref().expect("it runs")
    }

    /// The same, out of its seat.
    pub(super) fn take_coordinator(&mut self, seat: usize) -> Coordinator {
        self.seats[seat].running.take().expect("it runs")
    }

    /// Coordinators that run and do not stand still.
    pub(super) fn awake(&self) -> impl Iterator<Item = &Coordinator> {
        self.seats.iter().filter(|seat| !seat.is_apart).filter_map(|seat| seat.running.as_ref())
    }

    /// All partitions.
    pub(super) fn all() -> BTreeSet<i32> {
        (0..PARTITIONS).collect()
    }

    /// Waits until something is so. Ends early if a process ends that should run, or a person wants it.
    pub(super) fn wait(&mut self, what: &str, mut is_so: impl FnMut(&mut Stage<'a>) -> bool) -> Result<(), Halt> {
        let begun = Instant::now();
        self.wait_long(|stage| {
            let is_so = is_so(stage);
            if !is_so && begun.elapsed() > PATIENCE {
                return Err(Halt::Violated(format!("not within {} s: {what}", PATIENCE.as_secs())));
            }
            Ok(is_so)
        })
    }

    /// The same without a limit but what the look itself finds.
    pub(super) fn wait_long(&mut self, mut is_so: impl FnMut(&mut Stage<'a>) -> Result<bool, Halt>) -> Result<(), Halt> {
        while !is_so(self)? {
            self.look()?;
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Lets time pass, for faults that last.
    pub(super) fn last(&mut self, long: Duration) -> Result<(), Halt> {
        let begun = Instant::now();
        self.wait("time passes", |_| begun.elapsed() >= long)
    }

    /// All that should run does. Who found no broker at its start is started again, as by whoever watches over it.
    fn look(&mut self) -> Result<(), Halt> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Halt::Asked);
        }
        for seat in 0..self.seats.len() {
            let Some(coordinator) = &mut self.seats[seat].running else { continue };
            let Some(code) = coordinator.process.ended() else { continue };
            let said = coordinator.process.said_last();
            match code {
                UNREACHABLE if !has_begun(&coordinator.process) => self.start_again(seat),
                STORE_FAILED if self.seats[seat].may_end => self.start_again(seat),
                _ => {
                    let name = self.seats[seat].name;
                    return Err(Halt::Violated(format!("the coordinator {name} ended by itself with code {code}:\n{said}")));
                }
            }
        }
        let mut unreachable = Vec::new();
        for process in self.world.services() {
            match process.ended() {
                None => {}
                Some(SERVICE_UNREACHABLE) => unreachable.push(process.name().to_owned()),
                Some(code) => {
                    let (name, said) = (process.name(), process.said_last());
                    return Err(Halt::Violated(format!("the service {name} ended by itself with code {code}:\n{said}")));
                }
            }
        }
        if let Some(trouble) = self.crowd.as_ref().and_then(Crowd::trouble) {
            return Err(Halt::Violated(trouble));
        }
        for name in unreachable {
            let flags = self.flags.get(&name).cloned().unwrap_or_default();
            self.restarts += 1;
            self.start_service(&name, &flags.iter().map(String::as_str).collect::<Vec<_>>());
        }
        Ok(())
    }

    /// Waits until the coordinators own all partitions, and no two the same.
    pub(super) fn wait_shared(&mut self, what: &str) -> Result<(), Halt> {
        self.wait(what, |stage| {
            let shares: Vec<BTreeSet<i32>> = stage.awake().map(Coordinator::owned).collect();
            let all: BTreeSet<i32> = shares.iter().flatten().copied().collect();
            all.len() == PARTITIONS as usize && shares.iter().map(BTreeSet::len).sum::<usize>() == all.len()
        })
    }

    /// Waits until the load flows, enough of it is under way to be hit, and what queued up behind the last fault is gone.
    pub(super) fn wait_flow(&mut self, partitions: &BTreeSet<i32>) -> Result<(), Halt> {
        self.shop.mark();
        let (wanted, most, begun) = (self.options.proven_from, self.calm_count(), Instant::now());
        self.wait("orders flow", |stage| {
            let flows = stage.shop.marked().first(partitions).is_some() && stage.shop.under_way(partitions) >= wanted;
            flows && (begun.elapsed() > CALM_WITHIN || stage.shop.under_way(&Stage::all()) <= most)
        })
    }

    /// The moment at which a fault hits: what is under way is marked, and the companion that was planned hits with it.
    pub(super) fn hit(&mut self) -> Result<(), Halt> {
        self.shop.mark();
        let Some(mut companion) = self.companion.take() else { return Ok(()) };
        companion.hit(self)?;
        self.companion = Some(companion);
        Ok(())
    }

    /// As many orders are under way at most where nothing has queued up: three answers are kept back for each.
    fn calm_count(&self) -> usize {
        let each = 3.0 * self.options.answer_after.as_secs_f64() + CALM_BESIDES.as_secs_f64();
        (self.options.rate * each) as usize
    }

    /// Waits until in each of these partitions an order has ended that was placed behind the mark.
    pub(super) fn wait_moved(&mut self, what: &str, partitions: &BTreeSet<i32>) -> Result<(), Halt> {
        self.wait(what, |stage| stage.shop.marked().moved(partitions).is_some())
    }

    /// Ends a coordinator in order; its data directory.
    pub(super) fn end_coordinator(&mut self, seat: usize) -> Result<PathBuf, Halt> {
        loop {
            let mut coordinator = self.take_coordinator(seat);
            coordinator.process.ask_to_end();
            let code = self.wait_code(self.seats[seat].name, &mut coordinator.process)?;
            // The signal came before it listened to it: it has done nothing yet.
            if code == UNHEARD && !has_begun(&coordinator.process) {
                return Ok(coordinator.data);
            }
            if !self.seats[seat].may_end || code != STORE_FAILED {
                ended_well(code, self.seats[seat].name, &coordinator.process)?;
                return Ok(coordinator.data);
            }
            // The damage was found now. Its next start mends it.
            self.start(seat);
            self.wait_shared("a store is made again")?;
            self.seats[seat].may_end = false;
        }
    }

    /// Ends a service in order; what it said last, or none if it had done nothing yet.
    pub(super) fn end_service(&mut self, name: &'static str) -> Result<Option<String>, Halt> {
        let mut process = self.world.take_service(name);
        process.ask_to_end();
        let code = self.wait_code(name, &mut process)?;
        let has_done_nothing = code == SERVICE_UNREACHABLE || code == UNHEARD && !has_begun(&process);
        if has_done_nothing {
            return Ok(None);
        }
        ended_well(code, name, &process)?;
        Ok(Some(process.said_last()))
    }

    fn wait_code(&mut self, name: &str, process: &mut Process) -> Result<i32, Halt> {
        let mut code = None;
        self.wait(&format!("{name} ends in order"), |_| {
            code = process.ended();
            code.is_some()
        })?;
        Ok(code.expect("it was waited for"))
    }
}

/// True if it found what it needs at its start.
fn has_begun(process: &Process) -> bool {
    let said = process.said_itself();
    HAS_BEGUN.iter().any(|begun| said.contains(begun))
}

fn ended_well(code: i32, name: &str, process: &Process) -> Result<(), Halt> {
    if code == 0 {
        return Ok(());
    }
    Err(Halt::Violated(format!("SIGTERM of {name} ends it with code {code}:\n{}", process.said_last())))
}
