//! Loops over lists: cel's expanded macros, recognised by their parts.

use cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators as op};

use super::lower::{LOOPS_MAX, Lowerer, Typed};
use super::scope::RESERVED;
use super::tree::{Loop, LoopKind, Node};
use super::types::Type;

impl<'a> Lowerer<'a, '_, '_> {
    /// cel expands `exists`, `all`, `exists_one`, `map`, `filter` into one general loop; its parts tell which it was.
    pub(super) fn comprehension(&mut self, e: &'a IdedExpr, c: &'a ComprehensionExpr) -> Option<Typed> {
        let Some(range) = self.expression(&c.iter_range) else {
            self.look_at_body(c);
            return None;
        };
        let item = match range.ty.required() {
            (Type::List(item), false) => (**item).clone(),
            (Type::Map(_), false) => Type::Text,
            (Type::Dynamic, false) => Type::Dynamic,
            (_, true) => return self.fail(c.iter_range.id, "the list may be absent", "write .orValue([]) behind it"),
            (other, _) => {
                return self.fail(
                    e.id,
                    format!("a {other} is not a list"),
                    "name a list: all, exists, map and filter go over its items",
                );
            }
        };
        if self.locals.len() >= LOOPS_MAX {
            return self.fail(
                e.id,
                format!("more than {LOOPS_MAX} loops inside one another"),
                "give the list to a participant as a whole",
            );
        }
        if RESERVED.contains(&c.iter_var.as_str()) {
            return self.fail(e.id, format!("'{}' is reserved", c.iter_var), "name the item otherwise");
        }
        if self.item_named(&c.iter_var).is_some() {
            let message = format!("'{}' is the item of the for_each here", c.iter_var);
            return self.fail(e.id, message, "name the loop's item otherwise");
        }
        let Some((kind, filter, body)) = loop_of(c) else {
            return self.fail(e.id, "this loop is not part of the language", "there are all, exists, exists_one, map and filter");
        };
        // The item hides what has its name outside.
        let hidden = format!("{}.", c.iter_var);
        let facts = self.spot.facts.clone();
        self.spot.facts.retain(|fact| !fact.starts_with(&hidden));
        self.locals.push((c.iter_var.clone(), item.clone()));
        let filter = match filter {
            None => Some(None),
            Some(filter) => self.expression(filter).and_then(|test| self.truth(filter, test)).map(Some),
        };
        let lowered = self.expression(body);
        self.locals.pop();
        self.spot.facts = facts;
        let (filter, lowered) = (filter?, lowered?);
        let (body, ty) = match kind {
            LoopKind::Map => (lowered.node, Type::List(Box::new(lowered.ty))),
            LoopKind::Filter => (self.truth(body, lowered)?, Type::List(Box::new(item))),
            LoopKind::Exists | LoopKind::All | LoopKind::ExistsOne => (self.truth(body, lowered)?, Type::Bool),
        };
        Some(Typed::new(Node::Loop(Box::new(Loop { kind, range: range.node, filter, body })), ty))
    }

    /// What is wrong in a loop over what is wrong itself: its item may be anything.
    fn look_at_body(&mut self, c: &'a ComprehensionExpr) {
        let Some((_, filter, body)) = loop_of(c) else { return };
        if self.locals.len() >= LOOPS_MAX {
            return;
        }
        self.locals.push((c.iter_var.clone(), Type::Unknown));
        filter.into_iter().chain([body]).for_each(|part| drop(self.expression(part)));
        self.locals.pop();
    }
}

/// The kind, the filter of a map, and the body of an expanded macro.
fn loop_of(c: &ComprehensionExpr) -> Option<(LoopKind, Option<&IdedExpr>, &IdedExpr)> {
    let Expr::Call(step) = &c.loop_step.expr else { return None };
    Some(match (&c.accu_init.expr, step.func_name.as_str()) {
        (Expr::Literal(LiteralValue::Boolean(_)), op::LOGICAL_OR) => (LoopKind::Exists, None, step.args.get(1)?),
        (Expr::Literal(LiteralValue::Boolean(_)), op::LOGICAL_AND) => (LoopKind::All, None, step.args.get(1)?),
        (Expr::Literal(LiteralValue::Int(_)), op::CONDITIONAL) => (LoopKind::ExistsOne, None, step.args.first()?),
        (Expr::List(_), op::ADD) => (LoopKind::Map, None, appended(&c.loop_step)?),
        (Expr::List(_), op::CONDITIONAL) => {
            let (condition, item) = (step.args.first()?, appended(step.args.get(1)?)?);
            if matches!(&item.expr, Expr::Ident(name) if *name == c.iter_var) {
                (LoopKind::Filter, None, condition)
            } else {
                (LoopKind::Map, Some(condition), item)
            }
        }
        _ => return None,
    })
}

/// `x` of `@result + [x]`.
fn appended(sum: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Call(call) = &sum.expr else { return None };
    match &call.args.get(1)?.expr {
        Expr::List(list) => list.elements.first(),
        _ => None,
    }
}
