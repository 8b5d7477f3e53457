//! A thread of an instance that panics ends the instance, and says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringmaster::cli::exit::{Exit, Failure};
use ringmaster::runtime::{Instance, InstanceSettings, Parts, Report, Status, Stop, Stopped};
use ringmaster_bus::Alone;
use ringmaster_bus::sim::{Faults, SimBroker};
use ringmaster_store::Store;
use ringmaster_tests::sim::Plan;
use ringmaster_tests::sim::coordinator::{knowledge, make_topics, setup};

use crate::stores::Watched;

/// Runs an instance of two workers until it ends by itself.
fn ended(store: Watched, report: Report) -> Stopped {
    let broker = SimBroker::new(7, 1_700_000_000_000, Faults::none());
    make_topics(&broker, 2, 2);
    let setup = setup(&broker, &Plan::calm(7), "test");
    let store: Arc<dyn Store> = Arc::new(store);
    let status = Arc::new(Status::default());
    let settings = InstanceSettings { flush_every: Duration::from_millis(1), memory_max: usize::MAX };
    let parts =
        Parts { setup: &setup, knowledge: &knowledge(), store: &store, settings, status: &status, report: &report, standby: None };
    let instance = Instance::start(vec![broker.client(), broker.client()], Box::new(Alone::new(2)), &parts);
    let since = Instant::now();
    while !instance.failed() {
        assert!(since.elapsed() < Duration::from_secs(60), "it goes on as if nothing had happened");
        std::thread::sleep(Duration::from_millis(1));
    }
    instance.join()
}

fn only(stopped: Stopped, thread: &str, said: &str) {
    let panicked = |stop: &Stop| matches!(stop, Stop::Panicked { .. });
    let found = stopped.stops.into_iter().find(panicked).expect("it says that a thread panicked");
    let failure = Failure::from(found);
    assert_eq!(failure.exit, Exit::Failed);
    assert!(failure.message.contains(thread) && failure.message.contains(said), "{}", failure.message);
}

#[test]
fn a_worker_that_panics_ends_the_instance() {
    let once = AtomicBool::new(false);
    let report: Report = Arc::new(move |_, _| assert!(once.swap(true, Ordering::SeqCst), "the report met a bug"));
    only(ended(Watched::default(), report), "worker-", "the report met a bug");
}

#[test]
fn upkeep_that_panics_ends_the_instance() {
    only(ended(Watched { flush_panics: true, ..Watched::default() }, Arc::new(|_, _| {})), "upkeep", "the flush met a bug");
}
