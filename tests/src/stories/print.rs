//! What happened, for people: events in words, what is sent as JSON.

use ringmaster_core::saga::Effect;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{CommandIssued, SagaEvent};
use ringmaster_schemas::names;
use ringmaster_schemas::state::{Saga, Step};
use ringmaster_schemas::wire::{self, Body, Framing};
use ringmaster_schemas::{avro::Schema, json};

use super::stage::Stage;

/// A run of one letter longer than this is shown as its length.
const RUN_MAX: usize = 100;

/// A long silence is told by how it begins and ends.
pub(super) fn middle_left_out(mut lines: Vec<String>) -> Vec<String> {
    const FIRST: usize = 12;
    const LAST: usize = 12;
    if lines.len() > FIRST + LAST + 1 {
        let left_out = lines.len() - FIRST - LAST;
        lines.splice(FIRST..lines.len() - LAST, [format!("... {left_out} lines more of this kind ...")]);
    }
    lines
}

/// A time since the story's begin: `+2m10.25s`.
pub(super) fn time(ms: Millis) -> String {
    format!("+{}", duration(ms))
}

fn duration(ms: Millis) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    let mut rest = ms;
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)] {
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if rest > 0 {
        out.push_str(&format!("{}s", rest as f64 / 1000.0));
    }
    out
}

/// An event in words.
pub(super) fn event(stage: &Stage, event: &SagaEvent) -> Vec<String> {
    let at = |ms: Millis| time(ms - stage.begin);
    let name = |step: i32| stage.definition().steps.get(step as usize).map_or("the end", |step| &*step.name);
    let undo = |undo: bool| if undo { "the undo of " } else { "" };
    let line = match event {
        SagaEvent::Started(started) => {
            let kept = shown(&stage.definition().start.kept, &started.start);
            let deadline = if started.deadline_at == Millis::MAX {
                "no deadline".to_owned()
            } else {
                format!("deadline {}", at(started.deadline_at))
            };
            format!("started {}, {deadline}, keeps {kept}", names::saga_id(&started.definition, &started.key))
        }
        SagaEvent::StepSkipped(skipped) => format!("{} is skipped", skipped.name),
        SagaEvent::CommandIssued(issued) => asked(stage, issued),
        SagaEvent::RetryScheduled(retry) => {
            let what = format!("{}{}", undo(retry.undo), name(retry.step));
            format!("{what}: {}; is asked again at {}", said(&retry.code, &retry.message), at(retry.due_at))
        }
        SagaEvent::StepSucceeded(done) => {
            let kept = stage.definition().steps[done.step as usize].kept.as_ref();
            let result = kept.zip(done.result.as_ref()).map(|(kept, bytes)| format!(", kept {}", shown(kept, bytes)));
            format!("{} has succeeded{}", name(done.step), result.unwrap_or_default())
        }
        SagaEvent::StepRefused(ended) => format!("{} is refused: {}", name(ended.step), said(&ended.code, &ended.message)),
        SagaEvent::StepFailed(ended) => format!("{} is given up: {}", name(ended.step), said(&ended.code, &ended.message)),
        SagaEvent::CompensationBegan(failure) => {
            let step = if failure.step.is_empty() { String::new() } else { format!(" at {}", failure.step) };
            format!("undoing begins: {} ({}{step})", said(&failure.code, &failure.message), failure.kind)
        }
        SagaEvent::StepUndone(undone) => format!("{} is undone", name(undone.step)),
        SagaEvent::StepStuck(stuck) => {
            format!("{}{} is stuck: {}", undo(stuck.undo), stuck.name, said(&stuck.code, &stuck.message))
        }
        SagaEvent::MarkedLate(late) => format!("it is late: its deadline was {}", at(late.due_at)),
        SagaEvent::ContradictionFound(found) => format!("{} was done after all", name(found.step)),
        SagaEvent::Completed(ended) => format!("completed; forgotten {}", at(ended.expires_at)),
        SagaEvent::Compensated(ended) => format!("compensated; forgotten {}", at(ended.expires_at)),
    };
    vec![line]
}

fn asked(stage: &Stage, issued: &CommandIssued) -> String {
    let name = &stage.definition().steps[issued.step as usize].name;
    let what = if issued.undo { format!("the undo of {name}") } else { name.to_string() };
    let until = issued.order.as_ref().map(|order| format!(", all attempts until {}", time(order.until - stage.begin)));
    let due = time(issued.due_at - stage.begin);
    format!("{what} is asked, attempt {}: answer until {due}{}", issued.attempt, until.unwrap_or_default())
}

/// A code, and what it says to people.
fn said(code: &str, message: &str) -> String {
    if message.is_empty() { code.to_owned() } else { format!("{code} \"{message}\"") }
}

/// What is sent, as a participant or reader would see it.
pub(super) fn effect(stage: &Stage, effect: &Effect) -> String {
    let key = String::from_utf8_lossy(&effect.key);
    if let Ok(command) = wire::decode_command(&effect.value, stage.schemas()) {
        let meta = command.meta;
        let body = match command.body {
            Body::Json(text) => text.to_owned(),
            Body::Avro { schema, node, bytes } => {
                let mut out = String::new();
                json::render(schema, node, bytes, &mut out).expect("a decoded body is valid");
                out
            }
        };
        let undoes = meta.undoes.map(|undoes| format!(", undoes {undoes}")).unwrap_or_default();
        let first = time(meta.first_time - stage.begin);
        return shorten(&format!(
            "-> {} [{key}] {} {}/{}{undoes}, first {first} {body}",
            effect.topic, meta.command, meta.idempotency_key, meta.attempt
        ));
    }
    let header = |name: &str| effect.headers.iter().find(|header| &*header.name == name).map_or("", |header| &*header.value);
    let body = match wire::recognise(&effect.value) {
        Framing::SingleObject { fingerprint, body } => {
            let schema = stage.schemas().by_fingerprint(fingerprint).expect("an emitted event's schema is known");
            shown(schema, body)
        }
        _ => String::from_utf8_lossy(&effect.value).into_owned(),
    };
    shorten(&format!("-> {} [{key}] {} {} {body}", effect.topic, header(names::HEADER_TYPE), header(names::HEADER_ID)))
}

/// What is true at the end.
pub(super) fn state(stage: &Stage, saga: &Saga) -> Vec<String> {
    let mut lines = Vec::new();
    let due = match saga.due_at() {
        Millis::MAX => "nothing is due".to_owned(),
        due => format!("due {}", time(due - stage.begin)),
    };
    let late = if saga.late { ", late" } else { "" };
    lines.push(format!("{}{late}, {due}, {} bytes", saga.status, saga.encode().len()));
    if let Some(failure) = &saga.failure {
        lines.push(format!("because: {} ({}) {}", failure.code, failure.kind, failure.step).trim().to_owned());
    }
    if let Some(stuck) = &saga.stuck_at_end {
        lines.push(format!("stuck at {}: {}", stuck.step, said(&stuck.code, &stuck.message)));
    }
    lines.extend(saga.steps.iter().map(step));
    lines
}

fn step(step: &Step) -> String {
    let undo = step.undo.as_ref().map(|undo| format!(", {} of its undo", attempts(undo.attempt))).unwrap_or_default();
    let because = if step.code.is_empty() { String::new() } else { format!("; {}", said(&step.code, &step.message)) };
    format!("{}: {}, {}{undo}{because}", step.name, step.state, attempts(step.call.attempt))
}

fn attempts(count: i32) -> String {
    if count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
}

fn shown(schema: &Schema, bytes: &[u8]) -> String {
    let mut out = String::new();
    json::render(schema, schema.root(), bytes, &mut out).expect("kept bytes are valid");
    shorten(&out)
}

/// Long runs of one letter as their length, the way stories write them.
fn shorten(text: &str) -> String {
    let mut out = String::new();
    let mut run = 0;
    for letter in text.chars().chain(['\0']) {
        if letter == 'x' {
            run += 1;
            continue;
        }
        if run > RUN_MAX {
            out.push_str(&format!("<{run} bytes>"));
        } else {
            out.extend(std::iter::repeat_n('x', run));
        }
        run = 0;
        if letter != '\0' {
            out.push(letter);
        }
    }
    out
}
