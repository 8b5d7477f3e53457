//! A row below another one, of an item or of a sub-saga: how it begins, ends, is undone when what it is for is, and goes.

use std::sync::Arc;

use ringmaster_schemas::Data;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, Head, HeadFields, Opens, Place, SagaEvent, SearchValues};
use ringmaster_schemas::names::below;
use ringmaster_schemas::state::{PRIORITY_USUAL, Saga, Status, Work};

use super::answer::is_too_big;
use super::decide::{Above, Draft};
use super::flow::Way;
use super::scope::{Scope, halted};
use super::{BeginInput, code};
use crate::definition::{Definition, ExpressionError, ForEach, ItemResult, ROOT, Verb};
use crate::faults::mutated;

impl Draft<'_> {
    /// The row above says so. A sub-saga has a version, a time and a source of its own; who goes first is said once, above.
    pub(super) fn begin_below(&mut self, input: &BeginInput) {
        let above = self.above[0].saga.clone();
        let of_above = above.head.fields();
        let (definition, is_item) = (self.definition, self.root != ROOT);
        let schema = if is_item { Some(&self.each().item) } else { definition.input.as_ref().map(|input| &input.kept) };
        let fields = HeadFields {
            version: definition.hash,
            version_offset: input.version_offset.unwrap_or(of_above.version_offset),
            started_at: self.now,
            start_schema: schema.map_or(0, |schema| schema.key()),
            source: if is_item { "" } else { &above.id },
            traceparent: of_above.traceparent,
            search: if mutated("sub_saga_not_searched") { SearchValues::default() } else { SearchValues::of(&input.search) },
            start: input.start.bytes(),
        };
        let head = Head::new(&fields, &mut self.scratch.record);
        let deadline = definition.deadline_ms.filter(|_| !is_item);
        self.happen(SagaEvent::Started { head, deadline_at: deadline.map(|deadline| self.now.saturating_add(deadline)) });
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
        // Else nothing reads it.
        let is_read = self.definition.nodes[usize::from(self.root - 1)].kept().is_some();
        if let Some(result) = self.each().result.as_ref().filter(|_| is_read)
            && let Err(error) = self.give(result)
        {
            return self.cannot_begin(ROOT, &"result".into(), error.code, &error.to_string());
        }
        self.happen(SagaEvent::Completed { emissions: Vec::new(), expires_at: Millis::MAX });
        Way::Rest
    }

    /// What a sub-saga gives is kept until the row above takes it. Where it cannot be made, what happens then.
    pub(super) fn gives_result(&mut self) -> Option<Way> {
        let result = self.definition.result.as_ref().filter(|_| self.is_result_due())?;
        let error = self.give(result).err()?;
        Some(self.cannot_begin(ROOT, &"result".into(), error.code, &error.to_string()))
    }

    /// True if the row above reads what it gives, and that is not made yet.
    pub(super) fn is_result_due(&self) -> bool {
        let is_made = || self.saga().entries.iter().any(|entry| entry.node == ROOT && entry.work == Work::Done);
        !self.above.is_empty() && self.definition.result.is_some() && !is_made()
    }

    pub(super) fn gave(&mut self, result: Data) {
        let (place, round) = (self.next_place(), self.round(ROOT));
        self.happen(SagaEvent::Entered { place, node: ROOT, round, opens: Opens::Gave { result } });
    }

    fn give(&mut self, result: &'a ItemResult) -> Result<(), ExpressionError> {
        let buffer = self.buffer();
        let view = super::view::of_end(self.saga(), self.above, self.now);
        let bytes = self.render_body(view, &result.value, buffer)?;
        let held = self.held_bytes();
        let is_too_big = is_too_big(held, bytes.len());
        if !is_too_big {
            self.gave(Data::new(&bytes));
        }
        let size = bytes.len();
        self.give_back(bytes);
        if is_too_big {
            let message = format!("what it gives takes {size} bytes beside {held} that it holds");
            return Err(ExpressionError { code: code::DATA_TOO_BIG, message, place: "result".to_owned() });
        }
        Ok(())
    }

    /// What goes forward stops by itself, before it looks at what came, where a row above is undone: that it is told so may come later.
    pub(super) fn stop_with_above(&mut self) {
        let runs = self.row.as_ref().is_some_and(|row| row.status == Status::Running);
        if self.above.is_empty() || !runs || mutated("stops_only_by_mail") {
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

/// The place of the entry, in the row above, that the row of this id is below.
pub(super) fn place_above(id: &str, definition: &Definition, above: &Saga) -> Option<Place> {
    let below = below(id)?;
    let node = definition.names.find(below.step)?;
    let mut entries = above.entries.iter().zip(0..);
    entries.find_map(|(entry, place)| ((entry.node, entry.round) == (node, below.round)).then_some(place))
}

/// Why what is above a row is undone, if it is.
fn why_above(id: &str, above: &[Above<'_>]) -> Option<Arc<Failure>> {
    let (mut id, mut is_run) = (id, false);
    for Above { saga, definition } in above {
        let place = place_above(id, definition, saga)?;
        let entry = &saga.entries[usize::from(place)];
        is_run |= below(id).is_some_and(|below| below.item.is_none());
        let undone_for = match (entry.work, halted(definition, saga, place)) {
            (Work::Undoing, _) => Some(entry.failure()),
            (_, Some(Scope::Root)) => Some(saga.failure.as_ref()),
            (_, Some(Scope::At(scope))) => Some(saga.entries[usize::from(scope)].failure()),
            (_, None) => None,
        };
        if let Some(failure) = undone_for {
            return failure.map(|failure| if is_run { of_above(&saga.id, failure) } else { failure.clone() });
        }
        id = &saga.id;
    }
    None
}

/// Why what is above a sub-saga is undone, as that says it: steps are called otherwise there.
pub(super) fn of_above(id: &str, failure: &Failure) -> Arc<Failure> {
    let at = if failure.step.is_empty() { String::new() } else { format!(" at {}", failure.step) };
    let said = if failure.message.is_empty() { "" } else { ": " };
    let message = format!("{id} is undone{at}{said}{}", failure.message);
    Arc::new(Failure { step: "".into(), message: message.as_str().into(), ..failure.clone() })
}
