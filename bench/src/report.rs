//! What a call found out: a JSON line for programs, a table for people.

use comfy_table::{CellAlignment, Table, presets};
use ringmaster_bench::course::{SIMPLE, WHOLE};
use serde::Serialize;

use crate::product::{PRODUCT, Verdict, WHOLE_ORDER};
use crate::rounds::{Rounds, Series, Spread};
use crate::window::{Plan, Window};

/// One plan, as it is printed. Times in milliseconds from the intended time of sending; costs are a saga's, CPU in microseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) bus: &'static str,
    pub(crate) participants: String,
    pub(crate) client: String,
    /// For people.
    #[serde(skip)]
    load: String,
    pub(crate) rate: Option<f64>,
    /// None where nothing bounds it.
    pub(crate) in_flight: Option<usize>,
    pub(crate) partitions: i32,
    pub(crate) seconds: f64,
    pub(crate) rounds: usize,
    /// Windows that were made again because the machine changed, and such as were kept all the same.
    pub(crate) voided: usize,
    pub(crate) unsteady: usize,
    /// The product's median, and all that is known of it.
    pub(crate) sagas_per_s: f64,
    pub(crate) product: Figures,
    /// The null saga by librdkafka: the unit that makes machines comparable.
    pub(crate) null_per_s: Option<f64>,
    pub(crate) null: Option<Figures>,
    /// The same by the client that packs a broker's batches into one request.
    pub(crate) null_direct_per_s: Option<f64>,
    pub(crate) null_direct: Option<Figures>,
    /// Round by round; without a rate.
    pub(crate) product_per_null: Option<Spread>,
    /// CPU of all, the product's by the null saga's.
    pub(crate) cpu_per_null: Option<Spread>,
    /// Of the library's whole order, and its commands by those of the simple one, round by round.
    pub(crate) whole_per_s: Option<f64>,
    pub(crate) whole: Option<Figures>,
    pub(crate) commands_whole_per_simple: Option<Spread>,
    pub(crate) against_per_s: Option<f64>,
    pub(crate) product_per_against: Option<Spread>,
    pub(crate) issued: u64,
    pub(crate) completed: u64,
    pub(crate) compensated: u64,
    pub(crate) stuck: u64,
    pub(crate) rejected: u64,
    pub(crate) exact: bool,
    pub(crate) journal_bytes: f64,
    pub(crate) rss_mib: f64,
    pub(crate) durability: &'static str,
}

/// What the windows of one contender say: medians with ranges.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) per_s: Spread,
    pub(crate) p50_ms: Option<Spread>,
    pub(crate) p90_ms: Option<Spread>,
    pub(crate) p99_ms: Option<Spread>,
    pub(crate) max_ms: Option<Spread>,
    pub(crate) cpu_us_coordinator: Spread,
    pub(crate) cpu_us_broker: Spread,
    pub(crate) cpu_us_services: Spread,
    pub(crate) cpu_us_driver: Spread,
    pub(crate) cpu_us: Spread,
    /// Context switches of all.
    pub(crate) switches: Spread,
    pub(crate) produce_requests: Option<Spread>,
    pub(crate) fetch_requests: Option<Spread>,
    pub(crate) bytes_in: Option<Spread>,
    pub(crate) bytes_out: Option<Spread>,
}

impl Figures {
    pub(crate) fn of(series: &Series) -> Figures {
        let all = |of: &dyn Fn(&Window) -> f64| Spread::of(series.windows.iter().map(of));
        let some = |of: &dyn Fn(&Window) -> Option<f64>| {
            let values: Option<Vec<f64>> = series.windows.iter().map(of).collect();
            values.filter(|values| !values.is_empty()).map(Spread::of)
        };
        let quantile =
            |quantile: f64| some(&|window| Some(window.measured.latency_us.as_ref()?.value_at_quantile(quantile) as f64 / 1e3));
        let part = |index: usize| all(&|window| window.per_saga(window.cost.parts()[index].cpu.as_secs_f64() * 1e6));
        Figures {
            per_s: all(&Window::per_second),
            p50_ms: quantile(0.5),
            p90_ms: quantile(0.9),
            p99_ms: quantile(0.99),
            max_ms: quantile(1.0),
            cpu_us_coordinator: part(0),
            cpu_us_broker: part(1),
            cpu_us_services: part(2),
            cpu_us_driver: part(3),
            cpu_us: all(&Window::cpu_us),
            switches: all(&|window| window.per_saga(window.cost.parts().iter().map(|used| used.switches as f64).sum())),
            produce_requests: some(&|window| Some(window.per_saga(window.traffic?.produce))),
            fetch_requests: some(&|window| Some(window.per_saga(window.traffic?.fetch))),
            bytes_in: some(&|window| Some(window.per_saga(window.traffic?.bytes_in))),
            bytes_out: some(&|window| Some(window.per_saga(window.traffic?.bytes_out))),
        }
    }
}

/// What does not follow from the windows.
pub(crate) struct Call<'a> {
    pub(crate) bus: &'static str,
    pub(crate) participants: String,
    pub(crate) client: String,
    pub(crate) partitions: i32,
    pub(crate) plan: &'a Plan,
}

impl Line {
    pub(crate) fn new(call: &Call<'_>, rounds: &Rounds, verdict: &Verdict) -> Line {
        let product = rounds.of(PRODUCT).expect("the product runs");
        let (null, direct, against) = (rounds.of("null"), rounds.of("null_direct"), rounds.of("against"));
        let whole = rounds.of(WHOLE_ORDER);
        let commands = WHOLE.results.len() as f64 / SIMPLE.results.len() as f64;
        let (figures, accounting) = (Figures::of(product), &verdict.accounting);
        let median = |series: &Series| Figures::of(series).per_s.median.round();
        Line {
            bus: call.bus,
            participants: call.participants.clone(),
            client: call.client.clone(),
            load: call.plan.load(),
            rate: call.plan.rate,
            in_flight: (call.plan.in_flight < usize::MAX).then_some(call.plan.in_flight),
            partitions: call.partitions,
            seconds: call.plan.measured.as_secs_f64(),
            rounds: product.windows.len(),
            voided: rounds.voided,
            unsteady: rounds.unsteady,
            sagas_per_s: figures.per_s.median.round(),
            product: figures,
            null_per_s: null.map(median),
            product_per_null: null
                .filter(|_| call.plan.rate.is_none())
                .map(|null| Spread::ratio(product, null, Window::per_second)),
            cpu_per_null: null.map(|null| Spread::ratio(product, null, Window::cpu_us)),
            null: null.map(Figures::of),
            null_direct_per_s: direct.map(median),
            null_direct: direct.map(Figures::of),
            whole_per_s: whole.map(median),
            commands_whole_per_simple: whole
                .filter(|_| call.plan.rate.is_none())
                .map(|whole| Spread::ratio(whole, product, |window| window.per_second()).times(commands)),
            whole: whole.map(Figures::of),
            against_per_s: against.map(median),
            product_per_against: against.map(|against| Spread::ratio(product, against, Window::per_second)),
            issued: accounting.issued,
            completed: accounting.completed,
            compensated: accounting.compensated,
            stuck: accounting.stuck,
            rejected: verdict.rejected,
            exact: accounting.exact(),
            journal_bytes: verdict.journal_bytes as f64 / accounting.issued.max(1) as f64,
            rss_mib: verdict.rss_mib,
            durability: "page cache, replication 1",
        }
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY);
        let mut columns = vec![("", &self.product)];
        columns[0].0 = "product";
        columns.extend(self.null.as_ref().map(|null| ("null saga", null)));
        columns.extend(self.whole.as_ref().map(|whole| (WHOLE_ORDER, whole)));
        columns.extend(self.null_direct.as_ref().map(|null| ("null saga, direct", null)));
        let bus = if self.bus == "kafka" { format!("kafka by {}", self.client) } else { self.bus.to_owned() };
        let title = format!("{bus}, {} participants, {}", self.participants, self.load);
        table.set_header(std::iter::once(title).chain(columns.iter().map(|(name, _)| (*name).to_owned())));
        for (what, digits, of) in ROWS {
            let cells: Vec<String> =
                columns.iter().map(|(_, figures)| of(figures).map_or("-".into(), |s| shown(s, digits))).collect();
            if cells.iter().any(|cell| cell != "-") {
                table.add_row(std::iter::once(what.to_owned()).chain(cells));
            }
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        format!("{table}\n{}", self.notes())
    }

    fn notes(&self) -> String {
        let mut notes = String::new();
        let mut ratio = |what: &str, spread: Option<Spread>| {
            if let Some(spread) = spread {
                notes += &format!("{what}: {}\n", shown(spread, 2));
            }
        };
        ratio("sagas/s, product / null saga", self.product_per_null);
        ratio("CPU a saga, product / null saga", self.cpu_per_null);
        ratio("commands/s, whole order / simple order", self.commands_whole_per_simple);
        ratio("sagas/s, product / the other program", self.product_per_against);
        if let Some(per_s) = self.against_per_s {
            notes += &format!("sagas/s of the other program: {per_s:.0}\n");
        }
        notes += &format!(
            "{} rounds of {} s, medians (range); {} windows were void because the machine changed{}\n",
            self.rounds,
            self.seconds,
            self.voided,
            if self.unsteady > 0 {
                format!(", and {} more were kept: take no figure from them", self.unsteady)
            } else {
                String::new()
            }
        );
        notes
    }
}

impl Verdict {
    /// For people: what is true of all that was placed.
    pub(crate) fn notes(&self) -> String {
        format!(
            "{} orders, accounting {}; {} journal bytes a saga; coordinator at most {:.0} MiB",
            self.accounting.issued,
            if self.accounting.exact() { "exact" } else { "WRONG" },
            self.journal_bytes / self.accounting.issued.max(1),
            self.rss_mib
        )
    }
}

type Row = (&'static str, usize, fn(&Figures) -> Option<Spread>);

const ROWS: [Row; 14] = [
    ("sagas/s", 0, |figures| Some(figures.per_s)),
    ("latency p50, ms", 1, |figures| figures.p50_ms),
    ("p90", 1, |figures| figures.p90_ms),
    ("p99", 1, |figures| figures.p99_ms),
    ("CPU a saga, us", 1, |figures| Some(figures.cpu_us)),
    ("  coordinator", 1, |figures| used(figures.cpu_us_coordinator)),
    ("  broker", 1, |figures| used(figures.cpu_us_broker)),
    ("  services", 1, |figures| used(figures.cpu_us_services)),
    ("  driver", 1, |figures| used(figures.cpu_us_driver)),
    ("context switches a saga", 2, |figures| Some(figures.switches)),
    ("produce requests a saga", 2, |figures| figures.produce_requests),
    ("fetch requests a saga", 2, |figures| figures.fetch_requests),
    ("bytes in a saga", 0, |figures| figures.bytes_in),
    ("bytes out a saga", 0, |figures| figures.bytes_out),
];

fn used(spread: Spread) -> Option<Spread> {
    (spread.max > 0.0).then_some(spread)
}

/// A median with its range, for people.
pub(crate) fn shown(spread: Spread, digits: usize) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.digits$} ({min:.digits$} - {max:.digits$})")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::window::{Cost, Measured, latencies};

    fn series(name: &'static str, per_second: [u64; 3]) -> Series {
        let window = |finished| {
            let mut latency_us = latencies();
            latency_us.record(finished).expect("it fits");
            let measured = Measured { lasted: Duration::from_secs(1), finished, latency_us: Some(latency_us), overtaken_us: None };
            Window { measured, cost: Cost::default(), traffic: None }
        };
        Series { name, windows: per_second.map(window).into() }
    }

    fn line(others: Vec<Series>, unsteady: usize) -> Line {
        let plan = Plan { rate: None, in_flight: 16, settle: Duration::ZERO, measured: Duration::from_secs(15) };
        let call = Call { bus: "kafka", participants: "echo".into(), client: "auto".into(), partitions: 4, plan: &plan };
        let series = std::iter::once(series("product", [3_000, 1_000, 2_000])).chain(others).collect();
        let accounting = ringmaster_demo::accounting::Accounting { issued: 10, completed: 10, ..Default::default() };
        let verdict = Verdict { accounting, rejected: 0, journal_bytes: 9_000, rss_mib: 1.0 };
        Line::new(&call, &Rounds { series, voided: 1, unsteady }, &verdict)
    }

    /// Programs go by these names: medians, and ratios round by round.
    #[test]
    fn a_line_names_medians_and_ratios() {
        let others = vec![
            series("null", [10_000; 3]),
            series("null_direct", [40_000; 3]),
            series("whole order", [1_800, 300, 600]),
            series("against", [4_000, 500, 1_000]),
        ];
        let line = line(others, 0);
        let json = serde_json::to_value(&line).expect("JSON");
        assert_eq!(
            (&json["sagas_per_s"], &json["null_per_s"], &json["null_direct_per_s"]),
            (&2e3.into(), &1e4.into(), &4e4.into())
        );
        let ratio = &json["product_per_null"];
        assert_eq!((ratio["median"].as_f64(), ratio["min"].as_f64(), ratio["max"].as_f64()), (Some(0.2), Some(0.1), Some(0.3)));
        let ratio = json["commands_whole_per_simple"]["median"].as_f64();
        assert_eq!((&json["whole_per_s"], ratio), (&600.0.into(), Some(0.5)), "five commands by three");
        assert_eq!((&json["against_per_s"], json["product_per_against"]["median"].as_f64()), (&1e3.into(), Some(2.0)));
        assert_eq!((&json["exact"], &json["voided"], &json["journal_bytes"]), (&true.into(), &1.into(), &900.0.into()));
        let table = line.table();
        for text in [
            "2000 (1000 - 3000)",
            "null saga, direct",
            "product / null saga: 0.20 (0.10 - 0.30)",
            "commands/s, whole order / simple order: 0.50 (0.50 - 1.00)",
            "the other program: 1000",
            "1 windows were void",
        ] {
            assert!(table.contains(text), "{text}: {table}");
        }
        assert!(!table.contains("take no figure"), "{table}");
    }

    #[test]
    fn who_is_not_there_has_no_column_and_windows_that_were_kept_are_told_of() {
        let line = line(Vec::new(), 2);
        let json = serde_json::to_value(&line).expect("JSON");
        assert!(json["null_per_s"].is_null() && json["product_per_null"].is_null() && json["against_per_s"].is_null(), "{json}");
        let table = line.table();
        assert!(!table.contains("null saga") && !table.contains("the other program"), "{table}");
        assert!(table.contains("2 more were kept: take no figure from them"), "{table}");
    }

    /// It can be sent to somebody as it is.
    #[test]
    fn a_page_needs_nothing_else() {
        let point = |rate| crate::curve::Point { rate, product: Figures::of(&series("product", [20; 3])), null: None };
        let page = crate::curve::page("kafka, 4 partitions", &[point(500.0), point(1_000.0)]).expect("a page");
        assert!(page.contains("<svg") && page.contains("kafka, 4 partitions") && page.contains("<td>1000</td>"), "{page}");
        for foreign in ["<script", "<link", "<img", "src=", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign} in {page}");
        }
    }
}
