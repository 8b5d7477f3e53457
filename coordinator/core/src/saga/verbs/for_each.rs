//! A for_each: its body for each item of a list, each in a row of its own, side by side; and what it has in common with a run, of which the
//! sub-saga is the only item.

use std::sync::Arc;

use ringmaster_schemas::Data;
use ringmaster_schemas::journal::{Failure, ItemEvent, Items, Opens, Place, SagaEvent};
use ringmaster_schemas::names::below;
use ringmaster_schemas::state::{ChildWork, Work};

use super::super::decide::Draft;
use super::super::flow::Way;
use super::super::scope::Scope;
use super::super::{ITEMS_INSIDE_MAX, News, Novelty, ROW_DATA_BYTES_MAX, code};
use super::run::of_run;
use crate::definition::{ExpressionError, ForEach, ITEMS_MAX, ROWS_DEEP_MAX, Verb};
use crate::faults::mutated;

/// A list without items, as Avro.
const NO_ITEMS: &[u8] = &[0];

impl Draft<'_> {
    /// It begins: the list is evaluated once, and stays as it is.
    pub(in super::super) fn for_each(&mut self, number: u16, each: &ForEach) -> Way {
        let items = match self.items_of(number, each) {
            Ok(items) => items,
            Err(error) => return self.fails_to_begin(number, &error),
        };
        let node = &self.definition.nodes[usize::from(number)];
        let until = node.within_ms.map(|within| self.now.saturating_add(within));
        let (place, is_empty) = (self.next_place(), items.count == 0);
        let opens = Opens::Items { items: Arc::new(items), until };
        self.happen(SagaEvent::Entered { place, node: number, round: self.round(number), opens });
        if !is_empty {
            return Way::Rest;
        }
        let nothing = node.kept().map(|_| Data::new(NO_ITEMS));
        self.items_done(place, nothing.as_ref())
    }

    fn items_of(&mut self, number: u16, each: &ForEach) -> Result<Items, ExpressionError> {
        let node = &self.definition.nodes[usize::from(number)];
        let too_big = |message| ExpressionError { code: code::DATA_TOO_BIG, message, place: node.name.to_string() };
        let mut list = self.buffer();
        let count = self.values.items(self.view(number), &each.list, &mut list)? as usize;
        self.may_have_rows(&node.name)?;
        let most = if self.is_in_item() { ITEMS_INSIDE_MAX } else { ITEMS_MAX };
        if count > most {
            return Err(too_big(format!("its list has {count} items; at most {most} are gone through here")));
        }
        let held = self.held_bytes();
        if held + list.len() > ROW_DATA_BYTES_MAX {
            return Err(too_big(format!(
                "its list takes {} bytes beside {held} that the saga holds; the limit is {ROW_DATA_BYTES_MAX}",
                list.len()
            )));
        }
        let data = Data::new(&list);
        self.give_back(list);
        Ok(Items { count: count as u16, at_once: each.at_once, undoes: node.undoes, list: data })
    }

    /// True if it is an item, or is run by one, however deep.
    fn is_in_item(&self) -> bool {
        let is_item = |id: &str| below(id).is_some_and(|below| below.item.is_some());
        self.above.iter().any(|above| is_item(&above.saga.id)) || is_item(self.id)
    }

    /// Rows below rows below rows have an end, whatever versions they run by.
    pub(in super::super) fn may_have_rows(&self, name: &str) -> Result<(), ExpressionError> {
        if self.above.len() + 1 < ROWS_DEEP_MAX || mutated("rows_without_depth") {
            return Ok(());
        }
        let message = format!("it is row {} below its saga: no row may stand below it", self.above.len());
        Err(ExpressionError { code: code::DATA_TOO_BIG, message, place: name.to_owned() })
    }

    /// All rows below have ended well, and give this.
    pub(in super::super) fn gathered(&mut self, place: Place, result: &Result<Option<Data>, Arc<str>>) {
        // It may have stopped meanwhile, with what is above it.
        if self.saga().child_work() != Some((place, ChildWork::Gather)) && !mutated("gathered_where_stopped") {
            return;
        }
        let way = match result {
            Ok(result) => self.items_done(place, result.as_ref()),
            Err(why) => {
                let passes = self.definition.nodes[usize::from(self.entry(place).node)].passes;
                self.happen(SagaEvent::Succeeded { place, result: None, passes });
                self.without_result(place, code::CONTRACT, &format!("what it gave cannot be read: {why}"))
            }
        };
        self.go(way);
    }

    fn items_done(&mut self, place: Place, result: Option<&Data>) -> Way {
        let size = result.map_or(0, |result| result.bytes().len());
        let held = self.held_bytes();
        let too_big = held + size > ROW_DATA_BYTES_MAX;
        let kept = result.filter(|_| !too_big).cloned();
        let passes = self.definition.nodes[usize::from(self.entry(place).node)].passes;
        self.happen(SagaEvent::Succeeded { place, result: kept, passes });
        self.with_result(place, held, size, too_big)
    }

    /// The next that waits for nothing.
    pub(in super::super) fn work(&mut self) {
        // It may have stopped meanwhile, with what is above it.
        if !self.saga().has_work() {
            return;
        }
        if self.saga().ended() {
            return match self.saga().to_sweep() {
                Some((place, index)) => self.happen(SagaEvent::Item { place, event: ItemEvent::Swept { index } }),
                None => self.happen(SagaEvent::Swept { lingers: false }),
            };
        }
        match self.saga().child_work() {
            Some((place, ChildWork::Begin(index))) => {
                let rows = self.entry(place).children().expect("it has items");
                let (_, next_at) = rows.next_item().expect("the list holds what has not begun");
                self.happen(SagaEvent::Item { place, event: ItemEvent::Began { index, next_at } });
            }
            Some((place, ChildWork::Recall(index))) => self.happen(SagaEvent::Item { place, event: ItemEvent::Recalled { index } }),
            Some((place, ChildWork::Ask(index))) => self.happen(SagaEvent::Item { place, event: ItemEvent::StopAsked { index } }),
            Some((place, ChildWork::Tell(index))) => {
                self.happen(SagaEvent::Item { place, event: ItemEvent::Told { index, paused: self.is_paused() } });
            }
            Some((_, ChildWork::Gather)) => unreachable!("results are gathered by who knows the rows"),
            None => {}
        }
    }

    /// How it stands with one that is under way. It may say so twice in one turn, before this row has heard of the first time: what is
    /// known already is nothing new.
    fn learn(&mut self, place: Place, index: u16, (paused, held): (Option<bool>, bool)) {
        let Some(known) = self.entry(place).children().and_then(|rows| rows.child(index)) else { return };
        let (is_held_otherwise, told) = (known.held != held, paused.filter(|paused| known.paused != *paused));
        if is_held_otherwise {
            self.happen(SagaEvent::Item { place, event: ItemEvent::Held { index, held } });
        }
        if let Some(paused) = told {
            self.happen(SagaEvent::Item { place, event: ItemEvent::Told { index, paused } });
        }
    }

    /// What has become of an item, or of a sub-saga.
    pub(in super::super) fn news(&mut self, news: &News) {
        let News { place, index, what } = news;
        let (place, index) = (*place, *index);
        if matches!(what, Novelty::Passed | Novelty::Done) {
            self.child_passed(place, index);
        }
        match what {
            Novelty::Passed => {}
            Novelty::Held(held) => self.learn(place, index, (None, *held)),
            Novelty::Looked { paused, held } => self.learn(place, index, (Some(*paused), *held)),
            Novelty::Lingers => self.happen(SagaEvent::Item { place, event: ItemEvent::Lingers { index } }),
            Novelty::Gone => self.happen(SagaEvent::Item { place, event: ItemEvent::Ended { index, well: true } }),
            Novelty::Done => self.happen(SagaEvent::Item { place, event: ItemEvent::Ended { index, well: true } }),
            Novelty::Undone { failure, refused } => {
                self.happen(SagaEvent::Item { place, event: ItemEvent::Ended { index, well: false } });
                let node = &self.definition.nodes[usize::from(self.entry(place).node)];
                let (failure, refused) = match node.verb {
                    Verb::Run(_) => (of_run(&node.name, failure), true),
                    _ => (of_item(index, failure), *refused),
                };
                let way = match self.entry(place).work {
                    Work::Open => self.stop(Scope::At(place), failure, refused),
                    _ => Way::Unwind(Scope::At(place)),
                };
                self.go(way);
            }
        }
    }

    /// True if nothing is left of what the items of the entry at a place did; else that is undone.
    pub(in super::super) fn clean_items(&mut self, place: Place) -> bool {
        let entry = self.entry(place);
        let rows = entry.children().expect("it has items");
        match entry.work {
            Work::Undoing if rows.is_clean() => {
                self.happen(SagaEvent::Closed { place });
                true
            }
            Work::Open | Work::Undoing => false,
            Work::Done if rows.undoes && rows.begun > 0 && !mutated("item_not_undone") => {
                let failure = match self.halted(place) {
                    Some(Scope::At(scope)) => self.entry(scope).failure().cloned(),
                    _ => self.saga().failure.clone(),
                };
                let failure = failure.expect("what is undone says why");
                self.happen(SagaEvent::Item { place, event: ItemEvent::UndoBegan { failure } });
                false
            }
            _ => true,
        }
    }
}

/// Why an item ended, as its for_each says it.
fn of_item(index: u16, failure: &Failure) -> Arc<Failure> {
    let said = if failure.message.is_empty() { "" } else { ": " };
    let message = format!("item {index}{said}{}", failure.message);
    Arc::new(Failure { message: message.as_str().into(), ..failure.clone() })
}
