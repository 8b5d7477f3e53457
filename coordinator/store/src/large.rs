//! A row whose large values lie by themselves: what is left of it, and what it names.
//!
//! ```text
//! row = a LARGE b LARGE c  ->  [CUT, count, (place, length, hash) each, a b c]  +  hash -> LARGE, written where it is not there yet
//! ```

use std::ops::Range;

use twox_hash::XxHash3_128;

/// The first byte of a row that was cut. No version of a row begins with it; whatever else does is cut into nothing but itself.
const CUT: u8 = 1;
/// No row is larger, whole; what says that it is was damaged. A row may name one value many times, too.
const ROW_BYTES_MAX: usize = 64 << 20;
/// Bytes of what is told of a value.
const PART_BYTES: usize = 24;

/// A value that was cut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where it lies in the whole row.
    at: u32,
    length: u32,
    pub(crate) hash: [u8; 16],
}

impl Part {
    pub(crate) fn of(row: &[u8], range: &Range<usize>) -> Part {
        let hash = XxHash3_128::oneshot(&row[range.clone()]).to_be_bytes();
        Part { at: range.start as u32, length: range.len() as u32, hash }
    }

    #[cfg(feature = "fuzz")]
    pub(crate) fn length(&self) -> u32 {
        self.length
    }

    fn range(&self) -> Range<usize> {
        self.at as usize..self.at as usize + self.length as usize
    }
}

/// What is left of a row without its large values.
pub(crate) fn cut(row: &[u8], parts: &[Part]) -> Vec<u8> {
    let large: usize = parts.iter().map(|part| part.length as usize).sum();
    let mut left = Vec::with_capacity(5 + parts.len() * PART_BYTES + row.len() - large);
    left.push(CUT);
    left.extend_from_slice(&(parts.len() as u32).to_be_bytes());
    for part in parts {
        left.extend_from_slice(&part.at.to_be_bytes());
        left.extend_from_slice(&part.length.to_be_bytes());
        left.extend_from_slice(&part.hash);
    }
    let mut from = 0;
    for part in parts {
        left.extend_from_slice(&row[from..part.range().start]);
        from = part.range().end;
    }
    left.extend_from_slice(&row[from..]);
    left
}

/// The values that a stored row names, and what is left of it; none if it was not cut, or is damaged.
pub(crate) fn read(stored: &[u8]) -> Option<(Vec<Part>, &[u8])> {
    let (&CUT, rest) = stored.split_first()? else { return None };
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (told, left) = rest.split_at_checked((u32::from_be_bytes(*count) as usize).checked_mul(PART_BYTES)?)?;
    let word = |bytes: &[u8]| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let part = |bytes: &[u8]| Part { at: word(bytes), length: word(&bytes[4..]), hash: bytes[8..].try_into().expect("16 bytes") };
    Some((told.chunks_exact(PART_BYTES).map(part).collect(), left))
}

/// True for a row that was cut.
pub(crate) fn is_cut(stored: &[u8]) -> bool {
    stored.first() == Some(&CUT)
}

/// The whole row; none if a value is not there, or does not fit. Takes no more memory than what is there: lengths are not believed.
pub(crate) fn join<E>(stored: &[u8], mut value: impl FnMut(&Part) -> Result<Option<Vec<u8>>, E>) -> Result<Option<Vec<u8>>, E> {
    let Some((parts, mut left)) = read(stored) else { return Ok(None) };
    let large = parts.iter().try_fold(left.len(), |sum, part| sum.checked_add(part.length as usize));
    if large.is_none_or(|whole| whole > ROW_BYTES_MAX) {
        return Ok(None);
    }
    let mut row = Vec::with_capacity(left.len());
    for part in &parts {
        let before = (part.at as usize).checked_sub(row.len()).and_then(|length| left.split_at_checked(length));
        let Some((before, rest)) = before else { return Ok(None) };
        row.extend_from_slice(before);
        left = rest;
        match value(part)? {
            Some(value) if value.len() == part.length as usize => row.extend_from_slice(&value),
            _ => return Ok(None),
        }
    }
    row.extend_from_slice(left);
    Ok(Some(row))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A row of which these ranges lie by themselves, and what joins it again.
    fn joined(row: &[u8], ranges: &[Range<usize>]) -> Option<Vec<u8>> {
        let parts: Vec<Part> = ranges.iter().map(|range| Part::of(row, range)).collect();
        let values: Vec<_> = ranges.iter().map(|range| row[range.clone()].to_vec()).collect();
        let value = |part: &Part| {
            Ok::<_, Infallible>(values.iter().find(|value| Part::of(value, &(0..value.len())).hash == part.hash).cloned())
        };
        join(&cut(row, &parts), value).expect("no store fails")
    }

    #[test]
    fn a_row_that_was_cut_is_whole_again() {
        let row: Vec<u8> = (0..10_000u32).map(|number| (number % 251) as u8).collect();
        let cuts: [&[Range<usize>]; 4] =
            [&[], &[0..5_000, 5_000..10_000], &[0..700, 9_000..10_000], &[5..6, 6..900, 900..900, 4_000..9_999]];
        for ranges in cuts {
            assert_eq!(joined(&row, ranges).as_deref(), Some(&row[..]), "{ranges:?}");
        }
    }

    /// What a damaged file may say: lengths that nothing has, one value named a thousand times, places out of order, any bytes at all.
    #[test]
    fn lengths_are_not_believed() {
        let named = |count: usize, length: u32| {
            let part = Part { at: 0, length, hash: [0; 16] };
            let told = |part: &Part| [&part.at.to_be_bytes()[..], &part.length.to_be_bytes()[..], &part.hash].concat();
            [&[CUT][..], &(count as u32).to_be_bytes(), &told(&part).repeat(count)].concat()
        };
        let mut asked = 0;
        for stored in [named(100_000, u32::MAX), named(1, u32::MAX), named(65, 1 << 20)] {
            let value = |_: &Part| {
                asked += 1;
                Ok::<_, Infallible>(None)
            };
            assert_eq!(join(&stored, value), Ok(None));
        }
        assert_eq!(asked, 0, "no value is read for what cannot be");
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..20_000 {
            let row: Vec<u8> = (0..random.usize(0..60)).map(|_| random.u8(..)).collect();
            let mut stored = cut(&row, &[Part::of(&row, &(0..row.len() / 2))]);
            for _ in 0..random.usize(1..4) {
                let at = random.usize(1..stored.len());
                stored[at] = random.u8(..);
            }
            stored.truncate(random.usize(1..=stored.len()));
            let whole = join(&stored, |part| Ok::<_, Infallible>(Some(vec![0; part.length.min(64) as usize])));
            assert!(whole.expect("no store fails").is_none_or(|whole| whole.len() <= 200));
        }
    }
}
