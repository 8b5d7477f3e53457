//! Runs a test binary for some of its tests, with a limit: a slip may never end, or eat all memory.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::compile::Binary;

/// What a process may take of memory: a slip that appends for ever must not take the machine with it.
const MEMORY_BYTES_MAX: u64 = 8 << 30;
/// CPU that a process may take, in times of what it may last: its threads share the cores.
const CPU_TIMES_MAX: u64 = 8;
const LOOKED_AT_EVERY: Duration = Duration::from_millis(5);

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Passed,
    /// These tests failed; none if the process ended otherwise.
    Failed(Vec<String>),
    TooLong,
}

/// Where runs happen.
#[derive(Debug)]
pub(crate) struct Room {
    folder: PathBuf,
    has_limit: bool,
}

impl Room {
    /// In this folder, which is emptied after each run.
    pub(crate) fn new(folder: PathBuf) -> Room {
        let has_limit = Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().is_ok_and(|end| end.success());
        if !has_limit {
            eprintln!("mutants: prlimit (Debian package util-linux) is missing: a slip could take all memory");
        }
        Room { folder, has_limit }
    }

    /// Where a run may keep what it has come to.
    pub(crate) fn record(&self) -> PathBuf {
        self.folder.with_file_name("record")
    }

    /// Runs these tests (all: none named), with `mutant` in the environment.
    pub(crate) fn run(&self, binary: &Binary, tests: &[&str], mutant: &str, within: Duration) -> Result<(End, Duration)> {
        let temporary = self.folder.join("tmp");
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder).with_context(|| format!("{} is emptied", self.folder.display()))?;
        }
        std::fs::create_dir_all(&temporary)?;
        let said = self.folder.join("said");
        let out = File::create(&said)?;
        let mut command = self.limited(&binary.path, within);
        command.args(["--exact", "--format", "pretty"]).args(tests);
        command.current_dir(&binary.folder).env("CARGO_MANIFEST_DIR", &binary.folder).env("MUTANT", mutant);
        command.env("TMPDIR", &temporary).env("RUST_BACKTRACE", "0").process_group(0);
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let begun = Instant::now();
        let mut child = command.spawn().with_context(|| format!("{} starts", binary.path.display()))?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if begun.elapsed() > within {
                break None;
            }
            std::thread::sleep(LOOKED_AT_EVERY.min(begun.elapsed()));
        };
        let took = begun.elapsed();
        // Its children too, however it ended.
        let group = format!("-{}", child.id());
        Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status().context("kill (procps) runs")?;
        child.wait()?;
        let end = match status {
            Some(status) if status.success() => End::Passed,
            Some(_) => End::Failed(failed(&read(&said))),
            None => End::TooLong,
        };
        Ok((end, took))
    }

    /// Limits that hold also when this tool has ended: a slip may spin for ever.
    fn limited(&self, program: &Path, within: Duration) -> Command {
        if !self.has_limit {
            return Command::new(program);
        }
        let mut command = Command::new("prlimit");
        let cpu = (within.as_secs() + 1) * CPU_TIMES_MAX;
        command.arg(format!("--data={MEMORY_BYTES_MAX}")).arg("--core=0").arg(format!("--cpu={cpu}")).arg(program);
        command
    }
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Names of tests that failed.
fn failed(said: &str) -> Vec<String> {
    let named = said.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    named.map(str::to_owned).collect()
}

/// Names of the tests in a binary, without those that are ignored.
pub(crate) fn tests(binary: &Binary) -> Result<Vec<String>> {
    let list = |more: &[&str]| -> Result<Vec<String>> {
        let out = Command::new(&binary.path).args(["--list", "--format", "terse"]).args(more).output()?;
        let named = String::from_utf8(out.stdout)?;
        Ok(named.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    };
    let ignored = list(&["--ignored"])?;
    Ok(list(&[])?.into_iter().filter(|name| !ignored.contains(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell script as a test binary.
    fn script(folder: &Path, text: &str) -> Binary {
        let path = folder.join("script");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("it is written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("it may run");
        Binary { name: "a script".to_owned(), path, folder: folder.to_owned() }
    }

    #[test]
    fn a_run_passes_fails_or_takes_too_long() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = Room::new(folder.path().join("room"));
        let run = |text: &str, within| {
            let binary = script(folder.path(), text);
            room.run(&binary, &["one"], "7", within).expect("it runs").0
        };
        let enough = Duration::from_secs(60);
        assert_eq!(run("exit 0", enough), End::Passed);
        assert_eq!(run("test $MUTANT = 7 && test $2 = --format && test $4 = one", enough), End::Passed);
        assert_eq!(
            run("echo 'test a::b ... FAILED'; echo 'test c ... ok'; exit 101", enough),
            End::Failed(vec!["a::b".to_owned()])
        );
        assert_eq!(run("kill -ABRT $$", enough), End::Failed(Vec::new()));
        assert_eq!(run("sleep 1000 & wait", Duration::from_millis(50)), End::TooLong);
    }
}
