//! Everything in one process: an instance, the three services with their ledgers, and whoever drives them. Demo, bench and tests
//! run the real parts by it, on either bus.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use ringmaster_bus::embedded::{EmbeddedBus, Log};
use ringmaster_bus::kafka::{KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusError, Waker};
use ringmaster_participants::ledger::RocksLedger;
use ringmaster_participants::services::{Inventory, Payment, Shipping};
use ringmaster_participants::{Participant, Service, Settings, run, schemas};

/// Where buses come from: each thread has its own.
pub trait Buses {
    /// The kind of bus.
    type Bus: Bus + Send + 'static;
    /// Another one.
    fn open(&self) -> Result<Self::Bus, BusError>;
}

impl Buses for Log {
    type Bus = EmbeddedBus;
    fn open(&self) -> Result<EmbeddedBus, BusError> {
        Ok(self.client())
    }
}

impl Buses for KafkaSettings {
    type Bus = KafkaBus;
    fn open(&self) -> Result<KafkaBus, BusError> {
        KafkaBus::new(self.clone())
    }
}

/// The three services, running.
pub struct Services {
    threads: Vec<(&'static str, JoinHandle<Result<()>>)>,
    wakers: Vec<Waker>,
    stop: Arc<AtomicBool>,
}

/// Names of the three services, in the order of the saga.
pub const SERVICES: [&str; 3] = [Inventory::NAME, Payment::NAME, Shipping::NAME];

/// Where a service keeps its ledger.
pub fn ledger_path(folder: &Path, service: &str) -> PathBuf {
    folder.join("ledgers").join(service)
}

impl Services {
    /// Starts all three with the demo's rules, their ledgers under `folder`.
    pub fn start(buses: &impl Buses, folder: &Path, prefix: &str) -> Result<Services> {
        let mut services = Services { threads: Vec::new(), wakers: Vec::new(), stop: Arc::new(AtomicBool::new(false)) };
        services.add(Inventory::new(Inventory::demo_stock()), buses, folder, prefix)?;
        services.add(Payment::demo(), buses, folder, prefix)?;
        services.add(Shipping::demo(), buses, folder, prefix)?;
        Ok(services)
    }

    fn add<S: Service + Send + 'static>(&mut self, service: S, buses: &impl Buses, folder: &Path, prefix: &str) -> Result<()> {
        let path = ledger_path(folder, S::NAME);
        std::fs::create_dir_all(&path).with_context(|| format!("the ledger folder {}", path.display()))?;
        let ledger = RocksLedger::open(&path)?;
        let mut bus = buses.open()?;
        self.wakers.push(bus.waker());
        let mut participant = Participant::new(service, ledger, schemas::demo(), Settings::new(S::NAME, prefix))?;
        let stop = self.stop.clone();
        let thread = std::thread::Builder::new().name(S::NAME.into());
        let thread = thread
            .spawn(move || run::run(&mut participant, &mut bus, &stop).with_context(|| format!("the service {}", S::NAME)))?;
        self.threads.push((S::NAME, thread));
        Ok(())
    }

    /// True once one has ended by itself.
    pub fn failed(&self) -> bool {
        self.threads.iter().any(|(_, thread)| thread.is_finished())
    }

    /// Ends them in order: what is in flight is answered and committed.
    pub fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        self.wakers.iter().for_each(|wake| wake());
        for (name, thread) in self.threads {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => anyhow::bail!("the service {name} panicked"),
            }
        }
        Ok(())
    }
}

/// What the ledgers say was done, in the order of [`SERVICES`]; the services must have stopped.
pub fn audits(folder: &Path) -> Result<Vec<ringmaster_participants::audit::Audit>> {
    SERVICES
        .iter()
        .map(|service| {
            let ledger = RocksLedger::open_read_only(&ledger_path(folder, service))?;
            let audit = ringmaster_participants::audit::Audit::of(&ledger, 0)?;
            drop(ledger);
            Ok(audit)
        })
        .collect()
}
