//! How events are known: by a key, or by a value.

use super::super::form::MatchForm;
use super::super::listeners::Listening;
use super::Pass;
use crate::definition::expression::matching::Side;
use crate::definition::expression::scope::Spot;
use crate::definition::expression::{Expression, Wanted};
use crate::definition::{Listener, MatchedField};

impl<'p, 'a: 'p> Pass<'p, 'a, '_, '_, '_> {
    pub(super) fn listeners(&mut self) -> Option<Vec<Listener>> {
        let ground = self.ground;
        let all = (0..).zip(ground.listeners).map(|(number, listening)| {
            self.finder.topic(listening.topic);
            let key = self.listener_key(listening, number);
            let matches = self.field(listening, number);
            Some(Listener {
                event: listening.event.text.as_str().into(),
                topic: listening.topic.text.as_str().into(),
                key: key?,
                key_text: listening.key.map_or_else(String::new, |key| key.text().to_owned()),
                matches: matches?,
                keep_ms: listening.keep_ms,
                cancels: listening.cancels,
                reader: ground.whole.events[usize::from(number)].clone(),
                kept: self.kept.unwrap_or(ground.whole).events[usize::from(number)].clone(),
            })
        });
        let all: Vec<Option<Listener>> = all.collect();
        all.into_iter().collect()
    }

    /// What says for which saga an event is: `Some(None)` for the record's key.
    fn listener_key(&mut self, listening: &'p Listening<'p>, number: u16) -> Option<Option<Expression>> {
        if listening.matches.is_some() {
            return Some(None);
        }
        self.expression(listening.key, &Spot::listening(number), Wanted::Key)
    }

    /// The field by which events are matched, where they are. It is read alone: what else is wrong with an event keeps it from nobody.
    fn field(&mut self, listening: &'p Listening<'p>, number: u16) -> Option<Option<MatchedField>> {
        let Some(matches) = listening.matches else { return Some(None) };
        let site = self.site();
        let first = self.ground.whole.first_field();
        let mut compile = |spot: Spot| Side::compile(self.names, self.finder.report, self.uses, (spot, true), &matches.own, site);
        // Rows of earlier versions of this program hold the field beside what else is read.
        let side = compile(Spot::listening(number))?;
        let alone = compile(Spot::listening(first + number))?;
        self.fields.insert(number, side.compared);
        Some(Some(MatchedField {
            name: matches.field.as_str().into(),
            expression: alone.expression,
            read: self.kept.unwrap_or(self.ground.whole).fields[usize::from(number)].clone(),
        }))
    }

    /// The saga's value, where an event is known by one.
    pub(super) fn value(&mut self, listener: u16, form: Option<&'p MatchForm>, spot: &Spot) -> Option<Option<Expression>> {
        let Some(form) = form else { return Some(None) };
        let site = self.site();
        let value = Side::compile(self.names, self.finder.report, self.uses, (spot.clone(), false), &form.value, site)?;
        // What is wrong with the field is told where the event is listened to.
        if let Some(both) = self.fields.get(&listener).and_then(|field| field.differs(&value.compared)) {
            let hint = "write string(x) or int(x), or name another field";
            self.finder.report.error(&form.span, format!("the field and the value are {both}: they are never equal"), hint);
            return None;
        }
        Some(Some(value.expression))
    }
}
