//! Topics that are deleted and made again under the same name.

use std::time::{Duration, Instant};

use ringmaster_bus::{Bus, Description, Specification, TopicPartition};

use super::Rig;
use super::heard::{Heard, PATIENCE, fill, fill_while, numbers, topic};

fn describe(bus: &mut dyn Bus, name: &str) -> Option<Description> {
    bus.describe(&[name]).expect("an answer")[0].clone()
}

/// Deletes a topic, makes it again at once, and sends so many records to the new one.
fn make_again(rig: &dyn Rig, name: &str, count: u64) {
    let mut other = rig.client();
    let old = describe(&mut *other, name).expect("it exists").id;
    rig.delete(name);
    let what = Specification { name: name.to_owned(), partitions: 1, replication: 1, settings: vec![] };
    let begun = Instant::now();
    while other.create(&what) != Ok(true) {
        assert!(begun.elapsed() < PATIENCE, "it cannot be made again");
    }
    // A producer gives up on a topic that its broker does not tell of yet.
    while describe(&mut *other, name).is_none_or(|found| found.id == old) {
        assert!(begun.elapsed() < PATIENCE, "the new one is not seen");
    }
    let topic = other.topic(name);
    fill(&mut *other, TopicPartition { topic, partition: 0 }, 1_000..1_000 + count);
}

pub fn identity_changes_with_the_topic(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "reborn", 1, &[])[0];
    let name = bus.name_of(at.topic).to_owned();
    fill(&mut *bus, at, 0..3);
    let first = describe(&mut *bus, &name).expect("it exists");
    make_again(rig, &name, 2);
    let second = describe(&mut *bus, &name).expect("it was written to, and so exists");
    assert_ne!(first.id, second.id);
    let mut other = rig.client();
    let at = TopicPartition { topic: other.topic(&name), partition: 0 };
    other.read(at, 0);
    let mut heard = Heard::default();
    heard.until(&mut *other, "the new records", |heard| heard.records.len() == 2);
    assert_eq!(heard.values(), numbers(1_000..1_002));
}

/// What a group committed in a topic means nothing in another one of its name.
pub fn a_group_reads_all_of_a_topic_made_again(rig: &dyn Rig) {
    let mut writer = rig.client();
    let at = topic(&mut *writer, "regrouped", 1, &[])[0];
    let name = writer.name_of(at.topic).to_owned();
    let group = format!("group-{}", fastrand::u32(..));
    fill(&mut *writer, at, 0..5);
    let join = || {
        let mut bus = rig.client();
        let at = TopicPartition { topic: bus.topic(&name), partition: 0 };
        bus.join(&group, &[at.topic]).expect("it joins");
        (bus, at)
    };
    {
        let (mut bus, at) = join();
        let mut heard = Heard::default();
        heard.until(&mut *bus, "all", |heard| heard.records.len() == 5);
        bus.commit(&group, &[(at, 5)]);
        // Until it has landed: whoever joins next begins behind it.
        heard.during(&mut *bus, Duration::from_millis(300));
    }
    make_again(rig, &name, 9);
    let (mut bus, _) = join();
    let mut heard = Heard::default();
    heard.until(&mut *bus, "all of the new one", |heard| heard.records.len() >= 9);
    assert_eq!(heard.values(), numbers(1_000..1_009));
}

/// The same for a member that reads while it happens.
pub fn a_member_reads_all_of_a_topic_made_again(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "rejoined", 1, &[])[0];
    let name = bus.name_of(at.topic).to_owned();
    fill(&mut *bus, at, 0..5);
    let mut member = rig.client();
    let topic = member.topic(&name);
    member.join("rejoined", &[topic]).expect("it joins");
    let mut heard = Heard::default();
    heard.until(&mut *member, "all and the end", |heard| heard.records.len() == 5 && !heard.caught_up.is_empty());
    make_again(rig, &name, 9);
    heard.until(&mut *member, "all of the new one", |heard| heard.records.len() >= 5 + 9);
    assert_eq!(heard.values()[5..], numbers(1_000..1_009));
}

/// What is read by an identity is never read from another topic, whatever lies at the same offsets there.
pub fn nothing_is_read_of_a_topic_made_again(rig: &dyn Rig) {
    let mut bus = rig.client();
    let (at, elsewhere) = (topic(&mut *bus, "again", 1, &[])[0], topic(&mut *bus, "beside", 1, &[])[0]);
    let name = bus.name_of(at.topic).to_owned();
    let first = describe(&mut *bus, &name).expect("it exists");
    bus.expect(at.topic, first.id);
    fill(&mut *bus, at, 0..201);
    let mut heard = Heard::default();
    [at, elsewhere].iter().for_each(|&at| bus.read(at, 0));
    heard.until(&mut *bus, "all records and both ends", |heard| heard.records.len() == 201 && heard.caught_up.len() >= 2);
    make_again(rig, &name, 400);
    heard.until(&mut *bus, "that it is another topic", |heard| heard.unreadable.iter().any(|(which, _)| *which == at));
    // Questions are not answered from it either, and neither is anything read when reading begins anew; others go on.
    let told = heard.unreadable.len();
    bus.ask_bounds(at);
    heard.until(&mut *bus, "no answer", |heard| heard.unreadable.len() > told);
    bus.ask_offset_at(at, 0);
    bus.read(at, 300);
    fill_while(&mut *bus, elsewhere, 0..5, &mut heard);
    heard.until(&mut *bus, "the other topic goes on", |heard| heard.caught_up.contains(&(elsewhere, 5)));
    heard.during(&mut *bus, rig.silence());
    let of = |heard: &Heard, which| heard.records.iter().filter(|read| read.at == which).count();
    assert_eq!((of(&heard, at), of(&heard, elsewhere)), (201, 5), "nothing of the new topic");
    assert!(heard.bounds.is_empty() && heard.offsets_at.is_empty() && heard.out_of_range.is_empty(), "{heard:?}");
    assert!(
        !heard.caught_up.iter().any(|(which, end)| *which == at && *end != 201),
        "its ends are not ours: {:?}",
        heard.caught_up
    );
    bus.ask_topics(&[at.topic, elsewhere.topic], 7);
    heard.until(&mut *bus, "the description", |heard| !heard.described.is_empty());
    let (question, topics) = &heard.described[0];
    assert_eq!(*question, 7);
    let second = topics[0].1.as_ref().expect("it exists");
    assert!(topics[0].0 == at.topic && second.id != first.id && topics[1].1.as_ref().is_some_and(|found| found.partitions == 1));
}

/// As above, for one that was not being read while it changed: the bus itself had no chance to see it.
pub fn nothing_is_read_of_a_topic_made_again_unseen(rig: &dyn Rig) {
    let mut bus = rig.client();
    let (at, gone) = (topic(&mut *bus, "unseen", 1, &[])[0], topic(&mut *bus, "gone", 1, &[])[0]);
    for at in [at, gone] {
        let name = bus.name_of(at.topic).to_owned();
        let id = describe(&mut *bus, &name).expect("it exists").id;
        bus.expect(at.topic, id);
    }
    let (name, gone_name) = (bus.name_of(at.topic).to_owned(), bus.name_of(gone.topic).to_owned());
    make_again(rig, &name, 3);
    rig.delete(&gone_name);
    bus.read(at, 0);
    let mut heard = Heard::default();
    heard.until(&mut *bus, "that it is another topic", |heard| !heard.unreadable.is_empty());
    heard.during(&mut *bus, rig.silence());
    assert!(heard.records.is_empty() && heard.caught_up.is_empty(), "{heard:?}");
    bus.ask_topics(&[gone.topic], 1);
    bus.ask_topics(&[at.topic], 2);
    heard.until(&mut *bus, "both answers", |heard| heard.described.len() == 2);
    let answer = |question| heard.described.iter().find(|(asked, _)| *asked == question).expect("each question has its answer");
    assert_eq!((answer(1).1[0].0, answer(2).1[0].0), (gone.topic, at.topic));
    let begun = Instant::now();
    while heard.described.last().is_some_and(|(_, topics)| topics[0].0 != gone.topic || topics[0].1.is_some()) {
        assert!(begun.elapsed() < PATIENCE, "what was deleted is described");
        let answers = heard.described.len();
        bus.ask_topics(&[gone.topic], 3);
        heard.until(&mut *bus, "the answer", |heard| heard.described.len() > answers);
    }
}
