//! The topic of quarantined records: entries, and what was said of them later. Nothing is ever deleted there.

use std::collections::{BTreeMap, HashSet};

use ringmaster_bus::Bus;
use ringmaster_core::partition::row_hash;
use ringmaster_schemas::journal::{QuarantineMark, QuarantineReason, Quarantined};
use ringmaster_schemas::names::Topics;

use super::buses::{self, on_bus};
use super::exit::{Exit, Failure};
use crate::blocking;
use crate::config::Config;
pub(super) use crate::redrive::Place;
use crate::redrive::place_of;

/// What was last said of entries of a partition, by their offsets.
pub(super) type Marks = BTreeMap<i64, QuarantineMark>;

/// Calls for each of the topic's partitions; the sum of what the calls return.
pub(super) fn each_partition(
    config: &Config,
    any: &mut buses::AnyBus,
    each: &mut dyn FnMut(i32, &mut buses::AnyBus) -> Result<usize, Failure>,
) -> Result<usize, Failure> {
    let topic = Topics::new(&config.prefix).quarantine;
    let described = on_bus!(&mut *any, bus => bus.describe(&[&topic])?);
    let Some(described) = described.into_iter().next().flatten() else {
        return Err(Failure::new(Exit::Refused, format_args!("there is no topic {topic}: run `ringmaster topics apply`")));
    };
    (0..described.partitions).map(|partition| each(partition, any)).sum()
}

/// Entries that stand there a second time: one of which it was not known whether it had arrived was sent again, in the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    /// They are entries like any: who names one means it.
    Told,
    /// They are passed over. Of each entry 16 bytes are kept for that.
    Passed,
}

/// Visits the entries of a partition, oldest first, until the visitor says `false`.
pub(super) fn visit(
    any: &mut buses::AnyBus,
    config: &Config,
    (partition, repeats): (i32, Repeats),
    visit: &mut dyn FnMut(Place, Quarantined) -> bool,
) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    each_record(any, config, partition, &mut |offset, value| {
        if QuarantineMark::is_one(value) || (repeats == Repeats::Passed && !seen.insert(row_hash("", value))) {
            return Ok(true);
        }
        Ok(visit((partition, offset), Quarantined::decode(value).map_err(|error| error.to_string())?))
    })
}

/// What was said of the entries of a partition: the last word of each counts.
pub(super) fn marks(any: &mut buses::AnyBus, config: &Config, partition: i32) -> Result<Marks, Failure> {
    let mut marks = Marks::new();
    each_record(any, config, partition, &mut |_, value| {
        if QuarantineMark::is_one(value) {
            let mark = QuarantineMark::decode(value).map_err(|error| error.to_string())?;
            marks.insert(mark.offset, mark);
        }
        Ok(true)
    })?;
    Ok(marks)
}

/// Takes a record's place and value; or says what is wrong with it.
type Take<'a> = dyn FnMut(Place, &[u8]) -> Result<(), String> + 'a;

/// Visits all records of the topic.
pub(super) fn each_value(config: &Config, any: &mut buses::AnyBus, take: &mut Take<'_>) -> Result<(), Failure> {
    each_partition(config, any, &mut |partition, any| {
        each_record(any, config, partition, &mut |offset, value| take((partition, offset), value).map(|()| true))?;
        Ok(0)
    })?;
    Ok(())
}

/// Takes a record's offset and value, and says whether it wants more; or what is wrong with it.
type Visit<'a> = dyn FnMut(i64, &[u8]) -> Result<bool, String> + 'a;

fn each_record(any: &mut buses::AnyBus, config: &Config, partition: i32, visit: &mut Visit<'_>) -> Result<(), Failure> {
    let topic = Topics::new(&config.prefix).quarantine;
    let mut trouble = None;
    let mut one = |read: blocking::Read| match visit(read.offset, read.value.as_deref().unwrap_or_default()) {
        Ok(more) => more,
        Err(error) => {
            trouble = Some(Failure::new(Exit::Failed, format_args!("{topic} {partition}/{}: {error}", read.offset)));
            false
        }
    };
    on_bus!(any, bus => blocking::read_to_end(bus, &topic, partition, &mut one))?;
    trouble.map_or(Ok(()), Err)
}

/// A place as it is printed, for example 3/17.
pub(super) fn parse_place(id: &str) -> Result<Place, Failure> {
    place_of(id).ok_or_else(|| Failure::new(Exit::Usage, format_args!("'{id}' is not a place in the quarantine such as 3/17")))
}

/// A reason that there is none of would find nothing, whatever is in quarantine.
pub(super) fn check_reason(reason: Option<&str>) -> Result<(), Failure> {
    let known = |reason: &&str| QuarantineReason::ALL.iter().any(|known| reason.eq_ignore_ascii_case(known.as_str()));
    match reason.filter(|reason| !known(reason)) {
        None => Ok(()),
        Some(reason) => {
            let all: Vec<&str> = QuarantineReason::ALL.iter().map(|known| known.as_str()).collect();
            Err(Failure::new(Exit::Usage, format_args!("'{reason}' is no reason; there are {}", all.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_partition_and_offset() {
        assert_eq!(parse_place("3/17"), Ok((3, 17)));
        for wrong in ["", "3", "3/", "/3", "a/b", "3/17/1"] {
            assert_eq!(parse_place(wrong).map_err(|failure| failure.exit), Err(Exit::Usage), "{wrong}");
        }
    }
}
