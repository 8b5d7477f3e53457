//! A coordinator as tests see it: its process, and what its API says.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ringmaster::api;
use ringmaster_schemas::names::percent_encode;

use super::{PATIENCE, Process};

/// A coordinator's process.
pub struct Coordinator {
    /// To kill and freeze.
    pub process: Process,
    /// Its API.
    pub address: SocketAddr,
    /// Its data directory.
    pub data: PathBuf,
}

impl Coordinator {
    /// Waits until it owns all that the group gives it.
    pub fn wait_ready(&mut self) {
        let begun = Instant::now();
        while !self.is_ready() {
            assert!(self.process.is_running(), "the coordinator ended:\n{}", self.process.said_last());
            assert!(begun.elapsed() < PATIENCE, "the coordinator is not ready:\n{}", self.process.said_last());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// True if it says so.
    pub fn is_ready(&self) -> bool {
        api::client::get(self.address, "/readyz").is_ok_and(|answer| answer.code == 200)
    }

    /// True as soon as its API listens.
    pub fn answers(&self) -> bool {
        api::client::get(self.address, "/healthz").is_ok()
    }

    /// What `/readyz` says.
    pub fn readiness(&self) -> serde_json::Value {
        let answer = api::client::get(self.address, "/readyz").expect("it answers");
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// The partitions that it hosts, and where each of them stands; none while it does not answer.
    pub fn partitions(&self) -> Vec<(i32, String)> {
        let Ok(answer) = api::client::get(self.address, "/api/v1/partitions") else { return Vec::new() };
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        let one = |row: &serde_json::Value| Some((row["partition"].as_i64()? as i32, row["phase"].as_str()?.to_owned()));
        body["partitions"].as_array().into_iter().flatten().filter_map(one).collect()
    }

    /// The partitions that it owns.
    pub fn owned(&self) -> BTreeSet<i32> {
        self.partitions().into_iter().filter_map(|(partition, phase)| (phase == "owning").then_some(partition)).collect()
    }

    /// A metric by name; of one with labels the sum.
    pub fn metric(&self, name: &str) -> f64 {
        self.metric_of(name, "")
    }

    /// The sum of a metric's values whose labels hold this text.
    pub fn metric_of(&self, name: &str, label: &str) -> f64 {
        let answer = api::client::get(self.address, "/metrics").expect("it answers");
        let is_asked = |line: &&str| line.split([' ', '{']).next() == Some(name) && line.contains(label);
        let values: Vec<f64> =
            answer.body.lines().filter(is_asked).filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        assert!(!values.is_empty(), "no metric {name} {label} in\n{}", answer.body);
        values.iter().sum()
    }

    /// A saga as its API shows it, as of the last checkpoint; none if there is no row yet.
    pub fn saga(&self, id: &str) -> Option<serde_json::Value> {
        let mut path = "/api/v1/saga?id=".to_owned();
        percent_encode(id, &mut path);
        let answer = api::client::get(self.address, &path).expect("it answers");
        (answer.code == 200).then(|| serde_json::from_str(&answer.body).expect("JSON"))
    }

    /// Kills it; its data directory.
    pub fn kill(self) -> PathBuf {
        self.process.kill();
        self.data
    }

    /// Ends it in order, with code 0; its data directory.
    pub fn stop(self) -> PathBuf {
        let log = self.process.said_last();
        let code = self.process.stop();
        assert_eq!(code, 0, "an orderly end; its log before:\n{log}");
        self.data
    }
}
