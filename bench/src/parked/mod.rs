//! What many parked sagas cost: how soon a coordinator decides again after a restart, how soon a warm standby does after the group has
//! given it the partitions, and what they take on disk and in memory.
//!
//! ```text
//! pause inventory -> orders, all of which park at their first step -> stop or kill, place an order, start -> the journal tells of it
//! ```
//!
//! A decision is there when its record of the journal was acknowledged and read by the bench, which reads the journal all the while: an
//! order that was placed in each partition while nobody was there to take it.
//!
//! Reading order: this, [`client`] (orders in, the journal read), [`found`] (what is reported, and the goals).

mod client;
mod found;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use ringmaster::config::Config;
use ringmaster_bench::course::SIMPLE;
use ringmaster_demo::rig::Buses as _;
use ringmaster_store::rocks::RocksStore;

use self::client::Client;
use self::found::{Found, Round};
use crate::coordinator::{Coordinator, metric};
use crate::product::{self, Options};
use crate::services::Participants;
use crate::site::{Site, free_port};
use crate::{machine, print, say};

/// How long a decision may take before that is no measurement any more.
const DECIDED_MAX: Duration = Duration::from_secs(120);
/// How long a standby may take until all is warm: it reads the whole journal.
const WARM_MAX: Duration = Duration::from_secs(900);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Nothing more parks within so long a time: something is wrong.
const STILL_MAX: Duration = Duration::from_secs(60);
/// After a start or a takeover rest returns: what is asked then was written, and the group has settled.
const REST: Duration = Duration::from_secs(3);

/// The participant that is paused, which the order asks first.
const PAUSED: &str = "inventory";
/// Sagas of which something is parked.
const PARKED: &str = "ringmaster_partition_parked";
/// Names of the two instances.
const NAMES: [&str; 2] = ["one", "other"];

/// What stands on the command line.
#[derive(Debug, Args)]
pub(crate) struct ParkedArgs {
    /// How many sagas are parked.
    #[arg(long, default_value_t = 1_000_000)]
    parked: u64,
    /// Restarts of each kind, and takeovers.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Partitions. One has all the sagas: the hardest, and a takeover takes over all of them.
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// How everybody reaches Kafka: librdkafka, direct or auto.
    #[arg(long, default_value = "auto")]
    client: String,
    /// A line of JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// The coordinator's program: the one beside this program by default.
    #[arg(long)]
    coordinator: Option<std::path::PathBuf>,
    /// A setting for the coordinators, key=value; may be repeated.
    #[arg(long = "set")]
    settings: Vec<String>,
}

/// A broker, a folder, and whoever is measured.
struct Bench {
    folder: tempfile::TempDir,
    options: Options,
    /// The settings of each instance beside the common ones.
    more: [Vec<String>; 2],
    client: Client,
    found: Found,
    // Last: it ends behind all who use it.
    _site: Site,
}

/// Runs it all.
pub(crate) fn run(args: &ParkedArgs) -> Result<()> {
    if args.parked == 0 || args.rounds == 0 || args.partitions < 1 {
        bail!("--parked, --rounds and --partitions must be above 0");
    }
    let mut bench = Bench::start(args)?;
    let mut one = bench.spawn(0)?;
    one.wait_ready()?;
    bench.fill(&mut one, args.parked)?;
    for round in 1..=args.rounds {
        one = bench.restart(one, round, args.rounds, false)?;
        one = bench.restart(one, round, args.rounds, true)?;
    }
    bench.take_over(one, args.rounds)?;
    bench.compact()?;
    bench.found.load_average[1] = machine::load();
    let found = bench.found;
    print(&if args.json { serde_json::to_string(&found.json())? } else { found.table() });
    let missed = found.missed_counts();
    if missed.is_empty() { Ok(()) } else { bail!("missed: {}", missed.join("; ")) }
}

impl Bench {
    fn start(args: &ParkedArgs) -> Result<Bench> {
        say("a broker starts");
        let site = Site::kafka()?;
        let address = site.address().context("a broker runs")?;
        let folder = tempfile::tempdir()?;
        let more = ["standby=1", "log.level=info"].map(str::to_owned);
        let options = Options {
            partitions: args.partitions,
            participants: Participants::Echo,
            course: &SIMPLE,
            client: args.client.clone(),
            coordinator: args.coordinator.clone(),
            settings: args.settings.iter().cloned().chain(more).collect(),
        };
        let config = product::config(&options, folder.path(), Some(address))?;
        let mut bus = config.kafka_settings().open()?;
        let knowledge = product::make_topics(&mut bus, &config)?;
        let schema = knowledge.schemas.named(SIMPLE.event).context("the schema folder has no such event")?;
        let client = Client::new(bus, schema, &config.prefix, args.partitions)?;
        let found = Found { partitions: args.partitions, load_average: [machine::load(); 2], ..Found::default() };
        let more = [more_of(folder.path(), 0)?, more_of(folder.path(), 1)?];
        Ok(Bench { folder, options, more, client, found, _site: site })
    }

    fn spawn(&self, which: usize) -> Result<Coordinator> {
        Coordinator::spawn(&self.options, self.folder.path(), &self.more[which], true)
    }

    /// Parks as many sagas.
    fn fill(&mut self, one: &mut Coordinator, parked: u64) -> Result<()> {
        self.found.empty_rss_mib = machine::rss_mib(&one.id());
        self.pause(one)?;
        let (begun, mut told, mut moved) = (Instant::now(), Instant::now(), (Instant::now(), 0));
        let mut placed = 0;
        loop {
            if placed < parked {
                placed = self.client.place(placed, parked)?;
                if told.elapsed() < TELL_EVERY {
                    continue;
                }
            } else {
                self.client.idle()?;
            }
            one.must_run()?;
            let now = metric(&one.metrics()?, PARKED);
            if told.elapsed() >= TELL_EVERY {
                say(&format!("{:.0} s: {placed} orders are placed, {now} parked", begun.elapsed().as_secs_f64()));
                told = Instant::now();
            }
            if now > moved.1 {
                moved = (Instant::now(), now);
            }
            if now >= parked {
                break;
            }
            if moved.0.elapsed() > STILL_MAX {
                bail!("{now} of {parked} orders are parked, and no more come");
            }
        }
        self.found.fill_s = begun.elapsed().as_secs_f64();
        // All of it is written by then.
        std::thread::sleep(REST);
        let id = one.id();
        (self.found.filled_rss_mib, self.found.filled_peak_mib) = (machine::rss_mib(&id), machine::peak_rss_mib(&id));
        self.found.note_peak(machine::peak_rss_mib(&id));
        Ok(())
    }

    /// As anybody does it; it has been done everywhere when this returns.
    fn pause(&self, one: &Coordinator) -> Result<()> {
        let mut command = Command::new(one.program());
        command.arg("--config").arg(product::config_path(self.folder.path()));
        command.args(["participant", "pause", PAUSED, "--why", "the bench parks sagas", "--by", "bench"]);
        let done = command.output().context("ringmaster participant pause")?;
        if done.status.success() { Ok(()) } else { bail!("{}", String::from_utf8_lossy(&done.stderr).trim()) }
    }

    /// Ends the coordinator, in order or not, places an order in each partition, and starts it again.
    fn restart(&mut self, mut one: Coordinator, round: usize, rounds: usize, killed: bool) -> Result<Coordinator> {
        let parked = metric(&one.metrics()?, PARKED);
        self.client.watch()?;
        if killed {
            one.kill()?;
        } else {
            one.stop()?;
        }
        let all: Vec<i32> = (0..self.options.partitions).collect();
        let probes = self.client.probe(&all)?;
        if self.found.disk_bytes == 0 {
            let store = self.store_of(0)?;
            self.found.disk_bytes = folder_bytes(&store)?;
            self.found.disk_sagas = parked;
        }
        let mut next = self.spawn(0)?;
        let begun = next.begun;
        let took = self.await_decisions(&mut next, &probes, parked, begun)?;
        let how = if killed { "kill -9" } else { "SIGTERM" };
        say(&format!("round {round} of {rounds}, restart after {how}: {}", took.said()));
        (if killed { &mut self.found.killed } else { &mut self.found.stopped }).push(took);
        next.wait_ready()?;
        self.rest(&[&next]);
        Ok(next)
    }

    /// Kills whoever owns the most, as often as asked, while the other one has warm copies.
    fn take_over(&mut self, one: Coordinator, rounds: usize) -> Result<()> {
        let mut both = [one, self.spawn(1)?];
        for round in 1..=rounds {
            let begun = Instant::now();
            let all = self.options.partitions as usize;
            say(&format!("round {round} of {rounds}: the standby reads the journal"));
            while !is_warm(&both, all) {
                both.iter_mut().try_for_each(Coordinator::must_run)?;
                if begun.elapsed() > WARM_MAX {
                    bail!("not all partitions have a warm copy within {} s", WARM_MAX.as_secs());
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            self.found.warm_s.push(begun.elapsed().as_secs_f64());
            self.rest(&[&both[0], &both[1]]);
            let victim = usize::from(both[1].owned().len() > both[0].owned().len());
            let (taken, parked) = (both[victim].owned(), metric(&both[victim].metrics()?, PARKED));
            let heir = 1 - victim;
            self.found.note_standby(machine::rss_mib(&both[heir].id()));
            self.client.watch()?;
            both[heir].forget_given();
            let killed = both[victim].kill()?;
            let probes = self.client.probe(&taken)?;
            let took = self.await_decisions(&mut both[heir], &probes, parked, killed)?;
            say(&format!("round {round} of {rounds}, takeover of {parked} parked sagas: {}", took.said()));
            self.found.taken_over.push(took);
            self.rest(&[&both[heir]]);
            if round < rounds {
                both[victim] = self.spawn(victim)?;
            }
        }
        // The last victim stays where it is.
        for one in &mut both {
            if one.must_run().is_ok() {
                one.stop()?;
            }
        }
        Ok(())
    }

    /// Waits until each of these orders is decided.
    fn await_decisions(&mut self, by: &mut Coordinator, probes: &[Arc<str>], parked: u64, begun: Instant) -> Result<Round> {
        let before = machine::used(&by.id()).cpu;
        let decided = self.client.decided(probes, DECIDED_MAX, || by.must_run())?;
        let (Some(first), Some(last)) = (decided.iter().min(), decided.iter().max()) else { bail!("nothing was asked") };
        let given = by.given().context("the coordinator does not say when the group gave it partitions")?;
        let s = |at: Instant| at.saturating_duration_since(begun).as_secs_f64();
        let cpu_s = machine::used(&by.id()).cpu.saturating_sub(before).as_secs_f64();
        Ok(Round { given_s: s(given), first_s: s(*first), last_s: s(*last), cpu_s, parked })
    }

    /// Lets things settle, and looks at memory.
    fn rest(&mut self, all: &[&Coordinator]) {
        std::thread::sleep(REST);
        for one in all {
            self.found.note_peak(machine::peak_rss_mib(&one.id()));
        }
    }

    /// The first one's store, with all its files merged.
    fn compact(&mut self) -> Result<()> {
        say("the store is compacted");
        let store = self.store_of(0)?;
        self.found.disk_at_end_bytes = folder_bytes(&store)?;
        let opened = RocksStore::open(&store, self.options.partitions, COMPACTION_BYTES)?;
        opened.store.compact();
        drop(opened);
        self.found.compacted_bytes = folder_bytes(&store)?;
        Ok(())
    }

    fn store_of(&self, which: usize) -> Result<std::path::PathBuf> {
        let settings: Vec<String> = self.options.settings.iter().chain(&self.more[which]).cloned().collect();
        Ok(Config::load(Some(&product::config_path(self.folder.path())), &settings)?.store_dir())
    }
}

/// What an opened store may take while it is compacted.
const COMPACTION_BYTES: usize = 128 << 20;

/// The settings that an instance has for itself.
fn more_of(folder: &Path, which: usize) -> Result<Vec<String>> {
    let data = folder.join(format!("data-{}", NAMES[which]));
    Ok(vec![
        format!("instance={}", NAMES[which]),
        format!("data_dir={}", data.display()),
        format!("api.listen=127.0.0.1:{}", free_port()?),
    ])
}

/// True if each partition is owned by one, and has a warm copy at the other; with more than one each has its share.
fn is_warm(both: &[Coordinator; 2], partitions: usize) -> bool {
    let owned = both.each_ref().map(|one| one.owned().len());
    let is_shared = owned[0] + owned[1] == partitions && (partitions == 1 || owned.iter().all(|share| *share > 0));
    is_shared && both.iter().all(|one| one.owned_and_warm() == partitions)
}

/// Bytes of all files below a folder.
fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { folder_bytes(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_below_a_folder_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).expect("made");
        std::fs::write(folder.path().join("x"), [0; 30]).expect("written");
        std::fs::write(below.join("y"), [0; 12]).expect("written");
        assert_eq!(folder_bytes(folder.path()).expect("readable"), 42);
    }
}
