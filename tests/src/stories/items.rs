//! What happens to the items of a for_each, in words.

use ringmaster_schemas::journal::{ItemEvent, Place, SagaEvent};

use super::print::said;

pub(super) fn event(name: &dyn Fn(Place) -> String, event: &SagaEvent) -> String {
    match event {
        SagaEvent::Item { place, event: ItemEvent::Began { index, .. } } => {
            format!("{place}: item {index} of {} begins", name(*place))
        }
        SagaEvent::Item { place, event: ItemEvent::Ended { index, well: true } } => {
            format!("{place}: item {index} of {} has ended well", name(*place))
        }
        SagaEvent::Item { place, event: ItemEvent::Ended { index, .. } } => {
            format!("{place}: item {index} of {} has left nothing behind", name(*place))
        }
        SagaEvent::Item { place, event: ItemEvent::Recalled { index } } => {
            format!("{place}: item {index} of {} is to be undone", name(*place))
        }
        SagaEvent::Item { place, event: ItemEvent::Held { index, held: true } } => {
            format!("{place}: item {index} of {} is held", name(*place))
        }
        SagaEvent::Item { place, event: ItemEvent::Held { index, .. } } => {
            format!("{place}: item {index} of {} is held no more", name(*place))
        }
        SagaEvent::Item { place, event: ItemEvent::UndoBegan { failure } } => {
            format!("{place}: what {} did is to be undone: {}", name(*place), said(failure))
        }
        SagaEvent::Item { place, event: ItemEvent::Swept { index } } => {
            format!("{place}: item {index} of {} is needed no more", name(*place))
        }
        SagaEvent::Item { place, event: ItemEvent::Lingers { index } } => {
            format!("{place}: item {index} of {} lingers", name(*place))
        }
        SagaEvent::Swept { lingers: true } => "it goes when those below it have gone".to_owned(),
        SagaEvent::Swept { lingers: false } => "it is gone".to_owned(),
        other => unreachable!("{other:?} is about no items"),
    }
}
