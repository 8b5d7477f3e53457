//! The router and the inbox: topics that are not read directly (PROTOCOL.md section 4).

mod keys;
mod marks;

use ringmaster_core::intake::InputRecord;
use ringmaster_core::partition::{Happened, InputSettings, Refusal, Role, Settings, StartAt, Tag, Wish};
use ringmaster_schemas::journal::{JournalRecord, Position};
use ringmaster_schemas::names::partition_of;

use crate::line::{BEGIN, Line};

/// Places of the inputs behind replies, alphas and betas.
const INBOX: usize = 3;
pub(crate) const WEBS: usize = 4;

pub(crate) const GAMMA: &str = "
saga: gamma
start: { on: Asked, from: webs, key: event.id }
retain: 2h
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest, timeout: 10s, within: 1m, retry: { first: 200ms, factor: 1, max: 200ms } }
";

/// The same saga, started by another key; and one beside it.
const BY_NUMBER: &str = "
saga: gamma
start: { on: Asked, from: webs, key: event.number }
retain: 2h
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest }
";
const DELTA: &str = "
saga: delta
start: { on: Asked, from: webs, key: event.number }
retain: 2h
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest }
";
/// One that waits for an event of a topic that is routed, as short as an answer is.
pub(crate) const WAITING: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - { step: told, wait: Told, from: webs, key: event.id, within: 10s }
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest }
";

pub(crate) type Forward = (i32, Vec<u8>, Tag);

/// Partition 0 of 2 with an inbox, and its two shares of a topic of three partitions.
pub(crate) fn routed(settings: &mut Settings) {
    let input = |number: u8, name: &str, role| InputSettings {
        topic: [number; 16],
        name: name.into(),
        role,
        start_at: StartAt::Earliest,
        accept_new: false,
    };
    settings.inputs.push(input(3, "inbox", Role::Inbox { bytes_max: 100_000 }));
    for slot in 0..2 {
        let default_type = Some("Asked".into());
        let role = Role::Source { type_field: "type".into(), default_type, slot, partitions: 3 };
        settings.inputs.push(input(4, "webs", role));
    }
    settings.partitions = 2;
}

pub(crate) fn line(definitions: &str) -> Line {
    let mut line = Line::of(definitions, routed);
    line.look();
    line.wishes.clear();
    line
}

/// A key of this partition.
pub(crate) fn home(number: usize) -> String {
    let mine = |key: &String| partition_of(key.as_bytes(), 2) == 0;
    (0..).map(|number| format!("k{number}")).filter(mine).nth(number).expect("there are many")
}

/// A key of the other one.
pub(crate) fn away() -> String {
    (0..).map(|number| format!("k{number}")).find(|key| partition_of(key.as_bytes(), 2) == 1).expect("there are many")
}

fn asked(key: &str) -> String {
    format!(r#"{{"type":"Asked","id":"{key}","number":"{}"}}"#, key.replace('k', "n"))
}

/// Lets what was sent to the inbox be taken from the wishes.
pub(crate) fn forwards(line: &mut Line) -> Vec<Forward> {
    let mut found = Vec::new();
    line.wishes.retain(|wish| match wish {
        Wish::Forward(forward) => {
            found.push((forward.to, forward.bytes.clone(), forward.tag));
            false
        }
        _ => true,
    });
    found
}

/// A record of the inbox comes.
pub(crate) fn bring(line: &mut Line, bytes: &[u8]) {
    let offset = line.next[INBOX];
    line.next[INBOX] += 1;
    let record = InputRecord { offset, timestamp: BEGIN, key: None, value: Some(bytes), headers: None };
    line.happens(Happened::Input { index: INBOX, record });
    line.poll();
}

pub(crate) fn acknowledge(line: &mut Line, tag: Tag) {
    let sender = line.sender();
    line.happens(Happened::Acknowledged { sender, tag, offset: Some(0) });
}

fn fail(line: &mut Line, tag: Tag) {
    let (sender, why) = (line.sender(), Refusal::Passing("gone".into()));
    line.happens(Happened::Failed { sender, tag, why: &why });
}

/// The journal's last positions of these names.
fn positions(line: &Line) -> Vec<(String, i64)> {
    let of = |record: JournalRecord| match record {
        JournalRecord::Positions(positions) => positions.positions,
        _ => Vec::new(),
    };
    let all: Vec<Position> = line.records().into_iter().flat_map(of).collect();
    all.into_iter().map(|position| (position.name.to_string(), position.next)).collect()
}

fn read(line: &mut Line, index: usize) -> Option<i64> {
    let mut from = None;
    line.wishes.retain(|wish| match wish {
        Wish::ReadInput(of, at) if *of == index => {
            from = Some(*at);
            false
        }
        _ => true,
    });
    from
}
