//! All plans of the simulator: those that are drawn, by name, and those of the crash points, in turn.

use super::plan::{Incident, Plan};
use super::points::{Point, all_points};
use super::world::Struck;

/// Draws a plan by a seed.
pub type Draw = fn(u64) -> Plan;

/// All that is drawn, by name.
pub const PLANS: [(&str, Draw); 14] = [
    ("random", Plan::random),
    ("hostile", Plan::hostile),
    ("restless", Plan::restless),
    ("reassigning", Plan::reassigning),
    ("parking", Plan::parking),
    ("routing", Plan::routing),
    ("refusing", Plan::refusing),
    ("rerouting", Plan::rerouting),
    ("warm", Plan::warm),
    ("forgetting", Plan::forgetting),
    ("tail_lost", Plan::tail_lost),
    ("claim_lost", Plan::claim_lost),
    ("punctual", Plan::punctual),
    ("leaders", Plan::leaders),
];

/// Names of PROTOCOL.md section 7 that are no points here, and why.
pub const NOT_POINTS: [(&str, &str); 3] = [
    ("router_zombie", "standing still at one of the router's points is that"),
    ("size_refused", "the simulator's records are small: attacked by tests/tests/bad_input"),
    ("range_delete_half", "a store deletes a partition's rows by one batch, which is there or not (ringmaster-store, `clear`)"),
];

/// At points a coordinator dies, stands still, or is one of two that keep copies of what the other has.
const WAYS: usize = 3;

impl Plan {
    /// One of all plans, and its name: those that are drawn, and the points in turn.
    pub fn nth(seed: u64) -> (String, Plan) {
        let kind = (seed % (PLANS.len() + WAYS) as u64) as usize;
        if let Some((name, plan)) = PLANS.get(kind) {
            return ((*name).to_owned(), plan(seed));
        }
        let points: Vec<Point> = all_points().collect();
        let round = seed / (PLANS.len() + WAYS) as u64;
        let point = points[(round % points.len() as u64) as usize];
        match kind - PLANS.len() {
            0 => (format!("dies at {}", point.name), point.plan(seed, false)),
            1 if point.freezes => (format!("stands still at {}", point.name), point.plan(seed, true)),
            _ => {
                let freeze = point.freezes && (round / points.len() as u64).is_multiple_of(2);
                let plan = Plan { coordinators: 2, standby: 1, ..point.plan(seed, freeze) };
                (format!("ends beside its copy at {}", point.name), plan)
            }
        }
    }

    /// A run in which leaders of the journal change again and again, while records are on their way to them.
    pub fn leaders(seed: u64) -> Plan {
        let mut plan = Plan::random(seed);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x1ead);
        (plan.orders, plan.load_ms) = (60, plan.safety_ms);
        plan.faults.wire_max_ms = rng.i64(5..40);
        for at in (200..plan.safety_ms).step_by(300) {
            let then = [None, None, Some(Struck::Died), Some(Struck::Stood)][rng.usize(..4)];
            plan.incidents.push((at, Incident::ChangeLeader(rng.i64(5..900), then)));
        }
        plan.incidents.sort_by_key(|(at, _)| *at);
        plan
    }
}
