//! The group that shares partitions out among coordinators, as they see it: late, and sometimes wrong.
//!
//! ```text
//! join, expel -> holders: Nobody -> Is -> Leaving -> Nobody -> mail: Given, Taken, Lost -> a coordinator's shares -> its worker
//! ```

use std::collections::BTreeMap;

use ringmaster::runtime::Holding;
use ringmaster_bus::Granted;
use ringmaster_schemas::Millis;

/// What the group says takes so long at most.
const MAIL_MAX_MS: Millis = 30;

/// Whose a partition is, as the group thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// Nobody's before this time.
    Nobody(Millis),
    Is(usize),
    /// It is asked back.
    Leaving(usize),
}

/// What is said to a member, and when it hears it.
#[derive(Debug)]
struct Mail {
    due: Millis,
    to: usize,
    what: Granted,
}

/// The group.
#[derive(Debug)]
pub struct SimGroup {
    members: Vec<usize>,
    holders: Vec<Holder>,
    mail: Vec<Mail>,
    /// Whom the group will count out, and when, if they are as silent then.
    suspects: Vec<(Millis, usize)>,
    rng: fastrand::Rng,
}

impl SimGroup {
    /// Of so many partitions.
    pub fn new(partitions: i32, seed: u64) -> SimGroup {
        let holders = vec![Holder::Nobody(Millis::MIN); partitions as usize];
        let rng = fastrand::Rng::with_seed(seed);
        SimGroup { members: Vec::new(), holders, mail: Vec::new(), suspects: Vec::new(), rng }
    }

    /// A coordinator joins.
    pub fn join(&mut self, index: usize) {
        self.members.push(index);
    }

    /// Whether it counts as a member.
    pub fn has(&self, index: usize) -> bool {
        self.members.contains(&index)
    }

    /// How many members there are.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Who has what, as the group would say.
    pub fn holdings(&self) -> Vec<Holding> {
        let has = |member: usize| {
            let is_its =
                |partition: &usize| matches!(self.holders[*partition], Holder::Is(of) | Holder::Leaving(of) if of == member);
            (0..self.holders.len()).filter(is_its).map(|partition| partition as i32).collect()
        };
        self.members.iter().map(|member| Holding { name: member.to_string(), partitions: has(*member) }).collect()
    }

    /// A member is silent from now on, and counts until its session is over.
    pub fn suspect(&mut self, index: usize, now: Millis) {
        let until = now + self.rng.i64(0..800);
        self.suspects.push((until, index));
    }

    /// Those whose session is over.
    pub fn overdue(&mut self, now: Millis) -> Vec<usize> {
        self.suspects.extract_if(.., |(until, _)| *until <= now).map(|(_, index)| index).collect()
    }

    /// A member is counted out: what it had is others'. It hears of it after a while, or never.
    pub fn expel(&mut self, index: usize, now: Millis, hears_within: Option<Millis>) {
        self.members.retain(|member| *member != index);
        self.mail.retain(|mail| mail.to != index);
        for holder in &mut self.holders {
            if matches!(holder, Holder::Is(of) | Holder::Leaving(of) if *of == index) {
                *holder = Holder::Nobody(now);
            }
        }
        if let Some(within) = hears_within {
            let due = now + self.rng.i64(0..=within);
            self.mail.push(Mail { due, to: index, what: Granted::Lost(Vec::new()) });
        }
    }

    /// Takes a partition from whoever has it, and gives it to somebody at this time: in good order, or as if the member had been silent.
    pub fn take(&mut self, partition: i32, in_order: bool, now: Millis, until: Millis) -> bool {
        let holder = &mut self.holders[partition as usize];
        let Holder::Is(index) = *holder else { return false };
        *holder = if in_order { Holder::Leaving(index) } else { Holder::Nobody(until) };
        let what = if in_order { Granted::Taken(vec![partition]) } else { Granted::Lost(vec![partition]) };
        self.say(index, what, now);
        true
    }

    /// A member has finished these.
    pub fn given_back(&mut self, index: usize, partitions: &[i32], now: Millis) {
        for partition in partitions {
            let holder = &mut self.holders[*partition as usize];
            if *holder == Holder::Leaving(index) {
                *holder = Holder::Nobody(now);
            }
        }
    }

    /// Gives what is nobody's, and asks for one of whoever has too many.
    pub fn balance(&mut self, now: Millis) {
        let mut loads: BTreeMap<usize, usize> = self.members.iter().map(|member| (*member, 0)).collect();
        for holder in &self.holders {
            if let Holder::Is(index) | Holder::Leaving(index) = holder {
                loads.entry(*index).and_modify(|load| *load += 1);
            }
        }
        for partition in 0..self.holders.len() {
            let Holder::Nobody(from) = self.holders[partition] else { continue };
            let Some((&to, load)) = loads.iter_mut().min_by_key(|(_, load)| **load).filter(|_| from <= now) else { continue };
            *load += 1;
            self.holders[partition] = Holder::Is(to);
            self.say(to, Granted::Given(vec![partition as i32]), now);
        }
        let most = loads.iter().max_by_key(|(_, load)| **load).map(|(index, load)| (*index, *load));
        let least = loads.values().min().copied().unwrap_or_default();
        if let Some((index, load)) = most
            && load > least + 1
            && self.holders.iter().all(|holder| matches!(holder, Holder::Is(_)))
            && let Some(partition) = self.holders.iter().position(|holder| *holder == Holder::Is(index))
        {
            self.take(partition as i32, true, now, now);
        }
    }

    /// In order for each member.
    fn say(&mut self, to: usize, what: Granted, now: Millis) {
        let before = self.mail.iter().filter(|mail| mail.to == to).map(|mail| mail.due).max().unwrap_or(now);
        let due = before.max(now + self.rng.i64(0..=MAIL_MAX_MS));
        self.mail.push(Mail { due, to, what });
    }

    /// What a member hears now, in order.
    pub fn hears(&mut self, index: usize, now: Millis) -> Vec<Granted> {
        self.mail.extract_if(.., |mail| mail.to == index && mail.due <= now).map(|mail| mail.what).collect()
    }
}
