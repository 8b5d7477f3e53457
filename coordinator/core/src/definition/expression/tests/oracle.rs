//! cel's own interpreter on random well-typed expressions of what both have in common.

use std::collections::HashMap;

use cel::objects::Key;
use cel::{Context, Value as Cel};
use fastrand::Rng;

use super::*;

fn int(random: &mut Rng, depth: u32, locals: &[&str]) -> String {
    if depth == 0 {
        return match random.u32(0..4) {
            0 if !locals.is_empty() => locals[random.usize(..locals.len())].to_string(),
            1 => "start.count".into(),
            2 => "start.items[0].qty".into(),
            _ => random.i64(-9..100).to_string(),
        };
    }
    let d = depth - 1;
    match random.u32(0..9) {
        0 => format!("({} + {})", int(random, d, locals), int(random, d, locals)),
        1 => format!("({} - {})", int(random, d, locals), int(random, d, locals)),
        2 => format!("({} * {})", int(random, d, locals), int(random, d, locals)),
        3 => format!("({} / {})", int(random, d, locals), int(random, d, locals)),
        4 => format!("({} % {})", int(random, d, locals), int(random, d, locals)),
        5 => format!("(-({}))", int(random, d, locals)),
        6 => format!("size({})", list(random, d, locals)),
        7 => format!("({} ? {} : {})", truth(random, d, locals), int(random, d, locals), int(random, d, locals)),
        _ => format!("size({})", text(random, d, locals)),
    }
}

fn text(random: &mut Rng, depth: u32, locals: &[&str]) -> String {
    if depth == 0 {
        return ["start.order_id", "'a'", "'ord'", "''", "start.items[1].sku"][random.usize(..5)].into();
    }
    let d = depth - 1;
    match random.u32(0..3) {
        0 => format!("({} + {})", text(random, d, locals), text(random, d, locals)),
        1 => format!("string({})", int(random, d, locals)),
        _ => format!("({} ? {} : {})", truth(random, d, locals), text(random, d, locals), text(random, d, locals)),
    }
}

fn list(random: &mut Rng, depth: u32, locals: &[&str]) -> String {
    if depth == 0 {
        return ["[1, 2, 3]", "[0]", "start.items.map(z, z.qty)"][random.usize(..3)].into();
    }
    let d = depth - 1;
    let name = ["x", "y", "w"][locals.len().min(2)];
    let inner: Vec<&str> = locals.iter().copied().chain([name]).collect();
    match random.u32(0..4) {
        0 if inner.len() < 3 => format!("{}.map({name}, {})", list(random, d, locals), int(random, d, &inner)),
        1 if inner.len() < 3 => format!("{}.filter({name}, {})", list(random, d, locals), truth(random, d, &inner)),
        2 => format!("({} + {})", list(random, d, locals), list(random, d, locals)),
        _ => format!("[{}, {}]", int(random, d, locals), int(random, d, locals)),
    }
}

fn truth(random: &mut Rng, depth: u32, locals: &[&str]) -> String {
    if depth == 0 {
        return ["start.paid", "true", "false"][random.usize(..3)].into();
    }
    let d = depth - 1;
    let name = ["x", "y", "w"][locals.len().min(2)];
    let inner: Vec<&str> = locals.iter().copied().chain([name]).collect();
    match random.u32(0..10) {
        0 => format!("({} && {})", truth(random, d, locals), truth(random, d, locals)),
        1 => format!("({} || {})", truth(random, d, locals), truth(random, d, locals)),
        2 => format!("!({})", truth(random, d, locals)),
        3 => format!(
            "({} {} {})",
            int(random, d, locals),
            ["<", "<=", ">", ">=", "==", "!="][random.usize(..6)],
            int(random, d, locals)
        ),
        4 => format!("({} {} {})", text(random, d, locals), ["<", "==", "!=", ">="][random.usize(..4)], text(random, d, locals)),
        5 => format!("({} in {})", int(random, d, locals), list(random, d, locals)),
        6 if inner.len() < 3 => format!("{}.exists({name}, {})", list(random, d, locals), truth(random, d, &inner)),
        7 if inner.len() < 3 => format!("{}.all({name}, {})", list(random, d, locals), truth(random, d, &inner)),
        8 => format!("{}.startsWith({})", text(random, d, locals), text(random, d, locals)),
        _ => format!("{}.contains({})", text(random, d, locals), text(random, d, locals)),
    }
}

fn start() -> Cel {
    let map = |entries: Vec<(&str, Cel)>| {
        Cel::from(entries.into_iter().map(|(name, value)| (Key::from(name), value)).collect::<HashMap<Key, Cel>>())
    };
    let item = |sku: &str, qty: i64| map(vec![("sku", sku.into()), ("qty", Cel::Int(qty))]);
    let items = Cel::from(vec![item("a", 2), item("b", 1)]);
    map(vec![("order_id", "ord-1".into()), ("count", Cel::Int(7)), ("paid", Cel::Bool(true)), ("items", items)])
}

fn print(value: &Cel) -> String {
    match value {
        Cel::Int(x) => x.to_string(),
        Cel::Bool(x) => x.to_string(),
        Cel::String(x) => x.to_string(),
        Cel::List(items) => format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(", ")),
        other => format!("{other:?}"),
    }
}

#[test]
fn both_agree() {
    let world = World::new();
    let mut random = Rng::with_seed(0x5a6a);
    let mut context = Context::default();
    context.add_variable_from_value("start", start());
    let (mut values, mut errors) = (0, 0);
    for round in 0..3000 {
        let depth = 1 + round % 4;
        let source = match round % 3 {
            0 => int(&mut random, depth, &[]),
            1 => truth(&mut random, depth, &[]),
            _ => list(&mut random, depth, &[]),
        };
        if source.len() > parse::BYTES_MAX || world.lower(&source).is_err_and(|why| why.contains("deeper") || why.contains("loops"))
        {
            continue;
        }
        let ours = world.show(&source);
        let theirs = cel::Program::compile(&source).unwrap_or_else(|error| panic!("{source}: {error}")).execute(&context);
        match theirs {
            Ok(value) => {
                assert_eq!(ours, print(&value), "{source}");
                values += 1;
            }
            Err(error) => {
                assert!(ours.starts_with("!!"), "{source}: {ours}, and cel says {error}");
                errors += 1;
            }
        }
    }
    assert!(values > 1500 && errors > 50, "{values} values and {errors} errors: too few to mean anything");
}
