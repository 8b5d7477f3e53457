//! Whether an act says what one of its kind says, and nothing beside: what would be passed over in silence is refused.

use super::super::saga;
use super::{Act, ActBody, ActEnd, TEXT_BYTES_MAX};

/// Names of steps and participants are no longer than this, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// A value is no larger than what goes into a record of the journal with all that is around it, in bytes.
const VALUE_BYTES_MAX: usize = 500_000;

impl Act {
    /// Whether it is for one of a saga's steps.
    pub(crate) fn takes_step(self) -> bool {
        matches!(self, Act::Retry | Act::Skip | Act::Resolve | Act::Approve | Act::Refuse)
    }
}

impl ActBody {
    /// What is wrong with it, for people.
    pub(in crate::api) fn check(&self) -> Result<(), &'static str> {
        of_any(self)?;
        self.check_kind()
    }

    /// The same, of what goes with some acts alone: whether it goes with this one.
    pub(crate) fn check_kind(&self) -> Result<(), &'static str> {
        of_its_kind(self)
    }
}

fn of_any(body: &ActBody) -> Result<(), &'static str> {
    let wrong = Err;
    let is_of_participant = matches!(body.act, Act::ParticipantPause | Act::ParticipantResume);
    match (&body.saga, &body.participant, is_of_participant) {
        (Some(_), None, false) | (None, Some(_), true) => {}
        (_, _, true) => return wrong("an act on a participant names `participant`, and no saga"),
        (_, _, false) => return wrong("an act on a saga names `saga`, and no participant"),
    }
    if let Some(id) = &body.saga
        && saga::partition_of(id, 1).is_none()
    {
        return wrong("`saga` is an id such as order-fulfilment/ord-17");
    }
    let is_name = |name: &Option<String>| name.as_ref().is_none_or(|name| (1..=NAME_BYTES_MAX).contains(&name.len()));
    if !is_name(&body.step) || !is_name(&body.participant) {
        return wrong("`step` and `participant` are names of 1 to 200 bytes");
    }
    if !is_name(&body.code) {
        return wrong("`code` is a text of 1 to 200 bytes");
    }
    if body.why.trim().is_empty() || body.why.len() > TEXT_BYTES_MAX {
        return wrong("`why` says why, in 1 to 1024 bytes");
    }
    if body.value.as_ref().is_some_and(|value| value.get().len() > VALUE_BYTES_MAX) {
        return wrong("`value` has at most 500,000 bytes");
    }
    Ok(())
}

fn of_its_kind(body: &ActBody) -> Result<(), &'static str> {
    let wrong = Err;
    if body.step.is_some() && !body.act.takes_step() {
        return wrong("`step` is said to retry, skip, resolve, approve or refuse");
    }
    if body.if_turn.is_some() && matches!(body.act, Act::Start | Act::ParticipantPause | Act::ParticipantResume) {
        return wrong("`if_turn` is said of a saga that is there");
    }
    match (body.act, body.outcome) {
        (Act::Resolve, None) => return wrong("to resolve says `outcome`: succeeded or refused"),
        (Act::Resolve, Some(ActEnd::Succeeded)) if body.code.is_some() => return wrong("`code` is said of what was refused"),
        (Act::Resolve, Some(ActEnd::Refused)) if body.value.is_some() => return wrong("`value` is said of what succeeded"),
        (Act::Resolve, Some(_)) => {}
        (_, Some(_)) => return wrong("`outcome` and `code` are said to resolve"),
        (_, None) if body.code.is_some() => return wrong("`outcome` and `code` are said to resolve"),
        (_, None) => {}
    }
    match (body.act, body.value.is_some()) {
        (Act::Start, false) => wrong("to start says the event, as `value`"),
        (Act::Start | Act::Skip | Act::Resolve, _) | (_, false) => Ok(()),
        (_, true) => wrong("`value` is said to skip, to resolve or to start"),
    }
}
