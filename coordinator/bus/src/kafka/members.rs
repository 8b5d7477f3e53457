//! Who is a member of a group, which partitions each of them has, and which topics there are, as the broker says.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::groups::GroupList;
use rdkafka::{Offset, TopicPartitionList};

use super::errors::bus_error;
use super::settings::KafkaSettings;
use crate::BusError;

/// How long the broker is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A group whose members have what they were given last, and none joins.
const STABLE: &str = "Stable";

/// A member as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberFound {
    /// Its name.
    pub name: String,
    /// Where its API listens; empty if nowhere.
    pub address: String,
    /// The machine that it is connected from.
    pub host: String,
    /// Its partitions, in order.
    pub partitions: Vec<i32>,
}

/// What a member is called towards brokers, so that others can tell from it where it is: `blue@10.0.0.7:8080`.
pub(super) fn client_id(name: &str, address: &str) -> String {
    if address.is_empty() { name.to_owned() } else { format!("{name}@{address}") }
}

/// The names of all topics that this client may know of. Waits for the broker.
pub fn topic_names(settings: &KafkaSettings) -> Result<Vec<String>, BusError> {
    settings.check()?;
    let client: BaseConsumer = settings.common().create().map_err(|error| bus_error(&error))?;
    let found = client.fetch_metadata(None, ANSWER_MAX).map_err(|error| bus_error(&error))?;
    Ok(found.topics().iter().map(|topic| topic.name().to_owned()).collect())
}

/// The members of a group, by name. Waits for the broker. While partitions move they may be nobody's for a moment.
pub fn members(settings: &KafkaSettings, group: &str) -> Result<Vec<MemberFound>, BusError> {
    settings.check()?;
    let client: BaseConsumer = settings.common().create().map_err(|error| bus_error(&error))?;
    let found = client.fetch_group_list(Some(group), ANSWER_MAX).map_err(|error| bus_error(&error))?;
    // Of a group that is listed, and then not told of, there is no state: its members are not none.
    if found.groups().iter().any(|group| group.state().is_empty()) {
        return Err(BusError::Unreachable(format!("the brokers do not tell of the group {group}")));
    }
    Ok(all_of(&found))
}

/// How many members each of these groups has, in their order; 0 of one that nobody is in. Waits for the broker, by one client for all.
pub fn member_counts(settings: &KafkaSettings, groups: &[String]) -> Result<Vec<u32>, BusError> {
    settings.check()?;
    let client: BaseConsumer = settings.common().create().map_err(|error| bus_error(&error))?;
    let count = |group: &String| {
        let found = client.fetch_group_list(Some(group), ANSWER_MAX).map_err(|error| bus_error(&error))?;
        Ok(found.groups().iter().map(|group| group.members().len() as u32).sum())
    };
    groups.iter().map(count).collect()
}

/// What a group committed for each of these partitions of topics, in their order; none where it committed nothing.
pub(super) fn committed(settings: &KafkaSettings, group: &str, of: &[(&str, i32)]) -> Result<Vec<Option<i64>>, BusError> {
    let client: BaseConsumer = settings.common().set("group.id", group).create().map_err(|error| bus_error(&error))?;
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in of {
        asked.add_partition(topic, *partition);
    }
    let found = client.committed_offsets(asked, ANSWER_MAX).map_err(|error| bus_error(&error))?;
    let committed = |(topic, partition): &(&str, i32)| {
        let Some(found) = found.find_partition(topic, *partition) else { return Ok(None) };
        found.error().map_err(|error| bus_error(&error))?;
        Ok(match found.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    };
    of.iter().map(committed).collect()
}

/// The members as a client sees them that is there, if the group stands still now; none also if the broker does not say within this time.
pub(super) fn settled<C: ConsumerContext>(client: &impl Consumer<C>, group: &str, within: Duration) -> Option<Vec<MemberFound>> {
    let found = client.fetch_group_list(Some(group), within).ok()?;
    let is_stable = found.groups().iter().all(|group| group.state() == STABLE);
    is_stable.then(|| all_of(&found))
}

fn all_of(found: &GroupList) -> Vec<MemberFound> {
    let mut members: Vec<MemberFound> = found
        .groups()
        .iter()
        .flat_map(|group| group.members())
        .map(|member| {
            let (name, address) = member.client_id().rsplit_once('@').unwrap_or((member.client_id(), ""));
            let mut partitions = member.assignment().and_then(partitions).unwrap_or_default();
            partitions.sort_unstable();
            let host = member.client_host().trim_start_matches('/').to_owned();
            MemberFound { name: name.to_owned(), address: address.to_owned(), host, partitions }
        })
        .collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    members
}

/// The partitions of an assignment, of whatever topics: a version, then topics with their partitions
/// (<https://kafka.apache.org/protocol>, `ConsumerProtocolAssignment`).
fn partitions(bytes: &[u8]) -> Option<Vec<i32>> {
    let (_version, mut rest) = bytes.split_at_checked(2)?;
    let mut found = Vec::new();
    for _ in 0..number(&mut rest)? {
        let (length, behind) = rest.split_at_checked(2)?;
        let length = usize::try_from(i16::from_be_bytes(length.try_into().ok()?)).ok()?;
        rest = behind.get(length..)?;
        for _ in 0..number(&mut rest)? {
            found.push(number(&mut rest)?);
        }
    }
    Some(found)
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    let (number, behind) = rest.split_at_checked(4)?;
    *rest = behind;
    Some(i32::from_be_bytes(number.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_or_it_is_none() {
        let mut bytes = vec![0, 3];
        bytes.extend(1_i32.to_be_bytes());
        bytes.extend(7_i16.to_be_bytes());
        bytes.extend(b"journal");
        for number in [2_i32, 5, 1] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend((-1_i32).to_be_bytes());
        assert_eq!(partitions(&bytes), Some(vec![5, 1]));
        assert_eq!(partitions(&bytes[..bytes.len() - 5]), None, "it is cut");
        assert_eq!(partitions(&[]), None);
        assert_eq!(partitions(&[0, 0, 0xff, 0xff, 0xff, 0xff]), Some(vec![]), "no topics");
        assert_eq!(partitions(&[0, 0, 0x7f, 0xff, 0xff, 0xff]), None, "it claims more than it has");
    }
}
