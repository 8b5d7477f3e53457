//! Others on the line: Kafka's own console tools, and a service in Python.

use ringmaster_demo::rig;
use ringmaster_participants::audit::Audit;
use ringmaster_participants::ledger::RocksLedger;
use ringmaster_tests::live::{Process, Python, RUN, World, kafka_tool, repository, say};

#[test]
fn an_order_typed_into_the_console_producer_is_fulfilled() {
    let mut world = World::new("console tools");
    world.configure("[topics.order-outcomes]\nencoding = \"json\"");
    let coordinator = world.owner("blue");
    let server = ["--bootstrap-server", world.broker().address()];
    let line = concat!(
        r#"con-00000000|{"order_id":"con-00000000","customer_id":"c-1","region":"EU","total":"19.99","currency":"EUR","#,
        r#""items":[{"sku":"sku-17","qty":1}]}"#,
        "\n"
    );
    let producer = ["--topic", "orders", "--reader-property", "parse.key=true", "--reader-property", "key.separator=|"];
    kafka_tool("console-producer", &[&server[..], &producer[..]].concat(), line);
    let consumer = ["--topic", "order-outcomes", "--from-beginning", "--max-messages", "1", "--timeout-ms", "60000"];
    let more = ["--formatter-property", "print.key=true", "--formatter-property", "print.headers=true"];
    let outcome = kafka_tool("console-consumer", &[&server[..], &consumer[..], &more[..]].concat(), "");
    say(&format!("the console consumer says: {}", outcome.trim()));
    for part in ["con-00000000", "OrderFulfilled", "tracking"] {
        assert!(outcome.contains(part), "no {part} in {outcome}");
    }
    let data = coordinator.stop();
    world.stop_services();
    let audits = rig::audits(world.folder()).expect("ledgers can be read");
    world.account(&data, &audits, "con-", 1);
}

#[test]
fn a_payment_service_in_python_that_knows_only_json() {
    let python = match Python::find() {
        Ok(python) => python,
        Err(why) => {
            say(&format!("SKIPPED: the payment service in Python is NOT tested: {why}"));
            return;
        }
    };
    let mut world = World::new("payment in Python");
    world.take_service("payment").stop();
    world.configure("[participants.payment]\nencoding = \"json\"");
    let ledger = world.folder().join("payment.db");
    let script = repository().join("participants/python/payment.py");
    let start = |world: &World| {
        let arguments = [&script.display().to_string(), world.broker().address(), &ledger.display().to_string()];
        Process::start("python", python.path(), &arguments, world.folder())
    };
    let service = start(&world);
    let coordinator = world.owner("blue");
    let shop = world.shop();
    shop.order(500, 200.0);
    shop.wait_finished(150);
    service.freeze();
    shop.wait_stuck();
    service.kill();
    shop.hit("kill -9 of the Python service");
    let service = start(&world);
    world.finish(&shop, &coordinator);
    let data = coordinator.stop();
    service.kill();
    world.stop_services();
    let mut audits: Vec<Audit> = Vec::new();
    for name in rig::SERVICES {
        audits.push(if name == "payment" {
            python.audit(&ledger)
        } else {
            let ledger = RocksLedger::open_read_only(&rig::ledger_path(world.folder(), name)).expect("a ledger");
            Audit::of(&ledger, 0).expect("it can be read")
        });
    }
    world.account(&data, &audits, RUN, shop.wanted());
}
