//! Turns of coordinators and services: the world is free meanwhile, since one may stand still in the middle of its turn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ringmaster_core::faults;

use ringmaster::runtime::{Now, Order, Stop, Worker};
use ringmaster_bus::sim::{SimBus, SimRecord};
use ringmaster_core::partition::Partition;
use ringmaster_schemas::journal::JournalRecord;

use super::incidents::JOURNAL;
use super::{Actor, Sim, Struck, World};
use crate::sim::coordinator::{self, State, Turned, message};

pub(super) fn turn_coordinator(sim: &Sim, index: usize) {
    let (mut process, broker, ahead_ms) = {
        let mut world = sim.borrow_mut();
        let ahead_ms = world.ahead_ms;
        let one = &mut world.coordinators[index];
        if one.state != State::Running {
            return;
        }
        one.state = State::InTurn;
        let process = one.process.take().expect("a running coordinator has a worker");
        world.in_turn.push(Actor::Coordinator(index));
        (process, world.broker.clone(), ahead_ms)
    };
    let (turned, taken) = coordinator::turn(&mut process, &broker, ahead_ms);
    let mut world = sim.borrow_mut();
    world.in_turn.pop();
    world.counted.snapshots += u32::from(taken);
    if matches!(turned, Turned::Fine(_)) {
        for partition in process.worker.partitions() {
            let (kept, counted) = (partition.asking_count(), partition.recount_asking());
            if kept != counted {
                world.fail(format!("partition {}: {kept} sagas wait for answers by its count, {counted} do", partition.number()));
            }
        }
        world.note_restored(&process.worker);
        process.worker.partitions().for_each(|partition| world.owns_by_its_claim(index, partition));
        world.coordinators[index].process = Some(process);
    } else {
        drop(process);
    }
    world.turned(index, turned);
}

impl World {
    /// Whoever becomes the owner does so by a claim of its own, which is in the journal at the offset that is the term's name (rule 2).
    fn owns_by_its_claim(&mut self, index: usize, partition: &Partition) {
        let (number, Some(term)) = (partition.number(), partition.term()) else { return };
        let before = self.coordinators[index].terms.insert(number, term);
        if before == Some(term) {
            return;
        }
        let (client, (offset, id)) = (self.coordinators[index].client, term);
        let log = self.broker.log(JOURNAL, number);
        let is_its = |record: &Arc<SimRecord>| {
            let says = JournalRecord::decode(&record.value);
            record.client == Some(client) && matches!(says, Ok(JournalRecord::Claim(claim)) if claim.id == id)
        };
        if !usize::try_from(offset).is_ok_and(|offset| log.get(offset).is_some_and(is_its)) {
            self.fail(format!("claims: coordinator {index} owns partition {number}, and {offset} is not where it claimed it"));
        }
    }
}

pub(super) fn turn_service(sim: &Sim, index: usize) {
    let (service, broker) = {
        let mut world = sim.borrow_mut();
        // Whoever stands still in the middle of its turn is not here.
        let Some(service) = world.services[index].take() else { return };
        world.in_turn.push(Actor::Service(index));
        world.service_clients[index] = service.client();
        (service, world.broker.clone())
    };
    let mut service = service;
    let unreplied = service.unreplied;
    let turned = catch_unwind(AssertUnwindSafe(|| service.turn(&broker)));
    let mut world = sim.borrow_mut();
    world.in_turn.pop();
    if service.unreplied > unreplied {
        world.struck("participant_done_unreplied", Struck::Died);
    }
    match turned {
        Ok(Ok(events)) => world.events += events,
        Ok(Err(why)) => world.fail(why),
        Err(panic) if panic.is::<faults::Crashed>() => {
            let faults::Crashed(point) = *panic.downcast::<faults::Crashed>().expect("it was looked at");
            world.note(format!("service {} dies at {point}", service.name));
            world.struck(point, Struck::Died);
            service.crash(broker.now() + 100);
        }
        Err(panic) => world.fail(format!("service {} panicked: {}", service.name, message(&*panic))),
    }
    world.services[index] = Some(service);
}

/// What the group said is done, coordinator by coordinator, and who was asked to end gives up what it has. What is for one that stands
/// still waits until it goes on.
pub(super) fn obey_all(sim: &Sim) {
    loop {
        let next = sim.borrow_mut().next_to_end();
        let Some(index) = next else { break };
        does(sim, index, "gives up all".to_owned(), |worker, clock| {
            worker.hand_over_all(clock);
            Ok(0)
        });
    }
    loop {
        let heard = {
            let mut world = sim.borrow_mut();
            let world = &mut *world;
            world.orders_heard.retain(|(index, _)| world.coordinators[*index].state != State::Ended);
            let may_obey = |(index, _): &(usize, Order)| world.coordinators[*index].state == State::Running;
            world.orders_heard.iter().position(may_obey).and_then(|place| world.orders_heard.remove(place))
        };
        let Some((index, order)) = heard else { return };
        obey(sim, index, order);
    }
}

fn obey(sim: &Sim, index: usize, order: Order) {
    let what = format!("{order:?}");
    match order {
        Order::Drop { partition, .. } | Order::Unfollow { partition, .. } => {
            does(sim, index, what, |worker, clock| worker.revoke(partition, clock).map(|()| 0));
        }
        Order::HandOver { partition, .. } => does(sim, index, what, |worker, clock| {
            worker.hand_over(partition, clock);
            Ok(0)
        }),
        _ => sim.borrow_mut().obey(index, order),
    }
}

/// A worker does something that may reach a point where it dies or stands still: nobody holds the world meanwhile.
fn does(sim: &Sim, index: usize, what: String, act: impl FnOnce(&mut Worker<SimBus>, Now) -> Result<usize, Stop>) {
    let (mut process, clock) = {
        let mut world = sim.borrow_mut();
        world.note(format!("coordinator {index}: {what}"));
        let clock = coordinator::now(&world.broker, world.ahead_ms);
        let Some(process) = world.coordinators[index].process.take() else { return };
        world.coordinators[index].state = State::InTurn;
        world.in_turn.push(Actor::Coordinator(index));
        (process, clock)
    };
    let turned = coordinator::caught(|| act(&mut process.worker, clock));
    let mut world = sim.borrow_mut();
    world.in_turn.pop();
    if matches!(turned, Turned::Fine(_)) {
        world.coordinators[index].process = Some(process);
        world.coordinators[index].state = State::Running;
    } else {
        drop(process);
        world.turned(index, turned);
    }
}
