//! Which acts are found, in which order, and what is said to have become of them.

use ringmaster_bus::Specification;
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_schemas::journal::{
    Cause, Change, Claim, Decision, InputCopy, JournalRecord, Rejected, RejectionReason, Stamp, TopicId, Turn,
};
use serde_json::json;

use super::*;

const P: i32 = 2;

/// A control topic and a journal, and a clock.
struct Site {
    broker: SimBroker,
    bus: SimBus,
    topics: Topics,
    control: TopicId,
    now: Millis,
    /// Of each partition: its newest claim, and the number that counts next.
    terms: [(i64, u8, i64); P as usize],
}

impl Site {
    fn new() -> Site {
        let (broker, topics) = (SimBroker::new(1, 1_000_000, Faults::none()), Topics::new("ringmaster"));
        let mut bus = broker.client();
        for name in [&topics.control, &topics.journal] {
            bus.create(&Specification { name: name.clone(), partitions: P, replication: 1, settings: vec![] }).expect("made");
        }
        let control = bus.describe(&[&topics.control]).expect("it answers").remove(0).expect("it is there").id;
        let mut site = Site { broker, bus, topics, control, now: 1_000_000, terms: [(0, 0, 0); P as usize] };
        (0..P).for_each(|partition| site.claim(partition));
        site
    }

    fn journal(&self, partition: i32, record: &JournalRecord) -> i64 {
        self.broker.put(&self.topics.journal, partition, None, &record.encode())
    }

    fn claim(&mut self, partition: i32) {
        let id = self.terms[partition as usize].1 + 1;
        let claim = Claim { id: [id; 16], owner: "test".into(), address: "".into(), partitions: P, now: 0 };
        let offset = self.journal(partition, &JournalRecord::Claim(claim));
        self.terms[partition as usize] = (offset, id, 0);
    }

    fn pass(&mut self, ms: Millis) {
        self.now += ms;
        self.broker.advance(self.now);
    }

    /// An act that nobody has taken.
    fn sent(&self, partition: i32, saga: &str, by: &str) -> i64 {
        let act = json!({ "id": format!("{saga} {by}"), "saga": saga, "act": "cancel", "by": by, "why": "asked for" });
        self.broker.put(&self.topics.control, partition, None, act.to_string().as_bytes())
    }

    /// The turn that took what stands there, under a term.
    fn taken_under(
        &mut self,
        partition: i32,
        next: i64,
        (claim_offset, id, number): (i64, u8, i64),
        rejected: Option<&str>,
    ) -> i64 {
        let raw = self.broker.log(&self.topics.control, partition)[next as usize - 1].value.clone();
        let rejection = |detail: &str| {
            Change::Rejected(Rejected { saga: "trip/t".into(), reason: RejectionReason::MovedOn, detail: detail.into() })
        };
        let changes = rejected.map(rejection).into_iter().collect();
        let cause = Cause::Input { topic: 1, next };
        let turns = vec![Turn { cause, input: Some(InputCopy { schema: 0, raw: raw.into() }), changes }];
        let stamp = Stamp { claim_offset, claim: [id; 16], number, released: 0, now: self.now };
        self.journal(partition, &JournalRecord::Decision(Decision { stamp, topics: vec![[7; 16], self.control], turns }))
    }

    fn taken(&mut self, partition: i32, offset: i64, rejected: Option<&str>) -> i64 {
        let term = self.terms[partition as usize];
        self.terms[partition as usize].2 += 1;
        self.taken_under(partition, offset + 1, term, rejected)
    }

    /// Other turns.
    fn others(&mut self, partition: i32, count: usize) {
        for _ in 0..count {
            let (claim_offset, id, number) = self.terms[partition as usize];
            self.terms[partition as usize].2 += 1;
            let stamp = Stamp { claim_offset, claim: [id; 16], number, released: 0, now: self.now };
            let turns = vec![Turn { cause: Cause::Input { topic: 0, next: 5 }, input: None, changes: vec![] }];
            self.journal(partition, &JournalRecord::Decision(Decision { stamp, topics: vec![[7; 16]], turns }));
        }
    }

    fn page(&mut self, filter: &Filter, bounds: Bounds, from: Option<Place>) -> ActPage {
        let partitions: Vec<i32> = (0..P).collect();
        page(&mut self.bus, &self.topics, &Asked { partitions: &partitions, filter, from, bounds }).expect("it can be read")
    }

    /// Page after page.
    fn all(&mut self, filter: &Filter, bounds: Bounds) -> (Vec<ActLine>, usize) {
        let (mut all, mut from, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = self.page(filter, bounds, from);
            assert!(page.items.len() <= bounds.acts, "{page:?}");
            all.extend(page.items);
            pages += 1;
            let Some(cursor) = page.next_cursor else { return (all, pages) };
            from = Some(Place::read(&cursor, filter).expect("its own"));
        }
    }
}

/// As much as there is.
const ALL: Bounds = Bounds { acts: 1_000, control: 100_000, journal: 1_000_000, time: Duration::from_secs(600) };

fn outcomes(acts: &[ActLine]) -> Vec<(&str, &str, Option<i64>)> {
    acts.iter().map(|act| (act.saga.as_deref().unwrap_or_default(), &*act.outcome, act.offset)).collect()
}

#[test]
fn acts_are_told_with_what_became_of_them() {
    let mut site = Site::new();
    let mut expected = Vec::new();
    for number in 0..40 {
        let partition = number % P;
        let id = format!("trip/t-{number}");
        let offset = site.sent(partition, &id, if number % 4 == 0 { "bob" } else { "ann" });
        site.pass(700);
        site.others(partition, 3);
        let rejected = (number % 3 == 0).then_some("it has moved on");
        let at = site.taken(partition, offset, rejected);
        expected.push((id, if rejected.is_some() { "rejected" } else { "done" }, Some(at)));
    }
    site.sent(0, "trip/open", "ann");
    expected.push(("trip/open".to_owned(), "open", None));
    expected.reverse();
    let expected: Vec<_> = expected.iter().map(|(id, outcome, at)| (&**id, *outcome, *at)).collect();
    let (all, pages) = site.all(&Filter::default(), ALL);
    assert_eq!((outcomes(&all), pages), (expected.clone(), 1));
    let oldest = all.last().expect("one");
    assert_eq!(
        (&*oldest.by, &*oldest.why, &*oldest.act, oldest.reason.as_deref()),
        ("bob", "asked for", "cancel", Some("MOVED_ON"))
    );
    assert_eq!((oldest.partition, oldest.control_offset, oldest.act_id.as_deref()), (0, 0, Some("trip/t-0 bob")));
    // However little each page reads, all are told once, in order.
    for (acts, control, journal) in [(1, 100_000, 1_000_000), (7, 100_000, 1_000_000), (1_000, 1, 1_000_000), (1_000, 100_000, 40)]
    {
        let (told, pages) = site.all(&Filter::default(), Bounds { acts, control, journal, ..ALL });
        assert_eq!(outcomes(&told), expected, "{acts} acts, {control} records, {journal} of the journal");
        assert!(pages > 5, "{pages} pages of {acts} acts, {control} records, {journal} of the journal");
    }
    for (filter, count) in [
        (Filter { by: Some("bob".to_owned()), ..Filter::default() }, 10),
        (Filter { saga: Some("trip/t-7".to_owned()), ..Filter::default() }, 1),
        (Filter { saga: Some("trip/t-7".to_owned()), by: Some("bob".to_owned()), ..Filter::default() }, 0),
        (Filter { participant: Some("hotel".to_owned()), ..Filter::default() }, 0),
        (Filter { since: Some(site.now - 700 * 10), ..Filter::default() }, 11),
    ] {
        assert_eq!(site.all(&filter, ALL).0.len(), count, "{filter:?}");
        assert_eq!(site.all(&filter, Bounds { acts: 3, control: 5, ..ALL }).0.len(), count, "{filter:?}, in pages");
    }
}

/// What an owner wrote that was none any more, and what stands far from where clocks say, are not taken for what became of an act.
#[test]
fn only_what_counts_became_of_an_act() {
    let mut site = Site::new();
    let offset = site.sent(0, "trip/t", "ann");
    site.others(0, 1);
    let old = site.terms[0];
    site.claim(0);
    site.taken_under(0, offset + 1, old, Some("by nobody"));
    let at = site.taken(0, offset, None);
    let second = site.sent(0, "trip/u", "ann");
    let late = site.taken(0, second, None);
    let (all, _) = site.all(&Filter::default(), ALL);
    assert_eq!(outcomes(&all), [("trip/u", "done", Some(late)), ("trip/t", "done", Some(at))]);
    // Whoever sent it has a clock that is half a minute ahead, or more than the minute that is looked back.
    for (ahead, outcome) in [(30_000, "done"), (600_000, "unknown")] {
        let mut site = Site::new();
        site.taken_before(ahead);
        let page = site.page(&Filter::default(), ALL, None);
        let told: Vec<&str> = page.items.iter().map(|act| &*act.outcome).collect();
        assert_eq!(told, ["done", outcome], "{ahead} ms ahead: {page:?}");
    }
}

impl Site {
    /// An act whose turn seems to have come before it was sent, and another one behind it.
    fn taken_before(&mut self, ahead: Millis) {
        // Its record is not there yet: the turn names the offset that it will have.
        let (claim_offset, id, number) = self.terms[0];
        let turn = Turn { cause: Cause::Input { topic: 0, next: 1 }, input: None, changes: vec![] };
        let stamp = Stamp { claim_offset, claim: [id; 16], number, released: 0, now: self.now };
        self.terms[0].2 += 1;
        self.journal(0, &JournalRecord::Decision(Decision { stamp, topics: vec![self.control], turns: vec![turn] }));
        self.pass(ahead);
        self.sent(0, "trip/t", "ann");
        let second = self.sent(0, "trip/u", "ann");
        self.taken(0, second, None);
    }
}

#[test]
fn a_participant_and_what_is_no_act_are_told_too() {
    let mut site = Site::new();
    let pause = json!({ "participant": "hotel", "act": "pause", "by": "ann", "why": "they move" }).to_string();
    for partition in 0..P {
        let offset = site.broker.put(&site.topics.control, partition, None, pause.as_bytes());
        site.taken(partition, offset, None);
    }
    site.pass(10);
    site.broker.put(&site.topics.control, 0, None, b"nonsense");
    let (all, _) = site.all(&Filter::default(), ALL);
    let told: Vec<_> = all.iter().map(|act| (&*act.act, act.participant.as_deref(), &*act.outcome)).collect();
    assert_eq!(told[0], ("unreadable", None, "open"));
    assert_eq!(told[1..], [("pause", Some("hotel"), "done"); P as usize]);
    let of_hotel = Filter { participant: Some("hotel".to_owned()), ..Filter::default() };
    assert_eq!(site.all(&of_hotel, ALL).0.len(), P as usize);
    let cursor = site.page(&of_hotel, Bounds { acts: 1, ..ALL }, None).next_cursor.expect("there is more");
    assert_eq!(Place::read(&cursor, &Filter::default()), None, "a cursor is of one filter");
}
