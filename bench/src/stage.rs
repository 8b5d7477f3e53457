//! What is started for a run: a broker, the coordinator, the services; and what is read of them at the end.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ringmaster::api;
use ringmaster::config::Config;
use ringmaster::runtime::{Instance, Knowledge, Report, Status, load_knowledge, prepare, wall};
use ringmaster::topics;
use ringmaster_bus::embedded::Log;
use ringmaster_bus::kafka::KafkaSettings;
use ringmaster_bus::kafka::broker::Broker;
use ringmaster_demo::accounting::{Accounting, account};
use ringmaster_demo::orders::OrderWriter;
use ringmaster_demo::rig::{Buses, Services};
use ringmaster_schemas::names::Topics;
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;

use crate::driver::{self, Driven, Plan, RUN, Window};
use crate::process::{self, Cpu};
use crate::{Args, null};

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) window: Window,
    pub(crate) cpu: Cpu,
    pub(crate) accounting: Accounting,
    pub(crate) rejected: u64,
    pub(crate) journal_bytes: u64,
    pub(crate) rss_mib: f64,
    pub(crate) null_per_s: Option<f64>,
}

/// How long the coordinator may take to own its partitions.
const READY_MAX: Duration = Duration::from_secs(30);

/// The coordinator as its own process, the services and the driver in this one, a broker beside them.
pub(crate) fn on_kafka(args: &Args, plan: &Plan) -> Result<Outcome> {
    let broker = Broker::start()?;
    let folder = tempfile::tempdir()?;
    let config = config(args, folder.path(), Some(broker.address()))?;
    let kafka: KafkaSettings = config.kafka_settings();
    let mut bus = kafka.open()?;
    let knowledge = make_topics(&mut bus, &config)?;
    let services = Services::start(&kafka, folder.path(), &config.prefix)?;
    let mut coordinator = Coordinator::start(args, folder.path())?;
    let writer = order_writer(&knowledge)?;
    let look = || {
        let (own, child) = (process::cpu("self"), process::cpu(&coordinator.child.id().to_string()));
        Cpu { coordinator: child, broker: broker.cpu_time(), rest: own }
    };
    let driven: Driven<Cpu> = driver::drive(&mut bus, &writer, plan, look)?;
    let metrics = coordinator.metrics()?;
    let rss_mib = process::peak_rss_mib(&coordinator.child.id().to_string());
    coordinator.stop()?;
    services.stop()?;
    let opened = RocksStore::open(&config.store_dir(), config.partitions)?;
    let accounting = account(&opened.store, config.partitions, folder.path(), RUN, driven.issued)?;
    let null_per_s = if args.null { Some(null::run(&kafka, plan)?) } else { None };
    Ok(Outcome {
        cpu: driven.after.since(driven.before),
        window: driven.window,
        accounting,
        rejected: metric(&metrics, "ringmaster_inputs_rejected_total"),
        journal_bytes: metric(&metrics, "ringmaster_journal_bytes_total"),
        rss_mib,
        null_per_s,
    })
}

/// All in this process, on the embedded log; threads tell the coordinator's CPU apart.
pub(crate) fn on_embedded(args: &Args, plan: &Plan) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let config = config(args, folder.path(), None)?;
    let log = Log::open(&config.embedded.dir, config.log_settings())?;
    let mut bus = log.open()?;
    let knowledge = make_topics(&mut bus, &config)?;
    let writer = order_writer(&knowledge)?;
    let setup = prepare(&mut bus, &config.setup(), &knowledge)?;
    let store: Arc<dyn Store> = Arc::new(RocksStore::open(&config.store_dir(), config.partitions)?.store);
    let status = Arc::new(Status::default());
    let report: Report = Arc::new(|_| {});
    let services = Services::start(&log, folder.path(), &config.prefix)?;
    let buses = (0..config.workers).map(|_| log.open()).collect::<Result<Vec<_>, _>>()?;
    let instance = Instance::start(buses, &setup, &Arc::new(knowledge), &store, config.limits.flush_every, &status, &report);
    let look = || {
        let coordinator = process::cpu_of_threads(&["worker-", "upkeep"]);
        Cpu { coordinator, broker: Duration::ZERO, rest: process::cpu("self").saturating_sub(coordinator) }
    };
    let driven = driver::drive(&mut bus, &writer, plan, look)?;
    instance.stop();
    let stopped = instance.join();
    services.stop()?;
    if let Some(stop) = stopped.stops.into_iter().next() {
        return Err(stop.into());
    }
    let accounting = account(&*store, config.partitions, folder.path(), RUN, driven.issued)?;
    let null_per_s = if args.null { Some(null::run(&log, plan)?) } else { None };
    Ok(Outcome {
        cpu: driven.after.since(driven.before),
        window: driven.window,
        accounting,
        rejected: stopped.counters.iter().map(|counters| counters.rejected).sum(),
        journal_bytes: stopped.counters.iter().map(|counters| counters.record_bytes).sum(),
        rss_mib: process::peak_rss_mib("self"),
        null_per_s,
    })
}

fn config(args: &Args, folder: &Path, broker: Option<&str>) -> Result<Config> {
    let mut file = std::fs::File::create(config_path(folder))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    writeln!(file, "bus = \"{}\"\npartitions = {}", if broker.is_some() { "kafka" } else { "embedded" }, args.partitions)?;
    writeln!(file, "data_dir = {:?}\ninstance = \"bench\"", folder.join("data"))?;
    writeln!(file, "definitions = {:?}\nschemas = {:?}", root.join("sagas"), root.join("sagas/schemas"))?;
    writeln!(file, "[api]\nlisten = \"127.0.0.1:{}\"\n[log]\nlevel = \"warn\"", free_port()?)?;
    if let Some(broker) = broker {
        writeln!(file, "[kafka]\n\"bootstrap.servers\" = \"{broker}\"")?;
    }
    Ok(Config::load(Some(&config_path(folder)), &args.settings)?)
}

fn config_path(folder: &Path) -> PathBuf {
    folder.join("ringmaster.toml")
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn make_topics(bus: &mut impl ringmaster_bus::Bus, config: &Config) -> Result<Knowledge> {
    topics::apply(bus, &topics::needed(&Topics::new(&config.prefix), config.partitions, &[], &[], &[]), 1)?;
    let files = config.definition_files()?;
    let knowledge = load_knowledge(bus, &config.prefix, config.schema_folder(), &files, &config.compile_options(), wall())?;
    topics::apply(bus, &topics::needed_by(&knowledge.catalog, &config.prefix, config.partitions), 1)?;
    Ok(knowledge)
}

fn order_writer(knowledge: &Knowledge) -> Result<OrderWriter> {
    Ok(OrderWriter::new(knowledge.schemas.named("OrderPlaced").context("the schema folder has no OrderPlaced")?))
}

/// The coordinator's process.
struct Coordinator {
    child: Child,
    api: std::net::SocketAddr,
}

impl Coordinator {
    fn start(args: &Args, folder: &Path) -> Result<Self> {
        let beside = std::env::current_exe()?.with_file_name("ringmaster");
        let program = args.coordinator.clone().unwrap_or(beside);
        let config = Config::load(Some(&config_path(folder)), &args.settings)?;
        let mut command = Command::new(&program);
        command.arg("--config").arg(config_path(folder)).arg("run");
        for setting in &args.settings {
            command.arg("--set").arg(setting);
        }
        let child =
            command.spawn().with_context(|| format!("{}: build it with cargo build --release -p ringmaster", program.display()))?;
        let mut coordinator = Coordinator { child, api: config.listen.context("the bench needs the coordinator's HTTP side")? };
        let since = Instant::now();
        loop {
            if api::client::get(coordinator.api, "/readyz").is_ok_and(|answer| answer.code == 200) {
                return Ok(coordinator);
            }
            if let Some(status) = coordinator.child.try_wait()? {
                bail!("the coordinator ended at once: {status}");
            }
            if since.elapsed() > READY_MAX {
                bail!("the coordinator was not ready within {} s", READY_MAX.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn metrics(&self) -> Result<String> {
        let answer = api::client::get(self.api, "/metrics").map_err(anyhow::Error::msg)?;
        Ok(answer.body)
    }

    fn stop(&mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status()?;
        if !asked.success() {
            bail!("the coordinator had ended before it was asked to");
        }
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { bail!("the coordinator ended with {status}") }
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // After an orderly stop there is nothing left to kill.
        let _gone = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// A counter's value in Prometheus' text, summed over labels.
fn metric(text: &str, name: &str) -> u64 {
    let values = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum::<f64>() as u64
}
