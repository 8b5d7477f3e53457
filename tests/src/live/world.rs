//! One test's world: a folder, settings as a user writes them, topics on the shared broker, and processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Instant;

use ringmaster_bus::kafka::broker::{Broker, Cluster, free_ports};
use ringmaster_bus::kafka::{KafkaSettings, topic_names};
use ringmaster_demo::accounting::{self, Accounting};
use ringmaster_demo::orders::{ORDERS, OUTCOMES};
use ringmaster_demo::rig;
use ringmaster_demo::rig::SERVICES;
use ringmaster_participants::audit::Audit;
use ringmaster_schemas::names::{Topics, command_topic};
use ringmaster_schemas::registry::Schemas;
use ringmaster_store::rocks::RocksStore;
use tempfile::TempDir;

use super::files::{copy, copy_logs, new_folder};
use super::ground::{Brokers, Ground};
use super::{CLIENT, CLIENTS, Coordinator, Placing, Process, Shop, binary, broker, command, say};
use crate::random::crowd::Definitions;

/// P in all live tests.
pub const PARTITIONS: i32 = 8;
/// What the keys of a shop's orders begin with.
pub const RUN: &str = "ord-";

/// A test's world. Dropping it ends its processes; the broker stays for the next test.
pub struct World {
    services: [Option<Process>; 3],
    folder: TempDir,
    prefix: String,
    ground: Ground,
    begun: Instant,
    name: String,
    client: String,
}

/// How the steps of the order's definition end in its file.
const STEPS: [&str; 3] =
    ["    undo: inventory.ReleaseStock          # its body is the do's\n", "    undo: payment.Refund\n", "    pivot: true\n"];

impl World {
    /// An empty world: settings and definitions in a new folder, no topics.
    pub fn bare(name: &'static str) -> World {
        World::bare_by(name, &std::env::var(CLIENT).unwrap_or_else(|_| CLIENTS[0].to_owned()))
    }

    fn bare_by(name: &'static str, client: &str) -> World {
        let broker = broker();
        say(&format!("{name}: begins, by {client}"));
        World::begin(name, client, Ground::Shared(broker))
    }

    /// A world on brokers of its own, without topics.
    pub fn on(name: &str, brokers: Brokers) -> World {
        World::begin(name, CLIENTS[0], Ground::Own(brokers))
    }

    /// Begins anew on the same brokers, under another name: nothing is left of before. All processes must have ended.
    pub fn renew(&mut self, name: &str) {
        assert!(self.services.iter().all(Option::is_none), "{}: its services have ended", self.name);
        let topics = self.topics();
        for topic in
            [topics.journal, topics.definitions, topics.schemas, topics.replies, topics.quarantine, topics.control, topics.batches]
        {
            let _ = self.broker().delete_topic(&topic);
        }
        (self.folder, self.prefix) = (new_folder(), new_prefix());
        (self.name, self.begun) = (name.to_owned(), Instant::now());
        self.configure("");
        self.delete_shared_topics();
    }

    fn begin(name: &str, client: &str, ground: Ground) -> World {
        let (folder, prefix, begun) = (new_folder(), new_prefix(), Instant::now());
        let (name, client) = (name.to_owned(), client.to_owned());
        let world = World { services: [None, None, None], folder, prefix, ground, begun, name, client };
        world.configure("");
        world.delete_shared_topics();
        world
    }

    /// A world with all topics, made as a user makes them, and all three services.
    pub fn new(name: &'static str) -> World {
        World::bare(name).with_services()
    }

    /// The same; coordinators and services send by this client.
    pub fn by(name: &'static str, client: &str) -> World {
        World::bare_by(name, client).with_services()
    }

    fn with_services(mut self) -> World {
        self.apply_topics();
        SERVICES.iter().for_each(|service| self.start_service(service, &[]));
        self
    }

    /// The broker that all tests share; of brokers of one's own one that runs.
    pub fn broker(&self) -> &Broker {
        self.ground.any()
    }

    /// The same, to kill it and start it again.
    pub fn broker_mut(&mut self) -> &mut Broker {
        self.node(1)
    }

    /// One of the brokers, by its number, from 1 on.
    pub fn node(&mut self, number: usize) -> &mut Broker {
        self.ground.node(number)
    }

    /// Waits until several brokers have all copies, and those lead that should. Of one broker nothing is waited for.
    pub fn mend_brokers(&self) -> std::io::Result<()> {
        self.ground.mend()
    }

    /// Several brokers of its own, if it has them.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.ground.cluster()
    }

    /// Of all brokers, for clients.
    pub fn address(&self) -> String {
        self.ground.address()
    }

    /// Where everything of this test is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Names of the internal topics.
    pub fn topics(&self) -> Topics {
        Topics::new(&self.prefix)
    }

    /// The example schemas.
    pub fn schemas(&self) -> Schemas {
        Schemas::load_folder(&self.folder().join("sagas/schemas")).expect("the example schemas are right")
    }

    /// Writes the settings file anew, with these lines at its end.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "prefix = \"{}\"\npartitions = {PARTITIONS}\n[kafka]\n\"bootstrap.servers\" = \"{}\"\nclient = \"{}\"\n{more}\n",
            self.prefix,
            self.address(),
            self.client
        );
        std::fs::write(self.folder().join("ringmaster.toml"), text).expect("settings can be written");
    }

    /// Changes a text in a file of the folder, which must be there.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder().join(file);
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert!(text.contains(from), "{file} has no '{from}'");
        std::fs::write(path, text.replacen(from, to, 1)).expect("it can be written");
    }

    /// Adds lines to each step of the order's definition.
    pub fn edit_steps(&self, lines: &str) {
        for step in STEPS {
            self.edit("sagas/order-fulfilment.yaml", step, &format!("{step}{lines}"));
        }
    }

    /// A command of `ringmaster` that ends by itself.
    pub fn ringmaster(&self, arguments: &[&str]) -> Output {
        command(&binary("ringmaster").display().to_string())
            .args(arguments)
            .current_dir(self.folder())
            .output()
            .expect("it can be started")
    }

    /// `ringmaster topics apply`.
    pub fn apply_topics(&self) {
        let output = self.ringmaster(&["topics", "apply"]);
        assert!(output.status.success(), "topics apply: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts a coordinator with this name and a data directory of that name.
    pub fn coordinator(&self, name: &str) -> Coordinator {
        self.coordinator_at(name, name)
    }

    /// The same with another data directory.
    pub fn coordinator_at(&self, name: &str, data: &str) -> Coordinator {
        self.coordinator_with(name, data, &[], &[])
    }

    /// The same with further settings, and variables of its environment.
    pub fn coordinator_with(&self, name: &str, data: &str, more: &[String], environment: &[(&str, String)]) -> Coordinator {
        let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().expect("an address");
        let log = data;
        let data = self.folder().join(data);
        let settings = [format!("instance={name}"), format!("data_dir={}", data.display()), format!("api.listen={address}")];
        let mut arguments = vec!["run"];
        settings.iter().chain(more).for_each(|setting| arguments.extend(["--set", setting]));
        let process = Process::start_with(log, &binary("ringmaster"), &arguments, self.folder(), environment);
        Coordinator { process, address, data }
    }

    /// Starts one that owns its share when this returns; of the only one that is everything.
    pub fn owner(&self, name: &str) -> Coordinator {
        let mut coordinator = self.coordinator(name);
        coordinator.wait_ready();
        coordinator
    }

    /// Starts a service on its ledger, with further flags.
    pub fn start_service(&mut self, name: &str, flags: &[&str]) {
        self.start_service_by(&self.address(), name, flags);
    }

    /// The same; it finds the brokers there.
    pub fn start_service_by(&mut self, address: &str, name: &str, flags: &[&str]) {
        let data = rig::ledger_path(self.folder(), name);
        std::fs::create_dir_all(&data).expect("a folder can be made");
        let data = data.display().to_string();
        let mut arguments = vec!["--bootstrap", address, "--data", &data, "--prefix", &self.prefix];
        // A killed service's session ends soon, so that the next one is let in.
        arguments.extend(["--kafka", "session.timeout.ms=2000", "--kafka", "heartbeat.interval.ms=400"]);
        let client = format!("client={}", self.client);
        arguments.extend(["--kafka", &client]);
        arguments.extend(flags);
        let process = Process::start(name, &binary(name), &arguments, self.folder());
        let old = self.services[place(name)].replace(process);
        assert!(old.is_none_or(|mut old| !old.is_running()), "{name} runs already");
    }

    /// A running service, out of this world: whoever takes it ends it.
    pub fn take_service(&mut self, name: &str) -> Process {
        self.services[place(name)].take().expect("it runs")
    }

    /// A running service.
    pub fn service(&mut self, name: &str) -> &mut Process {
        self.services[place(name)].as_mut().expect("it was started")
    }

    /// The services that run here, or did until they ended by themselves.
    pub fn services(&mut self) -> impl Iterator<Item = &mut Process> {
        self.services.iter_mut().flatten()
    }

    /// Ends all services in order.
    pub fn stop_services(&mut self) {
        for (name, service) in SERVICES.iter().zip(&mut self.services) {
            if let Some(service) = service.take() {
                let said = service.said_last();
                assert_eq!(service.stop(), 0, "{name} ends in order:\n{said}");
            }
        }
    }

    /// A shop on this broker.
    pub fn shop(&self) -> Shop {
        self.shop_placing(Placing::ByKey(PARTITIONS))
    }

    /// A shop that writes its orders in this way.
    pub fn shop_placing(&self, placing: Placing) -> Shop {
        Shop::open(&self.address(), &self.schemas(), placing, true)
    }

    /// A shop that does not say how many outcomes there are.
    pub fn silent_shop(&self) -> Shop {
        Shop::open(&self.address(), &self.schemas(), Placing::ByKey(PARTITIONS), false)
    }

    /// Makes the topic of orders anew, with so many partitions.
    pub fn make_orders(&self, partitions: i32) {
        self.broker().delete_topic(ORDERS).expect("it is there");
        self.broker().create_topic(ORDERS, partitions, &[]).expect("it is gone");
    }

    /// The end of a test without a shop, as [`World::close`] is of one with.
    pub fn end(&mut self, coordinator: Coordinator, issued: u64) {
        assert_eq!(coordinator.metric("ringmaster_inputs_quarantined_total"), 0.0, "nothing that is sent here is bad");
        let data = coordinator.stop();
        self.stop_services();
        let audits = rig::audits(self.folder()).expect("ledgers can be read");
        self.account(&data, &audits, RUN, issued);
    }

    /// The end of every test: all outcomes are there and right, coordinator and services end in order, and store and ledgers agree
    /// with what every order's number says: each effect exactly once.
    pub fn close(&mut self, shop: Shop, coordinator: Coordinator) {
        self.finish(&shop, &coordinator);
        let data = coordinator.stop();
        self.stop_services();
        let audits = rig::audits(self.folder()).expect("ledgers can be read");
        self.account(&data, &audits, RUN, shop.wanted());
    }

    /// Waits for all outcomes, and looks at them; nothing may be in quarantine.
    pub fn finish(&self, shop: &Shop, coordinator: &Coordinator) {
        shop.wait_all();
        shop.check_outcomes();
        assert_eq!(coordinator.metric("ringmaster_inputs_quarantined_total"), 0.0, "nothing that is sent here is bad");
    }

    /// Reads the store in `data` and compares it, and the ledgers, with what they must be, and are.
    pub fn account(&self, data: &Path, audits: &[Audit], run: &str, issued: u64) -> Accounting {
        let accounting = accounting(data, audits, run, issued);
        assert!(accounting.exact(), "the accounting is not exact: {accounting:#?}");
        say(&format!(
            "{}: exact: issued {} = completed {} + compensated {}; {:.1} s",
            self.name,
            accounting.issued,
            accounting.completed,
            accounting.compensated,
            self.begun.elapsed().as_secs_f64()
        ));
        accounting
    }

    /// Copies all that it has, and its brokers, to a folder of this name that stays.
    pub fn keep(&self, name: &str) -> PathBuf {
        let kept = std::env::temp_dir().join(format!("{name}-{}", self.prefix));
        copy(self.folder(), &kept);
        let brokers = self.ground.nodes().iter().zip(1..);
        brokers.for_each(|(broker, number)| copy(broker.folder(), &kept.join(format!("broker-{number}"))));
        kept
    }

    /// Topics whose names do not hold the prefix are those of the test before.
    fn delete_shared_topics(&self) {
        let commands = SERVICES.map(command_topic);
        let random = Definitions::topics();
        for name in commands.iter().chain(&random).map(String::as_str).chain([ORDERS, OUTCOMES]) {
            // Not there is as good.
            let _ = self.broker().delete_topic(name);
        }
        // A coordinator of a test before may still count as running, and must not be another one that starts the same sagas.
        let names = topic_names(&KafkaSettings::new(self.broker().address())).expect("the broker says which topics there are");
        let suffix = Topics::new("").definitions;
        for name in names.iter().filter(|name| name.ends_with(&suffix)) {
            let _ = self.broker().delete_topic(name);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = std::env::temp_dir().join(format!("ringmaster-live-failed-{}", self.prefix));
            let broker = self.ground.nodes().iter().try_for_each(|broker| copy_logs(broker.folder(), &kept));
            if copy_logs(self.folder(), &kept).and(broker).is_ok() {
                say(&format!("{}: FAILED; what its processes said is in {}", self.name, kept.display()));
            }
        }
    }
}

/// Reads the store in `data` and compares it, and the ledgers, with what they must be.
pub fn accounting(data: &Path, audits: &[Audit], run: &str, issued: u64) -> Accounting {
    let store = RocksStore::open(&data.join("store"), PARTITIONS, 64 << 20).expect("the store can be opened");
    assert!(store.moved_aside.is_none(), "the store of a coordinator that ended in order is whole");
    accounting::account_with(&store.store, PARTITIONS, audits, run, issued).expect("store and ledgers can be read")
}

fn new_prefix() -> String {
    format!("live-{:08x}", fastrand::u32(..))
}

fn place(service: &str) -> usize {
    SERVICES.iter().position(|known| *known == service).expect("one of the three")
}

/// One that stays free while a coordinator that has it is started again.
fn free_port() -> u16 {
    free_ports(1).expect("a free port")[0]
}
