//! Whether a member of a group and its broker see each other, and what a fence means then.

use std::time::{Duration, Instant};

/// Who is fenced within this time since it was back may have been fenced by its own question.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// Who joined again so often
const JOINED_AGAIN_MAX: usize = 5;
/// within this time and is fenced once more has a rival.
const RIVAL_WITHIN: Duration = Duration::from_secs(60);

/// When the broker and this member last lost sight of each other.
///
/// The broker fences who has the name of a member that joined later. Mostly that is another process. But a broker that stands still for
/// longer than a session finds several questions to join by the same member when it goes on, and takes them in any order: who asked is
/// taken for another by its own question, before it has partitions again or just behind that. And a broker that is fenced meanwhile
/// forgets who joined since the group was last written, and fences whoever it does not know any more: so it may happen some times.
#[derive(Debug, Default)]
pub(super) struct Contact {
    /// It was counted out, and has no partitions since then.
    is_out: bool,
    /// Since when it waits to be given something, if it does.
    waits_since: Option<Instant>,
    /// As whom it was given something last: the broker gives another id to who joins anew.
    id: Option<String>,
    /// When it had partitions again behind having been out.
    back: Option<Instant>,
    /// When it joined again since it was fenced: the last times.
    joined_again: Vec<Instant>,
}

impl Contact {
    /// It asks to join for the first time.
    pub(super) fn begins(now: Instant) -> Contact {
        Contact { waits_since: Some(now), ..Contact::default() }
    }

    /// It was counted out, or asks anew, so that an earlier question may still be on its way.
    pub(super) fn lost(&mut self, now: Instant) {
        (self.is_out, self.waits_since) = (true, Some(now));
    }

    /// It has given back all that it had, and asks what is its own now.
    pub(super) fn gave_all(&mut self, now: Instant) {
        self.waits_since = Some(now);
    }

    /// It has waited for so long that its client may have forgotten what for; true once each time.
    pub(super) fn is_forgotten(&mut self, after: Duration, now: Instant) -> bool {
        let is_long = self.waits_since.is_some_and(|since| now.duration_since(since) >= after);
        if is_long {
            self.lost(now);
        }
        is_long
    }

    /// It is given something, as this member. Who had nothing is not told that it was counted out, but is another member then.
    pub(super) fn given(&mut self, id: Option<String>, now: Instant) {
        let is_another = self.id.is_some() && self.id != id;
        (self.id, self.waits_since) = (id, None);
        if std::mem::take(&mut self.is_out) || is_another {
            self.back = Some(now);
        }
    }

    pub(super) fn joined_again(&mut self, now: Instant) {
        self.lost(now);
        self.joined_again.retain(|at| now.duration_since(*at) < RIVAL_WITHIN);
        self.joined_again.push(now);
    }

    /// Whether what fenced it may have been a question of its own. If that happens again and again, there is another.
    pub(super) fn may_be_own(&self, has_partitions: bool, now: Instant) -> bool {
        let lately = |at: &Instant| now.duration_since(*at) < BACK_WITHIN;
        let again = self.joined_again.iter().filter(|at| now.duration_since(**at) < RIVAL_WITHIN).count();
        (!has_partitions || self.back.as_ref().is_some_and(lately)) && again < JOINED_AGAIN_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_of_ones_own_making_only_where_contact_was_lost() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let me = |id: &str| Some(id.to_owned());
        let mut contact = Contact::default();
        assert!(contact.may_be_own(false, at(0)), "it was never in");
        contact.given(me("blue-1"), at(0));
        assert!(!contact.may_be_own(true, at(1)), "it was in contact: another process has its name");

        contact.lost(at(1));
        assert!(contact.may_be_own(false, at(60_000)), "it asks to join, perhaps twice");
        contact.given(me("blue-2"), at(60_000));
        assert!(contact.may_be_own(true, at(60_008)), "its earlier question came behind its later one");
        contact.given(me("blue-2"), at(64_000));
        assert!(contact.may_be_own(true, at(64_999)), "more was given");
        assert!(!contact.may_be_own(true, at(65_000)), "that is over");

        contact.given(me("blue-3"), at(70_000));
        assert!(contact.may_be_own(true, at(70_008)), "it had nothing, and nobody told it that it was counted out");
    }

    #[test]
    fn who_waits_too_long_asks_anew_once_each_time() {
        let begun = Instant::now();
        let at = |s: u64| begun + Duration::from_secs(s);
        let is_forgotten = |contact: &mut Contact, s: u64| contact.is_forgotten(Duration::from_secs(20), at(s));
        let mut contact = Contact::begins(at(0));
        assert_eq!([19, 20, 39, 40].map(|s| is_forgotten(&mut contact, s)), [false, true, false, true], "others may be waited for");
        contact.given(None, at(41));
        assert!(!is_forgotten(&mut contact, 1_000), "it waits for nothing");
        contact.lost(at(1_000));
        assert_eq!([1_019, 1_020].map(|s| is_forgotten(&mut contact, s)), [false, true]);
        contact.given(None, at(1_030));
        contact.gave_all(at(1_040));
        assert_eq!(
            [1_059, 1_060].map(|s| is_forgotten(&mut contact, s)),
            [false, true],
            "it gave all away, and is to be given more"
        );
    }

    #[test]
    fn who_asks_anew_may_be_fenced_by_its_first_question() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let mut contact = Contact::begins(at(0));
        assert!(contact.is_forgotten(Duration::from_secs(20), at(20_000)), "a broker stands still");
        contact.given(Some("blue-2".to_owned()), at(30_000));
        assert!(contact.may_be_own(true, at(30_008)), "its first question came behind its second one");
        assert!(!contact.may_be_own(true, at(35_000)), "that is over");
    }

    #[test]
    fn who_is_fenced_again_and_again_has_a_rival() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let mut contact = Contact::default();
        for time in 0..5 {
            assert!(contact.may_be_own(false, at(time)), "a broker that was fenced has forgotten some of its questions");
            contact.joined_again(at(time));
        }
        assert!(!contact.may_be_own(false, at(59_999)), "there is another");
        contact.given(None, at(59_999));
        assert!(contact.may_be_own(true, at(60_000)), "the first was long ago");
    }
}
