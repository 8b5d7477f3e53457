//! Scripts that are read, and what they answer.

mod changed;
mod hostile;
mod whole;

use expect_test::expect;
use ringmaster_core::definition::{Catalog, DefinitionRecord, Participant as Speaks, Settings};
use ringmaster_schemas::journal::Encoding;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{self, CommandMeta};

use super::answer::Answered;
use super::*;

const CHARGE: &str = r#"{"type": "record", "name": "Charge", "namespace": "payment", "fields": [
    {"name": "order_id", "type": "string"}, {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}]}"#;
const CHARGED: &str =
    r#"{"type": "record", "name": "ChargeResult", "namespace": "payment", "fields": [{"name": "charge_id", "type": "string"}]}"#;
const NO: &str = r#"{"type": "enum", "name": "ChargeRefusal", "namespace": "payment", "symbols": ["DECLINED", "NO_FUNDS"]}"#;
const ORDER: &str = "
saga: order
start: { on: OrderPlaced, from: orders, key: event.order_id }
steps:
  - { step: charge, do: payment.Charge, with: { order_id: key, amount: decimal('1.00') }, undo: payment.Refund }
  - { step: ship, do: shipping.Ship, with: { order_id: key }, pivot: true }
";

/// What a script says of payment with a schema, in Avro, and of shipping without one, in JSON.
fn read(text: &str) -> Result<Script, String> {
    let (mut catalog, mut schemas) = (Catalog::default(), Schemas::builtin());
    let refund = CHARGE.replace("\"Charge\"", "\"Refund\"");
    for text in [CHARGE, CHARGED, NO, &refund] {
        schemas.add(text).expect("a schema");
    }
    let mut settings = Settings::new(&mut schemas);
    settings.participants = [("shipping".to_owned(), Speaks { encoding: Encoding::Json, ..Speaks::default() })].into();
    let records = DefinitionRecord::of_file("order.yaml", ORDER, 0, &mut settings).unwrap_or_else(|errors| panic!("{errors:#?}"));
    catalog.add(&records[0], 0, &mut settings).expect("it compiles again");
    Script::read("script.yaml", text, &catalog, schemas)
        .map_err(|errors| errors.iter().map(|error| format!("{error}\n")).collect::<String>())
}

fn meta(command: &str, order: &str, attempt: i32) -> CommandMeta<'static> {
    let undo = command == "payment.Refund";
    let step = if command.starts_with("payment") { "charge" } else { "ship" };
    let key = |direction: &str| format!("order/{order}/{step}/{direction}");
    CommandMeta {
        command: command.to_owned().into(),
        idempotency_key: key(if undo { "undo" } else { "do" }).into(),
        attempt,
        undoes: undo.then(|| key("do").into()),
        reply_to: "replies".into(),
        reply_partition: 3,
        first_time: 0,
        traceparent: None,
    }
}

/// What is answered to a command, in words.
fn answer(script: &Script, command: &str, order: &str, attempt: i32, body: &str) -> String {
    let mut value = Vec::new();
    wire::put_command_json(&meta(command, order, attempt), body.as_bytes(), &mut value);
    told(script, &value)
}

fn told(script: &Script, value: &[u8]) -> String {
    let (mut counts, mut out) = (Counts::default(), Vec::new());
    let answered = script.answer(value, &mut counts, &mut out);
    assert_eq!(counts.commands, 1);
    let Answered::Reply { reply_to, partition, delay_ms } = answered else { return format!("{answered:?}") };
    assert_eq!((reply_to.as_str(), partition), ("replies", 3));
    let reply = wire::decode_reply(&out, script.schemas()).expect("a reply");
    let body = match reply.body {
        None => "null".to_owned(),
        Some(wire::Body::Json(text)) => text.to_owned(),
        Some(wire::Body::Avro { schema, node, bytes }) => {
            let mut text = "avro ".to_owned();
            ringmaster_schemas::json::render(schema, node, bytes, &mut text).expect("it is valid");
            text
        }
    };
    let meta = reply.meta;
    let code = meta.code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
    let message = meta.message.as_deref().map(|message| format!(" '{message}'")).unwrap_or_default();
    let again = if meta.retryable { " retryable" } else { "" };
    let later = if delay_ms > 0 { format!(" after {delay_ms} ms") } else { String::new() };
    format!("{}{code}{message}{again} {body}{later}", meta.outcome.as_str())
}

#[test]
fn the_first_rule_that_fits_answers() {
    let text = "commands:
  payment.Charge:
    - { if: body.amount > 5000, refused: DECLINED, message: too much }
    - { if: key == 'ord-2', attempts: 1, failed: BUSY }
    - { if: key == 'ord-3', failed: BROKEN, retryable: false, delay: 2s }
    - { if: key == 'ord-4', silent: true }
    - { if: body.order_id == 'ord-5', delay: 200ms }
    - { if: key == 'ord-6' && 1 / (size(key) - 5) > 0, refused: DECLINED }
    - { result: { charge_id: \"'chg-' + body.order_id\" } }
  shipping.Ship: { result: { tracking: \"'trk-' + body.order_id\", to: body.?to.orValue('?') } }
";
    let script = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(script.participants(), ["payment", "shipping"]);
    let charge = |order: &str, attempt, amount: &str| {
        answer(&script, "payment.Charge", order, attempt, &format!(r#"{{"order_id":"{order}","amount":"{amount}"}}"#))
    };
    assert_eq!(charge("ord-1", 1, "5000.00"), r#"succeeded {"charge_id":"chg-ord-1"}"#);
    assert_eq!(charge("ord-1", 1, "5000.01"), "refused DECLINED 'too much' null");
    assert_eq!(charge("ord-2", 1, "1.00"), "failed BUSY retryable null");
    assert_eq!(charge("ord-2", 2, "1.00"), r#"succeeded {"charge_id":"chg-ord-2"}"#);
    assert_eq!(charge("ord-3", 1, "1.00"), "failed BROKEN null after 2000 ms");
    assert_eq!(charge("ord-4", 1, "1.00"), "Silent");
    assert_eq!(charge("ord-5", 1, "1.00"), r#"succeeded {"charge_id":"charge_id"} after 200 ms"#);
    assert_eq!(charge("ord-6", 1, "1.00"), "failed SCRIPT 'DIVISION_BY_ZERO: divided by zero (script.yaml:8:13)' null");
    assert!(charge("ord-7", 1, "much").starts_with("failed BAD_COMMAND '"), "{}", charge("ord-7", 1, "much"));
    let ship = |body| answer(&script, "shipping.Ship", "ord-1", 1, body);
    assert_eq!(ship(r#"{"order_id":"ord-1"}"#), r#"succeeded {"tracking":"trk-ord-1","to":"?"}"#);
    assert_eq!(ship(r#"{"order_id":"ord-1","to":"EU"}"#), r#"succeeded {"tracking":"trk-ord-1","to":"EU"}"#);
}

#[test]
fn what_no_rule_is_for_succeeds_and_undos_have_no_result() {
    let script = read("participants: [ payment, shipping ]").unwrap_or_else(|errors| panic!("{errors}"));
    let body = r#"{"order_id":"ord-1","amount":"1.00"}"#;
    assert_eq!(answer(&script, "payment.Charge", "ord-1", 1, body), r#"succeeded {"charge_id":"charge_id"}"#);
    assert_eq!(answer(&script, "payment.Refund", "ord-1", 1, body), "succeeded null");
    assert_eq!(answer(&script, "shipping.Ship", "ord-1", 1, "{}"), "succeeded null");
    assert_eq!(answer(&script, "shipping.Unheard", "ord-1", 1, "{}"), "succeeded null");
    let refusing = read("commands: { payment.Refund: { refused: GONE } }").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(answer(&refusing, "payment.Refund", "ord-1", 1, body), "refused GONE null");
}

#[test]
fn a_command_in_avro_is_answered_in_avro() {
    let script = read("commands: { payment.Charge: { if: body.amount == 7, result: { charge_id: key } } }");
    let script = script.unwrap_or_else(|errors| panic!("{errors}"));
    let schemas = script.schemas();
    let mut body = Vec::new();
    let charge = schemas.named("payment.Charge").expect("it is known");
    ringmaster_schemas::json::transcode(charge, br#"{"order_id":"ord-1","amount":"7"}"#, &mut body).expect("a body");
    let envelope = schemas.named("payment.ChargeCommand").expect("its envelope is known").fingerprint();
    let mut value = Vec::new();
    wire::put_command_avro(&meta("payment.Charge", "ord-1", 1), envelope, &body, &mut value);
    assert_eq!(told(&script, &value), r#"succeeded avro {"charge_id":"ord-1"}"#);
    assert!(told(&script, &value[..20]).starts_with("Not("));
    assert!(told(&script, b"{}").starts_with("Not("));
}

#[test]
fn a_share_of_keys_is_answered_always_in_the_same_way() {
    let script =
        read("commands: { payment.Charge: { share: 0.3, refused: NO_FUNDS } }").unwrap_or_else(|errors| panic!("{errors}"));
    let all = |attempt| -> Vec<bool> {
        let body = r#"{"order_id":"x","amount":"1.00"}"#;
        (0..400).map(|n| answer(&script, "payment.Charge", &format!("ord-{n}"), attempt, body).starts_with("refused")).collect()
    };
    let first = all(1);
    let refused = first.iter().filter(|refused| **refused).count();
    assert!((80..160).contains(&refused), "{refused} of 400");
    assert_eq!(first, all(2), "attempts and processes agree");
}

const SLIPS: &str = "participants: [ paymnt, {} ]
commands:
  payment.Charge:
    - { if: body.amout > 1, refused: DECLIND }
    - { if: steps.x.y, share: 2, attempts: 0, delay: soon }
    - { refused: DECLINED, silent: true }
    - { failed: '', retryable: maybe }
    - { result: { id: key }, message: no }
    - { iff: true }
    - { refused: DECLINED, message: [ too, much ] }
  payment.Chrge: [ {} ]
  shipping.Ship: succeeded
";

#[test]
fn a_slip_in_a_script_is_told_with_its_place() {
    let wrong = |text: &str| read(text).expect_err("it has an error");
    expect![[r#"
        script.yaml:1:17: error: no definition asks a participant 'paymnt'
         1 | participants: [ paymnt, {} ]
           |                 ^^^^^^ did you mean 'payment'?
        script.yaml:1:25: error: a participant's name is needed here, not a map
         1 | participants: [ paymnt, {} ]
           |                         ^^
        script.yaml:4:18: error: payment.Charge has no field 'amout'
         4 |     - { if: body.amout > 1, refused: DECLIND }
           |                  ^^^^^ did you mean 'amount'?
        script.yaml:4:38: error: payment.Charge is not refused with 'DECLIND'
         4 |     - { if: body.amout > 1, refused: DECLIND }
           |                                      ^^^^^^^ did you mean 'DECLINED'?
        script.yaml:5:19: error: there is no step 'x'
         5 |     - { if: steps.x.y, share: 2, attempts: 0, delay: soon }
           |                   ^ no step here gives a result
        script.yaml:5:31: error: share is a number from 0 to 1
         5 |     - { if: steps.x.y, share: 2, attempts: 0, delay: soon }
           |                               ^
        script.yaml:5:44: error: attempts is a whole number from 1
         5 |     - { if: steps.x.y, share: 2, attempts: 0, delay: soon }
           |                                            ^
        script.yaml:5:54: error: 'soon' is not a duration
         5 |     - { if: steps.x.y, share: 2, attempts: 0, delay: soon }
           |                                                      ^^^^ a duration is written as 200ms, 10s, 5m, 1h30m, 14d
        script.yaml:6:36: error: a rule has one answer
         6 |     - { refused: DECLINED, silent: true }
           |                                    ^^^^ one of refused, failed, silent, result; none is success
        script.yaml:7:17: error: a code is needed here
         7 |     - { failed: '', retryable: maybe }
           |                 ^^ for example OUT_OF_STOCK
        script.yaml:7:32: error: retryable is true or false
         7 |     - { failed: '', retryable: maybe }
           |                                ^^^^^
        script.yaml:8:17: error: payment.ChargeResult needs the field 'charge_id' (string)
         8 |     - { result: { id: key }, message: no }
           |                 ^^^^^^^^^^^ write charge_id: and what it is
        script.yaml:8:19: error: payment.ChargeResult has no field 'id'
         8 |     - { result: { id: key }, message: no }
           |                   ^^ there are: charge_id
        script.yaml:8:39: error: message goes with refused or failed
         8 |     - { result: { id: key }, message: no }
           |                                       ^^
        script.yaml:9:9: error: a rule has no 'iff'
         9 |     - { iff: true }
           |         ^^^ did you mean 'if'?
        script.yaml:10:37: error: a message is needed here, not a list
         10 |     - { refused: DECLINED, message: [ too, much ] }
            |                                     ^^^^^^^^^^^^^
        script.yaml:11:3: error: no definition asks 'payment.Chrge', and there is no schema of it
         11 |   payment.Chrge: [ {} ]
            |   ^^^^^^^^^^^^^ did you mean 'payment.Charge'?
        script.yaml:12:18: error: rules of shipping.Ship are needed here, not a single value
         12 |   shipping.Ship: succeeded
            |                  ^^^^^^^^^ - { if: body.amount > 5000, refused: CODE }
    "#]]
    .assert_eq(&wrong(SLIPS));
}

#[test]
fn a_script_that_is_none_says_what_one_is() {
    let wrong = |text: &str| read(text).expect_err("it has an error");
    expect![[r#"
        script.yaml:1:15: error: participants is a list, not a single value
         1 | participants: payment
           |               ^^^^^^^ [ payment, shipping ]
        script.yaml:2:11: error: commands is a map, not a list
         2 | commands: [ ]
           |           ^^^ participants: [ NAME, ... ], commands: { COMMAND: [ RULE, ... ] }
    "#]]
    .assert_eq(&wrong("participants: payment\ncommands: [ ]\n"));
    expect![[r#"
        script.yaml:1:1: error: it answers for nobody
         1 | {}
           | ^^ participants: [ NAME, ... ], commands: { COMMAND: [ RULE, ... ] }
    "#]]
    .assert_eq(&wrong("{}"));
    expect![[r#"
        script.yaml:1:1: error: a script is one document
         1 | a: 1
           | ^ participants: [ NAME, ... ], commands: { COMMAND: [ RULE, ... ] }
    "#]]
    .assert_eq(&wrong("a: 1\n---\nb: 2\n"));
}
