//! Events that sagas wait for: each goes to the saga that it is for, by its definition and key, and waits for it where it comes early.

use expect_test::expect;
use ringmaster_core::partition::Role;
use ringmaster_schemas::journal::{Change, QuarantineReason, RejectionReason, SagaEvent};
use ringmaster_schemas::state::{Index, RowKey, Saga, Status, index_keys};

use super::line::{ALPHAS, BEGIN, BETAS, Line};

const TRIP: &str = "
saga: trip
start: { on: Asked, from: alphas, key: event.id }
cancel: { on: Stopped, from: betas, key: event.trip }
steps:
  - { step: hold, do: worker.Hold, undo: worker.Drop, with: { id: key } }
  - { step: paid, wait: Paid, from: betas, key: event.trip, if: event.amount >= start.price, within: 2h, keep: 3h }
  - { step: use, do: worker.Use, with: { amount: steps.paid.amount, note: steps.paid.note }, undo: nothing }
";
const HOUR: i64 = 3_600_000;

fn line() -> Line {
    Line::of(TRIP, |settings| settings.inputs[BETAS].role = Role::Events { type_field: "type".into(), default_type: None })
}

impl Line {
    fn begins(&mut self) {
        self.put(ALPHAS, self.clocks.wall, Some("t"), r#"{"id":"t","price":10}"#);
        self.look();
    }

    fn comes(&mut self, event: &str) {
        self.put(BETAS, self.clocks.wall, None, event);
        self.look();
    }

    fn paid(&mut self, amount: i64) {
        self.comes(&format!(r#"{{"type":"Paid","trip":"t","amount":{amount},"note":"n","other":"{}"}}"#, "x".repeat(50)));
    }

    fn row(&mut self) -> Saga {
        self.checkpoint();
        let id = "trip/t".into();
        Saga::decode(&id, &self.rows[&RowKey::Saga(id.clone())]).expect("a row")
    }

    fn quarantined_last(&self) -> Option<QuarantineReason> {
        self.quarantined().last().map(|quarantined| quarantined.reason)
    }
}

#[test]
fn an_event_goes_to_the_saga_that_waits_for_it() {
    let mut line = line();
    line.begins();
    line.reply_to("trip/t/hold/do", "succeeded");
    line.says_why(&expect![[r#"
        paid waits for Paid on betas (event), wakes +7200000ms
          the event with this saga's key for which its if is true; when its time is over, it is refused with EXPIRED
    "#]]);
    line.comes(r#"{"type":"Paid","trip":"u","amount":99}"#);
    line.paid(3);
    assert_eq!((line.counters.unexpected, line.counters.quarantined), (1, 0), "one that does not fit, and no other wait comes");
    line.paid(12);
    let asked = line.events().into_iter().find_map(|event| match event {
        SagaEvent::CommandIssued { order, .. } => Some(String::from_utf8_lossy(order.body()).into_owned()),
        _ => None,
    });
    assert_eq!(asked.as_deref(), Some(r#"{"amount":12,"note":"n"}"#), "{:?}", line.events());
    line.paid(13);
    assert_eq!(line.counters.unexpected, 2);
    line.tells(&expect![[r#"
        started [] started by alphas/0/0 with version 1 (b5fb2288e1bb)
        asked [hold] hold asks worker.Hold: an answer is due +10000ms, tried until +300000ms
        succeeded [hold] hold succeeded
        waits [paid] paid waits for Paid, until +7200000ms
        event_taken [paid] paid has its event betas/0/2
        asked [use] use asks worker.Use: an answer is due +10000ms, tried until +300000ms
    "#]]);
}

/// What came before its saga is kept under the saga's id, in memory, in the store, and by replay.
#[test]
fn what_comes_before_its_saga_outlives_the_coordinator() {
    for restart in ["none", "with a checkpoint", "by replay alone"] {
        let mut line = line();
        line.paid(12);
        line.comes(r#"{"type":"Paid","trip":"t","amount":4}"#);
        if restart == "with a checkpoint" {
            let row = line.row();
            assert_eq!((row.status, row.early().len(), row.due_at()), (Status::Expected, 2, i64::MAX));
            assert!(index_keys(&row).place(Index::Expiry).is_some(), "it goes by itself");
        }
        if restart != "none" {
            line.restart(|_| {});
            line.own();
        }
        line.begins();
        let kept = line.events().iter().filter(|event| matches!(event, SagaEvent::EventKept { .. })).count();
        assert_eq!(kept, 2, "{restart}: {:?}", line.events());
        line.reply_to("trip/t/hold/do", "succeeded");
        let took = line.events().iter().any(|event| matches!(event, SagaEvent::EventTaken { event, .. } if event.early));
        assert!(took, "{restart}: {:?}", line.events());
        assert_eq!(line.row().early().len(), 1, "what does not fit stays");
    }
}

/// What is only expected is no saga: it answers nothing, and is forgotten when nothing of it is kept any more.
#[test]
fn what_is_expected_is_no_saga() {
    let mut line = line();
    line.paid(12);
    line.reply_to("trip/t/hold/do", "succeeded");
    assert!(matches!(line.turned_down(), Some((RejectionReason::UnknownSaga, _))), "{:?}", line.turned_down());
    line.checkpoint();
    line.pass(3 * HOUR + 2 * HOUR);
    line.look();
    line.begins();
    assert!(matches!(line.events()[..], [SagaEvent::Started { .. }, SagaEvent::CommandIssued { .. }]), "{:?}", line.events());
}

#[test]
fn a_cancel_that_comes_before_its_saga_cancels_it() {
    let mut line = line();
    line.comes(r#"{"type":"Stopped","trip":"t"}"#);
    line.begins();
    let events = line.events();
    let ends =
        matches!(events[..], [SagaEvent::Started { .. }, SagaEvent::CompensationBegan { .. }, SagaEvent::Compensated { .. }]);
    assert!(ends, "{events:?}");
}

#[test]
fn an_event_is_for_each_definition_that_listens_and_for_the_versions_of_its_sagas() {
    let mut line = line();
    line.begins();
    line.reply_to("trip/t/hold/do", "succeeded");
    // The newest version has another key, and another definition waits for the same event.
    line.deploy(&TRIP.replace("key: event.trip, if", "key: event.journey, if"));
    line.deploy(
        "
saga: bill
start: { on: Asked, from: alphas, key: event.id }
steps:
  - { step: paid, wait: Paid, from: betas, key: event.bill, within: 2h }
",
    );
    line.comes(r#"{"type":"Paid","trip":"t","journey":"j","bill":"b","amount":12,"note":""}"#);
    let sagas: Vec<String> = line
        .changes()
        .into_iter()
        .filter_map(|change| match change {
            Change::Saga(saga) => Some(saga.saga.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(sagas, ["trip/t", "trip/j", "bill/b"], "the one that lives by its version, the others are expected");
}

#[test]
fn what_cannot_be_used_goes_to_quarantine_and_stops_nobody() {
    let mut line = line();
    line.begins();
    line.reply_to("trip/t/hold/do", "succeeded");
    line.comes(r#"{"type":"Paid","amount":12}"#);
    assert_eq!(line.quarantined_last(), Some(QuarantineReason::ExpressionFailed));
    line.comes(r#"{"type":"Paid","trip":"","amount":12}"#);
    assert_eq!(line.quarantined_last(), Some(QuarantineReason::KeyInvalid));
    line.comes(r#"{"trip":"t","amount":12}"#);
    assert_eq!(line.quarantined_last(), Some(QuarantineReason::TypeUnknown));
    line.comes(r#"{"type":"Other","trip":"t","amount":12}"#);
    assert_eq!(line.quarantined().len(), 3, "a type that nobody names is skipped");
    line.paid(12);
    assert!(matches!(line.events()[..], [SagaEvent::EventTaken { .. }, SagaEvent::CommandIssued { .. }]), "{:?}", line.events());
}

/// A topic that is read again from its beginning wakes nobody up: what is older than it would be kept is left alone.
#[test]
fn what_is_old_is_not_kept_for_a_saga_that_is_gone() {
    let mut line = line();
    line.pass(10 * HOUR);
    line.put(BETAS, BEGIN, None, r#"{"type":"Paid","trip":"t","amount":12}"#);
    line.look();
    assert_eq!(line.counters.unexpected, 1);
    line.begins();
    assert!(matches!(line.events()[..], [SagaEvent::Started { .. }, SagaEvent::CommandIssued { .. }]), "{:?}", line.events());
}

#[test]
fn a_hundred_events_wait_and_no_more() {
    let mut line = line();
    for amount in 0..101 {
        line.comes(&format!(r#"{{"type":"Paid","trip":"t","amount":{amount}}}"#));
    }
    assert!(matches!(line.turned_down(), Some((RejectionReason::TooManyEarly, _))), "{:?}", line.turned_down());
    assert_eq!(line.row().early().len(), 100);
}

/// The wait runs out only when nothing that was sent before lies unread.
#[test]
fn a_wait_does_not_run_out_before_unread_events() {
    let mut line = line();
    line.begins();
    line.reply_to("trip/t/hold/do", "succeeded");
    line.pass(2 * HOUR + 50);
    line.poll();
    // One more record is in the topics.
    line.answer(1);
    line.poll();
    assert_eq!(line.counters.timers, 0, "it may be the event");
    line.paid(12);
    assert!(matches!(line.events()[..], [SagaEvent::EventTaken { .. }, SagaEvent::CommandIssued { .. }]), "{:?}", line.events());
}
