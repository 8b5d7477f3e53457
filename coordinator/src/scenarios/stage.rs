//! Where a scenario is played: one saga, virtual time, participants that answer as they are told.

mod bodies;
mod comes;
mod observed;
mod rows;
mod values;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use ringmaster_core::definition::Definition;
use ringmaster_core::intake::{self, Headers, Projections};
use ringmaster_core::saga::{
    Breakers, Input as SagaInput, Moved, Room, Scratch, Sender, apply, effects, order_of, play as play_turn,
};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Emission, FailureKind, Letter, Opens, SagaEvent};
use ringmaster_schemas::names::{self, Direction, command_topic, participant_of};
use ringmaster_schemas::state::{Saga, Status, Waits};
use ringmaster_schemas::wire::{self, Body, Framing, Outcome, ReplyMeta};
use serde_json::Value;

use super::asked::{Asked, What};
use super::coverage::Coverage;
use super::form::{Answer, Ends, Input, Says, Scenario};
use super::{Known, Took};
use bodies::{parsed, plain, rendered, size, written};
use rows::Rows;

/// Something that happened, as others see it.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    /// Since the start.
    pub(super) after: Millis,
    pub(super) what: What,
    /// Of a command, from 1.
    pub(super) attempt: i32,
    /// Of a command: what repeats of it are recognised by.
    pub(super) idempotency_key: Option<String>,
    pub(super) body: Value,
    /// The same for people: what a schema calls secret is `***`.
    pub(super) shown: Value,
}

/// Why a scenario could not be played to its end.
#[derive(Debug)]
pub(super) struct Trouble {
    /// The line of the scenario that is to be mended.
    pub(super) line: usize,
    pub(super) message: String,
}

/// What came of a scenario.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) story: Vec<Happening>,
    /// How it ended; none if it still waits.
    pub(super) ends: Option<Ends>,
    /// Code, step and message of why it undid or is stuck, or was not started.
    pub(super) because: Option<(String, String, String)>,
    pub(super) trouble: Option<Trouble>,
    /// What it is found by.
    pub(super) search: Vec<(String, String)>,
    pub(super) took: Took,
}

/// Plays a scenario to its end, if that takes no more than this.
pub(super) fn play(scenario: &Scenario, known: Known<'_>, most: Took, coverage: &mut Coverage) -> Played {
    let definition = &*scenario.definition;
    coverage.add(&scenario.definition);
    known.below(definition).iter().for_each(|below| coverage.add(below));
    let mut stage = Stage {
        scenario,
        known,
        definition,
        coverage: RefCell::new(coverage),
        now: scenario.begins,
        took: Took::default(),
        most,
        id: "".into(),
        rows: BTreeMap::new(),
        projections: Projections::default(),
        scratch: Scratch::default(),
        story: Vec::new(),
        events: 0,
        replies: VecDeque::new(),
        values: BTreeMap::new(),
        letters: VecDeque::new(),
        asked: HashMap::new(),
        not_started: None,
    };
    let trouble = stage.run().err();
    let (ends, because) = stage.reached();
    let row = stage.rows.get(&stage.id);
    let found = row.into_iter().flat_map(|row| row.head.search().keys());
    let search = found.map(|key| (key.name.to_owned(), key.value.to_owned())).collect();
    Played { story: stage.story, ends, because, trouble, search, took: stage.took }
}

struct Stage<'s> {
    scenario: &'s Scenario,
    known: Known<'s>,
    definition: &'s Definition,
    coverage: RefCell<&'s mut Coverage>,
    now: Millis,
    took: Took,
    most: Took,
    id: Arc<str>,
    /// The saga's row, and those of its items.
    rows: BTreeMap<Arc<str>, Arc<Saga>>,
    projections: Projections,
    scratch: Scratch,
    story: Vec<Happening>,
    /// How many events came beside the start: each is another one.
    events: usize,
    /// Replies on their way, with the lines that say them.
    replies: VecDeque<(Vec<u8>, usize)>,
    /// The rows of values by which events are matched.
    values: BTreeMap<Arc<str>, Arc<Saga>>,
    /// What they and those who wait write to each other.
    letters: VecDeque<Letter>,
    /// How often a step was asked by each entry of `answers`.
    asked: HashMap<(usize, String, Direction), usize>,
    /// Why the start event was not taken: code and detail.
    not_started: Option<(String, String)>,
}

/// The headers of a start event: its type, so that a field `type` of its own is only a field.
struct TypeHeader<'a>(&'a str);

impl Headers for TypeHeader<'_> {
    fn find(&self, name: &str) -> Option<&[u8]> {
        (name == names::HEADER_TYPE).then_some(self.0.as_bytes())
    }
}

impl Stage<'_> {
    fn run(&mut self) -> Result<(), Trouble> {
        self.start()?;
        let mut inputs = self.scenario.inputs.iter().peekable();
        while self.took.turns < self.most.turns {
            if self.took.bytes > self.most.bytes {
                return Err(self.trouble(self.scenario.line, format!("what happens has more than {} bytes", self.most.bytes)));
            }
            self.took.turns += 1;
            // Answers before inputs before timers, as a partition reads its inputs to their ends before a timer fires.
            if let Some(letter) = self.letters.pop_front() {
                self.letter(letter)?;
                continue;
            }
            if let Some((reply, line)) = self.replies.pop_front() {
                self.deliver(&reply, line)?;
                continue;
            }
            let (due, row) = self.due();
            let input = inputs.peek().map_or(Millis::MAX, |timed| self.scenario.begins + timed.after);
            if due == Millis::MAX && input == Millis::MAX {
                return Ok(());
            }
            self.now = self.now.max(due.min(input));
            if input <= due {
                let timed = inputs.next().expect("it was looked at");
                match &timed.input {
                    Input::Answer(asked, answer) => self.answer_by_itself(asked, answer)?,
                    Input::Approval(approval) => self.answer_to_approval(approval)?,
                    Input::Event(event) => self.event(event)?,
                    Input::Cancel => self.take_root(SagaInput::Cancel { why: "cancelled by the scenario".into() })?,
                }
            } else {
                let has_work = self.rows.get(&row).is_some_and(|saga| saga.has_work());
                self.take(&row, if has_work { SagaInput::Work } else { SagaInput::Due })?;
            }
        }
        Err(self.trouble(self.scenario.line, format!("it goes on and on: {} turns were taken", self.took.turns)))
    }

    /// When something of a row is due next, and of which.
    fn due(&self) -> (Millis, Arc<str>) {
        let first = self.rows.values().min_by_key(|saga| saga.due_at());
        first.map_or_else(|| (Millis::MAX, self.id.clone()), |saga| (saga.due_at(), saga.id.clone()))
    }

    fn trouble(&self, line: usize, message: impl Into<String>) -> Trouble {
        Trouble { line, message: message.into() }
    }

    /// A reply, through the door that replies come in by.
    fn deliver(&mut self, reply: &[u8], line: usize) -> Result<(), Trouble> {
        let unusable = |refused: intake::Refused| Trouble {
            line,
            message: format!("this answer cannot be used, it would go to quarantine as {}: {}", refused.reason, refused.detail),
        };
        let answer = intake::Answer::read(reply, self.known.schemas).map_err(unusable)?;
        let row = self.rows.get(answer.saga());
        let definition = row.map_or(self.definition, |row| version_of(row, self.known).unwrap_or(self.definition));
        let input = self.projections.reply(&answer, Some(definition)).map_err(unusable)?;
        self.take(&answer.saga().into(), SagaInput::Reply(input))
    }

    fn take_root(&mut self, input: SagaInput) -> Result<(), Trouble> {
        let id = self.id.clone();
        self.take(&id, input)
    }

    /// Lets the core decide, and takes what it decided: state moves, commands and events go out.
    fn take(&mut self, id: &Arc<str>, input: SagaInput) -> Result<(), Trouble> {
        let mut rows = Rows { rows: &self.rows, definition: self.definition, known: self.known, coverage: &self.coverage };
        let now = (self.now, Room::USUAL);
        let Ok(played) = play_turn(&mut rows, &Breakers::default(), (id, input), now, &mut self.scratch);
        match played {
            Ok(moved) => moved.into_iter().try_for_each(|moved| self.moved(moved)),
            Err(rejection) => {
                let detail = Value::String(rejection.detail);
                self.happened(What::Rejected(rejection.reason.as_str().into()), 0, None, plain(detail));
                Ok(())
            }
        }
    }

    fn moved(&mut self, moved: Moved<'_>) -> Result<(), Trouble> {
        let (mut row, definition) = (moved.before, moved.definition);
        let whole = self.known.catalog.by_hash(&definition.hash).cloned();
        for event in moved.events {
            let stop = row.as_ref().and_then(|row| row.remembered_stop());
            let was_cancelled = stop.is_some_and(|failure| failure.kind == FailureKind::Cancelled);
            apply(&moved.id, &mut row, &event, self.now).expect("a decided event is legal");
            let behind = row.clone().expect("it has started");
            if let Some(whole) = &whole {
                self.coverage.borrow_mut().of(whole).event(&event, &behind);
            }
            match &event {
                SagaEvent::Emitted { emission, .. } | SagaEvent::StuckTold { emission: Some(emission), .. } => {
                    self.emitted(emission)
                }
                SagaEvent::Completed { emissions, .. } | SagaEvent::Compensated { emissions, .. } => {
                    emissions.iter().for_each(|emission| self.emitted(emission));
                }
                SagaEvent::StopForgotten {} if was_cancelled => {
                    let detail = Value::String("the pivot succeeded: it is too late to go back".to_owned());
                    self.happened(What::Rejected("BEHIND_PIVOT".into()), 0, None, plain(detail));
                }
                SagaEvent::Entered { node, opens: Opens::Approval { asked, .. }, .. } => {
                    let name = definition.nodes[usize::from(*node)].name.clone();
                    let shown = asked.show.as_deref().map_or_else(|| Value::Object(Default::default()), parsed);
                    self.happened(What::Approval(name), 0, None, plain(shown));
                }
                event => self.send(&behind, event)?,
            }
        }
        self.rows.insert(moved.id, moved.saga);
        Ok(())
    }

    fn happened(&mut self, what: What, attempt: i32, idempotency_key: Option<String>, body: (Value, Value)) {
        let after = self.now - self.scenario.begins;
        self.took.bytes += size(&body.0) + size(&body.1);
        self.story.push(Happening { after, what, attempt, idempotency_key, body: body.0, shown: body.1 });
    }

    fn emitted(&mut self, emission: &Emission) {
        let body = match wire::recognise(&emission.body) {
            Framing::SingleObject { fingerprint, body } => {
                let schema = self.known.schemas.by_fingerprint(fingerprint).expect("an emitted event's schema is known");
                rendered(schema, schema.root(), body)
            }
            Framing::Json | Framing::Confluent { .. } | Framing::Unknown => {
                written(self.known.schemas, &emission.kind, &String::from_utf8_lossy(&emission.body))
            }
        };
        self.happened(What::Emitted(emission.kind.clone()), 0, None, body);
    }

    /// What an event sends: commands, each of which is answered as the scenario says.
    fn send(&mut self, behind: &Saga, event: &SagaEvent) -> Result<(), Trouble> {
        let sender =
            Sender { id: &behind.id, head: &behind.head, at: self.now, reply_topic: "replies", partition: 0, tracing: None };
        let mut topic_of = |command: &str| -> Arc<str> { command_topic(participant_of(command)).into() };
        let mut sent = Vec::new();
        effects(sender, event, order_of(behind, event), &mut topic_of, &mut String::new(), &mut sent);
        for effect in sent {
            if let Some(letter) = values::letter_of(&effect) {
                self.letters.push_back(letter);
                continue;
            }
            let command = wire::decode_command(effect.value(), self.known.schemas).expect("a command that is sent can be read");
            let body = match command.body {
                Body::Json(text) => written(self.known.schemas, &command.meta.command, text),
                Body::Avro { schema, node, bytes } => rendered(schema, node, bytes),
            };
            let meta = command.meta;
            let (name, key): (Arc<str>, _) = ((&*meta.command).into(), meta.idempotency_key.into_owned());
            self.happened(What::Command(Arc::clone(&name)), meta.attempt, Some(key.clone()), body);
            self.answer(&name, &key, meta.attempt)?;
        }
        Ok(())
    }

    /// The participant answers, at once or never.
    fn answer(&mut self, command: &str, key: &str, attempt: i32) -> Result<(), Trouble> {
        let (_, step, direction) = names::parse_idempotency_key(key).expect("it is one of ours");
        let step = step_name(step);
        let by_step = |asked: &Asked| matches!(asked, Asked::Step(of, way) if **of == *step && *way == direction);
        let by_command = |asked: &Asked| matches!(asked, Asked::Command(of) if **of == *command);
        let all = &self.scenario.answers;
        let found = all.iter().position(|answers| by_step(&answers.asked));
        let found = found.or_else(|| all.iter().position(|answers| by_command(&answers.asked)));
        let answer = match found {
            Some(index) => {
                let count = self.asked.entry((index, step.to_owned(), direction)).or_insert(0);
                *count += 1;
                let list = &all[index].list;
                list[(*count - 1).min(list.len() - 1)].clone()
            }
            None if direction == Direction::Undo => Answer { says: Says::Succeeded(None), line: self.scenario.line },
            None => {
                let message = format!("{command} (step {step}) is asked and the scenario has no answer: add it to `answers`");
                return Err(self.trouble(self.scenario.line, message));
            }
        };
        self.reply(key, attempt, &answer);
        Ok(())
    }

    fn reply(&mut self, key: &str, attempt: i32, answer: &Answer) {
        let (outcome, code, message, retryable, body) = match &answer.says {
            Says::Timeout => return,
            Says::Succeeded(body) => (Outcome::Succeeded, None, None, false, body.as_deref()),
            Says::Refused { code, message } => (Outcome::Refused, Some(code), message.as_deref(), false, None),
            Says::Failed { code, message, retryable } => (Outcome::Failed, Some(code), message.as_deref(), *retryable, None),
        };
        let meta = ReplyMeta {
            idempotency_key: key.into(),
            attempt,
            outcome,
            code: code.map(|code| code.as_str().into()),
            message: message.map(Into::into),
            retryable,
        };
        let mut reply = Vec::new();
        wire::put_reply_json(&meta, body.map(str::as_bytes), &mut reply);
        self.replies.push_back((reply, answer.line));
    }

    /// An answer that comes by itself is for what was asked last.
    fn answer_by_itself(&mut self, asked: &Asked, answer: &Answer) -> Result<(), Trouble> {
        let is_for = |happening: &Happening| {
            let key = happening.idempotency_key.as_deref()?;
            let (_, step, direction) = names::parse_idempotency_key(key)?;
            let is_for = match asked {
                Asked::Command(command) => happening.what == What::Command(command.clone()),
                Asked::Step(of, way) => step_name(step) == &**of && *way == direction,
            };
            is_for.then(|| (key.to_owned(), happening.attempt))
        };
        let Some((key, attempt)) = self.story.iter().rev().find_map(is_for) else {
            return Err(self.trouble(answer.line, "this was not asked by then: an answer is for what was asked"));
        };
        self.reply(&key, attempt, answer);
        Ok(())
    }

    /// How it ended, and why.
    fn reached(&self) -> (Option<Ends>, Option<(String, String, String)>) {
        let Some(saga) = self.rows.get(&self.id) else {
            let because = self.not_started.clone().map(|(code, detail)| (code, String::new(), detail));
            return (Some(Ends::NotStarted), because);
        };
        let mut entries = self.rows.values().flat_map(|row| &row.entries);
        if let Some(stuck) = entries.find(|entry| entry.waits == Waits::Stuck) {
            let because =
                stuck.failure().map(|failure| (failure.code.to_string(), failure.step.to_string(), failure.message.to_string()));
            return (Some(Ends::Stuck), because);
        }
        let failure = saga.failure.as_ref();
        let because = failure.map(|failure| (failure.code.to_string(), failure.step.to_string(), failure.message.to_string()));
        let ends = match saga.status {
            Status::Completed => Some(Ends::Completed),
            Status::Compensated => Some(Ends::Compensated),
            Status::Running | Status::Compensating | Status::Expected | Status::Swept => None,
        };
        (ends, because)
    }
}

/// The version that a row runs by.
fn version_of<'k>(row: &Saga, known: Known<'k>) -> Option<&'k Definition> {
    known.catalog.by_hash(&row.head.version()).map(|definition| &**definition)
}

/// A step without the number of its round or item.
fn step_name(step: &str) -> &str {
    step.split(['~', '.']).next().unwrap_or(step)
}
