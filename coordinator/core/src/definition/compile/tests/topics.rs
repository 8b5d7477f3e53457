//! Topics that are not for events.

use expect_test::expect;

use super::errors::{check, errors};
use super::*;

/// Events go to and come from topics of events, whatever the prefix is.
#[test]
fn topics_of_others() {
    let emits = |topic: &str| {
        format!(
            "{}on_completed: {{ emit: OrderFulfilled, to: {topic}, with: {{ order_id: key, tracking: key }} }}\n",
            step("    with: { order_id: key }\n    undo: nothing\n")
        )
    };
    check(
        &emits("ringmaster.journal"),
        expect![[r#"
            sagas/x.yaml:8:43: error: ringmaster.journal is no topic for events
             8 | on_completed: { emit: OrderFulfilled, to: ringmaster.journal, with: { order_id: key, tracking: key } }
               |                                           ^^^^^^^^^^^^^^^^^^ topics that begin with ringmaster. are the coordinator's own: take another name
        "#]],
    );
    check(
        &emits("fraud.commands"),
        expect![[r#"
            sagas/x.yaml:8:43: error: fraud.commands is no topic for events
             8 | on_completed: { emit: OrderFulfilled, to: fraud.commands, with: { order_id: key, tracking: key } }
               |                                           ^^^^^^^^^^^^^^ a participant takes its commands there: ask it by a step, or take another name
        "#]],
    );
    check(
        &step("    with: { order_id: key }\n    undo: nothing\n").replace("from: orders", "from: ringmaster.replies"),
        expect![[r#"
            sagas/x.yaml:2:33: error: ringmaster.replies is no topic for events
             2 | start: { on: OrderPlaced, from: ringmaster.replies, key: event.order_id }
               |                                 ^^^^^^^^^^^^^^^^^^ topics that begin with ringmaster. are the coordinator's own: take another name
        "#]],
    );
    for fine in ["ringmaster", "ringmasters.journal", "commands", ".commands", "orders"] {
        assert!(!errors(&emits(fine)).contains("no topic for events"), "{fine}");
    }
}
