//! How many acts may be announced now, so that a batch keeps its rate, whoever has its partitions.

use std::collections::HashMap;

use ringmaster_schemas::Millis;

/// At most so many are announced at once: it is what a stop does not stop.
const WINDOW_MAX: f64 = 1_000.0;
/// A share announces no sooner again, in milliseconds: the topic keeps what is announced.
const WINDOW_EVERY_MS: Millis = 500;

/// Less than one.
const PART_MAX: f64 = 0.999;

/// What is saved up for each share: a share has as much of its batch's rate as of its sagas, so that all shares end together, and no
/// instance must know of others.
#[derive(Debug, Default)]
pub(super) struct Paces {
    shares: HashMap<(String, i32), Saved>,
}

/// What a share has saved up.
#[derive(Debug)]
struct Saved {
    acts: f64,
    /// As of when.
    at: Millis,
    /// When it announced last.
    spent_at: Millis,
}

impl Paces {
    /// How many acts of this share may be announced at this time, in milliseconds. `rate` is the share's own, in acts a second.
    pub(super) fn allowed(&mut self, batch: &str, partition: i32, rate: f64, now: Millis) -> usize {
        // Who begins has saved nothing: after a takeover it is never faster.
        let begun = Saved { acts: 0.0, at: now, spent_at: now };
        let saved = self.shares.entry((batch.to_owned(), partition)).or_insert(begun);
        let seconds = (now - saved.at).max(0) as f64 / 1_000.0;
        // No more than a second's worth is saved, and the part of an act, however long nobody looked.
        saved.acts = (saved.acts + rate * seconds).min(rate.clamp(1.0, WINDOW_MAX) + PART_MAX);
        saved.at = now;
        if now - saved.spent_at < WINDOW_EVERY_MS { 0 } else { saved.acts as usize }
    }

    /// So many of them were announced.
    pub(super) fn spend(&mut self, batch: &str, partition: i32, count: usize) {
        if let Some(saved) = self.shares.get_mut(&(batch.to_owned(), partition)) {
            (saved.acts, saved.spent_at) = (saved.acts - count as f64, saved.at);
        }
    }

    /// Forgets what was saved for all others: what pauses saves nothing.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&str, i32) -> bool) {
        self.shares.retain(|(batch, partition), _| is_kept(batch, *partition));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Announced within some seconds, looked at so often.
    fn announced(rate: f64, every: Millis, seconds: Millis) -> usize {
        let (mut paces, mut count) = (Paces::default(), 0);
        for now in (0..=seconds * 1_000).step_by(every as usize) {
            let some = paces.allowed("b-1", 3, rate, now);
            if some > 0 {
                paces.spend("b-1", 3, some);
            }
            count += some;
        }
        count
    }

    #[test]
    fn a_rate_is_kept_however_often_it_is_looked_at() {
        for every in [10, 100, 370, 1_000] {
            for rate in [0.25, 1.0, 7.5, 100.0, 900.0] {
                let (count, most) = (announced(rate, every, 40), (rate * 40.0) as usize);
                assert!(
                    count <= most && count + 2 + (rate * 0.4) as usize >= most,
                    "{rate} a second, each {every} ms: {count} of {most}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_saved_up_by_not_looking() {
        let mut paces = Paces::default();
        assert_eq!(paces.allowed("b-1", 3, 10.0, 0), 0, "who takes over begins with nothing");
        assert_eq!(paces.allowed("b-1", 3, 10.0, 3_600_000), 10, "a second's worth");
        paces.spend("b-1", 3, 10);
        assert_eq!(paces.allowed("b-1", 3, 10.0, 3_600_400), 0, "not so soon again");
        assert_eq!(paces.allowed("b-1", 3, 10.0, 3_600_500), 5);
        paces.keep(|batch, partition| (batch, partition) != ("b-1", 3));
        assert_eq!(paces.allowed("b-1", 3, 10.0, 7_200_000), 0);
        assert_eq!(paces.allowed("b-2", 0, 1e9, 0) + paces.allowed("b-2", 0, 1e9, 60_000), 1_000, "a window has its limit");
    }
}
