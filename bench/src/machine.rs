//! CPU, context switches and memory of processes and threads, from /proc; and how fast the machine is at this moment.

use std::time::{Duration, Instant};

/// What somebody used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// User and system time, in steps of 10 ms a thread.
    pub(crate) cpu: Duration,
    /// Context switches, asked for or not.
    pub(crate) switches: u64,
}

impl Used {
    pub(crate) fn since(self, before: Used) -> Used {
        Used { cpu: self.cpu.saturating_sub(before.cpu), switches: self.switches.saturating_sub(before.switches) }
    }

    pub(crate) fn and(self, other: Used) -> Used {
        Used { cpu: self.cpu + other.cpu, switches: self.switches + other.switches }
    }
}

/// What a process ("self" or a number) used, all threads. Switches are of those threads that live.
pub(crate) fn used(process: &str) -> Used {
    let switches = tasks(process).iter().map(|task| switches(task)).sum();
    Used { cpu: cpu(&format!("/proc/{process}/stat")), switches }
}

/// What this process's threads used whose name begins so.
pub(crate) fn used_by_threads(prefixes: &[&str]) -> Used {
    let named = |task: &String| {
        let name = std::fs::read_to_string(format!("{task}/comm")).unwrap_or_default();
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    let of = |task: &String| Used { cpu: cpu(&format!("{task}/stat")), switches: switches(task) };
    tasks("self").iter().filter(|task| named(task)).map(of).fold(Used::default(), Used::and)
}

/// Paths of a process's threads.
fn tasks(process: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks.map(|task| task.path().display().to_string()).collect()
}

fn cpu(path: &str) -> Duration {
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

fn switches(task: &str) -> u64 {
    let status = std::fs::read_to_string(format!("{task}/status")).unwrap_or_default();
    let of = |line: &str| line.contains("ctxt_switches:").then(|| line.split_whitespace().nth(1)?.parse::<u64>().ok()).flatten();
    status.lines().filter_map(of).sum()
}

/// Largest resident memory of a process so far, in MiB.
pub(crate) fn peak_rss_mib(process: &str) -> f64 {
    status_mib(process, "VmHWM:")
}

/// Resident memory of a process now, in MiB.
pub(crate) fn rss_mib(process: &str) -> f64 {
    status_mib(process, "VmRSS:")
}

fn status_mib(process: &str, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

/// How many threads wanted to run in the last minute, on average: what else goes on is in it.
pub(crate) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

/// Slices of a look at the machine's speed; the median of them counts, so that a moment's interruption does not.
const SLICES: usize = 15;
const SLICE: Duration = Duration::from_millis(20);

/// How much plain arithmetic the machine does in a millisecond now: one thread, on all that it gets. Only ratios mean something.
pub(crate) fn speed() -> f64 {
    let mut speeds: Vec<f64> = (0..SLICES).map(|seed| slice(seed as u64 + 1)).collect();
    speeds.sort_by(f64::total_cmp);
    speeds[SLICES / 2]
}

fn slice(seed: u64) -> f64 {
    let (begun, mut rounds, mut state) = (Instant::now(), 0u64, seed);
    while begun.elapsed() < SLICE {
        for _ in 0..1_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        std::hint::black_box(state);
        rounds += 1;
    }
    rounds as f64 / begun.elapsed().as_secs_f64() / 1e3
}
