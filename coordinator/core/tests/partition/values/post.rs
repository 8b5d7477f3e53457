//! Two partitions, and an inbox between them that loses nothing and does whatever else the test wants.

use ringmaster_core::intake::InputRecord;
use ringmaster_core::partition::{Happened, InputSettings, Role, StartAt, Tag, Wish};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Letter, SagaEvent};
use ringmaster_schemas::names::partition_of;
use ringmaster_schemas::state::{RowKey, Saga};

use crate::line::{ALPHAS, BEGIN, BETAS as CONTROL, Line, REPLIES};

/// The place of the inbox behind replies, alphas and betas; then a topic that is routed.
pub(super) const INBOX: usize = 3;
const PARCELS: usize = 4;

/// Two partitions of one coordinator.
pub(crate) struct Post {
    pub(crate) lines: Vec<Line>,
    /// What lies in the topic that is routed, by partition.
    pub(crate) parcels: [Vec<String>; 2],
    /// Records of the inbox that have not been read: to which partition.
    pub(crate) mail: Vec<(usize, Vec<u8>)>,
    /// Every letter that was ever sent comes so often.
    pub(crate) copies: usize,
    /// Whether what is sent is taken in the order in which it was sent; else the newest first.
    pub(crate) in_order: bool,
}

impl Post {
    pub(crate) fn of(definitions: &str) -> Post {
        Self::with_inbox(definitions, 100_000)
    }

    /// The same; a record of the inbox takes so many bytes.
    pub(crate) fn with_inbox(definitions: &str, bytes_max: usize) -> Post {
        let lines = (0..2).map(|number| {
            let mut line = Line::of(definitions, |settings| {
                let input = |topic: u8, name: &str, role| InputSettings {
                    topic: [topic; 16],
                    name: name.into(),
                    role,
                    start_at: StartAt::Earliest,
                    accept_new: false,
                };
                settings.inputs[CONTROL].role = Role::Control;
                settings.inputs.push(input(3, "inbox", Role::Inbox { bytes_max }));
                let role = Role::Source { type_field: "type".into(), default_type: None, slot: 0, partitions: 2 };
                settings.inputs.push(input(4, "parcels", role));
                (settings.number, settings.partitions) = (number, 2);
            });
            line.look();
            line
        });
        Post { lines: lines.collect(), parcels: Default::default(), mail: Vec::new(), copies: 1, in_order: true }
    }

    /// A saga begins, in its own partition.
    pub(crate) fn begin(&mut self, key: &str, event: &str) {
        let at = partition_of(key.as_bytes(), 2) as usize;
        let now = self.lines[at].clocks.wall;
        self.lines[at].put(ALPHAS, now, Some(key), event);
        self.lines[at].poll();
    }

    /// A person cancels a saga.
    pub(crate) fn cancel(&mut self, key: &str) {
        let line = &mut self.lines[partition_of(key.as_bytes(), 2) as usize];
        let record = format!(r#"{{"saga":"goods/{key}","act":"cancel","by":"ann","why":"no"}}"#);
        line.put(CONTROL, line.clocks.wall, Some(key), &record);
        line.poll();
    }

    /// An event of the topic that is routed, read by this partition.
    pub(crate) fn comes(&mut self, at: usize, event: &str) {
        let now = self.lines[at].clocks.wall;
        self.parcels[at].push(event.to_owned());
        self.lines[at].put(PARCELS, now, None, event);
        self.lines[at].poll();
    }

    /// What was sent leaves, and is acknowledged.
    pub(crate) fn collect(&mut self) {
        for at in 0..2 {
            let mut sent = Vec::new();
            for wish in std::mem::take(&mut self.lines[at].wishes) {
                match wish {
                    Wish::Send(tag @ Tag::Effect(_)) => {
                        let effect = self.lines[at].partition.effect(tag).expect("it waits to be sent");
                        if Letter::is_one(effect.value()) {
                            assert_eq!(&*effect.topic, "replies");
                            self.mail.push((partition_of(effect.key(), 2) as usize, effect.value().to_vec()));
                        }
                        sent.push(tag);
                    }
                    Wish::Forward(forward) => {
                        self.mail.push((forward.to as usize, forward.bytes.clone()));
                        sent.push(forward.tag);
                    }
                    other => self.lines[at].wishes.push(other),
                }
            }
            let sender = self.lines[at].sender();
            for tag in sent {
                self.lines[at].happens(Happened::Acknowledged { sender, tag, offset: Some(0) });
            }
        }
    }

    pub(crate) fn bring(&mut self, to: usize, bytes: &[u8]) {
        let line = &mut self.lines[to];
        let index = if is_letter(bytes) { REPLIES } else { INBOX };
        let offset = line.next[index];
        line.next[index] += 1;
        let paused = line.wishes.iter().rev().find_map(|wish| match wish {
            Wish::Pause(of, paused) if *of == index => Some(*paused),
            _ => None,
        });
        assert_ne!(paused, Some(true), "what comes here is held");
        let record = InputRecord { offset, timestamp: BEGIN, key: None, value: Some(bytes), headers: None };
        line.happens(Happened::Input { index, record });
        line.poll();
    }

    /// Until nothing is on its way.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100 {
            self.collect();
            if self.mail.is_empty() {
                return;
            }
            let mail = std::mem::take(&mut self.mail);
            let all = mail.iter().flat_map(|one| std::iter::repeat_n(one, if is_letter(&one.1) { self.copies } else { 1 }));
            let mut all: Vec<(usize, Vec<u8>)> = all.cloned().collect();
            if !self.in_order {
                // What a router hands on keeps its order by itself.
                let (letters, mut routed): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, bytes)| is_letter(bytes));
                routed.extend(letters.into_iter().rev());
                all = routed;
            }
            for (to, bytes) in all {
                self.bring(to, &bytes);
            }
        }
        panic!("letters go round without end");
    }

    /// Another process goes on with this partition: with its store, or by the journal alone.
    pub(crate) fn restart(&mut self, at: usize, has_store: bool) {
        let line = &mut self.lines[at];
        if let Some(staged) = line.partition.stage_checkpoint().filter(|_| has_store) {
            line.store(staged);
        }
        line.restart(|_| {});
        line.own();
        // What is not known to be in the inbox is read again.
        let from = line.wishes.iter().rev().find_map(|wish| match wish {
            Wish::ReadInput(PARCELS, from) => Some(*from as usize),
            _ => None,
        });
        let again = self.parcels[at].split_off(from.unwrap_or(0));
        line.next[PARCELS] = from.unwrap_or(0) as i64;
        again.iter().for_each(|event| self.comes(at, event));
        self.lines[at].poll();
    }

    pub(crate) fn pass(&mut self, ms: Millis) {
        for line in &mut self.lines {
            line.pass(ms);
            line.look();
        }
        self.settle();
    }

    /// All that happened to a row, in its partition.
    pub(crate) fn events_of(&self, id: &str) -> Vec<SagaEvent> {
        self.lines.iter().flat_map(|line| line.events_of(id)).collect()
    }

    /// The body of the first command of a saga's own row, if it has asked.
    pub(crate) fn asked_of(&self, id: &str) -> Option<String> {
        self.events_of(id).into_iter().find_map(|event| match event {
            SagaEvent::CommandIssued { order, .. } => Some(String::from_utf8_lossy(order.body()).into_owned()),
            _ => None,
        })
    }

    /// A row as it is stored by now.
    pub(crate) fn row(&mut self, id: &str) -> Option<Saga> {
        self.store();
        let bytes = self.lines.iter().find_map(|line| line.rows.get(&RowKey::saga(id)))?;
        Some(Saga::decode(&id.into(), bytes).expect("a row"))
    }

    pub(crate) fn store(&mut self) {
        for line in &mut self.lines {
            line.poll();
            if let Some(staged) = line.partition.stage_checkpoint() {
                line.store(staged);
            }
        }
    }

    /// Both journals, from their beginnings, come to the same rows and digests.
    pub(crate) fn replays(&mut self) {
        self.store();
        for line in &mut self.lines {
            line.replays();
        }
    }

    /// An answer to a step.
    pub(crate) fn reply(&mut self, key: &str, outcome: &str, body: &str) {
        let saga = key.split('/').nth(1).expect("a key has a saga's");
        let at = partition_of(saga.as_bytes(), 2) as usize;
        let line = &mut self.lines[at];
        let reply = format!(
            r#"{{"meta":{{"idempotency_key":"{key}","attempt":1,"outcome":"{outcome}","code":"NO","retryable":false}},"body":{body}}}"#
        );
        line.put(REPLIES, line.clocks.wall, None, &reply);
        line.poll();
    }
}

fn is_letter(bytes: &[u8]) -> bool {
    Letter::is_one(bytes)
}
