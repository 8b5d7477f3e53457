//! `eval`: what an expression gives for an event, before it stands in a definition.

use std::io::Write;
use std::path::Path;

use ringmaster_core::definition::{Budget, CompileError, Environment, Settings, Verb, compile};
use ringmaster_schemas::avro::Resolver;
use ringmaster_schemas::json;
use ringmaster_schemas::registry::Schemas;

use super::definitions::{load_schemas, say};
use super::exit::{Exit, Failure};
use crate::config::Config;
use crate::runtime;

/// The type of an event that none is named for: it has no schema.
const ANY: &str = "AnyEvent";
/// What stands before an expression in its line, and which line that is.
const INDENT: usize = 10;
const LINE: usize = 9;

/// What is evaluated, on what.
pub(super) struct Question<'a> {
    pub(super) expression: &'a str,
    /// A JSON object; `-` for standard input, none for an event without fields.
    pub(super) event: Option<&'a Path>,
    /// The event's type, for its schema.
    pub(super) kind: Option<&'a str>,
    /// The saga's key.
    pub(super) key: &'a str,
}

/// `ringmaster eval EXPRESSION`
pub(super) fn eval(config: &Config, question: &Question<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut schemas = load_schemas(&config.schemas)?;
    if let Some(kind) = question.kind
        && schemas.named(kind).is_none()
    {
        let folder = config.schemas.display();
        return Err(Failure::new(Exit::Usage, format_args!("{folder} has no schema {kind}; without --type no field is checked")));
    }
    say(out, format_args!("{}", value(&mut schemas, question)?))
}

/// The value as JSON. The expression is that of a saga that emits it, so that it means here what it means there.
fn value(schemas: &mut Schemas, question: &Question<'_>) -> Result<String, Failure> {
    let expression = question.expression.replace(['\n', '\r'], " ");
    let expression = expression.trim();
    let kind = question.kind.unwrap_or(ANY);
    let text = format!(
        "saga: eval\nstart: {{ on: {kind}, from: events }}\nsteps:\n  - step: the_expression\n    emit: {ANY}\n    to: values\n    with:\n      value: |\n{:INDENT$}{expression}\n",
        ""
    );
    let compiled = compile("expression", &text, &mut Settings::new(schemas));
    let definition = compiled.map_err(|errors| refused(errors, expression))?.remove(0);
    let [_, node] = &definition.nodes[..] else { unreachable!("the root, and one step") };
    let Verb::Emit(emit) = &node.verb else { unreachable!("it emits") };
    let event = read(question.event)?;
    let wrong = |why: &dyn std::fmt::Display| Failure::new(Exit::Failed, format_args!("the event: {why}"));
    let (mut whole, mut kept, mut body) = (Vec::new(), Vec::new(), Vec::new());
    json::transcode(&definition.starts[0].reader, event.as_bytes(), &mut whole).map_err(|error| wrong(&error))?;
    let resolver =
        Resolver::new(definition.starts[0].reader.clone(), definition.start_kept.clone()).map_err(|error| wrong(&error))?;
    resolver.resolve(&whole, &mut kept).map_err(|error| wrong(&error))?;
    let now = runtime::wall();
    let budget = Budget::new();
    let environment = Environment { start: &kept, ..Environment::without_saga(question.key, now, &budget) };
    emit.body.render(&environment, &mut body).map_err(|error| {
        let (code, message) = (error.code, &error.message);
        let asks = ["start", "event"].iter().any(|word| expression.contains(word));
        let hint = match question.event {
            None if asks => "\nno event was given, so start has no fields: ringmaster eval EXPRESSION --event FILE",
            Some(_) if code == "ABSENT" => "\nwhere it may be missing, read it as x.?FIELD.orValue(...), or ask has(x.FIELD) first",
            _ => "",
        };
        Failure::new(Exit::Failed, format_args!("{code}: {message}{hint}"))
    })?;
    let body: serde_json::Value = serde_json::from_slice(&body).map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(body["value"].to_string())
}

/// The errors, as if the expression stood alone.
fn refused(errors: Vec<CompileError>, expression: &str) -> Failure {
    // What stands elsewhere is about the expression as a whole.
    let alone = |error: CompileError| match error.line {
        LINE => {
            CompileError { line: 1, column: error.column.saturating_sub(INDENT).max(1), source: expression.to_owned(), ..error }
        }
        _ => CompileError { line: 1, column: 1, length: 1, source: expression.to_owned(), ..error },
    };
    let texts: Vec<String> = errors.into_iter().map(|error| with_hint(alone(error)).to_string()).collect();
    Failure::new(Exit::Definition, texts.join("\n"))
}

/// What names of a definition mean where there is none.
fn with_hint(error: CompileError) -> CompileError {
    let hint = match error.message.as_str() {
        message if message.starts_with("there is no rule") => "eval knows no rules: write the rule's own expression here",
        message if message.starts_with("there is no step") => "eval knows no steps: it is as if none had run",
        message if message.starts_with("event is only there") => "here, as in steps, the event is called start: start.FIELD",
        message if message.starts_with("nothing has failed") => "eval knows no failure: it is as if all went well",
        _ => return error,
    };
    CompileError { hint: hint.to_owned(), ..error }
}

fn read(path: Option<&Path>) -> Result<String, Failure> {
    match path {
        None => Ok("{}".to_owned()),
        Some(path) if path == Path::new("-") => {
            let text = std::io::read_to_string(std::io::stdin());
            text.map_err(|error| Failure::new(Exit::Failed, format_args!("-: {error}")))
        }
        Some(path) => Ok(runtime::read_text(path)?),
    }
}
