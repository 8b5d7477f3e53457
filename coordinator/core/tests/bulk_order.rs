//! The library's bulk order with thousands of lines, in virtual time: each line is done once, in a row of its own, never too many at once;
//! results stand in the order of the lines; and where the order is undone, all that was done is, once each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use ringmaster_core::definition::{Definition, Participant, Settings, compile};
use ringmaster_core::intake::{Answer, Event, Origin, Projections};
use ringmaster_core::saga::{Breakers, Family, Input, Moved, Room, Scratch, Sender, apply, effects, order_of, play};
use ringmaster_schemas::journal::{Emission, Encoding, SagaEvent};
use ringmaster_schemas::names::{Direction, below, command_topic, parse_idempotency_key, participant_of};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Saga, Status};
use ringmaster_schemas::wire::{self, Framing, Outcome, ReplyMeta};
use ringmaster_schemas::{Millis, json};
use serde_json::Value;

const LINES: usize = 5_000;
/// As the definition says.
const AT_ONCE: usize = 20;
/// Every so many lines one is out of stock.
const OUT_OF_STOCK_EVERY: usize = 7;
const ID: &str = "bulk-order/o-1";
/// Another refusal than that a line is out of stock.
const UNKNOWN_ITEM: &str = "UNKNOWN_ITEM";

/// What a participant says: a result, or why it refuses.
type Said = Result<String, &'static str>;

/// The definition, and the schemas of its participants and events.
struct Known {
    definition: Definition,
    schemas: Schemas,
}

impl Known {
    fn load() -> Known {
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sagas/library");
        let mut schemas = Schemas::load_folder(&library.join("schemas")).expect("the library's schemas are right");
        let text = std::fs::read_to_string(library.join("bulk-order.yaml")).expect("it is in the library");
        let mut settings = Settings::new(&mut schemas);
        for name in ["inventory", "purchasing", "payment", "shipping"] {
            settings.participants.insert(name.to_owned(), Participant { encoding: Encoding::Json, ..Participant::default() });
        }
        let definition = compile("bulk-order.yaml", &text, &mut settings).expect("it is right").remove(0);
        Known { definition, schemas }
    }
}

struct Rows<'r, 'd> {
    rows: &'r BTreeMap<Arc<str>, Arc<Saga>>,
    definition: &'d Definition,
}

impl<'d> Family<'d> for Rows<'_, 'd> {
    type Error = Infallible;

    fn row(&mut self, id: &Arc<str>) -> Result<Option<Arc<Saga>>, Infallible> {
        Ok(self.rows.get(id).cloned())
    }

    fn definition(&self, _: &Saga) -> Result<&'d Definition, Infallible> {
        Ok(self.definition)
    }

    fn starting(&self) -> Option<&'d Definition> {
        Some(self.definition)
    }
}

/// A command that is on its way.
struct Command {
    key: String,
    name: String,
    /// The line that it is for.
    line: usize,
    direction: Direction,
}

/// One order, its rows, and participants that answer once each, in any order.
struct Shop<'d> {
    known: &'d Known,
    now: Millis,
    random: fastrand::Rng,
    rows: BTreeMap<Arc<str>, Arc<Saga>>,
    /// Rows of lines that are under way.
    live: BTreeSet<Arc<str>>,
    most: usize,
    /// Rows with something to do that waits for nothing.
    ready: VecDeque<Arc<str>>,
    commands: Vec<Command>,
    /// All keys that were asked: none twice.
    asked: BTreeSet<String>,
    /// By a command's key without its direction: what was done, and undone.
    done: BTreeMap<String, i32>,
    undone: BTreeMap<String, i32>,
    /// Lines whose undos were asked for, in this order.
    undos: Vec<usize>,
    /// Lines that were under way when one was not known.
    stopped: BTreeSet<usize>,
    told: Vec<Emission>,
    projections: Projections,
    scratch: Scratch,
}

impl<'d> Shop<'d> {
    fn new(known: &'d Known) -> Shop<'d> {
        Shop {
            known,
            now: 1_900_000_000_000,
            random: fastrand::Rng::with_seed(7),
            rows: BTreeMap::new(),
            live: BTreeSet::new(),
            most: 0,
            ready: VecDeque::new(),
            commands: Vec::new(),
            asked: BTreeSet::new(),
            done: BTreeMap::new(),
            undone: BTreeMap::new(),
            undos: Vec::new(),
            stopped: BTreeSet::new(),
            told: Vec::new(),
            projections: Projections::default(),
            scratch: Scratch::default(),
        }
    }

    /// Places an order of so many lines and plays it to its end.
    fn play(&mut self, lines: usize, says: &dyn Fn(&Command) -> Said) {
        let lines: Vec<String> = (0..lines).map(|line| format!(r#"{{"sku":"{}","qty":1,"price":"0.01"}}"#, sku(line))).collect();
        let event = format!(r#"{{"order_id":"o-1","customer_id":"c-1","lines":[{}]}}"#, lines.join(","));
        let (event, origin) = (Event::by_hand(event.as_bytes(), b"", 0), Origin { topic: "bulk-orders", partition: 0 });
        let start = self.projections.start((&self.known.definition, 0), 0, &event, origin, self.now);
        self.turn(&ID.into(), Input::Start(start.expect("it can be read").expect("it has lines")));
        loop {
            if let Some(id) = self.ready.pop_front() {
                self.turn(&id, Input::Work);
            } else if !self.commands.is_empty() {
                let any = self.random.usize(..self.commands.len());
                let command = self.commands.swap_remove(any);
                let said = says(&command);
                self.answer(&command, said);
            } else {
                return;
            }
        }
    }

    fn turn(&mut self, id: &Arc<str>, input: Input) {
        self.now += 1;
        let mut rows = Rows { rows: &self.rows, definition: &self.known.definition };
        let Ok(played) = play(&mut rows, &Breakers::default(), (id, input), (self.now, Room::USUAL), &mut self.scratch);
        for moved in played.expect("it is taken") {
            self.moved(moved);
            self.most = self.most.max(self.live.len());
            assert!(self.live.len() <= AT_ONCE, "{} lines are under way at once", self.live.len());
        }
    }

    fn moved(&mut self, moved: Moved<'_>) {
        let (id, mut row) = (moved.id, moved.before);
        for event in &moved.events {
            apply(&id, &mut row, event, self.now).expect("a decided event is legal");
            let behind = row.clone().expect("it is there");
            match event {
                SagaEvent::Completed { emissions, .. } | SagaEvent::Compensated { emissions, .. } => {
                    self.told.extend(emissions.iter().cloned());
                }
                event => self.send(&behind, event),
            }
        }
        let saga = moved.saga;
        for rows in saga.entries.iter().filter_map(|entry| entry.children()) {
            assert!(rows.open.len() <= AT_ONCE, "the order knows of {} lines under way", rows.open.len());
        }
        match saga.status {
            Status::Running | Status::Compensating if saga.is_below() => drop(self.live.insert(id.clone())),
            _ => drop(self.live.remove(&id)),
        }
        if saga.has_work() && !self.ready.contains(&id) {
            self.ready.push_back(id.clone());
        }
        match saga.status {
            Status::Swept => drop(self.rows.remove(&id)),
            _ => drop(self.rows.insert(id, saga)),
        }
    }

    fn send(&mut self, behind: &Arc<Saga>, event: &SagaEvent) {
        let sender =
            Sender { id: &behind.id, head: &behind.head, at: self.now, reply_topic: "replies", partition: 0, tracing: None };
        let mut topic_of = |command: &str| -> Arc<str> { command_topic(participant_of(command)).into() };
        let mut sent = Vec::new();
        effects(sender, event, order_of(behind, event), &mut topic_of, &mut String::new(), &mut sent);
        for effect in sent {
            let command = wire::decode_command(effect.value(), &self.known.schemas).expect("it can be read");
            let (key, name) = (command.meta.idempotency_key.into_owned(), command.meta.command.into_owned());
            assert_eq!(effect.key(), b"o-1", "keyed by the order");
            assert!(self.asked.insert(key.clone()), "{key} is asked twice");
            let (row, _, direction) = parse_idempotency_key(&key).expect("a key");
            let line = line_of(row);
            if direction == Direction::Undo {
                self.undos.push(line);
            }
            self.commands.push(Command { key, name, line, direction });
        }
    }

    fn answer(&mut self, command: &Command, said: Said) {
        let (outcome, code, body) = match &said {
            Ok(body) => (Outcome::Succeeded, None, Some(body.as_bytes())),
            Err(code) => (Outcome::Refused, Some((*code).into()), None),
        };
        let (row, step, direction) = parse_idempotency_key(&command.key).expect("a key");
        let ledger = if direction == Direction::Do { &mut self.done } else { &mut self.undone };
        if said.is_ok() {
            *ledger.entry(format!("{row}/{step}")).or_default() += 1;
        }
        if said == Err(UNKNOWN_ITEM) {
            self.stopped = self.live.iter().map(|id| line_of(id)).collect();
        }
        let key = command.key.as_str().into();
        let meta = ReplyMeta { idempotency_key: key, attempt: 1, outcome, code, message: None, retryable: false };
        let mut bytes = Vec::new();
        wire::put_reply_json(&meta, body, &mut bytes);
        let answer = Answer::read(&bytes, &self.known.schemas).expect("it can be read");
        let input = self.projections.reply(&answer, Some(&self.known.definition)).expect("it fits");
        self.turn(&row.into(), Input::Reply(input));
    }

    /// How the order ended, and what was told of it; nothing of its lines is left.
    fn ended(&self) -> (Status, Value) {
        let rows: Vec<_> = self.rows.keys().map(|id| &**id).collect();
        assert_eq!(rows, [ID], "the rows of lines go with the order's");
        let [emission] = &self.told[..] else { panic!("{:?} are told", self.told) };
        let Framing::SingleObject { fingerprint, body } = wire::recognise(&emission.body) else { panic!("it is Avro") };
        let schema = self.known.schemas.by_fingerprint(fingerprint).expect("it is the library's");
        let mut text = String::new();
        json::render(schema, schema.root(), body, &mut text).expect("it is what its schema says");
        (self.rows[ID].status, serde_json::from_str(&text).expect("it is JSON"))
    }
}

/// The line that a row is for.
fn line_of(row: &str) -> usize {
    below(row).map_or(0, |below| usize::from(below.index()))
}

/// Three letters: what an order holds has a bound.
fn sku(line: usize) -> String {
    let letter = |number: usize| char::from(b'a' + (number % 26) as u8);
    [line / 676, line / 26, line].into_iter().map(letter).collect()
}

fn is_out_of_stock(line: usize) -> bool {
    line % OUT_OF_STOCK_EVERY == 3
}

/// All goes well: what is out of stock comes later.
fn well(command: &Command) -> Said {
    match &*command.name {
        "inventory.Reserve" if is_out_of_stock(command.line) => Err("OUT_OF_STOCK"),
        "inventory.Reserve" => Ok(r#"{"reservation_id":"r"}"#.to_owned()),
        "payment.Charge" => Ok(r#"{"charge_id":"p"}"#.to_owned()),
        "shipping.ShipLine" => Ok(format!(r#"{{"tracking":"{}"}}"#, sku(command.line))),
        _ => Ok("{}".to_owned()),
    }
}

fn all_goes_well(known: &Known, lines: usize) {
    let mut shop = Shop::new(known);
    shop.play(lines, &well);
    let (status, told) = shop.ended();
    let here = (0..lines).filter(|line| !is_out_of_stock(*line)).count();
    assert_eq!((status, shop.most), (Status::Completed, AT_ONCE));
    assert_eq!(told["paid"], format!("{}.{:02}", here / 100, here % 100));
    let told = told["lines"].as_array().expect("lines");
    assert_eq!(told.len(), lines);
    for (number, line) in told.iter().enumerate() {
        let (state, tracking) = match is_out_of_stock(number) {
            true => ("back_ordered", Value::Null),
            false => ("shipped", Value::String(sku(number))),
        };
        let expected = serde_json::json!({ "sku": sku(number), "qty": 1, "state": state, "tracking": tracking });
        assert_eq!(*line, expected, "line {number}");
    }
    // Each line is reserved or on back-order; what was reserved is shipped; all of it is paid in one sum.
    assert_eq!(shop.done.len(), lines + here + 1);
    assert!(shop.undone.is_empty());
}

fn is_backward(lines: &[usize]) -> bool {
    lines.windows(2).all(|pair| pair[0] > pair[1])
}

/// Whatever was done is undone once, and nothing else is.
fn all_is_undone(shop: &Shop<'_>, code: &str) {
    let (status, told) = shop.ended();
    assert_eq!((status, told["reason"].as_str()), (Status::Compensated, Some(code)));
    assert!(shop.done.values().all(|count| *count == 1));
    let kept: Vec<_> = shop.done.keys().filter(|key| !shop.undone.contains_key(*key)).take(5).collect();
    assert!(kept.is_empty(), "done, and not undone: {kept:?} and more");
    assert!(shop.undone.iter().all(|(key, count)| shop.done.get(key) == Some(count)), "undone is what was done, once");
}

/// The card is declined when all lines are done.
fn what_follows_is_refused(known: &Known, lines: usize) {
    let mut shop = Shop::new(known);
    shop.play(lines, &|command| if command.name == "payment.Charge" { Err("CARD_DECLINED") } else { well(command) });
    all_is_undone(&shop, "CARD_DECLINED");
    assert_eq!((shop.done.len(), shop.most), (lines, AT_ONCE));
    assert_eq!(shop.undos.len(), lines);
    assert!(is_backward(&shop.undos), "the last line is undone first");
}

#[test]
fn each_of_5000_lines_is_done_once_and_told_in_its_order() {
    all_goes_well(&Known::load(), LINES);
}

#[test]
fn what_5000_lines_did_is_undone_where_the_payment_is_refused() {
    what_follows_is_refused(&Known::load(), LINES);
}

/// A line near the end is not known at all: that is the order's mistake, whatever the others came to.
#[test]
fn what_5000_lines_did_is_undone_for_a_late_one() {
    const UNKNOWN: usize = LINES - 30;
    let known = Known::load();
    let mut shop = Shop::new(&known);
    shop.play(LINES, &|command| {
        if command.line == UNKNOWN && command.direction == Direction::Do { Err(UNKNOWN_ITEM) } else { well(command) }
    });
    all_is_undone(&shop, UNKNOWN_ITEM);
    assert!(shop.done.len() > UNKNOWN - AT_ONCE, "nearly all lines were done: {}", shop.done.len());
    // What was under way then stops first; what had ended well is undone backward behind that.
    let ended: Vec<usize> = shop.undos.iter().copied().filter(|line| !shop.stopped.contains(line)).collect();
    assert!(is_backward(&ended) && ended.len() > UNKNOWN - AT_ONCE, "{} of them are undone in another order", ended.len());
}

/// The same with few lines sees what is broken.
#[cfg(feature = "faults")]
#[test]
fn what_is_broken_about_lines_is_seen() {
    use ringmaster_core::faults::mutate;

    type Attack = fn(&Known, usize);
    let attacks: [(&str, Attack, &str); 4] = [
        ("undo_ignores_at_once", what_follows_is_refused, "under way"),
        ("item_not_undone", what_follows_is_refused, "done, and not undone"),
        ("results_in_order_of_end", all_goes_well, "line 0"),
        ("item_started_twice", all_goes_well, "illegal event"),
    ];
    let known = Known::load();
    for (mutant, attack, wrong) in attacks {
        attack(&known, 60);
        mutate(Some(mutant));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| attack(&known, 60)));
        mutate(None);
        let said = caught.expect_err(mutant);
        let said = said.downcast_ref::<String>().expect("it says why");
        assert!(said.contains(wrong), "{mutant}: {said}");
    }
}
