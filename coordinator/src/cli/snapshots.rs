//! `snapshots`: what stands for the parts of the journal that were deleted, and where it begins.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use ringmaster_bus::{Bus, BusError, TopicPartition};
use ringmaster_core::partition::Snapshots;
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::snapshot::Manifest;
use serde_json::json;

use super::buses::{self, Access, on_bus};
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::text::{self, printable, time};
use crate::blocking;
use crate::config::Config;

/// `ringmaster snapshots`: reads the topic of snapshots, each to its last piece, so that what it lists is whole.
pub(super) fn list(config: &Config, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let topics = Topics::new(&config.prefix);
    let mut any = buses::open(config, Access::Read)?;
    let described = on_bus!(&mut any, bus => bus.describe(&[&topics.journal, &topics.snapshots])?);
    let [Some(journal), Some(_)] = &described[..] else {
        let why = format_args!("{} or {} is missing: run `ringmaster topics apply`", topics.journal, topics.snapshots);
        return Err(Failure::new(Exit::Refused, why));
    };
    let mut table = text::table(["PARTITION", "SNAPSHOT", "SINCE", "UNTIL", "ROWS", "BYTES", "TAKEN", "BY", "RESTORES"]);
    let mut count = 0;
    for partition in 0..journal.partitions {
        let (bounds, found) = on_bus!(&mut any, bus => {
            let at = TopicPartition { topic: bus.topic(&topics.journal), partition };
            (blocking::bounds(bus, at)?, read(bus, &topics, partition, &AtomicBool::new(false))?)
        });
        let usable: Vec<i64> = found.usable(journal.id, bounds).iter().map(|manifest| manifest.number).collect();
        for manifest in found.whole() {
            count += 1;
            let is_usable = usable.contains(&manifest.number);
            if as_json {
                say(out, format_args!("{}", as_line(partition, manifest, bounds.0, is_usable)))?;
                continue;
            }
            table.add_row([
                partition.to_string(),
                manifest.number.to_string(),
                manifest.since_offset().to_string(),
                manifest.until.journal_offset.to_string(),
                manifest.rows.to_string(),
                manifest.bytes.to_string(),
                time(manifest.taken_at),
                printable(manifest.owner.as_bytes()),
                if is_usable { "yes" } else { "no: it is not of what the journal holds now" }.to_owned(),
            ]);
        }
    }
    match (as_json, count) {
        (true, _) => Ok(()),
        (false, 0) => {
            let why = "no snapshot was taken: the setting `journal_retention` is \"forever\", or half of its time is not over yet";
            say(out, format_args!("{why}"))
        }
        (false, _) => say(out, format_args!("{table}")),
    }
}

/// What the topic of snapshots says of a partition, read to its end unless somebody wants it to stop.
pub(super) fn read(bus: &mut impl Bus, topics: &Topics, partition: i32, stop: &AtomicBool) -> Result<Snapshots, BusError> {
    let at = TopicPartition { topic: bus.topic(&topics.snapshots), partition };
    let mut tries = 0;
    loop {
        tries += 1;
        let (begun, mut found) = (blocking::bounds(bus, at)?.0, Snapshots::default());
        let mut note = |read: blocking::Read| {
            found.take(read.value.as_deref().unwrap_or_default());
            !stop.load(Ordering::Relaxed)
        };
        match blocking::read_from(bus, &topics.snapshots, (partition, 0), &mut note) {
            Ok(()) => return Ok(found),
            // An owner deletes older ones at any moment: those that are left are read from their beginning.
            Err(BusError::Refused(_)) if tries < blocking::TRIES && blocking::bounds(bus, at)?.0 > begun => {}
            Err(error) => return Err(error),
        }
    }
}

fn as_line(partition: i32, manifest: &Manifest, journal_start: i64, restores: bool) -> serde_json::Value {
    json!({
        "partition": partition, "snapshot": manifest.number, "since": manifest.since_offset(),
        "until": manifest.until.journal_offset, "rows": manifest.rows, "bytes": manifest.bytes,
        "taken_at": time(manifest.taken_at), "by": &*manifest.owner, "journal_start": journal_start, "restores": restores,
    })
}
