//! Processes, by their ids: whether one lives, and signals to it.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a busy process may take until all of its threads stand.
const STANDS_WITHIN: Duration = Duration::from_secs(60);

/// Sends `SIGSTOP`, and returns when nothing of the process runs any more: a signal reaches the threads of a busy one by and by.
pub fn freeze(pid: u32) -> io::Result<()> {
    signal(pid, "STOP")?;
    let begun = Instant::now();
    while !stands(pid) {
        if begun.elapsed() > STANDS_WITHIN {
            return Err(io::Error::other(format!("{pid} still runs {} s behind SIGSTOP", STANDS_WITHIN.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// True if no thread of a process runs.
fn stands(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    let mut states = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    // The name before it may hold anything.
    states.all(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['T', 't'])))
}

/// A process that has ended but was not waited for is not alive.
pub(super) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

pub(super) fn signal(pid: u32, which: &str) -> io::Result<()> {
    let status = Command::new("kill").args([&format!("-{which}"), &pid.to_string()]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("signal {which} could not be sent to {pid}"))) }
}
