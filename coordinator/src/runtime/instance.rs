//! An instance: its workers' threads, the store's upkeep, and an orderly end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringmaster_bus::{Bus, Membership, Pace, Waker};
use ringmaster_core::partition::{Counters, Partition, StageName, Times};
use ringmaster_store::Store;

use super::clock::now;
use super::follow::Follower;
use super::group::member::{Orders, Says, Team};
use super::group::{Order, Standby};
use super::knowledge::{Knowledge, Newest};
use super::memory::Memory;
use super::news::{News, Untaken};
use super::setup::Setup;
use super::snapshots::{SnapshotSettings, SnapshotTaker, View};
use super::status::{self, PartitionStatus, Status};
use super::threads::{End, WAIT_MAX, spawn};
use super::upkeep;
use super::worker::{Gone, Stop, Worker};
use crate::traces::Tracer;

/// Shortest wait of an idle turn, so that what is due but held does not make it spin.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// How long an orderly end waits for a thread that may wait for a broker.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Workers report to people and metrics this often.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// And what participants were asked, so often: how many are unanswered moves quickly.
const ASKED_EVERY: Duration = Duration::from_millis(100);
/// Traces are told so often: what sagas that ended meanwhile have in common is read once.
const TRACES_EVERY: Duration = Duration::from_secs(1);

/// Takes what was counted since the last report.
pub type Report = Arc<dyn Fn(&Counters, &Times) + Send + Sync>;

/// What an instance as a whole must know.
#[derive(Debug, Clone, Copy)]
pub struct InstanceSettings {
    /// What was written to the store reaches its files this often: it bounds what a crash makes replay.
    pub flush_every: Duration,
    /// What the process may take, in bytes; `usize::MAX` if it is not the coordinator's alone.
    pub memory_max: usize,
}

/// A running instance.
pub struct Instance {
    workers: Vec<JoinHandle<Result<Counters, Stop>>>,
    wakers: Vec<Waker>,
    news: Vec<Arc<Untaken<News>>>,
    group: JoinHandle<Result<(), Stop>>,
    /// Threads that may wait for a broker.
    patient: Vec<JoinHandle<Result<(), Stop>>>,
    upkeep: JoinHandle<Result<(), Stop>>,
    stopping: Arc<AtomicBool>,
    /// All workers have ended.
    ended: Arc<AtomicBool>,
    wake_group: Waker,
    failed: Arc<AtomicBool>,
}

/// How an instance ended.
#[derive(Debug)]
pub struct Stopped {
    /// What was counted.
    pub counters: Vec<Counters>,
    /// Why, if it was not asked to.
    pub stops: Vec<Stop>,
}

/// What an instance is made of.
pub struct Parts<'a> {
    /// What partitions and workers are made of.
    pub setup: &'a Setup,
    /// Definitions and schemas as they are known at first.
    pub knowledge: &'a Arc<Knowledge>,
    /// Where rows are.
    pub store: &'a Arc<dyn Store>,
    /// What concerns the instance as a whole.
    pub settings: InstanceSettings,
    /// Where it says how it stands.
    pub status: &'a Arc<Status>,
    /// Who is told what is counted.
    pub report: &'a Report,
    /// How it keeps warm copies of others' partitions; none if it keeps none.
    pub standby: Option<Standby>,
}

impl Instance {
    /// Starts one worker for each bus; they host what the group gives to `member`.
    pub fn start<B: Bus + Send + 'static>(buses: Vec<B>, member: Box<dyn Membership>, parts: &Parts<'_>) -> Instance {
        let Parts { setup, knowledge, store, settings, status, report, .. } = *parts;
        let (stopping, ended, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)), Arc::default());
        let end = |stopping: &Arc<AtomicBool>| End { stopping: stopping.clone(), failed: Arc::clone(&failed) };
        let wakers: Vec<Waker> = buses.iter().map(Bus::waker).collect();
        let memory = Arc::new(Memory::new(settings.memory_max));
        let orders: Vec<Arc<Orders>> = buses.iter().map(|_| Arc::default()).collect();
        let team = Team::new(member, orders.iter().cloned().zip(wakers.iter().cloned()).collect(), status.clone());
        let (mut workers, mut news) = (Vec::new(), Vec::new());
        for (index, (bus, orders)) in buses.into_iter().zip(orders).enumerate() {
            let worker = Worker::new(bus, setup.worker(), Vec::new(), knowledge.clone(), store.clone(), Box::new(random_id));
            let told = Arc::new(Untaken::default());
            news.push(told.clone());
            let run = Run {
                index,
                end: end(&stopping),
                told,
                orders,
                says: team.says(),
                hostings: RefCell::default(),
                setup: setup.clone(),
                memory: memory.clone(),
                status: status.clone(),
                report: report.clone(),
            };
            workers.push(spawn(&format!("worker-{index}"), move || run.run(worker)));
        }
        let (of, every, guard) = (store.clone(), settings.flush_every, end(&stopping));
        let partitions = setup.partition_count();
        let upkeep = spawn("upkeep", move || guard.guard(|| upkeep::run(&*of, every, &guard.stopping, partitions)));
        let standby = parts.standby.clone().map(|standby| {
            let (wanted, stops, guard, partitions) = (team.wanted(), stopping.clone(), end(&stopping), setup.partition_count());
            let work = move || {
                standby.run(partitions, &wanted, &stops);
                Ok(())
            };
            spawn("standby", move || guard.guard(work))
        });
        let (wake_group, guard, stops, ends) = (team.waker(), end(&stopping), stopping.clone(), ended.clone());
        let group = spawn("group", move || guard.guard(|| team.run(&stops, &ends)));
        Instance {
            workers,
            wakers,
            news,
            group,
            patient: standby.into_iter().collect(),
            upkeep,
            stopping,
            ended,
            wake_group,
            failed,
        }
    }

    /// Takes in what is deployed from now on, by a thread of its own; what is known then is `newest`.
    pub fn follow<B: Bus + Send + 'static>(&mut self, mut follower: Follower<B>, newest: Arc<Newest>) {
        let end = End { stopping: self.stopping.clone(), failed: self.failed.clone() };
        let (news, wakers) = (self.news.clone(), self.wakers.clone());
        let mut work = move |end: &End| {
            while !end.stopping.load(Ordering::SeqCst) {
                if let Some(found) = follower.turn(now(), WAIT_MAX) {
                    newest.set(found.knowledge.clone());
                    news.iter().for_each(|untaken| untaken.put(found.clone()));
                    wakers.iter().for_each(|wake| wake());
                    found.say();
                }
            }
            Ok(())
        };
        self.patient.push(spawn("follower", move || end.guard(|| work(&end))));
    }

    /// Takes snapshots of what it owns from now on, by a thread of its own; `view` gives the store as it was at one moment.
    pub fn take_snapshots<B: Bus + Send + 'static>(
        &mut self,
        bus: B,
        settings: SnapshotSettings,
        view: Box<View>,
        status: Arc<Status>,
    ) {
        let mut taker = SnapshotTaker::new(bus, settings, Box::new(random_id));
        let end = End { stopping: self.stopping.clone(), failed: self.failed.clone() };
        let mut work = move |end: &End| {
            while !end.stopping.load(Ordering::SeqCst) {
                let owns = |one: PartitionStatus| (one.phase == StageName::Owning).then_some(one.partition);
                let owned: Vec<i32> = status.partitions().into_iter().filter_map(owns).collect();
                if let Some(taken) = taker.turn(&owned, &*view, now(), WAIT_MAX) {
                    status.snapshot(&taken);
                }
            }
            Ok(())
        };
        self.patient.push(spawn("snapshots", move || end.guard(|| work(&end))));
    }

    /// Tells traces of what it owns from now on, by a thread of its own, which may wait for a broker and for whoever takes them.
    pub fn trace<B: Bus + Send + 'static>(&mut self, mut tracer: Tracer<B>) {
        let end = End { stopping: self.stopping.clone(), failed: self.failed.clone() };
        let mut work = move |end: &End| {
            let ends = || end.stopping.load(Ordering::SeqCst);
            while !ends() {
                let since = Instant::now();
                if !tracer.turn(&ends) {
                    end.rest(since, TRACES_EVERY);
                }
            }
            tracer.finish();
            Ok(())
        };
        self.patient.push(spawn("traces", move || end.guard(|| work(&end))));
    }

    /// Does this now and then until the end, by a thread of its own, which may wait for a broker. What takes long asks whether it ends.
    pub fn attend(&mut self, name: &str, every: Duration, mut work: impl FnMut(&dyn Fn() -> bool) + Send + 'static) {
        let end = End { stopping: self.stopping.clone(), failed: self.failed.clone() };
        let mut attend = move |end: &End| {
            while !end.stopping.load(Ordering::SeqCst) {
                work(&|| end.stopping.load(Ordering::SeqCst));
                end.rest(Instant::now(), every);
            }
            Ok(())
        };
        self.patient.push(spawn(name, move || end.guard(|| attend(&end))));
    }

    /// Asks for an orderly end: stop reading, confirm, deliver, journal `released`, checkpoint, flush.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wakers.iter().for_each(|wake| wake());
    }

    /// True once a worker has ended by itself.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Waits for the end.
    pub fn join(self) -> Stopped {
        let mut stopped = Stopped { counters: Vec::new(), stops: Vec::new() };
        for worker in self.workers {
            match worker.join().expect("a worker's panic is caught on its thread") {
                Ok(counters) => stopped.counters.push(counters),
                Err(stop) => stopped.stops.push(stop),
            }
        }
        self.stopping.store(true, Ordering::SeqCst);
        // Only now may others have what was hosted here.
        self.ended.store(true, Ordering::SeqCst);
        (self.wake_group)();
        stopped.stops.extend(self.group.join().expect("its panic is caught on its thread").err());
        stopped.stops.extend(self.upkeep.join().expect("its panic is caught on its thread").err());
        // Those may wait for a broker that is away, and nothing waits for them.
        let since = Instant::now();
        for thread in self.patient {
            while !thread.is_finished() && since.elapsed() < STOP_MAX {
                std::thread::sleep(Duration::from_millis(10));
            }
            if thread.is_finished() {
                stopped.stops.extend(thread.join().expect("its panic is caught on its thread").err());
            }
        }
        stopped
    }
}

struct Run {
    index: usize,
    end: End,
    told: Arc<Untaken<News>>,
    orders: Arc<Orders>,
    says: Says,
    /// The numbers of present hostings, by partition.
    hostings: RefCell<HashMap<i32, u64>>,
    setup: Setup,
    memory: Arc<Memory>,
    status: Arc<Status>,
    report: Report,
}

impl Run {
    fn run<B: Bus>(&self, mut worker: Worker<B>) -> Result<Counters, Stop> {
        self.end.guard(|| {
            let result = self.turns(&mut worker);
            self.say(&mut worker);
            result.map(|()| *worker.counters())
        })
    }

    fn say<B: Bus>(&self, worker: &mut Worker<B>) {
        self.status.report(self.index, worker.partitions());
        self.status.report_topics(self.index, worker.topics());
        self.status.asked.report(self.index, worker.partitions());
        if self.setup.is_traced() {
            self.status.traces.report(self.index, worker.partitions_mut());
        }
    }

    fn turns<B: Bus>(&self, worker: &mut Worker<B>) -> Result<(), Stop> {
        let mut reported = Counters::default();
        let (mut reported_at, mut asked_at) = (Instant::now(), Instant::now());
        let mut wait = Duration::ZERO;
        let mut pace = Pace::default();
        while !self.end.stopping.load(Ordering::Relaxed) {
            if let Some(news) = self.told.take() {
                worker.learn(&news, now());
            }
            let moved = self.obey(worker)?;
            let turn = worker.turn(&now, if moved { Duration::ZERO } else { wait })?;
            pace.after_turn(turn.events, worker.turn_min());
            wait = WAIT_MAX.min(turn.idle.max(WAIT_MIN));
            if asked_at.elapsed() >= ASKED_EVERY {
                asked_at = Instant::now();
                self.status.asked.report(self.index, worker.partitions());
            }
            if self.say_gone(worker) || moved || reported_at.elapsed() >= REPORT_EVERY {
                reported_at = Instant::now();
                worker.look(self.memory.is_short(), now());
                self.say(worker);
                (self.report)(&status::since(worker.counters(), &reported), &worker.take_times());
                reported = *worker.counters();
            }
        }
        let result = finish(worker);
        (self.report)(&status::since(worker.counters(), &reported), &worker.take_times());
        result
    }

    /// Does what the group wants; true if that was anything.
    fn obey<B: Bus>(&self, worker: &mut Worker<B>) -> Result<bool, Stop> {
        let orders = self.orders.take();
        let any = !orders.is_empty();
        for order in orders {
            match order {
                Order::Host { partition, hosting, .. } => {
                    self.hostings.borrow_mut().insert(partition, hosting);
                    worker.assign(Partition::new(self.setup.partition(partition)));
                }
                Order::HandOver { partition, .. } => worker.hand_over(partition, now()),
                Order::Drop { partition, .. } | Order::Unfollow { partition, .. } => worker.revoke(partition, now())?,
                Order::Follow { partition, .. } => worker.follow(Partition::new(self.setup.partition(partition)), now()),
                Order::GiveBack(_) => {}
            }
        }
        Ok(any)
    }

    /// Says what left by itself; true if anything did.
    fn say_gone<B: Bus>(&self, worker: &mut Worker<B>) -> bool {
        let gone = worker.take_gone();
        let any = !gone.is_empty();
        for gone in gone {
            let (Gone::HandedOver(partition) | Gone::Fenced { partition, .. }) = gone;
            let hosting = self.hostings.borrow().get(&partition).copied();
            self.says.left((gone, hosting.unwrap_or_default()));
        }
        any
    }
}

/// The orderly end: stop reading, confirm, deliver, journal `released`, checkpoint.
fn finish<B: Bus>(worker: &mut Worker<B>) -> Result<(), Stop> {
    worker.hand_over_all(now());
    let mut wait = Duration::ZERO;
    while !worker.is_empty() {
        wait = worker.turn(&now, wait)?.idle.clamp(WAIT_MIN, WAIT_MAX);
    }
    Ok(())
}

/// A claim id from the system's randomness.
fn random_id() -> [u8; 16] {
    let mut id = [0; 16];
    let mut random = fastrand::Rng::new();
    random.fill(&mut id);
    id
}
