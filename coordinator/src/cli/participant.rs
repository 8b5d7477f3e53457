//! `participant`: scripted participants, in place of services that are not there yet.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ringmaster_bus::kafka::{KafkaBus, KafkaSettings};
use ringmaster_core::definition::Catalog;

use super::definitions::{add_files, configured_files, load_schemas, say};
use super::exit::{Exit, Failure};
use super::run::stop_signal;
use crate::config::{BusKind, Config};
use crate::participant::{Counts, Participant, Script, Scripts, Stop};
use crate::runtime::{self, KnowledgeError, SchemasOfSagas};

/// What `--help` ends with.
pub(super) const EXAMPLES: &str = "\
A script, with expressions as in a definition, over the command's body, the saga's key, and now (when it was first asked):

  participants: [ inventory, shipping ]         # all that they are asked succeeds
  commands:
    payment.Charge:                             # the first rule that fits
      - { if: body.amount > 5000, refused: CARD_DECLINED }
      - { share: 0.1, attempts: 1, failed: BUSY }    # a tenth of all, at the first attempt
      - { share: 0.05, silent: true }
      - { delay: 200ms, result: { charge_id: \"'chg-' + body.order_id\" } }

Examples:
  ringmaster participant script.yaml --check    is the script right, and whom does it answer for?
  ringmaster participant script.yaml            answer until SIGTERM or Ctrl-C
  ringmaster participant list                   which participants are asked, and which are not
  ringmaster participant pause payment --why 'they move'    ask it nothing until `resume`";

/// How often counts are told at most.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How often the main thread looks whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A member that was killed blocks its group until its session ends: as short as brokers allow by default.
const MEMBERSHIP: [(&str, &str); 2] = [("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "1500")];

/// What each participant was asked so far.
type Told = Mutex<BTreeMap<String, Counts>>;

/// `ringmaster participant SCRIPT`
pub(super) fn participant(config: &Config, path: &Path, check: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let script = read(config, path)?;
    if check {
        return say(out, format_args!("{}: it is right; it answers for {}", path.display(), script.participants().join(", ")));
    }
    if config.bus == BusKind::Embedded {
        let why = "the embedded bus belongs to the process that runs the coordinator: participants of other processes need Kafka";
        return Err(Failure::new(Exit::Refused, format_args!("{why} (make kafka, and --set bus=kafka)")));
    }
    let participants = script.participants().to_vec();
    serve(config, (&followed(config, path, script), &participants), &*stop_signal()?)
}

/// A script that is read again whenever it, a definition or a schema has changed.
fn followed(config: &Config, path: &Path, script: Script) -> Arc<Scripts> {
    let (config, path) = (config.clone(), path.to_owned());
    let seen = Mutex::new(stamps(&config, &path));
    let participants = script.participants().to_vec();
    let look = move || {
        let found = stamps(&config, &path);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if found == *seen {
            return None;
        }
        *seen = found;
        match read(&config, &path) {
            Ok(script) => {
                if script.participants() != participants {
                    tracing::warn!("the script names other participants now: start again to answer for them");
                }
                Some(script)
            }
            Err(failure) => {
                tracing::warn!("what was read before stays in force: {}", failure.message);
                None
            }
        }
    };
    Scripts::new(Arc::new(script), Box::new(look))
}

/// What tells that a file is another one: its path, length, and when it was written.
type Stamps = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// Of all that a script is read from. What cannot be looked at is told when it is read.
fn stamps(config: &Config, path: &Path) -> Stamps {
    let mut files = configured_files(config).unwrap_or_default();
    files.push(path.to_owned());
    runtime::find_schemas(&config.schemas, &mut files);
    let stamp = |path: PathBuf| {
        let found = std::fs::metadata(&path).ok()?;
        Some((path, found.len(), found.modified().ok()))
    };
    let mut stamps: Stamps = files.into_iter().filter_map(stamp).collect();
    stamps.sort();
    stamps
}

fn read(config: &Config, path: &Path) -> Result<Script, Failure> {
    let (mut catalog, mut schemas) = (Catalog::default(), load_schemas(&config.schemas)?);
    add_files(&mut catalog, &mut schemas, &configured_files(config)?, &config.compile_options(), &SchemasOfSagas::new())?;
    let text = runtime::read_text(path)?;
    Ok(Script::read(&path.display().to_string(), &text, &catalog, schemas).map_err(KnowledgeError::Definitions)?)
}

/// One thread and one member of a group for each participant, until a signal comes or one of them fails.
fn serve(config: &Config, (scripts, participants): (&Arc<Scripts>, &[String]), signal: &AtomicBool) -> Result<(), Failure> {
    let stop = AtomicBool::new(false);
    let told = Told::default();
    let open = |name: &String| Ok((name.clone(), KafkaBus::new(kafka_settings(config, name))?));
    let buses = participants.iter().map(open).collect::<Result<Vec<_>, Failure>>()?;
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (name, mut bus) in buses {
            let (stop, told) = (&stop, &told);
            threads.push(scope.spawn(move || {
                let mut tell = |counts| {
                    told.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), counts);
                };
                Participant::new(scripts.clone(), &name, &config.prefix).run(&mut bus, stop, &mut tell)
            }));
        }
        write_line(&format!("answering for {}", participants.join(", ")));
        let mut progress = Progress::default();
        while !signal.load(Ordering::Relaxed) && threads.iter().all(|thread| !thread.is_finished()) {
            std::thread::sleep(LOOK_EVERY);
            progress.tell(&told, TELL_EVERY);
        }
        stop.store(true, Ordering::Relaxed);
        let mut result = Ok(());
        for thread in threads {
            let ended = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(ended.map_err(Failure::from));
        }
        progress.tell(&told, Duration::ZERO);
        result
    })
}

fn kafka_settings(config: &Config, name: &str) -> KafkaSettings {
    let settings = config.kafka_settings();
    // What was passed through comes behind, and so wins.
    let membership = MEMBERSHIP.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let passthrough = membership.into_iter().chain(settings.passthrough).collect();
    KafkaSettings { group: format!("{}.participant.{name}", config.prefix), passthrough, ..settings }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Bus(error) => error.into(),
            Stop::NoTopic(_) | Stop::PositionLost { .. } => Failure::new(Exit::Refused, stop),
        }
    }
}

/// A line on standard error whenever something was answered, not more often than that.
#[derive(Default)]
struct Progress {
    told: BTreeMap<String, Counts>,
    at: Option<Instant>,
}

impl Progress {
    fn tell(&mut self, told: &Told, every: Duration) {
        if self.at.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        let now = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if now != self.told {
            write_line(&line(&now));
            (self.told, self.at) = (now, Some(Instant::now()));
        }
    }
}

fn line(told: &BTreeMap<String, Counts>) -> String {
    let each: Vec<String> = told
        .iter()
        .map(|(name, counts)| {
            let Counts { commands, succeeded, refused, failed, silent, skipped } = counts;
            let parts =
                [(succeeded, "succeeded"), (refused, "refused"), (failed, "failed"), (silent, "silent"), (skipped, "skipped")];
            let parts: Vec<String> =
                parts.iter().filter(|(count, _)| **count > 0).map(|(count, what)| format!("{count} {what}")).collect();
            format!("{name} {commands} ({})", parts.join(", "))
        })
        .collect();
    each.join(", ")
}

fn write_line(line: &str) {
    // Standard error may be gone; the answers are not.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_what_there_was() {
        let counts = Counts { commands: 7, succeeded: 4, refused: 2, skipped: 1, ..Counts::default() };
        let told =
            [("payment".to_owned(), counts), ("shipping".to_owned(), Counts { commands: 1, silent: 1, ..Counts::default() })];
        assert_eq!(line(&told.into()), "payment 7 (4 succeeded, 2 refused, 1 skipped), shipping 1 (1 silent)");
    }

    #[test]
    fn a_script_is_checked_and_the_embedded_bus_is_not_shared() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!(
            "definitions = {path:?}\nschemas = {path:?}\nbus = \"embedded\"\n",
            path = folder.path().to_str().expect("text")
        );
        let config = Config::parse("test", &text).expect("these settings are right");
        let path = folder.path().join("script.yaml");
        let mut out = Vec::new();
        let mut run = |script: &str, check| {
            std::fs::write(&path, script).expect("it is written");
            participant(&config, &path, check, &mut out).map_err(|failure| (failure.exit, failure.message))
        };
        // A script that lies beside definitions would be taken for one.
        let (exit, _) = run("participants: [ a ]", true).expect_err("it is no definition");
        assert_eq!(exit, Exit::Definition);
        let config = Config { definitions: folder.path().join("nowhere"), ..config };
        let mut run = |script: &str, check| {
            std::fs::write(&path, script).expect("it is written");
            participant(&config, &path, check, &mut out).map_err(|failure| (failure.exit, failure.message))
        };
        assert_eq!(run("participants: [ b, a ]", true), Ok(()));
        let (exit, message) = run("commands: { a.B: [ { refused: X, silent: true } ] }", true).expect_err("two answers");
        assert!(exit == Exit::Definition && message.contains("script.yaml:1:42: error: a rule has one answer"), "{message}");
        let (exit, message) = run("participants: [ a ]", false).expect_err("it is embedded");
        assert!(exit == Exit::Refused && message.starts_with("the embedded bus belongs"), "{message}");
        assert!(String::from_utf8(out).expect("text").ends_with("script.yaml: it is right; it answers for a, b\n"));
    }
}
