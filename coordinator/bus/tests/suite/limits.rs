//! Topics that take less than before.

use std::collections::BTreeSet;

use ringmaster_bus::{Message, SendError};

use super::Rig;
use super::heard::{Heard, topic};

/// What is larger than a topic takes now is refused for good, and not tried for ever; what is not, gets there, though it was sent in
/// batches that are too large by now.
pub fn a_limit_that_falls_is_taken(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "narrowed", 1, &[])[0];
    let name = bus.name_of(at.topic).to_owned();
    bus.describe(&[&name]).expect("an answer");
    if !rig.narrow(&name, 10_000) {
        return;
    }
    let (large, count) = (500u64, 200u64);
    let (small_value, large_value): (Vec<u8>, Vec<u8>) =
        ((0..1_000).map(|_| fastrand::u8(..)).collect(), (0..20_000).map(|_| fastrand::u8(..)).collect());
    let mut open: BTreeSet<u64> = (0..count).chain([large]).collect();
    let mut sender = bus.open_sender().expect("a sender");
    let (mut unsent, mut refused) = (open.clone(), Vec::new());
    let begun = std::time::Instant::now();
    while !open.is_empty() {
        assert!(begun.elapsed() < super::heard::PATIENCE * 3, "{} are open, {refused:?} were refused", open.len());
        for tag in std::mem::take(&mut unsent) {
            let value = if tag == large { &large_value } else { &small_value };
            match bus.send(sender, Message { to: at, key: None, value, headers: &[] }, tag) {
                Ok(()) => {}
                Err(SendError::TooBig(_)) => {
                    open.remove(&tag);
                    refused.push(tag);
                }
                Err(why) => panic!("{tag}: {why}"),
            }
        }
        let mut heard = Heard { takes_doubts: true, ..Heard::default() };
        bus.poll(std::time::Duration::from_millis(50), &mut |event| heard.note(event));
        for (by, tag, _) in heard.acknowledged {
            assert!(by == sender && open.remove(&tag), "{tag} once");
        }
        for (by, tag, why) in heard.failed {
            match why {
                SendError::TooBig(_) => {
                    open.remove(&tag);
                    refused.push(tag);
                }
                SendError::Unknown(_) if by == sender => drop(unsent.insert(tag)),
                why => panic!("{tag}: {why}"),
            }
        }
        if !heard.doubts.is_empty() {
            bus.close_sender(sender);
            sender = bus.open_sender().expect("a sender");
            unsent.clone_from(&open);
        }
    }
    assert_eq!(refused, [large]);
}
