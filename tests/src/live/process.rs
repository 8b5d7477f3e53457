//! A process of ours: started, frozen, killed, and never left behind.

use std::fs::File;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::broker::process::freeze;

use super::{PATIENCE, command};

/// A running process. It dies when this value is dropped, and with the thread that started it (`setpriv --pdeathsig`).
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where in the log begins what it says itself, in bytes.
    said_from: u64,
}

impl Process {
    /// Starts a program in `folder`; what it says goes to `NAME.log` there.
    pub fn start(name: &str, program: &Path, arguments: &[&str], folder: &Path) -> Process {
        Process::start_with(name, program, arguments, folder, &[])
    }

    /// The same with these variables in its environment.
    pub fn start_with(name: &str, program: &Path, arguments: &[&str], folder: &Path, environment: &[(&str, String)]) -> Process {
        let log = folder.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log).expect("the log can be written");
        let said_from = out.metadata().expect("the log can be looked at").len();
        let child = command("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a handle can be doubled"))
            .stderr(out)
            // What a terminal sends (Ctrl-C) is for the process that started it.
            .process_group(0)
            .spawn()
            .expect("setpriv (Debian package util-linux) starts a program");
        Process { name: name.to_owned(), child, log, said_from }
    }

    /// What it was called at its start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id; setpriv has become the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Holds it (`SIGSTOP`): its connections stay open, nothing of it runs.
    pub fn freeze(&self) {
        freeze(self.pid()).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Asks it to end in order, and waits; its exit code.
    pub fn stop(mut self) -> i32 {
        self.ask_to_end();
        self.wait()
    }

    /// Asks it to end in order (`SIGTERM`).
    pub fn ask_to_end(&self) {
        self.signal("TERM");
    }

    /// Asks it to stop as a terminal does (`SIGINT`).
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// Its exit code, once it has ended; a signal that ended it, negative.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().expect("it can be waited for")?;
        Some(status.code().or(status.signal().map(|signal| -signal)).expect("it ended one way or the other"))
    }

    /// Waits for its end; its exit code; a signal that ended it, negative.
    pub fn wait(&mut self) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(code) = self.ended() {
                return code;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{} does not end within {} s:\n{}",
                self.name,
                PATIENCE.as_secs(),
                self.said_last()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// True until it ends.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_none()
    }

    /// All that it, and those of the same name before it, have said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it has said itself.
    pub fn said_itself(&self) -> String {
        let said = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(said.get(self.said_from as usize..).unwrap_or_default()).into_owned()
    }

    /// The last lines of that.
    pub fn said_last(&self) -> String {
        let all = self.said_itself();
        let lines: Vec<&str> = all.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn signal(&self, which: &str) {
        let status = Command::new("kill").args([&format!("-{which}"), &self.pid().to_string()]).status().expect("kill exists");
        assert!(status.success(), "signal {which} to {} ({})", self.name, self.pid());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; a frozen one is killed as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
