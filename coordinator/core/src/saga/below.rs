//! The row of an item: how it begins, ends, is undone when its for_each is, and goes.

use std::sync::Arc;

use ringmaster_schemas::Data;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, Head, HeadFields, Opens, Place, SagaEvent};
use ringmaster_schemas::names::below;
use ringmaster_schemas::state::{PRIORITY_USUAL, Saga, Status, Work};

use super::answer::is_too_big;
use super::decide::{Above, Draft};
use super::flow::Way;
use super::scope::{Scope, halted};
use super::{ItemInput, code};
use crate::definition::{Definition, ExpressionError, ForEach, ROOT, Verb};
use crate::faults::mutated;

impl Draft<'_> {
    /// The row above says so.
    pub(super) fn begin_item(&mut self, input: &ItemInput) {
        let above = self.above[0].saga.clone();
        let of_above = above.head.fields();
        let fields = HeadFields {
            version: self.definition.hash,
            version_offset: of_above.version_offset,
            started_at: self.now,
            start_schema: self.each().item.key(),
            source: "",
            traceparent: of_above.traceparent,
            start: input.item.bytes(),
        };
        let head = Head::new(&fields, &mut self.scratch.record);
        self.happen(SagaEvent::Started { head, deadline_at: None });
        if above.priority != PRIORITY_USUAL {
            self.happen(SagaEvent::Prioritised { priority: above.priority });
        }
        self.go(Way::Into(self.root));
    }
}

impl<'a> Draft<'a> {
    fn each(&self) -> &'a ForEach {
        match &self.definition.nodes[usize::from(self.root - 1)].verb {
            Verb::ForEach(each) => each,
            other => unreachable!("{other:?} has no items"),
        }
    }

    /// Its body has ended well: what it gives is kept until all have ended.
    pub(super) fn item_done(&mut self) -> Way {
        if let Some(given) = self.item_result() {
            match given {
                Ok(result) => {
                    let (place, round) = (self.next_place(), self.round(ROOT));
                    self.happen(SagaEvent::Entered { place, node: ROOT, round, opens: Opens::Gave { result } });
                }
                Err(error) => return self.cannot_begin(ROOT, &"result".into(), error.code, &error.to_string()),
            }
        }
        self.happen(SagaEvent::Completed { emissions: Vec::new(), expires_at: Millis::MAX });
        Way::Rest
    }

    fn item_result(&mut self) -> Option<Result<Data, ExpressionError>> {
        // Nothing reads it.
        self.definition.nodes[usize::from(self.root - 1)].kept()?;
        let buffer = self.buffer();
        let result = &self.each().result.as_ref()?.value;
        let view = super::view::of_end(self.saga(), self.above, self.now);
        let bytes = match self.render_body(view, result, buffer) {
            Ok(bytes) => bytes,
            Err(error) => return Some(Err(error)),
        };
        let held = self.held_bytes();
        let given = if is_too_big(held, bytes.len()) {
            let message = format!("what it gives takes {} bytes beside {held} that it holds", bytes.len());
            Err(ExpressionError { code: code::DATA_TOO_BIG, message, place: "result".to_owned() })
        } else {
            Ok(Data::new(&bytes))
        };
        self.give_back(bytes);
        Some(given)
    }

    /// What goes forward stops by itself, before it looks at what came, where a row above is undone: that it is told so may come later.
    pub(super) fn stop_with_above(&mut self) {
        let runs = self.row.as_ref().is_some_and(|row| row.status == Status::Running);
        if self.root == ROOT || !runs || mutated("stops_only_by_mail") {
            return;
        }
        if let Some(failure) = why_above(self.id, self.above) {
            let way = self.stop(Scope::Root, failure, false);
            self.go(way);
        }
    }

    /// What it did is to be undone. What goes forward has stopped by then.
    pub(super) fn recall(&mut self, failure: &Arc<Failure>) {
        if self.saga().status == Status::Completed && !mutated("recall_ignored_by_completed") {
            self.happen(SagaEvent::CompensationBegan { failure: failure.clone() });
            self.go(Way::Unwind(Scope::Root));
        }
    }

    /// It is needed no more: it goes, when those below it have gone.
    pub(super) fn sweep(&mut self) {
        let saga = self.saga();
        let is_needed = saga.unswept().is_some() || saga.open_stray().is_some() || saga.has_lingering();
        if is_needed && !mutated("swept_too_early") {
            self.happen(SagaEvent::Swept { lingers: true });
        } else {
            self.happen(SagaEvent::Swept { lingers: false });
        }
    }
}

/// The place of the for_each, in the row above, whose item the row of this id is.
pub(super) fn place_above(id: &str, definition: &Definition, above: &Saga) -> Option<Place> {
    let below = below(id)?;
    let node = definition.names.find(below.step)?;
    let mut entries = above.entries.iter().zip(0..);
    entries.find_map(|(entry, place)| ((entry.node, entry.round) == (node, below.round)).then_some(place))
}

/// Why what is above a row is undone, if it is.
fn why_above(id: &str, above: &[Above<'_>]) -> Option<Arc<Failure>> {
    let mut id = id;
    for Above { saga, definition } in above {
        let place = place_above(id, definition, saga)?;
        let entry = &saga.entries[usize::from(place)];
        if entry.work == Work::Undoing {
            return entry.failure().cloned();
        }
        match halted(definition, saga, place) {
            Some(Scope::Root) => return saga.failure.clone(),
            Some(Scope::At(scope)) => return saga.entries[usize::from(scope)].failure().cloned(),
            None => {}
        }
        id = &saga.id;
    }
    None
}
