//! What a round is like beside its faults, drawn by its seed: so that what may be set is tried, too.

use std::fmt;

use fastrand::Rng;
use ringmaster_demo::orders::ORDERS;

use super::{Class, Options};

/// How long the journal is kept in a round that forgets it.
const RETENTION: &str = "20s";

/// A round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// The journal is deleted behind snapshots.
    pub(super) forgets: bool,
    /// Its tail may be lost: there are no random sagas then, since those are held to a journal that is whole.
    pub(super) loses: bool,
    /// Coordinators follow what others own.
    follows: bool,
    /// Coordinators have two workers each.
    two_workers: bool,
    /// Orders are not read directly.
    routes: bool,
}

impl Site {
    pub(super) fn draw(options: &Options, random: &mut Rng) -> Site {
        let forgets = random.bool();
        let (follows, two_workers, routes) = (random.bool(), random.bool(), random.u32(..4) == 0);
        let only = options.classes.iter().all(|class| *class == Class::TailLost);
        let loses = only || (options.classes.contains(&Class::TailLost) && random.u32(..4) == 0);
        Site { forgets: forgets && !loses, loses, follows, two_workers, routes }
    }

    /// The faults of these that may be made.
    pub(super) fn possible(&self, classes: &[Class]) -> Vec<Class> {
        classes.iter().copied().filter(|class| self.loses || *class != Class::TailLost).collect()
    }

    /// What stands in the coordinators' settings, before all tables and in tables of their own.
    pub(super) fn settings(&self) -> (String, String) {
        let lines = [
            (self.forgets, format!("journal_retention = \"{RETENTION}\"\n")),
            (self.follows, "standby = 1\n".to_owned()),
            (self.two_workers, "workers = 2\n".to_owned()),
        ];
        let lines = lines.into_iter().filter_map(|(is_so, line)| is_so.then_some(line)).collect();
        (lines, if self.routes { format!("[topics.{ORDERS}]\nrouted = true\n") } else { String::new() })
    }
}

impl fmt::Display for Site {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.forgets, "the journal is kept for 20 s"),
            (self.loses, "its tail may be lost, no random sagas"),
            (self.follows, "standby = 1"),
            (self.two_workers, "2 workers each"),
            (self.routes, "orders are routed"),
        ];
        let words: Vec<&str> = words.into_iter().filter_map(|(is_so, words)| is_so.then_some(words)).collect();
        out.write_str(if words.is_empty() { "nothing is set but what must be" } else { "" })?;
        out.write_str(&words.join(", "))
    }
}
