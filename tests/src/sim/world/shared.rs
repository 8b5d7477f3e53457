//! What the group says to coordinators, and what they make of it.

use ringmaster::runtime::{Gone, Order, to_follow};
use ringmaster_bus::Granted;
use ringmaster_core::partition::Partition;
use ringmaster_schemas::Millis;

use super::World;
use crate::sim::coordinator::{self, State};

impl World {
    /// The group counts out who is silent for too long, balances, and is heard.
    pub(super) fn share_out(&mut self, now: Millis) {
        for index in self.group.overdue(now) {
            if self.is_silent(index) {
                self.expel(index, now);
            }
        }
        self.group.balance(now);
        for index in 0..self.coordinators.len() {
            if self.coordinators[index].state == State::Running && self.coordinators[index].stopping_since.is_none() {
                self.hear(index, now);
            }
        }
    }

    /// True for one that has ended without a word, or stands still.
    fn is_silent(&self, index: usize) -> bool {
        self.coordinators[index].state != State::Running && self.group.has(index)
    }

    pub(super) fn expel_silent(&mut self, now: Millis) {
        for index in 0..self.coordinators.len() {
            if self.is_silent(index) {
                self.expel(index, now);
            }
        }
    }

    /// One that stands still hears of it when it goes on.
    fn expel(&mut self, index: usize, now: Millis) {
        let hears = (self.coordinators[index].state != State::Ended).then_some(200);
        self.note(format!("the group counts coordinator {index} out"));
        self.group.expel(index, now, hears);
    }

    /// The group is wrong: all are counted out, and hear of it late.
    pub(super) fn lose_group(&mut self, now: Millis) {
        for index in (0..self.coordinators.len()).filter(|index| self.group.has(*index)).collect::<Vec<_>>() {
            self.group.expel(index, now, Some(1_500));
        }
    }

    /// A coordinator hears what the group says, and what left its worker.
    fn hear(&mut self, index: usize, now: Millis) {
        let mut orders = Vec::new();
        for granted in self.group.hears(index, now) {
            let one = &mut self.coordinators[index];
            let counted_out = matches!(&granted, Granted::Lost(partitions) if partitions.is_empty());
            let all = one.shares.given().map_or_else(Vec::new, |given| given.iter().copied().collect());
            orders.extend(one.shares.granted(&if counted_out { Granted::Lost(all) } else { granted }));
            // It joins again, or a person has ended it.
            if counted_out && self.group.count() < self.plan.partitions as usize && self.rng.bool() {
                self.group.join(index);
            } else if counted_out {
                self.stop(index);
                return;
            }
        }
        let one = &mut self.coordinators[index];
        for gone in one.worker().map(|worker| worker.take_gone()).unwrap_or_default() {
            let (Gone::HandedOver(partition) | Gone::Fenced { partition, .. }) = &gone;
            let hosting = one.hostings.get(partition).copied().unwrap_or_default();
            orders.extend(one.shares.gone(&gone, hosting, now));
        }
        orders.extend(one.shares.due(now));
        orders.extend(self.follows(index));
        self.orders_heard.extend(orders.into_iter().map(|order| (index, order)));
    }

    /// What a coordinator is to keep a warm copy of, if the group is asked now.
    fn follows(&mut self, index: usize) -> Vec<Order> {
        if self.plan.standby == 0 || self.rng.u8(..) > 20 {
            return Vec::new();
        }
        let members = self.group.holdings();
        let one = &mut self.coordinators[index];
        let wanted = to_follow(&members, &index.to_string(), self.plan.standby, self.plan.partitions, &one.shares.followed());
        one.shares.follow(&wanted)
    }

    /// All but what makes a worker give something up at once.
    pub(super) fn obey(&mut self, index: usize, order: Order) {
        let now = self.broker.now();
        self.note(format!("coordinator {index}: {order:?}"));
        let clock = coordinator::now(&self.broker, self.ahead_ms);
        let one = &mut self.coordinators[index];
        let Some(worker) = one.process.as_mut().map(|process| &mut process.worker) else { return };
        match order {
            Order::Host { partition, hosting, .. } => {
                one.hostings.insert(partition, hosting);
                let is_warm = |one: &Partition| one.number() == partition && one.is_warm();
                self.counted.warm_claims += u32::from(worker.partitions().any(is_warm));
                worker.assign(Partition::new(self.setup.partition(partition)));
            }
            Order::Follow { partition, .. } => worker.follow(Partition::new(self.setup.partition(partition)), clock),
            Order::HandOver { .. } | Order::Drop { .. } | Order::Unfollow { .. } => unreachable!("that is a turn of its own"),
            Order::GiveBack(partitions) => self.group.given_back(index, &partitions, now),
        }
    }
}
