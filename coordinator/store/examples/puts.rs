//! Measures the store: rows per second, time and bytes per row, memory.
//!
//! ```text
//! cargo run --release -p ringmaster-store --example puts -- [ROWS]
//! ```
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::time::Instant;

use ringmaster_schemas::state::{Batch, Checkpoint, Digest, Identity, Index, IndexKeys, Large, RowChange, RowKey};
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;

const ROW_BYTES: usize = 200;
const ROWS_PER_BATCH: i64 = 5_000;

fn main() {
    let row_count: i64 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().expect("a number of rows"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("store");
    let store = RocksStore::open(&path, 1, 96 << 20).expect("opens").store;

    let mut random = fastrand::Rng::with_seed(1);
    let (mut base, mut written_us, mut longest_us) = (-1, 0, 0);
    for first in (0..row_count).step_by(ROWS_PER_BATCH as usize) {
        let rows: Vec<RowChange> = (first..(first + ROWS_PER_BATCH).min(row_count)).map(|n| row(n, &mut random)).collect();
        let batch = Batch { partition: 0, base_offset: base, checkpoint: checkpoint(base + 1), rows };
        let began = Instant::now();
        store.write(&batch).expect("applies");
        let took_us = began.elapsed().as_micros();
        written_us += took_us;
        longest_us = longest_us.max(took_us);
        base += 1;
    }
    let per_row = written_us as f64 / row_count as f64;
    println!(
        "write: {row_count} rows of {ROW_BYTES} B with a due entry, batches of {ROWS_PER_BATCH}: {per_row:.2} us a row, {:.0} rows/s, longest batch {longest_us} us",
        1e6 / per_row
    );
    let began = Instant::now();
    store.flush().expect("flushes");
    println!(
        "flush: {:.0} ms; on disk {:.0} B a row; memory {:.0} MiB",
        began.elapsed().as_secs_f64() * 1e3,
        disk_bytes(&path) as f64 / row_count as f64,
        rss_mib()
    );

    for (what, offset) in [("known", 0), ("unknown", row_count)] {
        const LOOKUPS: i64 = 100_000;
        let began = Instant::now();
        for _ in 0..LOOKUPS {
            let found = store.row(0, &RowKey::saga(&id(offset + random.i64(0..row_count)))).expect("readable").is_some();
            assert_eq!(found, offset == 0);
        }
        println!("look-up of {what} sagas: {:.2} us", began.elapsed().as_secs_f64() * 1e6 / LOOKUPS as f64);
    }
    let (began, mut due_count) = (Instant::now(), 0);
    store
        .scan(0, Index::Due, 0, i64::MAX, &mut |_, _| {
            due_count += 1;
            true
        })
        .expect("readable");
    println!(
        "due index: {due_count} entries, {:.2} us each; memory {:.0} MiB",
        began.elapsed().as_secs_f64() * 1e6 / f64::from(due_count),
        rss_mib()
    );
    drop(store);
    let began = Instant::now();
    drop(RocksStore::open(&path, 1, 96 << 20).expect("opens"));
    println!("open: {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
}

fn id(n: i64) -> String {
    format!("order-fulfilment/ord-{n}")
}

fn row(n: i64, random: &mut fastrand::Rng) -> RowChange {
    // Half of it random: rows compress somewhat, not to nothing.
    let mut row = vec![b'r'; ROW_BYTES];
    random.fill(&mut row[..ROW_BYTES / 2]);
    let after = IndexKeys { due: Some(1_000_000 + n % 300_000), ..IndexKeys::NONE };
    RowChange { key: RowKey::saga(&id(n)), value: Some(row), before: IndexKeys::NONE, after, large: Large::default() }
}

fn checkpoint(journal_offset: i64) -> Checkpoint {
    Checkpoint {
        journal: [9; 16],
        journal_offset,
        claim_offset: 0,
        claim: [0; 16],
        number: 0,
        identity: Identity { claim: [0; 16], number: 0 },
        positions: Vec::new(),
        released: 0,
        now: 0,
        expired_bucket: -1,
        digest: Digest { live: [0; 16], finished: Vec::new() },
    }
}

fn disk_bytes(dir: &std::path::Path) -> u64 {
    std::fs::read_dir(dir)
        .expect("readable")
        .map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |file| file.len()))
        .sum()
}

fn rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
