//! What another instance has.

use super::*;

/// What is left in the store of a partition that another instance has now is not told as if it were so.
#[test]
fn what_another_instance_has_is_asked_of_that_one() {
    let store = SimStore::new();
    let saga = row("ord-1");
    let home = names::partition_of(b"ord-1", PARTITIONS);
    let change = RowChange {
        key: RowKey::Saga(saga.id.clone()),
        value: Some(saga.encode()),
        before: IndexKeys::NONE,
        after: index_keys(&saga),
        large: Large::default(),
    };
    store.write(&Batch { partition: home, base_offset: -1, checkpoint: checkpoint(17), rows: vec![change] }).expect("applies");
    let status: Arc<Status> = Arc::default();
    let of = |name: &str, partitions| MemberFound {
        name: name.into(),
        address: "10.0.0.7:8080".into(),
        host: "10.0.0.7".into(),
        partitions,
    };
    let beside = |others: Vec<MemberFound>| {
        let (metrics, knowledge) = (Arc::new(Metrics::new("test")), Arc::new(Newest::new(Arc::new(nothing_known()))));
        let peers = Some(Arc::new(Peers::new(move || Ok(others.clone()))));
        let (status, store) = (status.clone(), Arc::new(store.clone()));
        let sources = Sources {
            metrics,
            status,
            store,
            knowledge,
            partitions: PARTITIONS,
            peers,
            alerts: Arc::new(Alerts::new("test")),
            tokens: None,
        };
        serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), sources, local()).expect("serves")
    };
    let server = beside(vec![of("green", vec![home]), of("red", Vec::new())]);
    let path = format!("/api/sagas/{}", saga.id);
    assert_eq!(get(&server, &path).0, 200, "the group has said nothing yet: what is stored is what there is");
    status.given(Some(&[].into()));
    let green = json!({ "instance": "green", "api": "10.0.0.7:8080", "host": "10.0.0.7", "partitions": [home] });
    let (code, body) = get(&server, &path);
    assert_eq!((code, &body["elsewhere"]), (421, &json!([green])), "{body}");
    let (code, body) = get(&server, "/api/sagas");
    assert_eq!((code, &body["sagas"], &body["elsewhere"]), (200, &json!([]), &json!([green])), "{body}");
    let (code, body) = get(&beside(Vec::new()), &path);
    assert!(code == 503 && body["detail"].as_str().expect("why").contains("on its way"), "{body}");
}
