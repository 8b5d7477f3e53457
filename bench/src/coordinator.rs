//! A coordinator's process, as benches drive it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ringmaster::api;
use ringmaster::config::Config;
use serde_json::Value;

use crate::product::{Options, config_path};

/// How long the coordinator may take to own its partitions.
const READY_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether something came true.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What a coordinator says when the group has decided.
const GIVEN: &str = "the group gives these partitions to this instance";

/// A process that runs; it ends with this value.
pub(crate) struct Coordinator {
    child: Child,
    /// Its HTTP side.
    pub(crate) api: SocketAddr,
    /// What runs.
    program: PathBuf,
    /// When it was started.
    pub(crate) begun: Instant,
    /// When it said first that the group gave it partitions, since this was forgotten last; of those that are listened to.
    given: Arc<Mutex<Option<Instant>>>,
}

impl Coordinator {
    /// Starts one with these settings beside those of its file, and waits until it owns its share.
    pub(crate) fn start(options: &Options, folder: &Path, more: &[String]) -> Result<Self> {
        let mut coordinator = Coordinator::spawn(options, folder, more, false)?;
        coordinator.wait_ready()?;
        Ok(coordinator)
    }

    /// Starts one and does not wait. What one says that is `listened` to is read here, and only its warnings are passed on.
    pub(crate) fn spawn(options: &Options, folder: &Path, more: &[String], listened: bool) -> Result<Self> {
        let beside = std::env::current_exe()?.with_file_name("ringmaster");
        let program = options.coordinator.clone().unwrap_or(beside);
        let settings: Vec<String> = options.settings.iter().chain(more).cloned().collect();
        let config = Config::load(Some(&config_path(folder)), &settings)?;
        let mut command = Command::new(&program);
        command.arg("--config").arg(config_path(folder)).arg("run");
        for setting in &settings {
            command.arg("--set").arg(setting);
        }
        if listened {
            command.stderr(Stdio::piped());
        }
        let begun = Instant::now();
        let started = command.spawn();
        let mut child =
            started.with_context(|| format!("{}: build it with cargo build --release -p ringmaster", program.display()))?;
        let given = Arc::default();
        if let Some(said) = child.stderr.take() {
            let given = Arc::clone(&given);
            std::thread::Builder::new().name("listener".into()).spawn(move || listen(said, &given))?;
        }
        let api = config.api.listen.context("the bench needs the coordinator's HTTP side")?;
        Ok(Coordinator { child, api, program, begun, given })
    }

    /// Waits until it owns its share.
    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        let api = self.api;
        let is_ready = || api::client::get(api, "/readyz").is_ok_and(|answer| answer.code == 200);
        self.wait_for("ready", READY_MAX, is_ready)
    }

    /// Waits until something is true of it, as long as it runs.
    pub(crate) fn wait_for(&mut self, what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) -> Result<()> {
        let since = Instant::now();
        while !is_so() {
            self.must_run()?;
            if since.elapsed() > patience {
                bail!("the coordinator was not {what} within {} s", patience.as_secs());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// An error if it has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the coordinator ended: {status}"),
            None => Ok(()),
        }
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }

    pub(crate) fn metrics(&self) -> Result<String> {
        let answer = api::client::get(self.api, "/metrics").map_err(anyhow::Error::msg)?;
        Ok(answer.body)
    }

    /// The partitions that it owns now; none while it does not answer.
    pub(crate) fn owned(&self) -> Vec<i32> {
        owned_at(self.api)
    }

    /// So many partitions it owns, or has warm copies of.
    pub(crate) fn owned_and_warm(&self) -> usize {
        let warm = self.metrics().map_or(0, |metrics| warm_of(&metrics));
        self.owned().len() + warm
    }

    /// From now on it counts anew when the group gives it something.
    pub(crate) fn forget_given(&self) {
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// When the group gave it something first since then.
    pub(crate) fn given(&self) -> Option<Instant> {
        *self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it in order.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.id()).status()?;
        if !asked.success() {
            bail!("the coordinator had ended before it was asked to");
        }
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { bail!("the coordinator ended with {status}") }
    }

    /// Ends it as a crash would; when that was.
    pub(crate) fn kill(&mut self) -> Result<Instant> {
        let at = Instant::now();
        self.child.kill()?;
        self.child.wait()?;
        Ok(at)
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // After an orderly stop there is nothing left to kill.
        let _gone = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Notes when the group has decided; what is worse than news is passed on.
fn listen(said: ChildStderr, given: &Mutex<Option<Instant>>) {
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        if line.contains(GIVEN) {
            given.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        } else if !line.contains("INFO ringmaster") {
            crate::say(&line);
        }
    }
}

/// What the coordinator owns whose HTTP side this is.
pub(crate) fn owned_at(api: SocketAddr) -> Vec<i32> {
    let Ok(answer) = api::client::get(api, "/api/v1/partitions") else { return Vec::new() };
    owned_of(&serde_json::from_str(&answer.body).unwrap_or_default())
}

/// Of what `/api/v1/partitions` says.
fn owned_of(body: &Value) -> Vec<i32> {
    let rows = body["partitions"].as_array().into_iter().flatten();
    rows.filter(|row| row["phase"] == "owning").filter_map(|row| i32::try_from(row["partition"].as_i64()?).ok()).collect()
}

/// How many partitions have a warm copy here, by what the metrics say.
fn warm_of(metrics: &str) -> usize {
    let levels = metrics.lines().filter(|line| line.starts_with("ringmaster_partition_standby{"));
    levels.filter(|line| line.ends_with(" 2")).count()
}

/// A counter's value in Prometheus' text, summed over labels.
pub(crate) fn metric(text: &str, name: &str) -> u64 {
    let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    let values = text.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "# TYPE ringmaster_partition_parked gauge\nringmaster_partition_parked{partition=\"0\"} 6\n\
        ringmaster_partition_parked{partition=\"1\"} 36\nringmaster_partition_parked_total 1000\n\
        ringmaster_partition_standby{partition=\"2\"} 2\nringmaster_partition_standby{partition=\"3\"} 1\n\
        ringmaster_partition_standby{partition=\"4\"} 2\nringmaster_sagas_started_total 1.5e3\n";

    #[test]
    fn metrics_are_summed_by_their_whole_name() {
        assert_eq!(metric(METRICS, "ringmaster_partition_parked"), 42);
        assert_eq!(metric(METRICS, "ringmaster_sagas_started_total"), 1_500);
        assert_eq!(metric(METRICS, "ringmaster_nothing"), 0);
        assert_eq!(warm_of(METRICS), 2, "one catches up still");
    }

    #[test]
    fn what_is_owned_is_told_from_what_is_on_its_way() {
        let body = serde_json::json!({ "partitions": [
            { "partition": 3, "phase": "owning" }, { "partition": 4, "phase": "replaying" }, { "partition": 7, "phase": "owning" },
        ] });
        assert_eq!(owned_of(&body), [3, 7]);
        assert_eq!(owned_of(&Value::Null), [0; 0], "it does not answer");
    }
}
