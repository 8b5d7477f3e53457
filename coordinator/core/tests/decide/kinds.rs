//! The kinds of inputs that the core takes.

use ringmaster_core::saga::{Act, ClaimNews, Input, Novelty, Outcome};
use ringmaster_schemas::names::Direction;

/// Declares the kinds of inputs, so that each is in the table.
macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident),* $(,)?) => {
        /// A kind of input.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[$meta])* $kind),* }

        impl Kind {
            pub(crate) const ALL: &'static [Kind] = &[$(Kind::$kind),*];
        }
    };
}

kinds! {
    Start, Early, Begin, Done, Refused, Failed, Undone, UndoRefused, UndoFailed, Due, Event, ClaimGranted, ClaimDenied,
    ClaimUnreadable, ClaimEvent, Unpark, Cancel, ActCancel, ActPause, ActResume, ActApprove, ActRefuse, ActRetry, ActSkip, ActResolve,
    Work, NewsDone, NewsUndone, NewsPassed, NewsHeld, NewsLooked, NewsLingers, NewsGone, Gathered, Recall, Stop, Sweep, LookAbove, TooBig,
}

/// Which kind an input is of: a new one has none, and does not compile without.
pub(crate) fn kind_of(input: &Input) -> Kind {
    match input {
        Input::Start(_) => Kind::Start,
        Input::Early(_) => Kind::Early,
        Input::Begin(_) => Kind::Begin,
        Input::Reply(reply) => match (reply.direction, &reply.outcome) {
            (Direction::Do, Outcome::Succeeded { .. }) => Kind::Done,
            (Direction::Do, Outcome::Refused { .. }) => Kind::Refused,
            (Direction::Do, Outcome::Failed { .. }) => Kind::Failed,
            (Direction::Undo, Outcome::Succeeded { .. }) => Kind::Undone,
            (Direction::Undo, Outcome::Refused { .. }) => Kind::UndoRefused,
            (Direction::Undo, Outcome::Failed { .. }) => Kind::UndoFailed,
        },
        Input::Due => Kind::Due,
        Input::Event(_) => Kind::Event,
        Input::Claim(claim) => match claim.news {
            ClaimNews::Granted => Kind::ClaimGranted,
            ClaimNews::Denied => Kind::ClaimDenied,
            ClaimNews::Unreadable { .. } => Kind::ClaimUnreadable,
            ClaimNews::Event { .. } => Kind::ClaimEvent,
        },
        Input::Unpark(_) => Kind::Unpark,
        Input::Cancel { .. } => Kind::Cancel,
        Input::Act(act) => match act.act {
            Act::Cancel => Kind::ActCancel,
            Act::Pause => Kind::ActPause,
            Act::Resume => Kind::ActResume,
            Act::Approve => Kind::ActApprove,
            Act::Refuse => Kind::ActRefuse,
            Act::Retry => Kind::ActRetry,
            Act::Skip { .. } => Kind::ActSkip,
            Act::Resolve(_) => Kind::ActResolve,
        },
        Input::Work => Kind::Work,
        Input::News(news) => match news.what {
            Novelty::Done => Kind::NewsDone,
            Novelty::Undone { .. } => Kind::NewsUndone,
            Novelty::Passed => Kind::NewsPassed,
            Novelty::Held(_) => Kind::NewsHeld,
            Novelty::Looked { .. } => Kind::NewsLooked,
            Novelty::Lingers => Kind::NewsLingers,
            Novelty::Gone => Kind::NewsGone,
        },
        Input::Gathered(..) => Kind::Gathered,
        Input::Recall(_) => Kind::Recall,
        Input::Stop(_) => Kind::Stop,
        Input::Sweep => Kind::Sweep,
        Input::LookAbove => Kind::LookAbove,
        Input::TooBig { .. } => Kind::TooBig,
    }
}
