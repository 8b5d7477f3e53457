//! What can come to a leaf: for each kind of input those that there are, or why it never comes where the leaf is as it is.

use std::sync::Arc;

use ringmaster_core::saga::{Act, ActInput, BeginInput, ClaimNews, Input, News, Novelty, Outcome};
use ringmaster_schemas::journal::{Failure, FailureKind, KeptEvent, Phase};
use ringmaster_schemas::names::{Direction, below};
use ringmaster_schemas::state::{Child, ChildWork, Saga, Waits, Work};
use ringmaster_schemas::{Data, Millis};

use super::kinds::Kind;
use super::stage::{Stage, failure, refusal};

/// An input, how it is called in the table, and when it comes; or why it never does.
pub(crate) struct Try {
    pub(crate) name: &'static str,
    pub(crate) comes: Result<(Input, Millis), &'static str>,
}

fn comes(stage: &Stage, name: &'static str, input: Input) -> Vec<Try> {
    vec![Try { name, comes: Ok((input, stage.now)) }]
}

fn never(name: &'static str, why: &'static str) -> Vec<Try> {
    vec![Try { name, comes: Err(why) }]
}

/// All inputs of a kind.
pub(crate) fn tries(kind: Kind, stage: &Stage) -> Vec<Try> {
    match kind {
        Kind::Start | Kind::Early | Kind::Begin => begins(kind, stage),
        Kind::Done | Kind::Refused | Kind::Failed => answers(kind, stage),
        Kind::Undone | Kind::UndoRefused | Kind::UndoFailed => answers_to_undo(kind, stage),
        Kind::Due => due(stage),
        Kind::Event => events(stage),
        Kind::ClaimGranted => claims(stage, "its value is given to it", ClaimNews::Granted),
        Kind::ClaimDenied => claims(stage, "its value is another one's", ClaimNews::Denied),
        Kind::ClaimUnreadable => {
            claims(stage, "an event with its value cannot be read", ClaimNews::Unreadable { source: "tags/0/1".into() })
        }
        Kind::ClaimEvent => events_by_value(stage),
        Kind::Unpark => comes(stage, "it may go out", Input::Unpark(stage.place.unwrap_or(0))),
        Kind::Cancel => comes(stage, "a cancel", Input::Cancel { why: "changed their mind".into() }),
        Kind::ActCancel => acts(stage, [("act: cancel", Act::Cancel)]),
        Kind::ActPause => acts(stage, [("act: pause", Act::Pause)]),
        Kind::ActResume => acts(stage, [("act: resume", Act::Resume)]),
        Kind::ActApprove => acts(stage, [("act: approve", Act::Approve)]),
        Kind::ActRefuse => acts(stage, [("act: refuse", Act::Refuse)]),
        Kind::ActRetry | Kind::ActSkip | Kind::ActResolve => ways_out(kind, stage),
        Kind::Work if child_work(stage) == Some(ChildWork::Gather) => never("its own work", "results are gathered first"),
        Kind::Work => comes(stage, "its own work", Input::Work),
        Kind::NewsDone
        | Kind::NewsUndone
        | Kind::NewsPassed
        | Kind::NewsHeld
        | Kind::NewsLooked
        | Kind::NewsLingers
        | Kind::NewsGone => news(kind, stage),
        Kind::Gathered => {
            let place = stage.place.unwrap_or(0);
            let mut all = comes(stage, "what its rows gave", Input::Gathered(place, Ok(gathered(stage))));
            all.extend(comes(stage, "what its rows gave, which cannot be read", Input::Gathered(place, Err("unreadable".into()))));
            all
        }
        Kind::Recall | Kind::Stop | Kind::Sweep | Kind::LookAbove => from_above(kind, stage),
        Kind::TooBig => too_big(stage),
    }
}

fn begins(kind: Kind, stage: &Stage) -> Vec<Try> {
    let (row, is_below) = (stage.row(), below(&stage.id).is_some());
    match kind {
        Kind::Start if is_below => never("a start", "the row above begins it"),
        Kind::Start => comes(stage, "a start", Input::Start(stage.start_input(3))),
        Kind::Early if row.is_some_and(|row| row.began()) => {
            never("an event that came too early", "there is a saga that takes it, or keeps it")
        }
        Kind::Early => comes(stage, "an event that came too early", Input::Early(event_kept("2", stage.now))),
        _ if row.is_some() => never("it begins below", "it has begun"),
        _ if !is_below => never("it begins below", "nothing is above it"),
        _ => {
            let begin = BeginInput { start: Data::new(&[4]), version_offset: None, search: Vec::new() };
            comes(stage, "it begins below", Input::Begin(begin))
        }
    }
}

/// Its step is done, with what is read of that.
fn done(stage: &Stage) -> Outcome {
    Outcome::Succeeded { result: stage.result_of(&step(stage)) }
}

fn answers(kind: Kind, stage: &Stage) -> Vec<Try> {
    let to_do = Direction::Do;
    match kind {
        Kind::Done => {
            let all = [("reply: done", None, done(stage)), ("reply: done, says an attempt before", Some(0), done(stage))];
            let nobody = stage.reply_input("nobody", to_do, None, Outcome::Succeeded { result: None });
            let mut all = replies(stage, to_do, all);
            all.extend(comes(stage, "reply: done, says a step that was never asked", Input::Reply(nobody)));
            all
        }
        Kind::Refused => {
            let all = [("reply: refused", None, refusal("NO")), ("reply: refused, with a reaction", None, refusal("STAY"))];
            replies(stage, to_do, all)
        }
        _ => failures(stage, to_do, ["reply: failed", "reply: failed for good", "reply: failed, says an attempt before"]),
    }
}

fn answers_to_undo(kind: Kind, stage: &Stage) -> Vec<Try> {
    let to_undo = Direction::Undo;
    match kind {
        Kind::Undone => replies(stage, to_undo, [("reply: undone", None, Outcome::Succeeded { result: None })]),
        Kind::UndoRefused => replies(stage, to_undo, [("reply: its undo is refused", None, refusal("NO"))]),
        _ => {
            let names =
                ["reply: its undo failed", "reply: its undo failed for good", "reply: its undo failed, says an attempt before"];
            failures(stage, to_undo, names)
        }
    }
}

/// For now, for good, and for now by an attempt before.
fn failures(stage: &Stage, direction: Direction, [for_now, for_good, before]: [&'static str; 3]) -> Vec<Try> {
    let all = [
        (for_now, None, failure("BUSY", true)),
        (for_good, None, failure("BUSY", false)),
        (before, Some(0), failure("BUSY", true)),
    ];
    replies(stage, direction, all)
}

fn events_by_value(stage: &Stage) -> Vec<Try> {
    let text = |ok: bool| format!(r#"{{"tag":"k","ok":{ok}}}"#);
    let data = |ok| stage.event_data("Tagged", &text(ok)).map_or(Data::new(&[]), |(_, data)| data);
    let event = |ok| ClaimNews::Event { source: "tags/0/1".into(), data: data(ok) };
    let mut all = claims(stage, "an event with its value comes", event(true));
    all.extend(claims(stage, "an event with its value comes, and is not the one", event(false)));
    all
}

/// What a person does about what is stuck.
fn ways_out(kind: Kind, stage: &Stage) -> Vec<Try> {
    match kind {
        Kind::ActRetry => {
            let mut all = acts(stage, [("act: retry", Act::Retry)]);
            let act = ActInput { if_turn: Some(0), ..stage.act_input(Act::Retry) };
            all.extend(comes(stage, "act: retry, for another state", Input::Act(act)));
            all
        }
        Kind::ActSkip => {
            let with = Act::Skip { value: stage.result_of(&step(stage)), given: true };
            acts(stage, [("act: skip", Act::Skip { value: None, given: false }), ("act: skip, with a value", with)])
        }
        _ => {
            let all = [
                ("act: resolve, it is done", Act::Resolve(done(stage))),
                ("act: resolve, it is refused", Act::Resolve(refusal("NO"))),
                ("act: resolve, it failed", Act::Resolve(failure("BUSY", false))),
            ];
            acts(stage, all)
        }
    }
}

/// The step that answers are for: that of the leaf, or any.
fn step(stage: &Stage) -> String {
    let order = stage.leaf().and_then(|leaf| leaf.order.as_ref());
    order.map_or("task", |order| order.step()).to_owned()
}

fn replies<const N: usize>(stage: &Stage, direction: Direction, all: [(&'static str, Option<i32>, Outcome); N]) -> Vec<Try> {
    let of = |(name, attempt, outcome): (&'static str, Option<i32>, Outcome)| {
        comes(stage, name, Input::Reply(stage.reply_input(&step(stage), direction, attempt, outcome)))
    };
    all.into_iter().flat_map(of).collect()
}

fn acts<const N: usize>(stage: &Stage, all: [(&'static str, Act); N]) -> Vec<Try> {
    all.into_iter().flat_map(|(name, act)| comes(stage, name, Input::Act(stage.act_input(act)))).collect()
}

fn claims(stage: &Stage, name: &'static str, news: ClaimNews) -> Vec<Try> {
    if stage.definition().listeners.iter().all(|listener| listener.matches.is_none()) {
        return never(name, "its definition claims no value");
    }
    comes(stage, name, Input::Claim(stage.claim_input(news)))
}

fn due(stage: &Stage) -> Vec<Try> {
    let mut all = comes(stage, "a timer fires, and it is too early", Input::Due);
    let at = |name, due_at: Option<Millis>, why| match due_at.filter(|due_at| *due_at > 0 && *due_at < Millis::MAX) {
        Some(due_at) => Try { name, comes: Ok((Input::Due, due_at.max(stage.now))) },
        None => Try { name, comes: Err(why) },
    };
    let row = stage.row();
    let own = stage.leaf().map(|leaf| leaf.due_at().min(leaf.clock().unwrap_or(Millis::MAX)));
    all.push(at("its time comes", own, "nothing of it is due, ever"));
    all.push(at("the deadline comes", row.and_then(|row| row.deadline_at), "there is no deadline"));
    all
}

fn events(stage: &Stage) -> Vec<Try> {
    let of = |name, event, text| match stage.event_input(event, text) {
        _ if stage.row().is_none_or(|row| !row.began()) => never(name, "there is no saga yet: it is one that came too early"),
        Some(input) => comes(stage, name, Input::Event(input)),
        None => never(name, "its definition listens to no such event"),
    };
    let mut all = of("an event that is waited for", "Came", r#"{"id":"k","ok":true}"#);
    all.extend(of("an event that is not the one", "Came", r#"{"id":"k","ok":false}"#));
    all.extend(of("an event that cancels", "Stop", r#"{"id":"k"}"#));
    all
}

/// An event for a saga that has not begun.
fn event_kept(number: &str, now: Millis) -> Arc<KeptEvent> {
    let source = format!("cames/0/{number}").into();
    let data = Data::new(br#"{"id":"k","ok":true}"#);
    Arc::new(KeptEvent { topic: "cames".into(), kind: "Came".into(), source, until: now + 60_000, schema: 0, data })
}

/// One comes, and is kept.
pub(crate) fn early(stage: &mut Stage) {
    stage.takes(Input::Early(event_kept("1", stage.now)));
}

pub(crate) fn child_work(stage: &Stage) -> Option<ChildWork> {
    stage.row()?.child_work().map(|(_, work)| work)
}

/// What the rows below have given: three, or whatever is read of a sub-saga.
fn gathered(stage: &Stage) -> Option<Data> {
    let node = stage.definition().node(stage.leaf()?.node)?;
    node.kept().map(|_| Data::new(&[0]))
}

/// What a row below may say. It speaks of itself while it is under way, and once more when it goes.
fn news(kind: Kind, stage: &Stage) -> Vec<Try> {
    let why = why_above();
    let (name, what) = match kind {
        Kind::NewsDone => ("news: a row below has ended well", Novelty::Done),
        Kind::NewsUndone => {
            ("news: a row below was refused, and is undone", Novelty::Undone { failure: why.clone(), refused: true })
        }
        Kind::NewsPassed => ("news: a row below is behind the pivot", Novelty::Passed),
        Kind::NewsHeld => ("news: a row below is held, or is so no more", Novelty::Held(true)),
        Kind::NewsLooked => ("news: a row below has looked whether it is paused", Novelty::Looked { paused: true, held: false }),
        Kind::NewsLingers => ("news: a row below is not swept yet", Novelty::Lingers),
        _ => ("news: a row below is gone, later than it was told to", Novelty::Gone),
    };
    let Some((leaf, rows)) = stage.leaf().and_then(|leaf| Some((leaf, leaf.children()?))) else {
        return never(name, "no row is below it");
    };
    let has_ended = stage.row().is_some_and(|row| row.ended());
    let is_swept = matches!(kind, Kind::NewsLingers | Kind::NewsGone);
    let is_pivot = stage.definition().node(leaf.node).is_some_and(|node| node.phase == Phase::Pivot);
    let place = stage.place.unwrap_or(0);
    let told = Child::new(0, true);
    let child = match kind {
        Kind::NewsLingers => Some(&told).filter(|child| rows.swept > child.index && rows.child(child.index).is_none()),
        _ => rows.open.first().filter(|_| is_swept == has_ended),
    };
    let Some(child) = child else {
        return never(name, if is_swept { "none of its rows stays" } else { "none of its rows is under way" });
    };
    let never_of = match kind {
        Kind::NewsPassed if !is_pivot => Some("no row below it holds the pivot"),
        Kind::NewsDone if leaf.work == Work::Undoing => Some("what is below stops with it"),
        Kind::NewsLooked if leaf.work == Work::Undoing => Some("only what goes forward looks"),
        Kind::NewsLooked if child.paused == stage.row().is_some_and(|row| row.paused().is_some()) => Some("it was told that"),
        _ => None,
    };
    if let Some(why) = never_of {
        return never(name, why);
    }
    // It tells what is new.
    let what = if let Novelty::Held(_) = what { Novelty::Held(!child.held) } else { what };
    let says = |what| Input::News(News { place, index: child.index, what });
    let mut all = comes(stage, name, says(what));
    if kind == Kind::NewsUndone {
        let failed = Novelty::Undone { failure: why, refused: false };
        all.extend(comes(stage, "news: a row below failed, and is undone", says(failed)));
    }
    all
}

fn why_above() -> Arc<Failure> {
    Arc::new(Failure { code: "NO".into(), step: "part".into(), kind: FailureKind::Refused, message: "".into() })
}

fn from_above(kind: Kind, stage: &Stage) -> Vec<Try> {
    let (name, input) = match kind {
        Kind::Recall => ("the row above is undone", Input::Recall(why_above())),
        Kind::Stop => ("the row above remembers a stop", Input::Stop(why_above())),
        Kind::Sweep => ("the row above needs it no more", Input::Sweep),
        _ => ("the row above is paused, or is so no more", Input::LookAbove),
    };
    let holds_pivot = |row: &Arc<Saga>| row.id.starts_with("pays/");
    match (kind, stage.row()) {
        (_, Some(_)) if below(&stage.id).is_none() => never(name, "nothing is above it"),
        (Kind::Sweep, Some(row)) if !row.ended() => never(name, "it has not ended"),
        (Kind::Stop, Some(row)) if !holds_pivot(row) => never(name, "it does not hold the pivot"),
        (_, None) => never(name, "it has not begun"),
        (_, Some(_)) => comes(stage, name, input),
    }
}

fn too_big(stage: &Stage) -> Vec<Try> {
    let step = stage.leaf().and_then(|leaf| leaf.order.as_ref()).map(|order| Arc::from(order.step()));
    let answer = Input::TooBig { bytes: Some(2_000_000), step, place: None };
    let time = Input::TooBig { bytes: None, step: None, place: None };
    let mut all = comes(stage, "what its answer causes is too big", answer);
    all.extend(comes(stage, "what its time causes is too big", time));
    let name = "what goes out again is too big";
    all.extend(match stage.leaf() {
        Some(leaf) if leaf.waits == Waits::Parked => {
            comes(stage, name, Input::TooBig { bytes: None, step: None, place: stage.place })
        }
        _ => never(name, "it is not parked"),
    });
    all
}
