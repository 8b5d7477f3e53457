//! A real broker for tests: one node, on loopback, in a folder of its own.
//!
//! It never outlives the process that started it, however that ends: a shell beside it holds the other end of a pipe and kills the
//! broker when the pipe closes.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use jars::libs;
use process::{is_alive, signal};

use super::admin::{block_on, create};
use super::settings::KafkaSettings;
use crate::{BusError, Specification};

mod cluster;
mod jars;
mod ports;
pub mod process;
mod request;
mod secured;

pub use cluster::Cluster;
pub use jars::LIBS;
pub use ports::free_ports;
pub use secured::{Identity, Secured, pem};

/// How long the broker may take to start or to stop; it needs about 4 s on 2 free cores, and minutes on busy ones.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long it may take to write what its threads wait for.
const WRITES_WITHIN: Duration = Duration::from_secs(5);
/// So many lines of its log are told when it fails: all of its threads and what was before.
const LOG_LINES: usize = 1000;
/// Waits for answers of the broker in the calls below.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A broker that runs, or is stopped and can be started again on the same data. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct Broker {
    folder: PathBuf,
    libs: PathBuf,
    /// More arguments for its Java machine.
    jvm: Vec<String>,
    port: u16,
    address: String,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    /// The shell that watches; its standard input is the pipe.
    watch: Child,
    pid: u32,
}

impl Broker {
    /// Whether the jars are there, so that [`Self::start`] can work.
    pub fn is_available() -> bool {
        libs().is_some()
    }

    /// Formats a new folder and starts a broker on free ports; returns when it answers.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// As [`Self::start`], with more lines for `server.properties` that may follow from its ports (for clients, for controllers).
    pub fn start_by(properties: impl FnOnce(u16, u16) -> Vec<(String, String)>) -> io::Result<Self> {
        let (port, controller_port) = ports::pair()?;
        let properties = properties(port, controller_port);
        let properties: Vec<_> = properties.iter().map(|(key, value)| (&**key, &**value)).collect();
        let mut broker = Self::formatted((port, controller_port), &properties, &[], &[])?;
        broker.restart()?;
        Ok(broker)
    }

    /// As [`Self::start`], with more lines for `server.properties`.
    pub fn start_with(properties: &[(&str, &str)]) -> io::Result<Self> {
        Self::start_with_jvm(properties, &[])
    }

    /// As [`Self::start_with`], with more arguments for the Java machine of the broker itself.
    pub fn start_with_jvm(properties: &[(&str, &str)], jvm: &[String]) -> io::Result<Self> {
        let mut broker = Self::formatted(ports::pair()?, properties, jvm, &[])?;
        broker.restart()?;
        Ok(broker)
    }

    /// A new folder for a broker on these ports (for clients, for controllers), with more arguments for what formats it.
    fn formatted(
        (port, controller_port): (u16, u16),
        properties: &[(&str, &str)],
        jvm: &[String],
        more: &[String],
    ) -> io::Result<Self> {
        let libs = libs().ok_or_else(|| io::Error::other(format!("{LIBS} does not name a folder with the jars of Kafka")))?;
        let folder = std::env::temp_dir().join(format!("ringmaster-broker-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        std::fs::create_dir_all(&folder)?;
        let address = format!("127.0.0.1:{port}");
        let broker = Self { folder, libs, jvm: jvm.to_vec(), port, address, running: None };
        broker.configure(controller_port, properties)?;
        broker.format(more)?;
        Ok(broker)
    }

    /// `host:port` for clients.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where its data and its log (`broker.log`) are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of its jars.
    pub fn libs(&self) -> &Path {
        &self.libs
    }

    /// Starts it again on the same data and port, after [`Self::stop`] or [`Self::kill`].
    pub fn restart(&mut self) -> io::Result<()> {
        self.launch()?;
        self.wait_for_answers()
    }

    fn launch(&mut self) -> io::Result<()> {
        assert!(self.running.is_none(), "the broker runs already");
        self.running = Some(self.spawn()?);
        Ok(())
    }

    fn wait_for_answers(&self) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            if self.answers() {
                return Ok(());
            }
            if !self.is_running() {
                return Err(io::Error::other(format!("the broker ended while it started:\n{}", self.log_tail())));
            }
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("the broker does not start:\n{}", self.threads(self.pid()))));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it in an orderly way.
    pub fn stop(&mut self) -> io::Result<()> {
        self.end("TERM")
    }

    /// Ends it as a crash would (`kill -9`).
    pub fn kill(&mut self) -> io::Result<()> {
        self.end("KILL")
    }

    /// Freezes it (`SIGSTOP`): connections stay open and nothing answers any more when this returns.
    pub fn pause(&self) -> io::Result<()> {
        process::freeze(self.pid())
    }

    /// Ends [`Self::pause`].
    pub fn resume(&self) -> io::Result<()> {
        signal(self.pid(), "CONT")
    }

    /// True unless it was stopped or killed, or ended by itself.
    pub fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|running| is_alive(running.pid))
    }

    /// Its process id. It must run.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("the broker runs").pid
    }

    /// CPU time that its process has used since it was started, in steps of 10 ms.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }

    /// Makes a topic with settings by Kafka's names. One that was frozen just now, on a busy machine, may take long to answer.
    pub fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> io::Result<()> {
        let settings = settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let what = Specification { name: name.to_owned(), partitions, replication: 1, settings };
        let (begun, mut may_be_made) = (Instant::now(), false);
        loop {
            match create(&KafkaSettings::new(&self.address), &what) {
                Ok(true) => return Ok(()),
                // What was not answered may have been done.
                Ok(false) if may_be_made => return Ok(()),
                Ok(false) => return Err(io::Error::other(format!("topic {name} exists already"))),
                Err(BusError::Unreachable(_)) if begun.elapsed() < PATIENCE => may_be_made = true,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    /// Sets one setting of a topic; all others become the defaults.
    pub fn alter_topic(&self, name: &str, key: &str, value: &str) -> io::Result<()> {
        let change = AlterConfig::new(ResourceSpecifier::Topic(name)).set(key, value);
        let answers = block_on(self.admin()?.alter_configs([&change], &options())).map_err(io::Error::other)?;
        answers.into_iter().try_for_each(|answer| answer.map(drop).map_err(|(_, code)| io::Error::other(format!("{name}: {code}"))))
    }

    /// Gives a topic more partitions.
    pub fn grow_topic(&self, name: &str, partitions: usize) -> io::Result<()> {
        let answers = block_on(self.admin()?.create_partitions([&NewPartitions::new(name, partitions)], &options()));
        let each = |answer: Result<String, (String, _)>| {
            answer.map(drop).map_err(|(name, code)| io::Error::other(format!("{name}: {code}")))
        };
        answers.map_err(io::Error::other)?.into_iter().try_for_each(each)
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) -> io::Result<()> {
        let answers = block_on(self.admin()?.delete_topics(&[name], &options())).map_err(io::Error::other)?;
        answers
            .into_iter()
            .try_for_each(|answer| answer.map(drop).map_err(|(name, code)| io::Error::other(format!("{name}: {code}"))))
    }

    /// Deletes the records of a partition below this offset, as retention would.
    pub fn delete_records(&self, topic: &str, partition: i32, below: i64) -> io::Result<()> {
        let mut offsets = TopicPartitionList::new();
        let below = if below < 0 { Offset::End } else { Offset::Offset(below) };
        offsets.add_partition_offset(topic, partition, below).map_err(io::Error::other)?;
        block_on(self.admin()?.delete_records(&offsets, &options())).map(drop).map_err(io::Error::other)
    }

    fn admin(&self) -> io::Result<AdminClient<DefaultClientContext>> {
        self.config().create().map_err(io::Error::other)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }

    fn configure(&self, controller_port: u16, properties: &[(&str, &str)]) -> io::Result<()> {
        let (port, data) = (self.port, self.folder.join("data"));
        let mut text = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
             controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\nlog.dirs={}\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\ntransaction.state.log.num.partitions=4\n\
             share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\nlog.segment.delete.delay.ms=1000\n",
            data.display()
        );
        for (key, value) in properties {
            text += &format!("{key}={value}\n");
        }
        std::fs::write(self.folder.join("server.properties"), text)?;
        std::fs::write(self.folder.join("log4j2.xml"), LOGGING)
    }

    fn format(&self, more: &[String]) -> io::Result<()> {
        let output = self
            .java()
            .args(["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"])
            .arg(self.folder.join("server.properties"))
            .args(more)
            .output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(io::Error::other(format!("the broker's folder could not be formatted: {text}")));
        }
        Ok(())
    }

    fn java(&self) -> Command {
        let mut command = Command::new("java");
        command.args(self.java_arguments());
        command
    }

    fn java_arguments(&self) -> Vec<String> {
        vec![
            "-Xmx512m".to_owned(),
            "-XX:+UseG1GC".to_owned(),
            "-XX:MaxGCPauseMillis=20".to_owned(),
            "-Djava.net.preferIPv4Stack=true".to_owned(),
            format!("-Dlog4j2.configurationFile={}", self.folder.join("log4j2.xml").display()),
            "-cp".to_owned(),
            self.libs.join("*").display().to_string(),
        ]
    }

    /// The shell starts the broker in the background, says its pid, and kills it when the pipe on its standard input closes.
    fn spawn(&self) -> io::Result<Running> {
        let mut watch = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .arg(&self.folder)
            .args(self.java_arguments())
            .args(&self.jvm)
            .arg("kafka.Kafka")
            .arg(self.folder.join("server.properties"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // What a terminal sends (Ctrl-C) is for the process that started it.
            .process_group(0)
            .spawn()?;
        let mut line = String::new();
        BufReader::new(watch.stdout.take().expect("piped")).read_line(&mut line)?;
        let pid = line.trim().parse().map_err(|_| io::Error::other("the shell did not say the broker's pid"))?;
        Ok(Running { watch, pid })
    }

    fn answers(&self) -> bool {
        if TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            return false;
        }
        let client: Result<BaseConsumer, _> = self.config().create();
        client
            .is_ok_and(|client| client.fetch_metadata(None, Duration::from_secs(5)).is_ok_and(|found| !found.brokers().is_empty()))
    }

    fn end(&mut self, with: &str) -> io::Result<()> {
        let running = self.running.take().expect("the broker runs");
        signal(running.pid, with)?;
        let begun = Instant::now();
        while is_alive(running.pid) {
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("the broker does not end:\n{}", self.threads(running.pid))));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        running.finish(true);
        Ok(())
    }

    /// What it said, and what each of its threads waits for: it neither goes on nor ends.
    fn threads(&self, pid: u32) -> String {
        // A Java machine writes them where it writes its log.
        let _ = signal(pid, "QUIT");
        std::thread::sleep(WRITES_WITHIN);
        self.log_tail()
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("broker.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Running {
    /// Ends the shell: without a word it kills the broker and removes its folder, as it does when this process dies.
    fn finish(mut self, keeps_folder: bool) {
        let mut pipe = self.watch.stdin.take().expect("piped");
        if keeps_folder {
            let _ = pipe.write_all(b"keep\n");
        }
        drop(pipe);
        let _ = self.watch.wait();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.finish(false);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs the broker until the pipe closes; unless it was told to keep the folder, that goes too.
const WATCH: &str = "folder=$1; shift; java \"$@\" >>\"$folder/broker.log\" 2>&1 & echo $!; read -r answer; kill -9 $! 2>/dev/null; \
     wait; [ \"$answer\" = keep ] || rm -rf \"$folder\"";

const LOGGING: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="error">
  <Appenders><Console name="out"><PatternLayout pattern="%d{HH:mm:ss.SSS} %p %c{1}: %m%n"/></Console></Appenders>
  <Loggers><Root level="info"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"#;

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(CALL_TIMEOUT)).operation_timeout(Some(CALL_TIMEOUT))
}
