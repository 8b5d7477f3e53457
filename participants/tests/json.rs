//! Commands in JSON as any program may write them: with escapes, in any order, with more than is needed. Each is answered, once.

mod common;

use common::{REPLIES, START, World};
use ringmaster_participants::services::Payment;
use ringmaster_schemas::wire::Outcome;

/// A charge of `order` as JSON; `key` and the members behind are JSON texts as they are.
fn charge(key: &str, order: &str, members: &str) -> String {
    format!(
        r#"{{"meta":{{"command":"payment.Charge","idempotency_key":{key},"attempt":1,"undoes":null,"reply_to":"{REPLIES}","reply_partition":0,"first_time":{START}{members}}},"body":{{"order_id":{order},"amount":"1.00","currency":"EUR"}}}}"#
    )
}

/// Sends it, and expects that it is done and answered.
fn is_done(value: &str, saga: &str, charge_id: &str) {
    let mut world = World::new(Payment::demo);
    world.send_raw(saga, value.as_bytes());
    world.settle();
    let reply = world.only_reply_to(&format!("order-fulfilment/{saga}/charge_payment/do"));
    assert_eq!((reply.outcome, reply.code), (Outcome::Succeeded, None), "{value}");
    let result: serde_json::Value = serde_json::from_str(&reply.result.expect("a result")).expect("JSON");
    assert_eq!(result["charge_id"], charge_id, "{value}");
    assert_eq!(world.net("EUR"), 100, "{value}");
}

#[test]
fn escapes_are_read_wherever_they_stand() {
    let plain = r#""order-fulfilment/ord-1/charge_payment/do""#;
    for key in
        [plain, r#""order-fulfilment\/ord-1\/charge_payment\/do""#, r#""\u006frder-fulfilment/ord\u002D1/charge_payment/do""#]
    {
        is_done(&charge(key, r#""ord-1""#, ""), "ord-1", "chg-ord-1");
    }
    for (order, charge_id) in [
        (r#""ord \"1\"""#, "chg-ord \"1\""),
        (r#""a\\b\tc""#, "chg-a\\b\tc"),
        (r#""\ud83c\udfaa\u00fc""#, "chg-🎪ü"),
        ("\"🎪\"", "chg-🎪"),
    ] {
        is_done(&charge(plain, order, ""), "ord-1", charge_id);
    }
    let whole = charge(plain, r#""ord-1""#, "");
    is_done(&whole.replace("payment.Charge", r"payment\u002eCharge"), "ord-1", "chg-ord-1");
    is_done(&whole.replace(REPLIES, &REPLIES.replace('.', r"\u002E")), "ord-1", "chg-ord-1");
    is_done(&whole.replace("\"attempt\"", r#""\u0061ttempt""#), "ord-1", "chg-ord-1");
}

#[test]
fn a_trace_context_of_any_form_keeps_no_command_from_its_answer() {
    let key = r#""order-fulfilment/ord-1/charge_payment/do""#;
    for traceparent in [
        r#""00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01""#,
        r#""a \"quote\" and a \\ backslash""#,
        r#""\u0000\ud83c\udfaa""#,
        "null",
        "17",
        "[\"00\"]",
        "{\"a\":{}}",
    ] {
        is_done(&charge(key, r#""ord-1""#, &format!(r#","traceparent":{traceparent}"#)), "ord-1", "chg-ord-1");
    }
    let twice = r#","traceparent":"a","more":[1],"traceparent":"b""#;
    is_done(&charge(key, r#""ord-1""#, twice), "ord-1", "chg-ord-1");
}

#[test]
fn an_undo_named_with_escapes_undoes() {
    let mut world = World::new(Payment::demo);
    world.send_raw("ord-1", charge(r#""order-fulfilment/ord-1/charge_payment/do""#, r#""ord-1""#, "").as_bytes());
    let undo = charge(r#""order-fulfilment/ord-1/charge_payment/undo""#, r#""ord-1""#, "")
        .replace("payment.Charge", "payment.Refund")
        .replace(r#""undoes":null"#, r#""undoes":"order-fulfilment\/ord-1\/charge_payment\/do""#);
    world.send_raw("ord-1", undo.as_bytes());
    world.settle();
    assert_eq!(world.only_reply_to("order-fulfilment/ord-1/charge_payment/undo").outcome, Outcome::Succeeded);
    assert_eq!(world.net("EUR"), 0);
}
