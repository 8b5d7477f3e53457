//! Going forward: what is entered next, and the saga's end.
//!
//! Every function says where it goes from there, a [`Way`], and one loop takes them: how long a definition is, and how often it tries
//! again, costs no stack.

use std::fmt::Write as _;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Emission, Failure, FailureKind, Next, Opens, OrderFields, Phase, Place, SagaEvent};
use ringmaster_schemas::state::Work;

use super::decide::{Draft, failure};
use super::react_to::is_pivot;
use super::scope::Scope;
use super::{COMMAND_BYTES_MAX, EMITTED_BYTES_MAX, ROW_BYTES_MAX, Scratch, code};
use crate::definition::{self, Arm, Emit, Expression, ExpressionError, ROOT, Role, Undo, Verb};
use crate::faults::mutated;

/// Where it goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Nowhere: something is waited for, or the saga has ended.
    Rest,
    /// To the first node of a list.
    Into(u16),
    /// To a node.
    Enter(u16),
    /// To a node once more, whatever its condition says by now.
    Again(u16),
    /// Behind a node that ended well, or that is left out.
    Behind(u16),
    /// Behind the last node of a list.
    Ended(u16),
    /// On from an entry that ended, well or not.
    Settled(Place),
    /// Backward in a scope.
    Unwind(Scope),
}

/// What is still to be entered behind what is now.
pub(super) enum Branch {
    /// A branch of a parallel.
    Of {
        /// Its parallel's entry.
        place: Place,
        list: u16,
    },
    /// What was postponed while the saga was paused.
    Resumed {
        next: Next,
        /// What it lies in, as of then.
        scope: Scope,
    },
}

impl Draft<'_> {
    /// Goes on until something is waited for in every branch, or the saga ends.
    pub(super) fn go(&mut self, way: Way) {
        let mut way = way;
        loop {
            way = match way {
                Way::Rest => match self.branches.pop() {
                    Some(branch) => self.branch(&branch),
                    None => return,
                },
                Way::Enter(number) | Way::Again(number) if self.is_paused() && !mutated("paused_starts_next") => {
                    self.postpone(number, way == Way::Again(number))
                }
                Way::Into(list) if list + 1 < self.definition.nodes[usize::from(list)].end => Way::Enter(list + 1),
                Way::Into(list) | Way::Ended(list) => self.ended(list),
                Way::Enter(number) => self.enter(number),
                Way::Again(number) => self.begin(number),
                Way::Behind(number) => self.behind(number),
                Way::Settled(place) => self.settled(place),
                Way::Unwind(scope) => self.unwind(scope),
            }
        }
    }

    /// Something ended: while a scope around it is undone, that is the next undo; else it goes on, or its reaction follows.
    fn settled(&mut self, place: Place) -> Way {
        if let Some(scope) = self.halted(place).filter(|_| !mutated("reaction_in_undoing_scope")) {
            return Way::Unwind(scope);
        }
        let entry = self.entry(place);
        if entry.stray().is_some() {
            return Way::Rest;
        }
        match entry.work {
            Work::Done => Way::Behind(entry.node - u16::from(mutated("issued_step_is_next_again"))),
            Work::Refused | Work::Failed | Work::Undone => self.react_to(place),
            Work::Nothing | Work::Asked | Work::UndoAsked | Work::Closed | Work::Open | Work::Undoing => {
                unreachable!("it has ended")
            }
        }
    }

    /// What stands behind a node in its list, else the list has ended.
    fn behind(&mut self, number: u16) -> Way {
        let node = &self.definition.nodes[usize::from(number)];
        let list = &self.definition.nodes[usize::from(node.parent)];
        if node.end < list.end { Way::Enter(node.end) } else { Way::Ended(node.parent) }
    }

    fn ended(&mut self, list: u16) -> Way {
        let node = &self.definition.nodes[usize::from(list)];
        let Verb::Sequence(role) = node.verb else { unreachable!("only lists end") };
        let owner = node.parent;
        match role {
            Role::Root => self.complete(),
            Role::Body | Role::Arm if self.definition.nodes[usize::from(owner)].is_scope => self.scope_done(owner),
            Role::Body | Role::Arm => {
                self.left(owner);
                Way::Behind(owner)
            }
            Role::Branch => self.join(owner),
            Role::Reaction => self.reacted(owner, list),
            Role::Item if self.is_paused() => self.postpone(ROOT, false),
            Role::Item => self.item_done(),
        }
    }

    /// A scope in which all ended well.
    fn scope_done(&mut self, node: u16) -> Way {
        let place = self.last_entry(node).expect("a scope is entered before it ends");
        self.happen(SagaEvent::Succeeded { place, result: None, passes: false });
        Way::Settled(place)
    }

    /// A group or choice is left well. If it holds the pivot, and the way through it did not, that is skipped: the saga is behind it.
    fn left(&mut self, number: u16) {
        let node = &self.definition.nodes[usize::from(number)];
        if node.passes && !self.saga().passed && !mutated("skipped_pivot_not_passing") {
            let mut inside = number..node.end;
            let pivot = inside.find(|inner| is_pivot(self.definition, *inner)).expect("what passes holds the pivot");
            self.happen(SagaEvent::Skipped { node: pivot, passes: true });
        }
    }

    /// Enters a node, if its condition is true.
    fn enter(&mut self, number: u16) -> Way {
        let node = &self.definition.nodes[usize::from(number)];
        match self.is_true(number, node.condition.as_ref()) {
            Ok(is_true) if is_true || mutated("condition_ignored") => self.begin(number),
            Ok(_) => {
                let passes = node.passes && !mutated("skipped_pivot_not_passing");
                self.happen(SagaEvent::Skipped { node: number, passes });
                Way::Behind(number)
            }
            Err(error) => self.fails_to_begin(number, &error),
        }
    }

    /// Emits, refuses, issues a command, or goes into a list of the node.
    fn begin(&mut self, number: u16) -> Way {
        let node = &self.definition.nodes[usize::from(number)];
        if node.is_scope {
            let until = node.within_ms.map(|within| self.now.saturating_add(within));
            self.happen(SagaEvent::Entered {
                place: self.next_place(),
                node: number,
                round: self.round(number),
                opens: Opens::Scope { until },
            });
        }
        match &node.verb {
            Verb::Do(_) => self.issue(number),
            Verb::Refuse(_) if mutated("refusal_goes_on") => Way::Behind(number),
            Verb::Refuse(code) => self.refuse(number, code),
            Verb::Emit(emit) => match self.emit(number, emit) {
                Ok(()) => Way::Behind(number),
                Err(error) => self.fails_to_begin(number, &error),
            },
            Verb::Group => Way::Into(number + 1),
            Verb::Choice(arms) => self.choose(number, arms),
            Verb::Parallel(count) => {
                let place = self.next_place() - 1;
                let branches = self.definition.lists(number).take(usize::from(*count)).map(|list| Branch::Of { place, list });
                let at = self.branches.len();
                self.branches.extend(branches);
                // The first is taken first.
                self.branches[at..].reverse();
                Way::Rest
            }
            Verb::Sleep(sleep) => self.sleep(number, sleep),
            Verb::Approval(approval) => self.ask(number, approval),
            Verb::Wait(_) => self.wait(number),
            Verb::Claim(name) => self.claim_alone(number, name),
            Verb::ForEach(each) => self.for_each(number, each),
            Verb::Run(run) => self.run(number, run),
            Verb::Sequence(_) => unreachable!("a list is entered by its first node"),
        }
    }

    /// The next branch of a parallel: not if one before it has failed.
    fn branch(&mut self, branch: &Branch) -> Way {
        let (place, list) = match branch {
            Branch::Of { place, list } => (*place, *list),
            Branch::Resumed { next, scope } => return self.resumed(next, *scope),
        };
        let is_open = self.entry(place).work == Work::Open && self.halted(place).is_none();
        if is_open || mutated("branch_starts_in_undoing_parallel") { Way::Into(list) } else { Way::Rest }
    }

    /// A branch ended well: its parallel has, when no leaf of it is open.
    fn join(&mut self, parallel: u16) -> Way {
        let place = self.last_entry(parallel).expect("a parallel is entered before its branches");
        let is_its = |branch: &Branch| matches!(branch, Branch::Of { place: of, .. } if *of == place);
        let is_entering = self.branches.iter().any(is_its) || self.is_to_begin_in(parallel);
        let waits = self.below(place).any(|inner| self.entry(inner).is_under_way()) && !mutated("join_waits_for_one_branch");
        if is_entering || waits || self.entry(place).work != Work::Open {
            return Way::Rest;
        }
        self.scope_done(parallel)
    }

    /// The steps of a reaction have ended well.
    fn reacted(&mut self, owner: u16, list: u16) -> Way {
        let place = self.last_entry(owner).expect("what reacts was entered");
        let node = &self.definition.nodes[usize::from(owner)];
        match node.next_of(list).expect("the list is one of its reactions") {
            definition::Next::GoOn => {
                self.happen(SagaEvent::WentOn { place, passes: node.passes && !mutated("alternative_pivot_not_passing") });
                Way::Behind(owner)
            }
            definition::Next::Retry => Way::Again(owner),
            definition::Next::Undo => {
                let (cause, refused) = self.cause_of(place);
                self.stop(self.scope_of(place), cause, refused)
            }
        }
    }

    fn is_true(&self, number: u16, condition: Option<&Expression>) -> Result<bool, ExpressionError> {
        condition.map_or(Ok(true), |condition| self.values.condition(self.view(number), condition))
    }

    /// The first arm whose condition is true; the last has none.
    fn choose(&mut self, number: u16, arms: &[Arm]) -> Way {
        for arm in arms {
            match self.is_true(number, arm.condition.as_ref()) {
                Ok(is_true) if is_true || mutated("first_arm_taken") => return Way::Into(arm.list),
                Ok(_) => {}
                Err(error) => return self.fails_to_begin(number, &error),
            }
        }
        unreachable!("a choice ends with else")
    }

    pub(super) fn fails_to_begin(&mut self, number: u16, error: &ExpressionError) -> Way {
        let name = self.definition.nodes[usize::from(number)].name.clone();
        self.cannot_begin(number, &name, error.code, &error.to_string())
    }

    /// Tells others, on the way. What is told stays told, whatever becomes of the saga.
    fn emit(&mut self, node: u16, emit: &Emit) -> Result<(), ExpressionError> {
        let id = self.emission_id(node);
        let mut body = self.buffer();
        let emission = self.values.emission(self.view(node), emit, &id, &mut body)?;
        self.give_back(body);
        let texts = [&emission.topic, &emission.key, &emission.kind, &emission.id];
        self.emitted_bytes += emission.body.len() + texts.iter().map(|text| text.len()).sum::<usize>();
        if self.emitted_bytes > EMITTED_BYTES_MAX {
            let message =
                format!("what is emitted in one turn takes {} bytes; the limit is {EMITTED_BYTES_MAX}", self.emitted_bytes);
            return Err(ExpressionError { code: code::DATA_TOO_BIG, message, place: id.to_string() });
        }
        self.happen(SagaEvent::Emitted { node, emission: Arc::new(emission) });
        Ok(())
    }

    /// The definition itself says no: nobody was asked, nothing of it is to be undone.
    fn refuse(&mut self, node: u16, code: &str) -> Way {
        let name = &self.definition.nodes[usize::from(node)].name;
        let failure = failure(FailureKind::Refused, code, name, "refused by the saga's definition");
        let place = self.next_place();
        self.happen(SagaEvent::Entered { place, node, round: self.round(node), opens: Opens::Refused { failure } });
        Way::Settled(place)
    }

    /// The first attempt of a step's own command; or it waits, before it is even made, until its participant is asked again.
    fn issue(&mut self, node: u16) -> Way {
        let step = self.definition.step(node).expect("it was looked at");
        let (place, round) = (self.next_place(), self.round(node));
        if let Some(participant) = self.parks(&step.asks.call.participant) {
            self.happen(SagaEvent::Entered { place, node, round, opens: Opens::Parked { participant } });
            return Way::Rest;
        }
        self.issue_at(place, node, round)
    }

    /// The same, at a place that is the next one, or where it was parked.
    pub(super) fn issue_at(&mut self, place: Place, node: u16, round: u8) -> Way {
        let step = self.definition.step(node).expect("it was looked at");
        let body = step.asks.call.body.as_ref().expect("a step's own command has its own body");
        let buffer = self.buffer();
        let body = match self.render_body(self.view_at(node, place), body, buffer) {
            Ok(body) => body,
            Err(error) => return self.cannot_begin_at(place, node, &step.node.name, (error.code, &error.to_string())),
        };
        let held = self.held_bytes();
        if held + body.len() > ROW_BYTES_MAX && !mutated("big_command_sent") {
            let message =
                format!("its command takes {} bytes beside {held} that the saga holds; the limit is {ROW_BYTES_MAX}", body.len());
            return self.cannot_begin_at(place, node, &step.node.name, (code::DATA_TOO_BIG, &message));
        }
        let until = step.node.until(self.now);
        let order = self.order(
            &step.node.name,
            if mutated("round_reuses_key") { 1 } else { round },
            &OrderFields {
                step: "",
                command: &step.asks.call.command,
                encoding: step.asks.call.encoding,
                envelope: step.asks.call.envelope,
                first_time: self.now,
                until,
                keep: matches!(&step.asks.undo, Undo::Command { call, .. } if call.body.is_none()),
                body: &body,
            },
        );
        self.give_back(body);
        let due_at = until.min(self.now + step.asks.timeout_ms);
        self.happen(SagaEvent::CommandIssued { place, node, round, order, due_at });
        Way::Rest
    }

    /// A step (or the event at the end) failed before anything of it was sent.
    pub(super) fn cannot_begin(&mut self, node: u16, name: &Arc<str>, code: &str, message: &str) -> Way {
        self.cannot_begin_at(self.next_place(), node, name, (code, message))
    }

    /// The same, at a place that is the next one, or where it was parked.
    fn cannot_begin_at(&mut self, place: Place, node: u16, name: &Arc<str>, (code, message): (&str, &str)) -> Way {
        let forward_only = match node {
            // The event at the end: without a pivot all can still be undone.
            ROOT => self.definition.has_pivot && self.root == ROOT,
            node => self.definition.nodes[usize::from(node)].phase == Phase::Retriable,
        };
        let failure = failure(FailureKind::Error, code, name, message);
        if forward_only && place < self.next_place() {
            self.happen(SagaEvent::Stuck { place, failure });
            Way::Rest
        } else if forward_only {
            self.enter_stuck(node, failure);
            Way::Rest
        } else {
            self.stop(Scope::Root, failure, false)
        }
    }

    pub(super) fn enter_stuck(&mut self, node: u16, failure: Arc<Failure>) {
        let opens = Opens::Stuck { failure };
        self.happen(SagaEvent::Entered { place: self.next_place(), node, round: self.round(node), opens });
    }

    fn complete(&mut self) -> Way {
        if self.is_paused() {
            return self.postpone(ROOT, false);
        }
        if let Some(way) = self.gives_result() {
            return way;
        }
        match self.render("completed", &self.definition.on_completed) {
            Ok((emissions, expires_at)) => self.happen(SagaEvent::Completed { emissions, expires_at }),
            Err(error) => return self.cannot_begin(ROOT, &"on_completed".into(), error.code, &error.to_string()),
        }
        Way::Rest
    }

    /// The events of an end, and when the row may go. Together they must fit into any journal record, like a command: a saga whose end
    /// fits into none could not even be failed.
    pub(super) fn render(&mut self, how: &str, emits: &[Emit]) -> Result<(Vec<Emission>, Millis), ExpressionError> {
        let mut emissions = Vec::with_capacity(emits.len());
        for (i, emit) in emits.iter().enumerate() {
            let view =
                self.row.as_deref().map(|saga| super::view::of_end(saga, self.above, self.now)).expect("the saga has started");
            let Scratch { body, text: id, .. } = &mut *self.scratch;
            id.clear();
            write!(id, "{how}/{i}").expect("writing to memory");
            emissions.push(self.values.emission(view, emit, id, body)?);
        }
        let bytes: usize = emissions.iter().map(|emission| emission.key.len() + emission.body.len()).sum();
        if bytes > COMMAND_BYTES_MAX {
            let message = format!("the events of its end take {bytes} bytes; the limit is {COMMAND_BYTES_MAX}");
            return Err(ExpressionError { code: code::DATA_TOO_BIG, message, place: format!("on_{how}") });
        }
        Ok((emissions, self.expires_at()))
    }

    /// When a row that ends now may go: one below another goes with that.
    pub(super) fn expires_at(&self) -> Millis {
        if self.above.is_empty() { self.now.saturating_add(self.definition.retain_ms) } else { Millis::MAX }
    }
}
