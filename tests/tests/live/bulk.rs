//! An order of many lines from the library: each line a row of its own, over crashes in the middle, and with a line that needs a person.

use ringmaster_schemas::names::partition_of;
use ringmaster_tests::live::{Coordinator, PARTITIONS, World, said, say, until};
use serde_json::Value;

const LINES: usize = 300;
const ID: &str = "bulk-order/b-1";
const PARTICIPANTS: [&str; 4] = ["inventory", "purchasing", "payment", "shipping"];
/// The line that is out of stock is one of five.
const OUT_OF_STOCK: usize = 60;

/// Lines from these numbers on nobody answers for: there the crash comes, however fast everything is.
const STOCK_STANDS: usize = 150;
const PARCELS_STAND: usize = 100;

/// How the participants answer.
fn script(stock_stands: bool, parcels_stand: bool) -> String {
    let silent = |stands: bool, from: usize| match stands {
        true => format!("    - {{ if: body.number >= {from}, silent: true }}\n"),
        false => String::new(),
    };
    format!(
        "participants: [ {} ]\ncommands:\n  inventory.Reserve:\n{}    - {{ if: body.number % 5 == 3, refused: OUT_OF_STOCK }}\n  \
         shipping.ShipLine:\n    - {{ if: body.number == 4, refused: ADDRESS_REFUSED }}\n{}    \
         - {{ result: {{ tracking: \"'t-' + string(body.number)\" }} }}\n",
        PARTICIPANTS.join(", "),
        silent(stock_stands, STOCK_STANDS),
        silent(parcels_stand, PARCELS_STAND)
    )
}

fn world() -> World {
    let settings = "[topics.bulk-orders]\ndefault_type = \"BulkOrderPlaced\"\n[topics.bulk-order-outcomes]\nencoding = \"json\"";
    World::of_library("bulk order", &["bulk-order.yaml"], &PARTICIPANTS, settings)
}

fn place(world: &World) {
    let line = |number: usize| format!(r#"{{"sku":"sku-{number}","qty":2,"price":"1.50"}}"#);
    let lines: Vec<String> = (0..LINES).map(line).collect();
    let order = format!(r#"{{"order_id":"b-1","customer_id":"c-1","lines":[{}]}}"#, lines.join(","));
    world.write("bulk-orders", partition_of(b"b-1", PARTITIONS), Some(b"b-1"), Some(order.as_bytes()));
}

#[test]
fn a_bulk_order_of_300_lines_does_each_line_once_over_crashes() {
    let world = world();
    let mut coordinator = world.owner("blue");
    let under_way = |coordinator: &Coordinator, step: &str| -> Vec<u64> {
        let Some(saga) = coordinator.saga(ID) else { return Vec::new() };
        let entries = saga["entries"].as_array().into_iter().flatten();
        let items = entries.filter(|entry| entry["step"] == step).flat_map(|entry| entry["items"]["under_way"].as_array());
        items.flatten().filter_map(Value::as_u64).collect()
    };
    let mut answering = world.participants(&script(true, true));
    place(&world);
    for (step, stands, next) in [("lines", STOCK_STANDS, script(false, true)), ("parcels", PARCELS_STAND, script(false, false))] {
        until("the lines that nobody answers for are all that is under way", || {
            let items = under_way(&coordinator, step);
            items.len() == 20 && items.iter().all(|item| *item >= stands as u64 || (step == "parcels" && *item == 4))
        });
        coordinator.kill();
        answering.kill();
        say(&format!("bulk order: kill -9 with {step} from {stands} on under way"));
        answering = world.participants(&next);
        coordinator = world.owner("blue");
    }

    let item = format!("{ID}/parcels.4");
    until("only one line is left, which needs a person", || under_way(&coordinator, "parcels") == [4]);
    let ask = |arguments: &[&str]| {
        let address = format!("api.listen={}", coordinator.address);
        world.ringmaster(&[arguments, &["--set", &address]].concat())
    };
    let act = |arguments: &[&str]| ask(&[&["act"], arguments, &["--yes", "--by", "ann", "--why", "looked into it"]].concat());
    said(&ask(&["saga", "list"]), 0, &["items, 1 held", "1 saga;"]);
    said(&ask(&["saga", "list", "--stuck"]), 0, &[&item, "stuck: ADDRESS_REFUSED", "1 saga;"]);
    said(
        &ask(&["saga", "why", ID]),
        0,
        &["parcels waits for item 4 (of 300", "299 have ended", &format!("ringmaster saga why {item}")],
    );
    said(&ask(&["saga", "why", &item]), 0, &[&format!("it is an item of {ID}"), "ship waits for a person (stuck)", "act retry"]);
    said(&ask(&["saga", "history", &item]), 0, &["begins for bulk-order/b-1", "ship is stuck: ADDRESS_REFUSED"]);
    said(&act(&["retry", ID]), 12, &["NOT_STUCK", &format!("its item {item} is held")]);
    said(&act(&["cancel", &item]), 12, &["an item is not cancelled by itself"]);
    said(&act(&["retry", &item]), 0, &["done"]);
    until("it was asked again, and is stuck again", || {
        let entries = coordinator.saga(&item).map(|row| row["entries"].clone());
        entries.is_some_and(|entries| entries[1]["round"] == 2 && entries[1]["waits"] == "stuck")
    });
    said(&act(&["skip", &item, "--step", "ship~2", "--value", r#"{"tracking":"by hand"}"#]), 0, &["done"]);
    until("it is told", || world.record_count("bulk-order-outcomes") == 1);
    until("rows of items are gone", || coordinator.saga(&item).is_none());
    said(&ask(&["saga", "why", &item]), 9, &["its saga has ended and the rows below it with it"]);
    said(&ask(&["saga", "history", &item]), 0, &["ann acts: skip (looked into it)", "its row is gone"]);
    assert_eq!(coordinator.metric("ringmaster_sagas_completed_total"), 1.0, "an item is no saga");
    assert_eq!(coordinator.metric("ringmaster_inputs_quarantined_total"), 0.0);
    let data = coordinator.stop();
    answering.kill();
    each_once(&world);

    assert_eq!(world.rows(&data), [ID], "the saga's own row is all that is left");
}

/// What the participants were asked, and what others were told.
fn each_once(world: &World) {
    let mut repeats = 0;
    for (participant, expected) in PARTICIPANTS.iter().zip([LINES, OUT_OF_STOCK, 1, LINES - OUT_OF_STOCK + 1]) {
        let asked = world.asked(participant);
        assert_eq!(asked.len(), expected, "{participant}: each effect has a key of its own");
        assert!(asked.keys().all(|key| key.ends_with("/do")), "nothing is undone");
        repeats += asked.values().map(|(count, _)| count - 1).sum::<usize>();
    }
    let told = world.records("bulk-order-outcomes");
    let lines = told[0]["lines"].as_array().expect("a list");
    assert_eq!((told.len(), lines.len(), &told[0]["paid"]), (1, LINES, &Value::from("720.00")));
    for (number, line) in lines.iter().enumerate() {
        let (state, tracking) = match number {
            4 => ("shipped", Value::from("by hand")),
            number if number % 5 == 3 => ("back_ordered", Value::Null),
            number => ("shipped", Value::from(format!("t-{number}"))),
        };
        assert_eq!(line["sku"], format!("sku-{number}"), "in the order of the lines");
        assert_eq!((&line["state"], &line["tracking"]), (&Value::from(state), &tracking), "line {number}");
    }
    say(&format!("bulk order: {LINES} lines, each once; {repeats} commands were asked again under their keys"));
}
