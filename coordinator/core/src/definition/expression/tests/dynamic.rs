//! Values of unknown type, decimals by their texts, and what reading long texts costs.

use super::*;

#[test]
fn values_without_a_schema() {
    World::new().check(&[
        // An int, a decimal and a text that says one, on both sides.
        ("start.free.n > start.total", "false"),
        ("start.free.n < start.total", "true"),
        ("start.total > start.free.n", "true"),
        ("start.count < start.total", "true"),
        ("start.total < start.count", "false"),
        ("start.count >= start.total", "false"),
        ("start.total >= start.count", "true"),
        ("121 > start.total && 120 < start.total", "true"),
        ("start.total > 120 && start.total < 121", "true"),
        ("start.free.n == 3 && start.free.n == decimal('3.0') && decimal('3.00') == start.free.n", "true"),
        ("[start.free.n, 2].exists(x, x > decimal('2.5'))", "true"),
        ("min(start.free.n, start.free.total)", "3"),
        ("max(start.free.n, start.free.total)", "120.5"),
        ("decimal(start.free.money) + start.free.n", "22.99"),
        ("start.free.money > 1", "!! TYPE: cannot compare: the left side is a string, the right side is an int"),
        // What is null is not there.
        ("start.free.nothing", "!! ABSENT: 'nothing' is null"),
        ("start.free.deep.nothing", "!! ABSENT: 'nothing' is null"),
        ("start.free.nothing == 1", "!! ABSENT: 'nothing' is null"),
        ("start.free.nothing.more", "!! ABSENT: 'nothing' is null"),
        ("start.?free.?nothing.orValue('-')", "-"),
        ("start.?free.?deep.?nothing.orValue('-')", "-"),
        ("start.?free.?nothing.?more.orValue('-')", "-"),
        ("start.?free.?nothing == null", "true"),
        ("has(start.free.deep.nothing) || has(start.free.nothing.more)", "false"),
        ("has(start.free.deep.list)", "true"),
        ("start.free.deep.holes[0]", "1"),
        ("start.free.deep.holes[1]", "!! OUT_OF_RANGE: there is no item 1"),
        ("start.free.deep.holes[?1].orValue(7)", "7"),
        ("size(start.free.deep.holes)", "3"),
        ("start.free.deep.holes == [1, null, 3]", "true"),
        ("start.free.deep == start.free.deep", "true"),
        ("sum(start.free.deep.list)", "6"),
        ("min(start.free.deep.list)", "1"),
        ("max(start.free.deep.list) + 1", "4"),
        ("max(start.free.n)", "!! TYPE: a list is needed here and it is an int"),
        ("start.free.deep.list.map(x, string(x)).join('-')", "1-2-3"),
        ("start.free.deep.list.join('-')", "!! TYPE: a string is needed here and it is an int"),
        ("start.free.name.join()", "!! TYPE: a list is needed here and it is a string"),
    ]);
}

#[test]
fn decimals_have_the_digits_that_were_asked_for() {
    World::new().check(&[
        ("round(decimal('1.005'), 2)", "1.00"),
        ("round(decimal('2.5'), 3)", "2.5"),
        ("round(decimal('2.5'), 0)", "2"),
        ("round(start.total, 3)", "120.50"),
        ("round(start.total * start.total, 3)", "14520.250"),
        ("round(decimal('-0.004'), 2)", "0.00"),
        ("round(7, 2)", "7"),
        ("round(start.total, 1)", "120.5"),
        ("div(1, 4, 2)", "0.25"),
        ("div(1, 2, 3)", "0.500"),
        ("div(10, 5, 0)", "2"),
        ("decimal('1.25') + decimal('2.2')", "3.45"),
        ("start.total + decimal('2.2')", "122.70"),
        ("start.total * start.total", "14520.2500"),
        ("start.total - start.total", "0.00"),
        ("0 - (start.total - start.total)", "0.00"),
        ("string(decimal('100')) + string(decimal('1e2'))", "100100"),
        ("sum([start.total, start.total])", "241.00"),
        ("sum([decimal('0.25'), decimal('0.5')])", "0.75"),
    ]);
}

/// What an expression costs, in nodes.
fn cost(text: &str, note: &str) -> u32 {
    let mut world = World::new();
    let value = VALUE.replace(r#""order_id":"ord-1""#, &format!(r#""order_id":"{note}""#));
    world.start.clear();
    transcode(&world.order, value.as_bytes(), &mut world.start).unwrap();
    let typed = world.lower(text).unwrap();
    let budget = Budget::new();
    let environment = Environment {
        key: "k",
        start: &world.start,
        event: &[],
        results: &|_| None,
        item: &|_| None,
        index: 0,
        failure: None,
        round: 1,
        now: 2,
        started: 1,
        budget: &budget,
    };
    let mut machine = Machine::new(&environment);
    machine.eval(&typed.node).unwrap();
    machine.settle();
    NODES_PER_TURN_MAX - budget.left()
}

#[test]
fn reading_a_long_text_costs_its_length() {
    let long = "x".repeat(64 * 200);
    for text in [
        "size(start.order_id)",
        "start.order_id.contains('y')",
        "start.order_id.endsWith('y')",
        "start.order_id.indexOf('y')",
        "start.order_id.lowerAscii()",
        "start.order_id.split('y')",
        "start.order_id.replace('y', 'z')",
        "bucket(start.order_id, 10)",
        "start.order_id == start.order_id",
        "start.order_id < start.order_id",
        "start.order_id != 'y'",
        "start.order_id + 'y'",
        "start.order_id in ['a', 'b']",
        "['a', start.order_id].join(',')",
        "max(['a', start.order_id, start.order_id])",
        "{'a': start.order_id} == {'a': start.order_id}",
        "[start.order_id] == [start.order_id]",
        "start.items == start.items && size(start.order_id) > 0",
        "string(start.order_id) == 'y'",
    ] {
        let (short, long) = (cost(text, "x"), cost(text, &long));
        assert!(short < 40, "{text} costs {short}");
        assert!(long >= short + 200, "{text} costs {short} for a letter and {long} for 12,800");
    }
}
