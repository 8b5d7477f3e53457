//! The three services: with their ledgers, as the demo has them; or echoes, which answer everything at once and keep nothing, as the
//! participants of other systems' benchmarks do. On Kafka they are a process of their own, so that what they cost is seen.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;
use ringmaster_bench::course::{Course, SIMPLE, WHOLE};
use ringmaster_bus::kafka::{Client, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, Message, Pace, SendError, TopicPartition, Waker};
use ringmaster_demo::rig::{self, Buses};
use ringmaster_schemas::json;
use ringmaster_schemas::names::participant_of;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{self, Body, Outcome, ReplyMeta};

use crate::product::Options;

/// Who answers commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Participants {
    /// The demo's services: idempotent, with a ledger each.
    Ledger,
    /// Stateless: every command succeeds at once.
    Echo,
}

/// How long an echo waits for commands, if nobody wakes it.
const WAIT: Duration = Duration::from_millis(100);
/// The same while a full queue keeps answers.
const WAIT_FULL: Duration = Duration::from_millis(1);

/// Services that run in this process.
pub(crate) enum Running {
    Ledger(rig::Services),
    Echo(Echoes),
}

impl Running {
    /// Starts them; ledgers lie under `folder`, and reading begins at the topics' beginnings.
    pub(crate) fn start(options: &Options, buses: &impl Buses, folder: &Path, prefix: &str) -> Result<Running> {
        Ok(match options.participants {
            Participants::Ledger => Running::Ledger(rig::Services::start(buses, folder, prefix)?),
            Participants::Echo => Running::Echo(Echoes::start(buses, options.course, options.partitions)?),
        })
    }

    /// Ends them in order.
    pub(crate) fn stop(self) -> Result<()> {
        match self {
            Running::Ledger(services) => services.stop(),
            Running::Echo(echoes) => echoes.stop(),
        }
    }
}

/// Stateless services, a thread each.
pub(crate) struct Echoes {
    threads: Vec<JoinHandle<Result<()>>>,
    wakers: Vec<Waker>,
    stop: Arc<AtomicBool>,
}

impl Echoes {
    fn start(buses: &impl Buses, course: &'static Course, partitions: i32) -> Result<Echoes> {
        let (mut echoes, stop) = (Echoes { threads: Vec::new(), wakers: Vec::new(), stop: Arc::default() }, Arc::default());
        echoes.stop = Arc::clone(&stop);
        for service in course.participants() {
            let mut bus = buses.open()?;
            echoes.wakers.push(bus.waker());
            let (stop, thread) = (stop.clone(), std::thread::Builder::new().name(service.to_owned()));
            echoes.threads.push(thread.spawn(move || echo(&mut bus, (course, service), partitions, &stop))?);
        }
        Ok(echoes)
    }

    fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        self.wakers.iter().for_each(|wake| wake());
        self.threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("an echo panicked"))?)
    }
}

/// An answer that waits to be sent.
struct Answer {
    reply_to: Box<str>,
    partition: i32,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Answers what comes until it is told to stop.
fn echo(bus: &mut impl Bus, (course, service): (&Course, &str), partitions: i32, stop: &AtomicBool) -> Result<()> {
    let schemas = Schemas::load_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(course.schemas));
    let mut schemas = schemas.map_err(|errors| anyhow!("{errors:?}"))?;
    let replies = replies_of(&mut schemas, course, service)?;
    let commands = bus.topic(&format!("{service}.commands"));
    for partition in 0..partitions {
        bus.read(TopicPartition { topic: commands, partition }, 0);
    }
    let (sender, mut pace, mut waiting) = (bus.open_sender()?, Pace::default(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let mut failed = None;
        let wait = if waiting.is_empty() { WAIT } else { WAIT_FULL };
        let events = bus.poll(wait, &mut |event| match event {
            BusEvent::Record(record) => match answer(record.key, record.value, &schemas, &replies) {
                Ok(answer) => waiting.push(answer),
                Err(why) => failed = Some(why),
            },
            BusEvent::Failed { why, .. } => failed = Some(why.into()),
            _ => {}
        });
        if let Some(why) = failed {
            return Err(why);
        }
        waiting.sort_by(|one, other| (&one.reply_to, one.partition).cmp(&(&other.reply_to, other.partition)));
        let mut sent = 0;
        for answer in &waiting {
            let to = TopicPartition { topic: bus.topic(&answer.reply_to), partition: answer.partition };
            match bus.send(sender, Message { to, key: Some(&answer.key), value: &answer.value, headers: &[] }, 0) {
                Ok(()) => sent += 1,
                Err(SendError::Full) => break,
                Err(why) => return Err(why.into()),
            }
        }
        waiting.drain(..sent);
        bus.flush();
        pace.after_turn(events, bus.turn_min());
    }
    Ok(())
}

/// What a service answers to each command: the fingerprint of its reply's envelope, and the result.
type Replies = HashMap<&'static str, (u64, Vec<u8>)>;

fn replies_of(schemas: &mut Schemas, course: &Course, service: &str) -> Result<Replies> {
    let mut replies = HashMap::new();
    for (command, result) in course.results.iter().filter(|(command, _)| participant_of(command) == service) {
        let envelope = schemas.reply_envelope(command).map_err(|why| anyhow!("{why}"))?.fingerprint();
        schemas.command_envelope(command).map_err(|why| anyhow!("{why}"))?;
        let schema = schemas.named(&format!("{command}Result")).with_context(|| format!("{command} has no result"))?;
        let mut bytes = Vec::new();
        json::transcode(schema, result.as_bytes(), &mut bytes)?;
        replies.insert(*command, (envelope, bytes));
    }
    Ok(replies)
}

/// The same answer as a service's, always with the same result.
fn answer(key: Option<&[u8]>, value: Option<&[u8]>, schemas: &Schemas, replies: &Replies) -> Result<Answer> {
    let command = wire::decode_command(value.unwrap_or_default(), schemas).map_err(|why| anyhow!("{why}"))?;
    let meta = &command.meta;
    let Some((fingerprint, result)) = replies.get(&*meta.command) else { bail!("{} is not known", meta.command) };
    let Body::Avro { .. } = &command.body else { bail!("echoes speak Avro") };
    let says = ReplyMeta {
        idempotency_key: Cow::Borrowed(&*meta.idempotency_key),
        attempt: meta.attempt,
        outcome: Outcome::Succeeded,
        code: None,
        message: None,
        retryable: false,
    };
    let mut value = Vec::with_capacity(128);
    wire::put_reply_avro(&says, *fingerprint, Some(result), &mut value);
    Ok(Answer { reply_to: (*meta.reply_to).into(), partition: meta.reply_partition, key: key.unwrap_or_default().to_vec(), value })
}

/// What the services' process is told.
#[derive(Debug, clap::Args)]
pub(crate) struct ServicesArgs {
    /// The broker.
    #[arg(long)]
    bootstrap: String,
    /// Where ledgers lie.
    #[arg(long)]
    folder: PathBuf,
    /// The prefix of the coordinator's topics.
    #[arg(long)]
    prefix: String,
    /// Partitions of every topic.
    #[arg(long)]
    partitions: i32,
    /// Who answers.
    #[arg(long, value_enum)]
    participants: Participants,
    /// The client that they reach the broker by.
    #[arg(long)]
    client: String,
    /// They answer the whole order's commands.
    #[arg(long)]
    whole: bool,
}

/// A broker, by this client.
pub(crate) fn reached_by(bootstrap: &str, client: &str) -> KafkaSettings {
    let passthrough = vec![(Client::SETTING.to_owned(), client.to_owned())];
    KafkaSettings { passthrough, ..KafkaSettings::new(bootstrap) }
}

/// Runs services until the standard input ends, which it does when whoever started this is gone.
pub(crate) fn run(args: &ServicesArgs) -> Result<()> {
    let kafka = reached_by(&args.bootstrap, &args.client);
    let options = Options {
        partitions: args.partitions,
        participants: args.participants,
        course: if args.whole { &WHOLE } else { &SIMPLE },
        client: args.client.clone(),
        coordinator: None,
        settings: Vec::new(),
    };
    let services = Running::start(&options, &kafka, &args.folder, &args.prefix)?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    services.stop()
}

/// The services as a process of their own.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(options: &Options, bootstrap: &str, folder: &Path, prefix: &str) -> Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        let who = options.participants.to_possible_value().expect("a value of the command line");
        command.args(["services", "--bootstrap", bootstrap, "--prefix", prefix, "--participants", who.get_name()]);
        command.args(["--client", &options.client, "--partitions", &options.partitions.to_string(), "--folder"]).arg(folder);
        if !options.course.is_simple() {
            command.arg("--whole");
        }
        Ok(Process(command.stdin(Stdio::piped()).spawn().context("the services' process")?))
    }

    pub(crate) fn id(&self) -> String {
        self.0.id().to_string()
    }

    /// Ends them in order.
    pub(crate) fn stop(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { bail!("the services ended with {status}") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After an orderly stop there is nothing left to kill.
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}
