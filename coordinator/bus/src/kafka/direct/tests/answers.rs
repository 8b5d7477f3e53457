//! Every error that a broker can answer, to every kind of request, at its first, a middle and the last one.

use std::time::Duration;

use super::acts;
use super::line::Line;
use super::scripted::{Act, Scripted};
use crate::kafka::direct::requests::Api;

/// All of Kafka's errors, and some that it does not have yet.
pub(super) fn codes() -> impl Iterator<Item = i16> {
    (-1..=135).chain([i16::MIN, i16::MAX]).filter(|code| *code != 0)
}

/// Runs a case for each item, several at once: they wait more than they compute.
pub(super) fn each<T: Sync>(items: &[T], case: impl Fn(&T) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    case(item);
                }
            });
        }
    });
}

/// What becomes of a batch that meets an error.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It is sent again until it is written.
    Written,
    /// It fails, and what is behind it is written.
    Refused,
    /// The producer breaks.
    Broken,
    /// It fails; whether the producer breaks depends on whether it was written after all.
    Open,
}

/// Stated apart from the producer's own table.
fn fate(code: i16) -> Fate {
    match code {
        -1 | 2 | 3 | 5 | 6 | 7 | 8 | 9 | 13 | 14 | 19 | 20 | 46 | 56 | 74 | 75 | 89 | 100 => Fate::Written,
        45 | 47 | 49 | 59 | 90 => Fate::Broken,
        10 | 17 | 18 | 21 | 29 | 31 | 32 | 35 | 42 | 43 | 44 | 53 | 76 | 87 => Fate::Refused,
        _ => Fate::Open,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    First,
    Middle,
    Last,
}

/// Runs a line whose request at this moment meets this.
fn run(broker: &Scripted, api: Api, act: &Act, moment: Moment) -> Line {
    if moment == Moment::First {
        broker.state().push(api, act.clone());
    }
    let mut line = Line::to(&broker.address());
    line.drive(0..20);
    line.settle();
    if moment == Moment::Middle {
        broker.state().push(api, act.clone());
    }
    line.drive(20..40);
    // Leaders are asked for again.
    let _broken = line.send("another", 0, 40);
    line.settle();
    if moment == Moment::Last {
        broker.state().push(api, act.clone());
    }
    let _broken = line.send("commands", 0, 41);
    let _broken = line.send("yet another", 0, 42);
    line.settle();
    line
}

#[test]
fn every_error_of_produce() {
    let mut cases = Vec::new();
    for code in codes() {
        for done in [false, true] {
            cases.extend([Moment::First, Moment::Middle, Moment::Last].map(|moment| (code, done, moment)));
        }
    }
    each(&cases, |&(code, done, moment)| {
        let broker = Scripted::start(&[]);
        let line = run(&broker, Api::Produce, &Act::Error { code, done }, moment);
        let what = format!("{code} done {done} {moment:?}: failed {:?}, {:?}", line.failed, line.fatal);
        assert!(broker.state().script[&0].is_empty(), "it was met: {what}");
        match fate(code) {
            // A broker that says "written long ago" of what it has not lies, and nobody can know.
            Fate::Written if code == 46 && !done => return,
            Fate::Written => assert!(line.fatal.is_none() && line.failed.is_empty(), "{what}"),
            Fate::Broken => assert!(line.fatal.is_some(), "{what}"),
            // One that says "not written" of what it has lies too.
            Fate::Refused if done => return,
            Fate::Refused => assert!(line.fatal.is_none() && !line.failed.is_empty(), "{what}"),
            Fate::Open => assert!(!line.failed.is_empty() && (!done || line.fatal.is_none()), "{what}"),
        }
        line.check(&broker);
    });
}

#[test]
fn every_error_of_metadata() {
    let cases: Vec<_> =
        codes().flat_map(|code| [Moment::First, Moment::Middle, Moment::Last].map(|moment| (code, moment))).collect();
    each(&cases, |&(code, moment)| {
        let broker = Scripted::start(&[]);
        let line = run(&broker, Api::Metadata, &Act::Error { code, done: true }, moment);
        let what = format!("{code} {moment:?}: failed {:?}, {:?}", line.failed, line.fatal);
        assert!(broker.state().script[&3].is_empty(), "it was met: {what}");
        // INVALID_TOPIC_EXCEPTION, TOPIC_AUTHORIZATION_FAILED: what waits for the topic fails. Else leaders are asked for again.
        assert!(line.fatal.is_none() && (line.failed.is_empty() || matches!(code, 17 | 29)), "{what}");
        line.check(&broker);
    });
}

/// Asked for once, so that it is the first request or the first ones.
#[test]
fn every_error_of_an_identity() {
    let cases: Vec<_> = codes().flat_map(|code| [(code, 1), (code, 3)]).collect();
    each(&cases, |&(code, count)| {
        let acts: Vec<_> = (0..count).map(|_| (Api::Identity, Act::Error { code, done: true })).collect();
        let broker = Scripted::start(&acts);
        let mut line = Line::to(&broker.address());
        line.drive(0..20);
        line.settle();
        let forbidden = matches!(code, 29 | 31 | 53);
        assert_eq!(line.fatal.is_some(), forbidden, "{code}: {:?}", line.fatal);
        assert_eq!(line.done.len(), if forbidden { 0 } else { 20 }, "{code}: {:?}", line.failed);
        line.check(&broker);
    });
}

/// Whoever cannot say what he can do is tried again.
#[test]
fn every_error_of_versions() {
    let cases: Vec<_> = codes().collect();
    each(&cases, |&code| {
        let broker = Scripted::start(&[(Api::Versions, Act::Error { code, done: true })]);
        let mut line = Line::to(&broker.address());
        line.drive(0..20);
        line.settle();
        assert_eq!((line.done.len(), &line.fatal), (20, &None), "{code}: {:?}", line.failed);
        line.check(&broker);
    });
}

/// The same when a connection is made anew, with a batch in doubt: it is tried again until the broker says what it can.
#[test]
fn every_error_of_versions_at_a_reconnect() {
    let cases: Vec<_> = codes().flat_map(|code| [(code, false), (code, true)]).collect();
    each(&cases, |&(code, done)| {
        let broker = Scripted::start(&[]);
        let mut line = Line::to(&broker.address());
        line.drive(0..20);
        line.settle();
        {
            let mut state = broker.state();
            state.push(Api::Produce, Act::Cut { done });
            (0..2).for_each(|_| state.push(Api::Versions, Act::Error { code, done: true }));
        }
        line.drive(20..40);
        line.settle();
        assert!(broker.state().script[&18].is_empty(), "{code}: it was met");
        assert_eq!((line.done.len(), &line.fatal, line.doubts.is_empty()), (40, &None, false), "{code}: {:?}", line.failed);
        line.check(&broker);
    });
}

/// An identity whose answer was lost with its connection is asked for again over another one, whatever is answered there. One that comes
/// when another broker has given one already changes nothing, whatever it says.
#[test]
fn every_error_of_an_identity_at_a_reconnect_and_behind_one() {
    let cases: Vec<_> = codes().flat_map(|code| [(code, false), (code, true)]).collect();
    each(&cases, |&(code, is_late)| {
        let broker = Scripted::cluster(2, &[(Api::Identity, if is_late { Act::HoldError(code) } else { Act::Cut { done: true } })]);
        if is_late {
            // The one that is held leads some of them.
            let led =
                |topic: &str| (0..3).map(move |partition| ((topic.to_owned(), partition), 1 + partition % 2)).collect::<Vec<_>>();
            broker.state().leaders.extend(["commands", "replies"].into_iter().flat_map(led));
        } else {
            broker.state().push(Api::Identity, Act::Error { code, done: true });
        }
        let mut line = Line::to(&broker.address());
        line.drive(0..20);
        line.until("it was met", |_| broker.state().script[&22].is_empty());
        if is_late {
            line.skip(Duration::from_secs(6));
            line.until("another gives an identity", |_| broker.state().asked[&22] == 2);
            line.until("it is used", |line| !line.done.is_empty());
            broker.release();
        }
        line.settle();
        let forbidden = !is_late && matches!(code, 29 | 31 | 53);
        assert_eq!(line.fatal.is_some(), forbidden, "{code}: {:?}", line.fatal);
        assert_eq!(line.done.len(), if forbidden { 0 } else { 20 }, "{code}: {:?}", line.failed);
        line.check(&broker);
    });
}

/// Connections that are cut, answers that are cut, late or nonsense, at every request of each kind.
#[test]
fn whatever_becomes_of_an_answer_nothing_is_lost_or_doubled() {
    let acts: Vec<_> = acts::wrong().into_iter().chain([Act::Cut { done: true }, Act::Endless]).collect();
    let mut cases = Vec::new();
    for act in &acts {
        for api in [Api::Versions, Api::Identity, Api::Metadata, Api::Produce] {
            let is_asked_again = matches!(api, Api::Metadata | Api::Produce);
            let moments = [Moment::First, Moment::Middle, Moment::Last];
            cases.extend(moments[..if is_asked_again { 3 } else { 1 }].iter().map(|moment| (act, api, *moment)));
        }
    }
    each(&cases, |&(act, api, moment)| {
        let broker = Scripted::start(&[]);
        let line = run(&broker, api, act, moment);
        let what = format!("{act:?} of {api:?}, {moment:?}: failed {:?}, {:?}", line.failed, line.fatal);
        assert!(broker.state().script[&api.key()].is_empty(), "it was met: {what}");
        assert_eq!(line.done.len(), 43, "all is written in the end: {what}");
        line.check(&broker);
        let is_lost = api == Api::Produce && !matches!(act, Act::Drip | Act::Throttle(_));
        // An answer that is cut behind all that it says is as good as whole, but the connection is not kept.
        let is_told = matches!(act, Act::Short(20..));
        assert!(!is_lost || is_told || !line.doubts.is_empty(), "{what}: a lost connection is a doubt");
    });
}

/// A wish to hear nothing is heeded, whatever it comes with; one that cannot be meant is not.
#[test]
fn a_broker_that_wants_to_hear_nothing_hears_nothing() {
    for api in [Api::Identity, Api::Metadata, Api::Produce] {
        for (ms, enough) in [(5_000, 5), (i32::MAX, 15)] {
            let broker = Scripted::start(&[]);
            let mut line = Line::to(&broker.address());
            if api == Api::Produce {
                line.send("commands", 0, 0).expect("taken");
                line.settle();
            }
            broker.state().push(api, Act::Throttle(ms));
            line.send("commands", 1, 1).expect("taken");
            line.until("a wish", |_| broker.state().script[&api.key()].is_empty());
            line.until("its answer", |line| api != Api::Produce || line.is_settled());
            // What is on its way already comes; what is sent from now on waits.
            line.turns(10);
            line.send("commands", 2, 2).expect("taken");
            line.turns(10);
            assert!(!line.done.contains_key(&2), "{api:?}: it was sent within {ms} ms");
            line.skip(Duration::from_secs(enough));
            line.settle();
            line.check(&broker);
            assert_eq!((line.failed.len(), line.doubts.len()), (0, 0), "{api:?} {ms}: {:?}", line.doubts);
        }
    }
}
