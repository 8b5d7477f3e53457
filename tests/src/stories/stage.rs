//! Where a story is played: one definition, one saga, a clock that moves only by the story.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use ringmaster_core::definition::{Budget, Definition, Environment, Participant, Settings, Start, compile};
use ringmaster_core::intake::{Event, Origin, Projections};
use ringmaster_core::saga::{
    ActInput, Basis, Breakers, Decided, Effect, Evaluated, Input, Outcome, Rejection, ReplyInput, Scratch, Sender, StartInput,
    apply, decide, effects, order_of,
};
use ringmaster_schemas::avro::{Resolver, Schema};
use ringmaster_schemas::journal::{Encoding, Letter, QuarantineReason, SagaEvent};
use ringmaster_schemas::json;
use ringmaster_schemas::names::{Direction, command_topic, participant_of, saga_id, step_of_round};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{PRIORITY_USUAL, Saga, Waits};
use ringmaster_schemas::{Data, Millis};

use super::breaking::{Breaking, sites};
use super::print;
use super::script::{Act, Place, Said, Script};
use super::values::Values;

/// When every story begins.
const BEGIN: Millis = 1_900_000_000_000;
/// Participants of stories that speak JSON, and have no schemas.
const WITHOUT_SCHEMAS: [&str; 13] = [
    "accounts",
    "airline",
    "billing",
    "border",
    "calc",
    "cars",
    "contracts",
    "guests",
    "hotels",
    "kitchen",
    "mail",
    "office",
    "restaurant",
];
/// Timers that one silence may fire: a story that waits for ever is wrong.
const TIMERS_MAX: usize = 10_000;

/// Where a story is played.
pub struct Stage {
    known: Arc<Known>,
    pub(crate) now: Millis,
    pub(super) begin: Millis,
    id: Arc<str>,
    pub(crate) saga: Option<Arc<Saga>>,
    broken: Vec<Place>,
    /// Who is not asked now.
    pub(crate) breakers: Breakers,
    start: Option<StartInput>,
    /// Values by which events are known.
    pub(super) values: Values,
    /// How many events came beside the start: each is another one.
    pub(super) events: usize,
    /// All that happened: event, the state behind it, what was sent for it.
    pub(crate) history: Vec<Happened>,
    /// Turns that changed the saga: there is no journal whose offsets would number them.
    turns: i64,
}

/// A compiled definition, and all schemas it was compiled against.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) definition: Definition,
    pub(crate) schemas: Schemas,
}

/// Definitions that stories were played on: compiled once.
static KNOWN: Mutex<BTreeMap<String, Arc<Known>>> = Mutex::new(BTreeMap::new());

/// An event, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(crate) event: SagaEvent,
    /// Time of its turn.
    pub(crate) at: Millis,
    pub(crate) behind: Arc<Saga>,
    pub(crate) effects: Vec<Effect>,
}

impl Stage {
    /// A stage for a story's definition, found in `sagas/` or `tests/stories/definitions/`.
    pub fn open(script: &Script) -> Result<Stage, String> {
        let name = script.saga().ok_or("a story needs a line 'saga: NAME'")?;
        let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match all.get(name) {
            Some(known) => known.clone(),
            None => Arc::new(Known::load(name)?),
        };
        all.insert(name.to_owned(), known.clone());
        Ok(Stage::on(known))
    }

    /// A stage for any definition.
    pub(crate) fn on(known: Arc<Known>) -> Stage {
        Stage {
            known,
            now: BEGIN,
            begin: BEGIN,
            id: "".into(),
            saga: None,
            broken: Vec::new(),
            breakers: Breakers::default(),
            start: None,
            values: Values::default(),
            events: 0,
            history: Vec::new(),
            turns: 0,
        }
    }

    pub(crate) fn definition(&self) -> &Definition {
        &self.known.definition
    }

    pub(crate) fn schemas(&self) -> &Schemas {
        &self.known.schemas
    }

    /// Plays one line; what happened, for people.
    pub(super) fn act(&mut self, act: &Act) -> Result<Vec<String>, String> {
        match act {
            Act::Nothing | Act::Saga(_) => Ok(Vec::new()),
            Act::Broken(place) if sites(self.definition(), place).is_empty() => Err(format!("there is no expression at {place:?}")),
            Act::Broken(place) => {
                self.broken.push(place.clone());
                Ok(Vec::new())
            }
            Act::Start { event, json, .. } if self.definition().start_named(event).is_none() => self.event(event, json, None),
            Act::SameEvent { event, json, number } => self.event(event, json, Some(*number)),
            Act::Start { event, age_ms, json } => {
                let start = self.start_input(event, *age_ms, json)?;
                self.start = Some(start.clone());
                Ok(self.input(&Input::Start(start)))
            }
            Act::StartAgain => {
                let start = self.start.clone().ok_or("no event came before")?;
                Ok(self.input(&Input::Start(start)))
            }
            Act::Answer { step, direction, attempt, outcome } => {
                let reply = self.reply_input(step, *direction, *attempt, outcome)?;
                Ok(self.input(&Input::Reply(reply)))
            }
            Act::Silence(how_long) => self.silence(*how_long).map(print::middle_left_out),
            Act::Person { .. } => Ok(self.input(&Input::Act(self.person(act)?))),
            Act::TooLate(act) => Ok(self.input(&Input::Act(ActInput { if_turn: Some(0), ..self.person(act)? }))),
            Act::Cancel(why) => Ok(self.input(&Input::Cancel { why: why.as_str().into() })),
            Act::TooBig(bytes) => Ok(self.input(&Input::TooBig { bytes: Some(*bytes), step: None, place: None })),
            Act::Pauses(participant) => Ok(self.pause(participant)),
            Act::Resumes(participant) => Ok(self.resume(participant)),
            Act::ParkedTooBig(participant) => self.parked_too_big(participant),
            Act::Another { kind, value, waits } => self.another(kind, value, *waits),
            Act::Ends(how, code) => self.ends(how, code.as_deref()),
            Act::Undone(wanted) => self.undone(wanted),
        }
    }

    pub(crate) fn start_input(&self, event: &str, age_ms: Millis, text: &str) -> Result<StartInput, String> {
        let definition = self.definition();
        let (number, start) = definition
            .start_named(event)
            .ok_or_else(|| format!("this saga starts on {}", definition.start_names().join(" or ")))?;
        project(&start.reader, &start.kept, text)?;
        if start.key.is_none() {
            return Err("a story's definition has `key: event.FIELD`".to_owned());
        }
        let (event, origin) = (Event::by_hand(text.as_bytes(), b"", 0), Origin { topic: &start.topic, partition: 0 });
        let input = Projections::default().start((definition, number), 0, &event, origin, self.now);
        let input = match input {
            Ok(input) => input.ok_or("the `if` of its start is false for this event")?,
            // Events of stories may be larger than those that are let in: what was taken under another limit must end well too.
            Err(refused) if refused.reason == QuarantineReason::TooBig => self.large_start(start, text)?,
            Err(refused) => return Err(format!("{}: {}", refused.reason, refused.detail)),
        };
        Ok(StartInput {
            source: format!("{}/{}", start.topic, self.history.len()),
            event_time: Some(self.now - age_ms),
            early: self.early()?,
            ..input
        })
    }

    fn large_start(&self, start: &Start, text: &str) -> Result<StartInput, String> {
        let (kept, budget) = (project(&start.reader, &self.definition().start_kept, text)?, Budget::new());
        let environment = Environment { start: &kept, ..Environment::without_saga("", self.now, &budget) };
        let key = start.key.as_ref().expect("it was looked at").text(&environment).map_err(|error| error.to_string())?;
        Ok(StartInput {
            key,
            start: kept,
            start_schema: self.definition().start_kept.key(),
            traceparent: None,
            source: String::new(),
            version_offset: 0,
            priority: PRIORITY_USUAL,
            search: Vec::new(),
            event_time: None,
            early: Vec::new(),
            by_hand: None,
        })
    }

    pub(crate) fn reply_input(
        &self,
        step: &str,
        direction: Direction,
        attempt: Option<i32>,
        said: &Said,
    ) -> Result<ReplyInput, String> {
        let asks = self.definition().step_named(step_of_round(step)).and_then(|step| step.node.gives.as_ref());
        let row = self
            .saga
            .as_ref()
            .and_then(|saga| saga.entries.iter().find(|entry| entry.order.as_ref().is_some_and(|order| order.step() == step)));
        let newest = row.map(|entry| i32::from(entry.attempt));
        let outcome = match said {
            Said::Succeeded(result) => {
                let kept = asks.and_then(|gives| gives.kept.as_ref()).filter(|_| direction == Direction::Do);
                match (kept, asks) {
                    (Some(kept), Some(asks)) => {
                        let whole = asks.whole.as_ref().unwrap_or(kept);
                        let bytes = project(whole, kept, result.as_deref().unwrap_or("{}"))?;
                        Outcome::Succeeded { result: Some(Data::new(&bytes)) }
                    }
                    _ => Outcome::Succeeded { result: None },
                }
            }
            Said::Refused(code) => Outcome::Refused { code: code.as_str().into(), message: "".into() },
            Said::Failed(code, retryable) => {
                Outcome::Failed { code: code.as_str().into(), message: "".into(), retryable: *retryable }
            }
        };
        Ok(ReplyInput { step: step.into(), direction, attempt: attempt.or(newest).unwrap_or(1), outcome })
    }

    /// Time passes; all that becomes due on the way happens at its time.
    fn silence(&mut self, how_long: Option<Millis>) -> Result<Vec<String>, String> {
        let until = how_long.map(|how_long| self.now + how_long);
        let mut lines = Vec::new();
        for _ in 0..TIMERS_MAX {
            let due = self.saga.as_ref().map_or(Millis::MAX, |saga| saga.due_at());
            if due == Millis::MAX || until.is_some_and(|until| due > until) {
                if until.is_none() {
                    lines.push("nothing is due, ever".to_owned());
                }
                self.now = until.unwrap_or(self.now);
                return Ok(lines);
            }
            self.now = self.now.max(due);
            lines.push(format!("{}:", print::time(self.now - self.begin)));
            let before = lines.len();
            lines.extend(self.input(&Input::Due));
            if lines.len() == before {
                return Err("a timer fired and nothing happened".to_owned());
            }
            if until.is_none() {
                return Ok(lines);
            }
        }
        Err(format!("more than {TIMERS_MAX} timers fired"))
    }

    /// Lets the core decide, holds it to its promises, and takes what it decided: how many events.
    pub(crate) fn take(&mut self, input: &Input) -> Result<usize, Rejection> {
        match input {
            Input::Start(start) => self.id = saga_id(&self.definition().name, &start.key).into(),
            // One story, one saga: that is its key.
            Input::Early(event) if self.saga.is_none() => {
                let id: serde_json::Value = serde_json::from_slice(event.data.bytes()).expect("an event is JSON");
                self.id = saga_id(&self.definition().name, id["id"].as_str().unwrap_or("nobody")).into();
            }
            _ => {}
        }
        let decided = self.decide(input);
        assert_eq!(decided, self.decide(input), "the same input decided twice is the same decision");
        let Decided { events, saga } = decided?;
        let count = events.len();
        for event in events {
            apply(&self.id, &mut self.saga, &event, self.now).expect("a decided event is legal");
            let behind = self.saga.clone().expect("it has started");
            let effects = self.effects(&behind, &event);
            self.values.collect(&effects);
            self.history.push(Happened { event, at: self.now, behind, effects });
        }
        assert_eq!(self.saga.as_ref(), Some(&saga), "decide gives the state that apply makes of its events");
        drop(saga);
        if let Some(saga) = self.saga.as_mut().filter(|_| count > 0) {
            self.turns += 1;
            Arc::make_mut(saga).turns.remember(self.turns);
        }
        Ok(count)
    }

    /// The same, told; what is written to other partitions, and what they answer, comes at once.
    pub(super) fn input(&mut self, input: &Input) -> Vec<String> {
        let mut lines = self.come(input);
        lines.extend(self.letters());
        lines
    }

    pub(super) fn come(&mut self, input: &Input) -> Vec<String> {
        match self.take(input) {
            Err(rejection) => vec![format!("rejected {}: {}", rejection.reason, rejection.detail)],
            Ok(0) => vec!["nothing happens".to_owned()],
            Ok(count) => self.told(self.history.len() - count..self.history.len()),
        }
    }

    /// A part of what happened, for people.
    pub(crate) fn told(&self, part: Range<usize>) -> Vec<String> {
        let mut lines = Vec::new();
        for happened in &self.history[part] {
            lines.push(print::event(self, &happened.behind, &happened.event));
            let others = happened.effects.iter().filter(|effect| !Letter::is_one(effect.value()));
            lines.extend(others.map(|effect| print::effect(self, effect)));
        }
        lines
    }

    fn decide(&self, input: &Input) -> Result<Decided, Rejection> {
        let broken = self.broken.iter().flat_map(|place| sites(self.definition(), place)).collect();
        let values = Breaking { values: Evaluated::new(self.definition()), broken };
        let basis = Basis { definition: self.definition(), values: &values, breakers: &self.breakers, above: &[] };
        decide(basis, &self.id, self.saga.as_ref(), input, self.now, &mut Scratch::default())
    }

    fn effects(&self, behind: &Saga, event: &SagaEvent) -> Vec<Effect> {
        let sender = Sender {
            id: &self.id,
            head: &behind.head,
            at: self.now,
            reply_topic: "ringmaster.replies",
            partition: 0,
            tracing: None,
        };
        let mut topic_of = |command: &str| -> Arc<str> { command_topic(participant_of(command)).into() };
        let mut out = Vec::new();
        effects(sender, event, order_of(behind, event), &mut topic_of, &mut String::new(), &mut out);
        out
    }

    fn ends(&self, how: &str, code: Option<&str>) -> Result<Vec<String>, String> {
        let Some(saga) = &self.saga else {
            let wanted = how == "unborn";
            return if wanted { Ok(Vec::new()) } else { Err(format!("there is no saga, the story wants it {how}")) };
        };
        let stuck = saga.entries.iter().find(|entry| entry.waits == Waits::Stuck);
        let stuck = stuck.and_then(|entry| entry.failure()).map(|failure| failure.code.clone());
        let failure = saga.failure.as_ref().map(|failure| failure.code.clone());
        let (is, with) = if saga.stuck() { ("stuck".to_owned(), stuck) } else { (saga.status.to_string(), failure) };
        if is != how || (code.is_some() && code != with.as_deref()) {
            return Err(format!("it ends {is} {}, the story wants {how} {}", with.as_deref().unwrap_or(""), code.unwrap_or("")));
        }
        Ok(print::state(self, saga))
    }

    fn undone(&self, wanted: &[String]) -> Result<Vec<String>, String> {
        let undone = self.history.iter().filter_map(|happened| match &happened.event {
            SagaEvent::Undone { place } => happened.behind.entry(*place).map(|entry| entry.name().to_owned()),
            _ => None,
        });
        let undone: Vec<String> = undone.collect();
        if undone == wanted { Ok(Vec::new()) } else { Err(format!("undone were {undone:?}, the story wants {wanted:?}")) }
    }
}

impl Known {
    fn load(name: &str) -> Result<Known, String> {
        let file = format!("{name}.yaml");
        let folders = [super::top().join("sagas"), super::top().join("tests/stories/definitions")];
        let path = folders.iter().map(|folder| folder.join(&file)).find(|path| path.exists());
        let path = path.ok_or_else(|| format!("there is no definition {file}"))?;
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let mut schemas = Schemas::load_folder(&super::top().join("sagas/schemas")).map_err(|errors| format!("{errors:?}"))?;
        let mut settings = Settings::new(&mut schemas);
        let json = || Participant { encoding: Encoding::Json, ..Participant::default() };
        settings.participants = WITHOUT_SCHEMAS.iter().map(|name| ((*name).to_owned(), json())).collect();
        let definitions = compile(&file, &text, &mut settings);
        let definition = definitions.map_err(|errors| errors.iter().map(ToString::to_string).collect::<String>())?.remove(0);
        Ok(Known { definition, schemas })
    }
}

/// The part of a JSON text that a version keeps, by the same way as at the door: transcoded, then projected.
pub(crate) fn project(whole: &Arc<Schema>, kept: &Arc<Schema>, text: &str) -> Result<Vec<u8>, String> {
    let (mut avro, mut out) = (Vec::new(), Vec::new());
    json::transcode(whole, text.as_bytes(), &mut avro).map_err(|error| error.to_string())?;
    let resolver = Resolver::new(whole.clone(), kept.clone()).map_err(|error| error.to_string())?;
    resolver.resolve(&avro, &mut out).map_err(|error| error.to_string())?;
    Ok(out)
}
