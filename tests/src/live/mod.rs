//! Live tests: real processes on a real Kafka broker, and the faults that real machines have.
//!
//! ```text
//! World (folder, settings, topics) -> processes (coordinators, services) -> Shop (orders in, outcomes out) -> accounting
//! ```
//!
//! Every process is ended by its own pid and dies with the test. One broker serves all tests of a binary, which run one at a time.

mod collector;
mod coordinator;
mod files;
mod ground;
mod library;
mod mail;
mod process;
mod python;
mod read;
mod shop;
mod world;
mod write;

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

pub use collector::{Collector, attribute};
pub use coordinator::Coordinator;
pub use files::copy;
pub use ground::Brokers;
pub use library::said;
pub(crate) use mail::{Letter, Mail};
pub use process::Process;
pub use python::Python;
use ringmaster_bus::kafka::broker::{Broker, LIBS};
pub use shop::{Mark, Placing, Shop};
pub use world::{PARTITIONS, RUN, World, accounting};
pub use write::Raw;

/// How long something may take that must happen, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Names another folder of the binaries than the one that this test was built into.
pub const BINARIES: &str = "RINGMASTER_TEST_BINARIES";

/// Names the client (`kafka.client`) of every test that does not choose one.
pub const CLIENT: &str = "RINGMASTER_TEST_CLIENT";

/// What sends records; what must hold of one must hold of the other.
pub const CLIENTS: [&str; 2] = ["direct", "librdkafka"];

/// The whole repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A binary of this workspace, as cargo built it beside this test.
pub fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os(BINARIES).map_or_else(
        || {
            let this = std::env::current_exe().expect("a program has a path");
            let folder = this.parent().expect("it lies in a folder");
            // Tests lie in target/PROFILE/deps, programs above it.
            if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder }.to_owned()
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run `make test`, or first `cargo build --workspace --bins`", path.display());
    path
}

/// A line that is seen while tests run: the test harness keeps back only what is printed by macros.
pub fn say(line: &str) {
    say_as("live", line);
}

/// The same of something else than a test.
pub fn say_as(who: &str, line: &str) {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let at = BEGUN.get_or_init(Instant::now).elapsed().as_secs_f64();
    let mut out = std::io::stderr().lock();
    let _gone = writeln!(out, "{who} {at:6.1} s  {line}");
}

/// The broker of this test binary, for one test at a time; started by the first, and again if a test left it dead. It ends with the
/// process: a shell beside it sees to that.
pub(crate) fn broker() -> MutexGuard<'static, Option<Broker>> {
    static BROKER: Mutex<Option<Broker>> = Mutex::new(None);
    assert!(
        Broker::is_available(),
        "no Kafka for live tests: its jars are neither where {LIBS} says nor in the cache. Run `make test`, which fetches them (scripts/kafka/fetch)"
    );
    let mut broker = BROKER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(left) = &*broker {
        // A test that failed may have left it dead or frozen.
        if !left.is_running() || left.resume().is_err() {
            *broker = None;
        }
    }
    if broker.is_none() {
        say("a Kafka broker starts");
        // Sessions end soon, so that a killed service is back soon.
        *broker = Some(Broker::start_with(&[ground::SHORT_SESSIONS]).expect("the broker starts"));
    }
    broker
}

/// A command whose settings come from files and flags alone, whatever this process's environment says.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let ours = |name: &str| name.starts_with("RINGMASTER_");
    std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)).for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
}

/// Runs one of Kafka's own tools (scripts/kafka) with this text on its standard input; what it wrote to standard output.
pub fn kafka_tool(name: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(repository().join("scripts/kafka").join(name))
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the script can be started");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads its input");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{name} failed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until something is true; panics with what it waited for.
pub fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}
