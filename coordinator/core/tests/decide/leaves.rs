//! The kinds of leaves, and how each comes to be.

use ringmaster_core::saga::{Act, ClaimNews, Input, Room};
use ringmaster_schemas::journal::Place;

use super::stage::Stage;

/// A kind of leaf: how it is called in the table, and how it comes to be.
pub(crate) struct Leaf {
    pub(crate) name: &'static str,
    pub(crate) play: fn() -> Stage,
}

const fn leaf(name: &'static str, play: fn() -> Stage) -> Leaf {
    Leaf { name, play }
}

fn at(mut stage: Stage, place: Place) -> Stage {
    stage.place = Some(place);
    stage
}

/// A saga of this definition as far as its second step, played on, and looked at there.
fn task(saga: &str, play: impl FnOnce(&mut Stage)) -> Stage {
    let mut stage = Stage::begun(saga);
    play(&mut stage);
    at(stage, 1)
}

/// The same, and it has come to what waits behind that step.
fn behind(saga: &str, play: impl FnOnce(&mut Stage)) -> Stage {
    task(saga, |stage| {
        stage.done("task");
        play(stage);
    })
}

/// The same, and it has come to the pivot.
fn at_pivot(saga: &str, play: impl FnOnce(&mut Stage)) -> Stage {
    let stage = behind(saga, |stage| {
        stage.comes("Came", r#"{"id":"k","ok":true}"#);
        play(stage);
    });
    at(stage, 3)
}

/// A step that is undone alone, since nobody knows whether it was done.
fn unknown(play: impl FnOnce(&mut Stage)) -> Stage {
    task("plain", |stage| {
        stage.failed("task", "STAY");
        play(stage);
    })
}

/// An item, looked at in its row.
fn item(mut stage: Stage, number: u16) -> Stage {
    stage.id = format!("lists/k/each.{number}").into();
    at(stage, 0)
}

/// Items of which two are under way.
fn items(play: impl FnOnce(&mut Stage)) -> Stage {
    task("lists", play)
}

/// A list of one item, which was left out, done after all, and is still to be undone when its saga has ended.
fn ended_with_stray(room: Room) -> Stage {
    let mut stage = Stage::with_lines("lists", 1);
    below(&mut stage, "lists/k/each.0", |stage| {
        stage.refused("part", "LEAVE");
        stage.done("part");
    });
    stage.comes("Came", r#"{"id":"k","ok":true}"#);
    stage.room = room;
    stage.done("end");
    at(stage, 1)
}

/// Something comes for a row below.
fn below(stage: &mut Stage, id: &str, play: impl FnOnce(&mut Stage)) {
    let own = std::mem::replace(&mut stage.id, id.into());
    play(stage);
    stage.id = own;
}

fn sub(mut stage: Stage, id: &str, place: Place) -> Stage {
    stage.id = id.into();
    at(stage, place)
}

/// Steps that ask somebody, before the pivot.
pub(crate) static ASKED: [Leaf; 14] = [
    leaf("asked, and not answered yet", || task("plain", |_| {})),
    leaf("asked, and waiting to be asked again", || task("plain", |stage| stage.fails("task"))),
    leaf("asked, and parked: its participant is not asked now", || {
        task("plain", |stage| {
            stage.closes("worker");
            stage.time();
        })
    }),
    leaf("asked, and withheld: its saga is paused", || {
        task("plain", |stage| {
            stage.fails("task");
            stage.act(Act::Pause);
            stage.time();
        })
    }),
    leaf("asked, not answered yet, and its saga is paused", || task("plain", |stage| stage.act(Act::Pause))),
    leaf("asked, and stuck: its participant may have forgotten it", || task("plain", |stage| stage.failed("task", "TOO_OLD"))),
    leaf("asked, not answered yet, and the saga undoes", || task("plain", |stage| stage.cancel())),
    leaf("parked before it is asked", || {
        let mut stage = Stage::of("plain");
        stage.takes(Input::Start(stage.start_input(3)));
        stage.closes("worker");
        stage.done("first");
        at(stage, 1)
    }),
    leaf("withheld before it is asked: its saga is paused", || {
        let mut stage = Stage::of("plain");
        stage.takes(Input::Start(stage.start_input(3)));
        stage.closes("worker");
        stage.done("first");
        stage.act(Act::Pause);
        stage.takes(Input::Unpark(1));
        at(stage, 1)
    }),
    leaf("done", || behind("plain", |_| {})),
    leaf("done, while the saga is paused: what stands behind it is postponed", || {
        task("plain", |stage| {
            stage.act(Act::Pause);
            stage.done("task");
        })
    }),
    leaf("refused, and gone on without", || task("plain", |stage| stage.refused("task", "LEAVE"))),
    leaf("refused, and stuck", || task("plain", |stage| stage.refused("task", "STAY"))),
    leaf("refused, and stuck: what it gives is read", || task("read", |stage| stage.refused("task", "STAY"))),
];

/// Steps that are undone, or are to be.
pub(crate) static UNDONE: [Leaf; 18] = [
    leaf("refused, and the saga undoes", || task("plain", |stage| stage.refused("task", "NO"))),
    leaf("failed, with nothing to undo, and the saga undoes", || task("kept", |stage| stage.failed("task", "NO"))),
    leaf("failed, and its undo is parked", || {
        task("plain", |stage| {
            stage.closes("helper");
            stage.failed("task", "STAY");
        })
    }),
    leaf("failed, and its undo cannot be made", || task("mistaken", |stage| stage.failed("task", "LEAVE"))),
    leaf("done, and its undo is parked", || {
        behind("plain", |stage| {
            stage.closes("helper");
            stage.cancel();
        })
    }),
    leaf("done, and its undo cannot be made", || behind("mistaken", |stage| stage.cancel())),
    leaf("its undo is asked, alone, and not answered yet", || unknown(|_| {})),
    leaf("its undo is asked, with the whole saga, and not answered yet", || behind("plain", |stage| stage.cancel())),
    leaf("its undo waits to be asked again", || unknown(|stage| stage.undo_fails("task"))),
    leaf("its undo is asked, and parked", || {
        unknown(|stage| {
            stage.closes("helper");
            stage.time();
        })
    }),
    leaf("its undo is stuck", || unknown(|stage| stage.undo_refused("task"))),
    leaf("its undo is stuck, and the saga undoes", || {
        behind("plain", |stage| {
            stage.cancel();
            stage.undo_refused("task");
        })
    }),
    leaf("undone alone, and stuck", || unknown(|stage| stage.undone("task"))),
    leaf("undone, and the saga undoes", || {
        behind("plain", |stage| {
            stage.cancel();
            stage.undone("task");
        })
    }),
    leaf("refused, done after all, and undone by itself", || {
        task("plain", |stage| {
            stage.refused("task", "LEAVE");
            stage.done("task");
        })
    }),
    leaf("closed: the saga undoes", || at(behind("plain", |stage| stage.cancel()), 2)),
    leaf("undone, and the saga has ended", || {
        behind("plain", |stage| {
            stage.cancel();
            stage.undone("task");
            stage.undone("first");
        })
    }),
    leaf("refused, and the saga is undone", || {
        task("plain", |stage| {
            stage.refused("task", "NO");
            stage.undone("first");
        })
    }),
];

/// The pivot, and what comes behind.
pub(crate) static PIVOT: [Leaf; 9] = [
    leaf("the pivot, not answered yet", || at_pivot("plain", |_| {})),
    leaf("the pivot, not answered yet, and a stop is remembered", || at_pivot("plain", |stage| stage.cancel())),
    leaf("the pivot, and stuck", || at_pivot("plain", |stage| stage.failed("end", "NO"))),
    leaf("behind the pivot, not answered yet", || at(at_pivot("plain", |stage| stage.done("end")), 4)),
    leaf("behind the pivot, not answered, and stuck", || {
        let play = |stage: &mut Stage| {
            stage.done("end");
            stage.failed("tell", "NO");
        };
        at(at_pivot("plain", play), 4)
    }),
    leaf("behind the pivot, refused, and stuck", || {
        let play = |stage: &mut Stage| {
            stage.done("end");
            stage.refused("tell", "NO");
        };
        at(at_pivot("plain", play), 4)
    }),
    leaf("behind the pivot, and it cannot be made", || at(at_pivot("mistaken", |stage| stage.done("end")), 4)),
    leaf("the saga's end cannot be told", || {
        let mut stage = Stage::with_lines("mistaken", 0);
        stage.done("task");
        stage.comes("Came", r#"{"id":"k","ok":true}"#);
        stage.done("end");
        at(stage, 4)
    }),
    leaf("done, and the saga has ended", || {
        let play = |stage: &mut Stage| {
            stage.done("end");
            stage.done("tell");
        };
        at(at_pivot("plain", play), 4)
    }),
];

/// What waits by itself.
pub(crate) static WAITS: [Leaf; 9] = [
    leaf("waiting for an event", || at(behind("plain", |_| {}), 2)),
    leaf("waited for an event in vain, and the saga undoes", || at(behind("plain", |stage| stage.time()), 2)),
    leaf("waited for an event in vain, and stuck", || task("patient", |stage| stage.time())),
    leaf("waiting for an event by a value that is claimed", || task("tagged", |_| {})),
    leaf("waiting for an event by a value that it has", || {
        let mut stage = task("tagged", |_| {});
        stage.takes(Input::Claim(stage.claim_input(ClaimNews::Granted)));
        stage
    }),
    leaf("asleep", || task("sleeps", |_| {})),
    leaf("asleep, and its saga is paused", || task("sleeps", |stage| stage.act(Act::Pause))),
    leaf("asking for an approval", || task("asks", |_| {})),
    leaf("asking for an approval, and its saga is paused", || task("asks", |stage| stage.act(Act::Pause))),
];

/// Scopes, and what is in them.
pub(crate) static SCOPES: [Leaf; 4] = [
    leaf("a parallel", || task("scoped", |_| {})),
    leaf("a parallel that is undone", || {
        task("scoped", |stage| {
            stage.done("left");
            stage.refused("right", "NO");
        })
    }),
    leaf("in a parallel that is undone, not answered yet", || at(task("scoped", |stage| stage.refused("right", "LEAVE")), 2)),
    leaf("in a parallel that is undone, and its undo is asked", || {
        let play = |stage: &mut Stage| {
            stage.done("left");
            stage.refused("right", "LEAVE");
        };
        at(task("scoped", play), 2)
    }),
];

/// What has rows below it.
pub(crate) static LISTS: [Leaf; 12] = [
    leaf("items, of which some have not begun", || items(|_| {})),
    leaf("items, of which one may begin: its saga has that to do", || {
        let mut stage = Stage::of("lists");
        stage.takes(Input::Start(stage.start_input(3)));
        stage.room = Room::NONE;
        stage.done("first");
        at(stage, 1)
    }),
    leaf("items, and their saga is paused, which they were not told", || {
        items(|stage| {
            stage.room = Room::NONE;
            stage.act(Act::Pause);
        })
    }),
    leaf("items, of which one is held", || items(|stage| below(stage, "lists/k/each.0", |stage| stage.refused("part", "STAY")))),
    leaf("items, all of which have ended well: what they gave is to be gathered", || {
        let mut stage = Stage::with_lines("lists", 1);
        stage.room = Room::NONE;
        below(&mut stage, "lists/k/each.0", |stage| stage.done("part"));
        at(stage, 1)
    }),
    leaf("items that are undone", || {
        items(|stage| {
            below(stage, "lists/k/each.0", |stage| stage.done("part"));
            stage.cancel();
        })
    }),
    leaf("items, and they are done", || {
        let mut stage = Stage::with_lines("lists", 1);
        below(&mut stage, "lists/k/each.0", |stage| stage.done("part"));
        at(stage, 1)
    }),
    leaf("items, and the saga has ended: one of them is told to go, and has something to undo", || {
        let mut stage = ended_with_stray(Room::NONE);
        while stage.row().is_some_and(|row| row.entries[1].children().is_some_and(|rows| rows.swept == 0)) {
            stage.moves_alone(&Input::Work);
        }
        stage
    }),
    leaf("items, and the saga has ended: one of them stays, since it has something to undo", || ended_with_stray(Room::USUAL)),
    leaf("a sub-saga", || task("runs", |_| {})),
    leaf("a sub-saga that holds the pivot", || task("pays", |_| {})),
    leaf("a sub-saga that holds the pivot, and a stop is remembered", || {
        task("pays", |stage| {
            below(stage, "pays/k/pay", |stage| stage.done("hold"));
            stage.cancel();
        })
    }),
];

/// Rows below others.
pub(crate) static BELOW: [Leaf; 9] = [
    leaf("an item that has not begun", || {
        let mut stage = item(items(|_| {}), 2);
        stage.place = None;
        stage
    }),
    leaf("of an item: asked, and not answered yet", || item(items(|_| {}), 0)),
    leaf("of an item: asked, not answered yet, and its list is undone, which it was not told", || {
        let play = |stage: &mut Stage| {
            stage.room = Room::NONE;
            stage.cancel();
        };
        item(items(play), 0)
    }),
    leaf("of an item: asked, not answered yet, and its saga is paused, which it was not told", || {
        let play = |stage: &mut Stage| {
            stage.room = Room::NONE;
            stage.act(Act::Pause);
        };
        item(items(play), 0)
    }),
    leaf("of an item that has ended well", || item(items(|stage| below(stage, "lists/k/each.0", |stage| stage.done("part"))), 0)),
    leaf("of an item that is undone, and has ended", || {
        let play = |stage: &mut Stage| below(stage, "lists/k/each.0", |stage| stage.refused("part", "NO"));
        item(items(play), 0)
    }),
    leaf("of a sub-saga: asked, and not answered yet", || sub(task("runs", |_| {}), "runs/k/sub", 0)),
    leaf("of a sub-saga: the pivot, not answered yet", || {
        let play = |stage: &mut Stage| below(stage, "pays/k/pay", |stage| stage.done("hold"));
        sub(task("pays", play), "pays/k/pay", 1)
    }),
    leaf("of a sub-saga: behind the pivot, not answered yet", || {
        let play = |stage: &mut Stage| {
            below(stage, "pays/k/pay", |stage| {
                stage.done("hold");
                stage.done("take");
            });
        };
        sub(task("pays", play), "pays/k/pay", 2)
    }),
];

/// Where there is no saga yet.
pub(crate) static NOBODY: [Leaf; 2] = [
    leaf("no saga, and nothing came for it", || Stage::of("plain")),
    leaf("no saga yet, and an event for it is kept", || {
        let mut stage = Stage::of("plain");
        super::tries::early(&mut stage);
        stage
    }),
];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Leaf> {
    ASKED.iter().chain(&UNDONE).chain(&PIVOT).chain(&WAITS).chain(&SCOPES).chain(&LISTS).chain(&BELOW).chain(&NOBODY)
}
