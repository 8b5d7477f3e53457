//! The demo: coordinator, three services and a shop in one process on the embedded durable log. Killed at any moment and
//! started again on its directory, it goes on from what the log holds.
//!
//! ```text
//! shop -> orders -> coordinator <-> inventory, payment, shipping -> order-outcomes -> counted; at the end: the accounting
//! ```

mod progress;
mod shop;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ringmaster::config::Config;
use ringmaster::runtime::{Instance, Knowledge, Parts, Report, Status, load_knowledge, prepare, wall};
use ringmaster::topics;
use ringmaster_bus::embedded::{Log, Settings as LogSettings};
use ringmaster_bus::{Alone, Bus};
use ringmaster_schemas::names::Topics;
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;

use crate::accounting::{Accounting, account};
use crate::rig::{Buses, Services};
use progress::Progress;
use shop::Shop;

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many orders.
    pub orders: u64,
    /// Orders a second.
    pub rate: f64,
    /// Where everything is kept.
    pub folder: PathBuf,
}

/// What a directory was begun with: a later start goes on with that.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Plan {
    orders: u64,
    finished: bool,
}

/// How long nothing may move before the demo gives up.
const STILL_MAX: Duration = Duration::from_secs(60);

/// Runs the demo; the accounting at its end. An error if it could not run; an inexact accounting is the caller's to judge.
pub fn run(config: &Config, options: &Options) -> Result<Accounting> {
    let plan = begin(options)?;
    let log = Log::open(&options.folder.join("log"), LogSettings::default())?;
    let mut bus = log.open()?;
    let prefix = config.prefix.clone();
    make_internal_topics(&mut bus, &prefix, config.partitions)?;
    let knowledge =
        load_knowledge(&mut bus, &prefix, config.schema_folder(), &config.definition_files()?, &config.compile_options(), wall())?;
    make_topics(&mut bus, &prefix, config.partitions, &knowledge)?;
    let setup = prepare(&mut bus, &config.setup(), &knowledge)?;
    let knowledge = Arc::new(knowledge);
    let opened = RocksStore::open(&options.folder.join("store"), config.partitions, config.shares().store)?;
    let store: Arc<dyn Store> = Arc::new(opened.store);
    let status = Arc::new(Status::default());
    let report: Report = Arc::new(|_, _| {});
    let services = Services::start(&log, &options.folder, &prefix)?;
    let buses = (0..config.workers).map(|_| log.open()).collect::<Result<Vec<_>, _>>()?;
    let settings = config.instance_among_others();
    let parts =
        Parts { setup: &setup, knowledge: &knowledge, store: &store, settings, status: &status, report: &report, standby: None };
    let instance = Instance::start(buses, Box::new(Alone::new(config.partitions)), &parts);
    let mut shop = Shop::open(log.open()?, &knowledge, config.partitions, plan.orders)?;
    let progress = drive(&mut shop, options.rate, plan.orders, &instance, &services);
    instance.stop();
    let stopped = instance.join();
    services.stop()?;
    if let Some(stop) = stopped.stops.into_iter().next() {
        return Err(stop.into());
    }
    let progress = progress?;
    let accounting = account(&*store, config.partitions, &options.folder, shop::RUN, plan.orders)?;
    if accounting.exact() {
        write_plan(&options.folder, &Plan { finished: true, ..plan })?;
    }
    progress.finish(&accounting, &options.folder);
    Ok(accounting)
}

/// The plan of the directory: a new one, or the one it was begun with; a finished directory is moved aside.
fn begin(options: &Options) -> Result<Plan> {
    let path = plan_path(&options.folder);
    if let Ok(text) = std::fs::read(&path) {
        let plan: Plan = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a demo's plan; remove the directory", path.display()))?;
        if !plan.finished {
            progress::say(&format!("going on in {} with {} orders", options.folder.display(), plan.orders));
            return Ok(plan);
        }
        let aside = free_name(&options.folder);
        std::fs::rename(&options.folder, &aside).with_context(|| format!("moving {} aside", options.folder.display()))?;
        progress::say(&format!("the finished run of before is now in {}", aside.display()));
    } else if options.folder.read_dir().is_ok_and(|mut files| files.next().is_some()) {
        bail!("{} is not empty and no demo began there: choose another directory (--dir)", options.folder.display());
    }
    std::fs::create_dir_all(&options.folder).with_context(|| format!("making {}", options.folder.display()))?;
    let plan = Plan { orders: options.orders, finished: false };
    write_plan(&options.folder, &plan)?;
    Ok(plan)
}

fn plan_path(folder: &Path) -> PathBuf {
    folder.join("demo.json")
}

/// Written beside and renamed, so that a kill never leaves half a plan.
fn write_plan(folder: &Path, plan: &Plan) -> Result<()> {
    let path = plan_path(folder);
    let beside = path.with_extension("new");
    std::fs::write(&beside, serde_json::to_vec(plan)?)?;
    std::fs::rename(&beside, &path).with_context(|| format!("writing {}", path.display()))
}

fn free_name(folder: &Path) -> PathBuf {
    let name = folder.file_name().map_or_else(|| "demo".into(), |name| name.to_string_lossy().into_owned());
    let names = (1u32..).map(|number| folder.with_file_name(format!("{name}.{number}")));
    names.into_iter().find(|path| !path.exists()).expect("there are enough numbers")
}

fn make_internal_topics(bus: &mut impl Bus, prefix: &str, partitions: i32) -> Result<()> {
    topics::apply(bus, &topics::needed(&Topics::new(prefix), partitions, &[], &[], &[]), 1)?;
    Ok(())
}

fn make_topics(bus: &mut impl Bus, prefix: &str, partitions: i32, knowledge: &Knowledge) -> Result<()> {
    topics::apply(bus, &topics::needed_by(&knowledge.catalog, prefix, partitions), 1)?;
    Ok(())
}

/// Issues orders at their times and counts outcomes, until all have come.
fn drive<B: Bus>(shop: &mut Shop<B>, rate: f64, orders: u64, instance: &Instance, services: &Services) -> Result<Progress> {
    let mut progress = Progress::new(orders, rate);
    progress.resumed(shop.issued_before());
    loop {
        shop.turn(rate)?;
        progress.show(shop);
        if shop.done() {
            return Ok(progress);
        }
        if instance.failed() {
            bail!("the coordinator stopped");
        }
        if services.failed() {
            bail!("a service stopped");
        }
        if shop.still_for() > STILL_MAX {
            bail!("no outcome came for {} s; {} of {orders} are there", STILL_MAX.as_secs(), shop.finished());
        }
    }
}
