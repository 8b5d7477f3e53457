//! The demo as a person runs it: killed in the middle, started again on its directory, exact at the end; a finished directory is
//! moved aside.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::broker::Broker;

fn demo(folder: &Path, orders: u32, rate: u32) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmaster-demo"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    command.current_dir(root).args(["--orders", &orders.to_string(), "--rate", &rate.to_string(), "--dir"]).arg(folder);
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until the orders' topic holds something: then the run is under way.
fn wait_for_orders(folder: &Path, child: &mut Child) {
    let since = Instant::now();
    loop {
        let partitions = std::fs::read_dir(folder.join("log/topics/orders")).into_iter().flatten().flatten();
        let bytes: u64 = partitions
            .filter_map(|partition| std::fs::read_dir(partition.path()).ok())
            .flat_map(|files| files.flatten())
            .filter_map(|file| file.metadata().ok())
            .map(|file| file.len())
            .sum();
        if bytes > 2_000 {
            return;
        }
        assert!(child.try_wait().expect("it can be asked").is_none(), "the demo ended before it began");
        assert!(since.elapsed() < Duration::from_secs(60), "no order came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn killed_in_the_middle_it_goes_on_and_is_exact() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    // Half a minute of orders: however late the kill is, it comes in the middle.
    let mut first = demo(&run, 300, 10).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    wait_for_orders(&run, &mut first);
    first.kill().expect("kill -9");
    first.wait().expect("it is dead");

    let second = demo(&run, 7, 300).output().expect("it runs");
    let said = text(&second);
    assert!(second.status.success(), "{said}");
    assert!(said.contains("of a run that did not end"), "{said}");
    assert!(said.contains("issued 300 = completed 267 + compensated 33; stuck 0, running 0"), "{said}");
    assert!(said.contains("exact: every effect happened as often as it must"), "{said}");

    let third = demo(&run, 20, 200).output().expect("it runs");
    let said = text(&third);
    assert!(third.status.success(), "{said}");
    assert!(said.contains("is now in") && folder.path().join("run.1").exists(), "{said}");
    assert!(said.contains("issued 20 = completed 17 + compensated 3"), "{said}");
}

/// Whether a process works in this folder, or was started with it.
fn is_used(folder: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").expect("it is there").flatten();
    let name = folder.to_string_lossy().into_owned();
    processes.map(|entry| entry.path()).any(|process| {
        let words = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let place = std::fs::read_link(process.join("cwd")).unwrap_or_default();
        place.starts_with(folder) || String::from_utf8_lossy(&words).contains(&name)
    })
}

#[test]
fn a_signal_ends_the_demo_of_scale_and_leaves_nothing() {
    if !Broker::is_available() {
        let _ = writeln!(std::io::stderr(), "skipped: there is no Kafka (`make test` fetches it)");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_scale-demo"));
    command.env("TMPDIR", folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    if !lines.any(|line| line.contains("which one member does")) {
        panic!("it has not begun: {}", text(&child.wait_with_output().expect("it ends")));
    }
    assert!(is_used(folder.path()), "members work there");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
    drop(lines);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), text(&output).contains("ended by a signal")), (Some(1), true), "{}", text(&output));
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("it is there").flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?} is left");
    let since = Instant::now();
    while is_used(folder.path()) {
        assert!(since.elapsed() < Duration::from_secs(60), "processes are left");
        std::thread::sleep(Duration::from_millis(20));
    }
}
