//! `ringmaster scale` with a real coordinator and real members: they come with the load, one that is killed is replaced, and every order is
//! scored once. (How they go again takes minutes, one each: that is played in virtual time, and by a scripted API.)

use std::collections::BTreeMap;
use std::fs::copy;
use std::path::Path;
use std::process::Command;

use ringmaster::api::{Overview, client};
use ringmaster_demo::orders::OUTCOMES;
use ringmaster_tests::live::{Coordinator, Process, World, binary, repository, say, until};

/// Orders that are placed at once,
const ORDERS: u64 = 40;
/// whenever fewer than these are on their way while there is to be load: more than members can do, and soon done behind it.
const ON_THEIR_WAY: u64 = 400;

#[test]
fn members_come_with_the_load_and_one_that_is_killed_is_replaced() {
    let world = World::bare("scaled");
    let (demo, library) = (repository().join("demo/src/scale"), repository().join("sagas/library/schemas"));
    std::fs::remove_file(world.folder().join("sagas/order-fulfilment.yaml")).expect("it is there");
    copy(demo.join("score-orders.yaml"), world.folder().join("sagas/score-orders.yaml")).expect("copied");
    for schema in ["fraud.Score.avsc", "fraud.ScoreResult.avsc"] {
        copy(library.join(schema), world.folder().join("sagas/schemas").join(schema)).expect("copied");
    }
    world.configure(&settings(&world));
    world.apply_topics();
    let coordinator = world.owner("blue");
    let api = coordinator.address.to_string();
    let scaler = Process::start("scale", &binary("ringmaster"), &["scale", "--api", &api], world.folder());
    until("one member runs", || members(&scaler).len() == 1);
    let mut placed = 0;
    let mut place = || {
        if placed < ended(&coordinator) + ON_THEIR_WAY {
            world.place("none", placed..placed + ORDERS);
            placed += ORDERS;
        }
    };
    until("four members run", || {
        place();
        members(&scaler).len() == 4
    });
    let victim = members(&scaler)[1];
    kill(victim);
    until("another one runs in its place", || {
        place();
        let now = members(&scaler);
        now.len() == 4 && !now.contains(&victim)
    });
    assert!(scaler.said().contains("has ended (signal: 9 (SIGKILL)): started again at once"), "{}", scaler.said());
    until("every order is scored", || ended(&coordinator) >= placed);
    let last = members(&scaler);
    assert_eq!(scaler.stop(), 0, "it ends in order");
    assert!(last.iter().all(|member| !Path::new(&format!("/proc/{member}")).exists()), "no member is left");
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    for outcome in world.records(OUTCOMES) {
        *outcomes.entry(outcome["order_id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    assert_eq!((ended(&coordinator), outcomes.len() as u64), (placed, placed));
    assert!(outcomes.values().all(|count| *count == 1), "an order was told twice");
    coordinator.stop();
    say(&format!("scaled: {placed} orders were scored once by 4 members, of which one was killed"));
}

fn settings(world: &World) -> String {
    let prefix = world.topics().journal.trim_end_matches(".journal").to_owned();
    let (fraud, address) = (binary("fraud").display().to_string(), world.address());
    format!(
        "[participants.fraud]\nconcurrency = 1\n[topics.{OUTCOMES}]\nencoding = \"json\"\n[scale.fraud]\nmax = 4\ncommand = [\"{fraud}\", \
         \"--bootstrap\", \"{address}\", \"--prefix\", \"{prefix}\", \"--stateless\", \"--service-time\", \"20ms\"]"
    )
}

/// Processes that the scaler has started and that run.
fn members(scaler: &Process) -> Vec<u32> {
    let ids = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", scaler.pid())).unwrap_or_default();
    ids.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

fn kill(process: u32) {
    let status = Command::new("kill").args(["-KILL", &process.to_string()]).status().expect("kill runs");
    assert!(status.success(), "{process} is killed");
}

/// Sagas that did everything.
fn ended(coordinator: &Coordinator) -> u64 {
    let answer = client::get(coordinator.address, "/api/v1/overview").expect("it answers");
    let overview: Overview = serde_json::from_str(&answer.body).expect("the overview");
    assert_eq!(overview.happened.compensated, 0, "nothing is undone");
    overview.happened.completed.unsigned_abs()
}
