//! Which records of the quarantine are meant: by their places, or by what they have in common.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Quarantined;
use ringmaster_schemas::json::time::parse_timestamp;

use super::buses::AnyBus;
use super::entries::{self, Place, Repeats, check_reason, parse_place};
use super::exit::{Exit, Failure};
use crate::api::{QuarantineAnswer, QuarantineBody, QuarantineEntry, QuarantineKind, QuarantineNot, written};
use crate::config::Config;
use crate::redrive::named;

/// So many are done at once: more are done by narrower times, one after the other.
const SELECTED_MAX: usize = 100_000;
/// So many are told in a dry run.
const SAMPLE_MAX: usize = 5;

/// What stands on the command line.
#[derive(Debug, Args)]
pub(super) struct SelectArguments {
    /// Records, as `list` prints them, for example 3/17; also those that were redriven or discarded.
    #[arg(value_name = "ID", conflicts_with_all = ["reason", "topic", "since", "until"])]
    ids: Vec<String>,
    /// All of this reason, for example UNKNOWN_SCHEMA.
    #[arg(long)]
    reason: Option<String>,
    /// All that came from this topic.
    #[arg(long)]
    topic: Option<String>,
    /// All that came into quarantine at this time or later, for example 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Millis>,
    /// All that came into quarantine before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Millis>,
}

fn without_bytes(record: Quarantined) -> Quarantined {
    Quarantined { raw: bytes::Bytes::new(), ..record }
}

/// A time on a command line.
pub(super) fn time(text: &str) -> Result<Millis, String> {
    let micros = parse_timestamp(text).ok_or("expected a time such as 2026-01-31T00:00:00Z")?;
    Ok(micros.div_euclid(1_000))
}

impl SelectArguments {
    /// Nothing is meant by saying nothing.
    pub(super) fn check(&self) -> Result<(), Failure> {
        check_reason(self.reason.as_deref())?;
        self.ids.iter().try_for_each(|id| parse_place(id).map(|_| ()))?;
        let says = self.reason.is_some() || self.topic.is_some() || self.since.is_some() || self.until.is_some();
        if self.ids.is_empty() && !says {
            let why = "say which records: their IDs, or --reason, --topic, --since, --until";
            return Err(Failure::new(Exit::Usage, why));
        }
        Ok(())
    }

    /// As a coordinator is asked for them.
    pub(super) fn body(&self) -> QuarantineBody {
        QuarantineBody {
            ids: self.ids.clone(),
            reason: self.reason.clone(),
            topic: self.topic.clone(),
            since: self.since.map(written),
            until: self.until.map(written),
            ..QuarantineBody::default()
        }
    }

    fn means(&self, record: &Quarantined) -> bool {
        self.reason.as_ref().is_none_or(|reason| reason.eq_ignore_ascii_case(record.reason.as_str()))
            && self.topic.as_ref().is_none_or(|topic| **topic == *record.topic)
            && self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
    }
}

/// Records that are meant.
#[derive(Debug, Default)]
pub(super) struct Selected {
    /// In the order in which they came.
    pub(super) entries: Vec<(Place, Quarantined)>,
    /// How many there are of each reason and topic.
    pub(super) by_kind: BTreeMap<(String, String), usize>,
    /// Why some are left out, and how many.
    pub(super) not: BTreeMap<String, usize>,
}

impl Selected {
    /// Reads the quarantine. `why_not` says why a record is left out; of those of the topic `kept` the bytes are kept, if they are all.
    pub(super) fn read(
        any: &mut AnyBus,
        config: &Config,
        arguments: &SelectArguments,
        kept: Option<&str>,
        why_not: &dyn Fn(&Quarantined) -> Option<String>,
    ) -> Result<Selected, Failure> {
        let mut missing: BTreeSet<Place> = arguments.ids.iter().map(|id| parse_place(id)).collect::<Result<_, _>>()?;
        let (by_id, mut selected) = (!missing.is_empty(), Selected::default());
        entries::each_partition(config, any, &mut |partition, any| {
            let marks = if by_id { BTreeMap::new() } else { entries::marks(any, config, partition)? };
            let repeats = if by_id { Repeats::Told } else { Repeats::Passed };
            entries::visit(any, config, (partition, repeats), &mut |place, record| {
                let is_meant =
                    if by_id { missing.remove(&place) } else { arguments.means(&record) && !marks.contains_key(&place.1) };
                if is_meant {
                    let record = if kept == Some(&*record.topic) { record } else { without_bytes(record) };
                    selected.add(place, record, why_not);
                }
                selected.entries.len() <= SELECTED_MAX
            })?;
            Ok(0)
        })?;
        if let Some((partition, offset)) = missing.first() {
            return Err(Failure::new(Exit::NotFound, format_args!("there is no record {partition}/{offset} in quarantine")));
        }
        if selected.entries.len() > SELECTED_MAX {
            let why = format!("these are more than {SELECTED_MAX}: narrow them by --since and --until");
            return Err(Failure::new(Exit::Rejected, why));
        }
        selected.entries.sort_by_key(|(place, record)| (record.at, *place));
        Ok(selected)
    }

    fn add(&mut self, place: Place, record: Quarantined, why_not: &dyn Fn(&Quarantined) -> Option<String>) {
        if let Some(why) = why_not(&record) {
            *self.not.entry(why).or_default() += 1;
            return;
        }
        *self.by_kind.entry((record.reason.to_string(), record.topic.to_string())).or_default() += 1;
        self.entries.push((place, record));
    }

    /// What would be done to them, as a coordinator would say it.
    pub(super) fn answer(&self) -> QuarantineAnswer {
        let kind = |((reason, topic), count): (&(String, String), &usize)| QuarantineKind {
            reason: reason.clone(),
            topic: topic.clone(),
            count: *count,
        };
        let sample = self.entries.iter().take(SAMPLE_MAX).map(|(place, record)| QuarantineEntry::of(*place, record, None));
        let ids = self.entries.iter().map(|(place, _)| named(*place));
        QuarantineAnswer {
            ids: ids.collect(),
            count: self.entries.len(),
            by_kind: self.by_kind.iter().map(kind).collect(),
            not: self.not.iter().map(|(why, count)| QuarantineNot { why: why.clone(), count: *count }).collect(),
            sample: sample.collect(),
            left: self.entries.len(),
            ..QuarantineAnswer::default()
        }
    }
}
