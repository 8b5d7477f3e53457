//! Turns of coordinators and services: the world is free meanwhile, since one may stand still in the middle of its turn.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringmaster_core::faults;

use super::Sim;
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
        world.in_turn.push(index);
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
        world.coordinators[index].process = Some(process);
    } else {
        drop(process);
    }
    world.turned(index, turned);
}

pub(super) fn turn_service(sim: &Sim, index: usize) {
    let (service, broker) = {
        let mut world = sim.borrow_mut();
        (world.services[index].take(), world.broker.clone())
    };
    let Some(mut service) = service else { return };
    let turned = catch_unwind(AssertUnwindSafe(|| service.turn(&broker)));
    let mut world = sim.borrow_mut();
    match turned {
        Ok(Ok(events)) => world.events += events,
        Ok(Err(why)) => world.fail(why),
        Err(panic) if panic.is::<faults::Crashed>() => {
            world.note(format!("service {} dies", service.name));
            world.counted.hits += 1;
            service.crash(broker.now() + 100);
        }
        Err(panic) => world.fail(format!("service {} panicked: {}", service.name, message(&*panic))),
    }
    world.services[index] = Some(service);
}
