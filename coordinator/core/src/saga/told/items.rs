//! What happens to the items of a for_each, in words.

use ringmaster_schemas::journal::{ItemEvent, Items, Place, SagaEvent};

use super::{Teller, Told, said};

/// What a row below is told of the one above.
pub(super) fn is_paused(paused: bool) -> &'static str {
    if paused { "the saga is paused" } else { "the saga goes on" }
}

impl Teller<'_> {
    /// An event about rows below, or about the row of an item that goes.
    pub(super) fn below(&self, event: &SagaEvent, out: &mut Vec<Told>) {
        let mut tell = |place: &Place, word, text: &str| self.say(out, word, *place, text);
        match event {
            SagaEvent::Item { place, event: ItemEvent::Began { index, .. } } => {
                tell(place, "item_began", &format!("begins item {index}"))
            }
            SagaEvent::Item { place, event: ItemEvent::Ended { index, well: true } } => {
                tell(place, "item_ended", &format!("item {index} has ended well"));
            }
            SagaEvent::Item { place, event: ItemEvent::Ended { index, well: false } } => {
                tell(place, "item_ended", &format!("item {index} has ended, and left nothing behind"));
            }
            SagaEvent::Item { place, event: ItemEvent::Recalled { index } } => {
                tell(place, "item_recalled", &format!("item {index} is to be undone"))
            }
            SagaEvent::Item { place, event: ItemEvent::Held { index, held: true } } => {
                tell(place, "item_held", &format!("item {index} needs a person, or is parked or paused: no clock runs"));
            }
            SagaEvent::Item { place, event: ItemEvent::Held { index, held: false } } => {
                tell(place, "item_held", &format!("item {index} goes on"))
            }
            SagaEvent::Item { place, event: ItemEvent::Told { index, paused } } => {
                tell(place, "item_told", &format!("item {index} is told: {}", is_paused(*paused)));
            }
            SagaEvent::Item { place, event: ItemEvent::UndoBegan { failure } } => {
                tell(place, "recalled", &format!("undoes what its items did: {}", said(failure)));
            }
            SagaEvent::Item { place, event: ItemEvent::Swept { index } } => {
                tell(place, "item_swept", &format!("item {index} is needed no more"))
            }
            SagaEvent::Item { place, event: ItemEvent::Lingers { index } } => {
                tell(place, "item_lingers", &format!("item {index} stays until what was found late is undone"));
            }
            SagaEvent::Item { place, event: ItemEvent::Passed { index } | ItemEvent::StopAsked { index } } => {
                // By a version that is not known.
                tell(place, "item_passed", &format!("item {index} is asked about its pivot"));
            }
            SagaEvent::Swept { lingers: true } => {
                let text = "its row goes when those below it have gone".to_owned();
                out.push(Told { event: "sweep_began", step: None, text });
            }
            SagaEvent::Swept { lingers: false } => {
                out.push(Told { event: "swept", step: None, text: "its row is gone: its saga has ended".to_owned() });
            }
            other => unreachable!("{other:?} is told elsewhere"),
        }
    }

    pub(super) fn items(&mut self, place: Place, (node, round): (u16, u8), items: &Items, out: &mut Vec<Told>) {
        self.is_named(place, node, round);
        if self.is_run(place) {
            return self.run(place, out);
        }
        let text = match items.count {
            0 => "has no items".to_owned(),
            1 => "begins, with one item".to_owned(),
            count => format!("begins, with {count} items, at most {} at once", items.at_once),
        };
        self.say(out, "began", place, &text);
    }
}
