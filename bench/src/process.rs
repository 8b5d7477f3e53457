//! CPU and memory of processes and threads, from /proc.

use std::time::Duration;

/// CPU by who used it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) coordinator: Duration,
    pub(crate) broker: Duration,
    /// Services, driver and their clients.
    pub(crate) rest: Duration,
}

impl Cpu {
    pub(crate) fn since(self, before: Cpu) -> Cpu {
        Cpu {
            coordinator: self.coordinator.saturating_sub(before.coordinator),
            broker: self.broker.saturating_sub(before.broker),
            rest: self.rest.saturating_sub(before.rest),
        }
    }
}

/// CPU time of a process ("self" or a number), all threads, user and system, in steps of 10 ms.
pub(crate) fn cpu(process: &str) -> Duration {
    ticks(&format!("/proc/{process}/stat"))
}

/// CPU time of this process's threads whose name begins so.
pub(crate) fn cpu_of_threads(prefixes: &[&str]) -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter(|task| {
            let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        })
        .map(|task| ticks(&task.path().join("stat").display().to_string()))
        .sum()
}

fn ticks(path: &str) -> Duration {
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// Largest resident memory of a process so far, in MiB.
pub(crate) fn peak_rss_mib(process: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}
