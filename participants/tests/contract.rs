//! What a participant promises: each effect once and every command answered, however often it comes, in whatever order, as Avro
//! or JSON.

mod common;

use common::{As, World, charge, refund, release, reserve, score, ship, undo_of};
use ringmaster_participants::books::{Books, Endowment};
use ringmaster_participants::ledger::{Batch, Ledger, LedgerError};
use ringmaster_participants::service::BodyError;
use ringmaster_participants::services::{Fraud, Inventory, Payment, Shipping};
use ringmaster_participants::{BAD_COMMAND, Call, CommandName, Done, Service, TOO_OLD, UNDONE_BEFORE, UNKNOWN_COMMAND, Verdict};
use ringmaster_schemas::wire::Outcome;

const DAY_MS: i64 = 86_400_000;

fn payment() -> World<Payment> {
    World::new(Payment::demo)
}

fn small_stock() -> Inventory {
    Inventory::new(Endowment { default: 0, listed: [("sku-1".to_owned(), 10), ("sku-2".to_owned(), 3)].into() })
}

#[test]
fn a_command_is_done_and_answered_in_its_own_encoding() {
    let mut world = payment();
    let (avro, json) = (charge("ord-1", "12.30"), charge("ord-2", "7.70").json());
    world.send(&avro);
    world.send(&json);
    world.settle();
    for (command, order) in [(avro, "ord-1"), (json, "ord-2")] {
        let reply = world.only_reply_to(&command.key);
        assert_eq!((reply.outcome, reply.attempt, reply.code.as_deref()), (Outcome::Succeeded, 1, None));
        assert_eq!(reply.result, Some(format!(r#"{{"charge_id":"chg-{order}"}}"#)));
    }
    let first_bytes: Vec<u8> = {
        let log = world.log.borrow();
        let replies = log.records.iter().filter(|((topic, _), _)| topic == common::REPLIES);
        replies.flat_map(|(_, records)| records).map(|(_, value)| value[0]).collect()
    };
    assert!(first_bytes.contains(&0xC3) && first_bytes.contains(&b'{'), "{first_bytes:x?}");
    assert_eq!(world.net("EUR"), 2_000);
    assert_eq!(world.committed_of(), (2, 2));
}

#[test]
fn a_repeat_gets_the_stored_answer_with_its_own_attempt_number_and_does_nothing() {
    let mut world = payment();
    let (good, declined) = (charge("ord-1", "1.00"), charge("ord-2", "5000.01"));
    // Twice in one poll, again in a later one, again after a crash, and in the other encoding.
    for attempt in 1..=2 {
        world.send(&good.again(attempt));
        world.send(&declined.again(attempt));
    }
    world.settle();
    world.send(&good.again(3));
    world.send(&declined.again(3).json());
    world.settle();
    world.crash();
    world.send(&good.again(4).json());
    world.send(&declined.again(4));
    world.settle();
    let replies = world.replies_to(&good.key);
    assert_eq!(replies.iter().map(|reply| reply.attempt).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(replies.iter().all(|reply| reply.outcome == Outcome::Succeeded && reply.result == replies[0].result));
    let replies = world.replies_to(&declined.key);
    assert_eq!(replies.iter().map(|reply| reply.attempt).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(replies.iter().all(|reply| reply.outcome == Outcome::Refused && reply.code.as_deref() == Some("CARD_DECLINED")));
    assert_eq!(world.net("EUR"), 100);
}

#[test]
fn an_undo_gives_back_exactly_what_was_done_once() {
    let mut world = World::new(small_stock);
    let items = [("sku-1", 4), ("sku-2", 3), ("sku-1", 5)];
    world.send(&reserve("ord-1", &items));
    world.settle();
    assert_eq!((world.net("sku-1"), world.net("sku-2")), (9, 3));
    // The undo's body says less than was reserved: what counts is what was done.
    world.send(&release("ord-1", &[("sku-1", 1)]));
    world.send(&release("ord-1", &[("sku-1", 1)]).again(2));
    world.settle();
    assert_eq!((world.net("sku-1"), world.net("sku-2")), (0, 0));
    // Another key that undoes the same do finds nothing left.
    let mut other = release("ord-1", &items);
    other.key = "order-fulfilment/ord-1/reserve_stock~2/undo".to_owned();
    world.send(&other);
    world.settle();
    assert_eq!((world.net("sku-1"), world.net("sku-2")), (0, 0));
    assert_eq!(world.only_reply_to(&other.key).outcome, Outcome::Succeeded);
    let (done, undone) = (world.effect(&reserve("ord-1", &[]).key).unwrap(), world.effect(&release("ord-1", &[]).key).unwrap());
    assert_eq!((done.effect, done.done, done.undone), ("undone", 1, 1));
    assert_eq!(
        (undone.effect, undone.moved),
        ("reversal", vec![("sku-1".to_owned(), 4), ("sku-2".to_owned(), 3), ("sku-1".to_owned(), 5)])
    );
    // The answer to a repeat of the do is still what was answered.
    world.send(&reserve("ord-1", &items).again(2));
    world.settle();
    assert_eq!(world.replies_to(&reserve("ord-1", &[]).key).last().unwrap().outcome, Outcome::Succeeded);
    assert_eq!(world.net("sku-1"), 0);
}

#[test]
fn an_undo_before_its_do_refuses_the_late_do() {
    for (crash_between, one_poll) in [(false, false), (true, false), (false, true)] {
        let mut world = payment();
        world.send(&refund("ord-1", "5.00"));
        if !one_poll {
            world.settle();
        }
        if crash_between {
            world.crash();
        }
        world.send(&charge("ord-1", "5.00"));
        world.send(&charge("ord-1", "5.00").again(2));
        world.send(&refund("ord-1", "5.00").again(2));
        world.settle();
        let late = world.replies_to(&charge("ord-1", "5.00").key);
        assert_eq!(late.len(), 2);
        assert!(late.iter().all(|reply| reply.outcome == Outcome::Refused && reply.code.as_deref() == Some(UNDONE_BEFORE)));
        assert!(world.replies_to(&refund("ord-1", "5.00").key).iter().all(|reply| reply.outcome == Outcome::Succeeded));
        assert_eq!(world.net("EUR"), 0);
        assert_eq!(world.effect(&charge("ord-1", "5.00").key).unwrap().effect, "undone_before");
        assert_eq!(world.effect(&refund("ord-1", "5.00").key).unwrap().effect, "nothing");
    }
}

#[test]
fn the_undo_of_something_refused_succeeds_and_does_nothing() {
    let mut world = payment();
    world.send(&charge("ord-1", "9999.00"));
    world.send(&refund("ord-1", "9999.00"));
    world.settle();
    assert_eq!(world.only_reply_to(&refund("ord-1", "0").key).outcome, Outcome::Succeeded);
    assert_eq!(world.effect(&charge("ord-1", "0").key).unwrap().code.as_deref(), Some("CARD_DECLINED"));
    assert_eq!(world.net("EUR"), 0);
}

#[test]
fn a_command_whose_id_may_be_forgotten_is_too_old_do_and_undo_alike() {
    let mut world = payment();
    world.send(&charge("ord-1", "5.00"));
    world.settle();
    world.now += 30 * DAY_MS + 1_000_000;
    for command in [charge("ord-1", "5.00").again(2), refund("ord-1", "5.00"), charge("ord-2", "5.00"), refund("ord-3", "1")] {
        world.send(&command);
        world.settle();
        let reply = world.replies_to(&command.key).pop().unwrap();
        assert_eq!((reply.outcome, reply.code.as_deref(), reply.retryable), (Outcome::Failed, Some(TOO_OLD), false));
    }
    assert_eq!(world.net("EUR"), 500);
    assert!(!world.has_entry(&charge("ord-2", "5.00").key) && !world.has_entry(&refund("ord-1", "5.00").key));
    // One that is just young enough is done.
    let mut young = charge("ord-4", "1.00");
    young.first_time = world.now - 30 * DAY_MS + 60_000;
    world.send(&young);
    world.settle();
    assert_eq!(world.only_reply_to(&young.key).outcome, Outcome::Succeeded);
}

#[test]
fn ids_are_forgotten_when_nobody_may_ask_any_more_and_not_before() {
    let mut world = payment();
    world.send(&charge("ord-1", "5.00"));
    world.settle();
    world.now += 30 * DAY_MS + DAY_MS / 2;
    world.settle();
    assert!(world.has_entry(&charge("ord-1", "5.00").key));
    world.now += DAY_MS;
    world.settle();
    assert!(!world.has_entry(&charge("ord-1", "5.00").key));
    let audit = ringmaster_participants::audit::Audit::of(&world.ledger, world.now - 31 * DAY_MS).unwrap();
    assert!(audit.closes(), "{:?}", audit.problems);
    assert_eq!(audit.accounts[0].done_units, 500);
}

#[test]
fn what_is_no_command_is_skipped_and_stops_nothing() {
    let mut world = payment();
    let good = world.encode(&charge("ord-1", "5.00"));
    let mut lies = good.clone();
    lies.truncate(lies.len() - 3);
    let mut longer = good.clone();
    longer.push(0);
    let mut foreign = good.clone();
    foreign[5] ^= 0xff;
    let huge_claim = [&good[..10], &[0xfe, 0xff, 0xff, 0xff, 0x0f], &[0; 8]].concat();
    let hostile: [&[u8]; 10] = [
        b"",
        b"garbage",
        b"{",
        b"{}",
        b"{\"meta\":{\"command\":\"payment.Charge\"}}",
        &lies,
        &longer,
        &foreign,
        &huge_claim,
        &[b'['; 100_000],
    ];
    for value in hostile {
        world.send_raw("ord-1", value);
    }
    world.send(&charge("ord-1", "5.00"));
    world.settle();
    assert_eq!(world.participant().counts().undecodable, 10);
    assert_eq!(world.replies().len(), 1);
    assert_eq!(world.net("EUR"), 500);
    assert_eq!(world.committed_of(), (11, 11));
}

#[test]
fn what_is_understood_and_cannot_be_done_is_answered_as_failed() {
    let mut world = payment();
    let mut unknown = charge("ord-1", "5.00").json();
    unknown.name = "payment.Levitate";
    let mut body = charge("ord-2", "5.00").json();
    body.body = r#"{"order_id":"ord-2","amount":"a lot","currency":"EUR"}"#.to_owned();
    let mut no_do = refund("ord-3", "5.00");
    no_do.undoes = None;
    let mut do_with_undoes = charge("ord-4", "5.00");
    do_with_undoes.undoes = Some("order-fulfilment/ord-4/other/do".to_owned());
    for (command, code) in [(unknown, UNKNOWN_COMMAND), (body, BAD_COMMAND), (no_do, BAD_COMMAND), (do_with_undoes, BAD_COMMAND)] {
        world.send(&command);
        world.settle();
        let reply = world.only_reply_to(&command.key);
        assert_eq!((reply.outcome, reply.code.as_deref(), reply.retryable), (Outcome::Failed, Some(code), false), "{command:?}");
        assert!(!world.has_entry(&command.key), "a failure is not remembered");
    }
    assert!(world.audit().effects.is_empty());
}

#[test]
fn an_undo_of_another_command_is_not_taken() {
    let mut world = World::new(small_stock);
    world.send(&reserve("ord-1", &[("sku-1", 1)]));
    world.settle();
    // The release of a release.
    let mut odd = undo_of(&release("ord-2", &[("sku-1", 1)]), "inventory.ReleaseStock");
    world.send(&release("ord-2", &[("sku-1", 1)]));
    odd.undoes = Some(release("ord-2", &[]).key);
    odd.key = "order-fulfilment/ord-2/odd/undo".to_owned();
    world.send(&odd);
    world.settle();
    assert_eq!(world.only_reply_to(&odd.key).code.as_deref(), Some(BAD_COMMAND));
    assert_eq!(world.net("sku-1"), 1);
}

#[test]
fn services_refuse_by_their_rules() {
    let mut world = World::new(small_stock);
    for (order, items, code) in [
        ("ord-1", &[("sku-1", 10)][..], None),
        ("ord-2", &[("sku-1", 1)], Some("OUT_OF_STOCK")),
        ("ord-3", &[("sku-2", 2), ("sku-2", 2)], Some("OUT_OF_STOCK")),
        ("ord-4", &[("never-heard-of", 1)], Some("UNKNOWN_ITEM")),
        ("ord-5", &[("sku-2", 0)], Some("UNKNOWN_ITEM")),
        ("ord-6", &[("sku-2", -1)], Some("UNKNOWN_ITEM")),
        ("ord-7", &[], Some("UNKNOWN_ITEM")),
        ("ord-8", &[("sku-2", 1), ("sku-2", 2)], None),
    ] {
        let command = reserve(order, items);
        world.send(&command);
        world.settle();
        assert_eq!(world.only_reply_to(&command.key).code.as_deref(), code, "{order}");
    }
    assert_eq!((world.net("sku-1"), world.net("sku-2")), (10, 3));

    let mut world: World<Shipping> = World::new(|| {
        let slots = Endowment { default: 5, listed: [("MOON".to_owned(), 1)].into() };
        Shipping::new(slots, vec!["ATLANTIS".to_owned()])
    });
    for (order, region, code) in [
        ("ord-1", "EU", None),
        ("ord-2", "ATLANTIS", Some("ADDRESS_REFUSED")),
        ("ord-3", "MOON", None),
        ("ord-4", "MOON", Some("NO_SLOT")),
    ] {
        let command = ship(order, region);
        world.send(&command);
        world.settle();
        assert_eq!(world.only_reply_to(&command.key).code.as_deref(), code, "{order}");
    }
    assert_eq!((world.net("EU"), world.net("MOON")), (1, 1));
}

#[test]
fn amounts_that_money_does_not_have_are_refused() {
    let mut world = payment();
    let negative = charge("ord-1", "-1.00");
    world.send(&negative);
    world.settle();
    assert_eq!(world.only_reply_to(&negative.key).code.as_deref(), Some("CARD_DECLINED"));
    // Finer than the schema allows: not even a command body.
    let fine = charge("ord-2", "1.001").json();
    world.send(&fine);
    world.settle();
    assert_eq!(world.only_reply_to(&fine.key).code.as_deref(), Some(BAD_COMMAND));
    assert_eq!(world.net("EUR"), 0);
}

#[test]
fn the_audit_finds_an_effect_that_was_applied_twice() {
    use ringmaster_participants::audit::Audit;
    use ringmaster_participants::ledger::Ledger;
    let mut world = payment();
    world.send(&charge("ord-1", "5.00"));
    world.settle();
    // As a service does that does not remember what it did.
    world.ledger.forget(i64::MAX);
    world.send(&charge("ord-1", "5.00").again(2));
    world.settle();
    let audit = Audit::of(&world.ledger, i64::MIN).unwrap();
    assert_eq!((audit.effects.len(), audit.problems.len()), (1, 1), "{:?}", audit.problems);
}

#[test]
fn names_of_services_and_topics_are_those_of_the_wire() {
    assert_eq!((Inventory::NAME, Payment::NAME, Shipping::NAME), ("inventory", "payment", "shipping"));
    assert_eq!(As::Avro, charge("ord-1", "1").encoding);
}

#[test]
fn refusal_codes_are_those_that_the_schemas_list() {
    let source = [
        (include_str!("../src/services/inventory.rs"), include_str!("../../sagas/schemas/inventory/ReserveStockRefusal.avsc")),
        (include_str!("../src/services/payment.rs"), include_str!("../../sagas/schemas/payment/ChargeRefusal.avsc")),
        (include_str!("../src/services/shipping.rs"), include_str!("../../sagas/schemas/shipping/ShipRefusal.avsc")),
    ];
    for (code, schema) in source {
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let mut listed: Vec<&str> = schema["symbols"].as_array().unwrap().iter().map(|symbol| symbol.as_str().unwrap()).collect();
        let constants = code.lines().filter_map(|line| line.strip_prefix("const ")?.split_once(": &str = "));
        let mut used: Vec<&str> = constants.map(|(_, value)| value.trim_matches(['"', ';'])).collect();
        listed.sort_unstable();
        used.sort_unstable();
        assert_eq!(used, listed);
        assert!(!code.contains("refused(\""), "codes are constants");
    }
}

/// A payment service whose bank says nothing.
struct Bankless;

impl Service for Bankless {
    const NAME: &'static str = Payment::NAME;
    const COMMANDS: &'static [CommandName] = Payment::COMMANDS;

    fn settle(&mut self, _: &impl Ledger, _: &mut Batch) -> Result<(), LedgerError> {
        Ok(())
    }

    fn handle(&mut self, call: &Call<'_>, _: &Books, _: &mut Done<'_>) -> Result<Verdict, BodyError> {
        Ok(Verdict::Failed { code: "NO_BANK", message: "the bank says nothing".to_owned(), retryable: call.attempt == 1 })
    }
}

#[test]
fn a_service_that_fails_says_why_and_is_asked_afresh() {
    let mut world = World::new(|| Bankless);
    for attempt in 1..=2 {
        world.send(&charge("ord-1", "1.00").again(attempt));
    }
    world.settle();
    let replies = world.replies_to(&charge("ord-1", "0").key);
    let said: Vec<_> = replies.iter().map(|reply| (reply.outcome, reply.code.as_deref(), reply.retryable)).collect();
    assert_eq!(said, [(Outcome::Failed, Some("NO_BANK"), true), (Outcome::Failed, Some("NO_BANK"), false)]);
    assert!(!world.has_entry(&charge("ord-1", "0").key), "nothing is remembered");
}

/// An order counts once for its customer, on its own day, whatever comes again and whatever crashes.
#[test]
fn suspicion_grows_by_the_orders_of_a_customers_day() {
    let mut world = World::new(|| Fraud::new("1000.00".parse().unwrap(), 4, vec!["bad-*".into()]));
    let scored = |world: &mut World<Fraud>, command: &common::Command| {
        world.send(command);
        world.settle();
        let replies = world.replies_to(&command.key);
        replies.last().map(|reply| (reply.outcome, reply.result.clone(), reply.code.clone())).expect("it was answered")
    };
    let points = |score: i64| (Outcome::Succeeded, Some(format!(r#"{{"score":{score}}}"#)), None);
    let first = score("ord-1", "cust-1", "500.00");
    assert_eq!(scored(&mut world, &first), points(25));
    assert_eq!(scored(&mut world, &first.again(2).json()), points(25), "a repeat gets the same");
    world.crash();
    assert_eq!(scored(&mut world, &first.again(3)), points(25));
    assert_eq!(scored(&mut world, &score("ord-2", "cust-1", "0.00")), points(12), "one order before it");
    assert_eq!(scored(&mut world, &score("ord-3", "cust-2", "0.00").json()), points(0), "another customer");
    let next_day = common::Command { first_time: common::START + DAY_MS, ..score("ord-4", "cust-1", "0.00") };
    world.now += DAY_MS;
    assert_eq!(scored(&mut world, &next_day), points(0), "another day");
    let refused = scored(&mut world, &score("ord-5", "bad-7", "1.00"));
    assert_eq!((refused.0, refused.2.as_deref()), (Outcome::Refused, Some("CUSTOMER_BLOCKED")));
    assert_eq!((world.net("cust-1"), world.net("cust-2"), world.net("bad-7")), (3, 1, 0));
}
