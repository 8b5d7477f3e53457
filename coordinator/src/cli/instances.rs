//! `instances`: which coordinators run, and which partitions each of them has.

use std::collections::BTreeSet;
use std::io::Write;

use ringmaster_bus::kafka::{MemberFound, members};

use super::definitions::say;
use super::exit::{Exit, Failure};
use super::text::{self, printable};
use crate::api::InstanceShown;
use crate::config::{BusKind, Config};

/// `ringmaster instances`: asks the broker, so that it answers whoever runs or not.
pub(super) fn list(config: &Config, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if config.bus != BusKind::Kafka {
        let why = "the embedded bus belongs to one process, which has all partitions: there is nothing to share";
        return Err(Failure::new(Exit::Refused, why));
    }
    let found = members(&config.kafka_settings(), &config.group())?;
    if as_json {
        let line = |member: &MemberFound| serde_json::to_string(&InstanceShown::of(member)).expect("it is JSON");
        return found.iter().try_for_each(|member| say(out, format_args!("{}", line(member))));
    }
    if found.is_empty() {
        return say(out, format_args!("no instance runs: `ringmaster run` starts one"));
    }
    let mut table = text::table(["INSTANCE", "API", "HOST", "PARTITIONS"]);
    for member in &found {
        let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { printable(text.as_bytes()) };
        table.add_row([
            or_none(&member.name),
            or_none(&member.address),
            or_none(&member.host),
            or_none(&named(&member.partitions)),
        ]);
    }
    say(out, format_args!("{table}"))?;
    let owned: BTreeSet<i32> = found.iter().flat_map(|member| &member.partitions).copied().collect();
    let missing: Vec<i32> = (0..config.partitions).filter(|partition| !owned.contains(partition)).collect();
    match missing.len() {
        0 => say(out, format_args!("all {} partitions are given out", config.partitions)),
        _ => say(out, format_args!("not given out now: {} (they are on their way from one instance to another)", named(&missing))),
    }
}

fn named(partitions: &[i32]) -> String {
    partitions.iter().map(i32::to_string).collect::<Vec<_>>().join(" ")
}
