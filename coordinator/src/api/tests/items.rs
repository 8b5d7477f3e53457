//! A saga with items, and an item: what is said of a row says its saga's name for it, and where to look next.

use ringmaster_core::definition::{DefinitionRecord, Participant, Settings};
use ringmaster_schemas::journal::{Encoding, Failure, FailureKind, Head, HeadFields};
use ringmaster_schemas::state::{Child, Children, Course, Detail, Entry, EntryMore, Saga, Status, Waits, Work};

use super::*;

const BULK: &str = "
saga: bulk
start: { on: BulkPlaced, from: bulks, key: event.id }
steps:
  - step: lines
    for_each: start.lines
    as: line
    steps: [ { step: take, do: store.Take, undo: store.PutBack, with: { n: line } } ]
  - { step: pay, do: store.Pay, with: { id: key }, pivot: true }
";

fn entry(of: &Entry, (node, work, waits): (u16, Work, Waits), failure: &Failure, detail: Detail) -> Entry {
    let course = Some(Course { detail, ..Course::default() });
    let more = EntryMore { failure: Some(Arc::new(failure.clone())), stray: None, course };
    Entry { node, work, waits, attempt: 0, order: None, due_at: 0, more: Some(Box::new(more)), ..of.clone() }
}

/// Its payment was refused, items are undone, and the undo of the third one needs a person.
fn served() -> Server {
    let mut knowledge = nothing_known();
    let mut settings = Settings::new(&mut knowledge.schemas);
    settings.participants.insert("store".to_owned(), Participant { encoding: Encoding::Json, ..Participant::default() });
    let record = DefinitionRecord::of_file("bulk.yaml", BULK, 0, &mut settings).expect("it is right").remove(0);
    let definition = knowledge.catalog.add(&record, 0, &mut settings).expect("it is right");
    let (_, trip) = with_a_trip();
    let refused = Failure { code: "NO_MONEY".into(), step: "pay".into(), kind: FailureKind::Refused, message: "".into() };
    let head = Head::new(&HeadFields { version: definition.hash, source: "bulks/0/1", ..Default::default() }, &mut Vec::new());
    let rows = Children {
        count: 9,
        at_once: 5,
        begun: 9,
        at: 0,
        open: vec![Child { held: true, ..Child::new(3, true) }, Child::new(1, true)],
        to_recall: 0,
        undoes: true,
        was_done: true,
        recalls: true,
        swept: 0,
        list: None,
    };
    let lines = entry(&trip.entries[0], (1, Work::Undoing, Waits::Children), &refused, Detail::Children { rows: Arc::new(rows) });
    let stuck = Failure { code: "BROKEN".into(), step: "take".into(), ..refused.clone() };
    let take = entry(&trip.entries[0], (3, Work::Done, Waits::Stuck), &stuck, Detail::Nothing {});
    let saga = Saga {
        id: "bulk/b-1".into(),
        head: head.clone(),
        status: Status::Compensating,
        failure: Some(Arc::new(refused)),
        held_since: Some(10),
        entries: vec![lines],
        ..trip.clone()
    };
    let item = Saga { id: "bulk/b-1/lines.3".into(), entries: vec![take], ..saga.clone() };
    let change = |saga: &Saga| {
        let key = RowKey::Saga(saga.id.clone());
        RowChange { key, value: Some(saga.encode()), before: IndexKeys::NONE, after: index_keys(saga), large: Large::default() }
    };
    let store = SimStore::new();
    let (partition, rows) = (names::partition_of(b"b-1", PARTITIONS), vec![change(&saga), change(&item)]);
    store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(17), rows }).expect("applies");
    serving(Arc::default(), &store, knowledge)
}

#[test]
fn a_saga_names_its_items_and_an_item_its_saga() {
    let server = served();
    let (_, saga) = get(&server, "/api/v1/saga?id=bulk/b-1");
    assert_eq!(
        (&saga["entries"][0]["step"], &saga["item_of"]),
        (&json!("lines"), &json!(null)),
        "not the step that failed: {saga}"
    );
    let waits = saga["why"][0]["waits_for"].as_str().expect("it says");
    assert!(waits.starts_with("the undo of items 1 and 3 (of 9, numbered from 0)") && waits.ends_with(": 3"), "{waits}");
    let way = &saga["why"][0]["ways_out"][0];
    assert_eq!((&way["act"], &way["command"]), (&json!(null), &json!("ringmaster saga why bulk/b-1/lines.3")), "{way}");

    let (_, item) = get(&server, "/api/v1/saga?id=bulk/b-1/lines.3");
    assert_eq!((&item["item_of"], &item["entries"][0]["step"]), (&json!("bulk/b-1"), &json!("take")), "{item}");
    let (code, gone) = get(&server, "/api/v1/saga?id=bulk/b-1/lines.7");
    let why = gone["detail"].as_str().expect("it says why");
    assert!(code == 404 && why.contains("its saga has ended") && why.contains("`ringmaster saga show bulk/b-1`"), "{gone}");
}

/// A saga stands for its items where what is asked for is not theirs alone.
#[test]
fn a_list_names_each_saga_once_and_items_that_need_a_person() {
    let server = served();
    for filter in ["", "key:b-1", "status:stuck,held", "since:>1s"] {
        let all = page(&server, filter, "").1["items"].clone();
        let first = &all[0];
        assert_eq!((all.as_array().map(Vec::len), &first["saga"]), (Some(1), &json!("bulk/b-1")), "{filter}: {all}");
        assert_eq!((&first["status"], &first["waits"]["held"]), (&json!("held"), &json!(1)), "{filter}: {all}");
    }
    for filter in ["status:stuck", "waits:stuck", "key:b-* status:stuck", "status:stuck step:take"] {
        assert_eq!(listed(&server, filter, ""), (vec!["bulk/b-1/lines.3".to_owned()], false), "{filter}");
    }
}
