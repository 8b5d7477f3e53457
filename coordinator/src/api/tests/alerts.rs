//! Alerts, of what an instance tells.

use ringmaster_schemas::state::{Breaker, BreakerState};

use super::*;
use crate::alerts::{Alert, Sample, State as Stands};
use crate::telemetry::names::PARTITION_OWNED;

fn sources(status: Arc<Status>, store: &SimStore) -> Sources {
    Sources { status, alerts: Arc::new(Alerts::new("one")), ..super::sources(Arc::new(store.clone())) }
}

/// How everything is, every second from one to the other, virtual ones.
fn pass(sources: &Sources, seconds: std::ops::Range<i64>) -> Vec<Alert> {
    let mut changes = Vec::new();
    for second in seconds {
        sources.count().expect("the store can be read");
        changes.extend(sources.alerts.turn(second * 1_000, &sources.samples()));
    }
    changes
}

fn of<'a>(samples: &'a [Sample], metric: &'a str) -> Vec<(&'a str, f64)> {
    let named = samples.iter().filter(|sample| sample.metric == metric);
    named.map(|sample| (sample.labels[0].1.as_str(), sample.value)).collect()
}

#[test]
fn what_is_given_to_this_instance_and_owned_by_nobody_fires_and_nothing_else() {
    let status: Arc<Status> = Arc::default();
    let sources = sources(status.clone(), &SimStore::new());
    assert!(pass(&sources, 0..60).is_empty(), "the group has said nothing yet");
    status.given(Some(&[0, 2].into()));
    assert_eq!(of(&sources.samples(), PARTITION_OWNED), [("0", 0.0), ("2", 0.0)], "1 and 3 are others' to tell");
    let changes = pass(&sources, 60..100);
    let told: Vec<_> =
        changes.iter().map(|change| (change.rule.name, change.labels.join(","), change.state, change.since)).collect();
    let unowned = |partition: &str| ("PartitionUnowned", partition.to_owned(), Stands::Firing, 60_000);
    assert_eq!(told, [unowned("0"), unowned("2")]);
    status.given(Some(&[0].into()));
    let over = pass(&sources, 100..101);
    assert_eq!(over.iter().map(|change| (&*change.labels[0], change.state)).collect::<Vec<_>>(), [("2", Stands::Resolved)]);
    let server = serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), sources, local()).expect("serves");
    let (code, body) = get(&server, "/api/v1/alerts");
    assert_eq!((code, &body["instances"]), (200, &json!(["one"])), "{body}");
    let told: AlertsOf = serde_json::from_value(body).expect("what the API says it is");
    let brief = |alert: &AlertShown| format!("{} {} {} {:?}", alert.name, alert.state, alert.since, alert.labels.get("partition"));
    assert_eq!(
        told.alerts.iter().map(brief).collect::<Vec<_>>(),
        ["PartitionUnowned firing 1970-01-01T00:01:00Z Some(\"0\")", "PartitionUnowned resolved 1970-01-01T00:01:40Z Some(\"2\")"]
    );
    let first = &told.alerts[0];
    assert_eq!((first.severity.as_str(), first.value, first.threshold, first.instance.as_str()), ("page", 0.0, 1.0, "one"));
    assert!(first.summary.contains("partition 0") && first.runbook.contains("ringmaster instances"), "{first:?}");
}

#[test]
fn a_participant_whose_breaker_opened_fires_and_one_that_a_person_paused_does_not() {
    let store = SimStore::new();
    let breaker = |participant: &str, state| {
        let value = Breaker { state, since: 0, by: None, why: "it failed".into() }.encode();
        let key = RowKey::Breaker(participant.into());
        RowChange { key, value: Some(value), before: IndexKeys::NONE, after: IndexKeys::NONE, large: Large::default() }
    };
    for (partition, rows) in [
        (0, vec![breaker("hotel", BreakerState::Paused), breaker("payment", BreakerState::Draining)]),
        (1, vec![breaker("hotel", BreakerState::Draining), breaker("payment", BreakerState::Open)]),
    ] {
        store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(17), rows }).expect("applies");
    }
    let sources = sources(Arc::default(), &store);
    let changes = pass(&sources, 0..100);
    assert_eq!(of(&sources.samples(), "ringmaster_participant_breaker"), [("hotel", 2.0), ("payment", 3.0)]);
    let told: Vec<_> = changes.iter().map(|change| (change.rule.name, change.labels.join(","), change.state)).collect();
    assert_eq!(told, [("BreakerOpen", "payment".to_owned(), Stands::Firing)]);
}

/// Those that fire, and not those that may; what pages first.
#[test]
fn an_overview_names_the_alerts_that_fire() {
    let (status, sources) = (Arc::<Status>::default(), sources(Arc::default(), &SimStore::new()));
    status.given(Some(&[0, 1].into()));
    let sources = Sources { status, ..sources };
    pass(&sources, 0..20);
    let overview = |sources: &Sources| {
        let server = serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), sources.clone(), local()).expect("serves");
        let overview: Overview = serde_json::from_value(get(&server, "/api/v1/overview").1).expect("what the API says it is");
        overview.alerts
    };
    assert_eq!(overview(&sources), [], "not for half a minute yet");
    pass(&sources, 20..100);
    let told = overview(&sources);
    let names: Vec<_> = told.iter().map(|of| (&*of.name, &*of.severity, &*of.instance)).collect();
    assert_eq!(names, [("PartitionUnowned", "page", "one"); 2], "{told:?}");
}

/// Of a store that does not know it nothing is told: 0 would be made up.
#[test]
fn how_large_the_store_is_is_a_metric() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = ringmaster_store::rocks::RocksStore::open(folder.path(), PARTITIONS, 16 << 20).expect("it opens").store;
    store.write(&Batch { partition: 0, base_offset: -1, checkpoint: checkpoint(17), rows: vec![] }).expect("applies");
    store.flush().expect("flushed");
    let bytes = store.disk_bytes().expect("it is known");
    assert!(bytes > 0);
    let told = |sources: Sources| {
        sources.count().expect("the store can be read");
        let text = sources.metrics.render(&[], &[], &[], &sources.knowledge.get().catalog);
        text.lines().find_map(|line| Some(line.strip_prefix("ringmaster_store_bytes ")?.to_owned()))
    };
    assert_eq!(told(super::sources(Arc::new(store))), Some(bytes.to_string()));
    assert_eq!(told(sources(Arc::default(), &SimStore::new())), None);
}

#[test]
fn rules_are_evaluated_as_long_as_somebody_holds_that() {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;
    let status: Arc<Status> = Arc::default();
    status.given(Some(&[0].into()));
    let sources = sources(status, &SimStore::new());
    let alerts = sources.alerts.clone();
    // Half a minute passes with each look.
    let (clock, (send, told)) = (AtomicI64::new(0), channel());
    let watching = crate::alerts::watch(
        alerts.clone(),
        move || clock.fetch_add(30_000, Ordering::Relaxed),
        move || sources.samples(),
        move |change| {
            // Who has heard enough is gone.
            let _ = send.send(change.rule.name);
        },
    );
    let watching = watching.expect("a thread");
    assert_eq!(told.recv_timeout(Duration::from_secs(120)), Ok("PartitionUnowned"));
    drop(watching);
    assert!(told.recv().is_err(), "nobody holds what is looked at any more");
    assert_eq!(alerts.all().len(), 1);
}
