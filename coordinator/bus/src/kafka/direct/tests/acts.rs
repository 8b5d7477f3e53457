//! What may become of an answer: all that is tried one by one, and any of it by chance.

use super::scripted::Act;
use crate::kafka::direct::requests::Api;

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
