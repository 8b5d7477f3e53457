//! Sagas that run others: what both must keep, and what is told where they do not.

use std::collections::BTreeMap;

use ringmaster_schemas::journal::{Encoding, Phase};
use ringmaster_schemas::registry::Schemas;

use crate::definition::{Catalog, Definition, DefinitionRecord, Participant, Settings, Verb, compile};

const PARENT: &str = "
saga: parent
start: { on: Begun, from: in, key: event.id }
steps:
  - { step: child, run: child, with: { n: start.n, tags: [], name: start.?name.orValue('x'), more: { price: decimal('1.5') } } }
  - { step: tell, do: bank.Tell, undo: nothing, with: { got: steps.child.twice + 1 } }
";
const CHILD: &str = "
saga: child
input: { n: int, tags: list(string), name: string, more: { at: timestamp?, price: decimal(4) } }
steps:
  - { step: no, if: start.n < 0, refuse: NEGATIVE }
result: { twice: start.n * 2 }
";

fn settings(schemas: &mut Schemas) -> Settings<'_> {
    let mut settings = Settings::new(schemas);
    for name in ["bank", "shop"] {
        settings.participants.insert(name.into(), Participant { encoding: Encoding::Json, ..Participant::default() });
    }
    settings
}

fn compiled(text: &str) -> Result<Vec<Definition>, Vec<String>> {
    let mut schemas = Schemas::builtin();
    compile("test.yaml", text, &mut settings(&mut schemas))
        .map_err(|errors| errors.into_iter().map(|error| format!("{}: {} ({})", error.line, error.message, error.hint)).collect())
}

fn both(parent: &str, child: &str) -> String {
    format!("{parent}---{child}")
}

/// The only error of a text.
fn error(text: &str) -> String {
    let errors = compiled(text).expect_err("it is wrong");
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors[0].clone()
}

#[test]
fn a_run_knows_what_it_gives_and_what_comes_back() {
    for text in [both(PARENT, CHILD), both(CHILD, PARENT)] {
        let all = compiled(&text).unwrap_or_else(|errors| panic!("{errors:#?}"));
        let parent = all.iter().find(|one| *one.name == *"parent").expect("it is there");
        let child = all.iter().find(|one| *one.name == *"child").expect("it is there");
        let contract = child.contract.as_ref().expect("it can be run");
        let (node, run) = parent.runs().next().expect("it runs one");
        assert_eq!((&*run.saga, node.phase, contract.breaks(&run.contract)), ("child", Phase::Compensatable, None));
        assert!(
            child.starts.is_empty()
                && parent.contract.is_none()
                && contract.codes.as_ref().is_some_and(|codes| codes.contains("NEGATIVE"))
        );
        assert!(matches!(parent.nodes[1].verb, Verb::Run(_)) && node.kept().is_some());
    }
}

#[test]
fn what_cannot_be_is_told() {
    let with = |of: &str, by: &str| both(&PARENT.replace(of, by), CHILD);
    for (text, said) in [
        (PARENT.to_owned(), "5: no saga 'child' is in these files, or deployed (name its file too, or deploy it before)"),
        (with("run: child,", "run: chidl,"), "5: no saga 'chidl' is in these files, or deployed (did you mean 'child'?)"),
        (with("run: child,", "run: parent,"), "5: a saga that runs itself has no end: parent -> parent"),
        (with("n: start.n, ", ""), "5: child_input needs the field 'n'"),
        (with("n: start.n,", "n: \"'many'\","), "5: n: string where int is wanted"),
        (with("steps.child.twice", "steps.child.thrice"), "6: child_result has no field 'thrice'"),
        (
            with(" } } }\n  - { step: tell", " } }, on_refused: { NEVER: go_on } }\n  - { step: tell"),
            "5: child is never refused with NEVER",
        ),
        (both(PARENT, &CHILD.replace("input:", "start: { on: Other, from: in }\ninput:")), "a saga has start or input, not both"),
        (both(PARENT, &CHILD.replace("n: int", "n: integer")), "'integer' is no type"),
    ] {
        let errors = compiled(&text).expect_err(said);
        assert!(errors.iter().any(|error| error.contains(said)), "{said}: {errors:#?}");
    }
}

#[test]
fn a_saga_that_runs_itself_by_others_is_told_with_its_way() {
    let child = CHILD.replace("- { step: no", "- { step: again, run: other }\n  - { step: no");
    let other = "\nsaga: other\ninput: {}\nsteps:\n  - { step: back, run: child, with: { n: 1, tags: [], name: 'x', more: { price: decimal('2') } } }\n";
    let errors = compiled(&format!("{PARENT}---{child}---{other}")).expect_err("it has no end");
    let said = "a saga that runs itself has no end: child -> other -> child";
    assert!(errors.iter().any(|error| error.contains(said)), "{errors:#?}");
}

#[test]
fn what_is_run_waits_for_events_by_values_alone() {
    let child = "\nsaga: child\ninput: {}\nsteps:\n  - { step: come, wait: Come, from: in, within: 1h }\n";
    assert!(error(child).starts_with("5: an event is for a saga by its key"), "{}", error(child));
    let answer = "\nsaga: child\ninput: {}\nsteps:\n  - { step: ask, approval: boss, answer: { on: Come, from: in, approved: event.yes }, within: 1h }\n";
    assert!(error(answer).starts_with("5: an event is for a saga by its key"), "{}", error(answer));
    let by_value = "\nsaga: child\ninput: { n: int }\nsteps:\n  - { step: come, wait: Come, from: in, match: n == start.n, within: 1h }\n  - { step: ask, approval: boss, answer: { on: Said, from: in, match: n == start.n, approved: event.yes }, within: 1h }\n";
    let parent =
        "\nsaga: parent\nstart: { on: Begun, from: in, key: event.id }\nsteps:\n  - { step: child, run: child, with: { n: 1 } }\n";
    compiled(&both(parent, by_value)).unwrap_or_else(|errors| panic!("{errors:#?}"));
}

#[test]
fn a_run_of_what_holds_a_pivot_is_the_pivot() {
    let child = "\nsaga: child\ninput: {}\nsteps:\n  - { step: pay, do: bank.Pay, pivot: true }\n";
    let parent = |steps: &str| format!("\nsaga: parent\nstart: {{ on: Begun, from: in, key: event.id }}\nsteps:\n{steps}");
    let plain = compiled(&both(&parent("  - { step: child, run: child }\n  - { step: tell, do: bank.Tell }\n"), child));
    let plain = plain.unwrap_or_else(|errors| panic!("{errors:#?}")).remove(0);
    assert!(plain.has_pivot && plain.nodes[1].phase == Phase::Pivot && plain.nodes[1].passes);
    for (steps, said) in [
        (
            "  - { step: a, run: child }\n  - { step: b, run: child }\n",
            "child holds a pivot: there is one pivot at most on each way",
        ),
        (
            "  - step: p\n    parallel:\n      one: [ { step: a, run: child } ]\n      two: [ { step: b, refuse: NO } ]\n",
            "child holds a pivot: the pivot is in no branch of a parallel",
        ),
        (
            "  - { step: l, for_each: start.l, as: x, steps: [ { step: a, run: child } ] }\n",
            "child holds a pivot: the pivot is in no item of a for_each",
        ),
        ("  - { step: a, run: child, within: 1h }\n", "on the pivot a sub-saga is not given up"),
    ] {
        let errors = compiled(&both(&parent(steps), child)).expect_err(said);
        assert!(errors.iter().any(|error| error.contains(said)), "{said}: {errors:#?}");
    }
}

#[test]
fn rows_are_not_deeper_than_they_may_be() {
    let mut text = PARENT
        .replace(", with: { n: start.n, tags: [], name: start.?name.orValue('x'), more: { price: decimal('1.5') } }", "")
        .replace("steps.child.twice + 1", "1");
    text = text.replace("run: child", "run: c1");
    let chain = |count: usize| {
        let mut all = text.clone();
        for number in 1..=count {
            let step = if number == count {
                "{ step: no, refuse: NO }".to_owned()
            } else {
                format!("{{ step: s, run: c{} }}", number + 1)
            };
            all.push_str(&format!("---\nsaga: c{number}\ninput: {{}}\nsteps:\n  - {step}\n"));
        }
        all
    };
    // However long it is: neither the stack nor the time grows with what is below.
    let errors = compiled(&chain(2_000)).expect_err("it is far too deep");
    assert!(errors[0].contains("more than 8 sagas run one another here; the limit is 8"), "{:#?}", &errors[..3]);
    assert!(compiled(&chain(7)).is_ok(), "{:#?}", compiled(&chain(7)).err());
    let errors = compiled(&chain(8)).expect_err("it is too deep");
    assert!(
        errors.iter().any(|error| error.contains("rows would stand 9 deep below one another here; the limit is 8")),
        "{errors:#?}"
    );
}

/// Deployed one after the other: a new version of what is run keeps what those count on that run it.
#[test]
fn a_new_version_keeps_what_others_count_on() {
    let mut schemas = Schemas::builtin();
    let first = DefinitionRecord::of_file("both.yaml", &both(PARENT, CHILD), 0, &mut settings(&mut schemas)).expect("it is right");
    let deployed: BTreeMap<_, _> = first.iter().map(|record| (record.name.clone(), record.schemas.clone())).collect();
    let mut again = |text: &str| {
        let mut settings = Settings { deployed: deployed.clone(), ..settings(&mut schemas) };
        let records = DefinitionRecord::of_file("child.yaml", text, 0, &mut settings).expect("it is right by itself");
        let errors = settings.broken_contracts(&records);
        (records, errors.into_iter().map(|error| error.message).collect::<Vec<_>>())
    };
    let (wider, errors) =
        again(&CHILD.replace("name: string,", "name: string, also: int?,").replace("start.n * 2 }", "start.n * 2, more: 1 }"));
    assert_eq!(errors, [""; 0]);
    for (text, said) in [
        (
            CHILD.replace("name: string,", "name: string, also: int,"),
            "this breaks 'parent', which is deployed and runs it: its input",
        ),
        (
            CHILD.replace("twice: start.n * 2", "thrice: start.n * 3"),
            "this breaks 'parent', which is deployed and runs it: its result",
        ),
        (
            CHILD.replace("result: { twice: start.n * 2 }", ""),
            "this breaks 'parent', which is deployed and runs it: it gives no result",
        ),
        (
            CHILD.replace("- { step: no", "- { step: all, for_each: start.tags, as: tag, steps: [{ step: say, do: bank.Say, undo: nothing }] }\n  - { step: no"),
            "its rows stand 2 deep below one another, and 1 before",
        ),
        (CHILD.replace("decimal(4)", "decimal(2)"), "its input"),
        (
            CHILD
                .replace("- { step: no", "- { step: pay, do: bank.Pay, pivot: true }\n  - { step: no")
                .replace(", refuse: NEGATIVE", ", do: bank.No"),
            "it has a pivot, and had none",
        ),
    ] {
        let (_, errors) = again(&text);
        assert!(errors.len() == 1 && errors[0].contains(said), "{said}: {errors:#?}");
    }
    // The parent alone, against what is deployed; and history compiles to the same.
    let (parent, errors) = again(PARENT);
    assert!(errors.is_empty() && parent[0].hash == first[0].hash, "{errors:#?}");
    let mut catalog = Catalog::default();
    for record in first.iter().chain(&wider) {
        catalog.add(record, catalog.loaded_to(), &mut settings(&mut schemas)).expect("it compiles again");
    }
    let parent = catalog.newest("parent").expect("it is there");
    let (newest, offset) = catalog.sub_saga(&parent.hash, "child").expect("one fits");
    assert_eq!((newest.hash, offset), (catalog.newest("child").expect("it is there").hash, 2));
}

/// What its waits, approvals and claims may be refused with by themselves a saga may be refused with, too.
#[test]
fn codes_of_what_waits_below_are_known_above() {
    let parent = "
saga: parent
start: { on: Begun, from: in, key: event.id }
steps:
  - { step: child, run: child, on_refused: { VALUE_TAKEN: go_on, else: undo } }
";
    let child = |search: &str, step: &str| format!("\nsaga: child\ninput: {{}}\n{search}steps:\n  - {step}\n");
    let no = "{ step: no, refuse: NO }";
    for (search, step) in [
        ("search: { who: { value: key, unique: true } }\n", no),
        ("", "{ step: come, wait: Come, from: in, match: id == key, within: 1h }"),
        ("", "{ step: ask, approval: boss, answer: { on: Come, from: in, match: id == key, approved: event.ok }, within: 1h }"),
    ] {
        let text = both(parent, &child(search, step));
        compiled(&text).unwrap_or_else(|errors| panic!("{text}: {errors:#?}"));
    }
    for (search, step) in [("search: { who: key }\n", no), ("", "{ step: ask, approval: boss, within: 1h }")] {
        let said = error(&both(parent, &child(search, step)));
        assert!(said.contains("child is never refused with VALUE_TAKEN"), "{said}");
    }
}

/// Of a saga that two steps run a record keeps what both of them count on, whichever names more, or another code.
#[test]
fn what_two_steps_count_on_is_kept() {
    let negative = ", on_refused: { NEGATIVE: go_on, else: undo }";
    let expired = ", on_refused: { EXPIRED: go_on, else: undo }";
    for (first, second) in [(negative, ""), ("", negative), (expired, negative), (negative, expired)] {
        let parent = format!(
            "\nsaga: parent\nstart: {{ on: Begun, from: in, key: event.id }}\nsteps:\n  - {{ step: one, run: child{first} }}\n  \
             - {{ step: two, run: child{second} }}\n"
        );
        let text = both(&parent, "\nsaga: child\ninput: {}\nsteps:\n  - { step: no, if: 'now > started', refuse: NEGATIVE }\n");
        let mut schemas = Schemas::builtin();
        let records = DefinitionRecord::of_file("both.yaml", &text, 0, &mut settings(&mut schemas));
        let records = records.unwrap_or_else(|errors| panic!("{text}: {errors:#?}"));
        let again = records[0].compile(&mut settings(&mut schemas)).unwrap_or_else(|why| panic!("{text}: {why:?}"));
        let counted = again.runs().filter_map(|(_, run)| run.contract.codes.clone());
        assert!(counted.flatten().any(|code| *code == *"NEGATIVE"), "{text}");
        let deployed = [(records[0].name.clone(), records[0].schemas.clone())].into();
        let child = "\nsaga: child\ninput: {}\ndeadline: 1h\nsteps:\n  - { step: no, if: 'now > started', refuse: OTHER }\n";
        let mut settings = Settings { deployed, ..settings(&mut schemas) };
        let child = DefinitionRecord::of_file("child.yaml", child, 0, &mut settings).expect("it is right by itself");
        let broken: Vec<String> = settings.broken_contracts(&child).into_iter().map(|error| error.message).collect();
        assert!(matches!(&broken[..], [said] if said.contains("never refused with NEGATIVE")), "{text}: {broken:?}");
    }
}

/// Every code that may be refused with can be counted on, also one that looks like a word of the record's own.
#[test]
fn any_code_is_kept() {
    for code in ["_", "NONE", "C_"] {
        let text = both(PARENT, &CHILD.replace("refuse: NEGATIVE", &format!("refuse: {code}")));
        let all = compiled(&text).unwrap_or_else(|errors| panic!("{code}: {errors:#?}"));
        let child = all.iter().find(|one| *one.name == *"child").expect("it is there");
        let codes = child.contract.as_ref().and_then(|contract| contract.codes.clone()).expect("all are known");
        assert!(codes.contains(code), "{code}: {codes:?}");
        let mut schemas = Schemas::builtin();
        let records = DefinitionRecord::of_file("both.yaml", &text, 0, &mut settings(&mut schemas));
        let records = records.unwrap_or_else(|errors| panic!("{code}: {errors:#?}"));
        let again = records[1].compile(&mut settings(&mut schemas)).expect("it compiles again");
        assert_eq!(again.contract.as_ref().and_then(|contract| contract.codes.clone()), Some(codes));
    }
}

/// Thirty sagas of which each runs all that stand behind it, the last one wrong: each is compiled once for the others, not once a way.
#[test]
fn what_is_wrong_below_is_found_once() {
    const COUNT: usize = 30;
    let mut text = String::new();
    for number in 0..COUNT {
        let runs: String = (number + 1..COUNT).map(|below| format!("  - {{ step: s{below}, run: c{below} }}\n")).collect();
        let runs = if number + 1 == COUNT { "  - { step: no, refuze: NO }\n".to_owned() } else { runs };
        text.push_str(&format!("---\nsaga: c{number}\ninput: {{}}\nsteps:\n{runs}"));
    }
    let errors = compiled(&text).expect_err("the last is wrong");
    assert!(!errors.is_empty() && errors.iter().all(|error| !error.contains("has errors itself")), "{errors:#?}");
}

/// One that is deployed and runs another cannot be run by that one: neither has an end.
#[test]
fn what_is_deployed_is_not_run_by_what_it_runs() {
    let mut schemas = Schemas::builtin();
    let upper = "\nsaga: upper\ninput: {}\nsteps:\n  - { step: s, run: lower }\n";
    let lower = "\nsaga: lower\ninput: {}\nsteps:\n  - { step: no, refuse: NO }\n";
    let first = DefinitionRecord::of_file("both.yaml", &both(upper, lower), 0, &mut settings(&mut schemas)).expect("it is right");
    let deployed: BTreeMap<_, _> = first.iter().map(|record| (record.name.clone(), record.schemas.clone())).collect();
    let mut settings = Settings { deployed, ..settings(&mut schemas) };
    let lower = lower.replace("{ step: no, refuse: NO }", "{ step: s, run: upper }");
    let records = DefinitionRecord::of_file("lower.yaml", &lower, 0, &mut settings).expect("it is right by itself");
    let errors = settings.broken_contracts(&records);
    assert!(
        errors.len() == 1 && errors[0].message.contains("its rows stand 3 deep below one another, and 1 before"),
        "{errors:#?}"
    );
}

/// A saga that is not there hides no other mistake, and makes none up.
#[test]
fn what_is_not_known_hides_no_other_mistakes() {
    let text = "
saga: parent
start: { on: Begun, from: in, key: event.id }
steps:
  - { step: before, do: bank.Ask, with: { n: start.n } }
  - { step: child, run: chidl, with: { n: start.n + nosuch, when: steps.before.at } }
  - { step: behind, do: bank.Tell, with: { got: steps.child.twice + 1, more: \"steps.child.list.map(l, l.x)\" } }
  - { step: other, run: gone, with: {} }
on_completed: { emit: Done, to: out, with: { got: steps.child.twice, wrong: steps.chidl.x } }
";
    let errors = compiled(text).expect_err("it is wrong");
    let found: Vec<&str> = errors.iter().map(|error| error.split(": ").nth(1).unwrap_or_default()).collect();
    let starts = |text: &str| errors.iter().filter(|error| error.contains(text)).count();
    for text in [
        "no saga 'chidl' is in these files",
        "no saga 'gone'",
        "'before' does not say how it is undone",
        "nosuch",
        "there is no step 'chidl'",
    ] {
        assert_eq!(starts(text), 1, "{text}: {errors:#?}");
    }
    assert_eq!(found.len(), 5, "{errors:#?}");
}
