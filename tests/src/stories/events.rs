//! Events that the definition of a story listens to beside its start.

use std::sync::Arc;

use ringmaster_core::saga::{EarlyInput, EventInput, Input};
use ringmaster_schemas::Data;
use ringmaster_schemas::journal::KeptEvent;

use super::stage::{Stage, project};

impl Stage {
    /// An event that the definition listens to: to a saga that lives, or kept until it does.
    pub(super) fn event(&mut self, event: &str, text: &str, number: Option<usize>) -> Result<Vec<String>, String> {
        let by_value =
            (0..).zip(&self.definition().listeners).find(|(_, listens)| *listens.event == *event && listens.matches.is_some());
        if let Some((listener, topic)) = by_value.map(|(listener, listens)| (listener, listens.topic.clone())) {
            let number = number.unwrap_or_else(|| {
                self.events += 1;
                self.events
            });
            return self.matched(listener, text, format!("{topic}/{number}").into());
        }
        let input = self.event_input(event, text, number)?;
        Ok(self.input(&input))
    }

    pub(crate) fn event_input(&mut self, event: &str, text: &str, number: Option<usize>) -> Result<Input, String> {
        let number = number.unwrap_or_else(|| {
            self.events += 1;
            self.events
        });
        let definition = self.definition();
        let (listener, listens) =
            (0..).zip(&definition.listeners).find(|(_, listener)| *listener.event == *event).ok_or_else(|| {
                let all: Vec<&str> = definition.listeners.iter().map(|listener| &*listener.event).collect();
                format!("this saga starts on {}, and listens to {}", definition.start_names().join(" or "), all.join(", "))
            })?;
        let source: Arc<str> = format!("{}/{number}", listens.topic).into();
        if self.saga.as_ref().is_some_and(|saga| saga.began()) {
            let data = Data::new(&project(&listens.reader, &listens.kept, text)?);
            return Ok(Input::Event(EventInput { listener, source, data }));
        }
        let (topic, kind) = (listens.topic.clone(), listens.event.clone());
        let until = self.now + listens.keep_ms;
        Ok(Input::Early(Arc::new(KeptEvent { topic, kind, source, until, schema: 0, data: Data::new(text.as_bytes()) })))
    }

    /// What came before the saga, as it reads it.
    pub(super) fn early(&self) -> Result<Vec<EarlyInput>, String> {
        let expected = self.saga.iter().filter(|saga| !saga.began());
        let early = expected.flat_map(|saga| saga.early()).filter(|event| event.until > self.now);
        early
            .map(|event| {
                let (listener, listens) =
                    self.definition().listener(&event.topic, &event.kind).ok_or("nothing listens to what was kept")?;
                let text = String::from_utf8_lossy(event.data.bytes()).into_owned();
                let data = Data::new(&project(&listens.reader, &listens.kept, &text)?);
                let input = EventInput { listener, source: event.source.clone(), data };
                Ok(EarlyInput { event: input, until: event.until })
            })
            .collect()
    }
}
