//! What a definition listens to beside its start: the events that its waits wait for, those that answer to approvals, and the one that cancels it. All that waits for
//! one type on one topic is one listener, so that an event is projected once, and has one key.

use ringmaster_schemas::Millis;

use super::fields::Word;
use super::form::{ApprovalForm, ListenForm, MatchForm, SagaForm};
use super::report::Report;
use super::tree::{PlannedVerb, Tree};
use crate::definition::defaults::DEFAULTS;
use crate::definition::expression::Parsed;

/// What is listened to.
pub(super) struct Listening<'f> {
    pub(super) event: &'f Word,
    pub(super) topic: &'f Word,
    /// None: the record's.
    pub(super) key: Option<&'f Parsed>,
    /// By a value instead of a key: the first match of those that it is for.
    pub(super) matches: Option<&'f MatchForm>,
    /// How long one that comes early is kept.
    pub(super) keep_ms: Millis,
    /// It cancels.
    pub(super) cancels: bool,
    /// The waits for it.
    pub(super) waits: Vec<u16>,
    /// The approvals that it answers to.
    pub(super) answers: Vec<u16>,
}

/// All that a definition listens to, in the order of the file; what contradicts itself is reported.
pub(super) fn listeners<'f>(form: &'f SagaForm, tree: &Tree<'f>, report: &mut Report<'_>) -> Vec<Listening<'f>> {
    let mut all: Vec<Listening<'f>> = Vec::new();
    if let Some(cancel) = &form.cancel {
        all.push(Listening { cancels: true, keep_ms: DEFAULTS.keep_ms, ..of(form, cancel, report) });
    }
    let listen = tree.nodes.iter().zip(0..).filter_map(|(planned, number)| match planned.verb {
        PlannedVerb::Wait(wait) => Some((&wait.listens, &wait.keep, vec![number], Vec::new())),
        PlannedVerb::Approval(ApprovalForm { answer: Some(answer), .. }) => {
            Some((&answer.listens, &answer.keep, Vec::new(), vec![number]))
        }
        _ => None,
    });
    for (listens, keep, waits, answers) in listen {
        let keep_ms = keep.as_ref().map_or(DEFAULTS.keep_ms, |(millis, _)| *millis);
        let one = Listening { keep_ms, waits, answers, ..of(form, listens, report) };
        // What cannot be read, which is told, is like nothing else.
        let is_read = !one.event.text.is_empty() && !one.topic.text.is_empty();
        let is_same = |known: &&mut Listening<'_>| known.event.text == one.event.text && known.topic.text == one.topic.text;
        let known = all.iter_mut().find(|known| is_read && is_same(known));
        let Some(known) = known else {
            all.push(one);
            continue;
        };
        if known.cancels {
            let hint = "an event that cancels the saga is never waited for, and answers to nothing";
            report.error(&one.event.span, format!("{} cancels the saga", one.event.text), hint);
        } else if known.is_unclear() || one.is_unclear() {
            // Whether they differ nobody knows.
        } else if known.field() != one.field() {
            let hint = format!("on line {} it is {}", report.line(known.event.span.start), known.said());
            let span = one.matches.map_or(&one.event.span, |matches| &matches.span);
            report.error(span, format!("events of one type are known by one thing, and this is {}", one.said()), hint);
        } else if key_of(known.key) != key_of(one.key) {
            let hint = format!("on line {} it is {}", report.line(known.event.span.start), known.said());
            let span = one.key.map_or(&one.event.span, |key| &key.span);
            report.error(span, format!("events of one type have one key, and this is {}", one.said()), hint);
        }
        known.keep_ms = known.keep_ms.max(keep_ms);
        known.waits.extend(one.waits);
        known.answers.extend(one.answers);
    }
    let starts = |one: &&Listening<'_>| {
        form.starts.iter().any(|start| (&one.event.text, &one.topic.text) == (&start.event.text, &start.topic.text))
    };
    for one in all.iter().filter(starts) {
        let hint = "it cannot be told whether it starts a saga, or is for one that lives: let it be another type, or another topic";
        report.error(&one.event.span, format!("{} on {} starts the saga", one.event.text, one.topic.text), hint);
    }
    all
}

/// It is wrong where it does not say its topic, and the starts have no single one.
fn of<'f>(form: &'f SagaForm, listens: &'f ListenForm, report: &mut Report<'_>) -> Listening<'f> {
    let topic = listens.topic.as_ref().or_else(|| form.topic()).unwrap_or_else(|| {
        let message = format!("it is not clear which topic {} comes on", listens.event.text);
        report.error(&listens.event.span, message, "say from: TOPIC; only where all starts have one topic, it is that one");
        form.unknown_topic()
    });
    Listening {
        event: &listens.event,
        topic,
        key: listens.key.as_ref(),
        matches: listens.matches.as_deref(),
        keep_ms: 0,
        cancels: false,
        waits: Vec::new(),
        answers: Vec::new(),
    }
}

fn key_of(key: Option<&Parsed>) -> Option<String> {
    key.map(|key| key.text().split_whitespace().collect())
}

impl Listening<'_> {
    /// By what it is known cannot be read.
    fn is_unclear(&self) -> bool {
        self.field().is_some_and(str::is_empty) || self.key.is_some_and(Parsed::is_unreadable)
    }

    fn field(&self) -> Option<&str> {
        self.matches.map(|matches| matches.field.as_str())
    }

    fn said(&self) -> String {
        match (self.field(), self.key) {
            (Some(field), _) => format!("its {field}, by match"),
            (None, Some(key)) => key.text().to_owned(),
            (None, None) => "the record's key".to_owned(),
        }
    }
}
