//! Events that are known by a value, in stories: the rows of values, and the letters between them and the story's saga, which come at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ringmaster_core::saga::{ClaimInput, ClaimNews, Effect, Input, Sender, ValueInput, decide_value, value_effects};
use ringmaster_schemas::journal::{KeptEvent, Letter, Place, SagaEvent, ValueClaim, ValueName, ValueRelease};
use ringmaster_schemas::state::Saga;
use ringmaster_schemas::{Data, Millis};

use super::stage::{Stage, project};

/// The saga of which a story knows only that it waits for a value.
const ANOTHER: &str = "another/one";

/// Where values lie.
#[derive(Default)]
pub(super) struct Values {
    rows: BTreeMap<Arc<str>, Arc<Saga>>,
    letters: VecDeque<Letter>,
    /// When the other saga began to wait.
    since: Millis,
}

impl Values {
    /// Letters that are sent wait here.
    pub(super) fn collect(&mut self, effects: &[Effect]) {
        let all = effects.iter().filter(|effect| Letter::is_one(effect.value()));
        self.letters.extend(all.map(|effect| Letter::decode(effect.value()).expect("a letter")));
    }

    fn take(&mut self, id: &Arc<str>, input: &ValueInput, now: Millis) -> Vec<SagaEvent> {
        let Ok(decided) = decide_value(id, self.rows.get(id), input, now) else { return Vec::new() };
        for event in &decided.events {
            let reply_topic = "ringmaster.replies";
            let sender = Sender { id, head: &decided.saga.head, at: now, reply_topic, partition: 0, tracing: None };
            self.collect(&value_effects(sender, &decided.saga, event));
            self.rows.insert(id.clone(), decided.saga.clone());
        }
        decided.events
    }
}

impl Stage {
    /// An event goes to the row of its value.
    pub(super) fn matched(&mut self, listener: u16, text: &str, source: Arc<str>) -> Result<Vec<String>, String> {
        let listens = &self.definition().listeners[usize::from(listener)];
        let field = listens.matches.as_ref().map(|field| field.name.clone()).ok_or("it is known by a key")?;
        let json: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let value = match &json[&*field] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let (topic, kind) = (listens.topic.clone(), listens.event.clone());
        let until = self.now + listens.keep_ms;
        let name = ValueName { topic: topic.clone(), kind: kind.clone(), field, value: value.into() };
        let event = KeptEvent { topic, kind, source, until, schema: 0, data: Data::new(text.as_bytes()) };
        Ok(self.value(&name, &ValueInput::Event(Arc::new(event))))
    }

    /// Another saga begins to wait for a value, or waits no more.
    pub(super) fn another(&mut self, kind: &str, value: &str, waits: bool) -> Result<Vec<String>, String> {
        let listens = self.definition().listeners.iter().find(|listener| *listener.event == *kind);
        let listens = listens.ok_or_else(|| format!("nothing listens to {kind}"))?;
        let field = listens.matches.as_ref().map(|field| field.name.clone()).ok_or("it is known by a key")?;
        let name = ValueName { topic: listens.topic.clone(), kind: kind.into(), field, value: value.into() };
        let row: Arc<str> = ANOTHER.into();
        let input = if waits {
            self.values.since = self.now;
            ValueInput::Claim(Arc::new(ValueClaim { name: name.clone(), row, place: 0, at: self.now, waiting: Vec::new() }))
        } else {
            let at = self.values.since;
            ValueInput::Release(Arc::new(ValueRelease { name: name.clone(), row, place: 0, at, seen: Vec::new() }))
        };
        Ok(self.value(&name, &input))
    }

    fn value(&mut self, name: &ValueName, input: &ValueInput) -> Vec<String> {
        let now = self.now;
        let events = self.values.take(&name.id().into(), input, now);
        let mut lines: Vec<String> = events.iter().map(|event| format!("{}: {}", name.value, said(event))).collect();
        lines.extend(self.letters());
        if lines.is_empty() { vec!["nothing happens".to_owned()] } else { lines }
    }

    /// All letters come.
    pub(super) fn letters(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(letter) = self.values.letters.pop_front() {
            let now = self.now;
            match letter {
                Letter::Claim(claim) => {
                    let (id, value) = (claim.name.id().into(), claim.name.value.clone());
                    let events = self.values.take(&id, &ValueInput::Claim(Arc::new(claim)), now);
                    lines.extend(events.iter().map(|event| format!("{value}: {}", said(event))));
                }
                Letter::Release(release) => {
                    let (id, value) = (release.name.id().into(), release.name.value.clone());
                    let events = self.values.take(&id, &ValueInput::Release(Arc::new(release)), now);
                    lines.extend(events.iter().map(|event| format!("{value}: {}", said(event))));
                }
                Letter::Given(claim) if *claim.row != *ANOTHER => {
                    let ValueClaim { place, at, .. } = claim;
                    lines.extend(self.come(&Input::Claim(ClaimInput { place, at, news: ClaimNews::Granted })));
                }
                Letter::Answer(answer) if *answer.row != *ANOTHER => {
                    let news = if answer.granted { ClaimNews::Granted } else { ClaimNews::Denied };
                    lines.extend(self.come(&Input::Claim(ClaimInput { place: answer.place, at: answer.at, news })));
                }
                Letter::Event(brought) if *brought.row != *ANOTHER => {
                    let Some((_, listens)) = self.definition().listener(&brought.event.topic, &brought.event.kind) else {
                        continue;
                    };
                    let text = String::from_utf8_lossy(brought.event.data.bytes()).into_owned();
                    let data = Data::new(&project(&listens.reader, &listens.kept, &text).expect("the event is right"));
                    let news = ClaimNews::Event { source: brought.event.source.clone(), data };
                    lines.extend(self.come(&Input::Claim(ClaimInput { place: brought.place, at: brought.at, news })));
                }
                Letter::Answer(_) | Letter::Given(_) | Letter::Event(_) => {}
            }
        }
        lines
    }
}

/// What happened to what a saga has claimed.
pub(super) fn claims(name: &dyn Fn(Place) -> String, event: &SagaEvent) -> String {
    match event {
        SagaEvent::ValueClaimed { place, claim } => {
            format!("{place}: {} claims {} = {}", name(*place), claim.name.field, claim.name.value)
        }
        SagaEvent::ValueGranted { place } => format!("{place}: {} has its value", name(*place)),
        SagaEvent::EventPassed { place, source } => format!("{place}: {} looks at {source}, which is not the one", name(*place)),
        SagaEvent::ValueReleased { place, .. } => format!("{place}: {} gives its value back", name(*place)),
        other => unreachable!("{other:?} is about nothing that is claimed"),
    }
}

/// What happened to a value's row.
pub(super) fn said(event: &SagaEvent) -> String {
    match event {
        SagaEvent::ValueGiven { claim } => format!("{} has it", claim.row),
        SagaEvent::ValueDenied { claim } => format!("{} does not get it", claim.row),
        SagaEvent::ValueFreed { release } => format!("{} waits no more", release.row),
        SagaEvent::EventKept { event } => format!("{} {} is kept", event.kind, event.source),
        SagaEvent::EventsExpired { count } => format!("{count} that came early are forgotten"),
        other => unreachable!("{other:?} is about no value"),
    }
}
