//! Why an input comes to nothing, and how it is seen that this is so.

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{ChildWork, Entry, Status, Waits};

use super::kinds::Kind;
use super::stage::Stage;
use super::tries::child_work;

/// Why nothing happens by an input of a kind, and whether that is so; none if something must.
pub(crate) fn why_nothing(kind: Kind, stage: &Stage, now: Millis) -> Option<(&'static str, bool)> {
    let row = stage.row()?;
    let waits = stage.leaf().map(|leaf| leaf.waits);
    let runs = row.status == Status::Running;
    match kind {
        Kind::Due if row.held_since.is_some() => Some(("its clock stands", row.due_at() > now || row.has_work())),
        Kind::Due => Some(("nothing of it is due", row.due_at() > now || row.has_work())),
        Kind::Event => {
            let listens = |entry: &Entry| stage.definition().node(entry.node).is_some_and(|node| node.verb.listens().is_some());
            Some(("nobody waits for it, and nobody will", !runs || row.is_below() || row.entries.iter().any(listens)))
        }
        Kind::ClaimGranted | Kind::ClaimDenied | Kind::ClaimUnreadable | Kind::ClaimEvent => {
            let claim = row.claims().iter().find(|claim| Some(claim.place) == stage.place);
            Some(("it claims no value, or has it", claim.is_none_or(|claim| claim.granted)))
        }
        Kind::Unpark => Some(("it is not parked", waits != Some(Waits::Parked))),
        Kind::Work => Some(("it has nothing to do by itself", !row.has_work())),
        Kind::Gathered => Some(("not all of its rows have ended well", child_work(stage) != Some(ChildWork::Gather))),
        Kind::NewsPassed => Some(("the saga is behind its pivot, or undoes", row.passed || !runs)),
        Kind::Recall => Some(("it undoes already, or has", !matches!(row.status, Status::Completed))),
        Kind::Stop => Some(("it is behind its pivot, undoes, or knows", row.passed || !runs || row.remembered_stop().is_some())),
        Kind::LookAbove => {
            let is_paused = stage.above().iter().any(|above| above.saga.paused().is_some());
            Some(("it is paused as what is above it is, or goes forward no more", !runs || row.paused().is_some() == is_paused))
        }
        Kind::Start
        | Kind::Early
        | Kind::Begin
        | Kind::Done
        | Kind::Refused
        | Kind::Failed
        | Kind::Undone
        | Kind::UndoRefused
        | Kind::UndoFailed
        | Kind::Cancel
        | Kind::ActCancel
        | Kind::ActPause
        | Kind::ActResume
        | Kind::ActApprove
        | Kind::ActRefuse
        | Kind::ActRetry
        | Kind::ActSkip
        | Kind::ActResolve
        | Kind::NewsDone
        | Kind::NewsUndone
        | Kind::NewsHeld
        | Kind::NewsLooked
        | Kind::NewsLingers
        | Kind::NewsGone
        | Kind::Sweep
        | Kind::TooBig => None,
    }
}
