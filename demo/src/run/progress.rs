//! What a person sees of the demo: a live line on a terminal, plain lines elsewhere, and the accounting at the end.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use ringmaster_bus::Bus;

use super::shop::Shop;
use crate::accounting::Accounting;

/// Plain lines come this often.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// The progress of one run.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    rate: f64,
    shown: Option<Instant>,
    latency_us: Option<Histogram<u64>>,
}

impl Progress {
    pub(super) fn new(orders: u64, rate: f64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{bar:30} {pos}/{len} orders ended  {elapsed}  {msg}").expect("the template is valid");
            ProgressBar::new(orders).with_style(style.progress_chars("=> "))
        });
        say(&format!("{orders} orders at {rate} a second: coordinator, inventory, payment and shipping in this process"));
        Progress { bar, rate, shown: None, latency_us: None }
    }

    pub(super) fn resumed(&self, issued: u64) {
        if issued > 0 {
            say(&format!("the log holds {issued} orders of a run that did not end: they go on"));
        }
    }

    pub(super) fn show<B: Bus>(&mut self, shop: &Shop<B>) {
        let latency = shop.latency_us();
        let ms = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1e3;
        if let Some(bar) = &self.bar {
            bar.set_position(shop.finished());
            bar.set_message(format!("issued {}, p50 {:.1} ms, p99 {:.1} ms", shop.issued(), ms(0.5), ms(0.99)));
        } else if shop.done() || self.shown.is_none_or(|shown| shown.elapsed() >= LINE_EVERY) {
            self.shown = Some(Instant::now());
            say(&format!("issued {}, ended {}, p50 {:.1} ms, p99 {:.1} ms", shop.issued(), shop.finished(), ms(0.5), ms(0.99)));
        }
        if shop.done() {
            self.latency_us = Some(latency.clone());
        }
    }

    pub(super) fn finish(self, accounting: &Accounting, folder: &Path) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let latency = self.latency_us.expect("a finished run has a latency");
        let ms = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1e3;
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_FULL_CONDENSED);
        table.set_header(["ledger", "done", "undone", "refused"]);
        for ledger in &accounting.ledgers {
            table.add_row([ledger.service.clone(), ledger.done.to_string(), ledger.undone.to_string(), ledger.refused.to_string()]);
        }
        say(&format!(
            "\nissued {} = completed {} + compensated {}; stuck {}, running {}\n{table}",
            accounting.issued, accounting.completed, accounting.compensated, accounting.stuck, accounting.running
        ));
        say(&format!(
            "latency of {} orders at {} a second: p50 {:.1} ms, p99 {:.1} ms (durability: page cache)",
            latency.len(),
            self.rate,
            ms(0.5),
            ms(0.99)
        ));
        for problem in &accounting.problems {
            say(&format!("WRONG: {problem}"));
        }
        let verdict = if accounting.exact() { "exact: every effect happened as often as it must" } else { "NOT exact" };
        say(&format!("accounting from store and ledgers in {}: {verdict}", folder.display()));
    }
}

/// Says something to the person at the terminal.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone away is no reason to stop.
    let _gone = writeln!(out, "{text}").and_then(|()| out.flush());
}
