//! Rows and events in words: why a saga waits, which way it took, and what happened.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use ringmaster_core::saga::{Teller, Why, passed, why};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::DefinitionHash;
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{RowKey, Saga, Waits};

use super::line::{ALPHAS, BEGIN, Line};

const TRIP: &str = "
saga: trip
start: { on: Asked, from: alphas, key: event.id }
deadline: 3d
steps:
  - { step: tell, emit: Told, to: told, with: { id: key } }
  - { step: greet, if: has(start.vip), do: worker.Greet, with: { id: key }, undo: nothing }
  - { step: gift, if: has(start.gift), emit: Gift, to: told, with: { id: key } }
  - step: pay
    switch:
      - if: has(start.card)
        steps:
          - { step: charge, do: worker.Charge, undo: worker.Refund, with: { id: key }, retry: { attempts: 2, first: 1s, factor: 1, max: 1s } }
          - { step: note, emit: Noted, to: told, with: { id: key } }
      - if: has(start.voucher)
        steps:
          - step: both
            steps:
              - { step: look, emit: Looked, to: told, with: { id: key } }
              - { step: redeem, if: start.voucher == 'good', do: worker.Redeem, undo: worker.GiveBack, with: { id: key } }
      - else: []
  - { step: forbid, if: has(start.bad), refuse: BAD }
  - { step: ship, do: worker.Ship, with: { id: key }, pivot: true }
  - { step: bill, do: worker.Bill, with: { id: key } }
on_completed: { emit: Gone, to: ends, with: { id: key } }
on_compensated: { emit: Stayed, to: ends, with: { id: key, why: failure.code } }
";

/// What an order says beside its id.
pub(crate) fn line(says: &str) -> Line {
    let mut line = Line::of(TRIP, |_| {});
    line.put(ALPHAS, line.clocks.wall, Some("t"), &format!(r#"{{"id":"t"{says}}}"#));
    line.poll();
    line.acknowledge();
    line
}

pub(crate) fn answered(says: &str, answers: &[(&str, &str)]) -> Line {
    let mut line = line(says);
    answers.iter().for_each(|(key, outcome)| line.reply_to(&format!("trip/t/{key}"), outcome));
    line
}

pub(crate) fn time(at: Millis) -> String {
    format!("+{}ms", at - BEGIN)
}

impl Line {
    fn stored_saga(&mut self) -> Saga {
        if self.partition.dirty_count() > 0 {
            self.checkpoint();
        }
        let id = "trip/t".into();
        Saga::decode(&id, &self.rows[&RowKey::Saga(id.clone())]).expect("a row")
    }

    fn why(&mut self) -> Vec<Why> {
        let saga = self.stored_saga();
        let definition = self.catalog.by_hash(&saga.head.version()).expect("it is deployed");
        let leaves = why(definition, &saga);
        let open: Vec<(Waits, Millis)> =
            saga.entries.iter().filter(|entry| entry.open()).map(|entry| (entry.waits, entry.since)).collect();
        let told: Vec<(Waits, Millis)> = leaves.iter().map(|leaf| (leaf.waits, leaf.since)).collect();
        assert_eq!(told, open, "one reason for each open leaf");
        leaves
    }

    pub(crate) fn says_why(&mut self, expected: &Expect) {
        let mut out = String::new();
        for leaf in self.why() {
            let undo = if leaf.direction == Direction::Undo { " (undo)" } else { "" };
            let at = leaf.wakes_at.map_or_else(|| "never".to_owned(), time);
            writeln!(out, "{}{undo} waits for {} ({}), wakes {at}", leaf.step, leaf.what, leaf.waits).expect("memory");
            writeln!(out, "  {}", leaf.then).expect("memory");
            leaf.ways_out.iter().for_each(|way| writeln!(out, "  way out: {way}").expect("memory"));
        }
        expected.assert_eq(&out);
    }

    pub(crate) fn says_way(&mut self, expected: &Expect) {
        let saga = self.stored_saga();
        let definition = self.catalog.by_hash(&saga.head.version()).expect("it is deployed");
        let mut out = String::new();
        for (node, what) in passed(definition, &saga) {
            writeln!(out, "{}: {what:?}", definition.nodes[usize::from(node)].name).expect("memory");
        }
        expected.assert_eq(&out);
    }

    pub(crate) fn tells(&self, expected: &Expect) {
        let versions = |hash: &DefinitionHash| Some((&**self.catalog.by_hash(hash)?, self.catalog.number_of(hash)?));
        let (mut teller, mut told, mut out) = (Teller::new("trip/t", &versions, &time), Vec::new(), String::new());
        self.events_of("trip/t").iter().for_each(|event| teller.tell(event, &mut told));
        for one in told {
            writeln!(out, "{} [{}] {}", one.event, one.step.unwrap_or_default(), one.text).expect("memory");
        }
        expected.assert_eq(&out);
    }
}

const DONE: [(&str, &str); 3] = [("charge/do", "succeeded"), ("ship/do", "succeeded"), ("bill/do", "succeeded")];

#[test]
fn a_whole_saga_tells_its_way() {
    let mut line = answered(r#","card":1"#, &DONE);
    line.tells(&expect![[r#"
        started [] started by alphas/0/0 with version 1 (86e06d61a774), deadline +259200000ms
        emitted [tell] tell emits Told to told (key t, id tell)
        skipped [greet] greet is skipped
        skipped [gift] gift is skipped
        arm_taken [pay] pay takes arm 1 of 3
        asked [charge] charge asks worker.Charge: an answer is due +10000ms, tried until +300000ms
        succeeded [charge] charge succeeded
        emitted [note] note emits Noted to told (key t, id note)
        skipped [forbid] forbid is skipped
        asked [ship] ship asks worker.Ship: an answer is due +10000ms, tried until +86400000ms
        succeeded [ship] ship succeeded: the pivot is behind
        asked [bill] bill asks worker.Bill: an answer is due +10000ms, tried until +86400000ms
        succeeded [bill] bill succeeded
        completed [] completed; known until +604800000ms
        emitted [] its end emits Gone to ends (key t, id completed/0)
    "#]]);
    line.says_way(&expect![[r#"
        tell: Emitted
        greet: Skipped
        gift: EmittedOrSkipped
        pay: Arm(1)
        note: Emitted
        look: Skipped
        redeem: Skipped
        forbid: Skipped
    "#]]);
    assert_eq!(line.why(), [], "nothing of it waits");
}

#[test]
fn an_arm_that_leaves_no_trace_is_told_all_the_same() {
    let mut line = line(r#","gift":1"#);
    line.tells(&expect![[r#"
        started [] started by alphas/0/0 with version 1 (86e06d61a774), deadline +259200000ms
        emitted [tell] tell emits Told to told (key t, id tell)
        skipped [greet] greet is skipped
        emitted [gift] gift emits Gift to told (key t, id gift)
        arm_taken [pay] pay takes arm 3 of 3, else
        skipped [forbid] forbid is skipped
        asked [ship] ship asks worker.Ship: an answer is due +10000ms, tried until +86400000ms
    "#]]);
    line.says_way(&expect![[r#"
        tell: Emitted
        greet: Skipped
        gift: EmittedOrSkipped
        charge: Skipped
        note: EmittedOrSkipped
        look: EmittedOrSkipped
        redeem: Skipped
        forbid: Skipped
    "#]]);
    // The row does not know whether a group without entries emitted; the journal does.
    let mut line = answered(r#","voucher":"bad""#, &[]);
    line.tells(&expect![[r#"
        started [] started by alphas/0/0 with version 1 (86e06d61a774), deadline +259200000ms
        emitted [tell] tell emits Told to told (key t, id tell)
        skipped [greet] greet is skipped
        skipped [gift] gift is skipped
        arm_taken [pay] pay takes arm 2 of 3
        emitted [look] look emits Looked to told (key t, id look)
        skipped [redeem] redeem is skipped
        skipped [forbid] forbid is skipped
        asked [ship] ship asks worker.Ship: an answer is due +10000ms, tried until +86400000ms
    "#]]);
    line.says_way(&expect![[r#"
        tell: Emitted
        greet: Skipped
        gift: EmittedOrSkipped
        charge: Skipped
        note: EmittedOrSkipped
        look: EmittedOrSkipped
        redeem: Skipped
        forbid: Skipped
    "#]]);
    let mut line = answered(r#","voucher":"good""#, &[("redeem/do", "succeeded")]);
    line.says_way(&expect![[r#"
        tell: Emitted
        greet: Skipped
        gift: EmittedOrSkipped
        pay: Arm(2)
        charge: Skipped
        note: Skipped
        look: Emitted
        forbid: Skipped
    "#]]);
}

#[test]
fn what_undoes_tells_why() {
    let mut line = answered(r#","card":1,"bad":1"#, &[("charge/do", "succeeded")]);
    line.says_why(&expect![[r#"
        charge (undo) waits for the answer to attempt 1 of worker.Refund (reply), wakes +10000ms
          an answer of worker; without one in time it is asked again, as long as attempts and time are left, and then it is stuck
    "#]]);
    line.reply_to("trip/t/charge/undo", "refused");
    line.says_why(&expect![[r#"
        charge (undo) waits for a person (stuck), wakes never
          nothing by itself; a success of worker under the undo's key settles it, however late
          way out: see to it at worker that worker.Refund is done, and let it answer attempt 1 with success
          way out: ringmaster act retry trip/t --step 'charge' --why '...': it is asked again, under the same key and with a new budget
          way out: ringmaster act skip trip/t --step 'charge' --why '...': it counts as undone
          way out: ringmaster act resolve trip/t --step 'charge' --why '...': say in its participant's stead how it ended (--outcome succeeded|refused)
    "#]]);
    line.reply_to("trip/t/charge/undo", "succeeded");
    line.tells(&expect![[r#"
        started [] started by alphas/0/0 with version 1 (86e06d61a774), deadline +259200000ms
        emitted [tell] tell emits Told to told (key t, id tell)
        skipped [greet] greet is skipped
        skipped [gift] gift is skipped
        arm_taken [pay] pay takes arm 1 of 3
        asked [charge] charge asks worker.Charge: an answer is due +10000ms, tried until +300000ms
        succeeded [charge] charge succeeded
        emitted [note] note emits Noted to told (key t, id note)
        refused [forbid] forbid refuses: BAD: refused by the saga's definition
        compensation_began [forbid] the saga undoes: BAD: refused by the saga's definition (refused at forbid)
        undo_asked [charge] charge is to be undone: asks worker.Refund: an answer is due +10000ms, tried until +1800000ms
        stuck [charge] charge is stuck: NO
        undone [charge] charge is undone
        compensated [] compensated; known until +604800000ms
        emitted [] its end emits Stayed to ends (key t, id compensated/0)
    "#]]);
    line.says_way(&expect![[r#"
        tell: Emitted
        greet: Skipped
        gift: EmittedOrSkipped
        pay: Arm(1)
        note: Emitted
        look: Skipped
        redeem: Skipped
    "#]]);
}

#[test]
fn what_waits_for_an_answer_says_what_happens_without_one() {
    let mut line = line(r#","card":1"#);
    line.says_why(&expect![[r#"
        charge waits for the answer to attempt 1 of worker.Charge (reply), wakes +10000ms
          an answer of worker; without one in time it is asked again, as long as attempts and time are left, and then the saga undoes, this step too
    "#]]);
    line.pass(10_100);
    line.look();
    line.acknowledge();
    line.says_why(&expect![[r#"
        charge waits for the time of attempt 2 of worker.Charge (retry), wakes +11188ms
          time: it is asked again then; an answer of worker to an earlier attempt settles it too
    "#]]);
    line.pass(1_300);
    line.look();
    line.acknowledge();
    line.says_why(&expect![[r#"
        charge waits for the answer to attempt 2 of worker.Charge (reply), wakes +21400ms
          an answer of worker; without one in time the saga undoes, this step too
    "#]]);
    line.tells(&expect![[r#"
        started [] started by alphas/0/0 with version 1 (86e06d61a774), deadline +259200000ms
        emitted [tell] tell emits Told to told (key t, id tell)
        skipped [greet] greet is skipped
        skipped [gift] gift is skipped
        arm_taken [pay] pay takes arm 1 of 3
        asked [charge] charge asks worker.Charge: an answer is due +10000ms, tried until +300000ms
        retry_scheduled [charge] charge failed for now: TIMEOUT: no reply within the attempt's time; it is asked again +11188ms
        asked_again [charge] charge is asked again, attempt 2: an answer is due +21400ms
    "#]]);
}

#[test]
fn what_is_stuck_says_what_a_person_can_do() {
    let mut unknown = answered("", &[("ship/do", "failed")]);
    unknown.says_why(&expect![[r#"
        ship waits for a person (stuck), wakes never
          nothing by itself; an answer of worker under its key settles it, however late
          way out: find out at worker whether worker.Ship was done, and let it answer attempt 1 again
          way out: ringmaster act retry trip/t --step 'ship' --why '...': it is asked again, under the same key and with a new budget
          way out: ringmaster act resolve trip/t --step 'ship' --why '...': say in its participant's stead how it ended (--outcome succeeded|refused)
          way out: ringmaster act cancel trip/t --why '...': the saga is undone
    "#]]);
    let mut refused = answered("", &[("ship/do", "succeeded"), ("bill/do", "refused")]);
    refused.says_why(&expect![[r#"
        bill waits for a person (stuck), wakes never
          nothing by itself; a success of worker under its key is taken, however late
          way out: see to it at worker that worker.Bill is done after all, and let it answer with success
          way out: ringmaster act retry trip/t --step 'bill' --why '...': it is tried again in a new round, under a new key
          way out: ringmaster act skip trip/t --step 'bill' --why '...': it goes on without it, or with a value in its stead
          way out: ringmaster act resolve trip/t --step 'bill' --why '...': say in its participant's stead that it was done after all (--outcome succeeded)
    "#]]);
    refused.tells(&expect![[r#"
        started [] started by alphas/0/0 with version 1 (86e06d61a774), deadline +259200000ms
        emitted [tell] tell emits Told to told (key t, id tell)
        skipped [greet] greet is skipped
        skipped [gift] gift is skipped
        arm_taken [pay] pay takes arm 3 of 3, else
        skipped [forbid] forbid is skipped
        asked [ship] ship asks worker.Ship: an answer is due +10000ms, tried until +86400000ms
        succeeded [ship] ship succeeded: the pivot is behind
        asked [bill] bill asks worker.Bill: an answer is due +10000ms, tried until +86400000ms
        refused [bill] bill is refused: NO
        stuck [bill] bill is stuck: NO
    "#]]);
}

/// Of a saga whose beginning is gone everything is told that its events say.
#[test]
fn a_story_without_its_beginning_is_told() {
    let line = answered(r#","card":1"#, &DONE);
    let (mut teller, mut told) = (Teller::new("trip/t", &|_| None, &time), Vec::new());
    line.events_of("trip/t").iter().skip(4).for_each(|event| teller.tell(event, &mut told));
    let texts: Vec<String> = told.into_iter().map(|one| one.text).collect();
    expect![[r#"
        charge asks worker.Charge: an answer is due +10000ms, tried until +300000ms
        charge succeeded
        node 7 emits Noted to told (key t, id note)
        node 14 is skipped
        ship asks worker.Ship: an answer is due +10000ms, tried until +86400000ms
        ship succeeded: the pivot is behind
        bill asks worker.Bill: an answer is due +10000ms, tried until +86400000ms
        bill succeeded
        completed; known until +604800000ms
        its end emits Gone to ends (key t, id completed/0)"#]]
    .assert_eq(&texts.join("\n"));
}
