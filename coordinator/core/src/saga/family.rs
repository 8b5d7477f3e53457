//! A turn of a saga with the rows of its items and sub-sagas: what one of them does, others are told at once, in the same turn.
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
use ringmaster_schemas::journal::{Failure, FailureKind, ItemEvent, Place, RejectionReason, SagaEvent};
use ringmaster_schemas::names::below;
use ringmaster_schemas::state::{ChildWork, Paused, Saga, Status, Work};
use ringmaster_schemas::{Data, Millis};

use super::below::{of_above, place_above};
use super::decide::{Above, Basis, Decided, decide};
use super::novelty::{known_above, novelty, passes};
use super::parking::Breakers;
use super::pausing::is_paused_above;
use super::sizes::bytes_of;
use super::{BeginInput, Evaluated, Input, News, Novelty, Rejection, Scratch, Values, code};
use crate::definition::expression::NODES_PER_TURN_MAX;
use crate::definition::{Definition, ROOT, Run, Verb};
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
    /// The version by which a run of this definition begins, and where that stands in the topic of definitions: the newest that keeps what
    /// the run counts on.
    fn sub_saga(&self, _of: &Definition, _run: &Run) -> Option<(&'d Definition, i64)> {
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
            if turn.moved.len() < room.rows && mutated("several_begun_at_once") {
                let next = turn.work()?;
                turn.mail.extend(next);
            }
        }
        let is_cheap = turn.cost < NODES_PER_TURN_MAX || mutated("work_costs_nothing");
        let is_small = turn.moved.len() < room.rows && turn.bytes < room.bytes;
        let has_room = (is_small || mutated("work_ignores_room")) && is_cheap && !mutated("work_left_for_another_turn");
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
        let unknown = || Rejection::new(RejectionReason::UnknownSaga, "its saga is not remembered");
        let Some(above) = self.above(id)? else { return Ok(Err(unknown())) };
        let run = above.first().and_then(|above| run_of(id, above.definition));
        let mut passed = None;
        let definition = match (&before, above.first(), input) {
            (Some(saga), ..) if saga.began() && saga.status != Status::Swept => self.family.definition(saga)?,
            (_, Some(above), Input::Begin(begin)) if run.is_some() => match self.begins(above, run, begin) {
                Ok((definition, begin)) => {
                    passed = Some(Input::Begin(begin));
                    definition
                }
                Err((code, why)) => {
                    self.never_began(id, above, code, &why);
                    return Ok(Ok(()));
                }
            },
            (None, Some(above), Input::Recall(failure)) if run.is_some() => {
                self.never_began(id, above, &failure.code, &failure.message);
                return Ok(Ok(()));
            }
            (None, Some(_), Input::Sweep) if run.is_some() => return Ok(Ok(())),
            (_, Some(above), _) => above.definition,
            (_, None, _) => match self.family.starting() {
                Some(definition) => definition,
                None => return Ok(Err(unknown())),
            },
        };
        let input = passed.as_ref().unwrap_or(input);
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
        self.write(id, (before.as_deref(), input, &decided), definition, &above);
        let Decided { events, saga } = decided;
        if !events.is_empty() {
            self.moved.push(Moved { id: id.clone(), before, definition, events, saga });
        }
        Ok(Ok(()))
    }

    /// By which version a sub-saga begins, and what that keeps of what it is given; or why it cannot begin.
    fn begins(
        &mut self,
        above: &Above<'d>,
        run: Option<&Run>,
        begin: &BeginInput,
    ) -> Result<(&'d Definition, BeginInput), (&'static str, Arc<str>)> {
        let run = run.expect("it was looked at");
        let found = self.family.sub_saga(above.definition, run).filter(|_| !mutated("sub_saga_not_found"));
        let Some((definition, offset, kept)) = found.and_then(|(it, offset)| Some((it, offset, &it.input.as_ref()?.kept))) else {
            return Err((code::CONTRACT, format!("no version of {} keeps what this saga counts on", run.saga).into()));
        };
        let start = self.scratch.passages.pass(begin.start.bytes(), &run.contract.input, kept);
        let start = start.map_err(|why| (code::CONTRACT, why))?;
        let (search, cost) = definition.searched_by(&above.saga.key(), start.bytes(), self.now);
        self.cost = self.cost.saturating_add(cost);
        let search = search.map_err(|error| (error.code, error.to_string().into()))?;
        Ok((definition, BeginInput { start, version_offset: Some(offset), search }))
    }

    /// A sub-saga that has no row: it could not begin, and so has left nothing behind.
    fn never_began(&mut self, id: &Arc<str>, Above { saga, definition }: &Above<'_>, code: &str, why: &str) {
        let place = place_above(id, definition, saga).expect("what is below a row is below an entry of it");
        let failure = Arc::new(Failure { code: code.into(), step: "".into(), kind: FailureKind::Error, message: why.into() });
        let what = Novelty::Undone { failure, refused: false };
        self.mail.push_back((saga.id.clone(), Input::News(News { place, index: 0, what })));
    }

    /// The mail that follows from what happened.
    fn write(
        &mut self,
        id: &Arc<str>,
        (before, input, decided): (Option<&Saga>, &Input, &Decided),
        definition: &Definition,
        above: &[Above<'_>],
    ) {
        let after = &decided.saga;
        if let Some(Above { saga, definition }) = above.first() {
            let passed = Some(Novelty::Passed).filter(|_| passes(before, after) && !mutated("child_pivot_not_told"));
            let place = || place_above(id, definition, saga).expect("what is below a row is below an entry of it");
            // It is still to be told that it may go on.
            let waits = matches!(input, Input::TooBig { .. }) && after.paused().is_some_and(Paused::is_with_above);
            let (known, found) = (known_above(id, definition, saga), waits || is_paused_above(above).is_some());
            for what in passed.into_iter().chain(novelty(before, input, decided, (known, found))) {
                let index = below(id).expect("it is below a row").index();
                self.mail.push_back((saga.id.clone(), Input::News(News { place: place(), index, what })));
            }
        }
        for event in &decided.events {
            let row = |place: Place, index| -> Arc<str> {
                let entry = &after.entries[usize::from(place)];
                definition.row_below(id, (entry.node, entry.round), index).into()
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
                    (
                        row(*place, *index),
                        Input::Begin(BeginInput { start: Data::new(item), version_offset: None, search: Vec::new() }),
                    )
                }
                SagaEvent::Item { event: ItemEvent::Recalled { .. }, .. } if mutated("items_not_recalled") => continue,
                SagaEvent::Item { place, event: ItemEvent::Recalled { index } } => {
                    let why = after.entries[usize::from(*place)].failure().expect("what is undone says why");
                    let row = row(*place, *index);
                    let why = if run_of(&row, definition).is_some() { of_above(id, why) } else { why.clone() };
                    (row, Input::Recall(why))
                }
                SagaEvent::Item { place, event: ItemEvent::StopAsked { index } } => {
                    let why = after.remembered_stop().expect("it is remembered");
                    (row(*place, *index), Input::Stop(of_above(id, why)))
                }
                SagaEvent::Item { event: ItemEvent::Told { .. }, .. } if mutated("items_not_told") => continue,
                SagaEvent::Item { place, event: ItemEvent::Told { index, .. } } => (row(*place, *index), Input::LookAbove),
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

    /// What all rows below an entry gave, in their order; none if nothing reads it. Or why it cannot be read.
    fn gather(&mut self, saga: &Arc<Saga>, place: Place, definition: &Definition) -> Result<Gathered, F::Error> {
        let entry = &saga.entries[usize::from(place)];
        let node = &definition.nodes[usize::from(entry.node)];
        let count = entry.children().map_or(0, |rows| rows.count);
        let Some(kept) = node.kept() else { return Ok(Ok(None)) };
        let row_of = |index| -> Arc<str> { definition.row_below(&saga.id, (entry.node, entry.round), index).into() };
        if let Verb::Run(_) = node.verb {
            let row = self.row(&row_of(0))?;
            let written = match &row {
                Some(row) => self.family.definition(row)?.result.as_ref().map(|result| &result.schema),
                None => None,
            };
            let (Some(gave), Some(written)) = (row.as_deref().and_then(gave), written) else {
                return Ok(Err("it gives no result".into()));
            };
            return Ok(self.scratch.passages.pass(gave.bytes(), written, kept).map(Some));
        }
        let mut list = Vec::new();
        put_long(&mut list, i64::from(count));
        for index in 0..count {
            let index = if mutated("results_in_order_of_end") { count - 1 - index } else { index };
            let row = self.row(&row_of(index))?;
            let gave = row.as_deref().and_then(gave);
            list.extend_from_slice(gave.expect("an item that has ended well gave its result").bytes());
        }
        list.push(0);
        Ok(Ok(Some(Data::new(&list))))
    }
}

/// What rows below an entry gave; or why that cannot be read.
type Gathered = Result<Option<Data>, Arc<str>>;

/// What a row has given that has ended well.
fn gave(row: &Saga) -> Option<&Data> {
    row.entries.iter().rfind(|entry| entry.node == ROOT && entry.work == Work::Done)?.result.as_ref()
}

/// What the row of this id runs for the row above, where it is a sub-saga.
fn run_of<'d>(id: &str, above: &'d Definition) -> Option<&'d Run> {
    above.run_named(below(id).filter(|below| below.item.is_none())?.step)
}
