//! One coordinator process: the real worker on a client of the simulated broker, on a machine with a store.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ringmaster::runtime::{
    CompileOptions, InputOptions, Knowledge, Now, Setup, SetupSettings, Shares, SnapshotSettings, SnapshotTaker, Stop, Worker,
    load_knowledge, prepare,
};
use ringmaster::topics;
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_bus::{Bus, Specification};
use ringmaster_core::faults::Crashed;
use ringmaster_core::partition::{Limits, Partition, StageName, StartAt};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::ClaimId;
use ringmaster_schemas::names::Topics;
use ringmaster_store::Store;
use ringmaster_store::sim::SimStore;

use super::plan::Plan;

/// Definition and schemas of all runs, compiled once.
pub fn knowledge() -> Arc<Knowledge> {
    static KNOWN: OnceLock<Arc<Knowledge>> = OnceLock::new();
    KNOWN
        .get_or_init(|| {
            let broker = SimBroker::new(0, 0, Faults::none());
            make_topics(&broker, 1, 1);
            let here = Path::new(env!("CARGO_MANIFEST_DIR"));
            let file: PathBuf = here.join("src/sim/order.yaml");
            let loaded = load_knowledge(
                &mut broker.client(),
                "ringmaster",
                &here.join("../sagas/schemas"),
                &[file],
                &CompileOptions::default(),
                0,
            );
            Arc::new(loaded.unwrap_or_else(|error| panic!("the simulator's definition: {error}")))
        })
        .clone()
}

/// Every topic of the order saga; that of the orders has so many partitions.
pub fn make_topics(broker: &SimBroker, partitions: i32, orders: i32) {
    let (name, settings) = ("orders".to_owned(), Vec::new());
    let orders = Specification { name, partitions: orders, replication: 1, settings };
    broker.client().create(&orders).expect("the simulated broker makes topics");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let commands = names(&["inventory.commands", "payment.commands", "shipping.commands"]);
    let needed =
        topics::needed(&Topics::new("ringmaster"), partitions, &names(&["orders"]), &commands, &names(&["order-outcomes"]));
    topics::apply(&mut broker.client(), &needed, 1).expect("the simulated broker makes topics");
}

/// What a coordinator of this run is made of.
pub fn setup(broker: &SimBroker, plan: &Plan, owner: &str) -> Setup {
    prepare(&mut broker.client(), &settings(plan, owner), &knowledge()).unwrap_or_else(|error| panic!("{error}"))
}

/// What it is told.
pub fn settings(plan: &Plan, owner: &str) -> SetupSettings {
    let limits = Limits {
        record_bytes_max: 60_000,
        record_turns_max: if plan.tight { 3 } else { 64 },
        in_flight_records_max: if plan.tight { 2 } else { 16 },
        in_flight_max: if plan.tight { 2 } else { 1_000 },
        memory_bytes_max: if plan.tight { 20_000 } else { 4 << 20 },
        unreleased_effects_max: if plan.tight { 8 } else { 1_000 },
        timers_per_poll_max: 8,
    };
    SetupSettings {
        prefix: "ringmaster".into(),
        partitions: plan.partitions,
        owner: owner.into(),
        address: String::new(),
        start_at: StartAt::Earliest,
        inputs: plan.routed.map(|_| routed("orders")).into_iter().collect(),
        limits,
        breaker: plan.breaker.clone(),
        tracing: None,
        checkpoint_every_ms: plan.checkpoint_every_ms,
        checkpoint_rows_max: 1_000,
        claim_backoff_first_ms: 10,
        claim_backoff_max_ms: 400,
    }
}

/// A topic whose records go through the router, also where it has P partitions.
fn routed(topic: &str) -> InputOptions {
    let (topic, type_field) = (topic.to_owned(), "type".to_owned());
    InputOptions { topic, type_field, default_type: None, accept_new: false, routed: true }
}

/// How a coordinator stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// It takes turns.
    Running,
    /// It stands still until then.
    Frozen(Millis),
    /// It stands still in the middle of a turn, or is taking one.
    InTurn,
    /// It is over.
    Ended,
}

/// How a turn ended.
pub enum Turned {
    /// As turns do; with so many events.
    Fine(usize),
    /// By a crash point.
    Crashed(&'static str),
    /// For good, and it says why.
    Stopped(Stop),
    /// By a panic of the real code.
    Panicked(String),
}

/// What a coordinator has in memory, and its disk.
pub struct Process {
    /// Its one worker.
    pub worker: Worker<SimBus>,
    /// Who takes snapshots of what it has; none if the journal is kept for ever.
    pub taker: Option<SnapshotTaker<SimBus>>,
    /// Its data directory.
    pub store: SimStore,
}

/// One coordinator.
pub struct Coordinator {
    /// How it stands.
    pub state: State,
    /// None while it takes a turn, and when it has ended.
    pub process: Option<Process>,
    /// Its client at the broker.
    pub client: u32,
    /// The machine it runs on.
    pub machine: usize,
    /// It was asked to end in good order, then.
    pub stopping_since: Option<Millis>,
    /// What it is to host, by what the group says.
    pub shares: Shares,
    /// Numbers of present hostings.
    pub hostings: HashMap<i32, u64>,
    /// The claims by which it became the owner of partitions, so far as that was looked at.
    pub terms: HashMap<i32, (i64, ClaimId)>,
}

impl Coordinator {
    /// Starts one on a machine; it hosts nothing yet.
    pub fn start(broker: &SimBroker, setup: &Setup, plan: &Plan, (machine, store): (usize, &SimStore), seed: u64) -> Coordinator {
        let bus = broker.client();
        let client = bus.number();
        let ids = |seed: u64| {
            let mut ids = fastrand::Rng::with_seed(seed);
            move || {
                let mut id = [0; 16];
                ids.fill(&mut id);
                id
            }
        };
        let taker = plan.retention_ms.map(|retention_ms| {
            let (owner, topics) = ("sim".into(), Topics::new("ringmaster"));
            let settings = SnapshotSettings { retention_ms, owner, topics, journal: setup.journal() };
            SnapshotTaker::new(broker.client(), settings, Box::new(ids(!seed)))
        });
        let worker = Worker::new(bus, setup.worker(), Vec::new(), knowledge(), Arc::new(store.clone()), Box::new(ids(seed)));
        let (process, shares) = (Some(Process { worker, taker, store: store.clone() }), Shares::new(1));
        let (state, hostings) = (State::Running, HashMap::new());
        Coordinator { state, process, client, machine, stopping_since: None, shares, hostings, terms: HashMap::new() }
    }

    /// Its worker, unless it takes a turn or has ended.
    pub fn worker(&mut self) -> Option<&mut Worker<SimBus>> {
        self.process.as_mut().map(|process| &mut process.worker)
    }

    /// Its partitions; none while it takes a turn.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.process.iter().flat_map(|process| process.worker.partitions())
    }

    /// True if it believes that it owns this partition.
    pub fn owns(&self, number: i32) -> bool {
        let is_owned = |partition: &Partition| partition.number() == number && partition.stage() == StageName::Owning;
        self.partitions().any(is_owned)
    }
}

/// The time on every simulated machine, whose wall clocks are so far ahead of the broker's.
pub fn now(broker: &SimBroker, ahead_ms: Millis) -> Now {
    Now { wall: broker.now() + ahead_ms, steady: broker.now() }
}

/// One turn of a worker, and of who takes snapshots of what it believes to own; whatever comes of it. Also whether one was taken.
pub fn turn(process: &mut Process, broker: &SimBroker, ahead_ms: Millis) -> (Turned, bool) {
    let mut taken = false;
    let Process { worker, taker, store } = process;
    let turned = caught(|| {
        let events = worker.turn(&|| now(broker, ahead_ms), Duration::ZERO)?.events;
        if let Some(taker) = taker {
            let is_owned = |one: &&Partition| one.stage() == StageName::Owning;
            let owned: Vec<i32> = worker.partitions().filter(is_owned).map(Partition::number).collect();
            let store = store.clone();
            let view = move || Ok(Arc::new(store.as_flushed()) as Arc<dyn Store>);
            taken = taker.turn(&owned, &view, now(broker, ahead_ms), Duration::ZERO).is_some();
        }
        Ok(events)
    });
    (turned, taken)
}

/// What came of something that a worker does; its events are counted.
pub fn caught(does: impl FnOnce() -> Result<usize, Stop>) -> Turned {
    match catch_unwind(AssertUnwindSafe(does)) {
        Ok(Ok(events)) => Turned::Fine(events),
        Ok(Err(stop)) => Turned::Stopped(stop),
        Err(panic) => match panic.downcast_ref::<Crashed>() {
            Some(Crashed(point)) => Turned::Crashed(point),
            None => Turned::Panicked(message(&*panic)),
        },
    }
}

/// The text of a panic.
pub fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "a panic without a text".into())
}
