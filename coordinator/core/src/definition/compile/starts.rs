//! What starts a definition's sagas: of several events what they have in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::avro::{Gap, Node as Avro, Schema};

use super::form::SagaForm;
use super::targets::Finder;
use crate::definition::expression::scope::StartGap;

/// The record that several start events are read as, as messages call it.
const COMMON: &str = "start";

/// What the start events are read by.
pub(super) struct Starts {
    /// What all have in common: what `start` is.
    pub(super) start: Arc<Schema>,
    /// Each one's own.
    pub(super) begins: Vec<Arc<Schema>>,
    /// What not every one has.
    pub(super) gaps: BTreeMap<String, StartGap>,
}

impl Starts {
    /// Of what cannot be read, which is told. Of several events each that can be is known to its own expressions.
    pub(super) fn unknown(form: &SagaForm, finder: &mut Finder<'_, '_, '_>) -> Starts {
        let any = finder.lookup.json();
        let begins = form.starts.iter().map(|start| finder.event(&start.event).unwrap_or_else(|| any.clone()));
        Starts { begins: begins.collect(), start: any.clone(), gaps: BTreeMap::new() }
    }
}

/// The schemas of all that starts a saga; what is wrong is reported.
pub(super) fn whole(form: &SagaForm, finder: &mut Finder<'_, '_, '_>) -> Option<Starts> {
    if !form.start_is_known {
        return None;
    }
    if let Some(input) = &form.input {
        let start = super::input::schema(form, input, finder)?;
        return Some(Starts { start, begins: Vec::new(), gaps: BTreeMap::new() });
    }
    let events: Vec<Option<Arc<Schema>>> = form.starts.iter().map(|start| finder.event(&start.event)).collect();
    let events = events.into_iter().collect::<Option<Vec<_>>>()?;
    if let [event] = &events[..] {
        return Some(Starts { start: event.clone(), begins: events, gaps: BTreeMap::new() });
    }
    let is_record = |event: &Arc<Schema>| matches!(event.node(event.root()), Avro::Record(_));
    if !events.iter().any(is_record) {
        return Some(Starts { start: events.first()?.clone(), begins: events, gaps: BTreeMap::new() });
    }
    if let Some(without) = events.iter().position(|event| !is_record(event)) {
        let event = &form.starts[without].event;
        let message = format!("{} has no schema, and another event that starts the saga has one", event.text);
        finder.report.error(&event.span, message, format!("add the record {} to the schemas", event.text));
        return None;
    }
    match Schema::common(COMMON, &events) {
        Ok(common) => {
            let gaps = common.gaps.into_iter().map(|(field, gap)| (field, said(form, gap))).collect();
            Some(Starts { start: common.schema, begins: events, gaps })
        }
        Err(why) => {
            let hint = "let what starts one saga have one type of a name";
            finder.report.error(&form.starts[0].event.span, format!("the start events cannot be read as one: {why}"), hint);
            None
        }
    }
}

fn said(form: &SagaForm, gap: Gap) -> StartGap {
    let name = |number: usize| form.starts[number].event.text.clone();
    match gap {
        Gap::Lacking(number) => StartGap::Lacking(name(number)),
        Gap::Differing([(one, is), (other, and)]) => {
            StartGap::Differing(format!("{is} in {}, and {and} in {}", name(one), name(other)))
        }
    }
}
