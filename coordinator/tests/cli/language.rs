//! What the language gives to people and their editors: pictures, a JSON Schema, and what an expression is worth.

use std::path::{Path, PathBuf};

use expect_test::{Expect, expect, expect_file};

use crate::site::Site;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A definition drawn both ways.
fn drawn(site: &Site, file: &str) -> (String, String) {
    let file = root().join(file).display().to_string();
    let draw = |format| {
        let (code, said, errors) = site.ringmaster(&["graph", &file, "--format", format]);
        assert_eq!((code, errors.as_str()), (0, ""), "{file}");
        said
    };
    (draw("mermaid"), draw("svg"))
}

#[test]
fn definitions_are_drawn() {
    let site = Site::new();
    let (mermaid, svg) = drawn(&site, "sagas/order-fulfilment.yaml");
    expect_file!["graph/order-fulfilment.mmd"].assert_eq(&mermaid);
    expect_file!["../../../docs/order-fulfilment.svg"].assert_eq(&svg);
    let (mermaid, svg) = drawn(&site, "tests/stories/definitions/repair.yaml");
    expect_file!["graph/repair.mmd"].assert_eq(&mermaid);
    expect_file!["graph/repair.svg"].assert_eq(&svg);
    let (mermaid, svg) = drawn(&site, "tests/stories/definitions/stay.yaml");
    expect_file!["graph/stay.mmd"].assert_eq(&mermaid);
    expect_file!["graph/stay.svg"].assert_eq(&svg);
    let (mermaid, svg) = drawn(&site, "tests/stories/definitions/holiday.yaml");
    expect_file!["graph/holiday.mmd"].assert_eq(&mermaid);
    expect_file!["graph/holiday.svg"].assert_eq(&svg);
    let (mermaid, svg) = drawn(&site, "coordinator/core/tests/definitions/bulk-order.yaml");
    expect_file!["graph/bulk-order.mmd"].assert_eq(&mermaid);
    expect_file!["graph/bulk-order.svg"].assert_eq(&svg);
}

#[test]
fn a_picture_of_one_of_several_goes_where_it_is_asked_to() {
    let site = Site::new();
    let one = |name| format!("saga: {name}\nstart: {{ on: A, from: a }}\nsteps: [ {{ step: no, refuse: NO }} ]\n");
    site.write("two.yaml", &format!("{}---\n{}", one("first"), one("second")));
    site.write("wrong.yaml", &one("wrong").replace("refuse", "refuze"));
    for (arguments, exit, says) in [
        (&["graph", "two.yaml"][..], 2, "two.yaml has several sagas; say which by --saga NAME: first, second\n"),
        (&["graph", "two.yaml", "--saga", "third"], 9, "two.yaml has no saga 'third'; it has: first, second\n"),
        (&["graph", "nowhere.yaml"], 9, "nowhere.yaml: there is no such file"),
        (&["graph", "wrong.yaml"], 6, "wrong.yaml:3:22: error: a step has no 'refuze'\n"),
        (&["graph", "two.yaml", "--format", "png"], 2, "[possible values: mermaid, svg]"),
    ] {
        let (code, said, errors) = site.ringmaster(arguments);
        assert!(code == exit && said.is_empty() && errors.contains(says), "{arguments:?}: {code} {said}{errors}");
    }
    let (code, said, _) = site.ringmaster(&["graph", "two.yaml", "--saga", "second", "--out", "second.svg"]);
    assert_eq!((code, said.as_str()), (0, "second is drawn in second.svg\n"));
    let svg = std::fs::read_to_string(site.folder.path().join("second.svg")).expect("written");
    assert!(svg.starts_with("<svg ") && svg.contains("<title>second</title>") && !svg.contains("completed<"), "{svg}");
    let (_, mermaid, _) = site.ringmaster(&["graph", "two.yaml", "--saga", "first"]);
    assert!(mermaid.starts_with("---\ntitle: \"first\"\n---\nflowchart TD\n"), "{mermaid}");
}

/// Written anew by UPDATE_EXPECT=1; ringmaster-core's tests hold it to what the compiler takes and refuses.
#[test]
fn the_schema_of_the_repository_is_the_printed_one() {
    let (code, said, _) = Site::new().ringmaster(&["schema"]);
    assert_eq!(code, 0);
    expect_file!["../../../docs/saga.schema.json"].assert_eq(&said);
}

/// Expressions that cannot be evaluated say what to do.
#[test]
fn eval_says_what_is_missing() {
    let site = Site::new();
    let check = |arguments: &[&str], expected: Expect| {
        let (code, said, errors) = site.ringmaster(&[&["eval"], arguments].concat());
        expected.assert_eq(&format!("{code} {said}{errors}"));
    };
    check(
        &["start.total + 1"],
        expect![[r#"
        1 ABSENT: there is no 'total'
        no event was given, so start has no fields: ringmaster eval EXPRESSION --event FILE
    "#]],
    );
    check(
        &["1 / 0"],
        expect![[r#"
        1 DIVISION_BY_ZERO: divided by zero
    "#]],
    );
    check(
        &["rules.large"],
        expect![[r#"
        6 expression:1:7: error: there is no rule 'large'
         1 | rules.large
           |       ^^^^^ eval knows no rules: write the rule's own expression here
    "#]],
    );
    check(
        &["event.total > 5"],
        expect![[r#"
            6 expression:1:1: error: event is only there in the key and the if of a start or a wait
             1 | event.total > 5
               | ^^^^^ here, as in steps, the event is called start: start.FIELD
        "#]],
    );
    check(
        &["steps.pay.code"],
        expect![[r#"
        6 expression:1:7: error: there is no step 'pay'
         1 | steps.pay.code
           |       ^^^ eval knows no steps: it is as if none had run
    "#]],
    );
    check(
        &["failure.code"],
        expect![[r#"
        6 expression:1:1: error: nothing has failed here
         1 | failure.code
           | ^^^^^^^ eval knows no failure: it is as if all went well
    "#]],
    );
    let long = format!("{} + totl + {}", vec!["start.total"; 20].join(" + "), vec!["start.total"; 20].join(" + "));
    check(
        &[&long],
        expect![[r#"
            6 expression:1:111: error: the expression is deeper than 32
             1 | ...start.total + start.total + start.total + start.total + start.total + start.total + start.total + start.total + start.to...
               |                                            ^ divide it into rules
            expression:1:281: error: unknown name 'totl'
             1 | ...art.total + start.total + start.total + totl + start.total + start.total + start.total + start.total + start.total + sta...
               |                                            ^^^^ a text is written 'totl'; names are start, steps, rules, key, now, started, failure, round
        "#]],
    );
}
