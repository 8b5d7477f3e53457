//! The keys of the language: which map has which, what stands below each, and what it says.
//!
//! The reader, the JSON Schema for editors and the reference in docs/SAGAS.md are made of these tables.

mod for_each;
mod run;
mod waits;

use super::form::ROUNDS_MAX;
pub use for_each::FOR_EACH;
pub use run::RUN;
pub use waits::{ANSWER, APPROVAL, CANCEL, ESCALATION, ROLE, SLEEP, WAIT};

/// A map of the language.
#[derive(Debug)]
pub struct Shape {
    /// Short, and its own: `step`, `retry`.
    pub name: &'static str,
    /// As messages call it: `a step`.
    pub what: &'static str,
    /// What it may have, in the order in which it is told.
    pub keys: &'static [Key],
}

/// A key of a map.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What stands below it.
    pub holds: Holds,
    /// The map is wrong without it.
    pub needed: bool,
    /// What it says, in one sentence.
    pub says: &'static str,
}

/// What may stand in a place.
#[derive(Debug, Clone, Copy)]
pub enum Holds {
    /// A name that the definition gives: small letters, digits and `_`.
    Name,
    /// A saga's name, which may have hyphens.
    SagaName,
    /// The type of an event: the name of its record.
    Type,
    /// A topic.
    Topic,
    /// `participant.Command`.
    Command,
    /// A code: capital letters, digits and `_`.
    Code,
    /// A role: letters, digits, `.`, `_` and `-`.
    Role,
    /// This word.
    Word(&'static str),
    /// A sentence for people.
    Text,
    /// True or false.
    Flag,
    /// A whole number from 1 to this.
    Count(u32),
    /// A number from 1 to this.
    Factor(u32),
    /// For example `10s`.
    Duration,
    /// A duration, or an expression that gives one or an instant.
    Time,
    /// An expression.
    Expression,
    /// An expression that may be null.
    Value,
    /// Fields, each an expression or fields again; or one expression.
    Body,
    /// A list of steps.
    Steps,
    /// A list of steps, or an empty one.
    PerhapsSteps,
    /// A list of at least so many.
    List(&'static Holds, usize),
    /// A map of at least so many names of the definition's own.
    Named(&'static Holds, usize),
    /// The same by names that no expression reads: any will do.
    Branches(&'static Holds, usize),
    /// A map of codes, and `else`.
    ByCode(&'static Holds),
    /// Fields, each with its type, or with fields again.
    Fields,
    /// A map of the language.
    Map(&'static Shape),
    /// One of these.
    Either(&'static [Holds]),
}

impl Shape {
    /// The names of its keys.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

const fn may(name: &'static str, holds: Holds, says: &'static str) -> Key {
    Key { name, holds, needed: false, says }
}

const fn must(name: &'static str, holds: Holds, says: &'static str) -> Key {
    Key { name, holds, needed: true, says }
}

const DESCRIPTION: Key = may("description", Holds::Text, "For people; it changes nothing.");
const STEP: Key = must("step", Holds::Name, "Its name, unique in the definition: expressions read its result as steps.NAME.");
const IF: Key = may("if", Holds::Expression, "Only if this is true; else the step is skipped, with all that is in it.");
const EVENT: Key = must("emit", Holds::Type, "The type of the event that is told to others; a fact is never undone.");
const EVENT_TO: Key = must("to", Holds::Topic, "The topic that the event goes to.");
const EVENT_KEY: Key = may("key", Holds::Expression, "The key of the event's record; without it the saga's.");
const EVENT_WITH: Key = may("with", Holds::Body, "The event's body.");

const AS: Key = may("as", Holds::Name, "In a reaction: its result is read under this step's name.");

/// A definition.
pub static SAGA: Shape = Shape {
    name: "saga",
    what: "a definition",
    keys: &[
        must("saga", Holds::SagaName, "The saga's name; its id is the name, a slash and its key."),
        DESCRIPTION,
        may("start", STARTS, "The event that starts a saga, or a list of them."),
        may(
            "input",
            INPUT,
            "In place of start, what a saga begins with that others run, or people start: fields and types, or a record.",
        ),
        may("cancel", Holds::Map(&CANCEL), "The event that cancels a saga."),
        may("deadline", Holds::Duration, "The whole saga's time; over before the pivot, what was done is undone."),
        may("priority", Holds::Expression, "From 0 to 9, 5 without it: of what is parked the larger goes first."),
        may("search", SEARCHES, "What a saga is found by, computed once, when it starts; what is absent is not there."),
        may("retain", Holds::Duration, "How long a finished saga is kept, and its repeated start recognised."),
        may("rules", Holds::Named(&RULE, 0), "Named expressions, read as rules.NAME; a table takes its first row that is true."),
        must("steps", Holds::Steps, "What is done, in order."),
        may("result", Holds::Body, "What the saga that runs this one reads of it."),
        may("on_completed", EMISSIONS, "What is told when all steps are done."),
        may("on_compensated", EMISSIONS, "What is told when what was done is undone; failure says why."),
        may("on_stuck", EMISSIONS, "What is told each time that something begins to need a person; failure says what, and why."),
    ],
};

const SEARCHES: Holds = Holds::Named(&Holds::Either(&[Holds::Expression, Holds::Map(&SEARCH)]), 1);

/// An entry of `search`, in full.
pub static SEARCH: Shape = Shape {
    name: "search",
    what: "a value to search by",
    keys: &[
        must("value", Holds::Expression, "The value: a string, an int, a bool or a decimal."),
        may(
            "unique",
            Holds::Flag,
            "Only one saga that has not ended has a value; a second is refused with VALUE_TAKEN before anything of it begins.",
        ),
    ],
};

const INPUT: Holds = Holds::Either(&[Holds::Type, Holds::Fields]);

/// `start`.
pub static START: Shape = Shape {
    name: "start",
    what: "start",
    keys: &[
        must("on", Holds::Type, "The type of the event that starts a saga."),
        must("from", Holds::Topic, "The topic that the event comes on."),
        may("key", Holds::Expression, "The saga's key, of event; without it the record's key."),
        may("if", Holds::Expression, "Only events for which this is true start a saga."),
    ],
};

const STARTS: Holds = Holds::Either(&[Holds::Map(&START), Holds::List(&Holds::Map(&START), 1)]);
const RULE: Holds = Holds::Either(&[Holds::Expression, Holds::List(&Holds::Either(&[Holds::Map(&ROW), Holds::Map(&LAST_ROW)]), 1)]);

/// A row of a rule's table.
pub static ROW: Shape = Shape {
    name: "row",
    what: "a row",
    keys: &[
        must("if", Holds::Expression, "The row's condition."),
        must("then", Holds::Value, "The rule's value where this is the first row that is true."),
    ],
};

/// The last row of a rule's table.
pub static LAST_ROW: Shape =
    Shape { name: "last-row", what: "the last row", keys: &[must("else", Holds::Value, "The rule's value where no row is true.")] };

const WITHIN: Key = may("within", Holds::Duration, "The whole step's time, retries and all that is in it included.");
const REACTIONS: Holds = Holds::Either(&[ONE_REACTION, Holds::ByCode(&ONE_REACTION)]);
const ONE_REACTION: Holds =
    Holds::Either(&[Holds::Word("undo"), Holds::Word("go_on"), Holds::Word("stuck"), Holds::Map(&REACTION)]);
const ON_REFUSED: Key = may("on_refused", REACTIONS, "What follows when it was refused, for everything or by code.");
const ON_FAILED: Key = may("on_failed", REACTIONS, "What follows when it failed, for everything or by code.");

/// A reaction with steps.
pub static REACTION: Shape = Shape {
    name: "reaction",
    what: "a reaction",
    keys: &[
        must("steps", Holds::Steps, "What is done then."),
        must(
            "next",
            Holds::Either(&[Holds::Word("go_on"), Holds::Word("retry"), Holds::Word("undo")]),
            "What follows on that: on behind the step, the step once more under a new key, or undo.",
        ),
        may("at_most", Holds::Count(ROUNDS_MAX as u32 - 1), "So many more times; only with retry, and needed there."),
    ],
};

const EMISSIONS: Holds = Holds::Either(&[Holds::Map(&EMISSION), Holds::List(&Holds::Map(&EMISSION), 0)]);

/// An event at an end.
pub static EMISSION: Shape = Shape { name: "emission", what: "an emission", keys: &[EVENT, EVENT_TO, EVENT_KEY, EVENT_WITH] };

/// Every map of the language that is no step, in the order in which it is told.
pub static MAPS: [&Shape; 15] = [
    &SAGA,
    &START,
    &CANCEL,
    &SEARCH,
    &ROW,
    &LAST_ROW,
    &EMISSION,
    &UNDO,
    &RETRY,
    &REACTION,
    &ARM,
    &LAST_ARM,
    &ROLE,
    &ESCALATION,
    &ANSWER,
];

/// The verbs, each with what a step of it may have.
pub static VERBS: [(&str, &Shape); 11] = [
    ("do", &DO),
    ("emit", &EMIT),
    ("wait", &WAIT),
    ("sleep", &SLEEP),
    ("approval", &APPROVAL),
    ("refuse", &REFUSE),
    ("steps", &GROUP),
    ("switch", &SWITCH),
    ("parallel", &PARALLEL),
    ("for_each", &FOR_EACH),
    ("run", &RUN),
];

/// Verbs beside which this one is none, but a part of theirs: the steps of a for_each.
pub fn verbs_with(verb: &str) -> impl Iterator<Item = &'static str> {
    let others = VERBS.iter().filter(move |(other, shape)| *other != verb && shape.names().any(|key| key == verb));
    others.map(|(other, _)| *other)
}

/// A step that asks a participant.
pub static DO: Shape = Shape {
    name: "do",
    what: "a step",
    keys: &[
        STEP,
        must("do", Holds::Command, "The command, and the participant that is asked: participant.Command."),
        IF,
        may("with", Holds::Body, "The command's body."),
        may(
            "undo",
            Holds::Either(&[Holds::Word("nothing"), Holds::Command, Holds::Map(&UNDO)]),
            "The command that undoes it, or nothing; every step before the pivot says it.",
        ),
        may("timeout", Holds::Duration, "How long one attempt's answer is awaited."),
        WITHIN,
        may("retry", Holds::Map(&RETRY), "How it is tried again when it failed or nobody answered."),
        may("pivot", Holds::Flag, "The last step that may refuse: once it has succeeded, nothing is undone."),
        ON_REFUSED,
        ON_FAILED,
        AS,
        DESCRIPTION,
    ],
};

/// `undo`, in full.
pub static UNDO: Shape = Shape {
    name: "undo",
    what: "undo",
    keys: &[
        must("do", Holds::Command, "The command that undoes the step."),
        may("with", Holds::Body, "Its body; without it the body of the step's own command."),
    ],
};

/// `retry`.
pub static RETRY: Shape = Shape {
    name: "retry",
    what: "retry",
    keys: &[
        may("attempts", Holds::Count(u16::MAX as u32), "At most so many attempts; without it as many as within allows."),
        may("first", Holds::Duration, "The wait before the second attempt."),
        may("factor", Holds::Factor(100), "Each further wait is so many times longer."),
        may("max", Holds::Duration, "The longest wait."),
        may("not_on", Holds::List(&Holds::Code, 0), "Codes of failures that are not tried again."),
    ],
};

/// A step that emits.
pub static EMIT: Shape =
    Shape { name: "emit", what: "a step that emits", keys: &[STEP, EVENT, EVENT_TO, EVENT_KEY, EVENT_WITH, IF, DESCRIPTION] };

/// A step that refuses.
pub static REFUSE: Shape = Shape {
    name: "refuse",
    what: "a step that refuses",
    keys: &[
        STEP,
        must("refuse", Holds::Code, "The definition's own no, with this code: what was done before is undone."),
        IF,
        DESCRIPTION,
    ],
};

/// A group.
pub static GROUP: Shape = Shape {
    name: "steps",
    what: "a group",
    keys: &[
        STEP,
        must("steps", Holds::Steps, "Several steps, in order, under one condition."),
        IF,
        WITHIN,
        ON_REFUSED,
        ON_FAILED,
        DESCRIPTION,
    ],
};

/// A switch.
pub static SWITCH: Shape = Shape {
    name: "switch",
    what: "a switch",
    keys: &[
        STEP,
        must(
            "switch",
            Holds::List(&Holds::Either(&[Holds::Map(&ARM), Holds::Map(&LAST_ARM)]), 2),
            "The first arm whose condition is true is taken; the last one is else.",
        ),
        IF,
        WITHIN,
        ON_REFUSED,
        ON_FAILED,
        DESCRIPTION,
    ],
};

/// Branches side by side.
pub static PARALLEL: Shape = Shape {
    name: "parallel",
    what: "a parallel",
    keys: &[
        STEP,
        must(
            "parallel",
            Holds::Branches(&Holds::Steps, 2),
            "Branches that run side by side, each a list of steps, by their names.",
        ),
        IF,
        WITHIN,
        ON_REFUSED,
        ON_FAILED,
        DESCRIPTION,
    ],
};

/// An arm of a switch.
pub static ARM: Shape = Shape {
    name: "arm",
    what: "an arm",
    keys: &[
        must("if", Holds::Expression, "The arm's condition."),
        must("steps", Holds::Steps, "What is done where this is the first arm whose condition is true."),
    ],
};

/// The last arm of a switch.
pub static LAST_ARM: Shape = Shape {
    name: "last-arm",
    what: "the last arm",
    keys: &[must("else", Holds::PerhapsSteps, "What is done where no arm's condition is true; [] for nothing.")],
};
