//! A record of the control topic: what a person does to a saga, as JSON.

use std::borrow::Cow;
use std::sync::Arc;

use ringmaster_schemas::journal::{QuarantineReason, RejectionReason};
use ringmaster_schemas::names;
use ringmaster_schemas::state::{Entry, Work};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Projections, Refused, bounds};
use crate::definition::{Definition, Verb};
use crate::saga::{Act, ActInput, ByHand, Outcome, Rejection};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlAct {
    /// The saga is undone.
    Cancel,
    /// What is stuck is asked again.
    Retry,
    /// It goes on without what is stuck, or with a value in its stead.
    Skip,
    /// It ended so, says a person in its participant's stead.
    Resolve,
    /// Yes, where an approval is asked for.
    Approve,
    /// No, where an approval is asked for.
    Refuse,
    /// The saga begins, by the event that is given: as if that had come on its topic.
    Start,
    /// Nothing of it goes forward until it is resumed.
    Pause,
    /// It goes on.
    Resume,
}

/// How it ended, by [`ControlAct::Resolve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlOutcome {
    /// It was done.
    Succeeded,
    /// It was not, and will not be.
    Refused,
}

/// The value of a record of the control topic. Its key is the saga's key, so that it stands in the saga's partition.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlRecord<'a> {
    /// Anything that tells this act from all others, for whoever waits for its answer in the journal.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    /// The saga's id, for example `order-fulfilment/ord-17`.
    #[serde(borrow)]
    pub saga: Cow<'a, str>,
    /// What is done.
    pub act: ControlAct,
    /// The step that is meant, with `~` and its round behind the first; none: the one that is stuck, or waits for an approval.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Cow<'a, str>>,
    /// Who.
    #[serde(borrow)]
    pub by: Cow<'a, str>,
    /// Why, in their words.
    #[serde(borrow)]
    pub why: Cow<'a, str>,
    /// The last turn that was seen of the saga, by its journal offset. If the saga has moved since, nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_turn: Option<i64>,
    /// How it ended, to resolve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ControlOutcome>,
    /// By which code it was refused, to resolve.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'a, str>>,
    /// To skip or resolve: the result, any JSON, as its participant would have sent it. To start: the event.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub value: Option<&'a RawValue>,
}

/// What is done to a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParticipantAct {
    /// Nothing is asked of it any more: what would be asked is parked.
    Pause,
    /// It is asked again: what was parked goes out little by little.
    Resume,
}

/// The value of a record of the control topic that is about a participant. Each partition has its own: it is written to all of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticipantRecord<'a> {
    /// Anything that tells this act from all others, for whoever waits for its answer in the journal.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    /// The participant's name, for example `payment`.
    #[serde(borrow)]
    pub participant: Cow<'a, str>,
    /// What is done.
    pub act: ParticipantAct,
    /// Who.
    #[serde(borrow)]
    pub by: Cow<'a, str>,
    /// Why, in their words.
    #[serde(borrow)]
    pub why: Cow<'a, str>,
}

/// Which of the two kinds of record it is.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    participant: Option<serde::de::IgnoredAny>,
}

impl<'a> ParticipantRecord<'a> {
    /// Reads it; none if it is about a saga.
    pub fn read(value: &'a [u8]) -> Result<Option<ParticipantRecord<'a>>, Refused> {
        let is_about_a_saga = |kind: Kind| kind.participant.is_none();
        if serde_json::from_slice(value).map_or(true, is_about_a_saga) {
            return Ok(None);
        }
        serde_json::from_slice(value).map(Some).map_err(|error| {
            let detail = format!("this is no act on a participant: {error}; `ringmaster participant pause|resume` sends what is");
            Refused::new(QuarantineReason::Undecodable, detail, None)
        })
    }

    /// Who, as the journal keeps it.
    pub(crate) fn by(&self) -> Arc<str> {
        bounds::message(&self.by).into()
    }

    /// Why, as the journal keeps it.
    pub(crate) fn why(&self) -> Arc<str> {
        bounds::message(&self.why).into()
    }
}

impl<'a> ControlRecord<'a> {
    /// Reads it.
    pub fn read(value: &'a [u8]) -> Result<ControlRecord<'a>, Refused> {
        serde_json::from_slice(value).map_err(|error| {
            // What says less than it did must not be done without what it said.
            let earlier = error.to_string().contains("`if_state`");
            let how = if earlier {
                "an act names the saga's last turn, `if_turn`, which `saga show` tells"
            } else {
                "`ringmaster act` sends what is"
            };
            Refused::new(QuarantineReason::Undecodable, format!("this is no act: {error}; {how}"), None)
        })
    }

    /// Who, and why, as the journal keeps them.
    pub(crate) fn by_hand(&self) -> ByHand {
        ByHand { by: bounds::message(&self.by).into(), why: bounds::message(&self.why).into() }
    }

    /// As the core takes it; a value that its step cannot have is rejected.
    /// `stuck`: the entry that is meant, if it needs a person.
    pub fn input(
        &self,
        projections: &mut Projections,
        definition: &Definition,
        stuck: Option<&Entry>,
    ) -> Result<ActInput, Rejection> {
        let not_possible = |why: String| Rejection { reason: RejectionReason::NotPossible, detail: why };
        let step = match &self.step {
            Some(name) => definition.names.find(names::step_of_round(name)),
            None => stuck.map(|entry| entry.node),
        };
        let step = step.and_then(|node| definition.node(node)).filter(|node| node.gives.is_some());
        // An answer without a body is one of nothing but defaults; that of an undo has no result.
        let has_result = stuck.is_some_and(|entry| entry.work != Work::UndoAsked);
        let nothing = has_result && (self.act, self.outcome) == (ControlAct::Resolve, Some(ControlOutcome::Succeeded));
        let result = match (self.value, step) {
            (None, Some(step)) if nothing && matches!(step.verb, Verb::Do(_)) => {
                projections.stated(step, "{}").map_err(|refused| not_possible(format!("{}: give a value", refused.detail)))?
            }
            (None, _) => None,
            (Some(_), None) => return Err(not_possible("a value is for a step: name one that gives a result".to_owned())),
            (Some(value), Some(step)) => projections.stated(step, value.get()).map_err(|refused| not_possible(refused.detail))?,
        };
        let act = match (self.act, self.outcome) {
            (ControlAct::Cancel, _) => Act::Cancel,
            (ControlAct::Retry, _) => Act::Retry,
            (ControlAct::Approve, _) => Act::Approve,
            (ControlAct::Refuse, _) => Act::Refuse,
            (ControlAct::Pause, _) => Act::Pause,
            (ControlAct::Resume, _) => Act::Resume,
            (ControlAct::Start, _) => unreachable!("what is to begin is no saga yet"),
            (ControlAct::Skip, _) => Act::Skip { value: result, given: self.value.is_some() },
            (ControlAct::Resolve, Some(ControlOutcome::Succeeded)) => Act::Resolve(Outcome::Succeeded { result }),
            (ControlAct::Resolve, Some(ControlOutcome::Refused)) => Act::Resolve(Outcome::Refused {
                code: bounds::code(self.code.as_deref().unwrap_or("REFUSED")).into(),
                message: format!("said {}: {}", bounds::code(&self.by), bounds::message(&self.why)).into(),
            }),
            (ControlAct::Resolve, None) => return Err(not_possible("say how it ended: succeeded, or refused".to_owned())),
        };
        let text = |text: &str| -> Arc<str> { bounds::message(text).into() };
        let step = self.step.as_deref().map(Arc::from);
        Ok(ActInput { act, step, by: text(&self.by), why: text(&self.why), if_turn: self.if_turn })
    }
}
