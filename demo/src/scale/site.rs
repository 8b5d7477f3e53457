//! A broker, a coordinator and `ringmaster scale`, in a temporary folder; all end with this process.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ringmaster::api::client;
use ringmaster::api::{Overview, ParticipantScaling};
use ringmaster_bus::kafka::broker::{Broker, LIBS, free_ports};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::story::say;

/// P, and so the most members that have something to do.
pub(super) const PARTITIONS: i32 = 8;
/// How soon fraud should answer, in seconds.
pub(super) const SLO_S: u32 = 10;
pub(super) const ORDER_PLACED: &str = include_str!("../../../sagas/schemas/OrderPlaced.avsc");

const SAGA: &str = include_str!("score-orders.yaml");
const SCHEMAS: [(&str, &str); 4] = [
    ("OrderPlaced.avsc", ORDER_PLACED),
    ("OrderFulfilled.avsc", include_str!("../../../sagas/schemas/OrderFulfilled.avsc")),
    ("fraud.Score.avsc", include_str!("../../../sagas/library/schemas/fraud.Score.avsc")),
    ("fraud.ScoreResult.avsc", include_str!("../../../sagas/library/schemas/fraud.ScoreResult.avsc")),
];
/// How long a process may take to start or to end, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// So many of the last lines are told of what failed.
const LINES_TOLD: usize = 20;

/// What runs.
pub(super) struct Site {
    scaler: Child,
    coordinator: Child,
    api: SocketAddr,
    folder: TempDir,
    broker: Broker,
    /// A signal has come: everything is to end.
    stop: Arc<AtomicBool>,
}

/// What the coordinator says of all orders.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) overview: Overview,
    /// Answers that were not taken: they came twice, or late.
    pub(super) rejected: f64,
}

impl Site {
    /// Starts everything, and waits until orders can come.
    pub(super) fn start(service_ms: u64, stop: Arc<AtomicBool>) -> Result<Site> {
        ensure!(Broker::is_available(), "there is no Kafka: {LIBS} names no folder with its jars. `make scale-demo` fetches them");
        let (ringmaster, fraud) = (beside("ringmaster")?, beside("fraud")?);
        say("a Kafka broker starts");
        let broker = Broker::start().context("the broker")?;
        let folder = TempDir::new()?;
        let api = SocketAddr::from(([127, 0, 0, 1], free_ports(1)?[0]));
        write(folder.path(), &settings(&broker, api, &fraud, service_ms)).context("a temporary folder")?;
        let applied = Command::new(&ringmaster).args(["topics", "apply"]).current_dir(folder.path()).output()?;
        ensure!(applied.status.success(), "ringmaster topics apply: {}", String::from_utf8_lossy(&applied.stderr));
        say("a coordinator and `ringmaster scale` start, with one member of fraud");
        let coordinator = spawn(&ringmaster, "run", folder.path())?;
        let scaler = spawn(&ringmaster, "scale", folder.path())?;
        let mut site = Site { scaler, coordinator, api, folder, broker, stop };
        site.wait_ready()?;
        Ok(site)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            self.check()?;
            let is_ready = client::get(self.api, "/readyz").is_ok_and(|answer| answer.code == 200);
            if is_ready && self.scaling().is_ok_and(|fraud| fraud.members == Some(1)) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "it is not ready after {} s\n{}", PATIENCE.as_secs(), self.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Where the broker listens.
    pub(super) fn broker(&self) -> &str {
        self.broker.address()
    }

    /// Fails if a signal has come.
    pub(super) fn check_signal(&self) -> Result<()> {
        ensure!(!self.stop.load(Ordering::Relaxed), "ended by a signal, and everything with it");
        Ok(())
    }

    /// Fails if the coordinator or the scaler has ended, or a signal has come.
    pub(super) fn check(&mut self) -> Result<()> {
        self.check_signal()?;
        let ended = [("run", self.coordinator.try_wait()?), ("scale", self.scaler.try_wait()?)];
        match ended.into_iter().find_map(|(name, status)| Some((name, status?))) {
            Some((name, status)) => bail!("ringmaster {name} has ended ({status})\n{}", self.said()),
            None => Ok(()),
        }
    }

    /// What the coordinator says of fraud.
    pub(super) fn scaling(&self) -> Result<ParticipantScaling> {
        self.ask("/api/v1/participants/fraud/scaling")
    }

    fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = client::get(self.api, path).map_err(anyhow::Error::msg)?;
        ensure!(answer.code == 200, "{path}: {}", answer.body);
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// Processes of members.
    pub(super) fn members(&self) -> Vec<u32> {
        children_of(self.scaler.id())
    }

    /// Kills one of the members, if there are several.
    pub(super) fn kill_one(&self) -> Result<Option<u32>> {
        let members = self.members();
        if members.len() < 2 {
            return Ok(None);
        }
        let victim = members[fastrand::usize(..members.len())];
        send("KILL", victim)?;
        Ok(Some(victim))
    }

    /// What the coordinator has counted, once it has stored the end of so many sagas.
    pub(super) fn counted(&self, sagas: u64) -> Result<Counted> {
        let begun = Instant::now();
        loop {
            self.check_signal()?;
            let overview: Overview = self.ask("/api/v1/overview")?;
            let ended = overview.happened.completed + overview.happened.compensated;
            if ended.unsigned_abs() >= sagas || begun.elapsed() > PATIENCE {
                return Ok(Counted { overview, rejected: self.rejected()? });
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn rejected(&self) -> Result<f64> {
        let answer = client::get(self.api, "/metrics").map_err(anyhow::Error::msg)?;
        let values = answer.body.lines().filter(|line| line.split([' ', '{']).next() == Some("ringmaster_inputs_rejected_total"));
        Ok(values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Ends everything in order: members by the scaler, then the coordinator.
    pub(super) fn stop(&mut self) -> Result<()> {
        for (name, child) in [("scale", &mut self.scaler), ("run", &mut self.coordinator)] {
            send("TERM", child.id())?;
            let begun = Instant::now();
            let status = loop {
                match child.try_wait()? {
                    Some(status) => break status,
                    None => ensure!(begun.elapsed() < PATIENCE, "ringmaster {name} does not end"),
                }
                std::thread::sleep(Duration::from_millis(50));
            };
            ensure!(status.success(), "ringmaster {name} has ended with {status}");
        }
        Ok(())
    }

    /// The last lines of both.
    pub(super) fn said(&self) -> String {
        let of = |name: &str| {
            let all = std::fs::read_to_string(log(self.folder.path(), name)).unwrap_or_default();
            let lines: Vec<&str> = all.lines().collect();
            format!("ringmaster {name} said last:\n{}\n", lines[lines.len().saturating_sub(LINES_TOLD)..].join("\n"))
        };
        of("run") + &of("scale")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for child in [&mut self.scaler, &mut self.coordinator] {
            // They may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program that was built with this one.
fn beside(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let path = this.with_file_name(name);
    ensure!(path.exists(), "{} is missing: `make scale-demo` builds it", path.display());
    Ok(path)
}

fn settings(broker: &Broker, api: SocketAddr, fraud: &Path, service_ms: u64) -> String {
    let (broker, fraud) = (broker.address(), fraud.display());
    format!(
        r#"bus = "kafka"
partitions = {PARTITIONS}
definitions = "sagas"
schemas = "schemas"
[api]
listen = "{api}"
[kafka]
"bootstrap.servers" = "{broker}"
[participants.fraud]
slo = "{SLO_S}s"
[scale.fraud]
command = ["{fraud}", "--bootstrap", "{broker}", "--stateless", "--service-time", "{service_ms}ms"]
max = {PARTITIONS}
"#
    )
}

fn write(folder: &Path, settings: &str) -> std::io::Result<()> {
    std::fs::write(folder.join("ringmaster.toml"), settings)?;
    std::fs::create_dir(folder.join("sagas"))?;
    std::fs::write(folder.join("sagas/score-orders.yaml"), SAGA)?;
    std::fs::create_dir(folder.join("schemas"))?;
    SCHEMAS.iter().try_for_each(|(name, text)| std::fs::write(folder.join("schemas").join(name), text))
}

fn log(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

/// Starts a command of ringmaster; it is killed when this process ends, however that does.
fn spawn(ringmaster: &Path, command: &str, folder: &Path) -> Result<Child> {
    let log = File::create(log(folder, command))?;
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(ringmaster)
        .arg(command)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn();
    child.context("setpriv (Debian package util-linux)")
}

/// The processes that a process has started and that run.
fn children_of(parent: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    children.flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()).collect()
}

fn send(signal: &str, id: u32) -> Result<()> {
    // Whoever is killed may have ended just before.
    Command::new("kill").args([&format!("-{signal}"), &id.to_string()]).stderr(Stdio::null()).status()?;
    Ok(())
}
