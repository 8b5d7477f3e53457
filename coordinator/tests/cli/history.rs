//! What happened to a saga, over HTTP: the same as the command line tells, page by page.

use ringmaster::api::{ActLine, HistoryPage, HistoryTurn, client};
use ringmaster::blocking;
use ringmaster_schemas::names::partition_of;
use serde_json::Value;

use crate::sagas::site;
use crate::site::Site;

const ID: &str = "trip/t-waits";

impl Site {
    /// What is answered at a path: its status, and its body.
    pub(crate) fn answer(&self, path: &str) -> (u16, Value) {
        let answer = client::get(self.address, path).expect("an answer");
        (answer.code, serde_json::from_str(&answer.body).expect("JSON"))
    }

    fn page(&self, more: &str) -> HistoryPage {
        let (code, body) = self.answer(&format!("/api/v1/saga/history?{more}"));
        assert_eq!(code, 200, "{more}: {body}");
        serde_json::from_value(body).expect("what the API says it is")
    }
}

#[test]
fn a_story_is_told_in_pages_as_by_the_command_line() {
    let site = site();
    let coordinator = site.start();
    site.until_listed(2);
    for act in ["pause", "resume", "cancel"] {
        assert_eq!(site.ringmaster(&["act", act, ID, "--yes", "--by", "ann", "--why", "looked into it"]).0, 0, "{act}");
    }
    let whole = site.page(&format!("id={ID}"));
    assert!(whole.next_cursor.is_none() && whole.complete && whole.gone.is_none(), "{whole:?}");
    assert_eq!(whole.partition, partition_of(b"t-waits", 4));
    let (_, said, how) = site.ringmaster(&["saga", "history", ID, "--json"]);
    let told: Vec<HistoryTurn> = said.lines().map(|line| serde_json::from_str(line).expect("a turn a line")).collect();
    assert_eq!(told, whole.items, "{how}");
    for scan in [false, true] {
        let (mut all, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = site.page(&format!("id={ID}&limit=2&scan={scan}{cursor}"));
            assert!(page.items.len() <= 2, "{page:?}");
            all.extend(page.items);
            pages += 1;
            let Some(next) = page.next_cursor else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(all, whole.items, "scan={scan}");
        assert!(pages >= 2, "{pages}");
    }

    // What caused it, what it sent, and who did what.
    let begun = &whole.items[0];
    assert_eq!((&*begun.cause.kind, begun.cause.topic.as_deref(), begun.cause.offset), ("input", Some("trips"), Some(0)));
    let sent: Vec<_> =
        begun.sent.iter().map(|sent| (&*sent.kind, sent.name.as_deref(), sent.topic.as_deref(), &*sent.id)).collect();
    assert_eq!(
        sent,
        [
            ("event", Some("TripBegun"), Some("trip-progress"), "trip/t-waits/tell"),
            ("command", Some("hotel.Reserve"), Some("hotel.commands"), "trip/t-waits/room/do"),
        ]
    );
    let texts: Vec<&str> = whole.items.iter().flat_map(|turn| &turn.events).map(|event| &*event.text).collect();
    assert!(texts.iter().any(|text| text.contains("ann acts: pause (looked into it)")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("ann acts: cancel (looked into it)")), "{texts:?}");
    assert_eq!(coordinator.stop().0, Some(0));
}

#[test]
fn questions_about_a_story_that_have_no_answer_say_why() {
    let site = site();
    let coordinator = site.start();
    site.until_listed(2);
    let cursor = site.page(&format!("id={ID}&limit=1&scan=true")).next_cursor.expect("there is more of the partition");
    for (query, status, says) in [
        ("id=trip/nobody".to_owned(), 404, "with scan=true the whole journal is looked through"),
        ("id=trip/nobody&scan=true".to_owned(), 404, "the journal has nothing of 'trip/nobody'"),
        ("id=trip".to_owned(), 400, "is not a saga id"),
        (format!("id={ID}&limit=0"), 400, "limit is from 1 to 500"),
        (format!("id={ID}&limit=501"), 400, "limit is from 1 to 500"),
        (format!("id=trip/t-stuck&cursor={cursor}"), 400, "none of this saga's history"),
        (format!("id={ID}&cursor=x"), 400, "none of this saga's history"),
        (format!("id={ID}&scam=true"), 400, "scam"),
    ] {
        let (code, body) = site.answer(&format!("/api/v1/saga/history?{query}"));
        assert!(code == status && body["detail"].as_str().is_some_and(|why| why.contains(says)), "{query}: {code} {body}");
    }
    // By its row a saga that nobody journaled anew is found behind whatever else its partition takes.
    let before = site.page(&format!("id={ID}")).items;
    assert_eq!(coordinator.stop().0, Some(0));
    let others: Vec<_> = (0..50).map(|_| (b"t-waits".to_vec(), b"{ not json".to_vec())).collect();
    blocking::append(&mut site.log().client(), "trips", partition_of(b"t-waits", 4), &others).expect("appended");
    let coordinator = site.start();
    assert_eq!(site.page(&format!("id={ID}")).items[..before.len()], before);
    assert_eq!(coordinator.stop().0, Some(0));
}

#[test]
fn what_people_did_is_listed_with_what_became_of_it() {
    let site = site();
    let coordinator = site.start();
    site.until_listed(2);
    assert_eq!(site.said(&["act-list"]), "0 acts\n");
    for (act, by, code) in [("pause", "ann", 0), ("pause", "bob", 12), ("resume", "ann", 0)] {
        assert_eq!(site.ringmaster(&["act", act, ID, "--yes", "--by", by, "--why", "looked into it"]).0, code, "{act} by {by}");
    }
    assert_eq!(site.ringmaster(&["participant", "pause", "hotel", "--yes", "--by", "ann", "--why", "they move"]).0, 0);
    let of_saga: Vec<ActLine> = site
        .lines(&["act-list", "--saga", ID, "--json"])
        .into_iter()
        .map(|line| serde_json::from_value(line).expect("an act"))
        .collect();
    let told: Vec<_> = of_saga.iter().map(|act| (&*act.act, &*act.by, &*act.outcome, act.reason.as_deref())).collect();
    assert_eq!(
        told,
        [("resume", "ann", "done", None), ("pause", "bob", "rejected", Some("NOT_POSSIBLE")), ("pause", "ann", "done", None)]
    );
    // Where the journal has it, the story has it too; and what was done is seen by whoever asks for at least that.
    let newest = &of_saga[0];
    let offset = newest.offset.expect("it was taken");
    let page = site.page(&format!("id={ID}"));
    let turn = page.items.iter().find(|turn| turn.offset == offset).expect("its turn");
    assert!(turn.events.iter().any(|event| event.text.contains("ann acts: resume")), "{turn:?}");
    let (code, shown) = site.answer(&format!("/api/v1/saga?id={ID}&at_least={}:{offset}", newest.partition));
    assert!(code == 200 && shown["paused"].is_null() && shown["as_of_journal_offset"].as_i64() > Some(offset), "{shown}");
    // In each of the four partitions.
    let paused = site.lines(&["act-list", "--participant", "hotel", "--json"]);
    assert_eq!((paused.len(), &paused[0]["outcome"], &paused[0]["why"]), (4, &"done".into(), &"they move".into()));
    let table = site.said(&["act-list", "--by", "ann", "--since", "1d", "--limit", "5"]);
    assert!(
        table.contains("5 acts; there are older ones (--limit)") && table.contains("they move") && table.contains(ID),
        "{table}"
    );
    for (arguments, code, says) in [
        (&["act-list", "--since", "yesterday"][..], 2, "neither an age such as 2h nor a time"),
        (&["act-list", "--saga", "nonsense"], 2, "is not a saga id"),
    ] {
        let (exit, _, errors) = site.ringmaster(arguments);
        assert!(exit == code && errors.contains(says), "{arguments:?}: {exit} {errors}");
    }
    assert_eq!(coordinator.stop().0, Some(0));
}
