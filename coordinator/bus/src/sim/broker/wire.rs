//! From a client into a log and back: what is sent, what arrives, who is told, and what a client leaves behind.

use std::collections::BTreeSet;

use ringmaster_schemas::Millis;

use super::{Broker, Event, Lanes, Request, Told};
use crate::sim::faults::Fate;
use crate::sim::log::SimRecord;
use crate::{SendError, Sender, TopicPartition};

impl Broker {
    /// Takes a record from a client.
    pub(in crate::sim) fn send(
        &mut self,
        client: u32,
        sender: Sender,
        tag: u64,
        to: TopicPartition,
        record: SimRecord,
    ) -> Result<(), SendError> {
        let known = self.clients[client as usize].as_ref().expect("a client that sends exists").senders.get(&sender.0);
        match known {
            None => return Err(SendError::Broken("it was closed".into())),
            Some(lanes) if lanes.closed => return Err(SendError::Broken("it was closed".into())),
            Some(lanes) if lanes.broken => {
                return Err(SendError::Broken("scripted: it broke".into()));
            }
            Some(_) => {}
        }
        let name = self.topics.names.name(to.topic).to_owned();
        let Some(topic) = self.topics.topic(to).filter(|topic| (to.partition as usize) < topic.partitions.len()) else {
            return Err(SendError::Refused(format!("no topic '{name}' with a partition {}", to.partition)));
        };
        if record.value.len() > topic.record_bytes_max() {
            return Err(SendError::TooBig(format!("{} bytes, '{name}' takes {}", record.value.len(), topic.record_bytes_max())));
        }
        if topic.refusing {
            return Err(SendError::Refused(format!("'{name}' refuses (scripted)")));
        }
        if self.chance(self.faults.refused_locally) {
            self.hit("refused_locally");
            return Err(SendError::Full);
        }
        let fate = self.faults.clone().fate(&mut self.rng);
        let breaks = self.chance(self.faults.sender_broken);
        let leaves_at = self.now + self.within(self.faults.linger_max_ms);
        let sent = self.next_moment();
        let record = SimRecord { client: Some(client), sent, ..record };
        let lanes = self.lanes(client, sender).expect("it was looked at");
        lanes.open.push(tag);
        self.launch(Request { client, sender, tag, to, leaves_at, record, fate });
        if breaks {
            self.hit("sender_broken");
            self.break_sender(client, sender);
        }
        Ok(())
    }

    fn lanes(&mut self, client: u32, sender: Sender) -> Option<&mut Lanes> {
        self.clients[client as usize].as_mut()?.senders.get_mut(&sender.0)
    }

    /// Puts a record on its way, behind those of its lane.
    fn launch(&mut self, mut request: Request) {
        let arrives_at = request.leaves_at + self.within(self.faults.wire_max_ms);
        let led_from = self.topics.partition(request.to).map_or(Millis::MIN, |log| log.led_from);
        let lane = self.lanes(request.client, request.sender).map(|lanes| lanes.lanes.entry(request.to).or_default());
        let Some((last_arrival, _)) = lane else {
            return;
        };
        *last_arrival = arrives_at.max(*last_arrival).max(led_from);
        let mut arrives_at = *last_arrival;
        if request.fate == Fate::FailedThenKept {
            self.hit("failed_then_kept");
            let noticed_at = request.leaves_at + self.within(self.faults.timeout_max_ms) + 1;
            self.fail_at(noticed_at, &request);
            // It overtakes nothing and is overtaken by all: it was stuck somewhere.
            arrives_at = noticed_at + self.within(self.faults.late_max_ms);
            request.leaves_at = request.leaves_at.min(self.now);
        }
        self.schedule(arrives_at, Event::Arrive(request));
    }

    fn fail_at(&mut self, at: Millis, request: &Request) {
        let why = SendError::Unknown("scripted: no acknowledgement came".into());
        self.schedule(at, Event::Tell(request.client, Told::Failed(request.sender, request.tag, why)));
    }

    pub(super) fn arrive(&mut self, request: Request) {
        let noticed_at = self.now + self.within(self.faults.timeout_max_ms) + 1;
        match request.fate {
            Fate::Kept => self.keep_and_tell(&request, true),
            Fate::Lost => {
                self.hit("lost");
                self.fail_at(noticed_at, &request);
            }
            Fate::FailedButKept => {
                self.hit("failed_but_kept");
                let _offset = self.keep(request.to, request.record.clone());
                self.fail_at(noticed_at, &request);
            }
            Fate::FailedThenKept => {
                let _offset = self.keep(request.to, request.record);
            }
            Fate::OffsetUnknown => {
                self.hit("offset_unknown");
                self.keep_and_tell(&request, false);
            }
            Fate::KeptAgain => {
                self.hit("kept_again");
                let again_at = self.now + self.within(self.faults.late_max_ms);
                self.schedule(again_at, Event::Keep(request.to, request.record.clone()));
                self.keep_and_tell(&request, true);
            }
            Fate::KeptTwice => {
                self.hit("kept_twice");
                let _first = self.keep(request.to, request.record.clone());
                self.keep_and_tell(&request, true);
            }
        }
    }

    fn keep_and_tell(&mut self, request: &Request, with_offset: bool) {
        let told = match self.keep(request.to, request.record.clone()) {
            Some(offset) => Told::Acknowledged(request.sender, request.tag, with_offset.then_some(offset)),
            None => Told::Failed(request.sender, request.tag, SendError::Refused("the topic is gone".into())),
        };
        let told_at = self.now + self.within(self.faults.wire_max_ms);
        let Some(lanes) =
            self.clients[request.client as usize].as_mut().and_then(|client| client.senders.get_mut(&request.sender.0))
        else {
            return;
        };
        let mute = lanes.mute;
        let (_, last_told) = lanes.lanes.entry(request.to).or_default();
        *last_told = told_at.max(*last_told);
        let told_at = *last_told;
        if !(mute && self.rng.bool()) {
            self.schedule(told_at, Event::Tell(request.client, told));
        }
    }

    /// The sender sends nothing any more; what it has not acknowledged fails, kept or not.
    fn break_sender(&mut self, client: u32, sender: Sender) {
        let lanes = self.lanes(client, sender).expect("an open sender breaks");
        lanes.broken = true;
        let open = lanes.open.clone();
        let at = self.now + 1;
        for tag in open {
            let why = SendError::Broken("scripted: it broke".into());
            self.schedule(at, Event::Tell(client, Told::Failed(sender, tag, why)));
        }
        self.leave_behind(client, Some(sender));
    }

    /// At most one doubt a poll.
    pub(in crate::sim) fn doubt(&mut self, client: u32) {
        if !self.chance(self.faults.doubt) {
            return;
        }
        let open = self.clients[client as usize]
            .as_ref()
            .map(|client| client.senders.iter().filter(|(_, lanes)| !lanes.closed).map(|(&number, _)| number).collect::<Vec<_>>())
            .unwrap_or_default();
        if open.is_empty() {
            return;
        }
        let sender = Sender(open[self.rng.usize(..open.len())]);
        self.hit("doubt");
        self.lanes(client, sender).expect("it is open").mute = true;
        self.tell(client, Told::Doubt(sender, "scripted: the connection is doubtful".into()));
    }

    pub(in crate::sim) fn close_sender(&mut self, client: u32, sender: Sender) {
        self.leave_behind(client, Some(sender));
        if let Some(lanes) = self.lanes(client, sender) {
            lanes.closed = true;
        }
    }

    /// What a sender (or all of a client) leaves on the wire: arrives, is lost, or arrives much later.
    fn leave_behind(&mut self, client: u32, sender: Option<Sender>) {
        let of = |request: &Request| request.client == client && sender.is_none_or(|sender| request.sender == sender);
        let on_the_wire: Vec<(Millis, u64)> = self
            .events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Arrive(request) if of(request)))
            .map(|(&at, _)| at)
            .collect();
        for at in on_the_wire {
            let Some(Event::Arrive(request)) = self.events.remove(&at) else { unreachable!("it was looked at") };
            if request.leaves_at > self.now && self.rng.bool() {
                self.hit("closed_unsent");
            } else if self.chance(self.faults.left_behind) {
                self.hit("left_behind");
                let late = self.now + self.within(self.faults.late_max_ms);
                self.schedule(late, Event::Arrive(request));
            } else {
                self.events.insert(at, Event::Arrive(request));
            }
        }
    }

    /// When records arrive that are on their way to a partition, in order.
    pub(super) fn requests_to(&self, to: TopicPartition) -> impl Iterator<Item = (Millis, u64)> {
        let is_to = move |event: &Event| matches!(event, Event::Arrive(request) if request.to == to);
        self.events.iter().filter(move |(_, event)| is_to(event)).map(|(&at, _)| at)
    }

    pub(super) fn change_leader(&mut self, to: TopicPartition, after_ms: Millis) -> usize {
        let (now, led_from) = (self.now, self.now + after_ms);
        let Some(log) = self.topics.partition_mut(to) else { return 0 };
        log.led_from = log.led_from.max(led_from);
        // Of what one sender sent the new leader has all up to some record.
        let (mut ended, mut count) = (BTreeSet::new(), 0);
        for at in self.requests_to(to).collect::<Vec<_>>() {
            let Some(Event::Arrive(mut request)) = self.events.remove(&at) else { unreachable!("it was looked at") };
            let lane = (request.client, request.sender.0);
            let is_kept = request.fate == Fate::Kept && request.leaves_at <= now && !ended.contains(&lane) && self.rng.bool();
            count += usize::from(request.leaves_at <= now);
            if is_kept {
                request.fate = Fate::OffsetUnknown;
                self.schedule(now, Event::Arrive(request));
                continue;
            }
            ended.insert(lane);
            if let Some(lanes) = self.lanes(request.client, request.sender) {
                let (last_arrival, _) = lanes.lanes.entry(to).or_default();
                *last_arrival = led_from.max(*last_arrival);
            }
            self.schedule(at.0.max(led_from), Event::Arrive(request));
        }
        *self.hits.entry("leader_changed").or_default() += count as u64;
        count
    }

    pub(super) fn freeze(&mut self, client: u32, frozen: bool) {
        let now = self.now;
        let Some(found) = self.clients[client as usize].as_mut() else {
            return;
        };
        found.frozen = frozen;
        if !frozen {
            for mut request in std::mem::take(&mut found.held) {
                request.leaves_at = now;
                self.launch(request);
            }
            return;
        }
        let queued: Vec<(Millis, u64)> = self
            .events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Arrive(request) if request.client == client && request.leaves_at > now))
            .map(|(&at, _)| at)
            .collect();
        for at in queued {
            let Some(Event::Arrive(request)) = self.events.remove(&at) else { unreachable!("it was looked at") };
            self.clients[client as usize].as_mut().expect("it was looked at").held.push(request);
        }
    }

    /// The process of a client ends: what has not left it is lost; the rest arrives, and nobody is told.
    pub(in crate::sim) fn gone(&mut self, client: u32) {
        let now = self.now;
        self.events
            .retain(|_, event| !matches!(event, Event::Arrive(request) if request.client == client && request.leaves_at > now));
        self.leave_behind(client, None);
        self.clients[client as usize] = None;
    }

    pub(in crate::sim) fn commit(&mut self, group: &str, at: TopicPartition, next: i64) {
        let topic = self.topics.names.name(at.topic).to_owned();
        // Commits of a connection land in their order, however long one takes.
        let lands_at = (self.now + self.within(self.faults.wire_max_ms)).max(self.commits_land_at);
        self.commits_land_at = lands_at;
        self.schedule(lands_at, Event::Commit(group.to_owned(), topic, at.partition, next));
    }
}
