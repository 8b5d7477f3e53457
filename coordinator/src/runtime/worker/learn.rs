//! What a worker takes in while it runs: versions of definitions, inputs, topics that effects go to.

use ringmaster_bus::{Bus, Topic};
use ringmaster_core::partition::Happened;

use super::{InputPlace, Source, Worker};
use crate::runtime::clock::Now;
use crate::runtime::news::News;

impl<B: Bus> Worker<B> {
    /// Takes in what is known now, between two turns: new sagas get the newest versions, those that run keep theirs.
    pub fn learn(&mut self, news: &News, now: Now) {
        let Worker { bus, inner } = self;
        let settings = news.setup.worker();
        inner.knowledge = news.knowledge.clone();
        inner.routes.learn(&settings.outputs, bus);
        inner.watch.learn(&settings.topics, &settings.rules, bus);
        // What was known keeps its place.
        let known = inner.inputs.len();
        for name in &settings.inputs[known..] {
            add_input(bus.topic(name), &mut inner.inputs, &mut inner.sources);
        }
        let new = &news.setup.inputs()[known..];
        inner.learned.extend_from_slice(new);
        for place in 0..inner.hosts.len() {
            inner.tell(inner.hosts.number_at(place), now, Happened::Learned { inputs: new });
        }
        inner.settings = settings;
        inner.execute(bus, now);
    }
}

/// Says what a topic's records are.
pub(super) fn set_source(topic: Topic, source: Source, sources: &mut Vec<Source>) {
    let place = usize::from(topic.0);
    if sources.len() <= place {
        sources.resize(place + 1, Source::None);
    }
    sources[place] = source;
}

/// Gives an input its place: those of one topic follow each other.
pub(super) fn add_input(topic: Topic, inputs: &mut Vec<InputPlace>, sources: &mut Vec<Source>) {
    let slot = inputs.iter().filter(|known| known.topic == topic).count() as i32;
    if slot == 0 {
        set_source(topic, Source::Input(inputs.len()), sources);
    }
    inputs.push(InputPlace { topic, slot });
}
