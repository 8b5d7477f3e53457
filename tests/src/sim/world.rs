//! Everything that is simulated, and its next step.

mod counted;
mod incidents;
mod shared;
mod turns;

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use ringmaster::runtime::{Order, Setup, Worker};
use ringmaster_bus::Bus;
use ringmaster_bus::sim::{Faults, SimBroker, SimBus, SimRecord};
use ringmaster_core::faults;
use ringmaster_schemas::Millis;
use ringmaster_schemas::names::HEADER_TYPE;
use ringmaster_store::Store;
use ringmaster_store::sim::SimStore;

use self::turns::{obey_all, turn_coordinator, turn_service};
use super::coordinator::{Coordinator, State, Turned, knowledge, make_topics, setup};
use super::group::SimGroup;
use super::orders::Orders;
use super::plan::{Incident, Plan};
use super::service::SimService;
use super::truth::{INPUTS, Truth};
pub use counted::{Counted, Struck};

/// Virtual time at which runs begin.
const BEGIN: Millis = 1_700_000_000_000;
/// Steps without anything happening after which time goes faster.
const IDLE_STEPS: u32 = 6;
/// What happened is kept for the report of a failure.
const NOTES_MAX: usize = 400;

/// Where what became of orders is told.
const OUTCOMES: &str = "order-outcomes";

/// The simulated world; a step may run inside another one, while an instance stands still in the middle of its turn.
pub type Sim = Rc<RefCell<World>>;

/// The state of a run.
pub struct World {
    /// What the run is to suffer.
    pub plan: Plan,
    /// The one broker.
    pub broker: SimBroker,
    /// What coordinators are made of.
    pub setup: Setup,
    /// Identities of the input topics.
    pub topics: [[u8; 16]; 4],
    /// Data directories.
    pub machines: Vec<SimStore>,
    /// All that ever ran.
    pub coordinators: Vec<Coordinator>,
    /// Inventory, payment, shipping; none while one takes a turn.
    pub services: Vec<Option<SimService>>,
    /// Their clients at the broker, of those in a turn.
    service_clients: [Option<u32>; 3],
    /// The load.
    pub orders: Orders,
    /// The broker lost records that it had acknowledged.
    pub tail_lost: bool,
    /// What journals said when they were looked at last.
    pub truths: RefCell<Vec<Truth>>,
    /// When the run began.
    pub begun_at: Millis,
    /// Why it failed, in a turn.
    pub broken: Option<String>,
    /// What happened, for people.
    pub notes: VecDeque<String>,
    /// What happened, for the report.
    pub counted: Counted,
    /// The coordinators' wall clocks are so far ahead of the broker's.
    ahead_ms: Millis,
    rng: fastrand::Rng,
    incidents: VecDeque<(Millis, Incident)>,
    refused: Vec<(Millis, &'static str)>,
    /// Participants that are paused: until when.
    paused: Vec<(Millis, &'static str)>,
    /// Who shares the partitions out.
    group: SimGroup,
    starts: Vec<Millis>,
    /// Who is in the middle of a turn, outermost first.
    in_turn: Vec<Actor>,
    /// What the group says that is still to be obeyed.
    orders_heard: VecDeque<(usize, Order)>,
    /// Coordinators that are to end in good order, and were not told so yet.
    asked_to_end: Vec<usize>,
    healing: bool,
    /// All are to end, and none is started again.
    closing: bool,
    events: usize,
    idle_steps: u32,
    flushed_at: Millis,
}

#[derive(Debug, Clone, Copy)]
enum Actor {
    Coordinator(usize),
    Service(usize),
}

impl World {
    /// A world at its beginning.
    pub fn new(plan: Plan) -> World {
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        let broker = SimBroker::new(rng.u64(..), BEGIN, Faults::none());
        make_topics(&broker, plan.partitions, plan.routed.unwrap_or(plan.partitions));
        let setup = setup(&broker, &plan, "sim");
        let found = broker.client().describe(&INPUTS).expect("a simulated broker answers");
        let topics = [0, 1, 2, 3].map(|index| found[index].as_ref().expect("inputs exist").id);
        broker.set_faults(plan.faults.clone());
        let group = SimGroup::new(plan.partitions, rng.u64(..));
        let orders = Orders::draw(&mut rng, &plan, BEGIN);
        let service = |name| SimService::new(name, knowledge().schemas.clone(), &plan, BEGIN);
        let services = ["inventory", "payment", "shipping"].map(|name| Some(service(name))).into();
        World {
            incidents: plan.incidents.iter().cloned().map(|(at, what)| (BEGIN + at, what)).collect(),
            plan,
            broker,
            setup,
            topics,
            machines: Vec::new(),
            coordinators: Vec::new(),
            services,
            service_clients: [None; 3],
            orders,
            tail_lost: false,
            truths: RefCell::default(),
            begun_at: BEGIN,
            broken: None,
            notes: VecDeque::new(),
            counted: Counted::default(),
            ahead_ms: 0,
            rng,
            refused: Vec::new(),
            paused: Vec::new(),
            group,
            starts: vec![BEGIN],
            in_turn: Vec::new(),
            orders_heard: VecDeque::new(),
            asked_to_end: Vec::new(),
            healing: false,
            closing: false,
            events: 0,
            idle_steps: 0,
            flushed_at: BEGIN,
        }
    }

    /// Virtual time since the beginning.
    pub fn elapsed_ms(&self) -> Millis {
        self.broker.now() - self.begun_at
    }

    /// Faults and incidents end, and everything that stands still goes on.
    pub fn heal(&mut self) {
        self.healing = true;
        self.broker.set_faults(Faults::none());
        self.incidents.clear();
        faults::disarm();
        for (_, topic) in std::mem::take(&mut self.refused) {
            self.broker.refuse(topic, false);
        }
        self.paused.iter_mut().for_each(|(until, _)| *until = 0);
        for index in 0..self.coordinators.len() {
            if let State::Frozen(_) = self.coordinators[index].state {
                self.coordinators[index].state = State::Frozen(0);
            }
        }
        for service in self.services.iter_mut().flatten() {
            service.frozen_until = service.frozen_until.map(|_| 0);
            service.start_at = service.start_at.min(self.broker.now());
        }
        self.note("healing".into());
    }

    /// Asks all coordinators to end in good order.
    pub fn stop_all(&mut self) {
        self.closing = true;
        for index in 0..self.coordinators.len() {
            self.stop(index);
        }
    }

    /// True while one runs.
    pub fn any_running(&self) -> bool {
        self.coordinators.iter().any(|one| one.state != State::Ended)
    }

    /// A process dies or stands still at a point. It counts where orders are under way.
    fn struck(&mut self, point: &'static str, how: Struck) {
        if self.under_way() > 0 {
            *self.counted.struck.entry((point, how)).or_default() += 1;
        }
    }

    /// Orders that were placed and have not come to their end.
    fn under_way(&self) -> usize {
        let mut ended = BTreeSet::new();
        for partition in 0..self.broker.partitions(OUTCOMES) {
            let outcomes = self.broker.log(OUTCOMES, partition);
            let ends = |record: &&std::sync::Arc<SimRecord>| {
                record
                    .headers
                    .iter()
                    .any(|(name, kind)| name == HEADER_TYPE && ["OrderFulfilled", "OrderCancelled"].contains(&&**kind))
            };
            ended.extend(outcomes.iter().filter(ends).map(|record| record.key.clone()));
        }
        self.orders.placed.len().saturating_sub(ended.len())
    }

    fn note(&mut self, what: String) {
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back(format!("{:>7} {what}", self.elapsed_ms()));
    }

    fn fail(&mut self, why: String) {
        self.note(format!("FAILED: {why}"));
        self.broken.get_or_insert(why);
    }

    /// Time goes on, and what is due happens.
    fn begin_step(&mut self, sim: &Sim) {
        let quick = if self.idle_steps > IDLE_STEPS { self.rng.i64(5..25) } else { self.rng.i64(1..=4) };
        self.broker.advance(self.broker.now() + quick);
        self.events = 0;
        let now = self.broker.now();
        self.orders.put_due(&self.broker, &mut self.rng);
        while let Some((at, incident)) = self.incidents.front()
            && *at <= now
        {
            if matches!(incident, Incident::FreezeAt { .. } | Incident::LoseClaim(..)) && self.in_turn.len() > 1 {
                break;
            }
            let (_, incident) = self.incidents.pop_front().expect("it was looked at");
            self.happen(incident, sim);
        }
        for (_, topic) in self.refused.extract_if(.., |(until, _)| *until <= now) {
            self.broker.refuse(topic, false);
        }
        self.resume_due(now);
        self.share_out(now);
    }

    /// Who takes a turn, in what order.
    fn draw_actors(&mut self) -> Vec<Actor> {
        let now = self.broker.now();
        let coordinators = (0..self.coordinators.len()).filter(|&index| self.may_turn(index, now)).collect::<Vec<_>>();
        let mut actors: Vec<Actor> = coordinators.into_iter().map(Actor::Coordinator).chain((0..3).map(Actor::Service)).collect();
        self.rng.shuffle(&mut actors);
        let rng = &mut self.rng;
        actors.retain(|_| rng.u8(..5) > 0);
        actors
    }

    fn may_turn(&mut self, index: usize, now: Millis) -> bool {
        if let State::Frozen(until) = self.coordinators[index].state
            && until <= now
        {
            self.coordinators[index].state = State::Running;
            self.broker.freeze(self.coordinators[index].client, false);
            self.note(format!("coordinator {index} goes on"));
        }
        self.coordinators[index].state == State::Running
    }

    fn end_step(&mut self) {
        let now = self.broker.now();
        let alive = self.coordinators.iter().filter(|one| one.state != State::Ended).count();
        if alive < self.plan.coordinators && !self.closing && self.starts.is_empty() && self.broken.is_none() {
            let pause = if self.healing { 20 } else { self.rng.i64(10..400) };
            self.starts.push(now + pause);
        }
        let due = self.starts.extract_if(.., |at| *at <= now).count();
        for _ in 0..due {
            self.start();
        }
        if now - self.flushed_at >= self.plan.flush_every_ms {
            self.flushed_at = now;
            self.upkeep();
        }
        self.idle_steps = if self.events == 0 { self.idle_steps + 1 } else { 0 };
    }

    fn upkeep(&mut self) {
        for one in self.coordinators.iter().filter(|one| one.state == State::Running) {
            let store = &self.machines[one.machine];
            store.flush().expect("a simulated store flushes");
            for partition in 0..self.plan.partitions {
                let through = store.checkpoint(partition).ok().flatten().map(|checkpoint| checkpoint.expired_bucket);
                if let Some(through) = through {
                    store.collect(partition, through, 100).expect("a simulated store deletes");
                }
            }
        }
    }

    fn start(&mut self) {
        let used: Vec<usize> = self.coordinators.iter().filter(|one| one.state != State::Ended).map(|one| one.machine).collect();
        let free: Vec<usize> = (0..self.machines.len()).filter(|machine| !used.contains(machine)).collect();
        let machine = match free.len() {
            count if count > 0 && self.rng.u8(..10) > 0 => free[self.rng.usize(..count)],
            _ => {
                self.machines.push(SimStore::new());
                self.machines.len() - 1
            }
        };
        let seed = self.rng.u64(..);
        self.note(format!("coordinator {} starts on machine {machine}", self.coordinators.len()));
        // Whoever is silent is given up for those that come.
        self.expel_silent(self.broker.now());
        self.group.join(self.coordinators.len());
        let place = (machine, &self.machines[machine]);
        self.coordinators.push(Coordinator::start(&self.broker, &self.setup, &self.plan, place, seed));
    }

    fn note_restored(&mut self, worker: &Worker<SimBus>) {
        for partition in worker.partitions() {
            if let Some(restored) = partition.restored().filter(|restored| restored.snapshot.is_some()) {
                self.counted.restored.insert((partition.number(), restored.until));
            }
        }
    }

    fn running(&mut self) -> Option<usize> {
        let running = (0..self.coordinators.len()).filter(|&index| self.coordinators[index].state == State::Running);
        let running: Vec<usize> = running.collect();
        self.rng.choice(running)
    }

    fn turned(&mut self, index: usize, turned: Turned) {
        match turned {
            Turned::Fine(events) => {
                self.events += events;
                self.coordinators[index].state = State::Running;
                self.finish_if_stopping(index);
            }
            Turned::Crashed(point) => {
                self.note(format!("coordinator {index} reached {point}"));
                self.struck(point, Struck::Died);
                self.crash(index);
            }
            Turned::Stopped(stop) => {
                self.end(index);
                self.fail(format!("coordinator {index} stopped: {stop}"));
            }
            Turned::Panicked(text) => {
                self.end(index);
                self.fail(format!("coordinator {index} panicked: {text}"));
            }
        }
    }

    fn finish_if_stopping(&mut self, index: usize) {
        let one = &self.coordinators[index];
        if one.stopping_since.is_none() || one.process.as_ref().is_some_and(|process| !process.worker.is_empty()) {
            return;
        }
        let machine = one.machine;
        self.machines[machine].flush().expect("a simulated store flushes");
        self.end(index);
        self.group.expel(index, self.broker.now(), None);
        self.note(format!("coordinator {index} ends in good order"));
    }
}

/// One step of the world.
pub fn step(sim: &Sim) {
    sim.borrow_mut().begin_step(sim);
    obey_all(sim);
    let actors = sim.borrow_mut().draw_actors();
    for actor in actors {
        if sim.borrow().broken.is_some() {
            return;
        }
        match actor {
            Actor::Coordinator(index) => turn_coordinator(sim, index),
            Actor::Service(index) => turn_service(sim, index),
        }
    }
    sim.borrow_mut().end_step();
}
