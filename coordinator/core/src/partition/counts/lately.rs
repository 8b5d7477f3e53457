//! What an owner has counted since it was asked last, by numbers: added to at every record, named when somebody asks.

use hashbrown::HashMap;
use ringmaster_schemas::names::Direction;

use super::names::{Names, Number};
use super::tally::Tallied;
use crate::partition::times::{Asked, End, Histogram, Times};

/// What happened lately.
#[derive(Debug, Default)]
pub(in crate::partition) struct Lately {
    /// By version: those that did everything, and those that undid it.
    sagas: Vec<[Histogram; 2]>,
    /// By version and node, and whether it is the undo.
    steps: HashMap<(Number, u16, bool), Histogram>,
    participants: Vec<Asked>,
    pub(in crate::partition) appends: Histogram,
    pub(in crate::partition) releases: Histogram,
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
                Tallied::Step(version, ms, node, is_undo) => self.steps.entry((version, node, is_undo)).or_default().add(ms),
            }
        }
    }

    /// All of it, by names; it begins anew.
    pub(in crate::partition) fn take(&mut self, names: &Names) -> Times {
        let Lately { sagas, steps, participants, appends, releases } = std::mem::take(self);
        let mut times = Times { appends, releases, ..Times::default() };
        for (both, version) in sagas.into_iter().zip(&names.versions) {
            let known = [true, false].into_iter().zip(both).filter(|(_, of)| of.count() > 0);
            times.sagas.extend(known.map(|(did_all, of)| ((*version, did_all), of)));
        }
        for ((version, node, is_undo), of) in steps {
            let direction = if is_undo { Direction::Undo } else { Direction::Do };
            times.steps.insert((names.versions[usize::from(version)], node, direction), of);
        }
        let known = names.participants.iter().cloned().zip(participants).filter(|(_, of)| *of != Asked::default());
        times.participants = known.collect();
        times
    }
}
