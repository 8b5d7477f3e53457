//! The command line as users have it: the binary, its output, its exit codes, on the embedded bus.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ringmaster::api::client;
use ringmaster::blocking;
use ringmaster_bus::embedded::{Log, Settings};

/// How long a coordinator may take to start or to stop on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with settings for the embedded bus and the order saga's definitions.
struct Site {
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Site {
    fn new() -> Site {
        // Free a moment ago; nobody else takes ports of this range meanwhile.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sagas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas");
        let text = format!(
            "bus = 'embedded'\npartitions = 4\ndata_dir = '{}'\ndefinitions = '{}'\nschemas = '{}'\n[api]\nlisten = '{address}'\n",
            folder.path().join("state").display(),
            sagas.display(),
            sagas.join("schemas").display(),
        );
        std::fs::write(folder.path().join("ringmaster.toml"), text).expect("written");
        Site { folder, address }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringmaster"));
        command.current_dir(self.folder.path()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    fn ringmaster(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("it starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code().expect("it ends by itself"), text(stdout), text(stderr))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    fn log(&self) -> Log {
        Log::open(&self.folder.path().join("state/bus"), Settings::default()).expect("nobody else has it")
    }

    /// Starts a coordinator and waits until it is ready.
    fn start(&self) -> Coordinator {
        let log = self.folder.path().join("log");
        let file = std::fs::File::create(&log).expect("made");
        let child = self.command(&["run"]).stderr(file).spawn().expect("it starts");
        let mut coordinator = Coordinator { child, log };
        let since = Instant::now();
        loop {
            if client::get(self.address, "/readyz").is_ok_and(|answer| answer.code == 200) {
                return coordinator;
            }
            if let Some(status) = coordinator.child.try_wait().expect("its state can be asked") {
                panic!("it ended with {status}: {}", coordinator.log());
            }
            assert!(since.elapsed() < PATIENCE, "it is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A running coordinator; killed if a test forgets it.
struct Coordinator {
    child: Child,
    log: PathBuf,
}

impl Coordinator {
    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("text")
    }

    /// Waits until its log says this.
    fn until_it_says(&self, text: &str) {
        let since = Instant::now();
        while !self.log().contains(text) {
            assert!(since.elapsed() < PATIENCE, "it does not say '{text}': {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to stop, and waits; its exit code and its log.
    fn stop(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state can be asked") {
                return (status.code(), self.log());
            }
            assert!(since.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_printed_settings_are_settings() {
    let site = Site::new();
    let (code, text, _) = site.ringmaster(&["config"]);
    assert_eq!(code, 0);
    site.write("ringmaster.toml", &text);
    let (code, said, errors) = site.ringmaster(&["config", "--check"]);
    assert_eq!((code, said.as_str(), errors.as_str()), (0, "the settings are right\n", ""));
    site.write("ringmaster.toml", "bus = 'embedded'\nprefx = 'x'\n");
    let (code, _, errors) = site.ringmaster(&["config", "--check"]);
    assert_eq!((code, errors.as_str()), (4, "ringmaster.toml:2:1: unknown setting 'prefx'; did you mean 'prefix'?\n"));
    site.write("ringmaster.toml", "bus = 'kafka'\n[kafka]\n'botstrap.servers' = 'x'\n");
    let (code, _, errors) = site.ringmaster(&["config", "--check"]);
    assert!(code == 4 && errors.contains("botstrap.servers"), "{code} {errors}");
    let (code, _, errors) = site.ringmaster(&["run", "--config", "elsewhere.toml"]);
    assert!(code == 4 && errors.contains("elsewhere.toml"), "{errors}");
}

#[test]
fn help_tells_the_exit_codes_and_wrong_usage_has_its_own() {
    let site = Site::new();
    let (code, text, _) = site.ringmaster(&["--help"]);
    assert_eq!(code, 0);
    for (exit, meaning) in ringmaster::cli::exit::EXITS {
        let beginning: String = meaning.chars().take(40).collect();
        assert!(text.contains(&format!("{}  {beginning}", exit as u8)), "{beginning}\n{text}");
    }
    let no_value = &["--set", "foo", "config"];
    for wrong in [&["rnu"][..], &[], &["topics"], &["check"], &["run", "--sett", "x"], &["saga", "show", "a b"], no_value] {
        assert_eq!(site.ringmaster(wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn topics_are_verified_made_and_verified() {
    let site = Site::new();
    let (code, _, errors) = site.ringmaster(&["topics", "verify"]);
    assert_ne!(code, 0, "nothing is there yet: {errors}");
    let (code, said, errors) = site.ringmaster(&["topics", "apply"]);
    assert_eq!(code, 0, "{errors}");
    for topic in
        ["ringmaster.journal", "ringmaster.definitions", "ringmaster.quarantine", "orders", "payment.commands", "order-outcomes"]
    {
        assert!(said.contains(&format!("made {topic}\n")), "{topic}: {said}");
    }
    let (code, again, _) = site.ringmaster(&["topics", "apply"]);
    assert!(code == 0 && !again.contains("made "), "{again}");
    assert_eq!(site.ringmaster(&["topics", "verify"]).0, 0);
    let (code, _, errors) = site.ringmaster(&["topics", "verify", "--set", "partitions=8"]);
    assert!(code == 4 && errors.contains("ringmaster.journal: has 4 partitions, must have 8"), "{errors}");
    assert!(errors.contains("orders: has 4 partitions, must have 8"), "{errors}");
}

#[test]
fn definitions_are_checked_and_deployed() {
    let site = Site::new();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml");
    let text = std::fs::read_to_string(&good).expect("the order saga");
    let (code, said, errors) = site.ringmaster(&["check", good.to_str().expect("text")]);
    assert!(code == 0 && said.contains("order-fulfilment is right"), "{said}{errors}");
    let bad = site.write("bad.yaml", &text.replace("undo:", "undoo:"));
    let (code, said, errors) = site.ringmaster(&["check", bad.to_str().expect("text")]);
    assert!(code == 6 && said.is_empty(), "{said}{errors}");
    let first = errors.lines().next().expect("a line");
    let place: Vec<&str> = first.split(':').collect();
    assert!(place[0].ends_with("bad.yaml") && place[1].parse::<u32>().is_ok() && place[2].parse::<u32>().is_ok(), "{errors}");
    assert!(errors.contains("undoo"), "the source line is shown: {errors}");

    let binary = site.folder.path().join("binary.yaml");
    std::fs::write(&binary, b"saga: x\n# \xff\n").expect("written");
    let (code, _, errors) = site.ringmaster(&["check", binary.to_str().expect("text")]);
    assert!(code == 6 && errors.contains("binary.yaml:2:1: error: this line is not UTF-8"), "{errors}");

    let deploy = ["deploy", good.to_str().expect("text")];
    let (code, _, errors) = site.ringmaster(&deploy);
    assert!(code == 4 && errors.contains("topics apply"), "it says what to do first: {errors}");
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    let (code, said, errors) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("order-fulfilment version 1 ") && said.contains("deployed;"), "{said}{errors}");
    let (code, said, _) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("was deployed already"), "{said}");
    assert_eq!(site.ringmaster(&["deploy", bad.to_str().expect("text")]).0, 6);
    let edited = site.write("edited.yaml", &format!("{text}\n# A comment is another version.\n"));
    let (code, said, _) = site.ringmaster(&["deploy", edited.to_str().expect("text")]);
    assert!(code == 0 && said.contains("order-fulfilment version"), "{said}");
}

#[test]
fn one_name_in_two_files_is_refused_and_nothing_is_deployed() {
    let site = Site::new();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml");
    let text = std::fs::read_to_string(&good).expect("the order saga");
    let other = site.write("other.yaml", &format!("# Another one of this name.\n{text}"));
    let files = [good.to_str().expect("text"), other.to_str().expect("text")];
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    for command in ["check", "deploy"] {
        let (code, said, errors) = site.ringmaster(&[&[command], &files[..]].concat());
        assert!(code == 6 && said.is_empty() && errors.contains("'order-fulfilment' is defined twice"), "{said}{errors}");
        assert!(errors.contains("other.yaml:4:7") && errors.contains("sagas/order-fulfilment.yaml, line 3"), "{errors}");
    }
    let (code, said, errors) = site.ringmaster(&["deploy", files[0]]);
    assert!(code == 0 && said.contains("version 1 ") && said.contains("deployed;"), "{said}{errors}");
}

/// What is foreign is passed over with a warning; what is damaged needs a person.
#[test]
fn garbage_in_the_topic_of_definitions() {
    let site = Site::new();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml");
    let deploy = ["deploy", good.to_str().expect("text")];
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    let append = |values: &[&str]| {
        let records: Vec<_> = values.iter().map(|value| (b"x".to_vec(), value.as_bytes().to_vec())).collect();
        blocking::append(&mut site.log().client(), "ringmaster.definitions", 0, &records).expect("appended");
    };
    append(&["", "hello", "[1, 2]", "\u{0}\u{1}"]);
    let (code, said, errors) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("version 1 "), "{said}{errors}");
    assert!(errors.contains("is not of this project, and is passed over") && errors.contains("offset=3"), "{errors}");
    append(&[r#"{"name":"x","hash":"00","file":"x.yaml","line":1,"text":"saga: x","schemas":{},"deployed_at":0}"#]);
    for command in [&deploy[..], &["run"]] {
        let (code, _, errors) = site.ringmaster(command);
        assert!(code == 8 && errors.contains("ringmaster.definitions: the record at offset 5 cannot be used"), "{code} {errors}");
    }
}

/// A site whose schema folder is a copy of its own.
fn site_with_schemas() -> (Site, PathBuf) {
    let site = Site::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/schemas");
    let to = site.folder.path().join("schemas");
    copy(&from, &to);
    (site, to)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("made");
    for file in std::fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        let target = to.join(file.file_name());
        if file.path().is_dir() {
            copy(&file.path(), &target);
        } else {
            std::fs::copy(file.path(), target).expect("copied");
        }
    }
}

#[test]
fn a_schema_file_that_is_missing_makes_no_weaker_version() {
    let (site, folder) = site_with_schemas();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml");
    let schemas = format!("schemas={}", folder.display());
    let deploy = ["deploy", good.to_str().expect("text"), "--set", &schemas];
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    let (code, said, errors) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("version 1 "), "{said}{errors}");
    std::fs::remove_file(folder.join("OrderPlaced.avsc")).expect("removed");
    let (code, said, errors) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("was deployed already"), "{said}{errors}");
    assert!(said.contains("schemas that are missing here: OrderPlaced"), "it is told: {said}");
}

#[test]
fn a_schema_that_contradicts_what_is_deployed_is_the_files_error() {
    let (site, folder) = site_with_schemas();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml");
    let schemas = format!("schemas={}", folder.display());
    let deploy = ["deploy", good.to_str().expect("text"), "--set", &schemas];
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    assert_eq!(site.ringmaster(&deploy).0, 0);
    let edited = folder.join("OrderPlaced.avsc");
    let text = std::fs::read_to_string(&edited).expect("text");
    // The same bytes would mean a tenth of the money.
    let other = text.replace("\"scale\": 2", "\"scale\": 3");
    assert_ne!(text, other);
    std::fs::write(&edited, other).expect("written");
    for command in [&deploy[..], &["run", "--set", &schemas, "--set", "api.listen=off"]] {
        let (code, _, errors) = site.ringmaster(command);
        assert!(code == 6 && errors.contains(&edited.display().to_string()), "{code} {errors}");
    }
}

#[test]
fn a_definition_that_is_cut_off_is_damage() {
    let site = Site::new();
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    let records = [(b"x".to_vec(), br#"{"name":"x","hash":"#.to_vec())];
    blocking::append(&mut site.log().client(), "ringmaster.definitions", 0, &records).expect("appended");
    let (code, _, errors) = site.ringmaster(&["run"]);
    assert!(code == 8 && errors.contains("ringmaster.definitions: the record at offset 0 cannot be used"), "{code} {errors}");
}

#[test]
fn brokers_that_do_not_answer_are_named() {
    let site = Site::new();
    let nobody = ["--set", "bus=kafka", "--set", "kafka.bootstrap.servers=127.0.0.1:1"];
    let (code, _, errors) = site.ringmaster(&[&["topics", "apply"], &nobody[..]].concat());
    assert!(code == 5 && errors.contains("kafka.bootstrap.servers is 127.0.0.1:1"), "{code} {errors}");
    // They are not to blame for another mistake, nor for a coordinator that does not run.
    for (command, exit) in [(["check", "nowhere.yaml"].as_slice(), 1), (&["saga", "show", "order-fulfilment/ord-1"], 5)] {
        let (code, _, errors) = site.ringmaster(&[command, &nobody[..]].concat());
        assert!(code == exit && !errors.contains("bootstrap"), "{command:?}: {code} {errors}");
    }
}

#[test]
fn a_coordinator_runs_is_looked_at_and_stops_in_order() {
    let site = Site::new();
    let coordinator = site.start();
    let ready = "ready: all partitions are owned and read";
    coordinator.until_it_says(ready);
    let (code, _, errors) = site.ringmaster(&["run", "--set", "api.listen=off"]);
    assert_eq!(code, 7, "a second one on the same directory is refused: {errors}");
    assert_eq!(site.ringmaster(&["run"]).0, 7, "also where the address is taken too");
    assert_eq!(site.ringmaster(&["topics", "verify"]).0, 0, "looking is allowed beside it");
    assert_eq!(site.ringmaster(&["quarantine", "list"]).1, "nothing is in quarantine\n");
    let (code, _, errors) = site.ringmaster(&["saga", "show", "order-fulfilment/unknown"]);
    assert!(code == 9 && errors.contains("no saga 'order-fulfilment/unknown'"), "{errors}");
    let metrics = client::get(site.address, "/metrics").expect("an answer").body;
    assert!(metrics.contains("ringmaster_partition_owned{partition=\"3\"} 1"), "{metrics}");
    let (code, log) = coordinator.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped in order"), "{log}");
    assert_eq!(log.matches(ready).count(), 1, "once is enough: {log}");
    let (code, _, errors) = site.ringmaster(&["saga", "show", "order-fulfilment/unknown"]);
    assert!(code == 5 && errors.contains(&site.address.to_string()), "nobody answers now: {errors}");
    assert_eq!(site.start().stop().0, Some(0), "and it starts again");
}

#[test]
fn what_could_not_be_taken_is_listed_and_shown() {
    let site = Site::new();
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    let log = site.log();
    let records =
        [(b"ord-1".to_vec(), b"{ not json".to_vec()), (b"ord-\x1b[2J".to_vec(), vec![0xc3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 9])];
    blocking::append(&mut log.client(), "orders", 0, &records).expect("appended");
    drop(log);
    let coordinator = site.start();
    let since = Instant::now();
    let list = loop {
        let (code, said, errors) = site.ringmaster(&["quarantine", "list"]);
        assert_eq!(code, 0, "{errors}");
        if said.contains("2 of 2 records") {
            break said;
        }
        assert!(since.elapsed() < PATIENCE, "{said}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(list.contains("UNDECODABLE") && list.contains("UNKNOWN_SCHEMA") && list.contains("orders/0/0"), "{list}");
    assert!(!list.contains('\u{1b}'), "a hostile key cannot drive the terminal");

    let (_, lines, _) = site.ringmaster(&["quarantine", "list", "--json", "--reason", "undecodable"]);
    let record: serde_json::Value = serde_json::from_str(&lines).expect("one object, one line");
    assert_eq!((&record["reason"], &record["key"], &record["bytes"]), (&"UNDECODABLE".into(), &"ord-1".into(), &10.into()));
    assert_eq!(record.get("raw_hex"), None, "a list has no bytes");
    let id = record["id"].as_str().expect("a place");
    let (_, shown, _) = site.ringmaster(&["quarantine", "show", id, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("an object");
    assert_eq!(shown["raw_hex"], "7b206e6f74206a736f6e", "one record has them");
    let (code, shown, _) = site.ringmaster(&["quarantine", "show", id]);
    assert!(code == 0 && shown.contains("{ not json") && shown.contains("UNDECODABLE"), "{shown}");
    let (_, lines, _) = site.ringmaster(&["quarantine", "list", "--json", "--reason", "UNKNOWN_SCHEMA"]);
    let record: serde_json::Value = serde_json::from_str(&lines).expect("one object, one line");
    assert_eq!(record["schema"], "0807060504030201");
    let (_, shown, _) = site.ringmaster(&["quarantine", "show", record["id"].as_str().expect("a place")]);
    assert!(shown.contains("c3 01 01 02 03"), "a dump: {shown}");
    assert_eq!(site.ringmaster(&["quarantine", "show", "0/999"]).0, 9);
    assert_eq!(site.ringmaster(&["quarantine", "show", "somewhere"]).0, 2);
    assert_eq!(site.ringmaster(&["quarantine", "list", "--topic", "payments"]).1, "nothing like that is in quarantine\n");
    let (code, _, errors) = site.ringmaster(&["quarantine", "list", "--reason", "BROKEN"]);
    assert!(code == 2 && errors.contains("'BROKEN' is no reason; there are UNDECODABLE, UNKNOWN_SCHEMA, "), "{errors}");
    assert_eq!(coordinator.stop().0, Some(0));
}
