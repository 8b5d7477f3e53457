//! The product under load: the coordinator, the three services and a driver; and what they say at the end.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ringmaster::api;
use ringmaster::config::Config;
use ringmaster::runtime::{Instance, Knowledge, Parts, Report, Status, load_knowledge, prepare, wall};
use ringmaster::topics;
use ringmaster_bench::course::{Course, EventWriter, WHOLE};
use ringmaster_bus::Alone;
use ringmaster_bus::embedded::{EmbeddedBus, Log};
use ringmaster_bus::kafka::KafkaBus;
use ringmaster_demo::accounting::{Accounting, account};
use ringmaster_demo::orders::OrderWriter;
use ringmaster_demo::rig::{Buses, SERVICES};
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::state::{RowKind, Saga, Status as SagaStatus};
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;

use crate::coordinator::{Coordinator, metric, owned_at};
use crate::load::{Load, RUN, Writer};
use crate::machine::{self, Used};
use crate::overload::InFlight;
use crate::services::{Participants, Process, Running};
use crate::site::{Site, free_port, wall_ms};
use crate::window::{Contender, Cost, Plan, Window};

/// How long instances may take until all partitions are shared out: who joins reads what it missed.
const SHARED_MAX: Duration = Duration::from_secs(180);

/// What the product is called that runs the simple order, and the one that runs the whole one.
pub(crate) const PRODUCT: &str = "product";
pub(crate) const WHOLE_ORDER: &str = "whole order";

/// How the product is set up.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) partitions: i32,
    pub(crate) participants: Participants,
    /// What runs.
    pub(crate) course: &'static Course,
    /// The client that everybody reaches Kafka by.
    pub(crate) client: String,
    /// The coordinator's program; none: the one beside this program.
    pub(crate) coordinator: Option<PathBuf>,
    /// Settings for the coordinator, `key=value`.
    pub(crate) settings: Vec<String>,
}

impl Options {
    /// The same for the library's whole order, whose participants are echoes.
    pub(crate) fn whole(&self) -> Options {
        Options { course: &WHOLE, ..self.clone() }
    }

    /// What the contender is called.
    fn name(&self) -> &'static str {
        if self.course.is_simple() { PRODUCT } else { WHOLE_ORDER }
    }
}

/// What the product says of all its windows.
pub(crate) struct Verdict {
    pub(crate) accounting: Accounting,
    pub(crate) rejected: u64,
    pub(crate) journal_bytes: u64,
    pub(crate) rss_mib: f64,
}

impl Verdict {
    /// With what is wrong about another product, if it ran.
    pub(crate) fn and(mut self, other: Option<Verdict>) -> Verdict {
        let problems = other.into_iter().flat_map(|other| other.accounting.problems);
        self.accounting.problems.extend(problems.map(|problem| format!("{WHOLE_ORDER}: {problem}")));
        self
    }
}

/// The coordinator as its own process, the services as another one, the driver in this one.
pub(crate) struct OnKafka<'a> {
    site: &'a Site,
    folder: tempfile::TempDir,
    config: Config,
    options: Options,
    load: Load<KafkaBus>,
    services: Process,
    coordinator: Coordinator,
    /// More instances that share the partitions with it.
    others: Vec<Coordinator>,
}

impl<'a> OnKafka<'a> {
    pub(crate) fn start(site: &'a Site, options: &Options) -> Result<OnKafka<'a>> {
        let address = site.address().context("a broker runs")?;
        let folder = tempfile::tempdir()?;
        let config = config(options, folder.path(), Some(address))?;
        let mut bus = config.kafka_settings().open()?;
        let knowledge = make_topics(&mut bus, &config)?;
        let load = Load::new(bus, order_writer(options, &knowledge)?, options.partitions)?;
        let services = Process::start(options, address, folder.path(), &config.prefix)?;
        let coordinator = Coordinator::start(options, folder.path(), &[])?;
        Ok(OnKafka { site, folder, config, options: options.clone(), load, services, coordinator, others: Vec::new() })
    }

    /// From now on so many instances share the partitions; waits until they do, evenly.
    pub(crate) fn share_among(&mut self, instances: usize) -> Result<()> {
        while self.others.len() + 1 > instances {
            self.others.pop().context("there is another")?.stop()?;
        }
        while self.others.len() + 1 < instances {
            let number = self.others.len() + 2;
            let data = format!("data_dir={}", self.folder.path().join(format!("data-{number}")).display());
            let more = [format!("instance=bench-{number}"), data, format!("api.listen=127.0.0.1:{}", free_port()?)];
            self.others.push(Coordinator::spawn(&self.options, self.folder.path(), &more, false)?);
        }
        let (all, OnKafka { coordinator, others, .. }) = (self.options.partitions as usize, self);
        let address = coordinator.api;
        coordinator.wait_for("one of so many that share evenly", SHARED_MAX, || {
            let mine = owned_at(address).len();
            let shares: Vec<usize> = others.iter().map(|other| other.owned().len()).chain([mine]).collect();
            shares.iter().sum::<usize>() == all && shares.iter().all(|share| *share >= all / instances)
        })
    }

    /// Ends everything in order, and reads what came of it.
    pub(crate) fn finish(mut self) -> Result<Verdict> {
        let metrics = self.coordinator.metrics()?;
        let rss_mib = machine::peak_rss_mib(&self.coordinator.id());
        self.coordinator.stop()?;
        self.services.stop()?;
        let opened = RocksStore::open(&self.config.store_dir(), self.options.partitions, self.config.shares().store)?;
        Ok(Verdict {
            accounting: verdict(&opened.store, &self.options, self.folder.path(), self.load.issued())?,
            rejected: metric(&metrics, "ringmaster_inputs_rejected_total"),
            journal_bytes: metric(&metrics, "ringmaster_journal_bytes_total"),
            rss_mib,
        })
    }
}

impl Contender for OnKafka<'_> {
    fn name(&self) -> &'static str {
        self.options.name()
    }

    fn window(&mut self, plan: &Plan) -> Result<Window> {
        let (site, services) = (self.site, self.services.id());
        let coordinators: Vec<String> = self.others.iter().chain([&self.coordinator]).map(Coordinator::id).collect();
        let look = || {
            let cost = Cost {
                coordinator: coordinators.iter().map(|id| machine::used(id)).fold(Used::default(), Used::and),
                broker: site.broker_used(),
                services: machine::used(&services),
                driver: machine::used("self"),
            };
            (cost, wall_ms())
        };
        let (measured, (before, from_ms), (after, to_ms)) = self.load.window(plan, look)?;
        Ok(Window { measured, cost: after.since(before), traffic: site.traffic(from_ms, to_ms)? })
    }
}

impl InFlight for OnKafka<'_> {
    fn in_flight(&self) -> Box<dyn Fn() -> Option<u64> + Send> {
        let api = self.coordinator.api;
        Box::new(move || Some(metric(&api::client::get(api, "/metrics").ok()?.body, "ringmaster_partition_in_flight")))
    }
}

/// All in this process, on the embedded log; threads tell what each costs.
pub(crate) struct OnEmbedded {
    folder: tempfile::TempDir,
    options: Options,
    load: Load<EmbeddedBus>,
    services: Running,
    instance: Instance,
    status: Arc<Status>,
    store: Arc<dyn Store>,
    /// Null sagas run on the same log.
    pub(crate) log: Log,
}

impl OnEmbedded {
    pub(crate) fn start(options: &Options) -> Result<OnEmbedded> {
        let folder = tempfile::tempdir()?;
        let config = config(options, folder.path(), None)?;
        let log = Log::open(&config.embedded.dir, config.log_settings())?;
        let mut bus = log.open()?;
        let knowledge = make_topics(&mut bus, &config)?;
        let writer = order_writer(options, &knowledge)?;
        let setup = prepare(&mut bus, &config.setup(), &knowledge)?;
        let store: Arc<dyn Store> =
            Arc::new(RocksStore::open(&config.store_dir(), config.partitions, config.shares().store)?.store);
        let status = Arc::new(Status::default());
        let report: Report = Arc::new(|_, _| {});
        let services = Running::start(options, &log, folder.path(), &config.prefix)?;
        let buses = (0..config.workers).map(|_| log.open()).collect::<Result<Vec<_>, _>>()?;
        let settings = config.instance_among_others();
        let knowledge = Arc::new(knowledge);
        let parts = Parts {
            setup: &setup,
            knowledge: &knowledge,
            store: &store,
            settings,
            status: &status,
            report: &report,
            standby: None,
        };
        let instance = Instance::start(buses, Box::new(Alone::new(config.partitions)), &parts);
        let load = Load::new(bus, writer, options.partitions)?;
        Ok(OnEmbedded { folder, options: options.clone(), load, services, instance, status, store, log })
    }

    /// Ends everything in order, and reads what came of it.
    pub(crate) fn finish(self) -> Result<Verdict> {
        self.instance.stop();
        let stopped = self.instance.join();
        self.services.stop()?;
        if let Some(stop) = stopped.stops.into_iter().next() {
            return Err(stop.into());
        }
        Ok(Verdict {
            accounting: verdict(&*self.store, &self.options, self.folder.path(), self.load.issued())?,
            rejected: stopped.counters.iter().map(|counters| counters.rejected).sum(),
            journal_bytes: stopped.counters.iter().map(|counters| counters.record_bytes).sum(),
            rss_mib: machine::peak_rss_mib("self"),
        })
    }
}

impl InFlight for OnEmbedded {
    fn in_flight(&self) -> Box<dyn Fn() -> Option<u64> + Send> {
        let status = self.status.clone();
        Box::new(move || Some(status.partitions().iter().map(|partition| partition.in_flight as u64).sum()))
    }
}

impl Contender for OnEmbedded {
    fn name(&self) -> &'static str {
        self.options.name()
    }

    fn window(&mut self, plan: &Plan) -> Result<Window> {
        let look = || {
            let (coordinator, services) = (machine::used_by_threads(&["worker-", "upkeep"]), machine::used_by_threads(&SERVICES));
            let driver = machine::used("self").since(coordinator).since(services);
            Cost { coordinator, services, driver, ..Cost::default() }
        };
        let (measured, before, after) = self.load.window(plan, look)?;
        Ok(Window { measured, cost: after.since(before), traffic: None })
    }
}

/// With ledgers every order is compared with what its number says; echoes refuse nothing, so every order completes.
fn verdict(store: &dyn Store, options: &Options, folder: &Path, issued: u64) -> Result<Accounting> {
    if options.participants == Participants::Ledger {
        return account(store, options.partitions, folder, RUN, issued);
    }
    let mut accounting = Accounting { issued, ..Accounting::default() };
    for partition in 0..options.partitions {
        store.rows(partition, RowKind::Saga, &mut |key, row| {
            match Saga::decode(&key.to_string().into(), row).map(|saga| saga.status) {
                Ok(SagaStatus::Completed) => accounting.completed += 1,
                other => accounting.problems.push(format!("{key}: {other:?}, and echoes refuse nothing")),
            }
            accounting.problems.len() < 20
        })?;
    }
    if accounting.completed != issued {
        accounting.problems.push(format!("{} of {issued} orders completed", accounting.completed));
    }
    Ok(accounting)
}

pub(crate) fn config(options: &Options, folder: &Path, broker: Option<&str>) -> Result<Config> {
    let mut file = std::fs::File::create(config_path(folder))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    writeln!(file, "bus = \"{}\"\npartitions = {}", if broker.is_some() { "kafka" } else { "embedded" }, options.partitions)?;
    writeln!(file, "data_dir = {:?}\ninstance = \"bench\"", folder.join("data"))?;
    // A folder of its own: beside the definition there are others.
    let (definition, definitions) = (root.join(options.course.file), folder.join("definitions"));
    std::fs::create_dir_all(&definitions)?;
    std::fs::copy(&definition, definitions.join("order.yaml"))?;
    writeln!(file, "definitions = {definitions:?}\nschemas = {:?}", root.join(options.course.schemas))?;
    writeln!(file, "[api]\nlisten = \"127.0.0.1:{}\"\n[log]\nlevel = \"warn\"", free_port()?)?;
    if let Some(broker) = broker {
        writeln!(file, "[kafka]\n\"bootstrap.servers\" = \"{broker}\"\nclient = \"{}\"", options.client)?;
    }
    Ok(Config::load(Some(&config_path(folder)), &options.settings)?)
}

pub(crate) fn config_path(folder: &Path) -> PathBuf {
    folder.join("ringmaster.toml")
}

pub(crate) fn make_topics(bus: &mut impl ringmaster_bus::Bus, config: &Config) -> Result<Knowledge> {
    topics::apply(bus, &topics::needed(&Topics::new(&config.prefix), config.partitions, &[], &[], &[]), 1)?;
    let files = config.definition_files()?;
    let knowledge = load_knowledge(bus, &config.prefix, config.schema_folder(), &files, &config.compile_options(), wall())?;
    topics::apply(bus, &topics::needed_by(&knowledge.catalog, &config.prefix, config.partitions), 1)?;
    Ok(knowledge)
}

/// With ledgers some orders are refused, by their numbers; all whole orders are alike.
fn order_writer(options: &Options, knowledge: &Knowledge) -> Result<Writer> {
    let schema = knowledge.schemas.named(options.course.event).context("the schema folder has no such event")?;
    if options.course.is_simple() {
        let writer = OrderWriter::new(schema);
        return Ok(Box::new(move |key, number, out| writer.put(key, number, out)));
    }
    let writer = EventWriter::new(options.course, schema)?;
    Ok(Box::new(move |key, _, out| writer.put(key, out)))
}
