//! Steps that wait by themselves: for an event, for a time, for people.

use super::{AS, DESCRIPTION, Holds, IF, ON_REFUSED, STEP, Shape, may, must};

/// A step that waits for an event.
pub static WAIT: Shape = Shape {
    name: "wait",
    what: "a wait",
    keys: &[
        STEP,
        must("wait", Holds::Type, "The type of the event that is waited for; its result is the event's body."),
        may("from", Holds::Topic, "The topic that the event comes on; without it the start's."),
        may("key", Holds::Expression, "The key of the saga that it is for, of event; without it the record's key."),
        may(
            "match",
            Holds::Expression,
            "FIELD == EXPRESSION, instead of a key: the event's field, and the saga's value, claimed when it begins to wait.",
        ),
        may("if", Holds::Expression, "Only an event for which this is true."),
        may("within", Holds::Duration, "How long it waits; then it is refused with EXPIRED."),
        may("keep", Holds::Duration, "How long an event that comes before it is waited for is kept."),
        ON_REFUSED,
        AS,
        DESCRIPTION,
    ],
};

/// `cancel`.
pub static CANCEL: Shape = Shape {
    name: "cancel",
    what: "cancel",
    keys: &[
        must("on", Holds::Type, "The type of the event that cancels a saga, where it can still go back."),
        may("from", Holds::Topic, "The topic that the event comes on; without it the start's."),
        may("key", Holds::Expression, "The key of the saga that it is for, of event; without it the record's key."),
    ],
};

/// A step that sleeps.
pub static SLEEP: Shape = Shape {
    name: "sleep",
    what: "a sleep",
    keys: &[
        STEP,
        must("sleep", Holds::Time, "How long nothing happens, or until when."),
        IF,
        may("within", Holds::Duration, "If the sleep is longer than this, it is refused then with EXPIRED."),
        ON_REFUSED,
        DESCRIPTION,
    ],
};

/// A step that asks people.
pub static APPROVAL: Shape = Shape {
    name: "approval",
    what: "an approval",
    keys: &[
        STEP,
        must(
            "approval",
            Holds::Either(&[Holds::Role, Holds::Map(&ROLE)]),
            "Whose approval is asked for: a role. Its result: { approved, by, at, note }; a no refuses it with REFUSED.",
        ),
        IF,
        may("within", Holds::Duration, "How long it waits; then it is refused with EXPIRED."),
        may(
            "show",
            Holds::Body,
            "What those who answer are shown; *** for what a schema calls secret, is made of that, or holds it.",
        ),
        may("answer", Holds::Map(&ANSWER), "An event that answers too; the first answer is it."),
        may("escalate", Holds::List(&Holds::Map(&ESCALATION), 1), "Who may answer too, when nobody did for a time."),
        ON_REFUSED,
        AS,
        DESCRIPTION,
    ],
};

/// Whose approval is asked for, where that is computed.
pub static ROLE: Shape =
    Shape { name: "role", what: "a role", keys: &[must("role", Holds::Expression, "The role, computed when it is asked.")] };

/// An event that answers to an approval.
pub static ANSWER: Shape = Shape {
    name: "answer",
    what: "an answer",
    keys: &[
        must("on", Holds::Type, "The type of the event that answers."),
        may("from", Holds::Topic, "The topic that the event comes on; without it the start's."),
        may("key", Holds::Expression, "The key of the saga that it is for, of event; without it the record's key."),
        may(
            "match",
            Holds::Expression,
            "FIELD == EXPRESSION, instead of a key: the event's field, and the saga's value, claimed when it is asked.",
        ),
        may("if", Holds::Expression, "Only an event for which this is true."),
        must("approved", Holds::Expression, "Whether the event says yes; else it says no."),
        may("keep", Holds::Duration, "How long an event that comes before it is asked for is kept."),
    ],
};

/// An escalation.
pub static ESCALATION: Shape = Shape {
    name: "escalation",
    what: "an escalation",
    keys: &[
        must("after", Holds::Duration, "How long after it was asked."),
        must("to", Holds::Role, "The role that may answer then, beside those before."),
    ],
};
