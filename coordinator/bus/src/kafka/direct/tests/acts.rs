//! What scripted brokers do instead of an honest answer: all that is tried one by one, and any of it by chance.

use std::io::{self, Read, Write};

use crate::kafka::direct::requests::Api;

/// What is done instead of an honest answer, to the next request of its kind.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// It does what it should.
    Honest,
    /// The error, with the work done first or not.
    Error { code: i16, done: bool },
    /// The connection is cut, with the work done first or not.
    Cut { done: bool },
    /// The work is done, and the answer given when the broker is released.
    Hold,
    /// The error, when the broker is released.
    HoldError(i16),
    /// So many bytes of the answer, then the connection is cut.
    Half(usize),
    /// The answer is framed as if it had so many bytes only.
    Short(usize),
    /// The answer, one byte at a time.
    Drip,
    /// The answer to something else.
    WrongCorrelation,
    /// Bytes that are no answer.
    Garbage(Vec<u8>),
    /// Such bytes without an end.
    Endless,
    /// The answer, with bytes of it changed.
    Fuzzed(Vec<(usize, u8)>),
    /// The honest answer, with the wish to hear nothing for so many milliseconds.
    Throttle(i32),
    /// The honest answer, with this for the offset.
    Base(i64),
    /// The honest answer to a fetch, with this error of the whole.
    Whole(i16),
}

/// What a connection goes over.
pub(super) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// Gives an answer, or what is done instead.
pub(super) fn give(socket: &mut dyn Stream, act: &Act, mut answer: Vec<u8>) -> io::Result<()> {
    if let Act::Short(bytes) = act {
        answer.truncate(*bytes);
    }
    let mut framed = (answer.len() as i32).to_be_bytes().to_vec();
    framed.extend_from_slice(&answer);
    match act {
        Act::Cut { .. } => Ok(()),
        Act::Half(bytes) => socket.write_all(&framed[..(*bytes).min(framed.len() - 1)]),
        Act::Garbage(bytes) => socket.write_all(bytes),
        Act::Endless => loop {
            socket.write_all(&[0x00, 0xff, 0xff, 0xff])?;
            socket.write_all(&[0; 1 << 16])?;
        },
        Act::Drip => framed.iter().try_for_each(|byte| socket.write_all(&[*byte])),
        Act::Fuzzed(changes) => {
            for (at, byte) in changes {
                let at = at % framed.len();
                framed[at] ^= byte;
            }
            socket.write_all(&framed)
        }
        _ => socket.write_all(&framed),
    }
}

/// Connections that are cut, answers that are cut, late or nonsense; whoever asks adds what only he can meet.
pub(super) fn wrong() -> Vec<Act> {
    let mut acts = vec![
        Act::Cut { done: false },
        Act::Half(1 << 20),
        Act::Drip,
        Act::WrongCorrelation,
        Act::Garbage(vec![0x7f; 64]),
        Act::Garbage(vec![0xff; 64]),
        Act::Garbage(vec![0, 0, 0, 0]),
        Act::Garbage(vec![0, 0, 0, 2, 1, 1]),
        Act::Throttle(30),
        Act::Throttle(i32::MIN),
    ];
    acts.extend([0, 1, 3, 4, 9, 20].map(Act::Half));
    acts.extend((0..40).map(Act::Short));
    acts
}

/// Something that passes: these errors, and answers that are cut within so many bytes.
pub(super) fn passing(random: &mut fastrand::Rng, api: Api, errors: &[i16], bytes: usize) -> Act {
    match random.u8(..9) {
        0 => Act::Cut { done: random.bool() },
        1 => Act::Half(random.usize(..bytes)),
        2 => Act::WrongCorrelation,
        3 if api != Api::Versions => Act::Error { code: errors[random.usize(..errors.len())], done: random.bool() },
        4 => Act::Throttle(random.i32(1..40)),
        5 => Act::Drip,
        6 => Act::Short(random.usize(..bytes)),
        _ => Act::Honest,
    }
}

/// An answer with a few of its first bytes changed, so many at most.
pub(super) fn fuzzed(random: &mut fastrand::Rng, bytes: usize) -> Act {
    Act::Fuzzed((0..random.usize(1..4)).map(|_| (random.usize(..bytes), random.u8(1..))).collect())
}

/// Changes, drops and adds bytes.
pub(super) fn garble(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..bytes.len());
        match random.u8(..4) {
            0 => bytes[at] = random.u8(..),
            1 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.usize(..4)],
            2 => bytes.truncate(at.max(1)),
            _ => bytes.insert(at, random.u8(..)),
        }
    }
}
