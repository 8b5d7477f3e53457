//! A member of the group whose partitions are shared out: a consumer that reads nothing.
//!
//! By librdkafka's classic protocol with the assignor `cooperative-sticky`: who keeps a partition goes on with it while others move. A
//! member has a name of its own (static membership), so that one that comes back within its session finds what it had, and nobody waits
//! for the one that it was.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::contact::Contact;
use super::direct;
use super::errors::bus_error;
use super::members::{client_id, settled};
use super::native::{Consumer, Told};
use super::orphans::Orphans;
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
    /// How many it has.
    pub partitions: i32,
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
    /// What was taken, until it is given back: librdkafka waits for that, and closes no consumer before.
    owed: Option<Vec<i32>>,
    contact: Contact,
    orphans: Orphans,
    /// Who waits for so long joins anew.
    forgotten_after: Duration,
    /// The consumer before this one, which is being closed.
    closing: Option<JoinHandle<()>>,
}

impl Member {
    /// Joins; does not wait for a broker.
    ///
    /// Errors: [`BusError::Refused`] for settings that librdkafka does not take.
    pub fn join(settings: KafkaSettings, joining: Joining) -> Result<Self, BusError> {
        let (signal, now) = (Arc::default(), Instant::now());
        let orphans = Orphans::of(joining.partitions, now);
        // A name that cannot be given up would keep others waiting at every orderly end.
        settings.check()?;
        let is_static = !joining.leaves || settings.own_security().is_ok();
        let consumer = consumer(&settings, &joining, is_static, &signal)?;
        let forgotten_after = join_within(&settings.consumer(&joining.group)) + FORGOTTEN_BEHIND;
        Ok(Member {
            consumer,
            signal,
            settings,
            joining,
            is_static,
            held: BTreeSet::new(),
            owed: None,
            contact: Contact::begins(now),
            orphans,
            forgotten_after,
            closing: None,
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
        let granted = granted?;
        self.orphans.moves();
        match granted {
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
            Granted::Taken(partitions) => {
                self.owed = Some(partitions.clone());
                if !self.consumer.client().assignment_lost() {
                    return Some(Granted::Taken(partitions));
                }
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
                self.lose_all()
            }
            Err(error) => Some(Granted::Refused(error)),
        }
    }

    fn lose_all(&mut self) -> Option<Granted> {
        let lost: Vec<i32> = std::mem::take(&mut self.held).into_iter().collect();
        (!lost.is_empty()).then_some(Granted::Lost(lost))
    }

    /// Leaves and joins anew where some partitions are nobody's and it is up to this one: the group shares out anew then.
    fn adopt(&mut self) -> Option<Granted> {
        let now = Instant::now();
        if !self.orphans.is_due(now) {
            return None;
        }
        let members = settled(self.consumer.client(), &self.joining.group, SHARES_WITHIN)?;
        if !self.orphans.look(&members, &self.joining.name, now) {
            return None;
        }
        tracing::warn!(
            "some partitions have been nobody's for too long: this instance joins anew, so that they are shared out again"
        );
        if self.is_static
            && let Err(why) = direct::leave_group(&self.settings, &self.joining.group, &self.joining.name)
        {
            tracing::error!(why, "the group cannot be left: it is tried again");
            return None;
        }
        if let Err(error) = self.join_anew() {
            return Some(Granted::Refused(error));
        }
        self.contact.lost(now);
        self.lose_all()
    }

    /// By another consumer of the same name.
    fn join_anew(&mut self) -> Result<(), BusError> {
        let consumer = consumer(&self.settings, &self.joining, self.is_static, &self.signal)?;
        self.owe_nothing();
        let old = std::mem::replace(&mut self.consumer, consumer);
        // It may take long to close what waits for an answer that does not come.
        self.closing = std::thread::Builder::new().name("old-member".into()).spawn(move || drop(old)).ok();
        Ok(())
    }

    /// Gives back what was taken: whoever is closed without that waits for it for ever where the group has counted it out.
    fn owe_nothing(&mut self) {
        if let Some(owed) = self.owed.take() {
            self.unassign(&owed);
        }
    }

    fn unassign(&mut self, partitions: &[i32]) {
        self.owed = None;
        let done = self.list(partitions).and_then(|list| self.consumer.client().incremental_unassign(&list));
        check(done, "give partitions back");
    }

    /// Asks anew where nothing has been heard for too long, nothing is its own, and the one before is closed: while no broker answers, that
    /// may take as long as they do not.
    fn ask_anew(&mut self) {
        let is_closed = self.closing.as_ref().is_none_or(JoinHandle::is_finished);
        if self.held.is_empty() && is_closed && self.contact.is_forgotten(self.forgotten_after, Instant::now()) {
            let seconds = self.forgotten_after.as_secs();
            tracing::warn!("the group has not said for {seconds} s what is this instance's: it joins anew");
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
    config.set("max.poll.interval.ms", join_within(&config).as_millis().to_string());
    let consumer = Consumer::new(&config, Arc::clone(signal)).map_err(|error| bus_error(&error))?;
    consumer.client().subscribe(&[&joining.topic]).map_err(|error| bus_error(&error))?;
    Ok(consumer)
}

impl Drop for Member {
    fn drop(&mut self) {
        self.owe_nothing();
    }
}

impl Membership for Member {
    fn poll(&mut self, wait: Duration) -> Option<Granted> {
        let until = Instant::now() + wait;
        // librdkafka looks at what is due in a group when its thread wakes, which by itself may be a second later: then a heartbeat of
        // 250 ms is one of 1,000, and each of the rounds by which partitions move takes as long. A question wakes it.
        let _ = self.consumer.client().assignment();
        self.ask_anew();
        if let Some(lost) = self.adopt() {
            return Some(lost);
        }
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
        if self.held.is_empty() {
            self.contact.gave_all(Instant::now());
        }
        self.unassign(&held);
    }

    fn leave(self: Box<Self>) {
        let (settings, joining, is_static) = (self.settings.clone(), self.joining.clone(), self.is_static);
        drop(self);
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

/// For what the broker says of who has what: members look again soon.
const SHARES_WITHIN: Duration = Duration::from_secs(1);

/// A tenth and less of what a pause of a moved partition may take.
const HEARTBEAT_MS: &str = "250";

/// So long, and 3 s more, librdkafka waits for the answer to its question to join; and so long a broker waits for a member that the group
/// knows, before it goes on without it. The default is 300 s: for those a member was out whose question was at a broker when that was
/// fenced, since Kafka 4.3.1 forgets it then. A member that hands over joins when it has, and that takes 10 s at most.
const JOIN_WITHIN: Duration = Duration::from_secs(15);

/// As somebody set it; else as long at least as a session, as librdkafka wants it.
fn join_within(config: &ClientConfig) -> Duration {
    let set = |key| config.get(key).and_then(|value| value.parse().ok()).map(Duration::from_millis);
    set("max.poll.interval.ms").unwrap_or_else(|| JOIN_WITHIN.max(set("session.timeout.ms").unwrap_or_default()))
}

/// Who has waited for longer than that joins anew. Behind a broker that its controller had fenced a member was seen that waited for 353 s,
/// when librdkafka's limit was 303 s.
const FORGOTTEN_BEHIND: Duration = Duration::from_secs(5);

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
    fn a_question_to_join_has_as_long_as_is_set_and_as_a_session_at_least() {
        let within = |settings: &[(&str, &str)]| {
            let mut config = ClientConfig::new();
            for (key, value) in settings {
                config.set(*key, *value);
            }
            join_within(&config).as_millis()
        };
        assert_eq!(within(&[("session.timeout.ms", "6000")]), 15_000);
        assert_eq!(within(&[("session.timeout.ms", "45000")]), 45_000);
        assert_eq!(within(&[("session.timeout.ms", "6000"), ("max.poll.interval.ms", "9000")]), 9_000);
    }
}
