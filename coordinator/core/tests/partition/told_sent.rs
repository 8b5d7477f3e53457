//! What is told to have been sent, by a whole story and by one that another goes on with.

use expect_test::expect;
use ringmaster_core::saga::{Sent, Teller};
use ringmaster_schemas::journal::DefinitionHash;

use super::line::Line;
use super::words::{answered, line, time};

/// A line for each command and event: which, where to, by which id.
fn sent(line: &Line, cut: usize) -> String {
    let versions = |hash: &DefinitionHash| Some((&**line.catalog.by_hash(hash)?, line.catalog.number_of(hash)?));
    let mut teller = Teller::new("trip/t", &versions, &time);
    let (mut told, mut sent) = (Vec::new(), Vec::new());
    for (number, event) in line.events_of("trip/t").iter().enumerate() {
        if number == cut {
            teller = Teller::knowing("trip/t", &versions, &time, teller.known());
        }
        teller.tell(event, &mut told);
        teller.sent(event, &mut sent);
    }
    let texts: Vec<String> = told.into_iter().map(|one| one.text).collect();
    let text = |one: Sent| {
        let which = one.attempt.map_or(String::new(), |is| format!(" {} {} {}", is.step, is.direction.as_str(), is.number));
        format!("{} to {}: {}{which}\n", one.name.unwrap_or_default(), one.topic.unwrap_or_default(), one.id)
    };
    texts.join("\n") + "\n\n" + &sent.into_iter().map(text).collect::<String>()
}

#[test]
fn what_was_sent_is_told_by_name() {
    let mut asked_twice = line(r#","card":1"#);
    for ms in [10_100, 1_300] {
        asked_twice.pass(ms);
        asked_twice.look();
        asked_twice.acknowledge();
    }
    let told = sent(&asked_twice, usize::MAX);
    let (_, by_name) = told.split_once("\n\n").expect("two parts");
    expect![[r#"
        Told to told: trip/t/tell
        worker.Charge to worker.commands: trip/t/charge/do charge do 1
        worker.Charge to worker.commands: trip/t/charge/do charge do 2
    "#]]
    .assert_eq(by_name);
    let undone = answered(r#","card":1,"bad":1"#, &[("charge/do", "succeeded"), ("charge/undo", "succeeded")]);
    let told = sent(&undone, usize::MAX);
    let (_, by_name) = told.split_once("\n\n").expect("two parts");
    expect![[r#"
        Told to told: trip/t/tell
        worker.Charge to worker.commands: trip/t/charge/do charge do 1
        Noted to told: trip/t/note
        worker.Refund to worker.commands: trip/t/charge/undo charge undo 1
        Stayed to ends: trip/t/compensated/0
    "#]]
    .assert_eq(by_name);
    // Wherever a story is cut, who goes on tells the same.
    for line in [&asked_twice, &undone] {
        let whole = sent(line, usize::MAX);
        for cut in 0..line.events_of("trip/t").len() {
            assert_eq!(sent(line, cut), whole, "cut before event {cut}");
        }
    }
}
