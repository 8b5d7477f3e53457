//! What participants were asked so far, as it is told many times a second: with every record, not only with checkpoints.

use ringmaster_core::partition::AskedSoFar;

use super::line::{ALPHAS, Line};

fn worker(line: &Line) -> Option<AskedSoFar> {
    let mut found = None;
    line.partition.each_asked(&mut |name, asked| {
        assert_eq!(&**name, "worker");
        assert!(found.replace(asked).is_none(), "each is told once");
    });
    found
}

#[test]
fn what_is_unanswered_is_known_before_it_is_stored() {
    let mut line = super::parking::line();
    line.start_unacknowledged(ALPHAS, "one");
    assert_eq!(worker(&line), None, "what is not confirmed may never have been");
    line.acknowledge();
    line.start(ALPHAS, "two");
    line.start(ALPHAS, "three");
    line.acknowledge();
    assert_eq!(worker(&line), Some(AskedSoFar { issued: 3, unanswered: 3, ..AskedSoFar::default() }));
    let second = line.clocks.wall / 1_000;
    line.checkpoint();
    assert_eq!(worker(&line).and_then(|of| of.oldest_s), Some(second));
    line.pass(40);
    line.reply("alpha/one", 1, "succeeded", line.clocks.wall);
    line.pass(20);
    line.reply("alpha/two", 1, "refused", line.clocks.wall);
    line.acknowledge();
    let of = worker(&line).expect("it was asked");
    assert_eq!((of.issued, of.answered, of.unanswered, of.response_ms), (3, 2, 1, 100));
    assert_eq!((of.parked, of.parked_s, of.is_out, of.is_paused), (0, None, false, false));
    line.act_on("worker", "pause");
    line.poll();
    line.acknowledge();
    line.start(ALPHAS, "four");
    line.start(ALPHAS, "five");
    line.acknowledge();
    let second = line.clocks.wall / 1_000;
    line.checkpoint();
    let of = worker(&line).expect("it was asked");
    assert_eq!((of.issued, of.unanswered, of.is_out, of.is_paused), (3, 1, true, true));
    assert_eq!((of.parked, of.parked_s, of.retrying), (2, Some(second), 0));
    // What is older than an hour is told by the hour, and no less of it.
    line.pass(7_200_000);
    line.start(ALPHAS, "six");
    line.acknowledge();
    line.checkpoint();
    let of = worker(&line).expect("it was asked");
    assert_eq!((of.parked, of.parked_s), (3, Some(second - second % 3_600)));
}

/// What is not this one's is not told by it; and what was asked before it came is no more than a number to begin with.
#[test]
fn only_an_owner_tells() {
    let mut line = Line::owned();
    line.start(ALPHAS, "one");
    line.acknowledge();
    line.reply("alpha/one", 1, "failed", line.clocks.wall);
    line.acknowledge();
    line.checkpoint();
    let before = worker(&line).expect("it was asked");
    line.restart(|_| {});
    assert_eq!(worker(&line), None);
    line.own();
    let after = worker(&line).expect("it was asked");
    assert_eq!((after.issued, after.answered, after.unanswered), (before.issued, before.answered, before.unanswered));
}
