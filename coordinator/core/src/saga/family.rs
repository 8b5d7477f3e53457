//! A turn of a saga with the rows of its items: what one of them does, others are told at once, in the same turn.
//!
//! ```text
//! input -> decide -> mail -> decide -> mail ... -> no mail left -> the next work that waits for nothing -> mail ...
//! ```
//!
//! Mail follows from what happened to a row, and never fans out: at most one for the row above and one below. Only when none is left,
//! and while there is room, one row does the next of its own work, which begins, recalls or sweeps one item. What is left goes on in
//! another turn: a list of any length makes no turn large, and neither do expressions that cost much.

use std::collections::VecDeque;
use std::sync::Arc;

use ringmaster_schemas::codec::put_long;
use ringmaster_schemas::journal::{Failure, FailureKind, ItemEvent, Place, SagaEvent};
use ringmaster_schemas::names::{below, item_id};
use ringmaster_schemas::state::{ChildWork, Saga, Status, Work};
use ringmaster_schemas::{Data, Millis};

use super::below::place_above;
use super::decide::{Above, Basis, Decided, decide};
use super::parking::Breakers;
use super::{Evaluated, Input, ItemInput, News, Novelty, Rejection, Scratch, Values};
use crate::definition::expression::NODES_PER_TURN_MAX;
use crate::definition::{Definition, ROOT};
use crate::faults::mutated;

/// Where the rows of a turn come from.
pub trait Family<'d> {
    /// Why they cannot be had.
    type Error;
    /// A row as it is before the turn; none if it is not there.
    fn row(&mut self, id: &Arc<str>) -> Result<Option<Arc<Saga>>, Self::Error>;
    /// The version that a row runs by.
    fn definition(&self, saga: &Saga) -> Result<&'d Definition, Self::Error>;
    /// The version by which a saga starts that is not there yet; none: nothing starts here.
    fn starting(&self) -> Option<&'d Definition> {
        None
    }
    /// The values of a definition's expressions.
    fn values<'v>(&'v self, definition: &'d Definition) -> Box<dyn Values + 'v>
    where
        'd: 'v,
    {
        Box::new(Evaluated::new(definition))
    }
}

/// What happened to one row, by one input.
#[derive(Debug, Clone)]
pub struct Moved<'d> {
    /// Which row.
    pub id: Arc<str>,
    /// As it was; none: it was not there.
    pub before: Option<Arc<Saga>>,
    /// The version that it runs by.
    pub definition: &'d Definition,
    /// What happened.
    pub events: Vec<SagaEvent>,
    /// What is true then.
    pub saga: Arc<Saga>,
}

/// How much of its own work a turn may do beside what its input causes.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Rows that it changes.
    pub rows: usize,
    /// About so many bytes of commands and events.
    pub bytes: usize,
}

impl Room {
    /// Enough that a turn stays small, and that few are needed.
    pub const USUAL: Room = Room { rows: 64, bytes: 256 * 1024 };
    /// None of it.
    pub const NONE: Room = Room { rows: 0, bytes: 0 };
}

/// What an input means for a row, and what that means for the rows around it, in the order in which it happened. Empty if the input
/// means nothing.
pub fn play<'d, F: Family<'d>>(
    family: &mut F,
    breakers: &Breakers,
    (id, input): (&Arc<str>, Input),
    (now, room): (Millis, Room),
    scratch: &mut Scratch,
) -> Result<Result<Vec<Moved<'d>>, Rejection>, F::Error> {
    let mut turn = Playing { family, breakers, now, scratch, moved: Vec::new(), mail: VecDeque::new(), bytes: 0, cost: 0 };
    let input = match input {
        Input::Work => match turn.row(id)?.filter(|saga| saga.has_work()) {
            Some(saga) => turn.own_work(&saga)?,
            None => return Ok(Ok(Vec::new())),
        },
        input => input,
    };
    if let Err(rejection) = turn.take(id, &input)? {
        return Ok(Err(rejection));
    }
    loop {
        while let Some((id, input)) = turn.mail.pop_front() {
            if let Err(rejection) = turn.take(&id, &input)? {
                panic!("rows of one saga do not agree: {id} rejects {input:?}: {}", rejection.detail);
            }
        }
        let is_cheap = turn.cost < NODES_PER_TURN_MAX || mutated("work_costs_nothing");
        let has_room = turn.moved.len() < room.rows && turn.bytes < room.bytes && is_cheap;
        let Some((id, input)) = (if has_room { turn.work()? } else { None }) else { return Ok(Ok(turn.moved)) };
        turn.mail.push_back((id, input));
    }
}

struct Playing<'f, 'd, F> {
    family: &'f mut F,
    breakers: &'f Breakers,
    now: Millis,
    scratch: &'f mut Scratch,
    moved: Vec<Moved<'d>>,
    mail: VecDeque<(Arc<str>, Input)>,
    bytes: usize,
    /// Nodes of expressions that were evaluated for all rows.
    cost: u32,
}

impl<'d, F: Family<'d>> Playing<'_, 'd, F> {
    /// A row as this turn has left it so far.
    fn row(&mut self, id: &Arc<str>) -> Result<Option<Arc<Saga>>, F::Error> {
        match self.moved.iter().rev().find(|moved| moved.id == *id) {
            Some(moved) => Ok(Some(moved.saga.clone())),
            None => self.family.row(id),
        }
    }

    /// The rows above one, the nearest first; none if one is missing.
    fn above(&mut self, id: &Arc<str>) -> Result<Option<Vec<Above<'d>>>, F::Error> {
        let (mut all, mut id) = (Vec::new(), id.clone());
        while let Some(below) = below(&id) {
            let above: Arc<str> = below.above.into();
            let Some(saga) = self.row(&above)? else { return Ok(None) };
            let definition = self.family.definition(&saga)?;
            all.push(Above { saga, definition });
            id = above;
        }
        Ok(Some(all))
    }

    fn take(&mut self, id: &Arc<str>, input: &Input) -> Result<Result<(), Rejection>, F::Error> {
        let before = self.row(id)?;
        let unknown = || Rejection::new(ringmaster_schemas::journal::RejectionReason::UnknownSaga, "its saga is not remembered");
        let Some(above) = self.above(id)? else { return Ok(Err(unknown())) };
        let definition = match (&before, above.first()) {
            (Some(saga), _) if saga.began() => self.family.definition(saga)?,
            (_, Some(above)) => above.definition,
            (_, None) => match self.family.starting() {
                Some(definition) => definition,
                None => return Ok(Err(unknown())),
            },
        };
        let values = self.family.values(definition);
        let basis = Basis { definition, values: &*values, breakers: self.breakers, above: &above };
        let decided = match decide(basis, id, before.as_ref(), input, self.now, self.scratch) {
            Ok(decided) => decided,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let cost = values.cost();
        drop(values);
        self.cost = self.cost.saturating_add(cost);
        self.bytes += decided.events.iter().map(bytes_of).sum::<usize>();
        self.write(id, (before.as_deref(), input, &decided), definition, above.first());
        let Decided { events, saga } = decided;
        if !events.is_empty() {
            self.moved.push(Moved { id: id.clone(), before, definition, events, saga });
        }
        Ok(Ok(()))
    }

    /// The mail that follows from what happened.
    fn write(
        &mut self,
        id: &Arc<str>,
        (before, input, decided): (Option<&Saga>, &Input, &Decided),
        definition: &Definition,
        above: Option<&Above<'_>>,
    ) {
        let after = &decided.saga;
        if let Some(Above { saga, definition }) = above
            && let Some(what) = novelty(before, input, decided, known_above(id, definition, saga))
        {
            let place = place_above(id, definition, saga).expect("what is below a row is below an entry of it");
            let index = below(id).expect("it is below a row").index;
            self.mail.push_back((saga.id.clone(), Input::News(News { place, index, what })));
        }
        for event in &decided.events {
            let row = |place: Place, index| -> Arc<str> {
                let entry = &after.entries[usize::from(place)];
                item_id(id, &definition.nodes[usize::from(entry.node)].name, entry.round, index).into()
            };
            let mail = match event {
                SagaEvent::Item { place, event: ItemEvent::Began { index, .. } } => {
                    let rows = before.and_then(|before| before.entry(*place)?.children());
                    let (mut item, _) = rows.and_then(|rows| rows.next_item()).expect("the list holds what begins");
                    if mutated("item_reads_neighbour")
                        && let Some((next, _)) = after.entries[usize::from(*place)].children().and_then(|rows| rows.next_item())
                    {
                        item = next;
                    }
                    (row(*place, *index), Input::Begin(ItemInput { item: Data::new(item) }))
                }
                SagaEvent::Item { event: ItemEvent::Recalled { .. }, .. } if mutated("items_not_recalled") => continue,
                SagaEvent::Item { place, event: ItemEvent::Recalled { index } } => {
                    let why = after.entries[usize::from(*place)].failure().expect("what is undone says why");
                    (row(*place, *index), Input::Recall(why.clone()))
                }
                SagaEvent::Item { place, event: ItemEvent::Swept { index } } => (row(*place, *index), Input::Sweep),
                _ => continue,
            };
            self.mail.push_back(mail);
        }
    }

    /// The next work of a row that this turn has changed, if there is some.
    fn work(&mut self) -> Result<Option<(Arc<str>, Input)>, F::Error> {
        let newest = |at: usize| !self.moved[at + 1..].iter().any(|later| later.id == self.moved[at].id);
        let Some(at) = (0..self.moved.len()).find(|at| newest(*at) && self.moved[*at].saga.has_work()) else { return Ok(None) };
        let Moved { id, saga, .. } = &self.moved[at];
        let (id, saga) = (id.clone(), saga.clone());
        Ok(Some((id, self.own_work(&saga)?)))
    }

    fn own_work(&mut self, saga: &Arc<Saga>) -> Result<Input, F::Error> {
        match saga.child_work() {
            Some((place, ChildWork::Gather)) => {
                let definition = self.family.definition(saga)?;
                Ok(Input::Gathered(place, self.gather(saga, place, definition)?))
            }
            _ => Ok(Input::Work),
        }
    }

    /// What all items gave, in their order; none if nothing reads it.
    fn gather(&mut self, saga: &Arc<Saga>, place: Place, definition: &Definition) -> Result<Option<Data>, F::Error> {
        let entry = &saga.entries[usize::from(place)];
        let node = &definition.nodes[usize::from(entry.node)];
        let count = entry.children().map_or(0, |rows| rows.count);
        if node.kept().is_none() {
            return Ok(None);
        }
        let mut list = Vec::new();
        put_long(&mut list, i64::from(count));
        for index in 0..count {
            let index = if mutated("results_in_order_of_end") { count - 1 - index } else { index };
            let row = self.row(&item_id(&saga.id, &node.name, entry.round, index).into())?;
            let gave = row.as_ref().and_then(|row| row.entries.iter().rfind(|entry| entry.node == ROOT)?.result.as_ref());
            list.extend_from_slice(gave.expect("an item that has ended well gave its result").bytes());
        }
        list.push(0);
        Ok(Some(Data::new(&list)))
    }
}

/// What the row above knows of this one: whether it is held, if it is under way.
fn known_above(id: &str, definition: &Definition, above: &Saga) -> Option<bool> {
    let entry = above.entry(place_above(id, definition, above)?)?;
    Some(entry.children()?.child(below(id)?.index)?.held)
}

/// What the row above is to know of what happened to this one.
fn novelty(before: Option<&Saga>, input: &Input, decided: &Decided, held_above: Option<bool>) -> Option<Novelty> {
    let after = &decided.saga;
    if decided.events.iter().any(|event| matches!(event, SagaEvent::Swept { lingers: true })) {
        return Some(Novelty::Lingers);
    }
    if after.status == Status::Swept {
        let lingered = before.and_then(|before| before.ended.as_ref()).is_some_and(|end| end.expires_at < Millis::MAX);
        return lingered.then_some(Novelty::Gone);
    }
    let was = before.map(|before| before.status);
    let is_recalled = matches!(input, Input::Recall(_));
    match after.status {
        Status::Completed if was != Some(Status::Completed) => Some(Novelty::Done),
        Status::Compensated if was != Some(Status::Compensated) || is_recalled => {
            let failure = after.failure.clone().expect("what is undone says why");
            Some(Novelty::Undone { refused: is_refused(after, &failure), failure })
        }
        Status::Running | Status::Compensating => {
            let held = after.held_since.is_some();
            held_above.filter(|known| *known != held && !mutated("child_news_lost")).map(|_| Novelty::Held(held))
        }
        Status::Completed | Status::Compensated | Status::Expected | Status::Swept => None,
    }
}

/// True if what an item was undone for is known not done: its participant, or a person, or its time said no.
fn is_refused(saga: &Saga, failure: &Arc<Failure>) -> bool {
    let says = |work: Work| saga.entries.iter().any(|entry| entry.work == work && entry.failure() == Some(failure));
    failure.kind == FailureKind::Refused || says(Work::Refused)
}

/// About what an event takes in a journal record.
fn bytes_of(event: &SagaEvent) -> usize {
    const SMALL: usize = 64;
    SMALL
        + match event {
            SagaEvent::CommandIssued { order, .. } | SagaEvent::UndoIssued { order, .. } | SagaEvent::Retried { order, .. } => {
                order.held_bytes()
            }
            SagaEvent::Started { head, .. } => head.held_bytes(),
            SagaEvent::Emitted { emission, .. } => emission.body.len(),
            _ => 0,
        }
}
