//! Rows below others: a turn that changes several of them, and what rows do that waits for nothing.

use std::sync::Arc;

use ringmaster_schemas::state::Saga;

use super::input::{NOBODY, rejected, unknown};
use super::owner::Owner;
use super::table::Slot;
use super::turn::Turn;
use super::{Context, Why};
use crate::definition::{Definition, Run};
use crate::saga::{Family, Input, Room, play};

/// Turns of own work in one poll, so that inputs are not kept waiting.
const WORK_PER_POLL_MAX: usize = 64;
/// A turn that fits into no record is tried again with as little as can be.
const LEAST: Room = Room { rows: 1, bytes: 1 };

/// Rows of this partition, as a turn finds them.
struct Rows<'o, 'c, 'x> {
    owner: &'o mut Owner,
    cx: &'x Context<'c>,
}

impl<'c> Family<'c> for Rows<'_, 'c, '_> {
    type Error = Why;

    fn row(&mut self, id: &Arc<str>) -> Result<Option<Arc<Saga>>, Why> {
        let slot = self.owner.find(id, || id.clone(), self.cx)?;
        Ok(slot.and_then(|slot| self.owner.visible(slot)).cloned())
    }

    fn definition(&self, saga: &Saga) -> Result<&'c Definition, Why> {
        self.owner.definition_of(saga, self.cx)
    }

    fn sub_saga(&self, of: &Definition, run: &Run) -> Option<(&'c Definition, i64)> {
        self.cx.catalog.sub_saga(&of.hash, &run.saga)
    }
}

impl Owner {
    /// Decides an input for a row and those around it, and adds what happened to a turn; none if it means nothing.
    pub(super) fn decide_family<'a>(
        &mut self,
        slot: Slot,
        (input, room): (Input, Room),
        mut turn: Turn<'a>,
        cx: &Context<'_>,
    ) -> Result<Option<Turn<'a>>, Why> {
        let id = self.replica.table.row(slot).id.clone();
        let now = self.turn_time(cx);
        // A turn does not change who is asked, and no row's decision looks at them by another way.
        let (breakers, mut scratch) = (std::mem::take(&mut self.ahead.breakers), std::mem::take(&mut self.scratch));
        let mut rows = Rows { owner: self, cx };
        let played = match rows.row(&id) {
            Ok(Some(_)) => play(&mut rows, &breakers, (&id, input), (now, room), &mut scratch).map(Some),
            Ok(None) => Ok(None),
            Err(why) => Err(why),
        };
        (self.ahead.breakers, self.scratch) = (breakers, scratch);
        match played? {
            None => Ok(Some(turn.with(unknown(&id, NOBODY)))),
            Some(Err(rejection)) => Ok(Some(turn.with(rejected(&id, rejection)))),
            Some(Ok(moved)) if moved.is_empty() => Ok(None),
            Some(Ok(moved)) => {
                for one in moved {
                    let before = one.before.as_ref().unwrap_or(&one.saga);
                    self.note_answers(one.definition, before, &one.events, cx);
                    let slot = self.replica.table.place(&one.id);
                    let slot = slot.unwrap_or_else(|| self.replica.table.insert(one.id.clone()));
                    turn.saga(slot, one.id, one.events, one.saga);
                }
                Ok(Some(turn))
            }
        }
    }

    /// Rows do what waits for nothing: they begin, recall or sweep items. Not while inputs are held: it makes more of everything.
    pub(super) fn do_work(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        for _ in 0..WORK_PER_POLL_MAX {
            if self.ready.is_empty() || self.overloaded() {
                return Ok(());
            }
            let Some((slot, generation)) = self.ready.pop_front() else { return Ok(()) };
            if self.replica.table.row(slot).generation != generation {
                continue;
            }
            *self.timers.looks_at(slot) = ringmaster_schemas::Millis::MAX;
            let has_work = self.current(slot).is_some_and(|saga| saga.has_work());
            if has_work && let Some(turn) = self.decide_family(slot, (Input::Work, Room::USUAL), Turn::by_time(0), cx)? {
                self.push_work(slot, turn, cx)?;
            }
            self.schedule(slot, cx.catalog);
        }
        Ok(())
    }

    fn push_work(&mut self, slot: Slot, turn: Turn<'_>, cx: &mut Context<'_>) -> Result<(), Why> {
        if self.push(turn, cx).is_ok() {
            return Ok(());
        }
        match self.decide_family(slot, (Input::Work, LEAST), Turn::by_time(0), cx)? {
            Some(turn) => self.push_or_fail(turn, None, cx),
            None => Ok(()),
        }
    }
}
