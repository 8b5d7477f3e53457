//! What happens to processes: they die, stand still, end in good order, lose their disks.

use ringmaster_core::faults;
use ringmaster_core::intake::{ParticipantAct, ParticipantRecord};
use ringmaster_schemas::Millis;
use ringmaster_store::Store;

use super::{Actor, Sim, Struck, World, step};
use crate::sim::coordinator::State;
use crate::sim::plan::Incident;
use crate::sim::truth::INPUTS;

/// The topic of the journal.
pub(super) const JOURNAL: &str = "ringmaster.journal";

impl World {
    pub(super) fn happen(&mut self, incident: Incident, sim: &Sim) {
        self.note(format!("{incident:?}"));
        let now = self.broker.now();
        let target = self.running();
        match (incident, target) {
            (Incident::CrashAt(point, after), _) => faults::crash_at(Some((point, after))),
            (Incident::FreezeAt { point, after, for_ms, replace_after_ms }, _) => {
                let sim = sim.clone();
                faults::freeze_at(point, after, Box::new(move || meanwhile(&sim, point, for_ms, replace_after_ms)));
            }
            (Incident::LoseClaim(for_ms, replace_after_ms), _) => lose_next_claim(sim.clone(), for_ms, replace_after_ms),
            (Incident::Crash, Some(index)) => self.crash(index),
            (Incident::Freeze { for_ms, replace_after_ms }, Some(index)) => {
                self.stand_still(index, for_ms);
                self.starts.extend(replace_after_ms.map(|after| now + after));
            }
            (Incident::Second, _) => {
                self.lose_group(now);
                self.starts.push(now);
            }
            (Incident::Stop, Some(index)) => self.stop(index),
            (Incident::CrashInFlush, Some(index)) => self.crash_in_flush(index),
            (Incident::LoseStore, Some(index)) => {
                self.crash(index);
                self.machines[self.coordinators[index].machine].lose();
            }
            (Incident::LoseTail(count), Some(index)) => {
                self.crash(index);
                self.lose_tail(count);
            }
            (Incident::CrashService(index), _) => {
                // One that stands still in its turn is not here.
                self.services[index].iter_mut().for_each(|service| service.crash(now + 100));
            }
            (Incident::FreezeService(index, for_ms), _) => {
                self.services[index].iter_mut().for_each(|service| service.freeze(&self.broker, now + for_ms));
            }
            (Incident::ChangeLeader(after_ms, then), Some(index)) => self.change_leader(after_ms, then, index),
            (Incident::RefuseTopic(topic, for_ms), _) => {
                self.broker.refuse(topic, true);
                self.refused.push((now + for_ms, topic));
            }
            (Incident::Pause(participant, for_ms), _) => {
                self.act_on(participant, ParticipantAct::Pause);
                self.paused.push((now + for_ms, participant));
            }
            (Incident::Leap(ms), _) => self.broker.advance(now + ms),
            (Incident::ClockSteps(ms), _) => self.ahead_ms += ms,
            (Incident::Reassign(for_ms), Some(_)) => self.reassign(now + for_ms),
            (
                Incident::Crash
                | Incident::Freeze { .. }
                | Incident::Stop
                | Incident::CrashInFlush
                | Incident::LoseStore
                | Incident::LoseTail(_)
                | Incident::ChangeLeader(..)
                | Incident::Reassign(_),
                None,
            ) => {}
        }
    }

    /// The store is flushed half.
    fn crash_in_flush(&mut self, index: usize) {
        let store = &self.machines[self.coordinators[index].machine];
        let (count, all) = (self.rng.usize(..=store.unflushed_count()), store.unflushed_count());
        store.stop_next_flush_after(count);
        let _half = store.flush();
        if count > 0 && count < all {
            self.struck("flush_half", Struck::Died);
        }
        self.crash(index);
    }

    /// Takes a partition from its worker until then, in good order or not.
    fn reassign(&mut self, until: Millis) {
        let (number, in_order) = (self.rng.i32(0..self.plan.partitions), self.rng.bool());
        self.group.take(number, in_order, self.broker.now(), until);
    }

    fn stand_still(&mut self, index: usize, for_ms: Millis) {
        let now = self.broker.now();
        self.counted.standstills += 1;
        self.broker.freeze(self.coordinators[index].client, true);
        self.coordinators[index].state = State::Frozen(now + for_ms);
        self.group.suspect(index, now);
    }

    /// Another broker leads the partition of the journal that most is on its way to, after a while; a coordinator may end meanwhile.
    fn change_leader(&mut self, after_ms: Millis, then: Option<Struck>, index: usize) {
        let on_the_way = |partition: &i32| self.broker.on_the_way_to(JOURNAL, *partition);
        let Some(partition) = (0..self.plan.partitions).max_by_key(on_the_way) else { return };
        let hit = self.broker.change_leader(JOURNAL, partition, after_ms);
        self.note(format!("journal {partition} is without a leader for {after_ms} ms, {hit} records were on their way"));
        let Some(how) = then else { return };
        if hit > 0 {
            self.struck("leader_changed", how);
        }
        match how {
            Struck::Died => self.crash(index),
            Struck::Stood => self.stand_still(index, after_ms / 2),
        }
    }

    /// Writes what a person does to a participant, as `ringmaster participant` does.
    fn act_on(&mut self, participant: &'static str, act: ParticipantAct) {
        let (by, why) = ("ann".into(), "maintenance".into());
        let record = ParticipantRecord { id: None, participant: participant.into(), act, by, why };
        let value = serde_json::to_vec(&record).expect("it is JSON");
        for partition in 0..self.plan.partitions {
            self.broker.put(INPUTS[2], partition, None, &value);
        }
    }

    /// Resumes participants whose time has come, unless they were paused again meanwhile.
    pub(super) fn resume_due(&mut self, now: Millis) {
        let due: Vec<_> = self.paused.extract_if(.., |(until, _)| *until <= now).map(|(_, participant)| participant).collect();
        for participant in due {
            if !self.paused.iter().any(|(_, other)| *other == participant) {
                self.act_on(participant, ParticipantAct::Resume);
            }
        }
    }

    /// The broker forgets what it had acknowledged: so many of the newest records of each partition. Whoever runs is not connected, and has
    /// become no owner in the turn that it is in: it could not know of it.
    fn lose_tail(&mut self, count: usize) {
        self.tail_lost = true;
        self.truths.borrow_mut().clear();
        self.broker.advance(self.broker.now() + self.plan.faults.wire_max_ms + self.plan.faults.late_max_ms);
        for partition in 0..self.plan.partitions {
            let lost = self.broker.lose_tail(JOURNAL, partition, count);
            if !lost.is_empty() {
                self.struck("tail_lost", Struck::Died);
            }
            self.note(format!("journal {partition} lost {} records", lost.len()));
        }
    }

    pub(super) fn crash(&mut self, index: usize) {
        self.counted.crashes += 1;
        self.note(format!("coordinator {index} dies"));
        self.end(index);
        self.group.suspect(index, self.broker.now());
        self.machines[self.coordinators[index].machine].crash();
    }

    pub(super) fn end(&mut self, index: usize) {
        self.coordinators[index].state = State::Ended;
        self.coordinators[index].process = None;
    }

    pub(super) fn stop(&mut self, index: usize) {
        let now = self.broker.now();
        let one = &mut self.coordinators[index];
        if one.process.is_some() && one.stopping_since.is_none() {
            one.stopping_since = Some(now);
            self.asked_to_end.push(index);
        }
    }

    /// Who was asked to end, and can do so.
    pub(super) fn next_to_end(&mut self) -> Option<usize> {
        let coordinators = &self.coordinators;
        self.asked_to_end.retain(|index| coordinators[*index].state != State::Ended);
        let place = self.asked_to_end.iter().position(|index| coordinators[*index].state == State::Running)?;
        Some(self.asked_to_end.remove(place))
    }
}

/// Whoever claims next stands still, and the broker forgets its claim, which is in the only partition. The group may say that another one
/// is to have it so late that it has read by then what stands there instead.
fn lose_next_claim(sim: Sim, for_ms: Millis, replace_after_ms: Millis) {
    let point = "claim_acked_unreplayed";
    let stands_still = move || {
        let mut world = sim.borrow_mut();
        world.lose_tail(1);
        let now = world.broker.now();
        world.lose_group(now);
        drop(world);
        meanwhile(&sim, point, for_ms, Some(replace_after_ms));
    };
    faults::freeze_at(point, 0, Box::new(stands_still));
}

/// The rest of the world goes on while somebody stands still in the middle of its turn.
fn meanwhile(sim: &Sim, point: &'static str, for_ms: Millis, replace_after_ms: Option<Millis>) {
    let (client, until, who) = {
        let mut world = sim.borrow_mut();
        let Some(&actor) = world.in_turn.last() else { return };
        let now = world.broker.now();
        let (client, who) = match actor {
            Actor::Coordinator(index) => {
                world.counted.standstills += 1;
                world.group.suspect(index, now);
                world.starts.extend(replace_after_ms.map(|after| now + after));
                (world.coordinators[index].client, format!("coordinator {index}"))
            }
            Actor::Service(index) => {
                let Some(client) = world.service_clients[index] else { return };
                (client, format!("service {index}"))
            }
        };
        world.broker.freeze(client, true);
        world.note(format!("{who} stands still at {point}"));
        world.struck(point, Struck::Stood);
        (client, now + for_ms, who)
    };
    while {
        let world = sim.borrow();
        world.broker.now() < until && world.broken.is_none()
    } {
        step(sim);
    }
    let mut world = sim.borrow_mut();
    world.broker.freeze(client, false);
    world.note(format!("{who} goes on from {point}"));
}
