//! What is wrong with an expression is told before the first saga.

use super::super::parse::BYTES_MAX;
use super::super::scope::{Known, Spot};
use super::{World, behind_two};

#[test]
fn what_is_wrong_is_found_before_the_first_saga() {
    World::new().check(&[
        ("start.mising > 1 || true", "! Order has no field 'mising' (there are: order_id, total, weight, count, paid, note, limit, customer, items, tags, placed_at, status, ...)"),
        ("start.totl > 1", "! Order has no field 'totl' (did you mean 'total'?)"),
        ("start.total > start.weight", "! cannot compare decimal with double (money is never a double: write decimal('...') or decimal(x))"),
        ("start.total * start.weight", "! cannot calculate with decimal and double (money is never a double: write decimal('...') or decimal(x))"),
        ("start.total > 1.0000000000000001", "! a number beside a decimal has at most 15 digits (write decimal('...'))"),
        ("start.total == 123456789012345.67", "! a number beside a decimal has at most 15 digits (write decimal('...'))"),
        ("start.total > 'x'", "! cannot compare decimal with string (a text is made of a number by string(x), a number of a text by int(x) or decimal(x))"),
        ("start.customer.tier == 'x'", "! start.customer may be absent (write start.customer.?tier.orValue(...), or ask has(start.customer) first)"),
        ("start.note + 'x'", "! one side may be absent (write .orValue(...) behind it, or ask has(...) first)"),
        ("start.limit > 3", "! one side may be absent (write .orValue(...) behind it, or ask has(...) first)"),
        ("steps.score.score", "! step 'score' may have been skipped: it, or what is around it, stands under a condition (write steps.?score.?FIELD.orValue(...), or ask has(steps.score) first)"),
        ("steps.later.score", "! step 'later' has not run here (only steps that stand before can be read)"),
        ("steps.pai.score", "! there is no step 'pai' (did you mean 'pay'?)"),
        ("event.order_id", "! event is only there in the key and the if of a start or a wait (the start event is start)"),
        ("express", "! unknown name 'express' (a text is written \"'express'\")"),
        ("strt.total > 1", "! unknown name 'strt' (did you mean 'start'?)"),
        ("rules.x", "! there is no rule 'x' (rules: { NAME: EXPRESSION })"),
        ("1 + 'a'", "! cannot add int and string (make it a text: string(x))"),
        ("sized(start.items)", "! there is no function 'sized' (did you mean 'size'?)"),
        ("size(1)", "! size() does not take (int) (size(x) counts the letters of a string, the bytes of bytes, the items of a list, the entries of a map)"),
        ("max(1)", "! max() needs a list of numbers, or numbers (min(list) or min(a, b), max(list) or max(a, b), of what has an order)"),
        ("max(true, false)", "! max() needs a list of numbers, or numbers (min(list) or min(a, b), max(list) or max(a, b), of what has an order)"),
        ("'abc'.substring('b', 1)", "! substring() does not take (string, string, int) (string.substring(from) or string.substring(from, to), from 0)"),
        ("'abc'.substring(0, 'b')", "! substring() does not take (string, int, string) (string.substring(from) or string.substring(from, to), from 0)"),
        ("[1].substring(0, 1)", "! substring() does not take (list of int, int, int) (string.substring(from) or string.substring(from, to), from 0)"),
        ("[steps.pay].exists(i, has(i.by) && [steps.pay].exists(i, i.by + 'x' == 'x'))", "! one side may be absent (write .orValue(...) behind it, or ask has(...) first)"),
        ("[start.?note].exists(n, n != null && [start.?note].exists(n, n + 'x' == 'x'))", "! one side may be absent (write .orValue(...) behind it, or ask has(...) first)"),
        ("start.order_id.matches(start.order_id)", "! a regular expression is written in the definition, not computed (write it in quotes, for example x.matches('^[A-Z]{2}-[0-9]+$'))"),
        ("start.order_id.matches('a(')", "! this is no regular expression: unclosed group (write it in quotes, for example x.matches('^[A-Z]{2}-[0-9]+$'))"),
        ("start.order_id.matches('(((a{999}){999}){999})')", "! this regular expression is too big: it may take 65536 bytes when it is compiled (write it in quotes, for example x.matches('^[A-Z]{2}-[0-9]+$'))"),
        ("start.count.matches('7')", "! matches() looks at a string, not int (write string(x).matches('...'))"),
        ("duration(5)", "! duration() does not take (int) (duration('14d'), or duration(string))"),
        ("duration('5 weeks')", "! '5 weeks' is not a duration (write for example duration('14d'))"),
        ("timestamp('yesterday')", "! 'yesterday' is not a timestamp (write for example timestamp('2030-01-31T12:00:00Z'))"),
        ("start.placed_at.getHours('Europe/Berlin')", "! 'Europe/Berlin' is not a zone here (UTC and fixed offsets are known, for example '+02:00')"),
        ("start.items.exists(key, true)", "! 'key' is reserved (name the item otherwise)"),
        ("[1].map(a, [1].map(b, [1].map(c, [1].map(d, 1))))", "! more than 3 loops inside one another (give the list to a participant as a whole)"),
        ("[1, 'a']", "! this is string, the items before are int (all items of a list have one type)"),
        ("true ? 1 : 'a'", "! both sides must be of one type: int and string (a text is made of a number by string(x), a number of a text by int(x) or decimal(x))"),
        ("1u", "! there are no unsigned integers (remove the u)"),
        ("Order{a: 1}", "! there is no type 'Order' to make (a record is { 'field': value })"),
        ("start.total and true", "! this is not an expression: 'and' cannot stand here (and, or, not are written &&, ||, !)"),
        ("start.paid or true", "! this is not an expression: 'or' cannot stand here (and, or, not are written &&, ||, !)"),
        ("start.paid && not true", "! this is not an expression: 'true' cannot stand here (and, or, not are written &&, ||, !)"),
        ("start.count = 7", "! this is not an expression: '=' cannot stand here (equality is written ==)"),
        ("start.count == 7)", "! this is not an expression: ')' cannot stand here (the parentheses do not match; in { } an expression with a comma must be quoted)"),
        ("start.count >= 7)", "! this is not an expression: ')' cannot stand here (the parentheses do not match; in { } an expression with a comma must be quoted)"),
        ("start.count <= 7)", "! this is not an expression: ')' cannot stand here (the parentheses do not match; in { } an expression with a comma must be quoted)"),
        ("start.count != 7)", "! this is not an expression: ')' cannot stand here (the parentheses do not match; in { } an expression with a comma must be quoted)"),
        ("start && true", "! this is Order, and a bool is needed (compare one of its fields, or ask has(x.FIELD))"),
        ("{'a': 1}.b", "! the record has no field 'b' (did you mean 'a'?)"),
        ("start.items.exists(i, i.skuu == 'a') && start.totl > 1", "! Item has no field 'skuu' (did you mean 'sku'?); Order has no field 'totl' (did you mean 'total'?)"),
    ]);
    let world = World::new();
    let spot = || Spot { own: Some(2), undone: false, ..Spot::at(Known::default().with(1, true)) };
    assert!(world.lower_at("steps.?score.?score.orValue(0)", spot()).is_ok(), "an undo reads its own step as optional");
    assert_eq!(
        world.lower_at("steps.score.score", spot()).err().unwrap(),
        "step 'score' may not have succeeded here (write steps.?score.?FIELD.orValue(...), or ask has(steps.score) first)"
    );
    assert!(world.lower_at("failure.code", behind_two()).is_err());
    assert_eq!(
        world.lower_at("steps.pay.score", Spot::start()).err().unwrap(),
        "no step has run when a saga starts (what is read here is the event that starts it)"
    );
    let outside = "has(start.customer) && [1].exists(start2, start2 > 0)";
    assert!(world.lower(outside).is_ok());
}

#[test]
fn expressions_have_a_length() {
    let text = |bytes: usize| format!("'{}'", "x".repeat(bytes - 2));
    let world = World::new();
    assert!(world.lower(&text(BYTES_MAX)).is_ok());
    let error = world.lower(&text(BYTES_MAX + 1)).err().expect("it is too long");
    assert!(error.starts_with("the expression has 2049 bytes, more than 2048"), "{error}");
}

/// Whoever writes an expression finds every function on the page.
#[test]
fn the_page_names_every_function() {
    let page = include_str!("../../../../../../docs/SAGAS.md");
    let section = page.split("\n## ").find(|section| section.starts_with("What an expression can say\n")).unwrap();
    let is_named =
        |name: &&str| [format!("`{name}`"), format!("`{name}("), format!("`.{name}(")].iter().any(|form| section.contains(form));
    let missing: Vec<&str> = super::super::signatures::FUNCTIONS.into_iter().filter(|name| !is_named(name)).collect();
    assert!(missing.is_empty(), "docs/SAGAS.md does not name {missing:?}");
}
