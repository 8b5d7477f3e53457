//! A bus that delivers at once.

use ringmaster_core::partition::{Happened, Tag, Wish};

use super::line::Line;

impl Line {
    /// Acknowledges the commands that were sent since this was asked last; the key and the attempt of each.
    pub(crate) fn delivered(&mut self) -> Vec<(String, i32)> {
        let (sender, mut all) = (self.sender(), Vec::new());
        for wish in std::mem::take(&mut self.wishes) {
            match wish {
                Wish::Send(tag @ Tag::Effect(_)) => {
                    let effect = self.partition.effect(tag).expect("it waits to be sent");
                    let command: serde_json::Value = serde_json::from_slice(effect.value()).expect("it is JSON");
                    let key = std::str::from_utf8(effect.key()).expect("a key").to_owned();
                    all.push((key, command["meta"]["attempt"].as_i64().expect("it has one") as i32));
                    self.happens(Happened::Acknowledged { sender, tag, offset: Some(0) });
                }
                Wish::Tell(_) => {}
                other => self.wishes.push(other),
            }
        }
        all
    }
}
