//! The whole line with a coordinator that is driven by hand, so that it can be killed between any two turns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringmaster::config::Config;
use ringmaster::runtime::{Knowledge, Now, Setup, Stop, Worker, load_knowledge, now, prepare, wall};
use ringmaster::{blocking, topics};
use ringmaster_bus::{Bus, BusEvent, Message, Sender, TopicPartition};
use ringmaster_core::definition::Catalog;
use ringmaster_core::partition::{Fence, Verdict};
use ringmaster_demo::rig::{Buses, Services};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Cause, Change, JournalRecord, Quarantined};
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::state::{RowKey, RowKind};
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;

/// Two, so that a record can be in the wrong one.
pub(crate) const PARTITIONS: i32 = 2;
/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(120);
const WAIT: Duration = Duration::from_millis(5);

/// Where a record stands: topic, partition, offset.
pub(crate) type Place = (String, i32, i64);

/// The whole line.
pub(crate) struct Line<B: Buses> {
    buses: B,
    folder: PathBuf,
    pub(crate) knowledge: Arc<Knowledge>,
    setup: Setup,
    store: Arc<dyn Store>,
    stores: usize,
    worker: Option<Worker<B::Bus>>,
    services: Option<Services>,
    bus: B::Bus,
    sender: Sender,
    /// How often the coordinator was killed.
    pub(crate) kills: usize,
    /// How often a claim of a killed one came late.
    pub(crate) fenced: usize,
    /// Inputs that meant nothing, of all coordinators.
    pub(crate) skipped: u64,
}

impl<B: Buses> Line<B> {
    /// Makes topics, deploys the definitions, starts the services. The coordinator is not yet there.
    pub(crate) fn open(buses: B, folder: &Path) -> Self {
        let config =
            Config::parse("test", &format!("partitions = {PARTITIONS}\nworkers = 1\n[participants.lab]\nencoding = \"json\"\n"))
                .expect("these settings are right");
        let mut bus = buses.open().expect("a bus");
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let schemas = folder.join("schemas");
        copy(&top.join("sagas/schemas"), &schemas);
        let look = r#"{"type": "record", "name": "LookResult", "namespace": "lab", "fields": [{"name": "found", "type": "int"}]}"#;
        std::fs::write(schemas.join("LookResult.avsc"), look).expect("it can be written");
        let files = [top.join("sagas/order-fulfilment.yaml"), top.join("tests/tests/bad_input/sagas.yaml")];
        let internal = topics::needed(&Topics::new("ringmaster"), PARTITIONS, &[], &[], &[]);
        topics::apply(&mut bus, &internal, 1).expect("topics can be made");
        let options = config.compile_options();
        let knowledge = load_knowledge(&mut bus, "ringmaster", &schemas, &files, &options, wall());
        let knowledge = knowledge.unwrap_or_else(|error| panic!("{error}"));
        topics::apply(&mut bus, &topics::needed_by(&knowledge.catalog, "ringmaster", PARTITIONS), 1).expect("topics can be made");
        let setup = prepare(&mut bus, &config.setup(), &knowledge).unwrap_or_else(|error| panic!("{error}"));
        let services = Services::start(&buses, folder, "ringmaster").expect("services start");
        let sender = bus.open_sender().expect("a producer");
        let store = open_store(folder, 0);
        Line {
            buses,
            folder: folder.to_owned(),
            knowledge: Arc::new(knowledge),
            setup,
            store,
            stores: 1,
            worker: None,
            services: Some(services),
            bus,
            sender,
            kills: 0,
            fenced: 0,
            skipped: 0,
        }
    }

    /// Appends a record, and says where it stands.
    pub(crate) fn put(&mut self, topic: &str, partition: i32, key: Option<&[u8]>, value: &[u8]) -> Place {
        self.put_with(topic, partition, key, value, &[])
    }

    /// The same with headers.
    pub(crate) fn put_with(
        &mut self,
        topic: &str,
        partition: i32,
        key: Option<&[u8]>,
        value: &[u8],
        headers: &[(&str, &str)],
    ) -> Place {
        let to = TopicPartition { topic: self.bus.topic(topic), partition };
        self.bus.send(self.sender, Message { to, key, value, headers }, 1).expect("the queue has room");
        let (since, mut at) = (Instant::now(), None);
        while at.is_none() {
            assert!(since.elapsed() < PATIENCE, "{topic}: no acknowledgement");
            self.bus.poll(WAIT, &mut |event| match event {
                BusEvent::Acknowledged { offset, .. } => at = offset,
                BusEvent::Failed { why, .. } => panic!("{topic}: {why}"),
                _ => {}
            });
        }
        (topic.to_owned(), partition, at.expect("just found"))
    }

    /// One turn of the coordinator, which is started if it does not run.
    pub(crate) fn turn(&mut self) {
        match self.try_turn(0) {
            Ok(()) if self.worker.as_mut().is_some_and(|worker| !worker.take_gone().is_empty()) => {
                // What a killed coordinator had on the wire may be a claim, which ends the next one's term: that one is started again.
                assert!(self.fenced < self.kills, "nobody else claims here");
                self.fenced += 1;
                self.worker = None;
            }
            Ok(()) => {}
            Err(stop) => panic!("the coordinator stopped: {stop}"),
        }
    }

    /// The same by a wall clock that goes so far before; why the coordinator stopped, if it did.
    pub(crate) fn try_turn(&mut self, ahead_ms: Millis) -> Result<(), Stop> {
        if self.worker.is_none() {
            let bus = self.buses.open().expect("a bus");
            let ids = Box::new(|| std::array::from_fn(|_| fastrand::u8(..)));
            let partitions = self.setup.partitions(0, 1);
            let mut settings = self.setup.worker();
            if self.knowledge.catalog.versions().is_empty() {
                // Where definitions were is a log that ends at 0, like this one.
                settings.definitions = Topics::new("ringmaster").quarantine;
            }
            self.worker = Some(Worker::new(bus, settings, partitions, self.knowledge.clone(), self.store.clone(), ids));
        }
        let worker = self.worker.as_mut().expect("just started");
        let before = worker.counters().skipped;
        let ahead = || Now { wall: wall() + ahead_ms, ..now() };
        let turned = worker.turn(&ahead, WAIT);
        self.skipped += worker.counters().skipped - before;
        turned.map(drop)
    }

    /// Kills the coordinator and lets go of all definitions, as if their topic had lost its records.
    pub(crate) fn lose_definitions(&mut self) {
        self.kill();
        let schemas = self.knowledge.schemas.clone();
        self.knowledge =
            Arc::new(Knowledge { catalog: Catalog::default(), schemas, deployed: Default::default(), records: Default::default() });
    }

    /// Drops the coordinator as it is: nothing is confirmed, delivered or written that was not yet.
    pub(crate) fn kill(&mut self) {
        self.kills += usize::from(self.worker.take().is_some());
    }

    /// Kills it, and takes its store away.
    pub(crate) fn kill_and_forget(&mut self) {
        self.kill();
        self.store = open_store(&self.folder, self.stores);
        self.stores += 1;
    }

    /// Turns until `done`; looks only now and then, since looking reads topics.
    pub(crate) fn drive(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let since = Instant::now();
        while !done(self) {
            assert!(since.elapsed() < PATIENCE, "{what} does not happen; the journal ends with {:#?}", self.journal().last());
            let looked = Instant::now();
            while looked.elapsed() < Duration::from_millis(60) {
                self.turn();
            }
        }
    }

    /// All records of a topic: partition, key, value.
    pub(crate) fn read(&mut self, topic: &str) -> Vec<blocking::Read> {
        let mut all = Vec::new();
        for partition in 0..PARTITIONS {
            let mut visit = |read| {
                all.push(read);
                true
            };
            blocking::read_to_end(&mut self.bus, topic, partition, &mut visit).expect("it can be read");
        }
        all
    }

    /// What counts in the journal.
    pub(crate) fn journal(&mut self) -> Journal {
        let topics = Topics::new("ringmaster");
        let names = [topics.replies.as_str(), "orders", "probes", "mixed", "briefs"];
        let described = self.bus.describe(&names).expect("they exist");
        let ids: BTreeMap<_, _> = described.into_iter().flatten().map(|topic| (topic.id, topic.name)).collect();
        let mut standing: BTreeMap<i32, Fence> = BTreeMap::new();
        let mut journal = Journal::default();
        for read in self.read(&topics.journal) {
            let record = JournalRecord::decode(&read.value.unwrap_or_default()).expect("a journal record");
            let standing = standing.entry(read.partition).or_default();
            let (JournalRecord::Decision(decision), Verdict::Counts) = (&record, standing.judge(read.offset, &record)) else {
                continue;
            };
            for turn in &decision.turns {
                let Cause::Input { topic, next } = &turn.cause else { continue };
                let topic = ids[&decision.topics[*topic as usize]].clone();
                journal.answers.entry((topic, read.partition, next - 1)).or_default().extend(turn.changes.clone());
            }
        }
        journal
    }

    /// The quarantine topic, by where each record was read: every copy that was sent.
    pub(crate) fn quarantine(&mut self) -> BTreeMap<Place, Vec<Quarantined>> {
        let mut all: BTreeMap<Place, Vec<Quarantined>> = BTreeMap::new();
        for read in self.read(&Topics::new("ringmaster").quarantine) {
            let entry = Quarantined::decode(&read.value.unwrap_or_default()).expect("a quarantine record");
            all.entry((entry.topic.to_string(), entry.partition, entry.offset)).or_default().push(entry);
        }
        all
    }

    /// All saga rows, as they are stored once everything is confirmed and written.
    pub(crate) fn rows(&mut self) -> BTreeMap<String, Vec<u8>> {
        self.worker.as_mut().expect("it runs").checkpoint(now()).expect("the store takes it");
        let mut rows = BTreeMap::new();
        for partition in 0..PARTITIONS {
            let mut visit = |key: RowKey, row: &[u8]| {
                rows.insert(key.to_string(), row.to_vec());
                true
            };
            self.store.rows(partition, RowKind::Saga, &mut visit).expect("it can be read");
        }
        rows
    }

    /// Ends the services.
    pub(crate) fn close(mut self) {
        self.kill();
        self.services.take().expect("they run").stop().expect("services end well");
    }
}

/// What counts in the journal: the changes that each input caused.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Journal {
    pub(crate) answers: BTreeMap<Place, Vec<Change>>,
}

impl Journal {
    /// The end of each input in short, for messages.
    pub(crate) fn last(&self) -> Vec<String> {
        let lines = self.answers.iter().map(|(place, changes)| format!("{place:?}: {:.300}", format!("{changes:?}")));
        let mut lines: Vec<String> = lines.collect();
        lines.split_off(lines.len().saturating_sub(20))
    }
}

fn open_store(folder: &Path, number: usize) -> Arc<dyn Store> {
    let path = folder.join(format!("store-{number}"));
    Arc::new(RocksStore::open(&path, PARTITIONS, 64 << 20).expect("a store").store)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        let target = to.join(path.file_name().expect("it has a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("it can be copied");
        }
    }
}
