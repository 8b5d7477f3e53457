//! What sharing costs: the same load carried by one instance and by several, in turns, on one broker.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use ringmaster_bench::course::SIMPLE;
use serde::Serialize;

use crate::carried::Carried;
use crate::product::{OnKafka, Options};
use crate::report::shown;
use crate::rounds::{self, Rounds, Spread};
use crate::site::Site;
use crate::window::{Contender, Plan, Window};
use crate::{machine, print, say};

/// Several instances carry at least so much of what one does.
const GOAL: f64 = 0.9;
/// Orders under way, and how long they are carried, while everything gets warm.
const WARM_IN_FLIGHT: usize = 16_000;
const WARM_WINDOW: Duration = Duration::from_secs(5);

/// What stands on the command line.
#[derive(Debug, Args)]
pub(crate) struct InstancesArgs {
    /// How many instances take turns with one.
    #[arg(long, default_value_t = 3)]
    instances: usize,
    #[command(flatten)]
    carried: Carried,
    /// Seconds under load before that, in each window.
    #[arg(long, default_value_t = 5.0)]
    settle: f64,
    /// Seconds under load before anything is measured.
    #[arg(long, default_value_t = 60.0)]
    warm: f64,
    /// Partitions; the default is shared out evenly among one, two and three.
    #[arg(long, default_value_t = 6)]
    partitions: i32,
    /// How everybody reaches Kafka: librdkafka, direct or auto.
    #[arg(long, default_value = "auto")]
    client: String,
    /// A line of JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// A setting for all instances, key=value; may be repeated.
    #[arg(long = "set")]
    settings: Vec<String>,
}

/// One bus of which so many instances carry the load.
struct Sharing<'a, 'b> {
    name: &'static str,
    instances: usize,
    product: &'b RefCell<OnKafka<'a>>,
}

impl Contender for Sharing<'_, '_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn window(&mut self, plan: &Plan) -> Result<Window> {
        let mut product = self.product.borrow_mut();
        product.share_among(self.instances)?;
        product.window(plan)
    }
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Found {
    instances: usize,
    partitions: i32,
    load: String,
    seconds: f64,
    rounds: usize,
    one_per_s: Spread,
    several_per_s: Spread,
    /// Round by round.
    several_by_one: Spread,
    goal: f64,
    /// CPU of all instances together, in microseconds a saga.
    one_cpu_us_coordinator: Spread,
    several_cpu_us_coordinator: Spread,
    /// CPU of all processes of the bench.
    one_cpu_us: Spread,
    several_cpu_us: Spread,
    voided: usize,
    unsteady: usize,
    /// The machine's load average before and afterwards.
    load_average: [f64; 2],
    issued: u64,
    exact: bool,
}

/// Runs the turns.
pub(crate) fn run(args: &InstancesArgs) -> Result<()> {
    if args.instances < 2 || args.partitions < args.instances as i32 {
        bail!("--instances must be at least 2, and --partitions no fewer");
    }
    let plan = args.carried.plan(args.settle)?;
    let options = Options {
        partitions: args.partitions,
        participants: args.carried.participants,
        course: &SIMPLE,
        client: args.client.clone(),
        coordinator: None,
        settings: args.settings.clone(),
    };
    let load_before = machine::load();
    say("a broker, the coordinator and the services start");
    let site = Site::kafka()?;
    let product = RefCell::new(OnKafka::start(&site, &options)?);
    let mut one = Sharing { name: "one", instances: 1, product: &product };
    let mut several = Sharing { name: "several", instances: args.instances, product: &product };
    say(&format!("{} s of load before anything is measured", args.warm));
    let window = Plan { rate: None, in_flight: WARM_IN_FLIGHT, settle: Duration::ZERO, measured: WARM_WINDOW };
    let begun = std::time::Instant::now();
    while begun.elapsed().as_secs_f64() < args.warm {
        one.window(&window)?;
        several.window(&window)?;
    }
    // Counters of requests are of no use here, and who reads them takes CPU.
    let rounds = rounds::run(&mut [&mut one, &mut several], &plan, args.carried.rounds, &mut machine::speed, &say)?;
    product.borrow_mut().share_among(1)?;
    let verdict = product.into_inner().finish()?;
    let mut found = found(args, &plan, &rounds, [load_before, machine::load()]);
    (found.issued, found.exact) = (verdict.accounting.issued, verdict.accounting.exact());
    print(&if args.json { serde_json::to_string(&found)? } else { found.table() });
    for problem in &verdict.accounting.problems {
        print(&format!("WRONG: {problem}"));
    }
    if found.exact { Ok(()) } else { bail!("the accounting is not exact") }
}

fn found(args: &InstancesArgs, plan: &Plan, rounds: &Rounds, load_average: [f64; 2]) -> Found {
    let [one, several] = &rounds.series[..] else { unreachable!("two contenders have two series") };
    let of = |windows: &[Window], what: fn(&Window) -> f64| Spread::of(windows.iter().map(what));
    let coordinator = |window: &Window| window.per_saga(window.cost.coordinator.cpu.as_secs_f64() * 1e6);
    Found {
        instances: args.instances,
        partitions: args.partitions,
        load: plan.load(),
        seconds: args.carried.seconds,
        rounds: one.windows.len(),
        one_per_s: of(&one.windows, Window::per_second),
        several_per_s: of(&several.windows, Window::per_second),
        several_by_one: Spread::ratio(several, one, Window::per_second),
        goal: GOAL,
        one_cpu_us_coordinator: of(&one.windows, coordinator),
        several_cpu_us_coordinator: of(&several.windows, coordinator),
        one_cpu_us: of(&one.windows, Window::cpu_us),
        several_cpu_us: of(&several.windows, Window::cpu_us),
        voided: rounds.voided,
        unsteady: rounds.unsteady,
        load_average,
        issued: 0,
        exact: false,
    }
}

impl Found {
    /// For people.
    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY);
        table.set_header([self.load.clone(), "one instance".into(), format!("{} instances", self.instances)]);
        let mut row = |what: &str, digits, one, several| {
            table.add_row([what.to_owned(), shown(one, digits), shown(several, digits)]);
        };
        row("sagas/s", 0, self.one_per_s, self.several_per_s);
        row("CPU a saga, us", 1, self.one_cpu_us, self.several_cpu_us);
        row("  coordinators", 1, self.one_cpu_us_coordinator, self.several_cpu_us_coordinator);
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        let verdict = if self.several_by_one.median >= self.goal { "reached" } else { "MISSED" };
        let kept = if self.unsteady > 0 { format!(", {} kept all the same", self.unsteady) } else { String::new() };
        format!(
            "{table}\nsagas/s, {} instances / one, round by round: {} (goal {}: {verdict})\n{} rounds of {} s, {} partitions; {} \
             windows were void because the machine changed{kept}; load average {:.1} before, {:.1} afterwards\n{} orders, accounting {}",
            self.instances,
            shown(self.several_by_one, 2),
            self.goal,
            self.rounds,
            self.seconds,
            self.partitions,
            self.voided,
            self.load_average[0],
            self.load_average[1],
            self.issued,
            if self.exact { "exact" } else { "WRONG" },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Series;
    use crate::services::Participants;
    use crate::window::{Cost, Measured};

    fn series(name: &'static str, finished: [u64; 3]) -> Series {
        let window = |finished| {
            let measured = Measured { lasted: Duration::from_secs(1), finished, latency_us: None, overtaken_us: None };
            let coordinator = machine::Used { cpu: Duration::from_millis(finished / 10), switches: 0 };
            Window { measured, cost: Cost { coordinator, ..Cost::default() }, traffic: None }
        };
        Series { name, windows: finished.map(window).into() }
    }

    fn of(several: [u64; 3]) -> Found {
        let args = InstancesArgs {
            instances: 3,
            carried: Carried { participants: Participants::Echo, rate: None, in_flight: 16, rounds: 3, seconds: 1.0 },
            settle: 0.0,
            warm: 0.0,
            partitions: 6,
            client: "auto".into(),
            json: false,
            settings: Vec::new(),
        };
        let plan = Plan { rate: None, in_flight: 16, settle: Duration::ZERO, measured: Duration::from_secs(1) };
        let series = vec![series("one", [1_000, 2_000, 4_000]), series("several", several)];
        found(&args, &plan, &Rounds { series, voided: 1, unsteady: 0 }, [0.5, 2.0])
    }

    /// Each round is held against its own: a machine that grows slower meets both.
    #[test]
    fn the_ratio_is_of_rounds_and_not_of_medians() {
        let found = of([900, 1_900, 3_200]);
        assert_eq!((found.several_by_one.median, found.several_by_one.min, found.several_by_one.max), (0.9, 0.8, 0.95));
        assert_eq!((found.several_per_s.median, found.one_cpu_us_coordinator.median), (1_900.0, 100.0));
        assert!(found.table().contains("0.90 (0.80 - 0.95) (goal 0.9: reached)"), "{}", found.table());
    }

    #[test]
    fn a_goal_that_is_missed_is_said() {
        let table = of([890, 1_700, 3_500]).table();
        assert!(table.contains("MISSED") && table.contains("load average 0.5 before, 2.0 afterwards"), "{table}");
    }
}
