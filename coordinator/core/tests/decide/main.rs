//! What the core decides, of every kind of leaf and of every kind of input: its events by name, or why it is not taken. `table.txt` holds
//! all pairs; `UPDATE_EXPECT=1` writes it anew. No pair panics, and none comes to nothing without a reason that is so.

mod kinds;
mod leaves;
mod reasons;
mod stage;
mod tries;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use expect_test::expect_file;
use ringmaster_core::definition::Definition;
use ringmaster_core::saga::{Basis, Decided, Evaluated, Input, Rejection, Scratch, decide, name_of};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::SagaEvent;
use ringmaster_schemas::state::{Saga, Status, Waits, Work};

use kinds::{Kind, kind_of};
use reasons::why_nothing;
use stage::Stage;
use tries::tries;

/// The hook of panics is the process's: one table is made at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The table, and what is wrong about it.
fn table() -> (String, Vec<String>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut out, mut wrong) = (String::new(), Vec::new());
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for leaf in leaves::all() {
        let stage = match catch_unwind(leaf.play) {
            Ok(stage) => stage,
            Err(panic) => {
                wrong.push(format!("{}: it does not come to be so: {}", leaf.name, message(&*panic)));
                continue;
            }
        };
        let _ = writeln!(out, "{}{}{}", if out.is_empty() { "" } else { "\n" }, leaf.name, stands(&stage));
        for (inputs, said) in rows(leaf.name, &stage, &mut wrong) {
            let _ = writeln!(out, "  {}: {said}", inputs.join("; "));
        }
    }
    std::panic::set_hook(hook);
    (out, wrong)
}

/// What each input comes to. Those that never come, for one reason, stand in one line.
fn rows(leaf: &str, stage: &Stage, wrong: &mut Vec<String>) -> Vec<(Vec<&'static str>, String)> {
    let mut rows: Vec<(Vec<&'static str>, String)> = Vec::new();
    for kind in Kind::ALL {
        for one in tries(*kind, stage) {
            match one.comes {
                Err(why) => {
                    let said = format!("never: {why}");
                    match rows.last_mut().filter(|(_, last)| *last == said) {
                        Some((inputs, _)) => inputs.push(one.name),
                        None => rows.push((vec![one.name], said)),
                    }
                }
                Ok((input, now)) => {
                    assert_eq!(kind_of(&input), *kind, "{}", one.name);
                    let said = comes_to(*kind, stage, &input, now).unwrap_or_else(|fault| {
                        wrong.push(format!("{leaf}: {}: {fault}", one.name));
                        fault
                    });
                    rows.push((vec![one.name], said));
                }
            }
        }
    }
    rows
}

#[test]
fn every_leaf_and_every_input_has_its_decision() {
    let (table, wrong) = table();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    expect_file!["table.txt"].assert_eq(&table);
}

/// What is broken shows: as another line, as a panic, or as nothing where something was to be.
#[cfg(feature = "faults")]
#[test]
fn what_is_broken_shows() {
    let (whole, _) = table();
    let broken = |mutant| {
        ringmaster_core::faults::mutate(Some(mutant));
        let (broken, wrong) = table();
        ringmaster_core::faults::mutate(None);
        let differ = whole.lines().zip(broken.lines()).filter(|(one, other)| one != other).count();
        (differ, wrong.join("\n"))
    };
    let (differ, wrong) = broken("stuck_takes_late_success_after_undo");
    assert!((1..4).contains(&differ) && wrong.is_empty(), "{differ} lines differ: {wrong}");
    let (_, wrong) = broken("late_success_taken_after_undo");
    assert!(wrong.contains("PANICS"), "{wrong}");
    let (_, wrong) = broken("recall_ignored_by_completed");
    assert!(wrong.contains("of an item that has ended well: the row above is undone: NOTHING"), "{wrong}");
}

/// What is known of a leaf, in the words of its row.
fn stands(stage: &Stage) -> String {
    let Some(row) = stage.row() else { return " (no row)".to_owned() };
    match stage.leaf() {
        Some(leaf) => format!(" ({} {}, waits: {}; {})", name_of(stage.definition(), leaf), leaf.work, leaf.waits, row.status),
        None => format!(" ({})", row.status),
    }
}

/// What is decided, in words; or what is wrong about it.
fn comes_to(kind: Kind, stage: &Stage, input: &Input, now: Millis) -> Result<String, String> {
    let decided = catch_unwind(AssertUnwindSafe(|| decided(stage, input, now)));
    match decided.map_err(|panic| format!("PANICS: {}", message(&*panic)))? {
        Err(rejection) => Ok(format!("rejected {}", rejection.reason)),
        Ok(Decided { events, .. }) if events.is_empty() => match why_nothing(kind, stage, now) {
            Some((why, true)) => Ok(format!("nothing: {why}")),
            Some((why, false)) => Err(format!("NOTHING, and not since {why}")),
            None => Err("NOTHING, without a reason".to_owned()),
        },
        Ok(Decided { events, saga }) => {
            let told: Vec<String> = events.iter().map(|event| event_name(event, stage.definition(), &saga)).collect();
            Ok(told.join(", "))
        }
    }
}

fn decided(stage: &Stage, input: &Input, now: Millis) -> Result<Decided, Rejection> {
    let (definition, above) = (stage.definition(), stage.above());
    let values = Evaluated::new(definition);
    let basis = Basis { definition, values: &values, breakers: &stage.breakers, above: &above };
    decide(basis, &stage.id, stage.row(), input, now, &mut Scratch::default())
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// An event by its name, and what it is about.
fn event_name(event: &SagaEvent, definition: &Definition, saga: &Saga) -> String {
    let text = format!("{event:?}");
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
    let field = |name: &str| text.split_once(&format!(" {name}: ")).map(|(_, rest)| rest);
    let number = |name: &str| word(field(name)?).parse::<u16>().ok();
    let mut name = word(&text);
    match event {
        SagaEvent::Entered { .. } => name.push_str(&format!("({})", field("opens").map(word).unwrap_or_default())),
        SagaEvent::Item { .. } => name.push_str(&format!("({})", field("event").map(word).unwrap_or_default())),
        _ => {}
    }
    let of_node = |node: u16| definition.node(node).map(|node| node.name.to_string());
    let about = match number("place") {
        Some(place) => saga.entry(place).map(|entry| name_of(definition, entry)),
        None => number("node").and_then(of_node),
    };
    about.filter(|about| !about.is_empty()).into_iter().for_each(|about| name.push_str(&format!(" {about}")));
    for (is_so, said) in [("direction: Undo", "undo"), ("passes: true", "passes"), ("stray: true", "stray")] {
        if text.contains(is_so) {
            name.push_str(&format!(" ({said})"));
        }
    }
    name
}

/// The pairs that a leaf may be in: a new reason to wait, or a new state of work, does not compile without a word here.
fn may_be(work: Work, waits: Waits) -> bool {
    let by_itself = match waits {
        Waits::Time | Waits::Approval | Waits::Event => true,
        Waits::No | Waits::Reply | Waits::Retry | Waits::Stuck | Waits::Parked | Waits::Paused | Waits::Children => false,
    };
    match work {
        Work::Nothing => by_itself || matches!(waits, Waits::Stuck | Waits::Parked | Waits::Paused),
        Work::Asked => matches!(waits, Waits::Reply | Waits::Retry | Waits::Stuck | Waits::Parked | Waits::Paused),
        Work::UndoAsked => matches!(waits, Waits::Reply | Waits::Retry | Waits::Stuck | Waits::Parked),
        Work::Done | Work::Failed => matches!(waits, Waits::No | Waits::Stuck | Waits::Parked),
        Work::Refused | Work::Undone => matches!(waits, Waits::No | Waits::Stuck),
        Work::Open | Work::Undoing => matches!(waits, Waits::No | Waits::Children),
        Work::Closed => waits == Waits::No,
    }
}

#[test]
fn every_leaf_that_may_be_is_in_the_table() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut met, mut statuses, mut names, mut kinds) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), Vec::new());
    for leaf in leaves::all() {
        let stage = (leaf.play)();
        met.extend(stage.leaf().map(|entry| (entry.work, entry.waits)));
        statuses.extend(stage.row().map(|row| row.status));
        assert!(names.insert(leaf.name), "two leaves are called '{}'", leaf.name);
        kinds.extend(Kind::ALL.iter().filter(|kind| tries(**kind, &stage).iter().any(|one| one.comes.is_ok())));
    }
    let pairs = Work::ALL.iter().flat_map(|work| Waits::ALL.iter().map(|waits| (*work, *waits)));
    let all: BTreeSet<_> = pairs.filter(|(work, waits)| may_be(*work, *waits)).collect();
    assert_eq!(met, all, "leaves of the table, and those that may be");
    // The row of an item that was swept is gone.
    let all: BTreeSet<Status> = Status::ALL.iter().copied().filter(|status| *status != Status::Swept).collect();
    assert_eq!(statuses, all);
    let never: Vec<_> = Kind::ALL.iter().filter(|kind| !kinds.contains(*kind)).collect();
    assert!(never.is_empty(), "{never:?} come to no leaf");
}
