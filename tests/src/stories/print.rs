//! What happened, for people: events in words, what is sent as JSON.

use ringmaster_core::definition::{Node, ROOT, Verb};
use ringmaster_core::saga::Effect;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, Head, Next, Opens, Order, Place, SagaEvent};
use ringmaster_schemas::names::{self, Direction};
use ringmaster_schemas::state::{Entry, Saga, Waits, Work};
use ringmaster_schemas::wire::{self, Body, Framing};
use ringmaster_schemas::{avro::Schema, json};

use super::items;
use super::stage::Stage;
use super::values;

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
pub(crate) fn time(ms: Millis) -> String {
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

/// What a saga is searched by.
fn found_by(head: &Head) -> String {
    let found: Vec<String> = head.search().keys().map(|key| format!("{}={}", key.name, key.value)).collect();
    if found.is_empty() { String::new() } else { format!(", found by {}", found.join(", ")) }
}

/// An event in words. `behind` is the state that it left.
pub(super) fn event(stage: &Stage, behind: &Saga, event: &SagaEvent) -> String {
    let at = |ms: Millis| time(ms - stage.begin);
    let node = |node: u16| match stage.definition().node(node) {
        Some(node) if !node.name.is_empty() => &*node.name,
        _ => "the end",
    };
    let name = |place: Place| match behind.entry(place) {
        None => "nothing".to_owned(),
        Some(Entry { node: number, round: 1, .. }) => node(*number).to_owned(),
        Some(entry) => format!("{}~{}", node(entry.node), entry.round),
    };
    use SagaEvent::{EventPassed, ValueClaimed, ValueDenied, ValueFreed, ValueGiven, ValueGranted, ValueReleased};
    match event {
        SagaEvent::Started { head, deadline_at } => {
            let deadline = deadline_at.map_or_else(|| "no deadline".to_owned(), |deadline| format!("deadline {}", at(deadline)));
            let keeps = shown(&stage.definition().start_kept, head.start());
            format!("started {}, {deadline}{}, keeps {keeps}", behind.id, found_by(head))
        }
        SagaEvent::Skipped { node: skipped, passes } => format!("{} is skipped{}", node(*skipped), pivot(*passes)),
        SagaEvent::Entered { place, node, opens, .. } => entered(stage, (*place, *node), &name(*place), opens),
        SagaEvent::ScopeStopped { place, failure, .. } => format!("{place}: undoing of {} begins: {}", name(*place), said(failure)),
        SagaEvent::ReactionBegan { place, list } => format!("{place}: {} reacts, by {}", name(*place), node(list + 1)),
        SagaEvent::WentOn { place, passes } => format!("{place}: it goes on without {}{}", name(*place), pivot(*passes)),
        SagaEvent::StopRemembered { failure } => {
            format!("remembered until the pivot is known: {} ({})", said(failure), failure.kind)
        }
        SagaEvent::Acted { act, by, why } => format!("{by} acts, {act}: {why}"),
        SagaEvent::StopForgotten {} => "what was remembered comes too late".into(),
        SagaEvent::Emitted { node: emits, emission } => format!("{} emits {}", node(*emits), emission.kind),
        SagaEvent::CommandIssued { .. }
        | SagaEvent::UndoIssued { .. }
        | SagaEvent::CommandRepeated { .. }
        | SagaEvent::Retried { .. }
        | SagaEvent::RetryScheduled { .. } => attempt(stage, &name, event),
        SagaEvent::Succeeded { place, result, passes } => {
            let kept = behind.entry(*place).and_then(|entry| stage.definition().node(entry.node)?.kept());
            let result = kept.zip(result.as_ref()).map(|(kept, data)| format!(", kept {}", shown(kept, data.bytes())));
            let behind = pivot(*passes);
            format!("{place}: {} has succeeded{behind}{}", name(*place), result.unwrap_or_default())
        }
        SagaEvent::Refused { place, failure } => format!("{place}: {} is refused: {}", name(*place), said(failure)),
        SagaEvent::Failed { place, failure } => format!("{place}: {} is given up: {}", name(*place), said(failure)),
        SagaEvent::CompensationBegan { failure } => undoing(failure),
        SagaEvent::EventTaken { .. }
        | SagaEvent::Answered { .. }
        | SagaEvent::StuckTold { .. }
        | SagaEvent::ContradictionFound { .. }
        | SagaEvent::EventKept { .. }
        | SagaEvent::EventsExpired { .. }
        | SagaEvent::Parked { .. }
        | SagaEvent::Prioritised { .. }
        | SagaEvent::Paused { .. }
        | SagaEvent::Postponed { .. }
        | SagaEvent::Withheld { .. }
        | SagaEvent::Resumed {}
        | SagaEvent::Escalated { .. } => came(stage, &name, behind, event),
        SagaEvent::Item { .. } | SagaEvent::Swept { .. } => items::event(&name, event),
        ValueClaimed { .. } | ValueGranted { .. } | EventPassed { .. } | ValueReleased { .. } => values::claims(&name, event),
        ValueGiven { .. } | ValueDenied { .. } | ValueFreed { .. } => values::said(event),
        SagaEvent::Undone { place } => format!("{place}: {} is undone", name(*place)),
        SagaEvent::Closed { place } => format!("{place}: {} is closed", name(*place)),
        SagaEvent::Stuck { place, failure } => {
            let undoing = behind.entry(*place).is_some_and(|entry| entry.work == Work::UndoAsked);
            format!("{place}: {}{} is stuck: {}", undo(undoing), name(*place), said(failure))
        }
        SagaEvent::MarkedLate { due_at } => format!("it is late: its deadline was {}", at(*due_at)),
        SagaEvent::Completed { expires_at, .. } => format!("completed; forgotten {}", at(*expires_at)),
        SagaEvent::Compensated { expires_at, .. } => format!("compensated; forgotten {}", at(*expires_at)),
    }
}

fn undoing(failure: &Failure) -> String {
    let step = if failure.step.is_empty() { String::new() } else { format!(" at {}", failure.step) };
    format!("undoing begins: {} ({}{step})", said(failure), failure.kind)
}

/// An event of others, an approval that others are asked for, or that it is paused.
fn came(stage: &Stage, name: &dyn Fn(Place) -> String, behind: &Saga, event: &SagaEvent) -> String {
    let at = |ms: Millis| time(ms - stage.begin);
    match event {
        SagaEvent::EventTaken { place, event, passes } => {
            let kept = behind.entry(*place).and_then(|entry| stage.definition().node(entry.node)?.kept());
            let result = behind.entry(*place).and_then(|entry| entry.result.as_ref());
            let result = kept.zip(result).map(|(kept, data)| format!(", kept {}", shown(kept, data.bytes())));
            let early = if event.early { ", which came early" } else { "" };
            let behind = pivot(*passes);
            format!("{place}: {} has its event {}{early}{behind}{}", name(*place), event.source, result.unwrap_or_default())
        }
        SagaEvent::ContradictionFound { place, stray: true } => {
            format!("{place}: {} was done after all; it is undone by itself", name(*place))
        }
        SagaEvent::ContradictionFound { place, .. } => format!("{place}: {} was done after all", name(*place)),
        SagaEvent::Answered { place, answer, passes } => {
            let kept = behind.entry(*place).and_then(|entry| stage.definition().node(entry.node)?.kept());
            let result = kept.zip(answer.result.as_ref()).map(|(kept, data)| format!(", kept {}", shown(kept, data.bytes())));
            let early = if answer.early { ", which came early" } else { "" };
            let says = answer.failure.as_ref().map_or_else(|| "yes".to_owned(), |failure| format!("no: {}", said(failure)));
            let (behind, result) = (pivot(*passes), result.unwrap_or_default());
            format!("{place}: {} is answered by {}{early}: {says}{behind}{result}", name(*place), answer.source)
        }
        SagaEvent::StuckTold { place, emission: Some(emission), .. } => format!("{place}: {} is told", emission.kind),
        SagaEvent::StuckTold { place, failure, .. } => {
            format!("{place}: that is not told: {}", failure.as_ref().map(|failure| said(failure)).unwrap_or_default())
        }
        SagaEvent::EventKept { event } => format!("{} {} is kept until {}", event.kind, event.source, at(event.until)),
        SagaEvent::EventsExpired { count } => format!("{count} that came early are forgotten"),
        SagaEvent::Escalated { place, role, due_at } => {
            format!("{place}: {role} may answer {} too: until {}", name(*place), at(*due_at))
        }
        SagaEvent::Parked { place, direction, participant, failure } => {
            let failure = failure.as_ref().map(|failure| format!(": {}", said(failure))).unwrap_or_default();
            let what = format!("{}{}", undo(*direction == Direction::Undo), name(*place));
            format!("{place}: {what} is parked for {participant}{failure}")
        }
        SagaEvent::Paused { by, why } if by.is_empty() => format!("it is paused with {why}"),
        SagaEvent::Paused { by, why } => format!("{by} pauses it: {why}"),
        SagaEvent::Resumed {} => "it is resumed".to_owned(),
        SagaEvent::Postponed { next } => format!("{} does not begin: it is paused", begins(stage, next)),
        SagaEvent::Withheld { place, failure } => {
            let failure = failure.as_ref().map(|failure| format!(": {}", said(failure))).unwrap_or_default();
            format!("{place}: {} is not asked again: it is paused{failure}", name(*place))
        }
        SagaEvent::Prioritised { priority } => format!("its priority is {priority}"),
        other => unreachable!("{other:?} is about nothing that waits by itself"),
    }
}

/// How an entry begins.
fn entered(stage: &Stage, (place, node): (Place, u16), name: &str, opens: &Opens) -> String {
    match opens {
        Opens::Stuck { failure } => format!("{place}: {} cannot begin: {}", failure.step, said(failure)),
        Opens::Refused { failure } => format!("{place}: {} refuses: {}", failure.step, said(failure)),
        Opens::Sleep { due_at, expires } => {
            let end = if *expires { "its time is over" } else { "it wakes" };
            format!("{place}: {name} sleeps: {end} {}", time(due_at - stage.begin))
        }
        Opens::Wait { until } => {
            let event = match stage.definition().node(node).map(|node| &node.verb) {
                Some(Verb::Wait(wait)) => &*stage.definition().listeners[usize::from(wait.listener)].event,
                _ => "nothing",
            };
            format!("{place}: {name} waits for {event}: until {}", time(until - stage.begin))
        }
        Opens::Approval { asked, due_at } => {
            let shown = asked.show.as_ref().map(|show| format!(", is shown {}", shorten(show))).unwrap_or_default();
            format!("{place}: {name} asks for the approval of {}{shown}: until {}", asked.role, time(due_at - stage.begin))
        }
        Opens::Items { items, until } => {
            let until = until.map(|until| format!(", all of it until {}", time(until - stage.begin))).unwrap_or_default();
            format!("{place}: {name} begins with {} items, at most {} at once{until}", items.count, items.at_once)
        }
        Opens::Gave { result } => format!("{place}: the item gives {} bytes", result.bytes().len()),
        Opens::Parked { participant } => format!("{place}: {name} is parked for {participant}"),
        Opens::Scope { until } => {
            let until = until.map(|until| format!(", all of it until {}", time(until - stage.begin))).unwrap_or_default();
            format!("{place}: {name} begins{until}")
        }
    }
}

/// An event about a command's attempts.
fn attempt(stage: &Stage, name: &dyn Fn(Place) -> String, event: &SagaEvent) -> String {
    let at = |ms: Millis| time(ms - stage.begin);
    match event {
        SagaEvent::CommandIssued { place, order, due_at, .. } => {
            format!("{place}: {} is asked: answer until {}, all attempts until {}", order.step(), at(*due_at), until(stage, order))
        }
        SagaEvent::UndoIssued { place, order, due_at } => {
            let (step, until) = (order.step(), until(stage, order));
            format!("{place}: the undo of {step} is asked: answer until {}, all attempts until {until}", at(*due_at))
        }
        SagaEvent::CommandRepeated { place, direction, attempt, due_at } => {
            let what = format!("{}{}", undo(*direction == Direction::Undo), name(*place));
            format!("{place}: {what} is asked again, attempt {attempt}: answer until {}", at(*due_at))
        }
        SagaEvent::Retried { place, direction, attempt, order, due_at } => {
            let (what, until) = (format!("{}{}", undo(*direction == Direction::Undo), order.step()), until(stage, order));
            format!("{place}: {what} is asked anew, attempt {attempt}: answer until {}, all attempts until {until}", at(*due_at))
        }
        SagaEvent::RetryScheduled { place, direction, due_at, failure } => {
            let what = format!("{}{}", undo(*direction == Direction::Undo), name(*place));
            format!("{place}: {what}: {}; is asked again at {}", said(failure), at(*due_at))
        }
        other => unreachable!("{other:?} is about no attempt"),
    }
}

fn pivot(passes: bool) -> &'static str {
    if passes { ": the pivot is behind" } else { "" }
}

fn undo(is_undo: bool) -> &'static str {
    if is_undo { "the undo of " } else { "" }
}

fn until(stage: &Stage, order: &Order) -> String {
    time(order.fields().until - stage.begin)
}

/// A code, and what it says to people.
pub(super) fn said(failure: &Failure) -> String {
    let Failure { code, message, .. } = failure;
    if message.is_empty() { code.to_string() } else { format!("{code} \"{message}\"") }
}

/// What is sent, as a participant or reader would see it.
pub(super) fn effect(stage: &Stage, effect: &Effect) -> String {
    let key = String::from_utf8_lossy(effect.key());
    if let Ok(command) = wire::decode_command(effect.value(), stage.schemas()) {
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
    let header = |name: &str| effect.headers().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
    let body = match wire::recognise(effect.value()) {
        Framing::SingleObject { fingerprint, body } => {
            let schema = stage.schemas().by_fingerprint(fingerprint).expect("an emitted event's schema is known");
            shown(schema, body)
        }
        _ => String::from_utf8_lossy(effect.value()).into_owned(),
    };
    shorten(&format!("-> {} [{key}] {} {} {body}", effect.topic, header(names::HEADER_TYPE), header(names::HEADER_ID)))
}

/// What was postponed, by its name.
fn begins(stage: &Stage, next: &Next) -> String {
    match stage.definition().node(next.node) {
        Some(node) if next.node != ROOT => format!("{}{}", node.name, if next.again { ", again," } else { "" }),
        _ => "its end".to_owned(),
    }
}

/// What is true at the end.
pub(crate) fn state(stage: &Stage, saga: &Saga) -> Vec<String> {
    let mut lines = Vec::new();
    let due = match saga.due_at() {
        Millis::MAX => "nothing is due".to_owned(),
        due => format!("due {}", time(due - stage.begin)),
    };
    let late = if saga.late { ", late" } else { "" };
    let ended = saga.ended.as_ref();
    let forgotten = ended.map(|end| format!(", forgotten {}", time(end.expires_at - stage.begin))).unwrap_or_default();
    lines.push(format!("{}{late}, {due}{forgotten}, {} bytes", saga.status, saga.encode_state().len()));
    if let Some(failure) = &saga.failure {
        lines.push(format!("because: {} ({}) {}", failure.code, failure.kind, failure.step).trim().to_owned());
    }
    if let Some(paused) = saga.paused() {
        let postponed: String = paused.postponed.iter().map(|next| format!("; {}", begins(stage, next))).collect();
        lines.push(match paused.is_with_above() {
            true => format!("paused with {}{postponed}", paused.why),
            false => format!("paused by {}: {}{postponed}", paused.by, paused.why),
        });
    }
    let early = saga.early().iter().map(|event| format!("early: {} {}", event.kind, event.source));
    lines.extend(early);
    lines.extend(saga.entries.iter().zip(0..).map(|(entry, place)| self::entry(stage, entry, place)));
    lines
}

fn entry(stage: &Stage, entry: &Entry, place: Place) -> String {
    let nameless = entry.name().is_empty();
    let by_node =
        |node: &&Node| node.is_scope || nameless || matches!(node.verb, Verb::Sleep(_) | Verb::Approval(_) | Verb::Wait(_));
    let name = match stage.definition().node(entry.node).filter(by_node) {
        Some(node) if entry.round > 1 => format!("{}~{}", node.name, entry.round),
        Some(node) => node.name.to_string(),
        None => entry.name().to_owned(),
    };
    let waits = match entry.waits {
        Waits::No => String::new(),
        waits => format!(", waits: {waits}"),
    };
    let attempts = match entry.attempt {
        0 => String::new(),
        1 => ", 1 attempt".to_owned(),
        count => format!(", {count} attempts"),
    };
    let stray = if entry.stray().is_some() { ", a stray" } else { "" };
    let because = entry.failure().map(|failure| format!("; {}", said(failure))).unwrap_or_default();
    let left_out = if entry.went_on() { ", left out" } else { "" };
    format!("{place}: {name} {}{waits}{attempts}{left_out}{stray}{because}", entry.work)
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
