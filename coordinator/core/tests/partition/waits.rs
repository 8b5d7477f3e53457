//! Sleeps and approvals in a partition: timers wake them, acts answer them, and a row says what it waits for.

use expect_test::expect;
use ringmaster_core::partition::Role;
use ringmaster_schemas::journal::{RejectionReason, SagaEvent};

use super::acts::CONTROL;
use super::line::{ALPHAS, Line};

const TRIP: &str = "
saga: trip
start: { on: Asked, from: alphas, key: event.id }
steps:
  - { step: rest, sleep: 2h }
  - step: ask
    approval: { role: start.id + '-desk' }
    show: { id: key, price: start.price }
    within: 3h
    escalate: [ { after: 1h, to: boss } ]
  - { step: use, do: worker.Use, with: { by: steps.ask.by, note: steps.ask.note, at: steps.ask.at }, undo: nothing }
  - { step: nap, sleep: now + duration('20h'), within: 10h }
";
const HOUR: i64 = 3_600_000;

fn line() -> Line {
    let mut line = Line::of(TRIP, |settings| settings.inputs[CONTROL].role = Role::Control);
    line.put(ALPHAS, line.clocks.wall, Some("t"), r#"{"id":"t","price":"9.50"}"#);
    line.poll();
    line.acknowledge();
    line
}

impl Line {
    fn wakes_after(&mut self, ms: i64) {
        // Timers fire by ticks.
        self.pass(ms + 50);
        self.look();
    }

    fn answers(&mut self, act: &str) {
        let act = format!(r#"{{"saga":"trip/t","by":"ann","why":"a good guest",{act}}}"#);
        self.put(CONTROL, self.clocks.wall, Some("t"), &act);
        self.poll();
        self.acknowledge();
    }
}

#[test]
fn a_row_says_that_it_sleeps_and_for_whose_answer_it_waits() {
    let mut line = line();
    line.says_why(&expect![[r#"
        rest waits for its time (time), wakes +7200000ms
          time: it goes on then
    "#]]);
    line.wakes_after(2 * HOUR);
    line.says_why(&expect![[r#"
        ask waits for an approval: t-desk may answer (approval), wakes +10800050ms
          the first answer, yes or no; when its time is over, boss may answer too
          way out: ringmaster act approve trip/t --step 'ask' --why '...': it goes on, with this answer as its result
          way out: ringmaster act refuse trip/t --step 'ask' --why '...': it is refused with REFUSED
    "#]]);
    line.wakes_after(HOUR);
    line.says_why(&expect![[r#"
        ask waits for an approval: t-desk or boss may answer (approval), wakes +18000050ms
          the first answer, yes or no; when its time is over, it is refused with EXPIRED
          way out: ringmaster act approve trip/t --step 'ask' --why '...': it goes on, with this answer as its result
          way out: ringmaster act refuse trip/t --step 'ask' --why '...': it is refused with REFUSED
    "#]]);
    line.answers(r#""act":"approve""#);
    line.reply_to("trip/t/use/do", "succeeded");
    line.says_why(&expect![[r#"
        nap waits for its time (time), wakes +46800100ms
          time: its within is over before its sleep, and it is refused with EXPIRED
    "#]]);
    line.wakes_after(10 * HOUR);
    line.tells(&expect![[r#"
        started [] started by alphas/0/0 with version 1 (8aba8d26bbcb)
        sleeps [rest] rest sleeps: it wakes +7200000ms
        succeeded [rest] rest succeeded
        approval_asked [ask] ask asks for approval: t-desk may answer, until +10800050ms
        escalated [ask] ask has no answer yet: boss may answer too, until +18000050ms
        acted [] ann acts: approve (a good guest)
        succeeded [ask] ask succeeded
        asked [use] use asks worker.Use: an answer is due +10810100ms, tried until +11100100ms
        succeeded [use] use succeeded
        sleeps [nap] nap sleeps: its within is over +46800100ms
        refused [nap] nap is refused: EXPIRED: its within was over before its sleep
        compensation_began [nap] the saga undoes: EXPIRED: its within was over before its sleep (expired at nap)
        compensated [] compensated; known until +651600150ms
    "#]]);
}

/// A timer fires once, whoever owns the partition by then.
#[test]
fn a_sleep_and_an_approval_outlive_the_coordinator() {
    let mut line = line();
    line.checkpoint();
    line.restart(|_| {});
    line.own();
    line.wakes_after(2 * HOUR);
    assert!(matches!(line.events()[..], [SagaEvent::Succeeded { .. }, SagaEvent::Entered { .. }]), "{:?}", line.events());
    line.checkpoint();
    line.restart(|_| {});
    line.own();
    line.wakes_after(HOUR);
    assert!(matches!(line.events()[..], [SagaEvent::Escalated { .. }]), "{:?}", line.events());
    line.restart(|_| {});
    line.own();
    line.wakes_after(2 * HOUR);
    let ends = matches!(
        line.events()[..],
        [SagaEvent::Refused { .. }, SagaEvent::CompensationBegan { .. }, SagaEvent::Compensated { .. }]
    );
    assert!(ends, "{:?}", line.events());
}

#[test]
fn an_approval_is_answered_once_by_those_who_are_asked() {
    let mut line = line();
    let is = |line: &Line, words: &str| {
        let (reason, detail) = line.turned_down().expect("it is rejected");
        assert!(reason == RejectionReason::NotAsked && detail.contains(words), "{reason}: {detail}");
    };
    line.answers(r#""act":"approve""#);
    is(&line, "was not asked for yet");
    line.wakes_after(2 * HOUR);
    line.answers(r#""act":"refuse","step":"rest""#);
    is(&line, "step 'rest' waits for no approval; waiting: ask");
    line.answers(r#""act":"approve","step":"ask""#);
    let asked = line.events().into_iter().find_map(|event| match event {
        SagaEvent::CommandIssued { order, .. } => Some(String::from_utf8_lossy(order.body()).into_owned()),
        _ => None,
    });
    let body = asked.expect("it goes on");
    assert!(body.starts_with(r#"{"by":"ann","note":"a good guest","at":"20"#), "{body}");
    line.answers(r#""act":"refuse","step":"ask""#);
    is(&line, "it has one");
}
