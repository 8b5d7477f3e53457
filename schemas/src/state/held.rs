//! What a row takes in memory: the bound of a partition's rows counts it.

use std::sync::Arc;

use super::{Child, Children, ClaimedValue, Detail, Entry, EntryMore, LeftClaim, Mailbox, Saga, SagaMore, SeenEvent};
use crate::journal::{Failure, KeptEvent, Next, Order, ValueClaim, ValueName};
use crate::shared::Data;

/// The two counts in front of what an `Arc` holds.
const COUNTS: usize = 2 * size_of::<usize>();

impl Saga {
    /// What it takes in memory, as if nobody shared anything with it: exact but for the allocator's rounding.
    pub fn held_bytes(&self) -> usize {
        let entries: usize = self.entries.iter().map(Entry::held_bytes).sum();
        let spare = (self.entries.capacity() - self.entries.len()) * size_of::<Entry>();
        let failure = self.failure.as_deref().map_or(0, failure_bytes);
        let more = self.more.as_deref().map_or(0, saga_more_bytes);
        let turns = self.turns.held_bytes();
        COUNTS + size_of::<Saga>() + text_bytes(&self.id) + self.head.held_bytes() + entries + spare + failure + more + turns
    }
}

impl Entry {
    fn held_bytes(&self) -> usize {
        let order = self.order.as_ref().map_or(0, Order::held_bytes);
        let result = self.result.as_ref().map_or(0, Data::held_bytes);
        let failure = |more: &EntryMore| {
            let cause = more.course.as_ref().and_then(|course| course.cause.as_deref());
            let detail = more.course.as_ref().map_or(0, |course| detail_bytes(&course.detail));
            detail + [more.failure.as_deref(), cause].into_iter().flatten().map(failure_bytes).sum::<usize>()
        };
        let more = self.more.as_deref().map_or(0, |more| size_of::<EntryMore>() + failure(more));
        size_of::<Entry>() + order + result + more
    }
}

fn text_bytes(text: &str) -> usize {
    (COUNTS + text.len()).next_multiple_of(size_of::<usize>())
}

fn saga_more_bytes(more: &SagaMore) -> usize {
    let early: usize = more.early.iter().map(|event| kept_bytes(event)).sum();
    let paused = more
        .paused
        .as_ref()
        .map_or(0, |paused| text_bytes(&paused.by) + text_bytes(&paused.why) + paused.postponed.capacity() * size_of::<Next>());
    let claims: usize = more.claims.iter().map(claimed_bytes).sum();
    let seen: usize = more.seen.iter().map(|seen| size_of::<SeenEvent>() + text_bytes(&seen.source)).sum();
    size_of::<SagaMore>() + early + paused + claims + seen + more.mailbox.as_deref().map_or(0, mailbox_bytes)
}

fn claimed_bytes(claim: &ClaimedValue) -> usize {
    size_of::<ClaimedValue>() + name_bytes(&claim.name) + identities_bytes(&claim.passed)
}

fn name_bytes(name: &ValueName) -> usize {
    text_bytes(&name.topic) + text_bytes(&name.kind) + text_bytes(&name.field) + text_bytes(&name.value)
}

fn identities_bytes(identities: &[Arc<str>]) -> usize {
    identities.iter().map(|identity| size_of::<Arc<str>>() + text_bytes(identity)).sum()
}

fn mailbox_bytes(mailbox: &Mailbox) -> usize {
    let holder = mailbox.holder.as_deref().map_or(0, |claim| {
        COUNTS + size_of::<ValueClaim>() + name_bytes(&claim.name) + text_bytes(&claim.row) + claim.waiting.len() * size_of::<u16>()
    });
    let left: usize = mailbox.left.iter().map(|left| size_of::<LeftClaim>() + text_bytes(&left.row)).sum();
    size_of::<Mailbox>() + holder + left
}

fn kept_bytes(event: &KeptEvent) -> usize {
    let texts = text_bytes(&event.topic) + text_bytes(&event.kind) + text_bytes(&event.source);
    COUNTS + size_of::<KeptEvent>() + texts + event.data.held_bytes() + size_of::<Arc<KeptEvent>>()
}

fn detail_bytes(detail: &Detail) -> usize {
    match detail {
        Detail::Nothing {} | Detail::Expires {} | Detail::Anew { .. } => 0,
        Detail::Children { rows } => {
            let list = rows.list.as_ref().map_or(0, Data::held_bytes);
            COUNTS + size_of::<Children>() + rows.open.capacity() * size_of::<Child>() + list
        }
        Detail::Taken { source } => text_bytes(source),
        Detail::Parked { participant } => text_bytes(participant),
        Detail::Asked { roles, show } => {
            let texts: usize = roles.iter().chain(show).map(|text| text_bytes(text)).sum();
            roles.capacity() * size_of::<Arc<str>>() + texts
        }
    }
}

fn failure_bytes(failure: &Failure) -> usize {
    let texts = text_bytes(&failure.code) + text_bytes(&failure.step) + text_bytes(&failure.message);
    COUNTS + size_of::<Failure>() + texts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::PRIORITY_USUAL;
    use super::*;
    use crate::journal::{Encoding, FailureKind, Head, HeadFields, OrderFields};
    use crate::state::{Status, Turns, Waits, Work};

    fn failure(bytes: usize) -> Arc<Failure> {
        let message = "m".repeat(bytes).as_str().into();
        Arc::new(Failure { code: "CODE".into(), step: "ship".into(), kind: FailureKind::Failed, message })
    }

    /// A saga with one entry, whose parts have so many bytes.
    fn saga(start: usize, body: usize, result: usize, message: usize) -> Saga {
        let (start, body) = (vec![1; start], vec![2; body]);
        let head = HeadFields { version: [1; 16], source: "orders/0/1", start: &start, ..Default::default() };
        let order = OrderFields {
            step: "ship",
            command: "shipping.Ship",
            encoding: Encoding::Avro,
            envelope: 0,
            first_time: 1,
            until: 2,
            keep: false,
            body: &body,
        };
        let entry = Entry {
            node: 1,
            attempt: 1,
            round: 1,
            work: Work::Asked,
            waits: Waits::Reply,
            bare: false,
            since: 1,
            due_at: 2,
            order: Some(Order::new(&order, &mut Vec::new())),
            result: Some(Data::new(&vec![3; result])),
            more: Some(Box::new(EntryMore { failure: Some(failure(message)), ..EntryMore::default() })),
        };
        Saga {
            id: "order/1".into(),
            head: Head::new(&head, &mut Vec::new()),
            bare: false,
            status: Status::Running,
            passed: false,
            late: false,
            priority: PRIORITY_USUAL,
            deadline_at: None,
            held_since: None,
            entries: vec![entry],
            failure: Some(failure(message)),
            ended: None,
            more: None,
            turns: Turns::default(),
        }
    }

    /// Whatever a saga keeps is counted: a part that grows by so much makes the whole larger by as much.
    #[test]
    fn every_part_counts() {
        let small = saga(800, 800, 800, 800).held_bytes();
        for (what, large, times) in [
            ("start", saga(1_600, 800, 800, 800), 1),
            ("body", saga(800, 1_600, 800, 800), 1),
            ("result", saga(800, 800, 1_600, 800), 1),
            ("failures, the saga's and the entry's", saga(800, 800, 800, 1_600), 2),
        ] {
            assert_eq!(large.held_bytes() - small, 800 * times, "{what}");
        }
        let mut turned = saga(800, 800, 800, 800);
        (0..64).for_each(|offset| turned.turns.remember(offset));
        assert!(turned.held_bytes() - small >= 64, "its turns");
        let mut two = saga(800, 800, 800, 800);
        two.entries.push(saga(800, 800, 800, 800).entries.remove(0));
        assert!(two.held_bytes() - small >= size_of::<Entry>() + 3 * 800, "another entry");
        two.entries.clear();
        assert!(two.held_bytes() >= size_of::<Saga>() + two.entries.capacity() * size_of::<Entry>(), "what is spare too");
    }
}
