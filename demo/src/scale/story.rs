//! What is told: a line now and then, how fast members came, and the accounting.

use std::io::Write as _;
use std::time::{Duration, Instant};

use ringmaster::api::ParticipantScaling;

use super::Options;
use super::load::Load;
use super::site::{Counted, SLO_S};

/// A line; nobody need read it.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// So many members are enough for so many orders a second: they can do more than comes, so that what has piled up becomes less.
fn enough(rate: f64, service_ms: u64) -> u32 {
    (rate * service_ms as f64 / 1_000.0) as u32 + 1
}

/// What was seen so far.
pub(super) struct Story {
    begun: Instant,
    /// So many members are enough for the load.
    enough_members: u32,
    /// What is asked while the load is on is more than one member can.
    load_from: Option<Instant>,
    /// Behind that: when enough members were in the group,
    enough: Option<Duration>,
    /// and since when no answer was late, as long as no member was killed.
    in_time: Option<Duration>,
    was_late: bool,
    most: u32,
    kills: u32,
}

impl Story {
    pub(super) fn new(options: &Options) -> Story {
        let (begun, enough_members) = (Instant::now(), enough(options.rate, options.service_ms));
        Story { begun, enough_members, load_from: None, enough: None, in_time: None, was_late: false, most: 0, kills: 0 }
    }

    /// A line with the time.
    pub(super) fn say(&self, line: &str) {
        say(&format!("{:5.0} s  {line}", self.begun.elapsed().as_secs_f64()));
    }

    /// Now more comes than one member can do.
    pub(super) fn load_begins(&mut self) {
        self.load_from = Some(Instant::now());
    }

    /// Tells how it stands.
    pub(super) fn tell(&mut self, fraud: &ParticipantScaling, processes: &[u32], load: &Load) {
        let members = fraud.members.unwrap_or(0);
        self.most = self.most.max(members);
        let oldest_s = fraud.oldest_s.unwrap_or(0.0);
        if let Some(since) = self.load_from {
            if members >= self.enough_members {
                self.enough.get_or_insert(since.elapsed());
            }
            if self.kills == 0 {
                let is_late = oldest_s > f64::from(SLO_S);
                self.was_late |= is_late;
                self.in_time = if is_late { None } else { self.in_time.or(Some(since.elapsed())) };
            }
        }
        let known = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.0}"));
        let wanted = fraud.wanted_members.map_or("-".to_owned(), |wanted| wanted.to_string());
        self.say(&format!(
            "{} processes, {members} members, {wanted} wanted; {:.0}/s arrive, {:.0}/s answered of {}/s; {} unanswered, the oldest {:.1} s; {} of {} scored",
            processes.len(),
            fraud.arrive_per_s,
            fraud.answer_per_s,
            known(fraud.capacity_per_s),
            fraud.unanswered,
            oldest_s,
            load.finished(),
            load.issued(),
        ));
    }

    /// A member was killed.
    pub(super) fn killed(&mut self, process: u32) {
        self.kills += 1;
        self.say(&format!("process {process} is killed (SIGKILL)"));
    }

    /// The accounting; whether it is exact.
    pub(super) fn end(&self, load: &Load, counted: &Counted) -> bool {
        let after = |time: Option<Duration>| time.map_or("not reached".to_owned(), |time| format!("{:.0} s", time.as_secs_f64()));
        let (enough, reached) = (self.enough_members, after(self.enough));
        say(&format!("{enough} members or more behind the step: {reached}; the most at once: {}", self.most));
        let in_time = if self.was_late { after(self.in_time) } else { "never late".to_owned() };
        say(&format!(
            "answers within {SLO_S} s again behind the step, before any was killed: {in_time}; members killed: {}",
            self.kills
        ));
        let happened = &counted.overview.happened;
        let (missing, doubled, unknown) = load.wrong();
        say(&format!("issued {} = started {} = completed {}", load.issued(), happened.started, happened.completed));
        say(&format!("outcomes: {missing} orders without one, {doubled} with several, {unknown} of orders that were not placed"));
        say(&format!(
            "answers that came once more (a member was killed, or gave partitions back), and changed nothing: {}",
            counted.rejected
        ));
        let issued = i64::try_from(load.issued()).expect("fewer orders");
        let is_exact = (happened.started, happened.completed, missing, doubled, unknown) == (issued, issued, 0, 0, 0);
        say(if is_exact { "exact: every order was scored once" } else { "NOT EXACT" });
        is_exact
    }
}

#[cfg(test)]
mod tests {
    use super::enough;

    #[test]
    fn enough_members_can_do_more_than_comes() {
        let cases = [(300.0, 20, 7), (299.0, 20, 6), (100.0, 20, 3), (300.0, 10, 4), (10.0, 20, 1), (300.0, 100, 31)];
        for (rate, service_ms, members) in cases {
            assert_eq!(enough(rate, service_ms), members, "{rate}/s, {service_ms} ms");
            let can = |members: u32| f64::from(members) * 1_000.0 / service_ms as f64;
            assert!(can(members) > rate && can(members - 1) <= rate);
        }
    }
}
