//! How a process's memory is shared out, so that `limits.memory` bounds all of it.

use ringmaster_core::partition::Limits as PartitionLimits;

use super::Config;

/// The program itself, its threads, definitions and schemas.
const BASE_BYTES: usize = 48 << 20;
/// Bounds of the store's share: below the smaller it would flush all the time, above the larger it gains nothing.
const STORE_BYTES_MIN: usize = 24 << 20;
const STORE_BYTES_MAX: usize = 1 << 30;
/// Bounds of what one worker's bus has fetched and not handed over.
const FETCHED_BYTES_MIN: usize = 1 << 20;
const FETCHED_BYTES_MAX: usize = 64 << 20;

/// The bytes of each part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// RocksDB: memtables and cache together.
    pub store: usize,
    /// What one worker's bus has fetched and not handed over.
    pub fetched: usize,
    /// What one partition counts for itself: rows, effects, records on their way.
    pub partition: usize,
}

/// Less than this is too little for so many partitions and workers.
pub(super) fn min(partitions: usize, workers: usize) -> usize {
    BASE_BYTES + STORE_BYTES_MIN + FETCHED_BYTES_MIN * workers + 2 * PartitionLimits::MEMORY_BYTES_MIN * partitions
}

impl Config {
    /// What each part may take of `limits.memory`.
    pub fn shares(&self) -> Shares {
        let spare = self.limits.memory.saturating_sub(min(self.partitions as usize, self.workers));
        let store = (STORE_BYTES_MIN + spare / 5).min(STORE_BYTES_MAX);
        let fetched = (FETCHED_BYTES_MIN + spare / 10 / self.workers).min(FETCHED_BYTES_MAX);
        let spare = spare - (store - STORE_BYTES_MIN) - (fetched - FETCHED_BYTES_MIN) * self.workers;
        // Half of what is left: the other half is what an allocator loses to fragments, and what is being encoded, sent and written.
        let partition = PartitionLimits::MEMORY_BYTES_MIN + spare / 2 / self.partitions as usize;
        Shares { store, fetched, partition }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(memory: &str, partitions: usize, workers: usize) -> (usize, Shares) {
        let text = format!("partitions = {partitions}\nworkers = {workers}\n[limits]\nmemory = '{memory}'");
        let config = Config::parse("r.toml", &text).expect("all is right");
        let Shares { store, fetched, partition } = config.shares();
        let sum = BASE_BYTES + store + fetched * workers + 2 * partition * partitions;
        assert!(sum <= config.limits.memory, "{memory} for {partitions} and {workers}: {sum}");
        (config.limits.memory - sum, config.shares())
    }

    #[test]
    fn the_parts_are_the_whole() {
        for (memory, partitions, workers) in
            [("105MiB", 8, 1), ("400MiB", 8, 1), ("512MiB", 4, 2), ("4GiB", 64, 8), ("200GiB", 3, 3)]
        {
            let (left, shares) = shares(memory, partitions, workers);
            assert!(left < 1 << 20, "{memory}: {left} left of {shares:?}");
        }
        let (_, small) = shares("400MiB", 8, 1);
        assert_eq!((small.store >> 20, small.fetched >> 20, small.partition >> 20), (83, 30, 14));
    }
}
