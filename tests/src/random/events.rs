//! What others tell a saga: its start, and events that it waits for or is cancelled by.

use ringmaster_core::saga::{Input, StartInput};
use ringmaster_schemas::state::PRIORITY_USUAL;

use super::generate::{EVENTS, STOP};
use super::run::{World, number};
use super::turn::Reason;
use super::value::FIELDS;
use super::{laws, write};

impl World<'_> {
    /// An event of others, a new one or one that came before: to the saga, or to where it will be.
    pub(super) fn send_event(&mut self) {
        let mut kinds: Vec<&'static str> = self.plan.events().into_iter().map(|event| EVENTS[event]).collect();
        if self.plan.cancel && self.cancels && self.random.u32(0..8) == 0 {
            kinds = vec![STOP];
        }
        let again = if self.events.is_empty() { 0 } else { self.random.usize(..self.events.len() * 4) };
        let (kind, text, number) = match self.events.get(again) {
            Some((kind, text)) => (*kind, text.clone(), again + 1),
            None => {
                let Some(kind) = self.random.choice(&kinds).copied() else { return };
                let text = format!(r#"{{"id": "k-1", "n": {}}}"#, self.random.i64(0..5));
                self.events.push((kind, text.clone()));
                (kind, text, self.events.len())
            }
        };
        self.count(if kind == STOP { "cancels by events" } else { "events" });
        let input = self.stage.event_input(kind, &text, Some(number)).expect("it is listened to");
        let (before, from) = (self.stage.saga.clone().filter(|saga| saga.began()), self.stage.history.len());
        let at = self.stage.now;
        let taken = self.turn(&input, format!("{kind} {text}, event {number}"));
        let source = match &input {
            Input::Event(event) => event.source.clone(),
            Input::Early(event) => event.source.clone(),
            other => unreachable!("{other:?} is no event"),
        };
        if taken.is_ok() {
            self.arrived.push(laws::Arrived { kind, number: number_of(&text), source, at });
        }
        if let (Some(before), Input::Event(event)) = (before, &input) {
            let came = laws::Came { kind, number: number_of(&text), source: &event.source };
            let happened = &self.stage.history[from..];
            let fault = laws::came(&self.known(), &before, &came, happened);
            self.faults.extend(fault);
        }
    }

    pub(super) fn start(&mut self) {
        let fields: Vec<String> = FIELDS.iter().zip(self.start).map(|(name, value)| format!(r#""{name}": {value}"#)).collect();
        let json = format!(r#"{{"id": "k-1", {}}}"#, fields.join(", "));
        let start = self.stage.start_input(write::START, 0, &json).expect("the event has its fields");
        if self.random.u32(0..8) == 0 {
            let old = StartInput { event_time: Some(self.stage.now - write::RETAIN_MS - 1), ..start.clone() };
            self.count("old starts");
            if !matches!(self.turn(&Input::Start(old), "an old event".to_owned()), Err(Reason::TooOld)) {
                return self.faults.push("start: an event from before what is remembered starts a saga".to_owned());
            }
        }
        let (before, from) = (self.stage.saga.clone(), self.stage.history.len());
        let taken = self.turn(&Input::Start(start), format!("{} {json}", write::START));
        let more = self.plan.priority.map_or(0, |field| self.start[field] as u8);
        if let (Some(saga), Ok(())) = (&self.stage.saga, taken)
            && saga.priority != PRIORITY_USUAL + more
        {
            self.faults.push(format!("start: its priority is {}, not {more} more than the usual one", saga.priority));
        }
        if let (Some(expected), Ok(())) = (before, taken) {
            self.faults.extend(laws::moved_in(&expected, &self.stage.history[from..]));
        }
    }

    pub(super) fn start_again(&mut self) {
        let json = r#"{"id": "k-1", "a": 1, "b": 1, "c": 1, "d": 1}"#;
        let start = self.stage.start_input(write::START, 0, json).expect("the event has its fields");
        self.count("starts that came twice");
        if !matches!(self.turn(&Input::Start(start), format!("{} {json}", write::START)), Err(Reason::Duplicate)) {
            self.faults.push("start: a saga starts twice".to_owned());
        }
    }
}

/// The number of an event: `{"id": "k-1", "n": 3}`.
fn number_of(event: &str) -> i64 {
    event.rsplit_once("\"n\": ").map_or(0, |(_, rest)| number(rest))
}
