//! Metrics as they are scraped.

use ringmaster_core::partition::{Held, StageName};

use super::*;
use crate::api::DefinitionCounts;
use crate::runtime::{ParticipantTotals, Trouble, Waiting};

pub(super) fn status(partition: i32, phase: StageName) -> PartitionStatus {
    PartitionStatus {
        partition,
        phase,
        journal_offset: 42,
        rows: 3,
        row_bytes: 900,
        unreleased: 5,
        undeliverable: 2,
        stuck: 4,
        parked: 6,
        breakers: 1,
        inputs_to_begin: Vec::new(),
        reads: Vec::new(),
        held: Held::Starts,
        in_flight: 9,
        restored: None,
        snapshot: None,
    }
}

fn followed(partition: i32, warm: bool) -> FollowedStatus {
    FollowedStatus { partition, journal_offset: 7, warm }
}

/// A saga of `trip` that is parked for `hotel`.
pub(super) fn counted() -> (Overview, Totals) {
    let sagas: BTreeMap<String, i64> = [("parked".to_owned(), 1)].into();
    let trip =
        DefinitionCounts { definition: Some("trip".to_owned()), number: None, version: "ab".to_owned(), sagas, waits: vec![] };
    let parked = Waiting { count: 1, oldest: Some(90) };
    let hotel = ParticipantTotals { parked, ..ParticipantTotals::new("hotel".into()) };
    let totals = Totals { participants: [("hotel".into(), hotel)].into(), ..Totals::default() };
    (Overview { definitions: vec![trip], ..Overview::default() }, totals)
}

pub(super) fn topic(name: &str, unreadable: i32) -> TopicStatus {
    let trouble = |partition| Trouble { partition: Some(partition), why: "damaged".to_owned() };
    TopicStatus { topic: name.into(), troubles: (0..unreadable).map(trouble).collect() }
}

#[test]
fn every_metric_of_the_table_is_there_and_nothing_else() {
    let metrics = Metrics::new("test");
    let (overview, totals) = counted();
    metrics.count(&overview, &totals, 100_000);
    let partitions = [status(0, StageName::Owning), status(1, StageName::Claiming)];
    let text = metrics.render(&partitions, &[followed(2, true)], &[topic("orders", 0)], &Catalog::default());
    let mut found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let mut expected: Vec<String> = names::all().map(|metric| format!("{} {}", metric.name, metric.kind.as_str())).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for metric in names::all() {
        assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{} is explained", metric.name);
    }
}

#[test]
fn counters_add_up_and_gauges_follow() {
    let metrics = Metrics::new("test");
    metrics.add(&Counters { inputs: 3, stuck: 1, ..Counters::default() });
    metrics.add(&Counters { inputs: 4, ..Counters::default() });
    let topics = [topic("orders", 2), topic("replies", 0)];
    metrics.denied(Denied::Forbidden);
    let text =
        metrics.render(&[status(1, StageName::Owning)], &[followed(0, false), followed(3, true)], &topics, &Catalog::default());
    for line in [
        "ringmaster_inputs_total 7",
        "ringmaster_saga_steps_stuck_total 1",
        "ringmaster_doubts_total 0",
        "ringmaster_partition_owned{partition=\"1\"} 1",
        "ringmaster_partition_unreleased_effects{partition=\"1\"} 5",
        "ringmaster_partition_stuck{partition=\"1\"} 4",
        "ringmaster_partition_parked{partition=\"1\"} 6",
        "ringmaster_partition_open_breakers{partition=\"1\"} 1",
        "ringmaster_partition_standby{partition=\"0\"} 1",
        "ringmaster_partition_standby{partition=\"3\"} 2",
        "ringmaster_input_unreadable{topic=\"orders\"} 2",
        "ringmaster_input_unreadable{topic=\"replies\"} 0",
        "ringmaster_http_denied_total{why=\"forbidden\"} 1",
        "ringmaster_http_denied_total{why=\"unauthorized\"} 0",
        "ringmaster_info{version=\"0.1.0\",instance=\"test\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let text = metrics.render(&[status(1, StageName::Scanning)], &[followed(0, true)], &[topic("orders", 0)], &Catalog::default());
    assert!(text.contains("ringmaster_partition_standby{partition=\"0\"} 2"), "{text}");
    assert!(text.contains("ringmaster_partition_standby{partition=\"3\"} 0"), "another has it now, or nobody: {text}");
    assert!(text.contains("ringmaster_input_unreadable{topic=\"orders\"} 0"), "{text}");
    assert!(text.contains("ringmaster_partition_owned{partition=\"1\"} 0"), "{text}");
}

#[test]
fn what_is_counted_by_name_is_0_where_there_is_none_any_more() {
    let metrics = Metrics::new("test");
    let (overview, totals) = counted();
    let text = |metrics: &Metrics, overview: &Overview, totals: &Totals| {
        metrics.count(overview, totals, 100_000);
        metrics.render(&[], &[], &[], &Catalog::default())
    };
    let has = |text: &str, line: &str| assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    let now = text(&metrics, &overview, &totals);
    has(&now, r#"ringmaster_sagas{definition="trip",status="parked",reason="nothing"} 1"#);
    has(&now, r#"ringmaster_participant_parked{participant="hotel"} 1"#);
    has(&now, r#"ringmaster_participant_oldest_parked_seconds{participant="hotel"} 10"#);
    let later = text(&metrics, &Overview::default(), &Totals::default());
    has(&later, r#"ringmaster_sagas{definition="trip",status="parked",reason="nothing"} 0"#);
    has(&later, r#"ringmaster_participant_oldest_parked_seconds{participant="hotel"} 0"#);
    // What there is too much of is told together; of ages the oldest.
    let of = |number: i64| {
        let parked = Waiting { count: 1, oldest: Some(100 - number) };
        let name: Arc<str> = format!("p{number:03}").into();
        (name.clone(), ParticipantTotals { parked, ..ParticipantTotals::new(name) })
    };
    let many = Totals { participants: (0..250).map(of).collect(), ..Totals::default() };
    let many = text(&Metrics::new("test"), &Overview::default(), &many);
    has(&many, r#"ringmaster_participant_parked{participant="other"} 50"#);
    has(&many, r#"ringmaster_participant_oldest_parked_seconds{participant="other"} 249"#);
}

#[test]
fn each_counter_reads_a_field_of_its_own() {
    // A field that is read twice, or never, shows as a sum that is not the sum of all fields.
    let ones = Counters {
        routed: 1,
        routed_again: 1,
        route_gaps: 1,
        route_sessions: 1,
        inputs: 1,
        skipped: 2,
        started: 4,
        completed: 8,
        compensated: 16,
        stuck: 32,
        rejected: 64,
        quarantined: 128,
        commands: 256,
        retries: 512,
        timers: 1 << 10,
        records: 1 << 11,
        record_bytes: 1 << 12,
        turns: 1 << 13,
        effects: 1 << 14,
        resent: 1 << 15,
        replayed: 1 << 16,
        doubts: 1 << 17,
        claims: 1 << 18,
        pauses: 1 << 19,
        full_polls: 1 << 20,
        errors: 1 << 21,
        unexpected: 1 << 22,
        breakers: 1 << 23,
        events_expired: 1 << 24,
    };
    let bits = names::COUNTERS.iter().fold(0, |bits, (_, count)| bits ^ count(&ones));
    assert_eq!(bits, (1 << 25) - 1);
}

#[test]
fn names_follow_one_form() {
    let mut seen = std::collections::BTreeSet::new();
    for metric in names::all() {
        assert!(seen.insert(metric.name), "{} is there twice", metric.name);
        assert!(metric.name.starts_with("ringmaster_") || metric.name.starts_with("process_"), "{}", metric.name);
        if metric.kind == Kind::Counter {
            assert!(metric.name.ends_with("_total"), "{}", metric.name);
        }
    }
}

#[test]
fn the_process_is_measured() {
    let before = cpu_seconds();
    let began = std::time::Instant::now();
    while cpu_seconds() <= before {
        std::hint::black_box(resident_bytes());
        assert!(began.elapsed().as_secs() < 60, "work costs CPU");
    }
}
