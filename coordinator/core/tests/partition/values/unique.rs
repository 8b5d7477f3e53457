//! Values that one saga has alone: claimed before anything of it begins, and given back when it has ended.

use ringmaster_core::saga::why;
use ringmaster_schemas::journal::{Letter, SagaEvent, ValueName};
use ringmaster_schemas::state::{Saga, Status};

use super::post::Post;
use super::{HOUR, in_partition};
use crate::line::without;

const DEFINITIONS: &str = "
saga: goods
start: { on: Asked, from: alphas, key: event.id }
deadline: 30h
retain: 2h
search: { who: { value: start.who, unique: true }, note: { value: start.?note, unique: true }, n: size(start.who) }
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest, timeout: 10s }
  - { step: end, do: helper.End, pivot: true, timeout: 10s }
on_compensated: { emit: Denied, to: ends, with: { why: failure.code, what: failure.step } }
";

fn asked(key: &str, who: &str, more: &str) -> String {
    format!(r#"{{"type":"Asked","id":"{key}","who":"{who}"{more}}}"#)
}

fn id_of(value: &str) -> String {
    ValueName { topic: "".into(), kind: "goods".into(), field: "who".into(), value: value.into() }.id()
}

impl Post {
    fn asks(&mut self, key: &str, who: &str) {
        self.begin(key, &asked(key, who, ""));
    }

    fn saga(&mut self, key: &str) -> Saga {
        self.row(&format!("goods/{key}")).expect("it began")
    }

    /// Who has the value.
    fn owner(&mut self, who: &str) -> Option<String> {
        let row = self.row(&id_of(who))?;
        row.mailbox()?.holder.as_ref().map(|claim| claim.row.to_string())
    }

    /// Commands that a saga has sent.
    fn sent(&self, key: &str) -> usize {
        let is_command = |event: &&SagaEvent| matches!(event, SagaEvent::CommandIssued { .. });
        self.events_of(&format!("goods/{key}")).iter().filter(is_command).count()
    }

    fn ends_well(&mut self, key: &str) {
        for step in ["task", "end"] {
            self.reply(&format!("goods/{key}/{step}/do"), "succeeded", "{}");
        }
        self.settle();
        assert_eq!(self.saga(key).status, Status::Completed);
    }
}

/// Every place of saga and value to each other.
#[test]
fn nothing_begins_before_the_value_is_its_own() {
    for (saga, value) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut post = Post::of(DEFINITIONS);
        let (key, who) = (in_partition("k", saga, 0), in_partition("c", value, 0));
        post.asks(&key, &who);
        assert_eq!(post.sent(&key), 0, "nobody has answered");
        let row = post.saga(&key);
        let definition = post.lines[0].catalog.newest("goods").expect("it is deployed");
        let why = why(definition, &row);
        let [leaf] = &why[..] else { panic!("{why:?}") };
        assert_eq!((leaf.step.as_str(), leaf.what.clone()), ("search.who", format!("its claim of who={who}")));
        assert!(row.due_at() < i64::MAX, "an index finds it");
        post.settle();
        assert_eq!((post.sent(&key), post.owner(&who)), (1, Some(format!("goods/{key}"))));
        post.ends_well(&key);
        assert_eq!(post.owner(&who), None, "it is free when the saga has ended");
        assert_eq!(post.saga(&key).claims(), []);
        post.replays();
    }
    without("unique_started_before_answer", || {
        let mut post = Post::of(DEFINITIONS);
        post.asks("k", "c");
        assert_eq!(post.sent("k"), 1);
    });
}

/// A second saga with the value ends refused, and nothing of it was begun; behind the first it is free.
#[test]
fn a_value_that_a_live_saga_has_is_refused_to_another() {
    let plays = || {
        let mut post = Post::of(DEFINITIONS);
        let who = in_partition("c", 1, 0);
        let [one, two, three] = [0, 1, 2].map(|nth| in_partition("k", nth % 2, nth as usize));
        post.asks(&one, &who);
        post.settle();
        post.asks(&two, &who);
        post.settle();
        let row = post.saga(&two);
        let failure = row.failure.as_ref().expect("it was refused");
        assert_eq!((row.status, &*failure.code, &*failure.step), (Status::Compensated, "VALUE_TAKEN", "search.who"));
        assert_eq!(&*failure.message, format!("another saga of goods that has not ended has who={who}"));
        assert_eq!(post.sent(&two), 0);
        let told = post.events_of(&format!("goods/{two}")).into_iter().find_map(|event| match event {
            SagaEvent::Compensated { emissions, .. } => Some(String::from_utf8_lossy(&emissions[0].body).into_owned()),
            _ => None,
        });
        assert_eq!(told.as_deref(), Some(r#"{"why":"VALUE_TAKEN","what":"search.who"}"#));
        assert_eq!(post.owner(&who), Some(format!("goods/{one}")));
        post.ends_well(&one);
        post.asks(&three, &who);
        post.settle();
        let sent = post.sent(&three);
        post.replays();
        sent
    };
    assert_eq!(plays(), 1, "it is free");
    without("unique_not_released", || assert_eq!(plays(), 0));
}

/// However it ends, its value is free: at once where it has not begun, when all is undone where it has.
#[test]
fn a_saga_that_is_undone_gives_its_value_back_in_the_end() {
    for how in ["cancelled before the answer", "expired", "cancelled", "refused", "deadline"] {
        let mut post = Post::of(DEFINITIONS);
        let (key, who) = (in_partition("k", 0, 0), in_partition("c", 1, 0));
        post.asks(&key, &who);
        let answer = match how {
            "cancelled before the answer" => {
                post.collect();
                for (to, bytes) in std::mem::take(&mut post.mail) {
                    post.bring(to, &bytes);
                }
                post.collect();
                let late = std::mem::take(&mut post.mail);
                post.cancel(&key);
                late
            }
            "expired" => {
                // The value's partition is down for a day.
                post.collect();
                let late = std::mem::take(&mut post.mail);
                post.pass(25 * HOUR);
                late
            }
            _ => {
                post.settle();
                match how {
                    "cancelled" => post.cancel(&key),
                    "refused" => {}
                    _ => post.pass(31 * HOUR),
                }
                let outcome = if how == "refused" { "refused" } else { "succeeded" };
                post.settle();
                if how != "refused" {
                    assert_eq!(post.owner(&who), Some(format!("goods/{key}")), "{how}: it is undone still");
                }
                post.reply(&format!("goods/{key}/task/do"), outcome, "{}");
                post.reply(&format!("goods/{key}/task/undo"), "succeeded", "{}");
                Vec::new()
            }
        };
        post.settle();
        answer.iter().for_each(|(to, bytes)| post.bring(*to, bytes));
        post.settle();
        let row = post.saga(&key);
        assert_eq!((row.status, row.claims().len()), (Status::Compensated, 0), "{how}");
        assert_eq!(post.owner(&who), None, "{how}");
        let begun = usize::from(!matches!(how, "cancelled before the answer" | "expired"));
        assert_eq!(post.sent(&key), begun, "{how}: an answer that comes late begins nothing");
        post.replays();
    }
}

/// Several values are claimed one behind the other; what is absent, or empty, is nobody's.
#[test]
fn each_value_is_claimed_and_what_is_absent_is_not() {
    let mut post = Post::of(DEFINITIONS);
    let [one, two, three] = [0, 1, 2].map(|nth| in_partition("k", nth % 2, nth as usize));
    post.begin(&one, &asked(&one, "c-1", r#","note":"n""#));
    post.settle();
    assert_eq!((post.sent(&one), post.saga(&one).claims().len()), (1, 2));
    post.begin(&two, &asked(&two, "c-2", r#","note":"n""#));
    post.settle();
    assert_eq!((post.saga(&two).status, post.sent(&two)), (Status::Compensated, 0));
    assert_eq!(post.owner("c-2"), None, "what it had by then is free");
    post.begin(&three, &asked(&three, "", ""));
    assert_eq!((post.sent(&three), post.saga(&three).claims().len()), (1, 0), "it waits for nobody");
    post.replays();
}

/// Letters come as often, as late and in whatever order they like, and whatever stops between two of them: one saga has the value.
#[test]
fn letters_and_crashes_at_any_moment_leave_one_owner_and_then_none() {
    let plays = |copies: usize, in_order: bool, crash: Option<(usize, usize, bool)>| {
        let mut post = Post { copies, in_order, ..Post::of(DEFINITIONS) };
        let who = in_partition("c", 1, 0);
        let (one, two) = (in_partition("k", 0, 0), in_partition("k", 1, 0));
        post.asks(&one, &who);
        post.asks(&two, &who);
        for round in 0..4 {
            if let Some((moment, at, has_store)) = crash
                && moment == round
            {
                post.restart(at, has_store);
            }
            post.collect();
            for (to, bytes) in std::mem::take(&mut post.mail) {
                (0..copies).for_each(|_| post.bring(to, &bytes));
            }
        }
        post.settle();
        let sent = [post.sent(&one), post.sent(&two)];
        assert_eq!(sent.iter().sum::<usize>(), 1, "one of them has it: {sent:?}");
        let (winner, loser) = if sent[0] == 1 { (&one, &two) } else { (&two, &one) };
        assert_eq!(post.owner(&who), Some(format!("goods/{winner}")));
        assert_eq!(post.saga(loser).status, Status::Compensated);
        post.ends_well(winner);
        assert_eq!(post.owner(&who), None);
        post.replays();
    };
    for copies in 1..=3 {
        for in_order in [true, false] {
            plays(copies, in_order, None);
        }
    }
    for moment in 0..4 {
        for at in 0..2 {
            for has_store in [true, false] {
                plays(2, true, Some((moment, at, has_store)));
            }
        }
    }
}

/// A claim and an answer that come again behind the end mean nothing.
#[test]
fn what_comes_again_behind_the_end_means_nothing() {
    let mut post = Post::of(DEFINITIONS);
    let (key, who) = (in_partition("k", 0, 0), in_partition("c", 1, 0));
    post.asks(&key, &who);
    let mut all = Vec::new();
    for _ in 0..3 {
        post.collect();
        all.extend(post.mail.iter().cloned());
        for (to, bytes) in std::mem::take(&mut post.mail) {
            post.bring(to, &bytes);
        }
    }
    post.ends_well(&key);
    let is_claim = |bytes: &[u8]| matches!(Letter::decode(bytes), Ok(Letter::Claim(_)));
    assert!(all.len() == 2 && is_claim(&all[0].1), "a claim, and its answer");
    let before = [0, 1].map(|at: usize| post.lines[at].events_since(0).len());
    all.iter().for_each(|(to, bytes)| post.bring(*to, bytes));
    post.settle();
    assert_eq!([0, 1].map(|at: usize| post.lines[at].events_since(0).len()), before);
    assert_eq!(post.owner(&who), None);
}

const BELOW: &str = "
saga: goods
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
steps:
  - { step: first, do: worker.Work, undo: worker.Rest, timeout: 10s }
  - { step: part, run: part, with: { who: start.who }, on_refused: { VALUE_TAKEN: go_on } }
  - { step: end, do: helper.End, pivot: true, timeout: 10s }
---
saga: part
input: { who: string }
search: { who: { value: start.who, unique: true } }
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest, timeout: 10s }
";

/// A sub-saga has its values alone, too; to the saga above that it is refused one is a refusal like any other.
#[test]
fn a_sub_saga_may_have_a_value_alone() {
    let mut post = Post::of(BELOW);
    let who = in_partition("c", 1, 0);
    let (one, two) = (in_partition("k", 0, 0), in_partition("k", 1, 0));
    for key in [&one, &two] {
        post.asks(key, &who);
        post.reply(&format!("goods/{key}/first/do"), "succeeded", "{}");
        post.settle();
    }
    let holder = |post: &mut Post| {
        let name = ValueName { topic: "".into(), kind: "part".into(), field: "who".into(), value: who.as_str().into() };
        let row = post.row(&name.id()).expect("it was claimed");
        row.mailbox().and_then(|mailbox| mailbox.holder.as_ref()).map(|claim| claim.row.to_string())
    };
    assert_eq!(holder(&mut post), Some(format!("goods/{one}/part")));
    assert_eq!((post.sent(&one), post.sent(&two)), (1, 2), "the second goes on without its part");
    post.reply(&format!("goods/{one}/part/task/do"), "succeeded", "{}");
    post.settle();
    assert_eq!(holder(&mut post), None, "it is free when the sub-saga has ended");
    for key in [&one, &two] {
        post.reply(&format!("goods/{key}/end/do"), "succeeded", "{}");
        assert_eq!(post.saga(key).status, Status::Completed);
    }
    post.replays();
}
