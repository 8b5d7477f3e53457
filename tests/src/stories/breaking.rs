//! The values of a definition's expressions, but for those that a story says cannot be computed.

use ringmaster_core::definition::{
    Arm, Definition, Emit, Expression, ExpressionError, Node, RoleName, SiteId, Sleep, Template, Undo, Verb,
};
use ringmaster_core::saga::{Evaluated, Values, View};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Emission;

use super::script::Place;

/// The condition of a node, and of its arms.
fn conditions(node: &Node) -> impl Iterator<Item = &Expression> {
    let arms: &[Arm] = if let Verb::Choice(arms) = &node.verb { arms } else { &[] };
    node.condition.iter().chain(arms.iter().filter_map(|arm| arm.condition.as_ref()))
}

/// The expressions of a place.
pub(super) fn sites(definition: &Definition, place: &Place) -> Vec<SiteId> {
    let step = |name: &str| definition.step_named(name);
    let node = |name: &str| definition.node(definition.names.find(name)?);
    let emits = |how: &str| if how == "completed" { &definition.on_completed } else { &definition.on_compensated };
    match place {
        Place::If(name) => node(name).into_iter().flat_map(conditions).map(Expression::site).collect(),
        Place::Body(name) => match node(name).map(|node| &node.verb) {
            Some(Verb::Do(asks)) => asks.call.body.iter().map(Template::site).collect(),
            Some(Verb::Emit(emit)) => vec![emit.body.site()],
            Some(Verb::Sleep(Sleep::Computed(until))) => vec![until.site()],
            Some(Verb::Approval(approval)) => match &approval.role {
                RoleName::Computed(role) => vec![role.site()],
                RoleName::Fixed(_) => approval.show.iter().map(Template::site).collect(),
            },
            _ => Vec::new(),
        },
        Place::UndoBody(name) => match step(name).map(|step| &step.asks.undo) {
            Some(Undo::Command { call, .. }) => call.body.iter().map(Template::site).collect(),
            _ => Vec::new(),
        },
        Place::End(how) => emits(how).iter().map(|emit| emit.body.site()).collect(),
    }
}

/// The definition's real values, but for the expressions that a story says cannot be computed.
pub(super) struct Breaking<'d> {
    pub(super) values: Evaluated<'d>,
    pub(super) broken: Vec<SiteId>,
}

impl Breaking<'_> {
    fn check(&self, site: SiteId) -> Result<(), ExpressionError> {
        if !self.broken.contains(&site) {
            return Ok(());
        }
        Err(ExpressionError { code: "OVERFLOW", message: "the sum is too large".into(), place: "the story".into() })
    }
}

impl Values for Breaking<'_> {
    fn items(&self, view: View<'_>, list: &Expression, out: &mut Vec<u8>) -> Result<u32, ExpressionError> {
        self.check(list.site())?;
        self.values.items(view, list, out)
    }

    fn condition(&self, view: View<'_>, condition: &Expression) -> Result<bool, ExpressionError> {
        self.check(condition.site())?;
        self.values.condition(view, condition)
    }

    fn wakes_at(&self, view: View<'_>, sleep: &Expression) -> Result<Millis, ExpressionError> {
        self.check(sleep.site())?;
        self.values.wakes_at(view, sleep)
    }

    fn text(&self, view: View<'_>, text: &Expression) -> Result<String, ExpressionError> {
        self.check(text.site())?;
        self.values.text(view, text)
    }

    fn body(&self, view: View<'_>, body: &Template, out: &mut Vec<u8>) -> Result<(), ExpressionError> {
        self.check(body.site())?;
        self.values.body(view, body, out)
    }

    fn emission(&self, view: View<'_>, emit: &Emit, id: &str, scratch: &mut Vec<u8>) -> Result<Emission, ExpressionError> {
        self.check(emit.body.site())?;
        self.values.emission(view, emit, id, scratch)
    }
}
