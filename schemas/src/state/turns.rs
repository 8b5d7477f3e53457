//! Where in its journal a row was changed: offsets of records, each as its distance to the one before it, in one small
//! allocation if they are many.

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use super::Saga;
use crate::codec::{Avro, Cursor, Malformed, long_of, put_list, put_long};
use crate::shared::Data;

/// So many of a row's first records are remembered.
const FIRST: usize = 8;
/// And so many of its last ones: 3 bytes each, as a rule.
const LAST: usize = 56;

/// The branch of a row that says its turns, in front of what is said of its end.
const TURNS: u8 = 4;

/// The offsets of the counting records that changed a row since it began, in order, each once: the first ones and the last ones. Of a row
/// that was stored by a build which did not remember them, those since then.
#[derive(Clone, PartialEq, Eq)]
pub struct Turns(Kept);

/// The first offset, then distances, as Avro's numbers. Those of a saga of a few steps need no allocation.
#[derive(Clone, PartialEq, Eq)]
enum Kept {
    Few {
        len: u8,
        bytes: [u8; FEW],
    },
    /// How many are left out stands in front of them.
    Many(Data),
}

/// Bytes of the first offset and five to ten distances.
const FEW: usize = 14;

/// What the bytes say.
struct Read {
    left_out: i64,
    /// The first offset, then distances.
    steps: SmallVec<[i64; FIRST + LAST]>,
}

impl Default for Turns {
    fn default() -> Self {
        Turns(Kept::Few { len: 0, bytes: [0; FEW] })
    }
}

impl Turns {
    /// True if none is known.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Kept::Few { len: 0, .. })
    }

    /// The record at this offset, the newest so far, changed the row.
    pub fn remember(&mut self, offset: i64) {
        if let Kept::Few { len, bytes } = &mut self.0 {
            let (held, last) = (usize::from(*len), sum(&bytes[..usize::from(*len)]));
            if held > 0 && last == offset {
                return;
            }
            // Mostly there is room for one more, and those before it stay as they are.
            let (step, count) = long_of(offset.wrapping_sub(last));
            if let Some(room) = bytes.get_mut(held..held + count) {
                room.copy_from_slice(&step[..count]);
                *len += count as u8;
                return;
            }
        }
        let mut read = self.read();
        let last = read.last();
        if !read.steps.is_empty() && last == offset {
            return;
        }
        read.steps.push(offset.wrapping_sub(last));
        while read.steps.len() > FIRST + LAST {
            let gap = read.steps.remove(FIRST);
            read.steps[FIRST] = read.steps[FIRST].wrapping_add(gap);
            read.left_out = read.left_out.wrapping_add(1);
        }
        *self = read.kept();
    }

    /// The newest: it names the state that the row is in.
    pub fn last(&self) -> Option<i64> {
        (!self.is_empty()).then(|| match &self.0 {
            Kept::Few { len, bytes } => sum(&bytes[..usize::from(*len)]),
            Kept::Many(_) => self.read().last(),
        })
    }

    /// The first ones that are remembered, how many behind them are not, and the last ones.
    pub fn told(&self) -> (Vec<i64>, i64, Vec<i64>) {
        let read = self.read();
        let sum = |sum: &mut i64, step: &i64| {
            *sum = sum.wrapping_add(*step);
            Some(*sum)
        };
        let mut first: Vec<i64> = read.steps.iter().scan(0, sum).collect();
        let last = first.split_off(first.len().min(FIRST));
        (first, read.left_out, last)
    }

    /// Appends them, of a row that has some: how many are left out, the first offset, an array of distances.
    fn put(&self, out: &mut Vec<u8>) {
        if let Kept::Few { len, bytes } = &self.0 {
            // They are kept as they are written.
            let bytes = &bytes[..usize::from(*len)];
            let is_end = |byte: &u8| *byte < 0x80;
            let (first, others) = bytes.split_at(bytes.iter().position(is_end).map_or(0, |end| end + 1));
            out.push(0);
            out.extend_from_slice(first);
            if !others.is_empty() {
                put_long(out, others.iter().filter(|byte| is_end(byte)).count() as i64);
                out.extend_from_slice(others);
            }
            return out.push(0);
        }
        let read = self.read();
        put_long(out, read.left_out);
        if let Some((first, others)) = read.steps.split_first() {
            put_long(out, *first);
            put_list(others, out);
        }
    }

    /// Reads what was put.
    fn take(cursor: &mut Cursor<'_>) -> Result<Turns, Malformed> {
        let (left_out, first) = (cursor.long()?, cursor.long()?);
        let others = Vec::<i64>::take(cursor)?;
        if others.len() >= FIRST + LAST {
            return Err(Malformed("a row remembers fewer turns"));
        }
        let steps = std::iter::once(first).chain(others).collect();
        Ok(Read { left_out, steps }.kept())
    }

    /// What they take in memory beside the row.
    pub(super) fn held_bytes(&self) -> usize {
        match &self.0 {
            Kept::Few { .. } => 0,
            Kept::Many(data) => data.held_bytes(),
        }
    }

    fn read(&self) -> Read {
        let mut cursor = Cursor::new(match &self.0 {
            Kept::Few { len, bytes } => &bytes[..usize::from(*len)],
            Kept::Many(data) => data.bytes(),
        });
        let mut next = || (!cursor.rest.is_empty()).then(|| cursor.long().expect("it was written by this"));
        let left_out = if matches!(self.0, Kept::Many(_)) { next() } else { None };
        Read { left_out: left_out.unwrap_or(0), steps: std::iter::from_fn(next).collect() }
    }
}

impl Read {
    fn last(&self) -> i64 {
        self.steps.iter().fold(0, |sum, step| sum.wrapping_add(*step))
    }

    /// Put together on the stack, so that a turn makes one allocation at most.
    fn kept(&self) -> Turns {
        let mut all = SmallVec::new();
        put(&mut all, self.left_out);
        let front = all.len();
        self.steps.iter().for_each(|step| put(&mut all, *step));
        let steps = &all[front..];
        if self.left_out != 0 || steps.len() > FEW {
            return Turns(Kept::Many(Data::new(&all)));
        }
        let mut bytes = [0; FEW];
        bytes[..steps.len()].copy_from_slice(steps);
        Turns(Kept::Few { len: steps.len() as u8, bytes })
    }
}

impl Saga {
    /// Makes of [`Saga::encode_state`] the row: what is said of its end becomes a branch that says its turns, too.
    pub fn put_turns(&self, row: &mut Vec<u8>) {
        if !self.turns.is_empty() {
            row.insert(row.len() - self.ended_bytes(), TURNS);
            self.turns.put(row);
        }
    }

    /// What [`Saga::encode_state`] gives, of its row.
    pub fn state_in<'r>(&self, row: &'r [u8]) -> Cow<'r, [u8]> {
        if self.turns.is_empty() {
            return Cow::Borrowed(row);
        }
        let mut turns = Vec::new();
        self.turns.put(&mut turns);
        let state = &row[..row.len() - turns.len()];
        let (before, ended) = state.split_at(state.len() - self.ended_bytes());
        Cow::Owned([&before[..before.len() - 1], ended].concat())
    }

    fn ended_bytes(&self) -> usize {
        1 + self.ended.as_ref().map_or(0, |end| long_bytes(end.at) + long_bytes(end.expires_at))
    }

    /// Reads what is said of its end, and its turns where it says them.
    pub(super) fn take_end(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        let has_turns = cursor.rest.first() == Some(&TURNS);
        if has_turns {
            cursor.take(1)?;
        }
        self.ended = Avro::take(cursor)?;
        if has_turns {
            self.turns = Turns::take(cursor)?;
        }
        Ok(())
    }
}

/// How many an Avro `long` takes.
fn long_bytes(value: i64) -> usize {
    long_of(value).1
}

/// An Avro `long`.
fn put(out: &mut SmallVec<[u8; 256]>, value: i64) {
    let (bytes, count) = long_of(value);
    out.extend_from_slice(&bytes[..count]);
}

/// What these distances lead to, which are kept one behind the other.
fn sum(steps: &[u8]) -> i64 {
    let mut cursor = Cursor::new(steps);
    let mut sum = 0_i64;
    while !cursor.rest.is_empty() {
        sum = sum.wrapping_add(cursor.long().expect("it was written by this"));
    }
    sum
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, left_out, last) = self.told();
        write!(f, "{first:?} ({left_out} left out) {last:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(offsets: impl IntoIterator<Item = i64>) -> Turns {
        let mut turns = Turns::default();
        offsets.into_iter().for_each(|offset| turns.remember(offset));
        turns
    }

    #[test]
    fn the_first_and_the_last_are_remembered_each_once() {
        assert_eq!((of([]).told(), of([]).last()), ((vec![], 0, vec![]), None));
        assert_eq!(of([0, 0]).told(), (vec![0], 0, vec![]));
        assert_eq!(of([5, 5, 9, 9, 9]).told(), (vec![5, 9], 0, vec![]));
        let all: Vec<i64> = (0..500).map(|number| 1_000 + 7 * number * number).collect();
        for count in [1, 7, 8, 9, 63, 64, 65, 66, 500] {
            let all = &all[..count];
            let (turns, last) = (of(all.iter().copied()), count.saturating_sub(FIRST).min(LAST));
            let expected =
                (all[..count.min(FIRST)].to_vec(), (count - count.min(FIRST) - last) as i64, all[count - last..].to_vec());
            assert_eq!((turns.told(), turns.last()), (expected, all.last().copied()), "{count}");
        }
    }

    /// A row of three steps allocates nothing for them, one that goes on for ever not more than so much.
    #[test]
    fn they_are_small() {
        assert_eq!(size_of::<Turns>(), 16);
        for (count, most) in [(1, 0), (5, 0), (10, 40), (10_000, 192)] {
            let held = of((0..count).map(|number| 40_000_000 + number * 300)).held_bytes();
            assert!(held <= most, "{count} take {held} bytes");
        }
    }

    #[test]
    fn what_is_written_is_read_and_goes_on() {
        for count in [1, 2, 3, 5, 9, 64, 300] {
            let mut turns = of((0..count).map(|number| number * number));
            let mut bytes = Vec::new();
            turns.put(&mut bytes);
            // Few are written as they are kept, many are put together: both as an array is.
            let (mut plain, all) = (Vec::new(), turns.read());
            put_long(&mut plain, all.left_out);
            put_long(&mut plain, all.steps[0]);
            put_list(&all.steps[1..], &mut plain);
            assert_eq!(bytes, plain, "{count}");
            let read = Turns::take(&mut Cursor::new(&bytes));
            assert_eq!(read.as_ref(), Ok(&turns));
            let mut read = read.expect("it was looked at");
            turns.remember(1 << 40);
            read.remember(1 << 40);
            assert_eq!(read, turns);
        }
    }

    #[test]
    fn more_than_a_row_remembers_is_refused() {
        let mut bytes = vec![0, 0];
        put_list(&[1_i64; FIRST + LAST - 1], &mut bytes);
        assert!(Turns::take(&mut Cursor::new(&bytes)).is_ok());
        bytes.truncate(2);
        put_list(&[1_i64; FIRST + LAST], &mut bytes);
        assert!(Turns::take(&mut Cursor::new(&bytes)).is_err());
    }
}
