//! What an owner has counted since it was asked last, by numbers: added to at every record, named when somebody asks.

use std::sync::Arc;

use hashbrown::HashMap;
use ringmaster_schemas::names::Direction;

use super::names::{Names, Number};
use super::tally::Tallied;
use crate::partition::times::{Asked, End, Histogram, Times};

/// So many steps that failed are told apart by their codes at once: participants choose them.
const CODES_MAX: usize = 1_000;
/// The code of all others.
const OTHER: &str = "other";

/// A version, a node of it, and whether it is the undo.
type StepKey = (Number, u16, bool);

/// What happened lately.
#[derive(Debug, Default)]
pub(in crate::partition) struct Lately {
    /// By version: those that did everything, and those that undid it.
    sagas: Vec<[Histogram; 2]>,
    /// By version, and by node, its undo behind it: a step is found without a hash.
    steps: Vec<Vec<OfStep>>,
    /// By code, too.
    failed: HashMap<(StepKey, Arc<str>), u64>,
    participants: Vec<Asked>,
    pub(in crate::partition) appends: Histogram,
    pub(in crate::partition) releases: Histogram,
}

/// What happened to a step, or to its undo.
#[derive(Debug, Default, Clone, PartialEq)]
struct OfStep {
    took: Histogram,
    began: u64,
    refused: u64,
}

/// The place of a number, made if there is none.
fn numbered<T: Default>(all: &mut Vec<T>, number: Number) -> &mut T {
    let place = usize::from(number);
    if all.len() <= place {
        all.resize_with(place + 1, T::default);
    }
    &mut all[place]
}

impl Lately {
    /// What a record says that is confirmed.
    pub(in crate::partition) fn happened(&mut self, tallied: &[Tallied]) {
        for one in tallied {
            match *one {
                Tallied::StepBegan(version, node) => self.step((version, node, false)).began += 1,
                Tallied::StepRefused(version, node, is_undo) => self.step((version, node, is_undo)).refused += 1,
                Tallied::StepFailed(version, node, is_undo, ref code) => self.failed((version, node, is_undo), code),
                Tallied::Started => {}
                Tallied::Completed(version, ms) => numbered(&mut self.sagas, version)[0].add(ms),
                Tallied::Compensated(version, ms) => numbered(&mut self.sagas, version)[1].add(ms),
                Tallied::Asked(number) | Tallied::Repeated(number) => numbered(&mut self.participants, number).issued += 1,
                Tallied::Ended(number, end, ms) => {
                    let of = numbered(&mut self.participants, number);
                    of.ended[end as usize] += 1;
                    if matches!(end, End::Succeeded | End::Refused | End::Failed) {
                        of.response.add(ms);
                    }
                }
                Tallied::Late(number) => numbered(&mut self.participants, number).late += 1,
                Tallied::Parked(number) => numbered(&mut self.participants, number).parkings += 1,
                Tallied::Step(version, ms, node, is_undo) => self.step((version, node, is_undo)).took.add(ms),
            }
        }
    }

    fn step(&mut self, (version, node, is_undo): StepKey) -> &mut OfStep {
        let nodes = numbered(&mut self.steps, version);
        let place = usize::from(node) * 2 + usize::from(is_undo);
        if nodes.len() <= place {
            nodes.resize_with(place + 1, OfStep::default);
        }
        &mut nodes[place]
    }

    fn failed(&mut self, step: StepKey, code: &Arc<str>) {
        let key = (step, code.clone());
        let is_told = self.failed.len() < CODES_MAX || self.failed.contains_key(&key);
        *self.failed.entry(if is_told { key } else { (step, OTHER.into()) }).or_default() += 1;
    }

    /// All of it, by names; it begins anew.
    pub(in crate::partition) fn take(&mut self, names: &Names) -> Times {
        let Lately { sagas, steps, failed, participants, appends, releases } = std::mem::take(self);
        let mut times = Times { appends, releases, ..Times::default() };
        for (both, version) in sagas.into_iter().zip(&names.versions) {
            let known = [true, false].into_iter().zip(both).filter(|(_, of)| of.count() > 0);
            times.sagas.extend(known.map(|(did_all, of)| ((*version, did_all), of)));
        }
        let named = |version: Number| names.versions[usize::from(version)];
        let step =
            |(version, node, is_undo): StepKey| (named(version), node, if is_undo { Direction::Undo } else { Direction::Do });
        for (nodes, version) in steps.iter().zip(&names.versions) {
            for (place, of) in nodes.iter().enumerate().filter(|(_, of)| **of != OfStep::default()) {
                let (node, direction) = ((place / 2) as u16, [Direction::Do, Direction::Undo][place % 2]);
                let (key, OfStep { took, began, refused }) = ((*version, node, direction), of);
                times.steps.extend((took.count() > 0).then_some((key, *took)));
                times.began.extend((*began > 0).then_some(((*version, node), *began)));
                times.refused.extend((*refused > 0).then_some((key, *refused)));
            }
        }
        times.failed = failed.into_iter().map(|((key, code), count)| ((step(key), code), count)).collect();
        let known = names.participants.iter().cloned().zip(participants).filter(|(_, of)| *of != Asked::default());
        times.participants = known.collect();
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes are whatever participants say.
    #[test]
    fn codes_without_end_are_told_as_one() {
        let (mut lately, mut names) = (Lately::default(), Names::default());
        let version = names.version([7; 16]);
        for _ in 0..2 {
            let failed = (0..CODES_MAX + 10).map(|code| Tallied::StepFailed(version, 1, false, code.to_string().into()));
            lately.happened(&failed.collect::<Vec<_>>());
        }
        let failed = lately.take(&names).failed;
        assert_eq!(failed.len(), CODES_MAX + 1);
        let of = |code: &str| failed.get(&(([7; 16], 1, Direction::Do), code.into())).copied();
        assert_eq!((of("0"), of("1005"), of(OTHER)), (Some(2), None, Some(20)));
    }
}
