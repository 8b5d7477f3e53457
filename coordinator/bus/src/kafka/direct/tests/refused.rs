//! A client and a broker that are set up differently: what is said, how often it is tried, and that it goes on when it is mended.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Once;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::super::login::Credentials;
use super::super::requests::Api;
use super::super::security::Security;
use super::super::tls::TlsSettings;
use super::acts::Act;
use super::guard::{Authority, Door, Guard};
use super::line::Line;
use super::scripted::Scripted;
use super::secured::{HERE, MECHANISMS, known, security, trusting};

thread_local! {
    /// Warnings of this thread.
    static WARNED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps warnings by thread. There is one for the whole process: beside a subscriber of one thread alone, `tracing` takes a place that warns
/// for the first time in another thread, which has none, for one that nobody listens to, in all threads.
struct Warnings;

impl Warnings {
    /// From here on this thread is listened to.
    fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(Warnings).expect("nobody else listens"));
    }

    /// What was warned of since it was asked last.
    fn take() -> Vec<String> {
        WARNED.take()
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Text(String::new());
        event.record(&mut line);
        WARNED.with_borrow_mut(|warned| warned.push(line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

/// A client, a broker that it cannot come to, and what is said.
struct Case {
    what: &'static str,
    client: Security,
    wrong: Guard,
    right: Guard,
    says: &'static str,
}

fn tls(authority: &Authority, name: &str) -> Guard {
    Guard { tls: Some(authority.serve(name, None, |_| {})), ..Guard::default() }
}

fn door(door: Door) -> Guard {
    Guard { door: Some(door), ..Guard::default() }
}

fn tls_cases() -> Vec<Case> {
    let (authority, other) = (Authority::new(), Authority::new());
    let client = || security(Some(&trusting(&authority)), None);
    let right = || tls(&authority, HERE);
    let old = authority.serve(HERE, None, |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let case = |what, wrong, says| Case { what, client: client(), wrong, right: right(), says };
    vec![
        case("another authority", tls(&Authority::named("another"), HERE), "signed by nobody who is trusted; ssl.ca.location"),
        case("another authority of this name", tls(&other, HERE), "signed by nobody who is trusted; ssl.ca.location"),
        case("another name", tls(&authority, "other.example"), "for other names"),
        case("it has expired", Guard { tls: Some(old), ..Guard::default() }, "not valid at this time"),
        case(
            "it wants a certificate",
            Guard { tls: Some(authority.serve(HERE, Some(&other), |_| {})), ..Guard::default() },
            "ssl.certificate.location and ssl.key.location",
        ),
        case("it has no TLS", Guard::default(), "security.protocol is plaintext or sasl_plaintext"),
        // A name that may be any makes nobody trusted.
        Case {
            what: "another authority, where any name will do",
            client: security(Some(&TlsSettings { takes_any_name: true, ..trusting(&authority) }), None),
            wrong: tls(&Authority::named("another"), "other.example"),
            right: tls(&authority, "other.example"),
            says: "signed by nobody who is trusted; ssl.ca.location",
        },
        Case {
            what: "TLS is not expected",
            client: Security::default(),
            wrong: right(),
            right: Guard::default(),
            says: "security.protocol is ssl or sasl_ssl",
        },
    ]
}

fn login_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for mechanism in MECHANISMS {
        let right = Door::new(mechanism);
        let client = || security(None, Some(known(&right)));
        let other = MECHANISMS[(MECHANISMS.iter().position(|known| *known == mechanism).expect("one of them") + 1) % 3];
        let case = |what, wrong, says| Case { what, client: client(), wrong, right: door(Door::new(mechanism)), says };
        cases.extend([
            case("another password", door(Door { password: "other", ..right.clone() }), "see sasl.username and sasl.password"),
            case("another user", door(Door { user: "bob", ..right.clone() }), "see sasl.username and sasl.password"),
            case("another mechanism", door(Door::new(other)), "set sasl.mechanism to one of them"),
            case("no SASL", Guard::default(), "this listener takes no SASL"),
            Case {
                what: "SASL is not expected",
                client: Security::default(),
                wrong: door(right.clone()),
                right: Guard::default(),
                says: "security.protocol is sasl_plaintext or sasl_ssl",
            },
        ]);
        if mechanism != "PLAIN" {
            cases.push(case("it does not know the password", door(Door { is_false: true, ..right.clone() }), "not to be trusted"));
        }
    }
    cases
}

/// It is said once, and tried with pauses; what waits fails in time; and when it is mended the same client goes on.
#[test]
fn who_does_not_fit_is_told_and_tried_again() {
    let cases: Vec<_> = tls_cases().into_iter().chain(login_cases()).collect();
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || meet(case));
        }
    });
}

fn meet(case: Case) {
    Warnings::listen();
    let Case { what, client, wrong, right, says } = case;
    let broker = Scripted::start(&[]);
    broker.state().guard = wrong;
    let mut line = Line::secured(&broker.address(), client);
    line.send("commands", 0, 1).expect("taken");
    let begun = Instant::now();
    line.until("some tries", |_| broker.state().connections >= 6);
    let (tries, most) = (broker.state().connections, 3 + begun.elapsed().as_millis() / 50);
    assert!(tries as u128 <= most, "{what}: {tries} tries, at most {most} in this time");
    assert!(line.doubts.iter().any(|why| why.contains(says) && why.contains(HERE)), "{what}: {:?}", line.doubts);
    let told = Warnings::take();
    assert!(told.iter().any(|line| line.contains(says) && line.contains(HERE)), "{what}: {told:?}");
    let different: HashSet<_> = told.iter().collect();
    assert_eq!(told.len(), different.len(), "{what}: each is said once: {told:?}");
    assert!(!format!("{told:?}{:?}", line.doubts).contains("wonder"), "{what}: a password is said: {told:?}");
    // As long as librdkafka waits.
    line.skip(Duration::from_secs(31));
    line.settle();
    assert_eq!((line.failed.get(&1), &line.fatal), (Some(&Code::MessageTimedOut), &None), "{what}");
    broker.state().guard = right;
    line.send("commands", 0, 2).expect("taken");
    line.settle();
    assert_eq!(line.done.get(&2), Some(&Some(0)), "{what}: {:?}", line.doubts);
    line.check(&broker);
}

/// Nonsense instead of the first answer, or none at all, is told once; a client that nobody hears of would only seem to be slow.
#[test]
fn who_answers_nonsense_or_nothing_at_first_is_told_of() {
    let garbage = Act::Garbage(vec![0x7f; 64]);
    Warnings::listen();
    for (act, says) in [(garbage, "its length cannot be"), (Act::WrongCorrelation, "answer"), (Act::Hold, "no answer within")] {
        let broker = Scripted::start(&[]);
        (0..2).for_each(|_| broker.state().push(Api::Versions, act.clone()));
        let mut line = Line::to(&broker.address());
        line.send("commands", 0, 1).expect("taken");
        // Its time to answer counts from here; skipped before, it would be waited for in truth. An answer on its way is
        // no silence: time skipped before it is read would make it one.
        line.until("it is asked", |_| broker.state().asked.contains_key(&Api::Versions.key()));
        if matches!(act, Act::Hold) {
            line.skip(Duration::from_secs(31));
        }
        line.until("it is told", |_| WARNED.with_borrow(|warned| !warned.is_empty()));
        broker.release();
        line.until("it goes on", |line| line.done.contains_key(&1) || line.failed.contains_key(&1));
        let told = Warnings::take();
        assert!(told[0].contains(says) && told[0].contains(HERE), "{act:?}: {told:?}");
        assert_eq!(told.len(), told.iter().collect::<HashSet<_>>().len(), "{act:?}: each is said once: {told:?}");
    }
}

#[test]
fn a_password_is_not_printed() {
    let Credentials { mechanism, user, .. } = known(&Door::new("PLAIN"));
    let who = Credentials { mechanism, user, password: "wonder".to_owned() };
    let printed = format!("{:?}", security(None, Some(who)));
    assert!(printed.contains("alice") && !printed.contains("wonder"), "{printed}");
}
