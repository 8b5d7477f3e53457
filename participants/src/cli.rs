//! The command line that the services' binaries share: run on Kafka, or audit a ledger.
//!
//! Exit codes: 0 ended by a signal, or the audit closes; 1 any other error; 2 wrong usage; 3 another member is in the group; 4 the
//! ledger belongs to another process or service; 5 the audit does not close; 6 no broker answers. A scripted crash aborts the process.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use ringmaster_bus::kafka::{KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusError};
use ringmaster_schemas::{Millis, names};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::audit::Audit;
use crate::faults::{self, Fault};
use crate::ledger::{Ledger, LedgerError, NoLedger, RocksLedger};
use crate::participant::{Participant, Settings, Stop};
use crate::run;
use crate::schemas;
use crate::service::Service;

/// Another member is in the group.
const EXIT_ANOTHER_MEMBER: u8 = 3;
/// The ledger belongs to another process or service.
const EXIT_LEDGER_TAKEN: u8 = 4;
/// The audit does not close.
const EXIT_DOES_NOT_CLOSE: u8 = 5;
/// No broker answers where one must: whoever watches over the service starts it again.
const EXIT_UNREACHABLE: u8 = 6;

/// A member that was killed blocks its group until its session ends: as short as brokers allow by default, so that the service is
/// back soon. Heartbeats come from librdkafka's own thread, so a long turn does not end the session. A broker may forget that it was asked
/// to let a member in: then it is asked again behind the last of these (a turn must be shorter), which is 5 minutes by default.
const MEMBERSHIP: &[(&str, &str)] =
    &[("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "1500"), ("max.poll.interval.ms", "30000")];

#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXIT_CODES)]
struct Cli<R: Args> {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    run: Run<R>,
}

/// The flag of a service that is to have no ledger.
const STATELESS: &str = "stateless";

const EXIT_CODES: &str = "Exit codes: 0 ended by a signal (or the audit closes), 1 other errors, 2 wrong usage, 3 another member in the \
     group, 4 the ledger belongs to another process or service, 5 the audit does not close, 6 no broker answers (start it again).";

#[derive(Debug, Subcommand)]
enum Task {
    /// Says what was done: each effect by idempotency key, and whether the books close. For a stopped service; writes nothing.
    Audit {
        /// Folder of the ledger.
        #[arg(long)]
        data: PathBuf,
        /// One JSON object instead of tables.
        #[arg(long)]
        json: bool,
        /// Entries of commands older than this were forgotten, so their days are not held against the books.
        #[arg(long, default_value = "30d", value_parser = faults::millis)]
        remembers: Millis,
    },
}

#[derive(Debug, Args)]
struct Run<R: Args> {
    /// Kafka's brokers.
    #[arg(long, env = "RINGMASTER_BOOTSTRAP", value_name = "HOST:PORT,...", required = true)]
    bootstrap: Option<String>,
    /// Folder of the ledger; made if it is not there.
    #[arg(long, value_name = "FOLDER", required_unless_present = STATELESS, conflicts_with = STATELESS)]
    data: Option<PathBuf>,
    /// Without a ledger: answers by the command alone. Any number of processes may run then, and share the commands.
    #[arg(long)]
    stateless: bool,
    /// So long each command takes, one after the other: for trying out what happens where there is too much to do.
    #[arg(long, default_value = "0ms", value_parser = faults::millis, value_name = "TIME")]
    service_time: Millis,
    /// Prefix of the consumer group's name.
    #[arg(long, env = "RINGMASTER_PREFIX", default_value = names::DEFAULT_PREFIX)]
    prefix: String,
    /// A setting of librdkafka, for example security.protocol=SSL, or client=auto|librdkafka|direct, which is how replies are sent
    /// (commands are read as a member of a group, by librdkafka); may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    kafka: Vec<(String, String)>,
    /// How long ids are remembered; a command first sent before that is answered TOO_OLD. Longer than any saga's deadline.
    #[arg(long, default_value = "30d", value_parser = faults::millis, value_name = "TIME")]
    remembers: Millis,
    /// Something to go wrong on purpose, for example delay=500ms,share=0.05 or crash_after,keys=*/ord-17/* or
    /// fail=retryable,attempts=1 or down=30s,after=10s; may be repeated. Also: refuse=CODE, fail=final, crash_before, lose_reply,
    /// repeat_reply.
    #[arg(long, value_name = "WHAT,WHEN...")]
    fault: Vec<Fault>,
    /// Chooses the keys where a fault asks for a share.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    fault_seed: u64,
    /// How logs are written, to stderr; what is logged says RUST_LOG (default info).
    #[arg(long, default_value = "text")]
    log: LogForm,
    #[command(flatten)]
    rules: R,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogForm {
    Text,
    Json,
}

/// Runs a binary, to its exit code. `R` are the flags of the service's rules; `about` is what `--help` says first.
pub fn main<S: Service, R: Args>(about: &'static str, service: impl FnOnce(R) -> S) -> ExitCode {
    let command = Cli::<R>::command().name(S::NAME).about(about);
    let matches = command.mut_arg(STATELESS, |flag| flag.hide(S::NEEDS_LEDGER)).get_matches();
    let cli = Cli::<R>::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let done = match cli.task {
        Some(Task::Audit { data, json, remembers }) => audit(S::NAME, &data, json, remembers),
        None => serve(cli.run, service),
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "{}: {error:#}", S::NAME);
        ExitCode::from(exit_code(&error))
    })
}

fn exit_code(error: &anyhow::Error) -> u8 {
    let of_ledger = |error: &LedgerError| match error {
        LedgerError::Taken { .. } | LedgerError::Foreign { .. } => EXIT_LEDGER_TAKEN,
        LedgerError::Storage { .. } | LedgerError::Damaged { .. } => 1,
    };
    if let Some(BusError::Unreachable(_)) = error.downcast_ref() {
        return EXIT_UNREACHABLE;
    }
    match error.downcast_ref::<Stop>() {
        Some(Stop::AnotherMember { .. } | Stop::Abandoned { .. }) => EXIT_ANOTHER_MEMBER,
        Some(Stop::Bus(BusError::Unreachable(_))) => EXIT_UNREACHABLE,
        Some(Stop::Ledger(error)) => of_ledger(error),
        _ => error.downcast_ref::<LedgerError>().map_or(1, of_ledger),
    }
}

fn serve<S: Service, R: Args>(run: Run<R>, service: impl FnOnce(R) -> S) -> anyhow::Result<ExitCode> {
    log_to_stderr(run.log);
    let mut settings = Settings::new(S::NAME, &run.prefix);
    settings.remembers_ms = run.remembers;
    settings.service_ms = run.service_time;
    settings.faults.list = run.fault;
    settings.faults.seed = run.fault_seed;
    if !settings.faults.list.is_empty() {
        tracing::warn!(faults = ?settings.faults.list, "things will go wrong on purpose");
    }
    let bootstrap = run.bootstrap.expect("it is required where no subcommand is given");
    let service = service(run.rules);
    match run.data {
        Some(data) => {
            tracing::info!(data = %data.display(), durability = "page cache: survives the process, not the machine", "remembering");
            on_kafka(service, RocksLedger::open(&data)?, settings, &bootstrap, run.kafka)
        }
        // What is scripted to happen once per key is noted in the ledger.
        None if settings.faults.crashes() => anyhow::bail!("without a ledger a scripted crash would come again after each start"),
        None => on_kafka(service, NoLedger, settings, &bootstrap, run.kafka),
    }
}

fn on_kafka<S: Service, L: Ledger>(
    service: S,
    ledger: L,
    settings: Settings,
    bootstrap: &str,
    passthrough: Vec<(String, String)>,
) -> anyhow::Result<ExitCode> {
    let mut kafka = KafkaSettings::new(bootstrap);
    // What was passed through comes behind, and so wins.
    kafka.passthrough = MEMBERSHIP.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).chain(passthrough).collect();
    kafka.group.clone_from(&settings.group);
    let mut bus = KafkaBus::new(kafka).with_context(|| format!("Kafka at {bootstrap}"))?;
    let stop = stop_on_signal(&bus)?;
    tracing::info!(service = S::NAME, commands = settings.commands, group = settings.group, "serving");
    let mut participant = Participant::new(service, ledger, schemas::demo(), settings)?;
    match run::run(&mut participant, &mut bus, &stop) {
        Ok(()) => {
            tracing::info!(counts = ?participant.counts(), replies = ?participant.reply_counts(), "stopped");
            Ok(ExitCode::SUCCESS)
        }
        Err(crash @ Stop::ScriptedCrash { .. }) => {
            tracing::warn!("{crash}");
            std::process::abort()
        }
        Err(other) => Err(other.into()),
    }
}

/// A flag that SIGTERM and SIGINT set, waking the bus.
fn stop_on_signal(bus: &impl Bus) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let (waker, flag) = (bus.waker(), Arc::clone(&stop));
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            flag.store(true, Ordering::Relaxed);
            waker();
        }
    })?;
    Ok(stop)
}

fn log_to_stderr(form: LogForm) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    match form {
        LogForm::Text => log.init(),
        LogForm::Json => log.json().init(),
    }
}

fn audit(service: &str, data: &Path, json: bool, remembers: Millis) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(data.is_dir(), "no ledger in {}", data.display());
    let audit = Audit::of(&RocksLedger::open_read_only(data)?, ringmaster_bus::clock::wall().saturating_sub(remembers))?;
    if audit.service != service {
        let why = format!("it is that of {}: ask with `{} audit`", audit.service, audit.service);
        return Err(LedgerError::Foreign { path: data.display().to_string(), why }.into());
    }
    let mut out = std::io::stdout().lock();
    match json {
        true => {
            serde_json::to_writer(&mut out, &audit)?;
            writeln!(out)?;
        }
        false => write!(out, "{audit}")?,
    }
    Ok(match audit.closes() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(EXIT_DOES_NOT_CLOSE),
    })
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not KEY=VALUE"))?;
    Ok((key.strip_prefix("kafka.").unwrap_or(key).to_owned(), value.to_owned()))
}

/// Units of an account as a flag: `sku-1=100`.
pub fn units(text: &str) -> Result<(String, i64), String> {
    let (account, units) = key_value(text)?;
    let units = units.parse().ok().filter(|units| *units >= 0);
    Ok((account, units.ok_or_else(|| format!("`{text}`: the number is a whole one from 0"))?))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ringmaster_bus::sim::{Faults, SimBroker};

    use super::*;

    #[test]
    fn a_service_serves_until_a_signal_comes() {
        let broker = SimBroker::new(1, 0, Faults::none());
        let stop = stop_on_signal(&broker.client()).expect("signals are waited for");
        assert!(!stop.load(Ordering::Relaxed), "nobody has asked it to stop");
        signal_hook::low_level::raise(SIGTERM).expect("raised");
        let begun = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            assert!(begun.elapsed() < Duration::from_secs(120), "the signal is not seen");
            std::thread::yield_now();
        }
    }

    /// Scripts go by these: README and docs/OPERATING.md name them.
    #[test]
    fn every_end_has_its_exit_code() {
        let (group, topic) = ("inventory".to_owned(), "inventory.commands".to_owned());
        let (path, why, key) = ("data".to_owned(), "so".to_owned(), "k".to_owned());
        let gone = || BusError::Unreachable("no answer".to_owned());
        let refused = || BusError::Refused("no".to_owned());
        let ledger = |error: LedgerError| [anyhow::Error::new(Stop::Ledger(error.clone())), error.into()];
        let ends = [
            (EXIT_LEDGER_TAKEN, ledger(LedgerError::Taken { path: path.clone(), why: why.clone() })),
            (EXIT_LEDGER_TAKEN, ledger(LedgerError::Foreign { path: path.clone(), why: why.clone() })),
            (1, ledger(LedgerError::Storage { path, why })),
            (1, ledger(LedgerError::Damaged { key, why: "so" })),
            (
                EXIT_ANOTHER_MEMBER,
                [
                    Stop::AnotherMember { group: group.clone(), topic, assigned: 1, partitions: 4 }.into(),
                    Stop::Abandoned { group }.into(),
                ],
            ),
            (EXIT_UNREACHABLE, [anyhow::Error::new(gone()).context("Kafka at here"), Stop::Bus(gone()).into()]),
            (1, [anyhow::Error::new(refused()).context("Kafka at here"), Stop::Bus(refused()).into()]),
            (1, [anyhow::anyhow!("anything"), anyhow::anyhow!("else")]),
        ];
        for (code, errors) in ends {
            errors.iter().for_each(|error| assert_eq!(exit_code(error), code, "{error}"));
        }
    }
}
