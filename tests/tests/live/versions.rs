//! Running sagas keep the version of their definition; new ones get the new version.

use ringmaster_demo::orders::{self, Outcome, SAGA};
use ringmaster_schemas::names::saga_id;
use ringmaster_tests::live::{Coordinator, RUN, World, until};

#[test]
fn an_edit_changes_new_sagas_only() {
    let mut world = World::new("a definition edited");
    let coordinator = world.owner("blue");
    let shop = world.shop();
    let payment = world.take_service("payment");
    assert_eq!(payment.stop(), 0);
    shop.order(100, 400.0);
    // All that have stock wait for payment.
    until("orders wait for payment", || world.command_count("payment") >= 96);
    coordinator.stop();
    let old = shop.hit("an edit and a restart");
    assert!(old.len() >= 96, "{}", old.len());

    let file = world.folder().join("sagas/order-fulfilment.yaml");
    let text = std::fs::read_to_string(&file).expect("the example");
    let edited = text.replace("tracking: steps.ship.tracking }", "tracking: \"'second-' + steps.ship.tracking\" }");
    assert_ne!(text, edited, "the example still emits its tracking");
    std::fs::write(&file, edited).expect("it can be written");
    let coordinator = world.owner("blue");
    shop.order(100, 400.0);
    until("new orders wait too", || world.command_count("payment") >= 2 * 96);
    world.start_service("payment", &[]);
    world.finish(&shop, &coordinator);

    let is_second = |number: u64| {
        let outcomes = shop.outcomes(number);
        outcomes.iter().any(|value| value.windows(7).any(|part| part == b"second-"))
    };
    for number in (0..200).filter(|number| orders::outcome(*number) == Outcome::Fulfilled) {
        assert_eq!(is_second(number), number >= 100, "order {number}: old ones keep their version, new ones have the new");
    }
    let (before, behind) = (version(&coordinator, 0), version(&coordinator, 100));
    assert_ne!(before, behind, "the saga itself says its version");
    for (mut numbers, version) in [(0..100, "with version 1 ("), (100..200, "with version 2 (")] {
        let number = numbers.find(|number| orders::outcome(*number) == Outcome::Fulfilled).expect("one of them");
        let told = history(&world, number);
        for words in
            [version, "charge_payment asks payment.Charge", "ship succeeded: the pivot is behind", "completed; known until"]
        {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
    world.close(shop, coordinator);
}

/// What the journal tells of an order's saga.
fn history(world: &World, number: u64) -> String {
    let output = world.ringmaster(&["saga", "history", &saga_id(SAGA, &orders::key(RUN, number))]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The version of an order's saga, as the API shows it; its row is there with the next checkpoint.
fn version(coordinator: &Coordinator, number: u64) -> String {
    let id = saga_id(SAGA, &orders::key(RUN, number));
    let mut found = None;
    until("the saga's row", || {
        found = coordinator.saga(&id).and_then(|saga| saga["version"].as_str().map(str::to_owned));
        found.is_some()
    });
    found.expect("it was found")
}
