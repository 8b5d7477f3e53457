//! A broker, a saga that says its version, and coordinators that follow what is deployed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ringmaster::runtime::{
    CompileOptions, Deploying, Follower, Following, InForce, Knowledge, Now, Plan as Deploy, Setup, SetupError, Stop, Worker,
    deploy, load_knowledge, prepare,
};
use ringmaster::topics;
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_core::definition::compile::Participant;
use ringmaster_core::partition::StageName;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Encoding;
use ringmaster_schemas::names::{Topics, partition_of};
use ringmaster_store::sim::SimStore;
use ringmaster_tests::sim::Plan;
use ringmaster_tests::sim::coordinator::settings;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{BEGIN, STEP_MS};

pub(super) const PARTITIONS: i32 = 2;
/// Virtual time within which anything must happen.
const WITHIN_MS: Millis = 60_000;

/// A saga that says its version with everything that it sends.
pub(super) fn saga(version: u32, from: &str, to: &str) -> String {
    format!(
        "saga: task\nstart: {{ on: Asked, from: {from}, key: event.id }}\nsteps:\n  - {{ step: one, do: lab.One, with: {{ version: {version} }}, \
         undo: nothing, timeout: 10m }}\n  - {{ step: two, do: lab.Two, with: {{ version: {version} }}, pivot: true, timeout: 10m }}\n\
         on_completed: {{ emit: Done, to: {to}, with: {{ version: {version} }} }}\n"
    )
}

/// A broker, a folder of definitions, and coordinators.
pub(super) struct Site {
    pub(super) broker: SimBroker,
    folder: TempDir,
    pub(super) deploying: Deploying,
    /// Commands of each partition that were looked at.
    answered: Vec<usize>,
}

impl Site {
    /// With the topics that the saga needs as it is first.
    pub(super) fn new() -> Site {
        let broker = SimBroker::new(3, BEGIN, Faults::none());
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let needed =
            topics::needed(&Topics::new("ringmaster"), PARTITIONS, &names(&["asks"]), &names(&["lab.commands"]), &names(&["ends"]));
        topics::apply(&mut broker.client(), &needed, 1).expect("topics can be made");
        let folder = tempfile::tempdir().expect("a folder");
        let schemas = folder.path().join("schemas");
        std::fs::create_dir(&schemas).expect("a folder");
        let participants = [("lab".to_owned(), Participant { encoding: Encoding::Json, ..Participant::default() })].into();
        let options = CompileOptions { participants, ..CompileOptions::default() };
        let deploying =
            Deploying { prefix: "ringmaster".to_owned(), partitions: PARTITIONS, schemas, options, typed: Default::default() };
        Site { broker, folder, deploying, answered: vec![0; PARTITIONS as usize] }
    }

    pub(super) fn file(&self, text: &str) -> Vec<PathBuf> {
        let file = self.folder.path().join("task.yaml");
        std::fs::write(&file, text).expect("written");
        vec![file]
    }

    /// Deploys as the command does.
    pub(super) fn deploy(&self, text: &str) {
        deploy(&mut self.broker.client(), &self.deploying, &self.file(text), false, BEGIN)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Publishes without a look at topics, as an earlier version did.
    pub(super) fn publish(&self, text: &str) {
        self.plan(text).publish(&mut self.broker.client(), &self.deploying).unwrap_or_else(|error| panic!("{error}"));
    }

    /// What a deploy would come to.
    pub(super) fn plan(&self, text: &str) -> Deploy {
        let plan = Deploy::make(&mut self.broker.client(), &self.deploying, &self.file(text), BEGIN);
        plan.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn knowledge(&self) -> Knowledge {
        let Deploying { prefix, schemas, options, .. } = &self.deploying;
        load_knowledge(&mut self.broker.client(), prefix, schemas, &[], options, BEGIN).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn prepare(&self, owner: &str) -> Result<(Arc<Knowledge>, Setup), SetupError> {
        let (knowledge, plan) = (self.knowledge(), Plan { partitions: PARTITIONS, ..Plan::calm(3) });
        let setup = prepare(&mut self.broker.client(), &settings(&plan, owner), &knowledge)?;
        Ok((Arc::new(knowledge), setup))
    }

    pub(super) fn coordinator(&self, owner: &'static str) -> Coordinator {
        let (knowledge, setup) = self.prepare(owner).unwrap_or_else(|error| panic!("{error}"));
        let mut random = fastrand::Rng::with_seed(owner.len() as u64);
        let workers = (0..PARTITIONS as usize).map(|index| {
            let mut random = random.fork();
            let ids = move || std::array::from_fn(|_| random.u8(..));
            let partitions = setup.partitions(index, PARTITIONS as usize);
            let store = Arc::new(SimStore::new());
            Worker::new(self.broker.client(), setup.worker(), partitions, knowledge.clone(), store, Box::new(ids))
        });
        let workers = workers.collect();
        let plan = Plan { partitions: PARTITIONS, ..Plan::calm(3) };
        let following =
            Following { setup: settings(&plan, owner), deploying: self.deploying.clone(), makes_topics: false, folder: None };
        let follower = Follower::new(self.broker.client(), following, knowledge, setup.clone());
        Coordinator { workers, follower, news: Vec::new(), setup }
    }

    pub(super) fn now(&self) -> Now {
        Now { wall: self.broker.now(), steady: self.broker.now() - BEGIN }
    }

    pub(super) fn make_topic(&self, name: &str) {
        self.make_topic_of(name, PARTITIONS);
    }

    pub(super) fn make_topic_of(&self, name: &str, partitions: i32) {
        let needed = [topics::Needed { name: name.to_owned(), partitions, kind: topics::Kind::Events }];
        topics::apply(&mut self.broker.client(), &needed, 1).expect("it can be made");
    }

    pub(super) fn ask(&self, topic: &str, id: &str) {
        let event = json!({ "type": "Asked", "id": id }).to_string();
        self.broker.put(topic, partition_of(id.as_bytes(), PARTITIONS), Some(id.as_bytes()), event.as_bytes());
    }

    /// All that was sent to a topic: key, and the version that it says.
    pub(super) fn sent(&self, topic: &str) -> Vec<(String, u64)> {
        let records = (0..PARTITIONS).flat_map(|partition| self.broker.log(topic, partition));
        let read = |value: &[u8]| -> Value { serde_json::from_slice(value).expect("JSON") };
        let version = |value: &Value| value["version"].as_u64().or(value["body"]["version"].as_u64()).expect("it says its version");
        let mut all: Vec<(String, u64)> = records
            .map(|record| {
                (String::from_utf8_lossy(record.key.as_deref().expect("a key")).into_owned(), version(&read(&record.value)))
            })
            .collect();
        all.sort();
        all
    }

    /// Answers all commands that were not answered yet.
    pub(super) fn answer(&mut self) {
        for partition in 0..PARTITIONS {
            let log = self.broker.log("lab.commands", partition);
            for record in log.iter().skip(std::mem::replace(&mut self.answered[partition as usize], log.len())) {
                let command: Value = serde_json::from_slice(&record.value).expect("JSON");
                let meta = &command["meta"];
                let answer = json!({
                    "meta": { "idempotency_key": meta["idempotency_key"], "attempt": meta["attempt"], "outcome": "succeeded" },
                    "body": null
                });
                let home = meta["reply_partition"].as_i64().expect("a partition") as i32;
                self.broker.put("ringmaster.replies", home, record.key.as_deref(), answer.to_string().as_bytes());
            }
        }
    }
}

/// Two workers, and what they follow.
pub(super) struct Coordinator {
    pub(super) workers: Vec<Worker<SimBus>>,
    follower: Follower<SimBus>,
    /// What it told, and which versions are in force by that.
    pub(super) news: Vec<Vec<InForce>>,
    /// As it was at the start.
    pub(super) setup: Setup,
}

impl Coordinator {
    /// A turn of each worker.
    pub(super) fn work(&mut self, site: &Site) -> Result<(), Stop> {
        site.broker.advance(site.broker.now() + STEP_MS);
        for worker in &mut self.workers {
            worker.turn(&|| site.now(), Duration::ZERO)?;
        }
        Ok(())
    }

    /// A turn of each worker, and of the follower.
    pub(super) fn turn(&mut self, site: &Site) {
        self.work(site).unwrap_or_else(|stop| panic!("{stop}"));
        if let Some(news) = self.follower.turn(site.now(), Duration::ZERO) {
            self.workers.iter_mut().for_each(|worker| worker.learn(&news, site.now()));
            self.news.push(news.in_force);
        }
    }

    pub(super) fn until(&mut self, what: &str, site: &mut Site, mut is_so: impl FnMut(&mut Site, &Coordinator) -> bool) {
        let end = site.broker.now() + WITHIN_MS;
        while !is_so(site, self) {
            assert!(site.broker.now() < end, "not {what}");
            self.turn(site);
        }
    }

    pub(super) fn go(&mut self, site: &Site, for_ms: Millis) {
        let end = site.broker.now() + for_ms;
        while site.broker.now() < end {
            self.turn(site);
        }
    }

    pub(super) fn stages(&self) -> Vec<StageName> {
        self.workers.iter().flat_map(|worker| worker.partitions().map(|partition| partition.stage())).collect()
    }

    pub(super) fn owns_all(&self) -> bool {
        self.stages() == [StageName::Owning; PARTITIONS as usize]
    }

    pub(super) fn claims(&self) -> u64 {
        self.workers.iter().map(|worker| worker.counters().claims).sum()
    }
}

pub(super) fn ids(prefix: &str) -> Vec<String> {
    (0..12).map(|number| format!("{prefix}-{number:02}")).collect()
}

/// What each of these says once, by this version.
pub(super) fn all_of(ids: &[String], version: u64) -> Vec<(String, u64)> {
    ids.iter().map(|id| (id.clone(), version)).collect()
}
