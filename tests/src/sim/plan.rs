//! What a run is to suffer: drawn from its seed, before it begins.

use ringmaster_bus::sim::Faults;
use ringmaster_core::partition::BreakerSettings;
use ringmaster_schemas::Millis;

use super::world::Struck;

/// Something that happens to a process, beside the faults of the broker.
#[derive(Debug, Clone, PartialEq)]
pub enum Incident {
    /// A coordinator dies now.
    Crash,
    /// A coordinator dies when it reaches this point for the n-th time from now.
    CrashAt(&'static str, u32),
    /// A coordinator stands still; perhaps another one is started meanwhile.
    Freeze {
        /// How long.
        for_ms: Millis,
        /// Another one is started after so long.
        replace_after_ms: Option<Millis>,
    },
    /// The same, at a point in the middle of its turn.
    FreezeAt {
        /// The point.
        point: &'static str,
        /// Reached so many times before.
        after: u32,
        /// How long.
        for_ms: Millis,
        /// Another one is started after so long.
        replace_after_ms: Option<Millis>,
    },
    /// A second coordinator is started by mistake.
    Second,
    /// A coordinator ends in good order.
    Stop,
    /// The store is flushed half, and its coordinator dies.
    CrashInFlush,
    /// A coordinator dies, and its data directory is lost.
    LoseStore,
    /// A coordinator dies, and the broker loses so many of the newest records of each partition of the journal.
    LoseTail(usize),
    /// Whoever claims next stands still for so long when its claim is acknowledged, and the broker loses the claim; another coordinator is
    /// started after so long.
    LoseClaim(Millis, Millis),
    /// A service dies.
    CrashService(usize),
    /// A service stands still.
    FreezeService(usize, Millis),
    /// A command topic refuses what is sent, for so long.
    RefuseTopic(&'static str, Millis),
    /// A participant is paused by a person, and resumed after so long.
    Pause(&'static str, Millis),
    /// Hours pass at once.
    Leap(Millis),
    /// The wall clock of all coordinators jumps, forward or back; no time passes.
    ClockSteps(Millis),
    /// A coordinator hosts one of its partitions no more, for so long.
    Reassign(Millis),
    /// The leader of a partition of the journal goes, and another one leads after so long; a coordinator dies or stands still meanwhile.
    ChangeLeader(Millis, Option<Struck>),
}

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// All randomness comes from it.
    pub seed: u64,
    /// P.
    pub partitions: i32,
    /// So many coordinators run at least: one that dies is started again.
    pub coordinators: usize,
    /// So many of the others keep a warm copy of each partition.
    pub standby: usize,
    /// The journal is kept so long at least, behind snapshots; none: for ever.
    pub retention_ms: Option<Millis>,
    /// Orders come without keys on a topic of so many partitions, and go through the router; none: they are read directly.
    pub routed: Option<i32>,
    /// Orders placed, bad records beside them.
    pub orders: usize,
    /// They are placed within this time.
    pub load_ms: Millis,
    /// Faults and incidents end then.
    pub safety_ms: Millis,
    /// The broker's faults.
    pub faults: Faults,
    /// What happens when, in order.
    pub incidents: Vec<(Millis, Incident)>,
    /// Share of replies that a service never sends.
    pub lost_replies: f64,
    /// Share of commands whose first attempts are answered `failed`.
    pub failed_replies: f64,
    /// Share of replies that come late, so that timeouts and retries race with them.
    pub late_replies: f64,
    /// The journal's own bounds are so small that inputs pause.
    pub tight: bool,
    /// When breakers open.
    pub breaker: BreakerSettings,
    /// The state is written this often.
    pub checkpoint_every_ms: Millis,
    /// And survives a crash this often.
    pub flush_every_ms: Millis,
}

impl Plan {
    /// Of everything, by luck.
    pub fn random(seed: u64) -> Plan {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
        let safety_ms = rng.i64(4_000..9_000);
        let mut plan = Plan::calm(seed);
        plan.faults = Faults::swarm(&mut rng);
        plan.partitions = rng.i32(1..=3);
        plan.coordinators = if rng.u8(..3) == 0 { rng.usize(2..=3) } else { 1 };
        plan.orders = rng.usize(15..=60);
        plan.load_ms = rng.i64(500..safety_ms);
        plan.safety_ms = safety_ms;
        plan.lost_replies = if rng.bool() { 0.2 * rng.f64() } else { 0.0 };
        plan.late_replies = if rng.bool() { 0.3 * rng.f64() } else { 0.0 };
        plan.tight = rng.u8(..4) == 0;
        plan.checkpoint_every_ms = rng.i64(50..2_000);
        plan.flush_every_ms = rng.i64(100..4_000);
        for _ in 0..rng.usize(0..=8) {
            let at = rng.i64(50..safety_ms);
            plan.incidents.push((at, random_incident(&mut rng)));
        }
        plan.failed_replies = if rng.bool() { 0.2 * rng.f64() } else { 0.0 };
        if rng.u8(..3) == 0 {
            plan.breaker = touchy(&mut rng);
        }
        if rng.u8(..4) == 0 {
            for at in [rng.i64(50..safety_ms), rng.i64(50..safety_ms)] {
                let ms = rng.i64(1..300_000);
                plan.incidents.push((at, Incident::ClockSteps(if rng.bool() { ms } else { -ms })));
            }
        }
        plan.incidents.sort_by_key(|(at, _)| *at);
        if plan.coordinators > 1 {
            plan.standby = rng.usize(0..=2);
        }
        plan
    }

    /// A run in which partitions move between coordinators that keep warm copies of them, under load and under everything else.
    pub fn warm(seed: u64) -> Plan {
        let mut plan = Plan::random(seed);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x57a9d);
        (plan.orders, plan.load_ms) = (60, plan.safety_ms);
        (plan.coordinators, plan.standby) = (rng.usize(2..=3), rng.usize(1..=2));
        for at in (400..plan.safety_ms).step_by(800) {
            let incident = match rng.u8(..4) {
                0 => Incident::Crash,
                1 => Incident::Stop,
                2 => Incident::Freeze { for_ms: rng.i64(50..1_500), replace_after_ms: None },
                _ => Incident::Reassign(rng.i64(0..600)),
            };
            plan.incidents.push((at, incident));
        }
        plan.incidents.sort_by_key(|(at, _)| *at);
        plan
    }

    /// A run in which the journal is deleted behind snapshots, which all take who think that they are owners, and disks are lost.
    pub fn forgetting(seed: u64) -> Plan {
        let mut plan = Plan::random(seed);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5a9);
        (plan.orders, plan.load_ms) = (60, plan.safety_ms);
        plan.retention_ms = Some(rng.i64(300..2_000));
        (plan.checkpoint_every_ms, plan.flush_every_ms) = (rng.i64(20..300), rng.i64(50..400));
        if rng.bool() {
            (plan.coordinators, plan.standby) = (2, rng.usize(0..=1));
        }
        for at in (800..plan.safety_ms).step_by(600) {
            let incident = match rng.u8(..6) {
                0..=2 => Incident::LoseStore,
                3 => Incident::Second,
                4 => Incident::Freeze { for_ms: rng.i64(50..2_500), replace_after_ms: Some(rng.i64(0..500)) },
                _ => Incident::CrashAt("restore_half", rng.u32(0..2)),
            };
            plan.incidents.push((at, incident));
        }
        plan.incidents.sort_by_key(|(at, _)| *at);
        plan
    }

    /// A run without faults in which much is tried again: everything is on time.
    pub fn punctual(seed: u64) -> Plan {
        Plan { lost_replies: 0.2, failed_replies: 0.5, late_replies: 0.0, ..Plan::calm(seed) }
    }

    /// True if the coordinators' clocks are the broker's all the time.
    pub fn is_one_clock(&self) -> bool {
        !self.incidents.iter().any(|(_, incident)| matches!(incident, Incident::ClockSteps(_)))
    }

    /// True if nothing delays anybody: what is due happens at once.
    pub fn is_punctual(&self) -> bool {
        self.incidents.is_empty() && self.faults == Faults::none() && !self.tight && self.late_replies == 0.0
    }

    /// A run in which participants stand still, are paused and resumed, and are asked no more for their failures, under load and under
    /// everything else.
    pub fn parking(seed: u64) -> Plan {
        let mut plan = Plan::random(seed);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x9a4c);
        (plan.orders, plan.load_ms) = (60, plan.safety_ms);
        plan.breaker = touchy(&mut rng);
        for at in (200..plan.safety_ms).step_by(600) {
            let for_ms = rng.i64(50..2_500);
            let incident = match rng.u8(..3) {
                0 => Incident::FreezeService(rng.usize(..3), for_ms),
                _ => Incident::Pause(PARTICIPANTS[rng.usize(..3)], for_ms),
            };
            plan.incidents.push((at, incident));
        }
        plan.incidents.sort_by_key(|(at, _)| *at);
        plan
    }

    /// A run in which owners change under load, and acknowledgements lie as often as they can.
    pub fn hostile(seed: u64) -> Plan {
        let mut plan = Plan::random(seed);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xbad);
        plan.orders = 60;
        plan.load_ms = plan.safety_ms;
        plan.faults.offset_unknown = 0.3 * rng.f64();
        plan.faults.kept_again = 0.3 * rng.f64();
        plan.faults.left_behind = 0.5;
        plan.faults.linger_max_ms = rng.i64(5..40);
        plan.faults.late_max_ms = rng.i64(20..400);
        plan.incidents.clear();
        for at in (300..plan.safety_ms).step_by(700) {
            let for_ms = rng.i64(20..400);
            plan.incidents.push((at, Incident::Freeze { for_ms, replace_after_ms: Some(rng.i64(0..for_ms)) }));
        }
        plan
    }

    /// A run that claims again and again, while what earlier senders sent is still on its slow way.
    pub fn restless(seed: u64) -> Plan {
        let mut plan = Plan::calm(seed);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x0e57);
        plan.orders = 60;
        plan.load_ms = plan.safety_ms;
        plan.partitions = 1;
        plan.faults.doubt = 0.02 + 0.05 * rng.f64();
        plan.faults.wire_max_ms = rng.i64(20..150);
        plan.faults.linger_max_ms = rng.i64(0..20);
        plan.faults.left_behind = 0.8;
        plan.faults.late_max_ms = rng.i64(100..1_000);
        plan
    }

    /// A run in which partitions are taken from their worker and given back, under load and under everything else.
    pub fn reassigning(seed: u64) -> Plan {
        let mut plan = Plan::random(seed);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xa551);
        (plan.orders, plan.load_ms) = (60, plan.safety_ms);
        for at in (200..plan.safety_ms).step_by(250) {
            // Often at once: what is on its way then is of another hosting.
            let for_ms = if rng.bool() { 0 } else { rng.i64(1..1_500) };
            plan.incidents.push((at, Incident::Reassign(for_ms)));
        }
        plan.incidents.sort_by_key(|(at, _)| *at);
        plan
    }

    /// A run in which orders go through the router, while partitions leave their worker and come back: routers and those that they
    /// bring orders to begin anew, each without the others.
    pub fn routing(seed: u64) -> Plan {
        let mut plan = Plan::random(seed);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x407e);
        (plan.orders, plan.load_ms) = (60, plan.safety_ms);
        (plan.partitions, plan.routed) = (rng.i32(1..=3), Some(rng.i32(1..=5)));
        // Praise that seems to come from the future would be kept for orders that never come.
        plan.incidents.retain(|(_, incident)| !matches!(incident, Incident::ClockSteps(_)));
        for at in (200..plan.safety_ms).step_by(500) {
            plan.incidents.push((at, Incident::Reassign(rng.i64(0..600))));
        }
        plan.incidents.sort_by_key(|(at, _)| *at);
        plan
    }

    /// A run in which the bus takes what is routed not always, and nothing else goes wrong.
    pub fn refusing(seed: u64) -> Plan {
        let mut plan = Plan { orders: 60, routed: Some(1 + (seed % 5) as i32), ..Plan::calm(seed) };
        plan.faults.refused_locally = 0.03;
        plan
    }

    /// A run in which orders go through routers that never stop, to partitions that come and go.
    pub fn rerouting(seed: u64) -> Plan {
        let mut plan = Plan { orders: 60, partitions: 3, routed: Some(1 + (seed % 5) as i32), ..Plan::calm(seed) };
        plan.incidents = (200..plan.load_ms).step_by(150).map(|at| (at, Incident::Reassign(10))).collect();
        plan
    }

    /// A run in which the broker loses acknowledged records of the journal, and services forget nothing.
    pub fn tail_lost(seed: u64) -> Plan {
        let mut plan = Plan::calm(seed);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x7a11);
        plan.checkpoint_every_ms = rng.i64(20..200);
        plan.flush_every_ms = 50;
        let at = rng.i64(500..1_900);
        let (few, crashes, many) = (rng.usize(1..4), rng.bool(), rng.usize(4..30));
        let count = if rng.u8(..4) == 0 { many } else { few };
        plan.incidents = vec![(at, Incident::LoseTail(count))];
        if crashes {
            plan.incidents.push((at + 10, Incident::CrashAt("claim_appended_unacked", 0)));
        }
        plan
    }

    /// A run in which the broker loses claims that it acknowledged, while those who made them stand still: others claim where they were, and
    /// write behind it.
    pub fn claim_lost(seed: u64) -> Plan {
        let mut plan = Plan { partitions: 1, orders: 60, ..Plan::calm(seed) };
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xc1a1);
        plan.load_ms = plan.safety_ms;
        (plan.checkpoint_every_ms, plan.flush_every_ms) = (rng.i64(20..200), 50);
        for at in [600, 2_000, 3_400] {
            plan.incidents.push((at, Incident::LoseClaim(rng.i64(60..400), rng.i64(0..30))));
            plan.incidents.push((at + 1, Incident::Crash));
        }
        plan
    }

    /// A run in which nothing goes wrong: what named tests begin with.
    pub fn calm(seed: u64) -> Plan {
        Plan {
            seed,
            partitions: 2,
            coordinators: 1,
            standby: 0,
            retention_ms: None,
            routed: None,
            orders: 30,
            load_ms: 2_000,
            safety_ms: 5_000,
            faults: Faults::none(),
            incidents: Vec::new(),
            lost_replies: 0.0,
            failed_replies: 0.0,
            late_replies: 0.0,
            tight: false,
            breaker: BreakerSettings { on: false, ..BreakerSettings::default() },
            checkpoint_every_ms: 300,
            flush_every_ms: 1_000,
        }
    }
}

/// Who is asked.
const PARTICIPANTS: [&str; 3] = ["inventory", "payment", "shipping"];

/// Breakers that open for little.
fn touchy(rng: &mut fastrand::Rng) -> BreakerSettings {
    BreakerSettings {
        on: true,
        window_ms: rng.i64(1..5) * 1_000,
        share_percent: rng.u32(10..=100),
        minimum: rng.u32(1..4),
        probe_ms: rng.i64(50..800),
        drain_max: rng.usize(1..8),
    }
}

fn random_incident(rng: &mut fastrand::Rng) -> Incident {
    let replace_after_ms = rng.bool().then(|| rng.i64(0..800));
    match rng.u8(..18) {
        0..=4 => Incident::Crash,
        5..=7 => Incident::Freeze { for_ms: rng.i64(50..3_000), replace_after_ms },
        8 => Incident::Second,
        9 => Incident::Stop,
        10 => Incident::CrashInFlush,
        11 => Incident::LoseStore,
        12..=13 => Incident::CrashService(rng.usize(..3)),
        14 => Incident::FreezeService(rng.usize(..3), rng.i64(50..4_000)),
        15..=16 => Incident::Pause(PARTICIPANTS[rng.usize(..3)], rng.i64(50..3_000)),
        _ => Incident::RefuseTopic(["payment.commands", "shipping.commands", "order-outcomes"][rng.usize(..3)], rng.i64(50..3_000)),
    }
}
