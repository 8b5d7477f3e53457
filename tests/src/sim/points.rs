//! The crash points of PROTOCOL.md section 7, by name, and the plans by which they are reached.

use ringmaster_schemas::Millis;

use super::plan::{Incident, Plan};
use super::world::Struck;

/// A point at which a process dies, or stands still and goes on.
#[derive(Clone, Copy)]
pub struct Point {
    /// Its name.
    pub name: &'static str,
    /// A process may stand still there as well.
    pub freezes: bool,
    plan: fn(u64, &'static str, bool) -> Plan,
}

impl Point {
    /// A run in which somebody dies there, or stands still.
    pub fn plan(&self, seed: u64, freeze: bool) -> Plan {
        (self.plan)(seed, self.name, freeze)
    }
}

/// Points that any run under load passes.
pub const POINTS: [Point; 30] = [
    usual("claim_not_sent"),
    usual("claim_sent"),
    usual("claim_appended_unacked"),
    usual("claim_acked_unreplayed"),
    usual("replay_half"),
    usual("replay_done_before_resend"),
    usual("resend_half"),
    usual("resend_unacked"),
    usual("resend_done_before_read"),
    usual("input_fetched"),
    usual("decided_not_queued"),
    usual("queued_not_sent"),
    usual("first_appended_second_on_wire"),
    usual("appended_unacked"),
    usual("released_appended_unacked"),
    usual("ack_without_offset"),
    usual("acked_not_confirmed"),
    usual("skip_run_unacked"),
    usual("confirmed_before_send"),
    usual("effect_appended_unacked"),
    usual("later_effect_acked_earlier_not"),
    usual("effect_acked_unjournaled"),
    usual("gap_seen"),
    usual("overlay_dropped_before_reclaim"),
    usual("reclaim_sent_old_on_wire"),
    usual("producer_fatal"),
    usual("producer_replaced_callbacks_pending"),
    usual("batch_built"),
    usual("batch_written_unflushed"),
    usual("checkpoint_before_overlay_trim"),
];

/// Points of the router, and of those that it brings records to.
pub const ROUTER_POINTS: [Point; 4] = [
    routed("router_sent_unacked"),
    routed("router_acked_uncommitted"),
    routed("router_first_refused_second_lands"),
    routed("routed_unjournaled"),
];

/// Points of whoever takes a snapshot, and of whoever makes a state of one.
pub const SNAPSHOT_POINTS: [Point; 6] = [
    forgotten("snapshot_pieces_sent"),
    forgotten("snapshot_sealed_unacked"),
    forgotten("snapshot_counts_undeleted"),
    forgotten("snapshot_deleted_half"),
    forgotten("restore_half"),
    forgotten("restore_rows_half"),
];

/// Points that are passed only where owners change, partitions move, or stores are lost.
pub const SELDOM_POINTS: [Point; 7] = [
    Point { name: "foreign_claim_seen", freezes: true, plan: replaced },
    Point { name: "store_aside_rebuild_half", freezes: true, plan: stores_lost },
    Point { name: "shutdown_half", freezes: true, plan: reassigned },
    Point { name: "revoked_in_flight", freezes: true, plan: reassigned },
    Point { name: "leader_changed", freezes: true, plan: leaders_changed },
    // A flush that stands still is a coordinator that does, between two of its turns.
    Point { name: "flush_half", freezes: false, plan: flushed_half },
    // It is a broker's: whoever was connected is gone.
    Point { name: "tail_lost", freezes: false, plan: |seed, _, _| Plan::tail_lost(seed) },
];

/// Points of services.
pub const SERVICE_POINTS: [Point; 2] = [
    usual("reply_unacked"),
    // It dies by a script that says behind which effect; one that stands still before its reply does so at the other point.
    Point { name: "participant_done_unreplied", freezes: false, plan: unreplied },
];

const fn usual(name: &'static str) -> Point {
    Point { name, freezes: true, plan: Plan::at_point }
}

const fn routed(name: &'static str) -> Point {
    Point { name, freezes: true, plan: |seed, point, freeze| Plan { routed: Some(3), ..Plan::at_point(seed, point, freeze) } }
}

const fn forgotten(name: &'static str) -> Point {
    let plan = |seed, point, freeze| {
        let Plan { partitions, retention_ms, checkpoint_every_ms, flush_every_ms, .. } = Plan::forgetting(seed);
        let kept = Plan::at_point(seed, point, freeze);
        Plan { partitions, retention_ms, checkpoint_every_ms, flush_every_ms, ..kept }.beside(900, &Incident::LoseStore)
    };
    Point { name, freezes: true, plan }
}

fn replaced(seed: u64, point: &'static str, freeze: bool) -> Plan {
    let frozen = Incident::Freeze { for_ms: 300, replace_after_ms: Some(20) };
    Plan::at_point(seed, point, freeze).beside(450, &frozen)
}

fn stores_lost(seed: u64, point: &'static str, freeze: bool) -> Plan {
    Plan::at_point(seed, point, freeze).beside(700, &Incident::LoseStore)
}

fn leaders_changed(seed: u64, point: &'static str, freeze: bool) -> Plan {
    let mut plan = Plan::at_point(seed, point, freeze);
    plan.faults.wire_max_ms = 30;
    let then = if freeze { Struck::Stood } else { Struck::Died };
    plan.incidents.iter_mut().for_each(|(_, incident)| *incident = Incident::ChangeLeader(400, Some(then)));
    plan
}

fn flushed_half(seed: u64, point: &'static str, freeze: bool) -> Plan {
    let mut plan = Plan { checkpoint_every_ms: 50, flush_every_ms: 2_000, ..Plan::at_point(seed, point, freeze) };
    plan.incidents.iter_mut().for_each(|(_, incident)| *incident = Incident::CrashInFlush);
    plan
}

fn unreplied(seed: u64, point: &'static str, freeze: bool) -> Plan {
    Plan { late_replies: 0.6, ..Plan::at_point(seed, point, freeze) }
}

fn reassigned(seed: u64, point: &'static str, freeze: bool) -> Plan {
    Plan::at_point(seed, point, freeze).beside(150, &Incident::Reassign(0))
}

/// All of them.
pub fn all_points() -> impl Iterator<Item = Point> {
    POINTS.into_iter().chain(ROUTER_POINTS).chain(SNAPSHOT_POINTS).chain(SELDOM_POINTS).chain(SERVICE_POINTS)
}

impl Plan {
    /// A calm run whose only coordinator dies, or stands still, at a point.
    pub fn at_point(seed: u64, point: &'static str, freeze: bool) -> Plan {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x9017);
        let mut plan = Plan::random(seed);
        plan.orders = 40;
        plan.load_ms = 2_500;
        plan.incidents.clear();
        // Reclaiming has points of its own, and they must be passed.
        plan.faults.doubt = 0.004;
        plan.faults.offset_unknown = 0.02;
        for at in [100, 900, 1_700, 2_500, 3_300] {
            let after = rng.u32(0..4);
            let for_ms = rng.i64(50..1_500);
            let replace_after_ms = rng.bool().then(|| rng.i64(0..for_ms));
            let what = if freeze {
                Incident::FreezeAt { point, after, for_ms, replace_after_ms }
            } else {
                Incident::CrashAt(point, after)
            };
            plan.incidents.push((at, what));
        }
        plan
    }

    /// An incident more, again and again, beside what happens at a point.
    fn beside(mut self, every_ms: usize, incident: &Incident) -> Plan {
        self.incidents.extend((200..4_000).step_by(every_ms).map(|at: Millis| (at, incident.clone())));
        self.incidents.sort_by_key(|(at, _)| *at);
        self
    }
}
