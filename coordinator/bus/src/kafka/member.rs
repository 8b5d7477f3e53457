//! A member of the group whose partitions are shared out: a consumer that reads nothing.
//!
//! By librdkafka's classic protocol with the assignor `cooperative-sticky`: who keeps a partition goes on with it while others move. A
//! member has a name of its own (static membership), so that one that comes back within its session finds what it had, and nobody waits
//! for the one that it was.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::direct;
use super::errors::bus_error;
use super::members::client_id;
use super::native::{Consumer, Told};
use super::settings::KafkaSettings;
use crate::membership::{Granted, Membership};
use crate::signal::Signal;
use crate::{BusError, Waker};

/// Whose member, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// The group.
    pub group: String,
    /// The topic whose partitions are shared out.
    pub topic: String,
    /// The member's name: no two that run have the same.
    pub name: String,
    /// Where its API listens, for those who ask who is a member; empty if nowhere.
    pub address: String,
    /// Who leaves is no member any more, and others have its partitions at once. Otherwise they wait as long as for one that died, and
    /// one that comes back before that has them again: nothing moves in a restart.
    pub leaves: bool,
}

/// A member.
pub struct Member {
    consumer: Consumer,
    signal: Arc<Signal>,
    settings: KafkaSettings,
    joining: Joining,
    /// It has a name that outlives its process.
    is_static: bool,
    /// What it has been given and has not given back.
    held: BTreeSet<i32>,
    contact: Contact,
}

/// When the broker and this member last lost sight of each other.
///
/// The broker fences who has the name of a member that joined later. Mostly that is another process. But a broker that stands still for
/// longer than a session finds several questions to join by the same member when it goes on, and takes them in any order: who asked is
/// taken for another by its own question, before it has partitions again or just behind that. And a broker that is fenced meanwhile
/// forgets who joined since the group was last written, and fences whoever it does not know any more: so it may happen some times.
#[derive(Debug, Default)]
struct Contact {
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
    fn begins(now: Instant) -> Contact {
        Contact { waits_since: Some(now), ..Contact::default() }
    }

    fn lost(&mut self, now: Instant) {
        (self.is_out, self.waits_since) = (true, Some(now));
    }

    /// It has waited for so long that its client may have forgotten what for; true once each time.
    fn is_forgotten(&mut self, now: Instant) -> bool {
        let is_long = self.waits_since.is_some_and(|since| now.duration_since(since) >= FORGOTTEN_AFTER);
        if is_long {
            self.waits_since = Some(now);
        }
        is_long
    }

    /// It is given something, as this member. Who had nothing is not told that it was counted out, but is another member then.
    fn given(&mut self, id: Option<String>, now: Instant) {
        let is_another = self.id.is_some() && self.id != id;
        (self.id, self.waits_since) = (id, None);
        if std::mem::take(&mut self.is_out) || is_another {
            self.back = Some(now);
        }
    }

    fn joined_again(&mut self, now: Instant) {
        self.lost(now);
        self.joined_again.retain(|at| now.duration_since(*at) < RIVAL_WITHIN);
        self.joined_again.push(now);
    }

    /// Whether what fenced it may have been a question of its own. If that happens again and again, there is another.
    fn may_be_own(&self, has_partitions: bool, now: Instant) -> bool {
        let lately = |at: &Instant| now.duration_since(*at) < BACK_WITHIN;
        let again = self.joined_again.iter().filter(|at| now.duration_since(**at) < RIVAL_WITHIN).count();
        (!has_partitions || self.back.as_ref().is_some_and(lately)) && again < JOINED_AGAIN_MAX
    }
}

impl Member {
    /// Joins; does not wait for a broker.
    ///
    /// Errors: [`BusError::Refused`] for settings that librdkafka does not take.
    pub fn join(settings: KafkaSettings, joining: Joining) -> Result<Self, BusError> {
        let signal = Arc::default();
        // A name that cannot be given up would keep others waiting at every orderly end.
        settings.check()?;
        let is_static = !joining.leaves || settings.own_security().is_ok();
        let consumer = consumer(&settings, &joining, is_static, &signal)?;
        Ok(Member {
            consumer,
            signal,
            settings,
            joining,
            is_static,
            held: BTreeSet::new(),
            contact: Contact::begins(Instant::now()),
        })
    }

    fn list(&self, partitions: &[i32]) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(&self.joining.topic, *partition, Offset::End)?;
        }
        Ok(list)
    }

    /// Takes what is there; the first thing that its caller must know.
    fn take(&mut self) -> Option<Granted> {
        let (mut granted, mut fenced) = (None, None);
        while granted.is_none() && fenced.is_none() {
            let any = self.consumer.visit_one(&mut |told| match told {
                Told::Given(partitions) => granted = Some(Granted::Given(numbers(&partitions))),
                Told::Taken(partitions) => granted = Some(Granted::Taken(numbers(&partitions))),
                Told::Client { code: RDKafkaErrorCode::Fatal | RDKafkaErrorCode::FencedInstanceId, text } => fenced = Some(text),
                Told::Client { code, text } => tracing::debug!(%code, text, "member"),
                Told::Fetched(_) | Told::Partition { .. } | Told::NotCommitted(_) | Told::NoLeader | Told::Identity { .. } => {}
            });
            if !any {
                break;
            }
        }
        if let Some(why) = fenced {
            return self.fenced(why);
        }
        match granted? {
            Granted::Given(partitions) => {
                self.contact.given(self.consumer.member_id(), Instant::now());
                self.held.extend(&partitions);
                let done = self.list(&partitions).and_then(|list| {
                    self.consumer.client().incremental_assign(&list)?;
                    // Nothing is read here: whoever has a partition reads it by a consumer of its own.
                    self.consumer.client().pause(&list)
                });
                check(done, "take what the group gives");
                Some(Granted::Given(partitions))
            }
            Granted::Taken(partitions) if self.consumer.client().assignment_lost() => {
                self.contact.lost(Instant::now());
                Some(Granted::Lost(partitions))
            }
            other => Some(other),
        }
    }

    /// Joins again if that may have been of its own making; what it had is lost then.
    fn fenced(&mut self, why: String) -> Option<Granted> {
        let now = Instant::now();
        if !self.contact.may_be_own(!self.held.is_empty(), now) {
            // Its name is another's: it must not leave the group in that one's stead.
            self.is_static = false;
            return Some(Granted::Refused(BusError::Taken(why)));
        }
        match self.join_anew() {
            Ok(()) => {
                tracing::warn!(
                    why,
                    "the broker took this instance for another one of its name, since it was silent: it joins again"
                );
                self.contact.joined_again(now);
                let lost: Vec<i32> = std::mem::take(&mut self.held).into_iter().collect();
                (!lost.is_empty()).then_some(Granted::Lost(lost))
            }
            Err(error) => Some(Granted::Refused(error)),
        }
    }

    /// By another consumer of the same name.
    fn join_anew(&mut self) -> Result<(), BusError> {
        let consumer = consumer(&self.settings, &self.joining, self.is_static, &self.signal)?;
        let old = std::mem::replace(&mut self.consumer, consumer);
        // It may take long to close what waits for an answer that does not come.
        drop(std::thread::Builder::new().name("old-member".into()).spawn(move || drop(old)));
        Ok(())
    }

    /// Asks anew where it has been heard nothing for too long, and nothing is its own.
    fn ask_anew(&mut self) {
        if self.held.is_empty() && self.contact.is_forgotten(Instant::now()) {
            tracing::warn!("the group has not said for {} s what is this instance's: it joins anew", FORGOTTEN_AFTER.as_secs());
            if let Err(error) = self.join_anew() {
                tracing::error!(%error, "it cannot join anew, and goes on waiting");
            }
        }
    }
}

/// A consumer that joins, by a name that outlives it or not.
fn consumer(settings: &KafkaSettings, joining: &Joining, is_static: bool, signal: &Arc<Signal>) -> Result<Consumer, BusError> {
    let mut config = settings.consumer(&joining.group);
    config.set("partition.assignment.strategy", "cooperative-sticky");
    config.set("client.id", client_id(&joining.name, &joining.address));
    if is_static {
        config.set("group.instance.id", &joining.name);
    }
    let passed = |name: &str| settings.passthrough.iter().any(|(key, _)| key == name);
    if !passed("heartbeat.interval.ms") {
        // That partitions are about to move is heard with a heartbeat: so long at most everybody waits for everybody.
        config.set("heartbeat.interval.ms", HEARTBEAT_MS);
    }
    if !passed("max.poll.interval.ms") {
        config.set("max.poll.interval.ms", join_within_ms(&config).to_string());
    }
    let consumer = Consumer::new(&config, Arc::clone(signal)).map_err(|error| bus_error(&error))?;
    consumer.client().subscribe(&[&joining.topic]).map_err(|error| bus_error(&error))?;
    Ok(consumer)
}

impl Membership for Member {
    fn poll(&mut self, wait: Duration) -> Option<Granted> {
        let until = Instant::now() + wait;
        // librdkafka looks at what is due in a group when its thread wakes, which by itself may be a second later: then a heartbeat of
        // 250 ms is one of 1,000, and each of the rounds by which partitions move takes as long. A question wakes it.
        let _ = self.consumer.client().assignment();
        self.ask_anew();
        loop {
            self.signal.lower();
            let granted = self.take();
            let left = until.saturating_duration_since(Instant::now());
            if granted.is_some() || self.signal.take_woken() || left.is_zero() {
                return granted;
            }
            self.signal.wait(left);
        }
    }

    fn give_back(&mut self, partitions: &[i32]) {
        // What a member had that was fenced is not this one's any more.
        let held: Vec<i32> = partitions.iter().copied().filter(|partition| self.held.remove(partition)).collect();
        if held.is_empty() && !partitions.is_empty() {
            return;
        }
        let done = self.list(&held).and_then(|list| self.consumer.client().incremental_unassign(&list));
        check(done, "give partitions back");
    }

    fn leave(self: Box<Self>) {
        let Member { consumer, settings, joining, is_static, .. } = *self;
        drop(consumer);
        if !is_static || !joining.leaves {
            return;
        }
        if let Err(why) = direct::leave_group(&settings, &joining.group, &joining.name) {
            tracing::warn!(group = joining.group, why, "the group could not be told of the end: others wait as for one that died");
        }
    }

    fn waker(&self) -> Waker {
        let signal = Arc::clone(&self.signal);
        Arc::new(move || signal.wake())
    }
}

/// Who is fenced within this time since it was back may have been fenced by its own question.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// Who joined again so often
const JOINED_AGAIN_MAX: usize = 5;
/// within this time and is fenced once more has a rival.
const RIVAL_WITHIN: Duration = Duration::from_secs(60);
/// A tenth and less of what a pause of a moved partition may take.
const HEARTBEAT_MS: &str = "250";

/// So long, and 3 s more, librdkafka waits for the answer to its question to join; and so long a broker waits for a member that the group
/// knows, before it goes on without it. The default is 300 s: for those a member was out whose question was at a broker when that was
/// fenced, since Kafka 4.3.1 forgets it then. A member that hands over joins when it has, and that takes 10 s at most.
const JOIN_WITHIN_MS: u64 = 15_000;

/// As long at least as a session, as librdkafka wants it.
fn join_within_ms(config: &ClientConfig) -> u64 {
    let session = config.get("session.timeout.ms").and_then(|value| value.parse().ok());
    JOIN_WITHIN_MS.max(session.unwrap_or_default())
}

/// Who waits for so long joins anew. Behind a broker that its controller had fenced a member was seen that waited for 353 s, longer than
/// librdkafka waits for any answer. It is longer than a broker waits for other members.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(20);

fn numbers(partitions: &[(String, i32)]) -> Vec<i32> {
    partitions.iter().map(|(_, partition)| *partition).collect()
}

/// As of a reader: they only pass an order on.
fn check(done: KafkaResult<()>, what: &str) {
    if let Err(error) = done {
        tracing::error!(%error, "librdkafka refused to {what}");
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
        let mut contact = Contact::begins(at(0));
        assert!(!contact.is_forgotten(at(19)), "others may be waited for");
        assert!(contact.is_forgotten(at(20)) && !contact.is_forgotten(at(39)) && contact.is_forgotten(at(40)));
        contact.given(None, at(41));
        assert!(!contact.is_forgotten(at(1_000)), "it waits for nothing");
        contact.lost(at(1_000));
        assert!(!contact.is_forgotten(at(1_019)) && contact.is_forgotten(at(1_020)));
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
