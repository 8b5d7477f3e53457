//! Where leaves come to be as they are: sagas with their rows, that are played up to there.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use ringmaster_core::definition::{Definition, Participant, Run, Settings, compile};
use ringmaster_core::intake::{Event, Origin, Projections};
use ringmaster_core::saga::{
    Above, Act, ActInput, Basis, Breakers, ClaimInput, ClaimNews, Evaluated, EventInput, Family, Input, Outcome, ReplyInput, Room,
    Scratch, StartInput, decide, play,
};
use ringmaster_schemas::avro::{Resolver, Schema};
use ringmaster_schemas::journal::{BreakerEvent, Encoding, Place};
use ringmaster_schemas::names::{Direction, below, step_of_round};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Entry, Saga};
use ringmaster_schemas::{Data, Millis, json};

/// When all begins.
pub(crate) const BEGIN: Millis = 1_900_000_000_000;

static KNOWN: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let mut schemas = Schemas::builtin();
    let mut settings = Settings::new(&mut schemas);
    for name in ["worker", "helper"] {
        settings.participants.insert(name.to_owned(), Participant { encoding: Encoding::Json, ..Participant::default() });
    }
    let text = include_str!("definitions.yaml");
    compile("definitions.yaml", text, &mut settings).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    })
});

/// The definition of this name.
pub(crate) fn definition(name: &str) -> &'static Definition {
    KNOWN.iter().find(|definition| *definition.name == *name).expect("it is in the file")
}

/// The definition that a row runs by, by its id: an item runs by that of the row above it.
pub(crate) fn definition_of(id: &str) -> &'static Definition {
    let Some(below) = below(id) else { return definition(id.split('/').next().unwrap_or_default()) };
    let above = definition_of(below.above);
    above.run_named(below.step).map_or(above, |run| definition(&run.saga))
}

struct Rows<'r>(&'r BTreeMap<Arc<str>, Arc<Saga>>, &'static Definition);

impl Family<'static> for Rows<'_> {
    type Error = Infallible;

    fn row(&mut self, id: &Arc<str>) -> Result<Option<Arc<Saga>>, Infallible> {
        Ok(self.0.get(id).cloned())
    }

    fn definition(&self, saga: &Saga) -> Result<&'static Definition, Infallible> {
        Ok(definition_of(&saga.id))
    }

    fn starting(&self) -> Option<&'static Definition> {
        Some(self.1)
    }

    fn sub_saga(&self, _: &Definition, run: &Run) -> Option<(&'static Definition, i64)> {
        Some((definition(&run.saga), 0))
    }
}

/// A saga as it stands, and which leaf is looked at.
pub(crate) struct Stage {
    pub(crate) rows: BTreeMap<Arc<str>, Arc<Saga>>,
    pub(crate) breakers: Breakers,
    pub(crate) now: Millis,
    /// The row that is looked at.
    pub(crate) id: Arc<str>,
    /// The leaf that is looked at; none where there is none.
    pub(crate) place: Option<Place>,
    /// Of what rows have to do by themselves a turn does so much.
    pub(crate) room: Room,
}

impl Stage {
    /// Of a saga that has not begun.
    pub(crate) fn of(saga: &str) -> Stage {
        Stage {
            rows: BTreeMap::new(),
            breakers: Breakers::default(),
            now: BEGIN,
            id: format!("{saga}/k").into(),
            place: None,
            room: Room::USUAL,
        }
    }

    /// The same, begun with so many lines; its first step is done.
    pub(crate) fn with_lines(saga: &str, lines: usize) -> Stage {
        let mut stage = Stage::of(saga);
        stage.takes(Input::Start(stage.start_input(lines)));
        stage.done("first");
        stage
    }

    pub(crate) fn begun(saga: &str) -> Stage {
        Stage::with_lines(saga, 3)
    }

    pub(crate) fn row(&self) -> Option<&Arc<Saga>> {
        self.rows.get(&self.id)
    }

    pub(crate) fn definition(&self) -> &'static Definition {
        definition_of(&self.id)
    }

    pub(crate) fn leaf(&self) -> Option<&Entry> {
        self.row()?.entry(self.place?)
    }

    /// The rows above it, the nearest first.
    pub(crate) fn above(&self) -> Vec<Above<'static>> {
        let (mut all, mut id) = (Vec::new(), self.id.clone());
        while let Some(below) = below(&id) {
            let above: Arc<str> = below.above.into();
            let saga = self.rows.get(&above).expect("a row has those above it").clone();
            all.push(Above { saga, definition: definition_of(&above) });
            id = above;
        }
        all
    }

    pub(crate) fn start_input(&self, lines: usize) -> StartInput {
        let lines: Vec<String> = (0..lines).map(|line| line.to_string()).collect();
        let text = format!(r#"{{"id":"k","none":[],"lines":[{}]}}"#, lines.join(","));
        let (event, origin) = (Event::by_hand(text.as_bytes(), b"k", 0), Origin { topic: "alphas", partition: 0 });
        let start = Projections::default().start((self.definition(), 0), 0, &event, origin, BEGIN);
        start.expect("a start can be read").expect("it has no if")
    }

    /// Something comes for the row that is looked at, and is taken.
    pub(crate) fn takes(&mut self, input: Input) {
        let mut rows = Rows(&self.rows, self.definition());
        let Ok(played) = play(&mut rows, &self.breakers, (&self.id, input), (self.now, self.room), &mut Scratch::default());
        for moved in played.unwrap_or_else(|rejection| panic!("{}: {}", self.id, rejection.detail)) {
            self.keeps(moved.id, moved.saga);
        }
    }

    /// The same, and what others are told by it is still on its way.
    pub(crate) fn moves_alone(&mut self, input: &Input) {
        let (definition, above) = (self.definition(), self.above());
        let values = Evaluated::new(definition);
        let basis = Basis { definition, values: &values, breakers: &self.breakers, above: &above };
        let decided = decide(basis, &self.id, self.row(), input, self.now, &mut Scratch::default());
        self.keeps(self.id.clone(), decided.expect("it is taken").saga);
    }

    /// There is no journal: one turn is as good as another.
    fn keeps(&mut self, id: Arc<str>, mut saga: Arc<Saga>) {
        Arc::make_mut(&mut saga).turns.remember(1);
        self.rows.insert(id, saga);
    }

    pub(crate) fn reply_input(&self, step: &str, direction: Direction, attempt: Option<i32>, outcome: Outcome) -> ReplyInput {
        let asked = |entry: &&Entry| entry.order.as_ref().is_some_and(|order| order.step() == step);
        let entry = self.row().and_then(|row| row.entries.iter().find(asked));
        let attempt = attempt.or(entry.map(|entry| i32::from(entry.attempt))).unwrap_or(1);
        ReplyInput { step: step.into(), direction, attempt, outcome }
    }

    /// What a step gives, as far as it is read.
    pub(crate) fn result_of(&self, step: &str) -> Option<Data> {
        let kept = self.definition().step_named(step_of_round(step))?.node.kept()?;
        Some(written(kept, r#"{"n":1}"#))
    }

    fn replies(&mut self, step: &str, direction: Direction, outcome: Outcome) {
        self.takes(Input::Reply(self.reply_input(step, direction, None, outcome)));
    }

    pub(crate) fn done(&mut self, step: &str) {
        let result = self.result_of(step);
        self.replies(step, Direction::Do, Outcome::Succeeded { result });
    }

    pub(crate) fn refused(&mut self, step: &str, code: &str) {
        self.replies(step, Direction::Do, refusal(code));
    }

    pub(crate) fn failed(&mut self, step: &str, code: &str) {
        self.replies(step, Direction::Do, failure(code, false));
    }

    /// It fails, and asking again may help.
    pub(crate) fn fails(&mut self, step: &str) {
        self.replies(step, Direction::Do, failure("BUSY", true));
    }

    pub(crate) fn undone(&mut self, step: &str) {
        self.replies(step, Direction::Undo, Outcome::Succeeded { result: None });
    }

    pub(crate) fn undo_fails(&mut self, step: &str) {
        self.replies(step, Direction::Undo, failure("BUSY", true));
    }

    pub(crate) fn undo_refused(&mut self, step: &str) {
        self.replies(step, Direction::Undo, refusal("NO"));
    }

    /// Time passes until something is due.
    pub(crate) fn time(&mut self) {
        self.now = self.row().expect("it lives").due_at();
        self.takes(Input::Due);
    }

    /// A participant is not asked any more.
    pub(crate) fn closes(&mut self, participant: &str) {
        let opened = BreakerEvent::Opened { by: None, why: "it is not asked now".into() };
        self.breakers.apply(&participant.into(), &opened, self.now);
    }

    pub(crate) fn cancel(&mut self) {
        self.takes(Input::Cancel { why: "changed their mind".into() });
    }

    pub(crate) fn act(&mut self, act: Act) {
        self.takes(Input::Act(self.act_input(act)));
    }

    pub(crate) fn act_input(&self, act: Act) -> ActInput {
        ActInput { act, step: None, by: "ann".into(), why: "looked at it".into(), if_turn: None }
    }

    /// An event that the definition listens to; none if it does not.
    pub(crate) fn event_input(&self, event: &str, text: &str) -> Option<EventInput> {
        let (listener, data) = self.event_data(event, text)?;
        Some(EventInput { listener, source: format!("{event}/0/1").into(), data })
    }

    pub(crate) fn event_data(&self, event: &str, text: &str) -> Option<(u16, Data)> {
        let mut all = (0..).zip(&self.definition().listeners);
        let (number, listener) = all.find(|(_, listener)| *listener.event == *event)?;
        let whole = written(&listener.reader, text);
        let mut kept = Vec::new();
        let way = Resolver::new(listener.reader.clone(), listener.kept.clone()).expect("it is kept of that");
        way.resolve(whole.bytes(), &mut kept).expect("it can be read");
        Some((number, Data::new(&kept)))
    }

    pub(crate) fn comes(&mut self, event: &str, text: &str) {
        let event = self.event_input(event, text).expect("it is listened to");
        self.takes(Input::Event(event));
    }

    /// The value's row writes to the leaf.
    pub(crate) fn claim_input(&self, news: ClaimNews) -> ClaimInput {
        let (place, claims) = (self.place.unwrap_or(0), self.row().map_or(&[][..], |row| row.claims()));
        let at = claims.iter().find(|claim| claim.place == place).map_or(BEGIN, |claim| claim.at);
        ClaimInput { place, at, news }
    }
}

pub(crate) fn refusal(code: &str) -> Outcome {
    Outcome::Refused { code: code.into(), message: "".into() }
}

pub(crate) fn failure(code: &str, retryable: bool) -> Outcome {
    Outcome::Failed { code: code.into(), message: "".into(), retryable }
}

fn written(schema: &Arc<Schema>, text: &str) -> Data {
    let mut bytes = Vec::new();
    json::transcode(schema, text.as_bytes(), &mut bytes).expect("it is what its schema says");
    Data::new(&bytes)
}
