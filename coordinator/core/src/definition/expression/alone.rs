//! Expressions that stand by themselves, over one record: there is no saga around them.
//!
//! The record is `body`; `key` and `now` are what they are in a definition. Of the environment, `start` is the record's bytes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use cel::common::ast::{Expr, IdedExpr};
use ringmaster_schemas::avro::Schema;

use super::lower::{Lowerer, Typed};
use super::place::Place;
use super::scope::{Names, Spot, StartGap, Uses};
use super::template::{Compiler, Form};
use super::tree::{Node as Tree, Root};
use super::types::Type;
use super::{Expression, Parsed, SiteId, Template, Wanted};
use crate::definition::compile::{Report, did_you_mean, on_large_stack};
use crate::definition::yaml::Node;

static NO_GAPS: BTreeMap<String, StartGap> = BTreeMap::new();

/// All that such expressions can name.
const NAMES: [&str; 3] = ["body", "key", "now"];

/// Compiles a condition over a record of this schema. `None` if anything is wrong, which is then reported.
pub fn condition_over(schema: &Arc<Schema>, node: &Node, report: &mut Report<'_>) -> Option<Expression> {
    on_large_stack(|| {
        let (names, parsed) = (names(schema), Parsed::new(node, report));
        Expression::compile(&names, report, &mut Uses::default(), Spot::alone(), &parsed, Wanted::Truth, SiteId(0))
    })
}

/// Compiles a record of the schema `target`, which is rendered as Avro, over one of this schema. `None` if anything is wrong, which is
/// then reported.
pub fn record_over(schema: &Arc<Schema>, target: &Arc<Schema>, node: &Node, report: &mut Report<'_>) -> Option<Template> {
    on_large_stack(|| {
        let (names, form, mut uses) = (names(schema), Form::new(node, report), Uses::default());
        let mut compiler =
            Compiler { names: &names, report, uses: &mut uses, spot: Spot::alone(), lenient: false, masks: false, site: SiteId(0) };
        compiler.compile(&form, target, false)
    })
}

/// A record and nothing else.
pub(super) fn names(schema: &Arc<Schema>) -> Names<'static> {
    Names {
        start: schema.clone(),
        start_is_known: true,
        gaps: &NO_GAPS,
        events: Vec::new(),
        nodes: Vec::new(),
        items: Vec::new(),
        derived: RefCell::default(),
        silent: Vec::new(),
        rules: &[],
        is_another_way: Box::new(|_, _| false),
        hidden_in: Box::new(|_, _| None),
    }
}

impl<'a> Lowerer<'a, '_, '_> {
    /// What a name means that is no loop's item.
    pub(super) fn name_alone(&mut self, e: &'a IdedExpr, name: &str) -> Option<Typed> {
        match name {
            "body" => {
                let schema = self.names.start.clone();
                let ty = Type::of(&schema, schema.root());
                Some(Typed::new(Tree::Path(Box::new(Place::whole(Root::Start, schema))), ty))
            }
            "key" => Some(Typed::new(Tree::Key, Type::Text)),
            "now" => Some(Typed::new(Tree::Now, Type::Timestamp)),
            _ => {
                let hint = match self.parsed.root.expr {
                    Expr::Ident(_) => format!("a text is written \"'{name}'\""),
                    _ => did_you_mean(name, NAMES),
                };
                self.fail(e.id, format!("unknown name '{name}'"), hint)
            }
        }
    }
}
