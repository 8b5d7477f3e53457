//! TLS and SASL as they should be, cut, changed on the way, refused for a while, and good for a time only.

use std::sync::Arc;
use std::time::Duration;

use super::super::login::{Credentials, Mechanism};
use super::super::security::Security;
use super::super::tls::{Pem, TlsSettings, client_config};
use super::guard::{Authority, Door};
use super::line::Line;
use super::reads::{HOW, Reads};
use super::scripted::{Act, Scripted};
use crate::kafka::broker::pem;
use crate::kafka::direct::requests::Api;

pub(super) const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
/// Where scripted brokers are.
pub(super) const HERE: &str = "127.0.0.1";

/// Of a client that trusts this authority.
pub(super) fn trusting(authority: &Authority) -> TlsSettings {
    let trusted = vec![Pem::Text(pem("CERTIFICATE", &authority.certificate))];
    TlsSettings { trusted, ..TlsSettings::default() }
}

/// Of a client that comes by this door.
pub(super) fn known(door: &Door) -> Credentials {
    let mechanism = Mechanism::of(door.mechanism).expect("one of ours");
    Credentials { mechanism, user: door.user.to_owned(), password: door.password.to_owned() }
}

pub(super) fn security(tls: Option<&TlsSettings>, login: Option<Credentials>) -> Security {
    Security { tls: tls.map(|tls| client_config(tls).expect("it can be used")), login: login.map(Arc::new) }
}

/// A broker that wants TLS, or a login, or both, and a client for it.
fn pair(authority: Option<&Authority>, door: Option<Door>, acts: &[(Api, Act)]) -> (Scripted, Security) {
    let broker = Scripted::start(acts);
    let security = security(authority.map(trusting).as_ref(), door.as_ref().map(known));
    let mut state = broker.state();
    state.guard.tls = authority.map(|authority| authority.serve(HERE, None, |_| {}));
    state.guard.door = door;
    drop(state);
    (broker, security)
}

#[test]
fn each_way_in_carries_records() {
    let authority = Authority::new();
    for by in [None, Some(&authority)] {
        for door in [None].into_iter().chain(MECHANISMS.map(Some)) {
            let (broker, security) = pair(by, door.map(Door::new), &[]);
            let mut line = Line::secured(&broker.address(), security);
            line.drive(0..40);
            line.settle();
            line.check(&broker);
            let heard = (line.done.len(), line.doubts.len(), broker.state().logins);
            assert_eq!(heard, (40, 0, usize::from(door.is_some())), "{door:?} {:?}", line.doubts);
        }
    }
}

/// As it is sent, so it is read; and a login that is no longer good is renewed between two fetches.
#[test]
fn each_way_in_is_read_by() {
    let authority = Authority::new();
    for by in [None, Some(&authority)] {
        for door in [None].into_iter().chain(MECHANISMS.map(Some)) {
            let is_known = usize::from(door.is_some());
            let (broker, security) = pair(by, door.map(|name| Door { session_ms: 100_000, ..Door::new(name) }), &[]);
            let mut reads = Reads::secured(&broker.address(), HOW, security);
            broker.append("commands", 0, 20);
            reads.read("commands", 0, 0);
            reads.until("the end", |reads| reads.is_at("commands", 0, 20));
            reads.skip(Duration::from_secs(81));
            reads.until("another login", |_| broker.state().logins == 2 * is_known);
            broker.append("commands", 0, 20);
            reads.until("the end behind it", |reads| reads.is_at("commands", 0, 40));
            reads.check(&broker, "commands", 0, 0);
            assert_eq!(broker.state().logins, 2 * is_known, "{door:?}");
        }
    }
}

/// More than TLS holds at once, and than a socket takes.
#[test]
fn large_records_go_through_tls() {
    let authority = Authority::new();
    let (broker, security) = pair(Some(&authority), None, &[]);
    let mut line = Line::secured(&broker.address(), security);
    let value: Vec<u8> = (0..3 << 20).map(|at| (at % 251) as u8).collect();
    for tag in 0..6 {
        line.send_with("commands", (tag % 2) as i32, tag, &value, &[]).expect("taken");
    }
    line.settle();
    assert_eq!((line.done.len(), line.doubts.len()), (6, 0), "{:?}", line.doubts);
    assert!(broker.state().logs.values().all(|log| log.values.len() == 3 && log.values.iter().all(|there| *there == value)));
}

#[test]
fn a_broker_that_wants_a_certificate_gets_it() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (certificate, key) = clients.sign("a client", |_| {});
    let tls = TlsSettings {
        certificate: Some(Pem::Text(pem("CERTIFICATE", &certificate))),
        key: Some(Pem::Text(pem("PRIVATE KEY", &key.serialize_der()))),
        ..trusting(&authority)
    };
    let broker = Scripted::start(&[]);
    broker.state().guard.tls = Some(authority.serve(HERE, Some(&clients), |_| {}));
    let mut line = Line::secured(&broker.address(), security(Some(&tls), None));
    line.drive(0..20);
    line.settle();
    line.check(&broker);
    assert_eq!((line.done.len(), line.doubts.len()), (20, 0), "{:?}", line.doubts);
}

/// A name that is not asked for may be any; who is not looked at may be anybody.
#[test]
fn what_is_not_to_be_looked_at_is_not() {
    let (authority, other) = (Authority::new(), Authority::new());
    let any_name = TlsSettings { takes_any_name: true, ..trusting(&authority) };
    let anybody = TlsSettings { takes_anybody: true, ..trusting(&other) };
    for tls in [any_name, anybody] {
        let broker = Scripted::start(&[]);
        broker.state().guard.tls = Some(authority.serve("other.example", None, |_| {}));
        let mut line = Line::secured(&broker.address(), security(Some(&tls), None));
        line.drive(0..20);
        line.settle();
        assert_eq!((line.done.len(), line.doubts.len()), (20, 0), "{:?}", line.doubts);
    }
}

/// When a login is no longer good the broker ends the connection at the next request: there is another one before, and nothing is on
/// its way when they change.
#[test]
fn a_login_is_renewed_when_nothing_is_on_its_way() {
    for mechanism in MECHANISMS {
        let door = Door { session_ms: 100_000, ..Door::new(mechanism) };
        let (broker, security) = pair(None, Some(door), &[]);
        let mut line = Line::secured(&broker.address(), security);
        line.drive(0..20);
        line.settle();
        // Nothing is sent for long: the next record goes over a new connection.
        line.skip(Duration::from_secs(81));
        line.drive(20..40);
        line.settle();
        assert_eq!((broker.state().logins, line.done.len()), (2, 40));
        // Something is on its way, and owes its answer to the old one.
        line.skip(Duration::from_secs(79));
        broker.state().push(Api::Produce, Act::Hold);
        line.send("commands", 0, 40).expect("taken");
        line.until("it is held", |_| broker.state().script[&0].is_empty());
        line.skip(Duration::from_secs(2));
        line.send("commands", 1, 41).expect("taken");
        line.turns(10);
        assert_eq!((broker.state().logins, line.done.len()), (2, 40), "it waits for the answer");
        broker.release();
        line.settle();
        line.check(&broker);
        assert_eq!((broker.state().logins, line.done.len(), line.doubts.len()), (3, 42, 0), "{:?}", line.doubts);
    }
}

/// One that is good for no time at all is not renewed as fast as it is given.
#[test]
fn a_login_is_not_renewed_at_once() {
    for session_ms in [1, i64::MAX, i64::MIN, -1] {
        let (broker, security) = pair(None, Some(Door { session_ms, ..Door::new("PLAIN") }), &[]);
        let mut line = Line::secured(&broker.address(), security);
        line.drive(0..20);
        line.settle();
        for _ in 0..20 {
            line.skip(Duration::from_millis(100));
            line.turns(2);
        }
        let logins = broker.state().logins;
        assert!(logins <= if session_ms == 1 { 8 } else { 1 }, "{logins} for {session_ms} ms");
        line.check(&broker);
    }
}

/// Every error to each step, at the first connection and at a later one: it is tried again.
#[test]
fn every_error_of_a_login_is_tried_again() {
    let codes: Vec<i16> = (-1..=135).chain([i16::MIN, i16::MAX]).filter(|code| *code != 0).collect();
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let codes = &codes;
            scope.spawn(move || {
                for (at, &code) in codes.iter().enumerate().filter(|(at, _)| at % 8 == worker) {
                    for api in [Api::Handshake, Api::Authenticate] {
                        let act = Act::Error { code, done: false };
                        let (broker, security) = pair(None, Some(Door::new(MECHANISMS[at % 3])), &[(api, act.clone())]);
                        let mut line = Line::secured(&broker.address(), security);
                        line.drive(0..10);
                        line.settle();
                        broker.state().push(api, act);
                        broker.state().push(Api::Produce, Act::Cut { done: true });
                        line.drive(10..20);
                        line.settle();
                        line.check(&broker);
                        assert!(broker.state().script[&api.key()].is_empty(), "{code}: it was met");
                        assert_eq!((line.done.len(), &line.fatal), (20, &None), "{code} of {api:?}: {:?}", line.failed);
                    }
                }
            });
        }
    });
}

/// Handshakes of TLS and SASL whose bytes are changed, cut, or nonsense, by seed. Each ends, and what is honest behind it carries
/// everything once.
#[test]
fn fuzzed_handshakes_are_survived() {
    let authority = Authority::new();
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let authority = &authority;
            scope.spawn(move || {
                for seed in (0..24).map(|round| 1 + worker + 8 * round) {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let by = random.bool().then_some(authority);
                    let acts: Vec<_> = (0..random.usize(1..5)).map(|_| fuzz(&mut random)).collect();
                    let (broker, security) = pair(by, Some(Door::new(MECHANISMS[random.usize(..3)])), &acts);
                    let spoiled = (0..random.usize(..4)).map(|_| {
                        let change = |_| (random.usize(..2_000), random.u8(1..));
                        (0..3).map(change).collect()
                    });
                    // Without TLS nothing tells what was changed from what is honest.
                    broker.state().guard.spoiled.extend(spoiled.filter(|_| by.is_some()));
                    let mut line = Line::secured(&broker.address(), security);
                    line.drive(0..20);
                    // An answer that is announced longer than it is comes never: its clock runs ahead while nothing happens.
                    let mut skipped = 0;
                    while !line.is_settled() {
                        if !(0..3).any(|_| line.turn_within(Duration::from_millis(2))) {
                            line.skip(Duration::from_millis(500));
                            skipped += 1;
                        }
                        assert!(skipped < 1_000, "seed {seed}: it hangs: {acts:?}");
                    }
                    {
                        let mut state = broker.state();
                        state.script.clear();
                        state.guard.spoiled.clear();
                    }
                    line.skip(Duration::from_secs(31));
                    line.drive(20..40);
                    line.settle();
                    line.check(&broker);
                    let last = (20..40).filter(|tag| line.done.contains_key(tag)).count();
                    assert_eq!((last, &line.fatal), (20, &None), "seed {seed}: {acts:?} {:?}", line.failed);
                }
            });
        }
    });
}

fn fuzz(random: &mut fastrand::Rng) -> (Api, Act) {
    let api = [Api::Versions, Api::Handshake, Api::Authenticate, Api::Authenticate][random.usize(..4)];
    let act = match random.u8(..6) {
        // A number, the length or what is behind it.
        0 | 1 => Act::Fuzzed((0..random.usize(1..4)).map(|_| (4 + random.usize(..60), random.u8(1..))).collect()),
        2 => Act::Half(random.usize(..30)),
        3 => Act::Garbage((0..random.usize(1..90)).map(|_| random.u8(..)).collect()),
        4 => Act::Short(random.usize(..30)),
        _ => Act::Cut { done: true },
    };
    (api, act)
}
