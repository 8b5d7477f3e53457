//! What a broker was asked: its own counters, read once a second by Kafka's JmxTool, which runs beside it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Requests and bytes of a while.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) produce: f64,
    pub(crate) fetch: f64,
    pub(crate) bytes_in: f64,
    pub(crate) bytes_out: f64,
}

/// How often the counters are read; a window's edge is somewhere between two readings, and what lies there is shared out by time.
const EVERY_MS: u64 = 1_000;
/// How long a reading may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Names of the counters: each with its column's begin.
const BEANS: [&str; 4] = [
    "kafka.network:type=RequestMetrics,name=RequestsPerSec,request=Produce",
    "kafka.network:type=RequestMetrics,name=RequestsPerSec,request=Fetch",
    "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec",
    "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec",
];

/// Readings: milliseconds since 1970, and the counters in the order of [`BEANS`].
type Readings = Vec<(f64, [f64; 4])>;

/// Reads a broker's counters as long as it lives.
pub(crate) struct Counters {
    tool: Child,
    shared: Arc<(Mutex<Readings>, Condvar)>,
}

impl Counters {
    /// Of the broker whose JMX listens on this port of loopback. It must have carried load already: a counter that is not there yet
    /// is never found.
    pub(crate) fn start(libs: &Path, port: u16) -> Result<Counters> {
        let mut command = Command::new("java");
        command.args(["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]).arg(libs.join("*"));
        command.args(["org.apache.kafka.tools.JmxTool", "--attributes", "Count", "--reporting-interval", &EVERY_MS.to_string()]);
        command.args(["--jmx-url", &format!("service:jmx:rmi:///jndi/rmi://127.0.0.1:{port}/jmxrmi")]);
        for bean in BEANS {
            let name = if bean.contains("request=") { format!("{bean},version=*") } else { bean.to_owned() };
            command.args(["--object-name", &name]);
        }
        let mut tool = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("java")?;
        let output = BufReader::new(tool.stdout.take().expect("piped"));
        let shared = Arc::new((Mutex::new(Readings::new()), Condvar::new()));
        let readings = shared.clone();
        std::thread::Builder::new().name("traffic".into()).spawn(move || take_lines(output, &readings))?;
        let counters = Counters { tool, shared };
        counters.wait_for(0.0)?;
        Ok(counters)
    }

    /// What happened between two moments (milliseconds since 1970); waits for the reading behind the second.
    pub(crate) fn between(&self, from_ms: f64, to_ms: f64) -> Result<Traffic> {
        let readings = self.wait_for(to_ms)?;
        let at = |ms: f64| interpolated(&readings, ms);
        let (from, to) = (at(from_ms), at(to_ms));
        let of = |index: usize| (to[index] - from[index]).max(0.0);
        Ok(Traffic { produce: of(0), fetch: of(1), bytes_in: of(2), bytes_out: of(3) })
    }

    /// All readings, once there is one that is not older than this.
    fn wait_for(&self, ms: f64) -> Result<Readings> {
        let (readings, came) = &*self.shared;
        let (mut readings, since) = (readings.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        while readings.last().is_none_or(|(at, _)| *at < ms) {
            let Some(left) = PATIENCE.checked_sub(since.elapsed()) else {
                bail!("the broker's counters cannot be read: JmxTool says nothing for {} s", PATIENCE.as_secs());
            };
            readings = came.wait_timeout(readings, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(readings.clone())
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        // It ends by nothing else.
        let _gone = self.tool.kill().and_then(|()| self.tool.wait());
    }
}

fn take_lines(output: impl BufRead, shared: &(Mutex<Readings>, Condvar)) {
    let mut columns = None;
    for line in output.lines().map_while(Result::ok) {
        let Some(columns) = &columns else {
            columns = columns_of(&line);
            continue;
        };
        if let Some(reading) = reading(&line, columns) {
            shared.0.lock().unwrap_or_else(PoisonError::into_inner).push(reading);
            shared.1.notify_all();
        }
    }
}

/// Which counter each column behind the time belongs to, by the line of names: `"time","kafka.network:...:Count",...`.
fn columns_of(line: &str) -> Option<Vec<Option<usize>>> {
    let names: Vec<&str> = line.strip_prefix("\"time\",\"")?.trim_end_matches('"').split("\",\"").collect();
    Some(names.iter().map(|name| BEANS.iter().position(|bean| name.starts_with(bean))).collect())
}

/// A line of values: the time, then one a column; versions of a request are added up.
fn reading(line: &str, columns: &[Option<usize>]) -> Option<(f64, [f64; 4])> {
    let mut values = line.split(',').map(|value| value.trim().parse::<f64>());
    let at = values.next()?.ok()?;
    let mut sums = [0.0; 4];
    for (column, value) in columns.iter().zip(values) {
        if let (Some(index), Ok(value)) = (column, value) {
            sums[*index] += value;
        }
    }
    Some((at, sums))
}

/// The counters at a moment, as if they grew evenly between two readings.
fn interpolated(readings: &Readings, ms: f64) -> [f64; 4] {
    let behind = readings.partition_point(|(at, _)| *at < ms);
    match (behind.checked_sub(1).and_then(|before| readings.get(before)), readings.get(behind)) {
        (Some((from, before)), Some((to, after))) => {
            let part = (ms - from) / (to - from);
            std::array::from_fn(|index| before[index] + (after[index] - before[index]) * part)
        }
        (None, Some((_, only))) | (Some((_, only)), None) => *only,
        (None, None) => [0.0; 4],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_tool_are_read() {
        let names = r#""time","kafka.network:type=RequestMetrics,name=RequestsPerSec,request=Fetch,version=16:Count","kafka.network:type=RequestMetrics,name=RequestsPerSec,request=Produce,version=10:Count","kafka.network:type=RequestMetrics,name=RequestsPerSec,request=Produce,version=12:Count","kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec:Count","other""#;
        let columns = columns_of(names).expect("names");
        assert_eq!(columns, [Some(1), Some(0), Some(0), Some(2), None]);
        assert_eq!(reading("1000,5,7,11,13,17", &columns), Some((1000.0, [18.0, 5.0, 13.0, 0.0])));
        assert_eq!(reading("time", &columns), None);
    }

    #[test]
    fn between_two_readings_counters_grow_evenly() {
        let readings = vec![(1_000.0, [0.0; 4]), (2_000.0, [10.0, 20.0, 30.0, 40.0])];
        assert_eq!(interpolated(&readings, 1_500.0), [5.0, 10.0, 15.0, 20.0]);
        assert_eq!(interpolated(&readings, 500.0), [0.0; 4]);
        assert_eq!(interpolated(&readings, 3_000.0), [10.0, 20.0, 30.0, 40.0]);
    }
}
