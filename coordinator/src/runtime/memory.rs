//! What the process takes in memory, as the system says: the check on all that its parts count for themselves.

use std::sync::atomic::{AtomicBool, Ordering};

/// Short from this share of the bound on, in sixteenths.
const SHORT_FROM: usize = 15;
/// Not short any more below this share.
const SHORT_BELOW: usize = 14;

/// The bound of an instance.
#[derive(Debug)]
pub(super) struct Memory {
    max: usize,
    short: AtomicBool,
}

impl Memory {
    /// At most so many bytes, as `limits.memory` says.
    pub(super) fn new(max: usize) -> Memory {
        Memory { max, short: AtomicBool::new(false) }
    }

    /// True while the process is close to its bound: new sagas wait, and rows that are stored leave. Says so when it begins and ends.
    pub(super) fn is_short(&self) -> bool {
        self.judge(resident_bytes())
    }

    fn judge(&self, resident: usize) -> bool {
        let before = self.short.load(Ordering::Relaxed);
        let short = resident >= self.max / 16 * if before { SHORT_BELOW } else { SHORT_FROM };
        if short != before && self.short.swap(short, Ordering::Relaxed) == before {
            let (resident_mib, max_mib) = (resident >> 20, self.max >> 20);
            if short {
                tracing::warn!(
                    resident_mib,
                    max_mib,
                    "memory is short: new sagas wait in their topics; limits.memory may be raised, or limits.in_flight_max lowered"
                );
            } else {
                tracing::info!(resident_mib, max_mib, "memory is not short any more");
            }
        }
        short
    }
}

/// Resident memory as Linux tells it; 0 where it does not.
pub fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_short_near_its_bound_until_well_below_it() {
        let memory = Memory::new(1 << 30);
        let mib = |mib: usize| memory.judge(mib << 20);
        assert!(!mib(0) && !mib(900) && !mib(959));
        assert!(mib(960) && mib(2_000) && mib(896), "it comes and goes with some distance");
        assert!(!mib(895) && !mib(959));
    }

    #[test]
    fn a_process_takes_some() {
        let before = resident_bytes();
        let block = vec![1_u8; 64 << 20];
        assert!(before > 1 << 20 && resident_bytes() > before + (32 << 20), "{}", block.len());
    }
}
