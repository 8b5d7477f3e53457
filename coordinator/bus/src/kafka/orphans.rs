//! Partitions that a group leaves to nobody.
//!
//! With `cooperative-sticky` partitions move in two rounds: in the first whoever has them is told to give them up, and in the second, which
//! begins when it joins again, they are given to another. If it dies between the two and is back by its name before its session is over,
//! the broker gives it what the first round left it, and there is no second one: the group is stable, and nobody has what was to move
//! (Kafka 4.3.1). So each member looks, whenever something has moved, until all is given out; and one of them leaves and joins anew if
//! that does not happen. Every round tells every member something, be it that nothing is new: what is complete stays so without one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::members::MemberFound;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Who hands over joins again well within this time. If it takes longer once, a round more is made, and nothing is lost by that.
const MOVED_WITHIN: Duration = Duration::from_secs(8);
/// Each round that came to nothing is waited for twice as long as the one before, up to this: a group that is not told of as it is must
/// not be shaken without end.
const MOVED_WITHIN_MAX: Duration = Duration::from_secs(600);

/// What nobody has, and since when.
#[derive(Debug)]
pub(super) struct Orphans {
    all: BTreeSet<i32>,
    /// Something has moved since all was seen to be given out.
    is_open: bool,
    /// Some that nobody has had since then.
    found: Option<(BTreeSet<i32>, Instant)>,
    looked_at: Instant,
    /// How long what moves has time.
    patience: Duration,
}

impl Orphans {
    /// Of a topic with so many partitions.
    pub(super) fn of(partitions: i32, now: Instant) -> Orphans {
        Orphans { all: (0..partitions).collect(), is_open: true, found: None, looked_at: now, patience: MOVED_WITHIN }
    }

    /// True if it is time to look; once each time.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.is_open && now.duration_since(self.looked_at) >= LOOK_EVERY;
        if is_due {
            self.looked_at = now;
        }
        is_due
    }

    /// What the group says of its members, where nothing moves: true if some partitions have been nobody's for too long and it is up to
    /// this member, which has the fewest, to join anew.
    pub(super) fn look(&mut self, members: &[MemberFound], name: &str, now: Instant) -> bool {
        let given: BTreeSet<i32> = members.iter().flat_map(|member| member.partitions.iter().copied()).collect();
        let nobodys: BTreeSet<i32> = self.all.difference(&given).copied().collect();
        let (before, since) = self.found.take().unwrap_or_else(|| (nobodys.clone(), now));
        let still: BTreeSet<i32> = before.intersection(&nobodys).copied().collect();
        self.is_open = !nobodys.is_empty();
        if !self.is_open {
            self.patience = MOVED_WITHIN;
            return false;
        }
        self.found = Some(if still.is_empty() { (nobodys, now) } else { (still, since) });
        let is_long = self.found.as_ref().is_some_and(|(_, since)| now.duration_since(*since) >= self.patience);
        let poorest = members.iter().min_by_key(|member| (member.partitions.len(), &member.name));
        let is_due = is_long && poorest.is_some_and(|member| member.name == name);
        if is_due {
            self.found = None;
            self.patience = (self.patience * 2).min(MOVED_WITHIN_MAX);
        }
        is_due
    }

    /// Something moves: what nobody has now is on its way.
    pub(super) fn moves(&mut self) {
        (self.is_open, self.found) = (true, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, partitions: &[i32]) -> MemberFound {
        MemberFound { name: name.to_owned(), address: String::new(), host: String::new(), partitions: partitions.to_vec() }
    }

    #[test]
    fn one_member_joins_anew_where_something_is_nobodys_for_long() {
        let begun = Instant::now();
        let at = |s: u64| begun + Duration::from_secs(s);
        let group = [member("blue", &[4, 5]), member("green", &[6])];
        let (mut blue, mut green) = (Orphans::of(7, begun), Orphans::of(7, begun));
        let looks = [0, 4, 7, 8, 9, 16].map(|s| (blue.look(&group, "blue", at(s)), green.look(&group, "green", at(s))));
        let one = |joins| (false, joins);
        assert_eq!(looks, [false, false, false, true, false, false].map(one), "green has less, and has time to do it");
        assert_eq!([24, 25].map(|s| green.look(&group, "green", at(s))), [false, true], "it came to nothing");
        let all = [member("blue", &[4, 5, 0, 1, 2, 3]), member("green", &[6])];
        assert!(!green.look(&all, "green", at(30)));
        assert_eq!([31, 38, 39].map(|s| green.look(&group, "green", at(s))), [false, false, true], "all was well between");
    }

    #[test]
    fn what_moves_is_no_orphan() {
        let begun = Instant::now();
        let at = |s: u64| begun + Duration::from_secs(s);
        let mut orphans = Orphans::of(3, begun);
        let with = |partitions: &[i32]| [member("blue", partitions)];
        assert!(!orphans.look(&with(&[0]), "blue", at(0)));
        assert!(!orphans.look(&with(&[0, 1, 2]), "blue", at(7)), "they came");
        assert!(!orphans.look(&with(&[0]), "blue", at(8)), "they go again");
        orphans.moves();
        assert!(!orphans.look(&with(&[0, 1]), "blue", at(16)), "a round was made");
        assert!(!orphans.look(&with(&[0, 2]), "blue", at(24)), "another one is nobody's now");
        assert!(orphans.look(&with(&[0, 2]), "blue", at(32)));
        assert!(!orphans.look(&[], "blue", at(60)), "it is no member itself");
    }

    #[test]
    fn it_is_looked_from_a_move_on_until_all_is_given_out() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let mut orphans = Orphans::of(3, begun);
        let is_due = |orphans: &mut Orphans, ms| orphans.is_due(at(ms));
        assert_eq!([0, 1_999, 2_000, 2_001, 4_000].map(|ms| is_due(&mut orphans, ms)), [false, false, true, false, true]);
        assert!(!orphans.look(&[member("blue", &[0, 1])], "blue", at(4_000)));
        assert!(is_due(&mut orphans, 6_000), "one is missing");
        assert!(!orphans.look(&[member("blue", &[0, 1, 2])], "blue", at(6_000)));
        assert!(!is_due(&mut orphans, 60_000), "nobody is asked for nothing");
        orphans.moves();
        assert!(is_due(&mut orphans, 60_001));
    }
}
