//! Takes a member with a name of its own out of a group: librdkafka leaves such a one to its session's end.
//!
//! ```text
//! any broker: who coordinates the group? -> that one: this member leaves
//! ```

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, address};
use super::link::Worked;
use super::requests::Api;
use super::wire::{Get, Malformed, Put as _};
use crate::kafka::native::code_of;
use crate::kafka::settings::KafkaSettings;
use crate::kafka::sockets::Sockets;
use crate::signal::Signal;

/// An orderly end waits no longer for it.
const LEAVE_MAX: Duration = Duration::from_secs(3);
/// No answer to these questions is longer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The key that is asked for is a group's.
const OF_GROUP: i8 = 0;
/// The broker's errors: the member is none (any more).
const UNKNOWN_MEMBER: i16 = 25;

/// Leaves; waits for the answer. Errors are for people.
pub(in crate::kafka) fn leave_group(settings: &KafkaSettings, group: &str, name: &str) -> Result<(), String> {
    let until = Instant::now() + LEAVE_MAX;
    let find = |out: &mut Vec<u8>| put_find(out, group);
    let refused = |error| format!("the broker refuses: {}", code_of(error));
    let coordinator = ask(settings, &settings.bootstrap, until, (Api::Coordinator, &find), found)?.map_err(refused)?;
    let leave = |out: &mut Vec<u8>| put_leave(out, group, name);
    match ask(settings, &coordinator, until, (Api::Leave, &leave), left)? {
        0 | UNKNOWN_MEMBER => Ok(()),
        error => Err(refused(error)),
    }
}

/// Writes a question.
type Question<'a> = &'a dyn Fn(&mut Vec<u8>);

/// One question to whoever of these answers first.
fn ask<T>(
    settings: &KafkaSettings,
    bootstrap: &str,
    until: Instant,
    (api, put): (Api, Question<'_>),
    read: impl Fn(&mut Get<'_>) -> Result<T, Malformed>,
) -> Result<T, String> {
    let signal = Arc::new(Signal::default());
    let mut sockets = None;
    let registry = Sockets::registry(&mut sockets, &signal).map_err(|error| error.to_string())?;
    let mut sockets = sockets.expect("it was just made");
    let security = settings.own_security()?;
    let mut cluster: Cluster<()> =
        Cluster::new(bootstrap, security, ANSWER_BYTES_MAX, registry, Arc::clone(&signal), Instant::now())?;
    let mut why = "no broker answers".to_owned();
    loop {
        let now = Instant::now();
        if now >= until {
            return Err(why);
        }
        signal.lower();
        why = cluster.reach(BTreeSet::new(), true, now).pop().map_or(why, |(_, why)| why);
        for place in 0..cluster.links.len() {
            if let Worked::Lost(lost) = cluster.work(place, now) {
                why = lost;
            }
            if let Some(connection) = cluster.links[place].up()
                && let Some((_, bytes)) = connection.next().map_err(|error| error.to_string())?
            {
                return read(&mut Get(connection.bytes(bytes))).map_err(|error| io::Error::from(error).to_string());
            }
        }
        if !cluster.asks(api, now)
            && let Some(connection) = cluster.anyone(now)
        {
            // An error shows when it is worked on next.
            let _ = connection.ask(api, now, put);
        }
        sockets.wait(&signal, Duration::from_millis(50).min(until - now));
    }
}

fn put_find(out: &mut Vec<u8>, group: &str) {
    out.string(group);
    out.i8(OF_GROUP);
    out.no_tags();
}

/// Where the coordinator is, or the broker's error.
fn found(get: &mut Get<'_>) -> Result<Result<String, i16>, Malformed> {
    let (_throttle, error, _text, _number) = (get.i32()?, get.i16()?, get.bytes()?, get.i32()?);
    let (host, port) = (get.string()?, get.i32()?);
    Ok(if error == 0 { Ok(address(host, port)) } else { Err(error) })
}

fn put_leave(out: &mut Vec<u8>, group: &str, name: &str) {
    out.string(group);
    out.count(1);
    // By its name alone, whoever it was given to.
    out.string("");
    out.string(name);
    out.no_tags();
    out.no_tags();
}

/// The error of the member, or of the group.
fn left(get: &mut Get<'_>) -> Result<i16, Malformed> {
    let (_throttle, error) = (get.i32()?, get.i16()?);
    let mut member = 0;
    for _ in 0..get.count()? {
        let (_id, _name, error) = (get.bytes()?, get.bytes()?, get.i16()?);
        get.tags()?;
        member = error;
    }
    Ok(if error == 0 { member } else { error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_wrong_ones_refused() {
        let coordinator = |error: i16, host: &str, port: i32| {
            let mut out = Vec::new();
            out.i32(0);
            out.i16(error);
            out.null();
            out.i32(2);
            out.string(host);
            out.i32(port);
            out.no_tags();
            found(&mut Get(&out))
        };
        assert_eq!(coordinator(0, "::1", 9092), Ok(Ok("[::1]:9092".to_owned())));
        assert_eq!(coordinator(15, "", -1), Ok(Err(15)), "a group without a coordinator");
        let answer = |of_group: i16, of_member: i16| {
            let mut out = Vec::new();
            out.i32(0);
            out.i16(of_group);
            out.count(1);
            out.string("");
            out.string("blue");
            out.i16(of_member);
            out.no_tags();
            out.no_tags();
            left(&mut Get(&out))
        };
        assert_eq!((answer(0, 0), answer(0, 25), answer(16, 0)), (Ok(0), Ok(25), Ok(16)));
        assert_eq!(left(&mut Get(&[0, 0, 0])), Err(Malformed));
    }
}
