//! What a worker takes in while it runs: versions of definitions, inputs, topics that effects go to.

use ringmaster_bus::Bus;
use ringmaster_core::partition::Happened;

use super::{Source, Worker};
use crate::runtime::clock::Now;
use crate::runtime::follow::News;

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
            let topic = bus.topic(name);
            let place = usize::from(topic.0);
            if inner.sources.len() <= place {
                inner.sources.resize(place + 1, Source::None);
            }
            inner.sources[place] = Source::Input(inner.inputs.len());
            inner.inputs.push(topic);
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
