//! What a story file says, line by line.

use ringmaster_schemas::Millis;
use ringmaster_schemas::names::Direction;

/// A story as it is written.
#[derive(Debug)]
pub struct Script {
    /// Every line at the margin, in order.
    pub lines: Vec<Line>,
}

/// A line at the margin.
#[derive(Debug)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// As it is written.
    pub text: String,
    /// What it means.
    pub act: Act,
}

/// What a line means.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Nothing: a title, a remark, an empty line.
    Nothing,
    /// Which definition.
    Saga(String),
    /// An expression that cannot be computed in this story.
    Broken(Place),
    /// Its start event comes, so old.
    Start { event: String, age_ms: Millis, json: String },
    /// Another event once more: which one of those that came, from 1.
    SameEvent { event: String, json: String, number: usize },
    /// The very same start event once more.
    StartAgain,
    /// A participant answers.
    Answer { step: String, direction: Direction, attempt: Option<i32>, outcome: Said },
    /// Nothing comes until something is due, or for a time.
    Silence(Option<Millis>),
    /// A person acts on what is stuck: how, on which step, with which value or code, and why.
    Person { act: String, step: Option<String>, with: Option<String>, why: String },
    /// The same, for another state than the saga is in.
    TooLate(Box<Act>),
    /// It is cancelled, for this reason.
    Cancel(String),
    /// What the next input would cause does not fit into a journal record.
    TooBig(usize),
    /// Another saga waits for this event with this value, or does no more.
    Another { kind: String, value: String, waits: bool },
    /// Nothing is asked of a participant any more.
    Pauses(String),
    /// A participant is asked again: what was parked goes out.
    Resumes(String),
    /// What goes out next of what is parked for a participant does not fit into a journal record.
    ParkedTooBig(String),
    /// How it must end: a word and a code.
    Ends(String, Option<String>),
    /// What must have been undone, in order.
    Undone(Vec<String>),
}

/// Where an expression stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// A step's `if`.
    If(String),
    /// A step's `with`.
    Body(String),
    /// The `with` of a step's undo.
    UndoBody(String),
    /// An emission of the end: `completed` or `compensated`.
    End(String),
}

/// What a participant says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Done, with this result.
    Succeeded(Option<String>),
    /// No.
    Refused(String),
    /// It could not; whether it may be asked again.
    Failed(String, bool),
}

impl Script {
    /// Reads a story; an error says which line cannot be understood.
    pub fn read(text: &str) -> Result<Script, String> {
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with("    ") {
                continue;
            }
            let act = act(line).ok_or_else(|| format!("line {}: '{line}' is not understood", index + 1))?;
            lines.push(Line { number: index + 1, text: line.to_owned(), act });
        }
        Ok(Script { lines })
    }

    /// The definition's name.
    pub fn saga(&self) -> Option<&str> {
        self.lines.iter().find_map(|line| match &line.act {
            Act::Saga(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

fn act(line: &str) -> Option<Act> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match word {
        "" | "#" | "story:" => Act::Nothing,
        "saga:" => Act::Saga(rest.to_owned()),
        "given" => Act::Broken(broken(rest)?),
        "when" => when(rest)?,
        "ends" => match rest.split_once(' ') {
            Some((how, code)) => Act::Ends(how.to_owned(), Some(code.to_owned())),
            None => Act::Ends(rest.to_owned(), None),
        },
        "undone:" => Act::Undone(rest.split(", ").filter(|name| *name != "nothing").map(str::to_owned).collect()),
        _ => return None,
    })
}

fn broken(text: &str) -> Option<Place> {
    let what = text.strip_suffix(" cannot be computed")?;
    let step = |prefix: &str| what.strip_prefix(prefix).map(str::to_owned);
    if let Some(step) = step("the if of ") {
        return Some(Place::If(step));
    }
    if let Some(step) = step("the body of the undo of ") {
        return Some(Place::UndoBody(step));
    }
    if let Some(step) = step("the body of ") {
        return Some(Place::Body(step));
    }
    step("the event of on_").map(Place::End)
}

fn when(text: &str) -> Option<Act> {
    if text == "the same event comes again" {
        return Some(Act::StartAgain);
    }
    if let Some(why) = text.strip_prefix("it is cancelled: ") {
        return Some(Act::Cancel(why.to_owned()));
    }
    if let Some(act) = text.strip_prefix("a person who saw another state ") {
        return person(act).map(|act| Act::TooLate(Box::new(act)));
    }
    if let Some(act) = text.strip_prefix("a person ") {
        return person(act);
    }
    if let Some(what) = text.strip_prefix("another saga waits for ") {
        let (kind, value) = what.split_once(" with ")?;
        return Some(Act::Another { kind: kind.to_owned(), value: value.to_owned(), waits: true });
    }
    if let Some(what) = text.strip_prefix("another saga waits no more for ") {
        let (kind, value) = what.split_once(" with ")?;
        return Some(Act::Another { kind: kind.to_owned(), value: value.to_owned(), waits: false });
    }
    if text == "no answer comes" {
        return Some(Act::Silence(None));
    }
    if let Some(time) = text.strip_prefix("no answer comes for ") {
        return Some(Act::Silence(Some(millis(time)?)));
    }
    if let Some(participant) = text.strip_suffix(" is paused") {
        return Some(Act::Pauses(participant.to_owned()));
    }
    if let Some(participant) = text.strip_suffix(" is resumed") {
        return Some(Act::Resumes(participant.to_owned()));
    }
    if let Some(participant) = text.strip_prefix("what goes out for ").and_then(|rest| rest.strip_suffix(" is too big")) {
        return Some(Act::ParkedTooBig(participant.to_owned()));
    }
    if let Some(bytes) = text.strip_prefix("what comes next takes ").and_then(|rest| rest.strip_suffix(" bytes")) {
        return Some(Act::TooBig(bytes.parse().ok()?));
    }
    if let Some((who, said)) = text.split_once(" answers ") {
        return answer(who, said);
    }
    let (event, json) = text.split_once(" {")?;
    if let Some((event, number)) = event.split_once(" again, event ") {
        return Some(Act::SameEvent { event: event.to_owned(), json: expand(&format!("{{{json}")), number: number.parse().ok()? });
    }
    let (event, age_ms) = match event.split_once(" of ") {
        Some((event, age)) => (event, millis(age.strip_suffix(" ago")?)?),
        None => (event, 0),
    };
    Some(Act::Start { event: event.to_owned(), age_ms, json: expand(&format!("{{{json}")) })
}

/// `pauses`, `resumes`, `retries`, `skips fly`, `skips fly with {...}`, `resolves ship as succeeded {...}`, `resolves ship as refused CODE`, `cancels`,
/// `approves`, `refuses large_order`; behind a colon why.
fn person(text: &str) -> Option<Act> {
    let (text, why) = text.rsplit_once(": ")?;
    let (act, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (step, with) = match rest.split_once(" with ").or_else(|| rest.split_once(" as ")) {
        Some((step, with)) => (step, Some(expand(with))),
        None => (rest, None),
    };
    let step = (!step.is_empty()).then(|| step.to_owned());
    Some(Act::Person { act: act.to_owned(), step, with, why: why.to_owned() })
}

fn answer(who: &str, said: &str) -> Option<Act> {
    let (attempt, who) = match who.strip_prefix("attempt ") {
        Some(rest) => {
            let (number, who) = rest.split_once(" of ")?;
            (Some(number.parse().ok()?), who)
        }
        None => (None, who),
    };
    let (direction, step) = match who.strip_prefix("the undo of ") {
        Some(step) => (Direction::Undo, step),
        None => (Direction::Do, who),
    };
    let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
    let outcome = match word {
        "succeeded" => Said::Succeeded((!rest.is_empty()).then(|| expand(rest))),
        "refused" => Said::Refused(rest.to_owned()),
        "failed" => match rest.strip_suffix(" for good") {
            Some(code) => Said::Failed(code.to_owned(), false),
            None => Said::Failed(rest.to_owned(), true),
        },
        _ => return None,
    };
    Some(Act::Answer { step: step.to_owned(), direction, attempt, outcome })
}

/// `<300000 bytes>` in a JSON text stands for so many letters.
fn expand(json: &str) -> String {
    let mut out = String::new();
    let mut rest = json;
    while let Some((before, behind)) = rest.split_once('<') {
        out.push_str(before);
        let count = behind.split_once(" bytes>").and_then(|(count, behind)| Some((count.parse::<usize>().ok()?, behind)));
        match count {
            Some((count, behind)) => {
                out.push_str(&"x".repeat(count));
                rest = behind;
            }
            None => {
                out.push('<');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

/// `200ms`, `10s`, `5m`, `24h`, `3d`.
fn millis(text: &str) -> Option<Millis> {
    let split = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(number.parse::<Millis>().ok()? * unit)
}
