//! What other instances have: whoever is asked answers for all.

use std::io::{BufRead as _, BufReader, Write as _};

use ringmaster_bus::kafka::MemberFound;
use ringmaster_core::partition::Counters;
use ringmaster_schemas::state::Saga;

use super::*;

/// A group of instances over one store, each with its own ports and partitions.
pub(super) struct Group {
    pub(super) servers: Vec<(Server, Arc<Status>)>,
    /// Of all of them, also of those that are gone.
    pub(super) metrics: Vec<Arc<Metrics>>,
    members: Arc<std::sync::Mutex<Vec<MemberFound>>>,
}

/// How long another instance may take on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

const NAMES: [&str; 3] = ["blue", "green", "red"];

impl Group {
    /// Each has these partitions, of a store that holds all of them: what is left there of those that others have is not told.
    pub(super) fn new(store: &SimStore, shares: [&[i32]; 3]) -> Group {
        let members = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (mut servers, mut found, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
        for (name, share) in NAMES.iter().zip(shares) {
            let (status, told) = (Arc::new(Status::default()), members.clone());
            let peers = Peers::new(move || Ok(told.lock().expect("no panic").clone())).with_patience(PATIENCE);
            let knowledge = Arc::new(Newest::new(Arc::new(with_a_trip().0)));
            let of_it =
                Sources { status: status.clone(), knowledge, peers: Some(Arc::new(peers)), ..sources(Arc::new(store.clone())) };
            // In two seconds six sagas begin with each.
            of_it.metrics.mark(0);
            of_it.metrics.add(&Counters { started: 6, quarantined: 1, ..Counters::default() });
            of_it.metrics.mark(2_000);
            metrics.push(of_it.metrics.clone());
            let server = serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), of_it, local()).expect("serves");
            status.given(Some(&share.iter().copied().collect()));
            status.hosts(share);
            let (address, host) = (server.address().to_string(), "127.0.0.1".to_owned());
            found.push(MemberFound { name: (*name).into(), address, host, partitions: share.to_vec() });
            servers.push((server, status));
        }
        *members.lock().expect("no panic") = found;
        Group { servers, metrics, members }
    }

    /// Where one of them was, something answers one question, in these words.
    fn instead(&self, name: &str, (code, body): (u16, &str)) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let answer = format!(
            "HTTP/1.1 {code} It\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        self.members.lock().expect("no panic").iter_mut().filter(|member| &*member.name == name).for_each(|member| {
            member.address.clone_from(&address);
        });
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            let mut head = BufReader::new(stream.try_clone().expect("the same")).lines();
            while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            stream.write_all(answer.as_bytes()).expect("answered");
        });
    }

    /// One of them is gone, and the broker does not know it yet.
    pub(super) fn kill(&mut self, name: &str) {
        let place = NAMES.iter().position(|known| *known == name).expect("one of them");
        drop(self.servers.remove(place));
    }
}

/// So many sagas, spread over all partitions.
fn stored(count: usize) -> (SimStore, Vec<String>) {
    let store = SimStore::new();
    let mut rows: Vec<Vec<RowChange>> = vec![Vec::new(); PARTITIONS as usize];
    let mut ids = Vec::new();
    for number in 0..count {
        let (key, mut saga) = (format!("t-{number:03}"), with_a_trip().1);
        saga.id = names::saga_id("trip", &key).into();
        ids.push(saga.id.to_string());
        let change = RowChange { after: index_keys(&saga), ..RowChange::plain(RowKey::Saga(saga.id.clone()), Some(saga.encode())) };
        rows[names::partition_of(key.as_bytes(), PARTITIONS) as usize].push(change);
    }
    for (rows, partition) in rows.into_iter().zip(0..) {
        store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(17), rows }).expect("applies");
    }
    (store, ids)
}

#[test]
fn any_instance_answers_for_all_and_pages_are_the_whole() {
    let (store, ids) = stored(97);
    let group = Group::new(&store, [&[0], &[1, 3], &[2]]);
    for (server, _) in &group.servers {
        for (more, is_backward) in [("&limit=10", false), ("&limit=10&order=newest", true), ("&limit=500", false)] {
            let (mut found, mut cursor) = (Vec::<String>::new(), String::new());
            loop {
                let (code, body) = page(server, "definition:trip", &format!("{more}{cursor}"));
                assert_eq!(code, 200, "{body}");
                let page: SagaPage = serde_json::from_value(body).expect("what the API says it is");
                assert_eq!((page.as_of.len(), page.missing.len(), page.places.len()), (PARTITIONS as usize, 0, 0));
                found.extend(page.items.into_iter().map(|line| line.saga));
                let Some(next) = page.next_cursor else { break };
                cursor = format!("&cursor={next}");
            }
            if is_backward {
                found.reverse();
            }
            assert_eq!(found, ids, "{more}: each is in one page, in order, wherever it lives");
        }
        for id in &ids[..20] {
            let (code, body) = get(server, &of_saga("saga", id));
            assert_eq!((code, &body["saga"]), (200, &json!(id)), "{body}");
        }
        assert_eq!(get(server, "/api/v1/saga?id=trip/nobody").0, 404, "whoever has its partition says so");
        let overview: Overview = serde_json::from_value(get(server, "/api/v1/overview").1).expect("what the API says it is");
        let of: Vec<i32> = overview.as_of.iter().chain(&overview.as_of).map(|of| of.partition).take(4).collect();
        assert_eq!((of, overview.missing), (vec![0, 1, 2, 3], vec![]), "each is counted once");
        let lately = overview.lately.expect("they were looked at twice");
        assert_eq!((lately.second.started_per_s, lately.minute.within_s, overview.happened.quarantined), (9.0, 2.0, 3));
        assert_eq!((overview.instances.len(), overview.scaling.len()), (3, 0));
        let hotel: OneParticipant =
            serde_json::from_value(get(server, "/api/v1/participants/hotel").1).expect("what the API says it is");
        let of: Vec<i32> = hotel.as_of.iter().map(|of| of.partition).collect();
        assert_eq!((of, hotel.participant.partitions["asked"]), (vec![0, 1, 2, 3], i64::from(PARTITIONS)));
        let (code, body) = get(server, "/api/v1/participants/hos%2Ftel%F0%9F%8F%A8?");
        assert_eq!((code, &body["instance"]), (404, &json!("/api/v1/participants/hos%2Ftel%F0%9F%8F%A8?")), "{body}");
        assert_eq!(body["detail"], "there is no participant 'hos/tel\u{1f3e8}'; there is hotel");
    }
}

/// Whoever is asked tells of all, also as it changes.
#[test]
fn what_another_instance_has_is_watched_as_well() {
    let (store, ids) = stored(8);
    let group = Group::new(&store, [&[0], &[1, 3], &[2]]);
    for (server, _) in &group.servers {
        let watches: String = ids.iter().map(|id| format!("&watch=saga:{id}")).collect();
        let events = super::live::watch(server, &format!("watch=overview{watches}")).expect("events");
        let mut open: std::collections::BTreeSet<String> = ids.iter().map(|id| (*id).clone()).chain(["all".to_owned()]).collect();
        for event in events {
            let body: serde_json::Value = serde_json::from_str(&event.data).expect("JSON");
            match &*event.name {
                "overview" => {
                    assert_eq!(body["as_of"].as_array().map(Vec::len), Some(PARTITIONS as usize), "{body}");
                    open.remove("all");
                }
                name => {
                    assert_eq!(name, "saga", "{body}");
                    open.remove(body["saga"].as_str().expect("an id"));
                }
            }
            if open.is_empty() {
                break;
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}

/// What is not stored yet where it lives is asked for again by whoever was asked, and said if it does not come.
#[test]
fn what_another_instance_has_not_stored_yet_is_said() {
    let (store, ids) = stored(20);
    let group = Group::new(&store, [&[0], &[1, 3], &[2]]);
    let id = ids.iter().find(|id| saga::partition_of(id, PARTITIONS) == Some(3)).expect("there is one");
    for (server, _) in &group.servers {
        let (code, body) = get(server, &format!("{}&at_least=3:16", of_saga("saga", id)));
        assert_eq!((code, &body["as_of_journal_offset"]), (200, &json!(17)), "{body}");
        let (code, body) = get(server, &format!("{}&at_least=3:17", of_saga("saga", id)));
        assert_eq!((code, &body["type"]), (503, &json!("/problems/behind")), "{body}");
    }
}

/// Whoever waits for others holds no place that others wait for.
#[test]
fn instances_that_ask_each_other_do_not_wait_for_each_other() {
    let (store, _) = stored(20);
    let group = Group::new(&store, [&[0], &[1, 3], &[2]]);
    std::thread::scope(|scope| {
        for (server, _) in group.servers.iter().cycle().take(24) {
            scope.spawn(move || {
                for _ in 0..5 {
                    let (code, body) = get(server, "/api/v1/overview");
                    assert_eq!((code, body["as_of"].as_array().map(Vec::len)), (200, Some(PARTITIONS as usize)), "{body}");
                }
            });
        }
    });
}

/// While instances are replaced by another build: that one does not know the question does not mean that there is no saga.
#[test]
fn an_instance_of_another_build_is_told_from_an_answer() {
    let (store, ids) = stored(40);
    let id = ids.iter().find(|id| saga::partition_of(id, PARTITIONS) == Some(3)).expect("there is one");
    for (answer, code, kind) in [
        ((404, r#"{"detail":"there is nothing at this path"}"#), 503, "/problems/elsewhere"),
        ((400, r#"{"detail":"unknown field `at_least`"}"#), 503, "/problems/elsewhere"),
        ((404, r#"{"type":"/problems/not-found","detail":"there is no saga"}"#), 404, "/problems/not-found"),
        ((503, r#"{"type":"/problems/not-now"}"#), 503, "/problems/not-now"),
    ] {
        let group = Group::new(&store, [&[0], &[1, 3], &[2]]);
        group.instead("green", answer);
        let (blue, _) = &group.servers[0];
        let answered = client::get(blue.address(), &of_saga("saga", id)).expect("an answer");
        let body: serde_json::Value = serde_json::from_str(&answered.body).expect("JSON");
        assert_eq!((answered.code, &body["type"]), (code, &json!(kind)), "{answer:?}: {body}");
        assert!(
            body["instance"].as_str().is_some_and(|asked| asked.starts_with("/api/v1/saga") && !asked.contains("partitions=")),
            "{body}"
        );
    }
}

#[test]
fn an_instance_that_does_not_answer_is_named() {
    let (store, ids) = stored(40);
    let mut group = Group::new(&store, [&[0], &[1, 3], &[2]]);
    group.kill("green");
    let (blue, _) = &group.servers[0];
    let (_, body) = page(blue, "", "&limit=500");
    let left: Vec<&String> = ids.iter().filter(|id| matches!(saga::partition_of(id, PARTITIONS), Some(0 | 2))).collect();
    let page: SagaPage = serde_json::from_value(body).expect("what the API says it is");
    assert_eq!(page.items.iter().map(|line| &line.saga).collect::<Vec<_>>(), left);
    let missing: Vec<i32> = page.missing.iter().map(|missing| missing.partition).collect();
    assert_eq!(missing, [1, 3]);
    assert!(page.missing.iter().all(|missing| missing.why.contains("instance green has it")), "{:?}", page.missing);
    let gone = ids.iter().find(|id| saga::partition_of(id, PARTITIONS) == Some(3)).expect("there is one");
    let (code, body) = get(blue, &of_saga("saga", gone));
    assert_eq!((code, &body["type"]), (503, &json!("/problems/elsewhere")), "{body}");
    assert!(body["detail"].as_str().is_some_and(|why| why.contains("instance green")), "{body}");
    // The broker has noticed, and nobody has them yet.
    group.members.lock().expect("no panic").retain(|member| &*member.name != "green");
    let noticed = (0..600).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        get(blue, "/api/v1/overview").1["missing"][0]["why"].as_str().is_some_and(|why| why.contains("on its way"))
    });
    assert!(noticed, "an answer of the broker is good for a second");
}

/// An instance that asks names the partitions that it asks for: an answer for others would count them twice.
#[test]
fn whoever_asks_for_partitions_is_told_of_those_alone() {
    let (store, ids) = stored(40);
    let group = Group::new(&store, [&[0, 1], &[2], &[3]]);
    let (blue, _) = &group.servers[0];
    let (_, body) = page(blue, "", "&limit=500&partitions=1,2");
    let page: SagaPage = serde_json::from_value(body).expect("what the API says it is");
    let of_one: Vec<&String> = ids.iter().filter(|id| saga::partition_of(id, PARTITIONS) == Some(1)).collect();
    assert_eq!(page.items.iter().map(|line| &line.saga).collect::<Vec<_>>(), of_one);
    assert_eq!((page.as_of.len(), page.places.len()), (1, of_one.len()));
    assert_eq!(page.missing.iter().map(|missing| missing.partition).collect::<Vec<_>>(), [2]);
    let elsewhere = ids.iter().find(|id| saga::partition_of(id, PARTITIONS) == Some(2)).expect("there is one");
    assert_eq!(get(blue, &format!("{}&partitions=2", of_saga("saga", elsewhere))).0, 503, "it asks nobody else");
}

/// What is left in the store of a partition that another instance has now is not told as if it were so.
#[test]
fn what_left_is_told_of_no_more() {
    let (store, ids) = stored(10);
    let server = started(Arc::default(), &store);
    assert_eq!(get(&server, &of_saga("saga", &ids[0])).0, 200, "the group has said nothing yet: what is stored is what there is");
    let status: Arc<Status> = Arc::default();
    let server = started(status.clone(), &store);
    status.given(Some(&[].into()));
    let (code, body) = get(&server, &of_saga("saga", &ids[0]));
    assert!(code == 503 && body["detail"].as_str().expect("why").contains("on its way"), "{body}");
    assert_eq!(get(&server, "/api/v1/sagas").1["items"], json!([]));
}

/// Who is asked what a saga would start is told by whoever has its partition, and by nobody who does not know it for sure.
#[test]
fn whether_a_saga_has_begun_is_known_or_refused() {
    let (store, ids) = stored(40);
    let expected = {
        let key = (0..).map(|number| format!("e-{number}")).find(|key| names::partition_of(key.as_bytes(), PARTITIONS) == 0);
        names::saga_id("trip", &key.expect("one of them"))
    };
    let saga = Saga::expected(&expected.as_str().into());
    let change = RowChange::plain(RowKey::Saga(saga.id.clone()), Some(saga.encode()));
    store.write(&Batch { partition: 0, base_offset: 17, checkpoint: checkpoint(18), rows: vec![change] }).expect("applies");
    let mut group = Group::new(&store, [&[0], &[1, 3], &[2]]);
    let (status, told) = (Arc::new(Status::default()), group.members.clone());
    // Anew each time: where others are is remembered for a second.
    let of_it = || {
        let told = told.clone();
        let peers = Peers::new(move || Ok(told.lock().expect("no panic").clone())).with_patience(PATIENCE);
        Sources { status: status.clone(), peers: Some(Arc::new(peers)), ..sources(Arc::new(store.clone())) }
    };
    let request = Request { uri: "/api/v1/replays".parse().expect("a path"), headers: axum::http::HeaderMap::new() };
    let asked = |id: &str| sagas::has_begun(&of_it(), &request, id).map_err(problem::Refusal::told);
    let refused = |id: &str, words: &str| asked(id).is_err_and(|(code, why)| code == 503 && why.contains(words));
    let of = |partition| ids.iter().find(|id| saga::partition_of(id, PARTITIONS) == Some(partition)).expect("there is one");
    assert!(refused(of(0), "not claimed yet"), "the group has said nothing yet: what is stored may be old");
    status.given(Some(&[0].into()));
    status.hosts(&[0]);
    assert_eq!([asked(of(0)), asked(of(3)), asked(&expected), asked("trip/nobody")], [Ok(true), Ok(true), Ok(false), Ok(false)]);
    let replaying = PartitionStatus { phase: StageName::Replaying, ..PartitionStatus::owned(0) };
    status.report_own(0, vec![replaying]);
    assert!(refused(of(0), "replayed"));
    group.instead("red", (404, r#"{"detail":"there is nothing at this path"}"#));
    assert!(refused(of(2), "another version"), "that it does not know the question does not mean that there is no saga");
    group.kill("green");
    assert!(refused(of(3), "instance green has it"), "{:?}", asked(of(3)));
}
